//! The upper directory of an overlay, which holds just what changed.

use std::os::fd::{AsRawFd, OwnedFd};
use std::vec::IntoIter;

use rustix::fs::{FileType, Stat};

use super::layer::unless_gone;
use super::{Change, ChangeKind, DiffError, file_error, file_type, is_whiteout, read_xattrs};
use crate::root::{Root, dir_names, join, open_child_dir, stat_child};
use crate::stack::{Found, Stack};
use crate::unpack::Marks;

struct Open {
    dir: OwnedFd,
    path: Vec<u8>,
    names: IntoIter<Vec<u8>>,
    /// The same directory in the layers below, if it shows through.
    below: Option<Found>,
}

/// The changes that the upper directory of an overlay holds; `marks` is how the overlay was mounted,
/// `below` the layers under it. Whiteouts and opaque marks that hide nothing are passed over, and so
/// is what vanishes meanwhile. A socket counts as a whiteout.
///
/// # Errors
/// [`DiffError::Mark`] for an overlay mounted with `redirect_dir` or `metacopy`.
pub fn upper(upper: &Root, marks: Marks, below: &Stack) -> Result<Vec<Change>, DiffError> {
    let mut changes = Vec::new();
    let dir = upper.open_dir(b"").map_err(file_error("open", b""))?;
    let names = dir_names(&dir)
        .map_err(file_error("read", b""))?
        .into_iter();
    let mut open = vec![Open {
        dir,
        path: Vec::new(),
        names,
        below: Some(below.root()?),
    }];
    while let Some(here) = open.last_mut() {
        let Some(name) = here.names.next() else {
            open.pop();
            continue;
        };
        let path = join(&here.path, &name);
        let Some(stat) = stat_child(&here.dir, &name).map_err(file_error("read", &path))? else {
            continue;
        };
        let old = match &here.below {
            Some(directory) => below.lookup(directory, &name)?,
            None => None,
        };
        let found = Marked::read(&here.dir, &name, &stat, &path, marks)?;
        let is_socket = file_type(&stat) == FileType::Socket;
        if is_whiteout(&stat) || found.whiteout || is_socket {
            if old.is_some() {
                changes.push(Change {
                    path,
                    kind: ChangeKind::Deleted,
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
        let is_dir = file_type(&stat).is_dir();
        let opaque = is_dir && found.opaque && old.is_some();
        changes.push(Change {
            path: path.clone(),
            kind,
            opaque,
        });
        if is_dir {
            let dir = unless_gone(open_child_dir(&here.dir, &name));
            let Some(dir) = dir.map_err(file_error("open", &path))? else {
                continue;
            };
            let names = dir_names(&dir)
                .map_err(file_error("read", &path))?
                .into_iter();
            let below = if found.opaque { None } else { old };
            open.push(Open {
                dir,
                path,
                names,
                below,
            });
        }
    }
    Ok(changes)
}

/// What overlayfs itself noted on an entry.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) opaque: bool,
    pub(super) whiteout: bool,
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
            // `x` says that whiteouts in it are files with an attribute.
            opaque: opaque.is_some_and(|value| value == b"y"),
            whiteout: xattrs.contains_key(whiteout.as_bytes()),
        })
    }
}
