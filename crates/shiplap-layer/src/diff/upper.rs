//! The upper directory of an overlay, which holds just what changed.

use std::os::fd::{AsRawFd, OwnedFd};
use std::vec::IntoIter;

use rustix::fs::{FileType, Stat};

use super::layer::unless_gone;
use super::{Change, ChangeKind, DiffError, file_error, file_type, is_whiteout, read_xattrs};
use crate::root::{Root, dir_entries, join, open_child_dir, stat_child};
use crate::stack::{Found, Stack};
use crate::unpack::Marks;

struct Open {
    dir: OwnedFd,
    path: Vec<u8>,
    entries: IntoIter<(Vec<u8>, FileType)>,
    /// The same directory in the layers below, if it shows through.
    below: Option<Found>,
    /// Files in it may be whiteouts.
    has_whiteout_files: bool,
}

impl Open {
    fn new(
        dir: OwnedFd,
        path: Vec<u8>,
        below: Option<Found>,
        has_whiteout_files: bool,
    ) -> Result<Self, DiffError> {
        let entries = dir_entries(&dir).map_err(file_error("read", &path))?;
        Ok(Self {
            dir,
            path,
            entries: entries.into_iter(),
            below,
            has_whiteout_files,
        })
    }
}

/// The changes that the upper directory of an overlay holds; `marks` is how the overlay was mounted,
/// `below` the layers under it. Whiteouts and opaque marks that hide nothing are passed over, and so
/// is what vanishes meanwhile. A socket counts as a whiteout.
///
/// What a directory's list says of a file suffices mostly: the file is not asked. So it is not seen
/// if the overlay was mounted with `metacopy`, which ours never are.
///
/// # Errors
/// [`DiffError::Mark`] for an overlay mounted with `redirect_dir`.
pub fn upper(upper: &Root, marks: Marks, below: &Stack) -> Result<Vec<Change>, DiffError> {
    let mut changes = Vec::new();
    let dir = upper.open_dir(b"").map_err(file_error("open", b""))?;
    let stat = rustix::fs::fstat(&dir).map_err(file_error("read", b""))?;
    let found = Marked::read(&dir, b".", &stat, b"", marks)?;
    let top = Open::new(
        dir,
        Vec::new(),
        Some(below.root()?),
        found.has_whiteout_files,
    )?;
    let mut open = vec![top];
    while let Some(here) = open.last_mut() {
        let Some((name, kind)) = here.entries.next() else {
            open.pop();
            continue;
        };
        let path = join(&here.path, &name);
        let Some(entry) = Entry::read(here, &name, kind, &path, marks)? else {
            continue;
        };
        let old = match &here.below {
            Some(directory) => below.lookup(directory, &name)?,
            None => None,
        };
        if entry.is_whiteout {
            if old.is_some() {
                changes.push(Change {
                    path,
                    kind: ChangeKind::Deleted,
                    is_directory: false,
                    opaque: false,
                });
            }
            continue;
        }
        let kind = if old.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        let old = old.filter(Found::is_directory);
        changes.push(Change {
            path: path.clone(),
            kind,
            is_directory: entry.is_directory,
            opaque: entry.is_directory && entry.opaque && old.is_some(),
        });
        if entry.is_directory {
            let dir = unless_gone(open_child_dir(&here.dir, &name));
            let Some(dir) = dir.map_err(file_error("open", &path))? else {
                continue;
            };
            let below = if entry.opaque { None } else { old };
            open.push(Open::new(dir, path, below, entry.has_whiteout_files)?);
        }
    }
    Ok(changes)
}

/// What an entry of an upper directory is.
#[derive(Default)]
struct Entry {
    is_directory: bool,
    is_whiteout: bool,
    opaque: bool,
    has_whiteout_files: bool,
}

impl Entry {
    /// Looks as far as needed; `None` if it is gone.
    fn read(
        here: &Open,
        name: &[u8],
        kind: FileType,
        path: &[u8],
        marks: Marks,
    ) -> Result<Option<Self>, DiffError> {
        match kind {
            FileType::RegularFile if !here.has_whiteout_files => return Ok(Some(Self::default())),
            FileType::Symlink | FileType::Fifo | FileType::BlockDevice => {
                return Ok(Some(Self::default()));
            }
            _ => {}
        }
        let stat = stat_child(&here.dir, name).map_err(file_error("read", path))?;
        let Some(stat) = stat else {
            return Ok(None);
        };
        let found = Marked::read(&here.dir, name, &stat, path, marks)?;
        let is_socket = file_type(&stat) == FileType::Socket;
        Ok(Some(Self {
            is_directory: file_type(&stat).is_dir(),
            is_whiteout: is_whiteout(&stat) || found.whiteout || is_socket,
            opaque: found.opaque,
            has_whiteout_files: found.has_whiteout_files,
        }))
    }
}

/// What overlayfs itself noted on an entry.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) opaque: bool,
    pub(super) whiteout: bool,
    /// Whiteouts in the directory may be files with an attribute.
    has_whiteout_files: bool,
}

impl Marked {
    /// Reads the marks of the entry `name` of `dir`, whose path is `path`.
    pub(super) fn read(
        dir: &OwnedFd,
        name: &[u8],
        stat: &Stat,
        path: &[u8],
        marks: Marks,
    ) -> Result<Self, DiffError> {
        if !matches!(file_type(stat), FileType::Directory | FileType::RegularFile) {
            return Ok(Self::default());
        }
        // No call takes a directory handle; the last name is not followed.
        let mut file = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
        file.extend_from_slice(name);
        let [opaque, whiteout, redirect, metacopy] =
            ["opaque", "whiteout", "redirect", "metacopy"].map(|mark| marks.name(mark));
        let wanted = [&opaque, &whiteout, &redirect, &metacopy];
        let xattrs = unless_gone(read_xattrs(
            |name| wanted.iter().any(|mark| mark.as_bytes() == name),
            |buffer| rustix::fs::llistxattr(&*file, buffer),
            |name, buffer| rustix::fs::lgetxattr(&*file, name, buffer),
        ));
        let xattrs = xattrs
            .map_err(file_error("read", path))?
            .unwrap_or_default();
        for mark in [redirect, metacopy] {
            if xattrs.contains_key(mark.as_bytes()) {
                return Err(DiffError::Mark {
                    path: path.to_vec(),
                    mark,
                });
            }
        }
        let opaque = xattrs.get(opaque.as_bytes());
        Ok(Self {
            opaque: opaque.is_some_and(|value| value == b"y"),
            has_whiteout_files: opaque.is_some_and(|value| value == b"x"),
            whiteout: xattrs.contains_key(whiteout.as_bytes()),
        })
    }
}
