//! The upper directory of an overlay, which holds just what changed.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::vec::IntoIter;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::{Change, ChangeKind, DiffError, file_error, file_type, xattrs};
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
/// `below` the layers under it. Whiteouts and opaque marks that hide nothing are passed over.
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
            return Err(file_error("read", &path)(Errno::NOENT));
        };
        let old = match &here.below {
            Some(directory) => below.lookup(directory, &name)?,
            None => None,
        };
        let found = Marked::read(&here.dir, &name, &path, marks)?;
        if is_whiteout(&stat) || found.whiteout {
            if old.is_some() {
                changes.push(Change {
                    path,
                    kind: ChangeKind::Deleted,
                    opaque: false,
                });
            }
            continue;
        }
        if file_type(&stat) == FileType::Socket {
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
            let dir = open_child_dir(&here.dir, &name).map_err(file_error("open", &path))?;
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

fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// What overlayfs itself noted on an entry.
struct Marked {
    opaque: bool,
    whiteout: bool,
}

impl Marked {
    fn read(dir: &OwnedFd, name: &[u8], path: &[u8], marks: Marks) -> Result<Self, DiffError> {
        let xattrs: BTreeMap<_, _> = xattrs(dir, name).map_err(file_error("read", path))?;
        for refused in ["redirect", "metacopy"] {
            let mark = marks.name(refused);
            if xattrs.contains_key(mark.as_bytes()) {
                return Err(DiffError::Mark {
                    path: path.to_vec(),
                    mark,
                });
            }
        }
        let opaque = xattrs.get(marks.name("opaque").as_bytes());
        Ok(Self {
            // `x` says that whiteouts in it are files with an attribute.
            opaque: opaque.is_some_and(|value| value == b"y"),
            whiteout: xattrs.contains_key(marks.name("whiteout").as_bytes()),
        })
    }
}
