//! `port`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use shiplap_model::container::PortMapping;
use shiplap_ops::container::{self, network};

use crate::face::{Face, Failure};

/// List port mappings or a specific mapping for the container
#[derive(Debug, Args)]
pub(crate) struct Port {
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Only where this port of the container is reached
    #[arg(value_name = "PRIVATE_PORT[/PROTO]", value_parser = private_port)]
    port: Option<(u16, String)>,
}

/// `80`, `53/udp`.
fn private_port(text: &str) -> Result<(u16, String), &'static str> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    match port.parse() {
        Ok(port) if !protocol.is_empty() => Ok((port, protocol.to_ascii_lowercase())),
        _ => Err("a port is a number up to 65535, with its protocol as in 53/udp"),
    }
}

impl Port {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let container = container::find(&session.context, &self.container)?;
        let lines = lines(&network::ports(&container)?, self.port.as_ref());
        if let (Some((port, protocol)), true) = (self.port, lines.is_empty()) {
            return Err(Failure::plain(format!(
                "no public port '{port}/{protocol}' published for {}",
                self.container
            )));
        }
        for line in lines {
            face.output.line(&line)?;
        }
        Ok(())
    }
}

/// Addresses of the host for one port of the container, or for all with the port before.
fn lines(ports: &[PortMapping], wanted: Option<&(u16, String)>) -> Vec<String> {
    let mut sorted: Vec<&PortMapping> = ports
        .iter()
        .filter(|known| {
            wanted.is_none_or(|(port, protocol)| {
                known.container_port == *port && known.protocol == *protocol
            })
        })
        .collect();
    sorted.sort_by_key(|port| (port.container_port, &port.protocol, port.host_port));
    let mut lines = Vec::new();
    for port in sorted {
        let addresses: Vec<IpAddr> = match port.host_ip {
            Some(ip) => vec![ip],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        };
        for ip in addresses {
            let outside = SocketAddr::new(ip, port.host_port);
            lines.push(match wanted {
                Some(_) => outside.to_string(),
                None => format!("{}/{} -> {outside}", port.container_port, port.protocol),
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_prints_them() {
        let port = |ip: Option<&str>, host_port, container_port, protocol: &str| PortMapping {
            host_ip: ip.map(|ip| ip.parse().unwrap()),
            host_port,
            host_port_last: None,
            container_port,
            protocol: protocol.to_owned(),
        };
        let ports = [
            port(None, 32768, 443, "tcp"),
            port(Some("127.0.0.1"), 8080, 80, "tcp"),
            port(Some("::1"), 53, 53, "udp"),
        ];
        let check = |wanted: Option<&str>, expected: &[&str]| {
            let wanted = wanted.map(|text| private_port(text).unwrap());
            assert_eq!(lines(&ports, wanted.as_ref()), expected, "{wanted:?}");
        };
        check(
            None,
            &[
                "53/udp -> [::1]:53",
                "80/tcp -> 127.0.0.1:8080",
                "443/tcp -> 0.0.0.0:32768",
                "443/tcp -> [::]:32768",
            ],
        );
        check(Some("443"), &["0.0.0.0:32768", "[::]:32768"]);
        check(Some("443/TCP"), &["0.0.0.0:32768", "[::]:32768"]);
        check(Some("53"), &[]);
        check(Some("53/udp"), &["[::1]:53"]);
        for text in ["", "x", "65536", "80/", "/tcp"] {
            assert!(private_port(text).is_err(), "{text}");
        }
    }
}
