//! Walks what is selected of a context: looks at each file once, on all cores, and gives the
//! entries in one order whatever the file system's is.
//!
//! It goes down level by level and opens each directory by its path beneath the root, without
//! symbolic links: so it needs few file handles, no deep stack, and nothing that is swapped
//! meanwhile leads it elsewhere. Sockets are passed over, as are files that are gone by the time they are
//! looked at; nothing is opened but directories.

use std::collections::HashMap;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, OFlags, RawDir, Stat};
use rustix::io::Errno;
use shiplap_layer::root::Root;
use shiplap_model::ignore::{Above, Patterns};
use shiplap_model::{limits, path};

use super::digest::ContentDigest;
use super::entry::{Content, Entry, Kind, Stamp, Tree, join, modified};
use super::error::FilesError;
use super::settle::Clock;

/// From here on the files of one directory are looked at by all cores.
const MANY_NAMES: usize = 512;

/// What is left out of a walk, and what is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter<'p> {
    /// Paths from the context's root that are hidden.
    pub(super) ignore: &'p Patterns,
    /// Paths from what is walked that are left out.
    pub(super) exclude: &'p Patterns,
    /// The only paths from what is walked that are taken; `None`: all.
    pub(super) include: Option<&'p Patterns>,
    /// Owners are taken as they are; else they are root's.
    pub(super) keeps_owners: bool,
}

/// What the patterns say of a directory, for what is in it.
#[derive(Debug, Clone, Default)]
struct Position {
    ignore: Above,
    exclude: Above,
    include: Above,
}

/// A directory that is still to be read.
struct Pending {
    path: Vec<u8>,
    position: Position,
}

struct Child {
    entry: Entry,
    /// Taken for itself, not only for what may be in it.
    is_kept: bool,
    /// It is a file with more names.
    has_names: bool,
    /// Number of the directory that it is.
    directory: Option<usize>,
}

/// Everything in the directory `base` that `filter` lets through; the entry of `base` itself comes
/// first. Files have no digests yet.
pub(super) fn walk(
    root: &Root,
    base: &[u8],
    filter: Filter<'_>,
    clock: Clock,
) -> Result<Tree, FilesError> {
    let walker = Walker {
        root,
        base,
        filter,
        clock,
    };
    let stat = stat_exact(root, base).map_err(FilesError::file("look at", base))?;
    let top = walker.entry(Vec::new(), Kind::Directory, &stat);
    let mut directories: Vec<Vec<Child>> = Vec::new();
    let mut level = vec![walker.start()];
    let mut count = 0;
    while !level.is_empty() {
        let read: Result<Vec<_>, _> = level.par_iter().map(|due| walker.read(due)).collect();
        let mut next = Vec::new();
        let first_of_next = directories.len() + level.len();
        for found in read? {
            count += found.len() as u64;
            if count > limits::LAYER_ENTRIES {
                let path = base.to_vec();
                return Err(FilesError::TooMany { path });
            }
            let mut children = Vec::with_capacity(found.len());
            for (mut child, pending) in found {
                if let Some(pending) = pending {
                    child.directory = Some(first_of_next + next.len());
                    next.push(pending);
                }
                children.push(child);
            }
            directories.push(children);
        }
        level = next;
    }
    Ok(Tree {
        entries: in_order(top, directories),
        base: base.to_vec(),
    })
}

/// Puts directories before what is in them, drops those that were only looked into and had
/// nothing, and finds names of the same file.
fn in_order(top: Entry, mut directories: Vec<Vec<Child>>) -> Vec<Entry> {
    let mut entries = vec![top];
    let take = |directories: &mut Vec<Vec<Child>>, number: usize| {
        let children = directories.get_mut(number).map(std::mem::take);
        children.unwrap_or_default().into_iter()
    };
    // Children that are left of each open directory, where its own entry is, and whether it stays
    // without any.
    let mut open = vec![(take(&mut directories, 0), 0, true)];
    let mut files: HashMap<(u64, u64), usize> = HashMap::new();
    while let Some((children, at, is_kept)) = open.last_mut() {
        let Some(child) = children.next() else {
            if !*is_kept && *at + 1 == entries.len() {
                entries.pop();
            }
            open.pop();
            continue;
        };
        let mut entry = child.entry;
        if child.has_names {
            let identity = (entry.stamp.device, entry.stamp.inode);
            entry.hard_link = match files.entry(identity) {
                std::collections::hash_map::Entry::Occupied(first) => Some(*first.get()),
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(entries.len());
                    None
                }
            };
        }
        entries.push(entry);
        if let Some(number) = child.directory {
            let children = take(&mut directories, number);
            open.push((children, entries.len() - 1, child.is_kept));
        }
    }
    entries
}

struct Walker<'w> {
    root: &'w Root,
    base: &'w [u8],
    filter: Filter<'w>,
    clock: Clock,
}

impl Walker<'_> {
    /// The directory that the walk begins with. What is above it counts for the ignore file.
    fn start(&self) -> Pending {
        let mut ignore = Above::default();
        let ends = self.base.iter().enumerate();
        let ends = ends.filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        if !self.base.is_empty() {
            for end in ends.chain([self.base.len()]) {
                ignore = self.filter.ignore.enter(&ignore, &self.base[..end]);
            }
        }
        Pending {
            path: Vec::new(),
            position: Position {
                ignore,
                ..Position::default()
            },
        }
    }

    fn read(&self, due: &Pending) -> Result<Vec<(Child, Option<Pending>)>, FilesError> {
        let full = join(self.base, &due.path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = match self.root.open_exact(&full, flags) {
            Ok(directory) => directory,
            // Gone since it was seen; its entry stays, as of any directory that is emptied.
            Err(Errno::NOENT) if !due.path.is_empty() => return Ok(Vec::new()),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(FilesError::Changed { path: full }),
            Err(error) => return Err(FilesError::file("open", &full)(error)),
        };
        let names = names(directory.as_fd()).map_err(FilesError::file("list", &full))?;
        let look = |(name, kind): &(Vec<u8>, FileType)| {
            let found = self.child(directory.as_fd(), due, name, *kind);
            found.transpose()
        };
        if names.len() < MANY_NAMES {
            names.iter().filter_map(look).collect()
        } else {
            names.par_iter().with_min_len(64).filter_map(look).collect()
        }
    }

    fn child(
        &self,
        directory: BorrowedFd<'_>,
        due: &Pending,
        name: &[u8],
        kind: FileType,
    ) -> Result<Option<(Child, Option<Pending>)>, FilesError> {
        let filter = &self.filter;
        let path = join(&due.path, name);
        if self.base.len() + path.len() > limits::PATH_BYTES {
            let path = join(self.base, &due.path);
            return Err(FilesError::TooLong { path });
        }
        let full = (!filter.ignore.is_empty()).then(|| join(self.base, &path));
        let full = full.as_deref().unwrap_or_default();
        let position = &due.position;
        let is_hidden = filter.ignore.excludes_in(&position.ignore, full);
        let is_excluded = filter.exclude.excludes_in(&position.exclude, &path);
        let is_included = filter
            .include
            .is_none_or(|include| include.excludes_in(&position.include, &path));
        let is_kept = is_included && !is_hidden && !is_excluded;
        let may_hold = (!is_hidden || filter.ignore.may_keep_below(full))
            && (!is_excluded || filter.exclude.may_keep_below(&path))
            && (is_included
                || filter
                    .include
                    .is_some_and(|include| include.may_exclude_below(&path)));
        let may_be_directory = matches!(kind, FileType::Directory | FileType::Unknown);
        if kind == FileType::Socket || !(is_kept || may_hold && may_be_directory) {
            return Ok(None);
        }
        let error = |step| FilesError::file(step, &path);
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(error("look at")(errno)),
        };
        let kind = match kind_of(directory, name, &stat) {
            Ok(Some(kind)) => kind,
            Ok(None) | Err(Errno::NOENT | Errno::INVAL) => return Ok(None),
            Err(errno) => return Err(error("read the link")(errno)),
        };
        let is_directory = kind == Kind::Directory;
        if !is_kept && !is_directory {
            return Ok(None);
        }
        let pending = (is_directory && (is_kept || may_hold)).then(|| Pending {
            position: self.enter(position, full, &path),
            path: path.clone(),
        });
        let has_names = stat.st_nlink > 1 && matches!(kind, Kind::File(_));
        let mut entry = self.entry(path, kind, &stat);
        entry.is_wanted = is_included && !is_excluded;
        let child = Child {
            has_names,
            entry,
            is_kept,
            directory: None,
        };
        Ok(Some((child, pending)))
    }

    fn enter(&self, above: &Position, full: &[u8], path: &[u8]) -> Position {
        let include = self.filter.include;
        Position {
            ignore: self.filter.ignore.enter(&above.ignore, full),
            exclude: self.filter.exclude.enter(&above.exclude, path),
            include: include.map_or_else(Above::default, |include| {
                include.enter(&above.include, path)
            }),
        }
    }

    fn entry(&self, path: Vec<u8>, kind: Kind, stat: &Stat) -> Entry {
        entry(path, kind, stat, self.filter.keeps_owners, self.clock)
    }
}

/// The entry of one file as if it were alone.
pub(super) fn entry(
    path: Vec<u8>,
    kind: Kind,
    stat: &Stat,
    keeps_owners: bool,
    clock: Clock,
) -> Entry {
    let (uid, gid) = if keeps_owners {
        (stat.st_uid, stat.st_gid)
    } else {
        (0, 0)
    };
    Entry {
        path,
        mode: stat.st_mode & 0o7777,
        uid,
        gid,
        mtime: modified(stat),
        is_wanted: true,
        hard_link: None,
        stamp: match kind {
            Kind::File(_) => clock.stamp(stat),
            _ => Stamp::default(),
        },
        kind,
    }
}

/// What a file is; `None` for what a context has not: sockets.
pub(super) fn kind_of(
    directory: BorrowedFd<'_>,
    name: &[u8],
    stat: &Stat,
) -> Result<Option<Kind>, Errno> {
    let device = || {
        let number = stat.st_rdev;
        (rustix::fs::major(number), rustix::fs::minor(number))
    };
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File(Content {
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            digest: ContentDigest::default(),
            capability: None,
        }),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
            Kind::Link(CStr::to_bytes(&target).to_vec())
        }
        FileType::Fifo => Kind::Fifo,
        FileType::CharacterDevice => {
            let (major, minor) = device();
            Kind::CharDevice(major, minor)
        }
        FileType::BlockDevice => {
            let (major, minor) = device();
            Kind::BlockDevice(major, minor)
        }
        FileType::Socket | FileType::Unknown => return Ok(None),
    }))
}

/// Facts of `path` beneath the root, which must be free of symbolic links but for the last name.
pub(super) fn stat_exact(root: &Root, path: &[u8]) -> Result<Stat, Errno> {
    if path.is_empty() {
        return rustix::fs::fstat(root.handle());
    }
    let (parent, name) = path::split(path);
    let parent = root.open_exact(parent, OFlags::PATH | OFlags::DIRECTORY)?;
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// The names in an open directory with their kinds, in the order of their bytes.
pub(super) fn names(directory: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut list = RawDir::new(directory, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = list.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}
