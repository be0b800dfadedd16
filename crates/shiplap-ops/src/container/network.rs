//! What a container sees of the network: its own `/etc/hosts`, `/etc/hostname` and
//! `/etc/resolv.conf`, mounted over the image's.

use std::fs;
use std::io;
use std::path::Path;

use shiplap_model::container::NetworkMode;
use shiplap_run::spec::BundleMount;

use super::Container;
use super::bundle::bind;
use crate::context::Context;

/// Why a container's network can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// One of its files can't be written.
    #[error("write {path}: {source}")]
    File {
        /// Path from the container's directory.
        path: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Files that are mounted into every container, and where.
pub(super) const MOUNTED_FILES: [(&str, &str); 3] = [
    ("hosts", "/etc/hosts"),
    ("hostname", "/etc/hostname"),
    ("resolv.conf", "/etc/resolv.conf"),
];

/// Writes the files of a container's network; how they are mounted.
pub(super) fn files(
    _context: &Context,
    container: &Container,
) -> Result<Vec<BundleMount>, NetworkError> {
    let facts = &container.facts;
    let asked = |target: &str| {
        let mounts = &facts.options.storage.mounts;
        mounts.iter().any(|mount| mount.target == target)
    };
    let mut mounts = Vec::new();
    for (path, target) in MOUNTED_FILES {
        let text = match path {
            "hosts" => hosts(container),
            "hostname" => format!("{}\n", facts.hostname),
            _ => resolv_conf(container),
        };
        let file = container.path(path);
        fs::write(&file, text).map_err(|source| NetworkError::File { path, source })?;
        if !asked(target) {
            mounts.push(bind(file, target, facts.options.storage.read_only));
        }
    }
    Ok(mounts)
}

fn hosts(container: &Container) -> String {
    let facts = &container.facts;
    let mut text = match (facts.network, fs::read_to_string("/etc/hosts")) {
        (NetworkMode::Host, Ok(text)) => text,
        _ => "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if facts.network != NetworkMode::Host {
        let full = match &facts.options.network.domainname {
            Some(domain) => format!("{0}.{domain} {0}", facts.hostname),
            None => facts.hostname.clone(),
        };
        text.push_str(&format!("127.0.1.1\t{full}\n"));
    }
    for (name, address) in &facts.options.network.add_hosts {
        let address = match address.as_str() {
            "host-gateway" => host_address(facts.network),
            given => given.to_owned(),
        };
        text.push_str(&format!("{address}\t{name}\n"));
    }
    text
}

/// What stands for the host inside: itself, or the gateway, which pasta maps to it.
fn host_address(network: NetworkMode) -> String {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    match network {
        NetworkMode::Host | NetworkMode::None => None,
        NetworkMode::Private => routes.lines().find_map(gateway),
    }
    .unwrap_or_else(|| "127.0.0.1".to_owned())
}

/// The gateway of a line of `/proc/net/route`, if it is the way to everywhere.
fn gateway(line: &str) -> Option<String> {
    let mut fields = line.split_whitespace().skip(1);
    let (destination, gateway) = (fields.next()?, fields.next()?);
    let number = u32::from_str_radix(gateway, 16).ok()?;
    let is_default = destination == "00000000" && number != 0;
    // The kernel writes it in the byte order of the machine.
    is_default.then(|| std::net::Ipv4Addr::from(number.to_ne_bytes()).to_string())
}

/// The resolver's settings: the user's where given, else the host's.
fn resolv_conf(container: &Container) -> String {
    let network = &container.facts.options.network;
    let host = fs::read_to_string(Path::new("/etc/resolv.conf")).unwrap_or_default();
    let given = [
        ("nameserver", &network.dns),
        ("search", &network.dns_search),
        ("options", &network.dns_options),
    ];
    let mut text = String::new();
    for line in host.lines() {
        let word = line.split_whitespace().next().unwrap_or_default();
        let is_replaced = given
            .iter()
            .any(|(name, values)| *name == word && !values.is_empty());
        if !is_replaced {
            text.push_str(line);
            text.push('\n');
        }
    }
    for server in &network.dns {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (name, values) in &given[1..] {
        if !values.is_empty() {
            text.push_str(&format!("{name} {}\n", values.join(" ")));
        }
    }
    text
}
