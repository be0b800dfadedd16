//! The bundle's `config.json`: plain facts of a container in, the OCI runtime specification out.
//!
//! Defaults are podman's: its capabilities, mounts, hidden and read-only paths, and Docker's
//! system call filter ([`crate::seccomp`]). A user namespace is never asked for, because an
//! ordinary user's command runs in one already. Nothing is mounted, made or started here, and no
//! path below the container's root is ever looked at; only device nodes of the host are asked for
//! their numbers.

mod devices;
mod host;
mod mounts;
mod oci;
mod resources;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shiplap_model::container::{Device, Limits, Seccomp, SecurityOptions};

use crate::capabilities::{self, CapabilityError};
use crate::cgroups::{Cgroup, Version};
use crate::seccomp::{self, SeccompError};

pub use host::Host;
pub use mounts::{BundleMount, BundleMountSource};

/// The version of the runtime specification that is written: the newest that Debian 12's runc
/// and crun both take.
const OCI_VERSION: &str = "1.0.2";

/// Hidden from containers: podman's and Docker's lists together.
const MASKED_PATHS: [&str; 14] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// Read-only in containers.
const READONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// A container as the OCI runtime needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its root, mounted already.
    pub root: PathBuf,
    /// It can't write its root.
    pub read_only_root: bool,
    /// What runs.
    pub process: Process,
    /// Its name.
    pub hostname: Option<String>,
    /// Its NIS domain name.
    pub domainname: Option<String>,
    /// What is mounted into it beside the usual. One at a usual place replaces it.
    pub mounts: Vec<BundleMount>,
    /// Its network.
    pub network: Network,
    /// Devices of the host; a directory stands for all in it.
    pub devices: Vec<Device>,
    /// How much it may use; what its control group can't limit is left out.
    pub limits: Limits,
    /// What it may do.
    pub security: SecurityOptions,
    /// Capabilities it has where `security` neither adds nor drops them. It may make devices only
    /// where its control group keeps it from using them.
    pub capabilities: capabilities::Set,
    /// Its control group.
    pub cgroup: Cgroup,
    /// Size of `/dev/shm`, in bytes; `None`: 64 MiB.
    pub shm_bytes: Option<u64>,
    /// For whoever reads `config.json`.
    pub annotations: BTreeMap<String, String>,
}

/// What runs in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Working directory, an absolute path in the container.
    pub cwd: String,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// More groups; the group itself is always one of them.
    pub additional_gids: Vec<u32>,
    /// The terminal it has.
    pub terminal: Option<TerminalSize>,
}

/// How large a terminal is at first; zero: nobody knows yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// A container's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// The host's.
    Host,
    /// A new one, with nothing but a loopback.
    Own,
    /// The namespace of this file.
    Path(PathBuf),
}

/// A container that can't be described to a runtime.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Capabilities that can't be given.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// A system call filter that can't be used.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// A path that has to be absolute.
    #[error("use {what} {path:?}: it must be an absolute path")]
    Relative {
        /// Which.
        what: &'static str,
        /// As given.
        path: String,
    },
    /// A path `config.json` can't hold, because it isn't UTF-8.
    #[error("use path {path:?}: it isn't UTF-8")]
    NotText {
        /// As given.
        path: PathBuf,
    },
    /// A device that can't be looked at.
    #[error("look at device {path}: {source}")]
    Device {
        /// On the host.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file that is no device.
    #[error("give the container {path}: it is not a device node")]
    NotDevice {
        /// On the host.
        path: String,
    },
    /// Rights that are none.
    #[error(
        "give the container device {path} with rights {permissions:?}: only r, w and m are known"
    )]
    Permissions {
        /// On the host.
        path: String,
        /// As given.
        permissions: String,
    },
    /// No such limit of processes.
    #[error("set ulimit {name}: it is unknown")]
    UnknownUlimit {
        /// As given.
        name: String,
    },
    /// A limit of processes whose beginning is beyond its end.
    #[error("set ulimit {name}: its soft limit {soft} is above its hard limit {hard}")]
    UlimitOrder {
        /// Its name.
        name: String,
        /// As given.
        soft: i64,
        /// As given.
        hard: i64,
    },
    /// A limit of processes beyond what this process may give.
    #[error("set ulimit {name} to {wanted}: only a privileged user goes beyond {most}")]
    Ulimit {
        /// Its name.
        name: String,
        /// As asked for; -1 for no limit.
        wanted: i64,
        /// This process' hard limit.
        most: u64,
    },
    /// A preference beyond what this process may give.
    #[error("set the out-of-memory score to {wanted}: only a privileged user goes below {least}")]
    OomScore {
        /// As asked for.
        wanted: i32,
        /// This process' own.
        least: i32,
    },
    /// It can't be written as JSON.
    #[error("write config.json: {source}")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
}

/// `config.json` for the container, on a host that allows what `host` says.
///
/// # Errors
/// [`SpecError`].
pub fn config(bundle: &Bundle, host: &Host) -> Result<Vec<u8>, SpecError> {
    let mut usual = bundle.capabilities.clone();
    if !bundle.cgroup.can_keep_devices() {
        usual.remove("CAP_MKNOD");
    }
    let process = process_of(
        &bundle.process,
        &usual,
        &bundle.security,
        &bundle.limits,
        host,
    )?;
    let devices = devices::of_bundle(bundle)?;
    let bounding = &process.capabilities.bounding;
    let config = oci::Config {
        oci_version: OCI_VERSION,
        hostname: bundle.hostname.as_deref(),
        root: oci::Root {
            path: utf8(&bundle.root)?,
            readonly: bundle.read_only_root,
        },
        mounts: mounts::of_bundle(bundle, host)?,
        annotations: &bundle.annotations,
        linux: oci::Linux {
            namespaces: namespaces(bundle)?,
            sysctl: sysctls(bundle),
            cgroups_path: bundle.cgroup.path.as_deref(),
            resources: resources::of_bundle(bundle, devices.rules),
            devices: devices.nodes,
            seccomp: seccomp_of(&bundle.security, bounding, host)?,
            rootfs_propagation: mounts::root_propagation(&bundle.mounts),
            masked_paths: masked_paths(&bundle.security),
            readonly_paths: readonly_paths(&bundle.security),
        },
        process,
    };
    serde_json::to_vec(&config).map_err(|source| SpecError::Json { source })
}

/// The file that describes one more process of a container to `exec`, with the rights of
/// `security` and the `ulimits` and `oom_score_adj` of `limits`.
///
/// # Errors
/// [`SpecError`].
pub fn process(
    process: &Process,
    security: &SecurityOptions,
    limits: &Limits,
    host: &Host,
) -> Result<Vec<u8>, SpecError> {
    let usual = capabilities::default_set();
    let process = process_of(process, &usual, security, limits, host)?;
    serde_json::to_vec(&process).map_err(|source| SpecError::Json { source })
}

fn process_of<'b>(
    process: &'b Process,
    usual: &capabilities::Set,
    security: &SecurityOptions,
    limits: &Limits,
    host: &Host,
) -> Result<oci::Process<'b>, SpecError> {
    if !process.cwd.starts_with('/') {
        return Err(SpecError::Relative {
            what: "working directory",
            path: process.cwd.clone(),
        });
    }
    let mut additional_gids = vec![process.gid];
    for gid in &process.additional_gids {
        if !additional_gids.contains(gid) {
            additional_gids.push(*gid);
        }
    }
    Ok(oci::Process {
        terminal: process.terminal.is_some(),
        console_size: process
            .terminal
            .filter(|size| size.rows > 0 && size.columns > 0)
            .map(|size| oci::ConsoleSize {
                height: size.rows,
                width: size.columns,
            }),
        user: oci::User {
            uid: process.uid,
            gid: process.gid,
            umask: 0o022,
            additional_gids,
        },
        args: &process.args,
        env: &process.env,
        cwd: &process.cwd,
        capabilities: capabilities::of_process(
            process.uid == 0,
            security.privileged,
            usual,
            &security.cap_add,
            &security.cap_drop,
            &host.capabilities,
        )?,
        rlimits: resources::rlimits(&limits.ulimits, host)?,
        no_new_privileges: security.no_new_privileges.unwrap_or(false),
        oom_score_adj: resources::oom_score_adj(limits.oom_score_adj, host)?,
    })
}

fn namespaces(bundle: &Bundle) -> Result<Vec<oci::Namespace<'_>>, SpecError> {
    let mut namespaces: Vec<_> = ["pid", "ipc", "uts", "mount"]
        .into_iter()
        .map(|kind| oci::Namespace { kind, path: None })
        .collect();
    let path = match &bundle.network {
        Network::Host => None,
        Network::Own => Some(None),
        Network::Path(path) => Some(Some(utf8(path)?)),
    };
    if let Some(path) = path {
        namespaces.push(oci::Namespace {
            kind: "network",
            path,
        });
    }
    if bundle.cgroup.offer.version == Version::V2 {
        namespaces.push(oci::Namespace {
            kind: "cgroup",
            path: None,
        });
    }
    Ok(namespaces)
}

/// The kernel parameters asked for; the container's root may ping in a network of its own; and the
/// domain name, which not every runtime takes by its own field.
fn sysctls(bundle: &Bundle) -> BTreeMap<&str, &str> {
    let mut sysctls = BTreeMap::new();
    if bundle.network != Network::Host {
        sysctls.insert("net.ipv4.ping_group_range", "0 0");
    }
    if let Some(domainname) = &bundle.domainname {
        sysctls.insert("kernel.domainname", domainname.as_str());
    }
    for (name, value) in &bundle.limits.sysctls {
        sysctls.insert(name.as_str(), value.as_str());
    }
    sysctls
}

fn seccomp_of(
    security: &SecurityOptions,
    bounding: &capabilities::Set,
    host: &Host,
) -> Result<Option<seccomp::Profile>, SpecError> {
    let facts = seccomp::Facts {
        capabilities: bounding,
        architecture: std::env::consts::ARCH,
        kernel: host.kernel,
    };
    Ok(match &security.seccomp {
        Seccomp::Profile(text) => seccomp::from_docker_profile(text, &facts)?,
        Seccomp::Default if !security.privileged => Some(seccomp::default_profile(&facts)),
        Seccomp::Default | Seccomp::Unconfined => None,
    })
}

/// Some paths are wanted visible: each is a path, in which `*` stands for anything but `/`, or
/// several with `:` between, or `ALL`.
fn is_unmasked(security: &SecurityOptions, path: &str) -> bool {
    security
        .unmask
        .iter()
        .flat_map(|paths| paths.split(':'))
        .any(|pattern| pattern.eq_ignore_ascii_case("ALL") || matches(pattern, path))
}

fn matches(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(rest) = path.strip_prefix(before) else {
        return false;
    };
    let name = rest.find('/').unwrap_or(rest.len());
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .take_while(|at| *at <= name)
        .any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest)))
}

fn masked_paths(security: &SecurityOptions) -> Vec<&str> {
    let usual = if security.privileged {
        &[]
    } else {
        &MASKED_PATHS[..]
    };
    usual
        .iter()
        .copied()
        .filter(|path| !is_unmasked(security, path))
        .chain(security.mask.iter().flat_map(|paths| paths.split(':')))
        .collect()
}

fn readonly_paths(security: &SecurityOptions) -> Vec<&'static str> {
    let usual = if security.privileged {
        &[]
    } else {
        &READONLY_PATHS[..]
    };
    usual
        .iter()
        .copied()
        .filter(|path| !is_unmasked(security, path))
        .collect()
}

fn utf8(path: &Path) -> Result<&Path, SpecError> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(SpecError::NotText {
            path: path.to_path_buf(),
        }),
    }
}

#[cfg(test)]
mod tests;
