//! Linux capabilities: the names, podman's default set, and what a container's process gets of
//! what its user adds and drops.
//!
//! Nothing here asks the kernel: the caller says which capabilities can be given at all.

use std::collections::BTreeSet;

use serde::Serialize;

/// Every capability, by its number.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What a container has if nobody says otherwise: podman's list.
const DEFAULT: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// What Docker gives beside those.
const DOCKER_MORE: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW"];

/// A set of capabilities, by name.
pub type Set = BTreeSet<&'static str>;

/// The five sets of a process (`process.capabilities` of the runtime specification).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// What it and its children can ever have.
    pub bounding: Set,
    /// What it has.
    pub effective: Set,
    /// What a program with inheritable capabilities of its own gets.
    pub inheritable: Set,
    /// What it may take.
    pub permitted: Set,
    /// What it keeps when it runs another program.
    pub ambient: Set,
}

/// Capabilities that can't be given as asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// No such capability.
    #[error("use capability {name:?}: it is unknown")]
    Unknown {
        /// As given.
        name: String,
    },
    /// One both added and dropped.
    #[error("add and drop capability {name}: it can only be one")]
    Contradiction {
        /// Its name, or `ALL`.
        name: String,
    },
}

/// Names as users write them.
enum Asked {
    All,
    Some(Set),
}

impl Asked {
    fn parse(names: &[String]) -> Result<Self, CapabilityError> {
        let mut set = Set::new();
        for name in names {
            let upper = name.to_ascii_uppercase();
            if upper == "ALL" {
                return Ok(Self::All);
            }
            let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
            let known = NAMES
                .iter()
                .find(|known| known.strip_prefix("CAP_") == Some(short));
            set.insert(known.ok_or_else(|| CapabilityError::Unknown { name: name.clone() })?);
        }
        Ok(Self::Some(set))
    }
}

/// podman's eleven.
#[must_use]
pub fn default_set() -> Set {
    DEFAULT.into()
}

/// Docker's fourteen, with which Dockerfiles are written.
#[must_use]
pub fn docker_set() -> Set {
    DEFAULT.into_iter().chain(DOCKER_MORE).collect()
}

/// The set of a mask of bits, as `/proc/self/status` has it; bits without a name are left out.
#[must_use]
pub fn from_mask(mask: u64) -> Set {
    NAMES
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, name)| name)
        .collect()
}

/// The sets of a process that runs as root (`root`) or another user, when `add` is added to the
/// default, `usual`, and `drop` dropped from it (in any case, with or without `CAP_`, or `ALL`).
///
/// As with podman, root has all of the bounding set, another user only what is added by name, and
/// keeps that across `exec`. `ALL` and `privileged` mean every capability of `available`.
///
/// # Errors
/// [`CapabilityError`] for an unknown name, and for one that is both added and dropped.
pub fn of_process(
    root: bool,
    privileged: bool,
    usual: &Set,
    add: &[String],
    drop: &[String],
    available: &Set,
) -> Result<Capabilities, CapabilityError> {
    let usual = if privileged { available } else { usual };
    let bounding = bounding(usual, add, drop, available)?;
    let held = if root {
        bounding.clone()
    } else {
        match Asked::parse(add)? {
            Asked::All => bounding.clone(),
            Asked::Some(added) => added.intersection(&bounding).copied().collect(),
        }
    };
    let kept = if root { Set::new() } else { held.clone() };
    Ok(Capabilities {
        bounding,
        effective: held.clone(),
        inheritable: kept.clone(),
        permitted: held,
        ambient: kept,
    })
}

fn bounding(
    usual: &Set,
    add: &[String],
    drop: &[String],
    available: &Set,
) -> Result<Set, CapabilityError> {
    let contradiction = |name: &str| {
        Err(CapabilityError::Contradiction {
            name: name.to_owned(),
        })
    };
    let (base, added) = match Asked::parse(add)? {
        Asked::All => (available.clone(), None),
        Asked::Some(added) => (usual.clone(), Some(added)),
    };
    match (added, Asked::parse(drop)?) {
        (None, Asked::All) => contradiction("ALL"),
        (Some(added), Asked::All) => Ok(added),
        (None, Asked::Some(dropped)) => Ok(&base - &dropped),
        (Some(added), Asked::Some(dropped)) => {
            if let Some(both) = added.intersection(&dropped).next() {
                return contradiction(both);
            }
            Ok(&(&base | &added) - &dropped)
        }
    }
}

#[cfg(test)]
mod tests;
