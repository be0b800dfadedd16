//! Names of hosts: `--hostname`, `--add-host`, `--dns` and its kin, which become lines of files in
//! the container.

use std::net::IpAddr;

/// Stands for the host's own address in `--add-host`.
pub const GATEWAY: &str = "host-gateway";

/// Longest name of a host, in bytes: Linux's HOST_NAME_MAX.
const HOSTNAME_BYTES: usize = 64;

/// Why a text names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not a name and an address.
    #[error("bad format for add-host: {0:?}")]
    AddHost(String),
    /// The address is none.
    #[error("invalid IP address in add-host: {0:?}")]
    AddHostAddress(String),
    /// No address.
    #[error("IP address is not correctly formatted: {0}")]
    Address(String),
    /// Letters that no name has.
    #[error("invalid hostname format: {0:?}: want letters, digits, '-', '_' and '.', at most 64")]
    Hostname(String),
    /// It would be more than one word of a line.
    #[error("{0:?} is not one word")]
    Word(String),
}

/// Reads `name:address` or `name=address`; IPv6 with or without brackets, or `host-gateway`.
///
/// # Errors
/// [`HostError`].
pub fn parse_add_host(text: &str) -> Result<(String, String), HostError> {
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .filter(|(name, _)| !name.is_empty() && is_word(name))
        .ok_or_else(|| HostError::AddHost(text.to_owned()))?;
    let bare = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'))
        .unwrap_or(address);
    if bare != GATEWAY && bare.parse::<IpAddr>().is_err() {
        return Err(HostError::AddHostAddress(address.to_owned()));
    }
    Ok((name.to_owned(), bare.to_owned()))
}

/// Reads the address of a name server.
///
/// # Errors
/// [`HostError`].
pub fn parse_dns(text: &str) -> Result<String, HostError> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(HostError::Address(text.to_owned())),
    }
}

/// Checks a domain to search, or an option of the resolver: one word, returned as it is.
///
/// # Errors
/// [`HostError`].
pub fn parse_word(text: &str) -> Result<String, HostError> {
    if text.is_empty() || !is_word(text) {
        return Err(HostError::Word(text.to_owned()));
    }
    Ok(text.to_owned())
}

fn is_word(text: &str) -> bool {
    !text.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '#')
}

/// Checks the name of a host or domain; it is returned as it is.
///
/// # Errors
/// [`HostError`].
pub fn parse_hostname(text: &str) -> Result<String, HostError> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = (1..=HOSTNAME_BYTES).contains(&text.len())
        && text.bytes().all(is_letter)
        && !text.starts_with(['-', '.']);
    if !is_name {
        return Err(HostError::Hostname(text.to_owned()));
    }
    Ok(text.to_owned())
}
