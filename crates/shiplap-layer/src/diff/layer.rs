//! Real files written as the tar of a layer: changes, or a whole tree.
//!
//! Whoever owns the files may be changing them. Each is opened once, without following a link,
//! and everything is asked of that handle: a file swapped for a pipe or a device is never opened
//! as a file. What is gone by its turn is left out; content that shrank is filled up with zeros,
//! content that grew is cut.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::vec::IntoIter;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Change, ChangeKind, DiffError, file_error, file_type, is_portable, read_xattrs};
use crate::root::{Root, dir_names, join, open_child_dir, split_last};
use crate::tar::{Metadata, Writer};

/// Whose the entries of a tar are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Those of the files.
    Kept,
    /// User and group 0.
    Root,
}

/// When the entries of a tar were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// When the files were.
    #[default]
    Kept,
    /// Then, but at most so many seconds after 1970.
    AtMost(i64),
}

/// Writes `changes`, in their order, with the files as they are in `root` now. A file that came before
/// under another name becomes a hard link to it; one that is gone is left out, and so is one whose
/// name begins with `.wh.`, which no layer can hold.
///
/// # Errors
/// [`DiffError::File`] if a file can't be read, [`DiffError::Tar`].
pub fn write<W: Write>(
    changes: &[Change],
    root: &Root,
    times: Times,
    out: &mut Writer<W>,
) -> Result<(), DiffError> {
    let mut entries = Entries::new(out, Owner::Kept);
    entries.times = times;
    let mut parent: Option<(&[u8], Option<OwnedFd>)> = None;
    for change in changes {
        let path = change.path.as_slice();
        if change.kind == ChangeKind::Deleted {
            entries.out.whiteout(path)?;
            continue;
        }
        if path.split(|b| *b == b'/').any(is_reserved) {
            continue;
        }
        let (directory, name) = split_last(path);
        let dir = match parent.take() {
            Some((open, dir)) if open == directory => dir,
            _ => unless_gone(root.open_dir(directory)).map_err(file_error("open", directory))?,
        };
        if let Some(dir) = &dir {
            let kind = entries.put(dir, name, path, path)?;
            if change.opaque && kind == Some(FileType::Directory) {
                entries.out.opaque(path)?;
            }
        }
        parent = Some((directory, dir));
    }
    Ok(())
}

/// Writes the entry `path` of `root`, itself if it is a symbolic link, and all that is below it;
/// in the tar it is called `name` (a directory may be `.`). Directories come before their entries.
/// What the kernel shows of itself below, as `/proc`, is left out.
///
/// # Errors
/// [`DiffError::File`] if it isn't there or something in it can't be read, [`DiffError::Name`],
/// [`DiffError::Tar`].
pub fn write_tree<W: Write>(
    root: &Root,
    path: &[u8],
    name: &[u8],
    owner: Owner,
    out: &mut Writer<W>,
) -> Result<(), DiffError> {
    let mut entries = Entries::new(out, owner);
    let (parent, last) = split_last(path);
    let parent = root.open_dir(parent).map_err(file_error("open", parent))?;
    let last = if last.is_empty() { b"." } else { last };
    let kind = entries.put(&parent, last, path, name)?;
    if kind != Some(FileType::Directory) {
        return match kind {
            Some(_) => Ok(()),
            None => Err(file_error("open", path)(Errno::NOENT)),
        };
    }
    let prefix = if name == b"." { b"" } else { name };
    let dir = open_child_dir(&parent, last).map_err(file_error("open", path))?;
    let mut open = vec![Open::new(dir, path.to_vec(), prefix.to_vec())?];
    while let Some(here) = open.last_mut() {
        let Some(child) = here.names.next() else {
            open.pop();
            continue;
        };
        let (path, name) = (join(&here.path, &child), join(&here.name, &child));
        if is_reserved(&child) {
            return Err(DiffError::Name { path });
        }
        if entries.put(&here.dir, &child, &path, &name)? != Some(FileType::Directory) {
            continue;
        }
        let below = unless_gone(open_child_dir(&here.dir, &child));
        if let Some(dir) = below.map_err(file_error("open", &path))?
            && !is_kernels(&dir).map_err(file_error("open", &path))?
        {
            open.push(Open::new(dir, path, name)?);
        }
    }
    Ok(())
}

/// A directory of the tree being written.
struct Open {
    dir: OwnedFd,
    /// Where it is.
    path: Vec<u8>,
    /// What the tar calls it.
    name: Vec<u8>,
    names: IntoIter<Vec<u8>>,
}

impl Open {
    fn new(dir: OwnedFd, path: Vec<u8>, name: Vec<u8>) -> Result<Self, DiffError> {
        let names = dir_names(&dir).map_err(file_error("read", &path))?;
        Ok(Self {
            dir,
            path,
            name,
            names: names.into_iter(),
        })
    }
}

struct Entries<'a, W> {
    out: &'a mut Writer<W>,
    owner: Owner,
    times: Times,
    /// Of files with several names: what the tar called the first.
    first_names: HashMap<(u64, u64), Vec<u8>>,
}

impl<'a, W: Write> Entries<'a, W> {
    fn new(out: &'a mut Writer<W>, owner: Owner) -> Self {
        Self {
            out,
            owner,
            times: Times::Kept,
            first_names: HashMap::new(),
        }
    }

    /// Writes the entry `name` of `dir`, whose path is `path`, as `tar_name`; says what it is,
    /// nothing if it is gone or a socket.
    fn put(
        &mut self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        tar_name: &[u8],
    ) -> Result<Option<FileType>, DiffError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = unless_gone(rustix::fs::openat(dir, name, flags, Mode::empty()));
        let Some(handle) = handle.map_err(file_error("open", path))? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&handle).map_err(file_error("read", path))?;
        let kind = file_type(&stat);
        if matches!(kind, FileType::Socket | FileType::Unknown) {
            return Ok(None);
        }
        let metadata = self.metadata(&handle, &stat);
        let metadata = metadata.map_err(file_error("read", path))?;
        if !kind.is_dir() && stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(target) = self.first_names.get(&inode) {
                self.out.hard_link(tar_name, &metadata, target)?;
                return Ok(Some(kind));
            }
            self.first_names.insert(inode, tar_name.to_vec());
        }
        let (major, minor) = (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        );
        match kind {
            FileType::Directory => self.out.directory(tar_name, &metadata)?,
            FileType::RegularFile => {
                let file = reopen(&handle).map_err(file_error("open", path))?;
                let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
                let mut content = Exactly::new(file, size_bytes);
                self.out
                    .file(tar_name, &metadata, size_bytes, &mut content)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&handle, "", Vec::new());
                let target = target.map_err(file_error("read", path))?;
                let target = std::ffi::CStr::to_bytes(&target);
                self.out.symlink(tar_name, &metadata, target)?;
            }
            FileType::CharacterDevice => {
                self.out.char_device(tar_name, &metadata, major, minor)?;
            }
            FileType::BlockDevice => self.out.block_device(tar_name, &metadata, major, minor)?,
            FileType::Fifo => self.out.fifo(tar_name, &metadata)?,
            FileType::Socket | FileType::Unknown => {}
        }
        Ok(Some(kind))
    }

    fn metadata(&self, handle: &OwnedFd, stat: &Stat) -> Result<Metadata, Errno> {
        let (uid, gid) = match self.owner {
            Owner::Kept => (stat.st_uid, stat.st_gid),
            Owner::Root => (0, 0),
        };
        let mut mtime = (
            stat.st_mtime,
            u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        );
        if let Times::AtMost(secs) = self.times {
            mtime = mtime.min((secs, 0));
        }
        Ok(Metadata {
            mode: (stat.st_mode & 0o7777) as u16,
            uid,
            gid,
            mtime_secs: mtime.0,
            mtime_nanos: mtime.1,
            xattrs: portable_xattrs(handle)?,
        })
    }
}

/// Whether a layer would take the name for a whiteout.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(b".wh.")
}

/// Whether a directory lies in a file system whose files are no data: some seem to be terabytes.
fn is_kernels(dir: &OwnedFd) -> Result<bool, Errno> {
    // cgroup, cgroup2, devpts, mqueue, proc, sysfs (statfs(2)).
    const KINDS: [u64; 6] = [
        0x27_e0eb,
        0x6367_7270,
        0x1cd1,
        0x1980_0202,
        0x9fa0,
        0x6265_6572,
    ];
    let kind = u64::try_from(rustix::fs::fstatfs(dir)?.f_type).unwrap_or(0);
    Ok(KINDS.contains(&kind))
}

/// What a name led to, or nothing if it leads to nothing any more.
pub(super) fn unless_gone<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        other => other.map(Some),
    }
}

/// Attributes that belong to a file, by a handle that may be a mere path.
pub(super) fn portable_xattrs(handle: impl AsFd) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
    // Following this link ends at the very file, even if that is a symbolic link.
    let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    read_xattrs(
        is_portable,
        |buffer| rustix::fs::listxattr(&*path, buffer),
        |name, buffer| rustix::fs::getxattr(&*path, name, buffer),
    )
}

/// Opens a regular file for reading by a handle that is a mere path.
pub(super) fn reopen(handle: impl AsFd) -> Result<File, Errno> {
    let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// The first bytes of a file, as many as it was said to have: zeros for those it has not.
pub(crate) struct Exactly {
    file: File,
    left: u64,
}

impl Exactly {
    pub(crate) fn new(file: File, size_bytes: u64) -> Self {
        Self {
            file,
            left: size_bytes,
        }
    }
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX);
        let want = want.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..want).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let mut count = self.file.read(buffer)?;
        if count == 0 {
            buffer.fill(0);
            count = want;
        }
        self.left -= count as u64;
        Ok(count)
    }
}
