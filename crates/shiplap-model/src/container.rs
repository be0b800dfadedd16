//! Containers: what a user decides of one, as data, and the words of Docker's options for it.
//!
//! Nothing here touches a host path, a user or a clock: whoever runs the container resolves what
//! the words mean there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub mod capability;
pub mod cpu;
pub mod device;
pub mod host;
pub mod keys;
pub mod label;
pub mod log;
pub mod memory;
pub mod mount;
pub mod name;
pub mod network;
pub mod port;
pub mod restart;
pub mod security;
pub mod signal;
pub mod sysctl;
pub mod tmpfs;
pub mod ulimit;
pub mod variable;
pub mod volume;

/// A container's options, grouped by what they decide. Written down with the container when it is
/// made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerOptions {
    /// What runs.
    pub process: ProcessOptions,
    /// What it sees of files.
    pub storage: StorageOptions,
    /// What it sees of the network.
    pub network: NetworkOptions,
    /// How much it may use.
    pub limits: Limits,
    /// What it may do.
    pub security: SecurityOptions,
    /// Labels beside the image's.
    pub labels: BTreeMap<String, String>,
    /// The OCI runtime by name or path; `None`: the first that works.
    pub runtime: Option<String>,
    /// Where its output is kept.
    pub log: log::LogOptions,
    /// Removed when its process ends.
    pub auto_remove: bool,
}

/// What runs in a container, where it differs from its image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessOptions {
    /// Replaces the image's `Cmd` if not empty.
    pub command: Vec<String>,
    /// Replaces the image's `Entrypoint` (and resets its `Cmd`); empty: none.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value`, over the image's; `NAME` alone removes it.
    pub env: Vec<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// More groups, names or numbers.
    pub groups: Vec<String>,
    /// It has a terminal.
    pub tty: bool,
    /// Its standard input stays open.
    pub interactive: bool,
    /// A small init that reaps and forwards signals is process 1.
    pub init: bool,
    /// Signal that asks it to stop, as `SIGTERM` or a number.
    pub stop_signal: Option<String>,
    /// Seconds that stop waits before it kills.
    pub stop_timeout_secs: Option<u32>,
}

/// What a container sees of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageOptions {
    /// Bind mounts, volumes and file systems in memory, in the order given.
    pub mounts: Vec<Mount>,
    /// Its root can't be written.
    pub read_only: bool,
    /// Size of `/dev/shm`, in bytes.
    pub shm_bytes: Option<u64>,
    /// Host devices it gets: path outside, path inside, rights (`rwm`).
    pub devices: Vec<Device>,
    /// The host's certificates are put into it, without a trace in the image.
    pub host_certs: bool,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where, an absolute path in the container.
    pub target: String,
    /// It can't be written.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A path of the host, as given.
    Bind {
        /// Absolute, or relative to where the command runs.
        path: String,
        /// Made as a directory if it isn't there (`-v` does, `--mount` does not).
        create: bool,
        /// `rprivate`, `rslave`, …
        propagation: Option<String>,
    },
    /// A volume: named, or anonymous.
    Volume {
        /// Its name; none is made up until the container is made.
        name: Option<String>,
        /// Filled from the image's content at the target when new and empty.
        copy: bool,
    },
    /// A file system in memory.
    Tmpfs {
        /// Most bytes it holds.
        size_bytes: Option<u64>,
        /// Its root's permissions.
        mode: Option<u32>,
        /// Other options, as `noexec`.
        options: Vec<String>,
    },
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path outside.
    pub host_path: String,
    /// Path inside.
    pub container_path: String,
    /// Any of `r`, `w` and `m`.
    pub permissions: String,
}

/// What a container sees of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkOptions {
    /// Which network; `None`: the default.
    pub mode: Option<NetworkMode>,
    /// Ports of the host that lead into it.
    pub publish: Vec<PortMapping>,
    /// Publish all exposed ports on free ones.
    pub publish_all: bool,
    /// Ports it listens on, as `80/tcp`.
    pub expose: Vec<String>,
    /// Its name.
    pub hostname: Option<String>,
    /// Its NIS domain name.
    pub domainname: Option<String>,
    /// More lines of `/etc/hosts`: name and address (`host-gateway` stands for the host).
    pub add_hosts: Vec<(String, String)>,
    /// Name servers.
    pub dns: Vec<String>,
    /// Domains to search.
    pub dns_search: Vec<String>,
    /// Options of the resolver.
    pub dns_options: Vec<String>,
}

/// A container's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// The host's.
    Host,
    /// Only a loopback of its own.
    None,
    /// One of its own, with a way out through `pasta`.
    Private,
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Address of the host; `None` is every one.
    pub host_ip: Option<IpAddr>,
    /// Port of the host; 0 is any that is free.
    pub host_port: u16,
    /// Last of the host's ports from `host_port` on of which any that is free will do; `None`:
    /// only that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port_last: Option<u16>,
    /// Port in the container.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// How much a container may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory and swap together, in bytes; -1: no limit.
    pub memory_swap_bytes: Option<i64>,
    /// Processors, in billionths.
    pub nano_cpus: Option<u64>,
    /// Weight among others, 1024 is normal.
    pub cpu_shares: Option<u64>,
    /// Processors it may run on, as `0-2,4`.
    pub cpuset: Option<String>,
    /// Processes; -1: no limit.
    pub pids: Option<i64>,
    /// `ulimit`s: name, soft, hard (-1: none).
    pub ulimits: Vec<Ulimit>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Preference of the kernel when memory is short, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
}

/// A limit of each process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// `nofile`, `nproc`, …
    pub name: String,
    /// Where it begins; -1: no limit.
    pub soft: i64,
    /// How far it may be raised; -1: no limit.
    pub hard: i64,
}

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityOptions {
    /// Everything.
    pub privileged: bool,
    /// Capabilities beside the default ones, as `CAP_NET_ADMIN`, or `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities less, or `ALL`.
    pub cap_drop: Vec<String>,
    /// `no-new-privileges`; `None`: as the user's rights suggest.
    pub no_new_privileges: Option<bool>,
    /// The system calls it may use.
    pub seccomp: Seccomp,
    /// Paths that are not hidden (`unmask=`), or `ALL`.
    pub unmask: Vec<String>,
    /// More paths that are hidden (`mask=`).
    pub mask: Vec<String>,
}

/// The system calls a container may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// Docker's default.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// A profile in Docker's format: its text.
    Profile(String),
}

#[cfg(test)]
mod tests;
