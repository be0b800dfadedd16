//! `--device`: `outside[:inside][:rights]`.

use super::Device;

/// Why a text is no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not one, two or three parts.
    #[error("invalid device specification: {0:?}")]
    Spec(String),
    /// Rights other than `r`, `w` and `m`.
    #[error("bad mode specified: {0}")]
    Mode(String),
    /// A path that depends on the working directory, or a name of a driver's.
    #[error("{0:?} is not an absolute path")]
    Relative(String),
}

/// Reads `/dev/fuse`, `/dev/sda:/dev/xvda` or `/dev/sda:/dev/xvda:r`.
///
/// # Errors
/// [`DeviceError`].
pub fn parse(text: &str) -> Result<Device, DeviceError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (outside, inside, rights) = match parts[..] {
        [outside] => (outside, outside, "rwm"),
        [outside, rights] if is_mode(rights) => (outside, outside, rights),
        [outside, inside] => (outside, inside, "rwm"),
        [outside, inside, rights] => (outside, inside, rights),
        _ => return Err(DeviceError::Spec(text.to_owned())),
    };
    if !is_mode(rights) {
        return Err(DeviceError::Mode(rights.to_owned()));
    }
    if let Some(path) = [outside, inside].iter().find(|path| !path.starts_with('/')) {
        return Err(DeviceError::Relative((*path).to_owned()));
    }
    Ok(Device {
        host_path: outside.to_owned(),
        container_path: inside.to_owned(),
        permissions: rights.to_owned(),
    })
}

/// Each of `r`, `w` and `m` at most once.
fn is_mode(text: &str) -> bool {
    let once = |letter| text.matches(letter).count() <= 1;
    !text.is_empty()
        && text
            .chars()
            .all(|letter| "rwm".contains(letter) && once(letter))
}
