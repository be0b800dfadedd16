//! A container's files, running or not.

use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use shiplap_layer::diff::{self, Owner};
use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::root::{Root, resolve_in_root};
use shiplap_layer::stack::Type;
use shiplap_layer::tar::Writer;
use shiplap_store::Store;

use super::{CopyError, RootAccess, failed, join, split_last, upper};
use crate::container::changes::{OpenTree, TreeError};
use crate::files;

/// What is at a path, as far as copying cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Symlink,
    Other,
}

pub(super) enum View {
    Live(Root),
    Stopped(OpenTree),
}

impl View {
    pub(super) fn open(root: &RootAccess, store: &Store) -> Result<Self, CopyError> {
        Ok(match root {
            RootAccess::Live(directory) => {
                let directory = directory.try_clone().map_err(failed("open", b"/"))?;
                Self::Live(Root::new(directory))
            }
            RootAccess::Stopped { tree, .. } => Self::Stopped(tree.open(store)?),
        })
    }

    /// Where a path leads, and in what: a mount of a container that is stopped is a tree of its own.
    /// The last name is followed only if `is_followed`; what is missing of it stays as written.
    pub(super) fn reach(
        self,
        root: &RootAccess,
        path: &[u8],
        is_followed: bool,
    ) -> Result<(Self, Vec<u8>), CopyError> {
        let mounts = match root {
            RootAccess::Live(_) => &[][..],
            RootAccess::Stopped { mounts, .. } => mounts,
        };
        let mounts = mounts.iter().filter(|(_, host)| host.is_dir());
        let mounts = mounts.map(|(target, host)| Ok((self.place(target.as_bytes())?, host)));
        let mounts = mounts.collect::<Result<Vec<_>, CopyError>>()?;
        let names: Vec<_> = path.split(|byte| *byte == b'/').collect();
        // The longest part of the path that is a mount counts.
        for count in (1..=names.len()).rev().filter(|_| !mounts.is_empty()) {
            let (part, rest) = names.split_at(count);
            let place = self.place_of(&part.join(&b'/'), is_followed || !rest.is_empty())?;
            // Of several at one place the last is on top.
            if let Some((_, host)) = mounts.iter().rfind(|(target, _)| *target == place) {
                let host_path = host.as_os_str().as_bytes();
                let view = Self::Live(Root::open(host).map_err(failed("open", host_path))?);
                let place = view.place_of(&rest.join(&b'/'), is_followed)?;
                return Ok((view, place));
            }
        }
        let place = self.place_of(path, is_followed)?;
        Ok((self, place))
    }

    fn place_of(&self, path: &[u8], is_followed: bool) -> Result<Vec<u8>, CopyError> {
        if is_followed {
            return self.place(path);
        }
        let (directory, name) = split_last(path);
        Ok(join(&self.place(directory)?, name))
    }

    /// All links followed.
    fn place(&self, path: &[u8]) -> Result<Vec<u8>, CopyError> {
        match self {
            Self::Live(root) => resolve_in_root(path, |part| read_link(root, part))
                .and_then(|place| place.map_err(Errno::from))
                .map_err(failed("follow", path)),
            Self::Stopped(tree) => Ok(tree.merged.place(path)?),
        }
    }

    /// What is at a place.
    pub(super) fn kind(&self, place: &[u8]) -> Result<Option<Kind>, CopyError> {
        let tree = match self {
            Self::Live(root) => return kind_in(root, place),
            Self::Stopped(tree) => tree,
        };
        match tree.merged.resolve(place, false) {
            Ok(found) => Ok(Some(match found.facts.kind {
                Type::Directory { .. } => Kind::Directory,
                Type::Symlink => Kind::Symlink,
                _ => Kind::Other,
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what is at a place, and all below it, as a tar in which it is called `name`.
    pub(super) fn write(
        &self,
        place: &[u8],
        name: &[u8],
        out: &mut dyn Write,
    ) -> Result<(), CopyError> {
        match self {
            Self::Live(root) => {
                let name = if name.is_empty() { b"." } else { name };
                let mut writer = Writer::new(out);
                diff::write_tree(root, place, name, Owner::Kept, &mut writer)?;
                writer.finish()?;
                Ok(())
            }
            Self::Stopped(tree) => {
                let found = tree.merged.resolve(place, false)?;
                let tars = &tree.image.tars;
                Ok(files::take_out(&tree.merged, tars, found, name, out)?)
            }
        }
    }

    /// The directory at a place, ready to have `entries` unpacked into it.
    pub(super) fn writable(&self, place: &[u8], entries: &LayerIndex) -> Result<Root, CopyError> {
        match self {
            Self::Live(root) => {
                let directory = root.open_dir(place).map_err(failed("open", place))?;
                Ok(Root::new(directory))
            }
            Self::Stopped(tree) => upper::writable(tree, place, entries),
        }
    }
}

impl From<crate::snapshot::SnapshotError> for CopyError {
    fn from(error: crate::snapshot::SnapshotError) -> Self {
        TreeError::from(error).into()
    }
}

/// What is at a path beneath a directory, itself if it is a symbolic link.
pub(super) fn kind_in(root: &Root, path: &[u8]) -> Result<Option<Kind>, CopyError> {
    let handle = match root.open_at(path, OFlags::PATH | OFlags::NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.map_err(failed("open", path))?,
    };
    let stat = rustix::fs::fstat(handle).map_err(failed("open", path))?;
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }))
}

fn read_link(root: &Root, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let handle = match root.open_at(path, OFlags::PATH | OFlags::NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other?,
    };
    match rustix::fs::readlinkat(handle, "", Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        // Not a link; the kernel has two words for it.
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
