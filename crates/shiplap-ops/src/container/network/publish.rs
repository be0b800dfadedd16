//! Which ports of the host lead into a container: what the user published, with a port of the
//! host for each that is free now. Nothing is forwarded here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use shiplap_model::container::{NetworkOptions, PortMapping};

use super::NetworkError;

/// Keeps a port from others until it is forwarded.
#[derive(Debug)]
enum Hold {
    Tcp { _socket: TcpListener },
    Udp { _socket: UdpSocket },
}

/// Ports that were chosen; nobody else gets them while this is there.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Hold>);

impl Held {
    /// Lets them go, so that they can be forwarded.
    pub(super) fn release(&mut self) {
        self.0.clear();
    }
}

/// What the user wants published: each port that was named, and with `-P` all that are exposed and
/// were not.
pub(super) fn wanted<'e>(
    network: &NetworkOptions,
    exposed_ports: impl IntoIterator<Item = &'e String>,
) -> Result<Vec<PortMapping>, NetworkError> {
    let mut wanted = network.publish.clone();
    if network.publish_all {
        for text in exposed_ports {
            let invalid = || NetworkError::Exposed { text: text.clone() };
            let (ports, protocol) = exposed(text).ok_or_else(invalid)?;
            for container_port in ports {
                let is_named = wanted.iter().any(|known| {
                    known.container_port == container_port && known.protocol == protocol
                });
                if !is_named {
                    wanted.push(PortMapping {
                        host_ip: None,
                        host_port: 0,
                        host_port_last: None,
                        container_port,
                        protocol: protocol.clone(),
                    });
                }
            }
        }
    }
    Ok(wanted)
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn exposed(text: &str) -> Option<(RangeInclusive<u16>, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse::<u16>().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then(|| (first..=last, protocol.to_ascii_lowercase()))
}

/// The same with one free port of the host each.
pub(super) fn choose(wanted: &[PortMapping]) -> Result<(Vec<PortMapping>, Held), NetworkError> {
    let mut held = Held::default();
    let mut chosen = Vec::new();
    for mapping in wanted {
        let (mapping, hold) = choose_one(mapping)?;
        chosen.push(mapping);
        held.0.push(hold);
    }
    Ok((chosen, held))
}

fn choose_one(wanted: &PortMapping) -> Result<(PortMapping, Hold), NetworkError> {
    let last = wanted.host_port_last.unwrap_or(wanted.host_port);
    let mut taken = None;
    for port in wanted.host_port..=last {
        match hold(wanted, port) {
            Ok((address, hold)) => {
                let mapping = PortMapping {
                    // No address stands for those of both families.
                    host_ip: Some(address.ip()).filter(|ip| *ip != Ipv6Addr::UNSPECIFIED),
                    host_port: address.port(),
                    host_port_last: None,
                    ..wanted.clone()
                };
                return Ok((mapping, hold));
            }
            Err(error @ NetworkError::Taken { .. }) => taken = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(taken.unwrap_or_else(|| NetworkError::PortOrder {
        first: wanted.host_port,
        last,
    }))
}

fn hold(wanted: &PortMapping, port: u16) -> Result<(SocketAddr, Hold), NetworkError> {
    let failed = |ip: IpAddr, source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => NetworkError::Taken {
            address: SocketAddr::new(ip, port),
            protocol: wanted.protocol.clone(),
        },
        _ => NetworkError::Port {
            address: SocketAddr::new(ip, port),
            protocol: wanted.protocol.clone(),
            source,
        },
    };
    let bind = |ip: IpAddr| match wanted.protocol.as_str() {
        "tcp" => TcpListener::bind((ip, port)).and_then(|socket| {
            let address = socket.local_addr()?;
            Ok((address, Hold::Tcp { _socket: socket }))
        }),
        "udp" => UdpSocket::bind((ip, port)).and_then(|socket| {
            let address = socket.local_addr()?;
            Ok((address, Hold::Udp { _socket: socket }))
        }),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    if !matches!(wanted.protocol.as_str(), "tcp" | "udp") {
        return Err(NetworkError::Protocol {
            port: wanted.container_port,
            protocol: wanted.protocol.clone(),
        });
    }
    if let Some(ip) = wanted.host_ip {
        return bind(ip).map_err(|source| failed(ip, source));
    }
    // A socket of IPv6 is reached by IPv4 too.
    match bind(Ipv6Addr::UNSPECIFIED.into()) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            let ip = Ipv4Addr::UNSPECIFIED.into();
            bind(ip).map_err(|source| failed(ip, source))
        }
        result => result.map_err(|source| failed(Ipv4Addr::UNSPECIFIED.into(), source)),
    }
}

#[cfg(test)]
mod tests;
