//! Ports: `--publish`, `--expose`, and the ranges they are written with (Docker's
//! `go-connections/nat`).
//!
//! Whether a port is free, whoever opens it finds out.

use std::net::IpAddr;

use super::PortMapping;

/// Why a text is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Nothing where the container's port should be.
    #[error("no port specified: {0:?}")]
    Missing(String),
    /// Not an address; names are not looked up.
    #[error("invalid IP address: {0}")]
    Address(String),
    /// Wrong behind the last colon.
    #[error("invalid containerPort: {0}")]
    ContainerPort(String),
    /// Wrong before the last colon.
    #[error("invalid hostPort: {0}")]
    HostPort(String),
    /// A protocol that can't be published.
    #[error("invalid proto: {0}")]
    Protocol(String),
    /// Two ranges of different lengths.
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Lengths {
        /// In the container.
        container: String,
        /// Of the host.
        host: String,
    },
    /// No range to expose.
    #[error("invalid range format for --expose: {0}")]
    Expose(RangeError),
}

/// Why a text is no range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// An end of it that is no port.
    #[error("invalid {end} port '{text}': {fault}")]
    Port {
        /// `start` or `end`.
        end: &'static str,
        /// What is there.
        text: String,
        /// Why it is none.
        fault: &'static str,
    },
    /// Its end comes first.
    #[error("invalid port range '{0}': its end is below its start")]
    Backwards(String),
}

/// Ports from the first to the last, which may be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest, not below the first.
    pub last: u16,
}

/// Reads `80` or `8000-9000`.
///
/// # Errors
/// [`RangeError`].
pub fn parse_range(text: &str) -> Result<PortRange, RangeError> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number("start", first)?, number("end", last)?),
        None => (number("start", text)?, number("start", text)?),
    };
    if last < first {
        return Err(RangeError::Backwards(text.to_owned()));
    }
    Ok(PortRange { first, last })
}

fn number(end: &'static str, text: &str) -> Result<u16, RangeError> {
    let fault = |fault| RangeError::Port {
        end,
        text: text.to_owned(),
        fault,
    };
    if text.is_empty() {
        return Err(fault("value is empty"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault("invalid syntax"));
    }
    text.parse().map_err(|_| fault("value out of range"))
}

/// A port or range and its protocol, `tcp` if none is given; both empty without a port.
#[must_use]
pub fn split_protocol(text: &str) -> (&str, &str) {
    match text.split_once('/').unwrap_or((text, "")) {
        ("", _) => ("", ""),
        (port, "") => (port, "tcp"),
        (port, protocol) => (port, protocol),
    }
}

/// Reads `[[ip:][hostPort]:]containerPort[/protocol]`; a range becomes a mapping for each port.
///
/// # Errors
/// [`PortError`].
pub fn publish(spec: &str) -> Result<Vec<PortMapping>, PortError> {
    let (address, host, inside) = match spec.rsplit_once(':') {
        None => ("", "", spec),
        Some((outside, inside)) => match outside.rsplit_once(':') {
            None => ("", outside, inside),
            Some((address, host)) => (address, host, inside),
        },
    };
    let (inside, protocol) = split_protocol(inside);
    let host_ip = parse_address(address)?;
    if inside.is_empty() {
        return Err(PortError::Missing(spec.to_owned()));
    }
    let wrong = |_| PortError::ContainerPort(inside.to_owned());
    let ports = parse_range(inside).map_err(wrong)?;
    if ports.first == 0 {
        return Err(PortError::ContainerPort(inside.to_owned()));
    }
    let wrong = |_| PortError::HostPort(host.to_owned());
    let host_ports = match host {
        "" => None,
        host => Some(parse_range(host).map_err(wrong)?),
    };
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(PortError::Protocol(protocol));
    }
    let is_single = ports.first == ports.last;
    let length = |range: PortRange| range.last - range.first;
    if host_ports.is_some_and(|host| !is_single && length(host) != length(ports)) {
        return Err(PortError::Lengths {
            container: inside.to_owned(),
            host: host.to_owned(),
        });
    }
    let mapping = |container_port: u16| PortMapping {
        host_ip,
        host_port: host_ports.map_or(0, |host| host.first + (container_port - ports.first)),
        host_port_last: host_ports
            .filter(|host| is_single && host.first != host.last)
            .map(|host| host.last),
        container_port,
        protocol: protocol.clone(),
    };
    Ok((ports.first..=ports.last).map(mapping).collect())
}

/// An address, IPv6 with or without brackets.
fn parse_address(text: &str) -> Result<Option<IpAddr>, PortError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address: Result<IpAddr, _> = bare.unwrap_or(text).parse();
    match address {
        Ok(address) if bare.is_none() || address.is_ipv6() => Ok(Some(address)),
        _ => Err(PortError::Address(text.to_owned())),
    }
}

/// Reads `port[-port][/protocol]`: each port as `80/tcp`. A protocol that nobody knows does no
/// harm to a port that is only exposed.
///
/// # Errors
/// [`PortError`].
pub fn expose(spec: &str) -> Result<Vec<String>, PortError> {
    let (ports, protocol) = split_protocol(spec);
    let range = parse_range(ports).map_err(PortError::Expose)?;
    let protocol = protocol.to_ascii_lowercase();
    let ports = range.first..=range.last;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}
