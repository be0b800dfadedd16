//! Flags that decide what a container sees of the network.

use clap::Args;
use shiplap_model::container::{NetworkMode, NetworkOptions, PortMapping, host, network, port};

/// The ports that one flag names.
type Published = Vec<PortMapping>;
type Exposed = Vec<String>;

#[derive(Debug, Args)]
#[command(next_help_heading = "Network Options")]
pub(super) struct NetworkFlags {
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long, value_name = "list", value_parser = host::parse_add_host)]
    add_host: Vec<(String, String)>,
    /// Set custom DNS servers
    #[arg(long, value_name = "list", value_parser = host::parse_dns)]
    dns: Vec<String>,
    /// Set DNS options
    #[arg(long, alias = "dns-opt", value_name = "list", value_parser = host::parse_word)]
    dns_option: Vec<String>,
    /// Set custom DNS search domains
    #[arg(long, value_name = "list", value_parser = host::parse_word)]
    dns_search: Vec<String>,
    /// Container NIS domain name
    #[arg(long, value_name = "string", value_parser = host::parse_hostname)]
    domainname: Option<String>,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "list", value_parser = port::expose)]
    expose: Vec<Exposed>,
    /// Container host name
    #[arg(short = 'h', long, value_name = "string", value_parser = host::parse_hostname)]
    hostname: Option<String>,
    /// Connect a container to a network: host, none or private
    #[arg(long, alias = "net", value_name = "network", value_parser = network::parse)]
    network: Option<NetworkMode>,
    /// Publish a container's port(s) to the host
    #[arg(short, long, value_name = "list", value_parser = port::publish)]
    publish: Vec<Published>,
    /// Publish all exposed ports to random ports
    #[arg(short = 'P', long)]
    publish_all: bool,
}

impl NetworkFlags {
    pub(super) fn into_options(self, warnings: &mut Vec<String>) -> NetworkOptions {
        let (word, is_reachable) = match self.network {
            Some(NetworkMode::Host) => ("host", false),
            Some(NetworkMode::None) => ("none", false),
            Some(NetworkMode::Private) | None => ("private", true),
        };
        if !is_reachable && (self.publish_all || !self.publish.is_empty()) {
            warnings.push(format!(
                "Published ports are discarded when using {word} network mode"
            ));
        }
        NetworkOptions {
            mode: self.network,
            publish: self.publish.into_iter().flatten().collect(),
            publish_all: self.publish_all,
            expose: self.expose.into_iter().flatten().collect(),
            hostname: self.hostname,
            domainname: self.domainname,
            add_hosts: self.add_host,
            dns: self.dns,
            dns_search: self.dns_search,
            dns_options: self.dns_option,
        }
    }
}
