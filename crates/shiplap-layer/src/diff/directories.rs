//! Two directories compared.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::OwnedFd;
use std::vec::IntoIter;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Change, ChangeKind, DiffError, file_error, file_type, is_portable, xattrs};
use crate::root::{Root, dir_names, join, open_child_dir, split_last, stat_child};

/// A directory that at least one side has.
struct Open {
    old: Option<OwnedFd>,
    new: OwnedFd,
    path: Vec<u8>,
    names: IntoIter<Vec<u8>>,
}

/// The changes that lead from the tree in `old` to that in `new`. A file is taken to be the same
/// if its type, mode, owner, size, modification time and attributes are; where times have no
/// fraction of a second, the content is compared too. Directories above a change are listed as
/// modified, and with a changed file all its other names.
///
/// # Errors
/// [`DiffError::File`].
pub fn directories(old: &Root, new: &Root) -> Result<Vec<Change>, DiffError> {
    let mut compare = Compare::default();
    let old = old.open_dir(b"").map_err(file_error("open", b""))?;
    let new = new.open_dir(b"").map_err(file_error("open", b""))?;
    let mut open = vec![Open::new(Some(old), new, Vec::new())?];
    while let Some(here) = open.last_mut() {
        match here.names.next() {
            Some(name) => {
                if let Some(below) = compare.entry(here, &name)? {
                    open.push(below);
                }
            }
            None => drop(open.pop()),
        }
    }
    Ok(compare.into_changes())
}

impl Open {
    fn new(old: Option<OwnedFd>, new: OwnedFd, path: Vec<u8>) -> Result<Self, DiffError> {
        let mut names = dir_names(&new).map_err(file_error("read", &path))?;
        if let Some(old) = &old {
            names.extend(dir_names(old).map_err(file_error("read", &path))?);
            names.sort_unstable();
            names.dedup();
        }
        Ok(Self {
            old,
            new,
            path,
            names: names.into_iter(),
        })
    }
}

#[derive(Default)]
struct Compare {
    /// What happened, and whether it is a directory now.
    changes: BTreeMap<Vec<Vec<u8>>, (ChangeKind, bool)>,
    /// Names of the new tree's files that have several.
    links: HashMap<(u64, u64), Vec<Vec<u8>>>,
}

impl Compare {
    /// Compares one name; says which directory to go into.
    fn entry(&mut self, here: &Open, name: &[u8]) -> Result<Option<Open>, DiffError> {
        let path = join(&here.path, name);
        let stat = |dir: &OwnedFd| stat_child(dir, name).map_err(file_error("read", &path));
        let seen = |stat: &Stat| file_type(stat) != FileType::Socket;
        let old = match &here.old {
            Some(dir) => stat(dir)?.filter(seen),
            None => None,
        };
        let Some(new) = stat(&here.new)?.filter(seen) else {
            if old.is_some() {
                self.add(&path, ChangeKind::Deleted, false);
            }
            return Ok(None);
        };
        let is_directory = file_type(&new).is_dir();
        match (&here.old, &old) {
            (Some(dir), Some(old)) => {
                if !same(dir, old, &here.new, &new, name).map_err(file_error("read", &path))? {
                    self.add(&path, ChangeKind::Modified, is_directory);
                }
            }
            _ => self.add(&path, ChangeKind::Added, is_directory),
        }
        if !is_directory {
            if new.st_nlink > 1 {
                self.links
                    .entry((new.st_dev, new.st_ino))
                    .or_default()
                    .push(path);
            }
            return Ok(None);
        }
        let child = |dir: &OwnedFd| open_child_dir(dir, name).map_err(file_error("open", &path));
        let was_dir = old.is_some_and(|old| file_type(&old).is_dir());
        let old = match &here.old {
            Some(dir) if was_dir => Some(child(dir)?),
            _ => None,
        };
        Ok(Some(Open::new(old, child(&here.new)?, path)?))
    }

    fn add(&mut self, path: &[u8], kind: ChangeKind, is_directory: bool) {
        self.changes
            .entry(key(path))
            .or_insert((kind, is_directory));
        let mut parent = split_last(path).0;
        while !parent.is_empty() {
            self.changes
                .entry(key(parent))
                .or_insert((ChangeKind::Modified, true));
            parent = split_last(parent).0;
        }
    }

    fn into_changes(mut self) -> Vec<Change> {
        for names in std::mem::take(&mut self.links).into_values() {
            if names
                .iter()
                .any(|path| self.changes.contains_key(&key(path)))
            {
                for path in names {
                    self.add(&path, ChangeKind::Modified, false);
                }
            }
        }
        let changes = self.changes.into_iter();
        changes
            .map(|(key, (kind, is_directory))| Change {
                path: key.join(&b'/'),
                kind,
                is_directory,
                opaque: false,
            })
            .collect()
    }
}

/// The names of a path: sorted by them, entries come right behind their directory.
fn key(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
}

fn same(
    old_dir: &OwnedFd,
    old: &Stat,
    new_dir: &OwnedFd,
    new: &Stat,
    name: &[u8],
) -> Result<bool, Errno> {
    if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino) {
        return Ok(true);
    }
    let facts = |s: &Stat| (s.st_mode, s.st_uid, s.st_gid, s.st_mtime, s.st_mtime_nsec);
    if facts(old) != facts(new) {
        return Ok(false);
    }
    let portable = |dir| -> Result<BTreeMap<_, _>, Errno> {
        let mut xattrs = xattrs(dir, name)?;
        xattrs.retain(|name, _| is_portable(name));
        Ok(xattrs)
    };
    if portable(old_dir)? != portable(new_dir)? {
        return Ok(false);
    }
    match file_type(new) {
        FileType::Symlink => {
            let target = |dir: &OwnedFd| rustix::fs::readlinkat(dir, name, Vec::new());
            Ok(target(old_dir)? == target(new_dir)?)
        }
        FileType::CharacterDevice | FileType::BlockDevice => Ok(old.st_rdev == new.st_rdev),
        FileType::RegularFile if old.st_size != new.st_size => Ok(false),
        FileType::RegularFile if new.st_mtime_nsec == 0 => same_content(old_dir, new_dir, name),
        _ => Ok(true),
    }
}

fn same_content(old: &OwnedFd, new: &OwnedFd, name: &[u8]) -> Result<bool, Errno> {
    let open = |dir: &OwnedFd| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        Ok::<_, Errno>(BufReader::with_capacity(64 << 10, File::from(file)).bytes())
    };
    for (a, b) in open(old)?.zip(open(new)?) {
        let errno = |e: std::io::Error| Errno::from_io_error(&e).unwrap_or(Errno::IO);
        if a.map_err(errno)? != b.map_err(errno)? {
            return Ok(false);
        }
    }
    Ok(true)
}
