//! Writing into the upper directory of an overlay that is not mounted, as overlayfs itself would:
//! directories of the image are copied up before something is put into them, and one that comes
//! in place of a whiteout hides what the image has there.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Found, Layer};

use super::{CopyError, failed, join, split_last};
use crate::container::changes::OpenTree;

/// The directory `place` of the upper directory, made ready for `entries`: all directories of
/// theirs that the container has are there.
pub(super) fn writable(
    tree: &OpenTree,
    place: &[u8],
    entries: &LayerIndex,
) -> Result<Root, CopyError> {
    let target = ensure(tree, place)?;
    let mut open = vec![(place.to_vec(), Layer::root(entries))];
    while let Some((here, inode)) = open.pop() {
        let read = || failed("read", &here);
        for (name, inode) in Layer::read_dir(entries, inode).map_err(read())? {
            if !Layer::facts(entries, inode)
                .map_err(read())?
                .kind
                .is_directory()
            {
                continue;
            }
            let path = join(&here, &name);
            match tree.merged.resolve(&path, false) {
                Ok(_) => drop(ensure(tree, &path)?),
                Err(error) if error.is_not_found() => {
                    if !replace_whiteout(tree, &path).map_err(failed("make", &path))? {
                        // Nothing is below it either.
                        continue;
                    }
                }
                Err(error) => return Err(error.into()),
            }
            open.push((path, inode));
        }
    }
    Ok(Root::new(target))
}

/// Opens a directory of the container in its upper directory; what is missing there is copied up.
fn ensure(tree: &OpenTree, place: &[u8]) -> Result<OwnedFd, CopyError> {
    let mut directory = tree.upper.open_dir(b"").map_err(failed("open", b"/"))?;
    let mut path = Vec::new();
    for name in place.split(|byte| *byte == b'/').filter(|n| !n.is_empty()) {
        path = join(&path, name);
        directory = match open_child(&directory, name) {
            Err(Errno::NOENT) => {
                let found = tree.merged.resolve(&path, false)?;
                let xattrs = tree.merged.xattrs(&found)?;
                copy_up(&directory, name, &found, &xattrs).map_err(failed("copy up", &path))?
            }
            other => other.map_err(failed("open", &path))?,
        };
    }
    Ok(directory)
}

fn open_child(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

/// Makes a directory as the image has it. The one it is in keeps its times.
fn copy_up(
    parent: &OwnedFd,
    name: &[u8],
    found: &Found,
    xattrs: &shiplap_layer::stack::Xattrs,
) -> Result<OwnedFd, Errno> {
    let before = rustix::fs::fstat(parent)?;
    rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
    let directory = open_child(parent, name)?;
    let facts = found.facts;
    let (uid, gid) = (Uid::from_raw(facts.uid), Gid::from_raw(facts.gid));
    rustix::fs::fchown(&directory, Some(uid), Some(gid))?;
    for (name, value) in xattrs {
        match rustix::fs::fsetxattr(&directory, name.as_slice(), value, XattrFlags::empty()) {
            // Not known here, or not allowed to root of a user namespace.
            Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            other => other?,
        }
    }
    rustix::fs::fchmod(&directory, Mode::from_raw_mode(facts.mode.into()))?;
    set_time(&directory, facts.mtime_secs, facts.mtime_nanos.into())?;
    restore_time(parent, &before)?;
    Ok(directory)
}

fn restore_time(directory: &OwnedFd, before: &Stat) -> Result<(), Errno> {
    let nanos = i64::try_from(before.st_mtime_nsec).unwrap_or(0);
    set_time(directory, before.st_mtime, nanos)
}

fn set_time(directory: &OwnedFd, tv_sec: i64, tv_nsec: i64) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        last_modification: Timespec { tv_sec, tv_nsec },
    };
    rustix::fs::futimens(directory, &times)
}

/// Makes an empty directory in place of what hides the image's entry; nothing if nothing does.
fn replace_whiteout(tree: &OpenTree, path: &[u8]) -> Result<bool, Errno> {
    let (parent, name) = split_last(path);
    let parent = match tree.upper.open_dir(parent) {
        Err(Errno::NOENT) => return Ok(false),
        other => other?,
    };
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        other => other?,
    }
    rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
    let directory = open_child(&parent, name)?;
    let mark = tree.marks.name("opaque");
    rustix::fs::fsetxattr(directory, mark, b"y", XattrFlags::empty())?;
    Ok(true)
}
