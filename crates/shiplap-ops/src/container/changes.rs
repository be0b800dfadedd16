//! `diff`: what a container changed of its image; and its files as all verbs see them that read
//! them from outside: an upper directory over the image's layers, without a mount.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;
use shiplap_layer::diff::{self, DiffError, UpperLayer};
pub use shiplap_layer::diff::{Change, ChangeKind};
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Found, Stack, StackError, Type};
use shiplap_layer::unpack::Marks;
use shiplap_model::ImageId;
use shiplap_store::Store;

use crate::context::Context;
use crate::snapshot::{self, OpenImage, SnapshotError};

#[cfg(test)]
pub(crate) mod tests;

/// What the runtime makes in the root of any container for its mounts.
const RUNTIME_TARGETS: [&str; 6] = [
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

/// Where a container's files are.
#[derive(Debug, Clone)]
pub struct ContainerTree {
    /// Its image.
    pub image: ImageId,
    /// Its changes, in overlayfs' form.
    pub upper: PathBuf,
    /// How the overlay is mounted.
    pub marks: Marks,
    /// Where something is mounted over it, beside what is in every container.
    pub mounts: Vec<String>,
}

/// Why the files of a container can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The image's layers can't be opened.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The merged tree can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The upper directory can't be opened.
    #[error("open {}: {source}", path.display())]
    Upper {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: Errno,
    },
    /// The changes can't be read.
    #[error(transparent)]
    Diff(#[from] DiffError),
}

/// The files of a container, open.
pub(crate) struct OpenTree {
    pub(crate) image: OpenImage,
    pub(crate) upper: Root,
    pub(crate) marks: Marks,
    /// What the container sees but for mounts.
    pub(crate) merged: Stack,
}

impl ContainerTree {
    pub(crate) fn open(&self, store: &Store) -> Result<OpenTree, TreeError> {
        let image = snapshot::open_id(store, self.image.clone())?;
        let open = || {
            Root::open(&self.upper).map_err(|source| TreeError::Upper {
                path: self.upper.clone(),
                source,
            })
        };
        let mut layers = image.stack.layers().to_vec();
        layers.push(Arc::new(UpperLayer::new(open()?, self.marks)));
        Ok(OpenTree {
            merged: Stack::new(layers)?,
            upper: open()?,
            image,
            marks: self.marks,
        })
    }
}

/// What the container changed, a directory before its entries, those in the order of their names.
/// A directory is listed as modified if anything in it was. Not listed: what was made only for
/// something to be mounted there, and directories that are as they were.
///
/// # Errors
/// [`TreeError`].
pub fn changes(context: &Context, tree: &ContainerTree) -> Result<Vec<Change>, TreeError> {
    let store = context.store().map_err(SnapshotError::from)?;
    tree.open(store)?.changes(&tree.mounts)
}

impl OpenTree {
    /// The changes but for the stubs of `mounts` and of what is mounted in any container.
    pub(crate) fn changes(&self, mounts: &[String]) -> Result<Vec<Change>, TreeError> {
        let changes = diff::upper(&self.upper, self.marks, &self.image.stack)?;
        let mut targets = BTreeSet::new();
        let mounts = mounts.iter().map(String::as_str);
        for target in mounts.chain(RUNTIME_TARGETS) {
            targets.insert(self.merged.place(target.as_bytes())?);
        }
        self.without_stubs(changes, &targets)
    }

    fn without_stubs(
        &self,
        changes: Vec<Change>,
        targets: &BTreeSet<Vec<u8>>,
    ) -> Result<Vec<Change>, TreeError> {
        let mut content: HashMap<Vec<u8>, Content> = HashMap::new();
        let mut kept = Vec::with_capacity(changes.len());
        // Backwards, what is in a directory comes before it.
        for change in changes.into_iter().rev() {
            let below = content.remove(&change.path).unwrap_or_default();
            let is_target = targets.contains(&change.path);
            let is_stub =
                !below.has_changes && self.is_stub(&change, is_target, below.has_stubs)?;
            let is_same = !is_stub && !below.has_changes && self.is_same(&change, below)?;
            let parent = content.entry(parent(&change.path).to_vec()).or_default();
            parent.has_stubs |= is_stub || (is_same && below.has_stubs);
            if !is_stub && !is_same {
                parent.has_changes = true;
                kept.push(change);
            }
        }
        kept.reverse();
        Ok(kept)
    }

    /// Whether it is an empty file or directory that was made for a mount, or a directory that was
    /// made for such a one.
    fn is_stub(
        &self,
        change: &Change,
        is_target: bool,
        has_stubs: bool,
    ) -> Result<bool, TreeError> {
        if change.kind != ChangeKind::Added || !(is_target || has_stubs) {
            return Ok(false);
        }
        let Some(found) = self.found(&change.path)? else {
            return Ok(false);
        };
        Ok(match found.facts.kind {
            Type::Directory { .. } => true,
            Type::File { size_bytes } => size_bytes == 0,
            _ => false,
        })
    }

    /// Whether a directory without changes in it is as its image has it. Stubs made in it changed
    /// its time.
    fn is_same(&self, change: &Change, below: Content) -> Result<bool, TreeError> {
        if change.kind != ChangeKind::Modified || change.opaque {
            return Ok(false);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY;
        if self.upper.open_at(&change.path, flags).is_err() {
            return Ok(false);
        }
        let Some(now) = self.found(&change.path)? else {
            return Ok(false);
        };
        let before = match self.image.stack.resolve(&change.path, false) {
            Ok(found) if found.is_directory() => found,
            Ok(_) => return Ok(false),
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let owner = |found: &Found| (found.facts.mode, found.facts.uid, found.facts.gid);
        let time = |found: &Found| (found.facts.mtime_secs, found.facts.mtime_nanos);
        Ok(owner(&now) == owner(&before)
            && (below.has_stubs || time(&now) == time(&before))
            && self.merged.xattrs(&now)? == self.image.stack.xattrs(&before)?)
    }

    fn found(&self, path: &[u8]) -> Result<Option<Found>, TreeError> {
        match self.merged.resolve(path, false) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is known to be in a directory.
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    has_changes: bool,
    has_stubs: bool,
}

pub(super) fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    path.get(..slash.unwrap_or(0)).unwrap_or_default()
}
