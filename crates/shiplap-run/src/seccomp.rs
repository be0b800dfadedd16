//! The filter of system calls (`linux.seccomp` of the runtime specification): Docker's default, or
//! a profile in Docker's format, for given capabilities, architecture and kernel.
//!
//! What is allowed when is that of `github.com/moby/profiles` (seccomp, as of November 2026),
//! written here as a table of our own; [`default_profile`] and [`from_docker_profile`] pass the
//! same sieve. One difference: on x86-64 the ABI x32, which next to no kernel offers, is left out
//! and so killed: compiling the filter for it takes libseccomp 15 of 25 milliseconds.
//! No system call is looked at here, and no filter loaded: the OCI runtime does that.

mod table;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::capabilities::Set;

/// Longest profile that is read, in bytes: Docker's default has 15 thousand.
const PROFILE_BYTES: usize = 1 << 20;

/// What decides which rules hold.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'f> {
    /// The container's bounding set.
    pub capabilities: &'f Set,
    /// The architecture, as Rust names it (`x86_64`).
    pub architecture: &'f str,
    /// The kernel's version: major, minor.
    pub kernel: (u32, u32),
}

/// A profile that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// It is too long.
    #[error("read the seccomp profile: it has {bytes} bytes, more than {PROFILE_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It isn't in Docker's format.
    #[error("read the seccomp profile: {source}")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
    /// Two fields that exclude each other.
    #[error("read the seccomp profile: it has both {first:?} and {second:?}")]
    Both {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

/// `linux.seccomp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    syscalls: Vec<Syscall>,
}

/// System calls with one fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Syscall {
    names: Vec<String>,
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Argument>,
}

/// What an argument has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// A profile in Docker's format.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DockerProfile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    architectures: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    arch_map: Vec<DockerArchitecture>,
    #[serde(deserialize_with = "or_default")]
    flags: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerArchitecture {
    architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    sub_architectures: Vec<String>,
}

/// System calls with one fate, where the conditions hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    name: String,
    #[serde(deserialize_with = "or_default")]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    args: Vec<Argument>,
    #[serde(deserialize_with = "or_default")]
    includes: Condition,
    #[serde(deserialize_with = "or_default")]
    excludes: Condition,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    #[serde(deserialize_with = "or_default")]
    caps: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    arches: Vec<String>,
    #[serde(deserialize_with = "kernel")]
    min_kernel: Option<(u32, u32)>,
}

/// Go writes what is empty as `null`.
fn or_default<'d, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'d>,
    T: Deserialize<'d> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// `major.minor`.
fn kernel<'d, D>(from: D) -> Result<Option<(u32, u32)>, D::Error>
where
    D: serde::Deserializer<'d>,
{
    let Some(version) = Option::<String>::deserialize(from)? else {
        return Ok(None);
    };
    let numbers = || {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let invalid = || serde::de::Error::custom(format!("{version:?} is no kernel version"));
    numbers().map(Some).ok_or_else(invalid)
}

/// Docker's default profile.
#[must_use]
pub fn default_profile(facts: &Facts<'_>) -> Profile {
    let native = table::architecture(facts.architecture);
    Profile {
        default_action: "SCMP_ACT_ERRNO".to_owned(),
        default_errno_ret: Some(1),
        architectures: native.map_or_else(Vec::new, |native| {
            let names = [native.name].into_iter().chain(native.also.iter().copied());
            names.map(str::to_owned).collect()
        }),
        flags: Vec::new(),
        syscalls: sieve(table::rules(), facts),
    }
}

/// What a profile in Docker's format comes to; `None`: it filters nothing.
///
/// # Errors
/// [`SeccompError`].
pub fn from_docker_profile(text: &str, facts: &Facts<'_>) -> Result<Option<Profile>, SeccompError> {
    if text.len() > PROFILE_BYTES {
        return Err(SeccompError::TooLong { bytes: text.len() });
    }
    let profile: DockerProfile =
        serde_json::from_str(text).map_err(|source| SeccompError::Json { source })?;
    if profile.default_action.is_empty() && profile.syscalls.is_empty() {
        return Ok(None);
    }
    let mut architectures = profile.architectures;
    if !profile.arch_map.is_empty() {
        if !architectures.is_empty() {
            let (first, second) = ("architectures", "archMap");
            return Err(SeccompError::Both { first, second });
        }
        let native = table::architecture(facts.architecture).map(|native| native.name);
        let entry = profile
            .arch_map
            .into_iter()
            .find(|entry| Some(entry.architecture.as_str()) == native);
        if let Some(entry) = entry {
            architectures.push(entry.architecture);
            architectures.extend(entry.sub_architectures);
        }
    }
    for rule in &profile.syscalls {
        if !rule.name.is_empty() && !rule.names.is_empty() {
            let (first, second) = ("name", "names");
            return Err(SeccompError::Both { first, second });
        }
    }
    Ok(Some(Profile {
        default_action: profile.default_action,
        default_errno_ret: profile.default_errno_ret,
        architectures,
        flags: profile.flags,
        syscalls: sieve(profile.syscalls, facts),
    }))
}

/// The rules that hold. Those that only name what is allowed become one.
fn sieve(rules: Vec<Rule>, facts: &Facts<'_>) -> Vec<Syscall> {
    let mut allowed = BTreeSet::new();
    let mut syscalls = Vec::new();
    for mut rule in rules {
        if !rule.name.is_empty() {
            rule.names.push(rule.name);
        }
        if rule.excludes.any(facts) || !rule.includes.all(facts) {
            continue;
        }
        if rule.action == "SCMP_ACT_ALLOW" && rule.args.is_empty() {
            allowed.extend(rule.names);
        } else {
            syscalls.push(Syscall {
                names: rule.names,
                action: rule.action,
                errno_ret: rule.errno_ret,
                args: rule.args,
            });
        }
    }
    if !allowed.is_empty() {
        let rule = Syscall {
            names: allowed.into_iter().collect(),
            action: "SCMP_ACT_ALLOW".to_owned(),
            errno_ret: None,
            args: Vec::new(),
        };
        syscalls.insert(0, rule);
    }
    syscalls
}

impl Condition {
    /// One of them holds.
    fn any(&self, facts: &Facts<'_>) -> bool {
        self.has_architecture(facts)
            || self.caps.iter().any(|name| facts.has(name))
            || self.min_kernel.is_some_and(|least| facts.kernel >= least)
    }

    /// Each that there is holds: one of the architectures, all capabilities, the kernel.
    fn all(&self, facts: &Facts<'_>) -> bool {
        (self.arches.is_empty() || self.has_architecture(facts))
            && self.caps.iter().all(|name| facts.has(name))
            && self.min_kernel.is_none_or(|least| facts.kernel >= least)
    }

    fn has_architecture(&self, facts: &Facts<'_>) -> bool {
        let native = table::architecture(facts.architecture).map(|native| native.docker);
        self.arches.iter().any(|name| Some(name.as_str()) == native)
    }
}

impl Facts<'_> {
    fn has(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }
}

#[cfg(test)]
mod tests;
