//! The parts of the OCI runtime specification's `config.json` that are written here.
//!
//! Own structs, not the `oci-spec` crate: nothing is read back, so a few fields that serialise
//! suffice, and its builders would cost more time to compile than this file has lines. The names
//! are the specification's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::capabilities::Capabilities;

fn is_false(flag: &bool) -> bool {
    !flag
}

/// `config.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config<'b> {
    pub(super) oci_version: &'static str,
    pub(super) process: Process<'b>,
    pub(super) root: Root<'b>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hostname: Option<&'b str>,
    pub(super) mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: &'b BTreeMap<String, String>,
    pub(super) linux: Linux<'b>,
}

/// `consoleSize`.
#[derive(Debug, Serialize)]
pub(super) struct ConsoleSize {
    pub(super) height: u16,
    pub(super) width: u16,
}

/// `process`, also the file of `exec`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process<'b> {
    pub(super) terminal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) console_size: Option<ConsoleSize>,
    pub(super) user: User,
    pub(super) args: &'b [String],
    pub(super) env: &'b [String],
    pub(super) cwd: &'b str,
    pub(super) capabilities: Capabilities,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rlimits: Vec<Rlimit>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) no_new_privileges: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oom_score_adj: Option<i32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) umask: u32,
    pub(super) additional_gids: Vec<u32>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rlimit {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) soft: u64,
    pub(super) hard: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Root<'b> {
    pub(super) path: &'b std::path::Path,
    pub(super) readonly: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Mount {
    pub(super) destination: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) source: PathBuf,
    pub(super) options: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Linux<'b> {
    pub(super) namespaces: Vec<Namespace<'b>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sysctl: BTreeMap<&'b str, &'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cgroups_path: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resources: Option<Resources<'b>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) devices: Vec<Device>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seccomp: Option<crate::seccomp::Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rootfs_propagation: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) masked_paths: Vec<&'b str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) readonly_paths: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Namespace<'b> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'b std::path::Path>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) file_mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Resources<'b> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) devices: Vec<DeviceRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu: Option<Cpu<'b>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pids: Option<Pids>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct DeviceRule {
    pub(super) allow: bool,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) major: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) minor: Option<u32>,
    pub(super) access: String,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Memory {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) swap: Option<i64>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Cpu<'b> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shares: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quota: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) period: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpus: Option<&'b str>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pids {
    pub(super) limit: i64,
}
