//! Places for mounts in the root of a step, made before the OCI runtime would: runtimes differ in the
//! permissions they give them, and those that stay are seen in the layer.

use std::io;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use shiplap_layer::root::Root;
use shiplap_run::spec::{BundleMount, BundleMountSource};

/// What the runtime mounts in any root.
const USUAL: [&str; 3] = ["proc", "sys", "dev"];

/// Makes what is missing of the places of `mounts` and the usual ones. A place that can't be made is
/// left to the runtime, which says why.
///
/// # Errors
/// Of looking at what is to be mounted.
pub(super) fn make(root: &Root, mounts: &[BundleMount]) -> io::Result<()> {
    for path in USUAL {
        drop(root.make_dirs(path.as_bytes()));
    }
    for mount in mounts {
        let target = mount.target.trim_matches('/');
        // What is below something that is mounted lies in that.
        if is_covered(target, mounts) {
            continue;
        }
        let is_directory = match &mount.source {
            BundleMountSource::Tmpfs { .. } => true,
            BundleMountSource::Bind { path, .. } => path.metadata()?.is_dir(),
        };
        if is_directory {
            drop(root.make_dirs(target.as_bytes()));
        } else {
            // As for directories.
            let _ = make_file(root, target);
        }
    }
    Ok(())
}

fn is_covered(target: &str, mounts: &[BundleMount]) -> bool {
    let others = mounts.iter().map(|mount| mount.target.trim_matches('/'));
    others.chain(USUAL).any(|other| {
        target
            .strip_prefix(other)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

fn make_file(root: &Root, target: &str) -> Result<(), Errno> {
    let (parent, name) = target.rsplit_once('/').unwrap_or(("", target));
    let parent = root.make_dirs(parent.as_bytes())?;
    match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => {}
        _ => return Ok(()),
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}
