//! Changes written as the tar of a layer.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Change, ChangeKind, DiffError, file_error, file_type, is_portable, xattrs};
use crate::root::{Root, split_last, stat_child};
use crate::tar::{Metadata, Writer};

/// Writes `changes`, in their order, with the files as they are in `root` now. A file that came before
/// under another name becomes a hard link to it.
///
/// # Errors
/// [`DiffError::File`] if a file is gone or can't be read, [`DiffError::Tar`].
pub fn write<W: Write>(
    changes: &[Change],
    root: &Root,
    out: &mut Writer<W>,
) -> Result<(), DiffError> {
    let mut first_names: HashMap<(u64, u64), &[u8]> = HashMap::new();
    let mut parent: Option<(&[u8], OwnedFd)> = None;
    for change in changes {
        let path = change.path.as_slice();
        if change.kind == ChangeKind::Deleted {
            out.whiteout(path)?;
            continue;
        }
        let (directory, name) = split_last(path);
        let dir = match parent.take() {
            Some((open, dir)) if open == directory => dir,
            _ => root
                .open_dir(directory)
                .map_err(file_error("open", directory))?,
        };
        let stat = stat_child(&dir, name).and_then(|stat| stat.ok_or(Errno::NOENT));
        let stat = stat.map_err(file_error("read", path))?;
        let metadata = metadata(&dir, name, &stat).map_err(file_error("read", path))?;
        if !file_type(&stat).is_dir() && stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(target) = first_names.get(&inode) {
                out.hard_link(path, &metadata, target)?;
                parent = Some((directory, dir));
                continue;
            }
            first_names.insert(inode, path);
        }
        entry(&dir, path, &stat, &metadata, out)?;
        if change.opaque {
            out.opaque(path)?;
        }
        parent = Some((directory, dir));
    }
    Ok(())
}

fn metadata(dir: &OwnedFd, name: &[u8], stat: &Stat) -> Result<Metadata, Errno> {
    let mut xattrs = xattrs(dir, name)?;
    xattrs.retain(|name, _| is_portable(name));
    Ok(Metadata {
        mode: (stat.st_mode & 0o7777) as u16,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime_secs: stat.st_mtime,
        mtime_nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        xattrs,
    })
}

fn entry<W: Write>(
    dir: &OwnedFd,
    path: &[u8],
    stat: &Stat,
    metadata: &Metadata,
    out: &mut Writer<W>,
) -> Result<(), DiffError> {
    let name = split_last(path).1;
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    match file_type(stat) {
        FileType::Directory => out.directory(path, metadata)?,
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(dir, name, flags, Mode::empty());
            let mut file = File::from(file.map_err(file_error("open", path))?);
            let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
            out.file(path, metadata, size_bytes, &mut file)?;
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(dir, name, Vec::new());
            let target = target.map_err(file_error("read", path))?;
            out.symlink(path, metadata, std::ffi::CStr::to_bytes(&target))?;
        }
        FileType::CharacterDevice => out.char_device(path, metadata, major, minor)?,
        FileType::BlockDevice => out.block_device(path, metadata, major, minor)?,
        FileType::Fifo => out.fifo(path, metadata)?,
        FileType::Socket | FileType::Unknown => {}
    }
    Ok(())
}
