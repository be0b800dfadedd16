//! Paths that come from an image, an archive or a container, resolved beneath a directory
//! handle: symbolic links count from that directory and never lead out of it.
//!
//! It never joins path strings to reach a file, and never follows a magic link of `/proc`.

mod path;
#[cfg(test)]
mod tests;

pub use path::{Loop, SYMLINKS, resolve_in_root};

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often an `openat2` that raced with a rename elsewhere (`EAGAIN`) is tried again.
const RETRIES: usize = 128;

/// A directory that is the root of everything resolved through it.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
}

impl Root {
    /// Takes an open directory as root.
    #[must_use]
    pub fn new(dir: OwnedFd) -> Self {
        Self { dir }
    }

    /// Opens the host directory `path` as root; `path` is the caller's own, not an image's.
    ///
    /// # Errors
    /// What `open` says; `ENOTDIR` if it is no directory.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self::new(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// The handle of the root directory itself.
    #[must_use]
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Opens `path`, symbolic links followed inside the root (the last one too, unless `flags`
    /// has `NOFOLLOW`). An empty path is the root.
    ///
    /// # Errors
    /// What `openat2` says, `ELOOP` for too many symbolic links.
    pub fn open_at(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        for _ in 0..RETRIES {
            match rustix::fs::openat2(&self.dir, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                // No such call: kernel before 5.6, or a seccomp filter that doesn't know it.
                Err(Errno::NOSYS | Errno::PERM) => return self.walk(path, flags),
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens `path`, which must be free of symbolic links, the last name included: for paths that
    /// were resolved before, so that what changed meanwhile is not followed. Never waits for the
    /// other end of a FIFO.
    ///
    /// # Errors
    /// What `openat2` says; `ELOOP` (`ENOTDIR` in the middle of old kernels' paths) for a symbolic
    /// link.
    pub fn open_exact(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let mut flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NONBLOCK;
        }
        for _ in 0..RETRIES {
            match rustix::fs::openat2(&self.dir, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::PERM) => return self.walk_exact(path, flags),
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// What `openat2` without symbolic links does, name by name.
    fn walk_exact(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let (parents, last) = split_last(path);
        let mut dir = self.open_same(&self.dir)?;
        let middle = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for name in path::names(parents) {
            if name == b".." {
                return Err(Errno::XDEV);
            }
            dir = rustix::fs::openat(&dir, name, middle, Mode::empty())?;
        }
        if last == b".." {
            return Err(Errno::XDEV);
        }
        rustix::fs::openat(&dir, last, flags, Mode::empty())
    }

    /// Opens the directory `path` for reading, links followed inside the root.
    ///
    /// # Errors
    /// As [`Root::open_at`].
    pub fn open_dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens the directory `path`, making what is missing of it (mode 0755): also what a
    /// dangling symbolic link on the way points to, inside the root.
    ///
    /// # Errors
    /// `ENOTDIR` if a part of it is another kind of file, `ELOOP` for too many links.
    pub fn make_dirs(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        match self.open_dir(path) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        let resolved = resolve_in_root(path, |part| self.read_link(part))??;
        let mut dir = self.open_dir(b"")?;
        for name in resolved.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            match rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            dir = open_child_dir(&dir, name)?;
        }
        Ok(dir)
    }

    /// The target of `path` if it is a symbolic link; `None` if it is something else or missing.
    fn read_link(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        let (parent, name) = split_last(path);
        let parent = match self.open_at(parent, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            other => other?,
        };
        match rustix::fs::readlinkat(parent, name, Vec::new()) {
            Ok(target) => Ok(Some(CStr::to_bytes(&target).to_vec())),
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What `openat2` does, name by name.
    fn walk(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut dirs = vec![self.open_same(&self.dir)?];
        let mut links = 0;
        let mut rest: Vec<Vec<u8>> = names_reversed(path);
        while let Some(name) = rest.pop() {
            if name == b".." {
                if dirs.len() > 1 {
                    dirs.pop();
                }
                continue;
            }
            let here = dirs.last().ok_or(Errno::NOENT)?;
            let last = rest.is_empty();
            let probe = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let entry = rustix::fs::openat(here, name.as_slice(), probe, Mode::empty())?;
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&entry)?.st_mode);
            if kind.is_symlink() && !(last && flags.contains(OFlags::NOFOLLOW)) {
                links += 1;
                if links > SYMLINKS {
                    return Err(Errno::LOOP);
                }
                let target = rustix::fs::readlinkat(&entry, "", Vec::new())?;
                let target = CStr::to_bytes(&target);
                if target.first() == Some(&b'/') {
                    dirs.truncate(1);
                }
                rest.extend(names_reversed(target));
                continue;
            }
            if last && !kind.is_dir() {
                let flags = flags | OFlags::NOFOLLOW;
                return rustix::fs::openat(here, name.as_slice(), flags, Mode::empty());
            }
            if !kind.is_dir() {
                return Err(Errno::NOTDIR);
            }
            dirs.push(entry);
        }
        let dir = dirs.last().ok_or(Errno::NOENT)?;
        rustix::fs::openat(dir, ".", flags, Mode::empty())
    }

    fn open_same(&self, dir: &OwnedFd) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(dir, ".", flags, Mode::empty())
    }
}

/// Opens the directory `name` of `dir` for reading; a symbolic link is refused.
///
/// # Errors
/// `ENOTDIR` or `ELOOP` if it is no directory.
pub(crate) fn open_child_dir(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Facts of the entry `name` of `dir`, itself if it is a symbolic link; `None` if missing.
pub(crate) fn stat_child(dir: impl AsFd, name: &[u8]) -> Result<Option<rustix::fs::Stat>, Errno> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Parent and last name of a path without trailing slash.
pub(crate) fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// `name` within `dir`, both as layers write paths: no leading slash.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(dir.len() + name.len() + 1);
    path.extend_from_slice(dir);
    if !dir.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The names of a path for a stack of what is still to be resolved: the first one last.
pub(crate) fn names_reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path::names(path).rev().map(<[u8]>::to_vec).collect()
}

/// Names of the extended attributes of an open file; none where the file system has no such thing.
pub(crate) fn xattr_names(fd: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = Vec::new();
    loop {
        let length = match rustix::fs::flistxattr_query(&fd) {
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            other => other?,
        };
        buffer.resize(length, 0);
        match rustix::fs::flistxattr(&fd, buffer.as_mut_slice()) {
            // It grew meanwhile.
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error),
            Ok(length) => {
                let names = buffer.get(..length).unwrap_or(&buffer).split(|b| *b == 0);
                return Ok(names
                    .filter(|name| !name.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect());
            }
        }
    }
}

/// The names in an open directory, without `.` and `..`, in the order of their bytes.
pub(crate) fn dir_names(dir: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let entries = dir_entries(dir)?.into_iter();
    Ok(entries.map(|(name, _)| name).collect())
}

/// The same with the type of each, [`FileType::Unknown`] where the file system does not say.
pub(crate) fn dir_entries(dir: impl AsFd) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = CStr::to_bytes(entry.file_name());
        if name != b"." && name != b".." {
            entries.push((name.to_vec(), entry.file_type()));
        }
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}
