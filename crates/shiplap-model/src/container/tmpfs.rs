//! `--tmpfs`: `target[:options]`, a file system in memory with the options of `mount(8)`.

use super::mount::{MountError, check_target, parse_mode};
use super::{Mount, MountSource, memory};

/// Options that are switches.
const SWITCHES: [&str; 18] = [
    "async",
    "atime",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "notmpcopyup",
    "relatime",
    "strictatime",
    "suid",
    "tmpcopyup",
];

/// Options with a value that the kernel reads.
const VALUES: [&str; 6] = ["gid", "huge", "mpol", "nr_blocks", "nr_inodes", "uid"];

/// Reads `/run` or `/run:size=64m,mode=1777,noexec`.
///
/// # Errors
/// [`MountError`].
pub fn parse(spec: &str) -> Result<Mount, MountError> {
    let (target, words) = spec.split_once(':').unwrap_or((spec, ""));
    if target.is_empty() {
        return Err(MountError::NoTarget);
    }
    check_target(target)?;
    let (mut size_bytes, mut permissions, mut read_only) = (None, None, false);
    let mut options = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let wrong = || MountError::Mode(word.to_owned());
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "ro" | "rw" if key == word => read_only = key == "ro",
            // A share of the machine's memory: the kernel's to count.
            "size" if value.strip_suffix('%').is_some_and(is_number) => {
                options.push(word.to_owned());
            }
            "size" => {
                let size = memory::parse(value).map_err(|source| MountError::Size {
                    key: key.to_owned(),
                    source,
                })?;
                size_bytes = Some(size).filter(|bytes| *bytes > 0);
            }
            "mode" => permissions = Some(parse_mode(value).ok_or_else(wrong)?),
            _ if key == word && SWITCHES.contains(&key) => options.push(word.to_owned()),
            _ if !value.is_empty() && VALUES.contains(&key) => options.push(word.to_owned()),
            _ => return Err(wrong()),
        }
    }
    Ok(Mount {
        source: MountSource::Tmpfs {
            size_bytes,
            mode: permissions,
            options,
        },
        target: target.to_owned(),
        read_only,
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
