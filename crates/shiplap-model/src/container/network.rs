//! `--network`: which network a container has.

use super::NetworkMode;

/// Why a word is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// An empty word.
    #[error("no name set for network")]
    NoName,
    /// Another container's.
    #[error(
        "sharing the network of container {0:?} is not supported; two containers with \
         --network host reach each other on localhost"
    )]
    Container(String),
    /// A network that somebody would have to make.
    #[error("network {0:?} not found: there are private (also called bridge), host and none")]
    Unknown(String),
    /// Settings of a network's driver.
    #[error("option {0:?} of a network is not supported: only its name can be given")]
    Option(String),
}

/// Reads `host`, `none`, `private`, or as Docker's users say for the last: `bridge`, `default`.
///
/// # Errors
/// [`NetworkError`].
pub fn parse(text: &str) -> Result<NetworkMode, NetworkError> {
    let mut name = text;
    // The long form: `name=bridge,alias=web`.
    if text.contains('=') {
        name = "";
        for field in text.split(',') {
            match field.split_once('=') {
                Some(("name", value)) => name = value,
                _ => return Err(NetworkError::Option(field.to_owned())),
            }
        }
    }
    if let Some(container) = name.strip_prefix("container:") {
        return Err(NetworkError::Container(container.to_owned()));
    }
    match name {
        "" => Err(NetworkError::NoName),
        "host" => Ok(NetworkMode::Host),
        "none" => Ok(NetworkMode::None),
        "private" | "bridge" | "default" => Ok(NetworkMode::Private),
        _ => Err(NetworkError::Unknown(name.to_owned())),
    }
}
