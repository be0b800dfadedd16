//! Devices of the host in a container: nodes to be made, and what the control group allows.
//!
//! The usual ones (`null`, `zero`, `tty`, …) come from the OCI runtime itself; in a user namespace,
//! which may make no node, it binds the host's.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Access, access, major, minor};
use shiplap_model::container::Device as Asked;

use super::oci::{Device, DeviceRule};
use super::{Bundle, SpecError};

/// How deep directories of devices may lie within directories: `/dev/bus/usb/001` has three.
const DEPTH: usize = 8;

/// Below the host's `/dev`, what is no device of a container's: other file systems, and the
/// terminal of whoever looks.
const NOT_GIVEN: [&str; 6] = ["console", "fd", "mqueue", "pts", "shm", ".udev"];

/// What a container gets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Devices {
    pub(super) nodes: Vec<Device>,
    pub(super) rules: Vec<DeviceRule>,
}

/// The devices a container gets: those asked for, or all of the host that can be used.
pub(super) fn of_bundle(bundle: &Bundle) -> Result<Devices, SpecError> {
    let mut devices = Devices::default();
    devices.rules.push(DeviceRule {
        allow: bundle.security.privileged,
        kind: None,
        major: None,
        minor: None,
        access: "rwm".to_owned(),
    });
    if bundle.security.privileged {
        devices.take_all(Path::new("/dev"), "/dev", "rwm", DEPTH);
    }
    for asked in &bundle.devices {
        devices.take(asked)?;
    }
    Ok(devices)
}

impl Devices {
    fn take(&mut self, asked: &Asked) -> Result<(), SpecError> {
        let path = || asked.host_path.clone();
        let permissions = if asked.permissions.is_empty() {
            "rwm"
        } else {
            &asked.permissions
        };
        if !permissions.chars().all(|right| "rwm".contains(right)) {
            return Err(SpecError::Permissions {
                path: path(),
                permissions: permissions.to_owned(),
            });
        }
        if !asked.container_path.starts_with('/') {
            return Err(SpecError::Relative {
                what: "path of a device",
                path: asked.container_path.clone(),
            });
        }
        let metadata = fs::metadata(&asked.host_path).map_err(|source| SpecError::Device {
            path: path(),
            source,
        })?;
        if metadata.is_dir() {
            let directory = Path::new(&asked.host_path);
            self.take_all(directory, &asked.container_path, permissions, DEPTH);
            return Ok(());
        }
        if !self.take_node(&metadata, &asked.container_path, permissions) {
            return Err(SpecError::NotDevice { path: path() });
        }
        Ok(())
    }

    /// All device nodes below a directory that can be used; what can't be read isn't given.
    fn take_all(&mut self, directory: &Path, inside: &str, permissions: &str, depth: usize) {
        let Ok(entries) = fs::read_dir(directory) else {
            return;
        };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let inside = format!("{inside}/{name}");
            if directory == Path::new("/dev") && NOT_GIVEN.contains(&name.as_str()) {
                continue;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() && depth > 0 {
                self.take_all(&entry.path(), &inside, permissions, depth - 1);
            } else if access(entry.path(), Access::READ_OK | Access::WRITE_OK).is_ok() {
                self.take_node(&metadata, &inside, permissions);
            }
        }
    }

    /// False if it is no device node.
    fn take_node(&mut self, metadata: &fs::Metadata, inside: &str, permissions: &str) -> bool {
        let kind = if metadata.file_type().is_char_device() {
            "c"
        } else if metadata.file_type().is_block_device() {
            "b"
        } else {
            return false;
        };
        let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
        self.nodes.push(Device {
            path: inside.to_owned(),
            kind,
            major,
            minor,
            file_mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        });
        self.rules.push(DeviceRule {
            allow: true,
            kind: Some(kind),
            major: Some(major),
            minor: Some(minor),
            access: permissions.to_owned(),
        });
        true
    }
}
