//! What is mounted into a container: the kernel's own file systems as podman mounts them, and what
//! its user asks for.
//!
//! Sources are paths of the host that are known to be right; targets are paths in the container,
//! which the OCI runtime resolves beneath its root.

use std::path::{Component, Path, PathBuf};

use super::oci::Mount;
use super::{Bundle, Host, Network, SpecError, utf8};
use crate::cgroups::Version;

/// Size of `/dev/shm` if nobody says otherwise, in bytes.
const SHM_BYTES: u64 = 64 << 20;

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleMount {
    /// What.
    pub source: BundleMountSource,
    /// Where, an absolute path in the container.
    pub target: String,
    /// It can't be written.
    pub read_only: bool,
    /// More options, as the runtime specification names them: `noexec`, `nosuid`, …
    pub options: Vec<String>,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleMountSource {
    /// A directory or file of the host, with all that is mounted below it.
    Bind {
        /// Absolute.
        path: PathBuf,
        /// `rprivate` (if `None`), `rslave`, `rshared` and their like without `r`.
        propagation: Option<String>,
    },
    /// A file system in memory.
    Tmpfs {
        /// Most bytes it holds; `None`: half the memory.
        size_bytes: Option<u64>,
        /// Its root's permissions; `None`: as the directory below it, else 1777.
        mode: Option<u32>,
        /// It begins with what the root has in its place.
        copies_up: bool,
    },
}

fn options(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

fn mount(destination: &str, kind: &'static str, words: &str) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind,
        source: kind.into(),
        options: options(words),
    }
}

/// All mounts, in the order they are to be made: what lies higher comes first.
pub(super) fn of_bundle(bundle: &Bundle, host: &Host) -> Result<Vec<Mount>, SpecError> {
    let asked = bundle
        .mounts
        .iter()
        .map(asked)
        .collect::<Result<Vec<_>, _>>()?;
    let is_asked = |path: &str| asked.iter().any(|mount| mount.destination == path);
    let mut mounts: Vec<Mount> = usual(bundle, host)
        .into_iter()
        .filter(|mount| {
            let below_dev = mount.destination.starts_with("/dev/");
            !(is_asked(&mount.destination) || below_dev && is_asked("/dev"))
        })
        .chain(asked.iter().cloned())
        .collect();
    mounts.sort_by_key(|mount| {
        Path::new(&mount.destination)
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .count()
    });
    Ok(mounts)
}

fn usual(bundle: &Bundle, host: &Host) -> Vec<Mount> {
    let privileged = bundle.security.privileged;
    let access = if privileged { "rw" } else { "ro" };
    let shm_bytes = bundle.shm_bytes.unwrap_or(SHM_BYTES);
    let mut mounts = vec![
        mount("/proc", "proc", "nosuid noexec nodev"),
        mount(
            "/dev",
            "tmpfs",
            "nosuid noexec strictatime mode=755 size=65536k",
        ),
    ];
    // sysfs belongs to a network: a user namespace can mount that of its own one only.
    if host.user_namespace && bundle.network == Network::Host {
        mounts.push(Mount {
            source: "/sys".into(),
            ..mount(
                "/sys",
                "bind",
                &format!("rbind rprivate nosuid noexec nodev {access}"),
            )
        });
    } else {
        mounts.push(mount(
            "/sys",
            "sysfs",
            &format!("nosuid noexec nodev {access}"),
        ));
    }
    let mut pts = options("nosuid noexec newinstance ptmxmode=0666 mode=0620");
    if host.tty_group {
        pts.push("gid=5".to_owned());
    }
    mounts.push(Mount {
        options: pts,
        ..mount("/dev/pts", "devpts", "")
    });
    mounts.push(mount("/dev/mqueue", "mqueue", "nosuid noexec nodev"));
    mounts.push(Mount {
        source: "shm".into(),
        ..mount(
            "/dev/shm",
            "tmpfs",
            &format!("nosuid noexec nodev mode=1777 size={shm_bytes}"),
        )
    });
    if bundle.cgroup.path.is_some() || bundle.cgroup.offer.version == Version::V2 {
        mounts.push(mount(
            "/sys/fs/cgroup",
            "cgroup",
            &format!("rprivate nosuid noexec nodev relatime {access}"),
        ));
    }
    mounts
}

fn asked(asked: &BundleMount) -> Result<Mount, SpecError> {
    let destination = clean(&asked.target)?;
    let (kind, source, mut options) = match &asked.source {
        BundleMountSource::Bind { path, propagation } => {
            if !path.is_absolute() {
                return Err(SpecError::Relative {
                    what: "source of a mount",
                    path: path.to_string_lossy().into_owned(),
                });
            }
            let propagation = propagation.as_deref().unwrap_or("rprivate");
            let options = vec!["rbind".to_owned(), propagation.to_owned()];
            ("bind", utf8(path)?.to_path_buf(), options)
        }
        BundleMountSource::Tmpfs {
            size_bytes,
            mode,
            copies_up,
        } => {
            let mut options = options("rprivate nosuid nodev");
            options.extend(copies_up.then(|| "tmpcopyup".to_owned()));
            options.extend(size_bytes.map(|bytes| format!("size={bytes}")));
            options.extend(mode.map(|mode| format!("mode={mode:o}")));
            ("tmpfs", "tmpfs".into(), options)
        }
    };
    options.push(if asked.read_only { "ro" } else { "rw" }.to_owned());
    options.extend(asked.options.iter().cloned());
    Ok(Mount {
        destination,
        kind,
        source,
        options,
    })
}

/// The path without `.`, `..`, doubled and trailing slashes, so that it can be compared.
fn clean(target: &str) -> Result<String, SpecError> {
    if !target.starts_with('/') {
        return Err(SpecError::Relative {
            what: "target of a mount",
            path: target.to_owned(),
        });
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

/// What the root's own propagation has to be, so that the mounts' is possible.
pub(super) fn root_propagation(mounts: &[BundleMount]) -> Option<&'static str> {
    let any = |word: &str| {
        mounts.iter().any(|mount| match &mount.source {
            BundleMountSource::Bind { propagation, .. } => propagation
                .as_deref()
                .is_some_and(|found| found.trim_start_matches('r') == word),
            BundleMountSource::Tmpfs { .. } => false,
        })
    };
    if any("shared") {
        Some("shared")
    } else if any("slave") {
        Some("rslave")
    } else {
        None
    }
}
