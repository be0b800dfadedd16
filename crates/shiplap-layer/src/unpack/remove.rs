//! Deletion beneath a directory handle: whatever a name is, never what a link points to.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::root::{dir_names, open_child_dir};

/// Removes the entry `name` of `dir`, a directory with all in it. A missing one is fine.
pub(super) fn remove(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        other => return other,
    }
    let child = open_child_dir(&dir, name)?;
    clear(&child, b"")?;
    rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR)
}

/// Removes all entries of `dir` but `keep`.
pub(super) fn clear(dir: &OwnedFd, keep: &[u8]) -> Result<(), Errno> {
    // A stack of our own: an image chooses the depth.
    let mut open: Vec<(OwnedFd, Vec<Vec<u8>>)> = vec![(
        dir.try_clone().map_err(|error| errno(&error))?,
        dir_names(dir)?,
    )];
    open[0].1.retain(|name| name != keep);
    while let Some((here, entries)) = open.last_mut() {
        let Some(name) = entries.last() else {
            open.pop();
            if let Some((parent, entries)) = open.last_mut()
                && let Some(done) = entries.pop()
            {
                rustix::fs::unlinkat(parent, done, AtFlags::REMOVEDIR)?;
            }
            continue;
        };
        match rustix::fs::unlinkat(&*here, name.as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => drop(entries.pop()),
            Err(Errno::ISDIR | Errno::PERM) => {
                let child = open_child_dir(&*here, name)?;
                let names = dir_names(&child)?;
                open.push((child, names));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
