//! `diff`: what a container changed of its image; and its files as all verbs see them that read
//! them from outside: an upper directory over the image's layers, without a mount.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use shiplap_layer::diff::{self, DiffError, UpperLayer};
pub use shiplap_layer::diff::{Change, ChangeKind};
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Found, Stack, StackError, Type};
use shiplap_layer::unpack::Marks;
use shiplap_model::ImageId;
use shiplap_store::Store;

use crate::context::Context;
use crate::snapshot::{self, OpenLayers, SnapshotError};

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
    /// A file can't be compared with what it was.
    #[error("read /{}: {source}", String::from_utf8_lossy(path))]
    Content {
        /// Its path.
        path: Vec<u8>,
        /// What the system said.
        source: io::Error,
    },
}

/// The files of a container, or of a step of a build, open.
pub(crate) struct OpenTree {
    pub(crate) image: OpenLayers,
    pub(crate) upper: Root,
    pub(crate) marks: Marks,
    /// What the container sees but for mounts.
    pub(crate) merged: Stack,
}

impl ContainerTree {
    pub(crate) fn open(&self, store: &Store) -> Result<OpenTree, TreeError> {
        let image = snapshot::open_id(store, self.image.clone())?;
        let layers = OpenLayers {
            stack: image.stack,
            tars: image.tars,
        };
        OpenTree::new(layers, &self.upper, self.marks)
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

/// Which paths of the upper directory count as unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sameness {
    /// Directories as they were, also in time.
    Directories,
    /// Directories as they were whatever their time, and files that were only copied up: with
    /// attributes, time and content they had. As BuildKit has it.
    All,
}

impl OpenTree {
    /// Opens an upper directory over layers.
    pub(crate) fn new(image: OpenLayers, upper: &Path, marks: Marks) -> Result<Self, TreeError> {
        let open = || {
            Root::open(upper).map_err(|source| TreeError::Upper {
                path: upper.to_owned(),
                source,
            })
        };
        let mut layers = image.stack.layers().to_vec();
        layers.push(Arc::new(UpperLayer::new(open()?, marks)));
        Ok(Self {
            merged: Stack::new(layers)?,
            upper: open()?,
            image,
            marks,
        })
    }

    /// The changes but for the stubs of `mounts` and of what is mounted in any container.
    pub(crate) fn changes(&self, mounts: &[String]) -> Result<Vec<Change>, TreeError> {
        let mut targets = BTreeSet::new();
        let mounts = mounts.iter().map(String::as_str);
        for target in mounts.chain(RUNTIME_TARGETS) {
            targets.insert(self.merged.place(target.as_bytes())?);
        }
        self.changes_beside(&targets, Sameness::Directories)
    }

    /// The changes but for stubs of mounts at `targets`, places of the merged tree.
    pub(crate) fn changes_beside(
        &self,
        targets: &BTreeSet<Vec<u8>>,
        sameness: Sameness,
    ) -> Result<Vec<Change>, TreeError> {
        let changes = diff::upper(&self.upper, self.marks, &self.image.stack)?;
        self.without_stubs(changes, targets, sameness)
    }

    fn without_stubs(
        &self,
        changes: Vec<Change>,
        targets: &BTreeSet<Vec<u8>>,
        sameness: Sameness,
    ) -> Result<Vec<Change>, TreeError> {
        let mut content: HashMap<Vec<u8>, Content> = HashMap::new();
        let mut kept = Vec::with_capacity(changes.len());
        // Backwards, what is in a directory comes before it.
        for change in changes.into_iter().rev() {
            let below = content.remove(&change.path).unwrap_or_default();
            let is_target = targets.contains(&change.path);
            let is_stub =
                !below.has_changes && self.is_stub(&change, is_target, below.has_stubs)?;
            let is_same =
                !is_stub && !below.has_changes && self.is_same(&change, below, sameness)?;
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

    /// Whether a directory without changes in it, or a file, is as the layers below have it. Stubs
    /// made in a directory changed its time.
    fn is_same(
        &self,
        change: &Change,
        below: Content,
        sameness: Sameness,
    ) -> Result<bool, TreeError> {
        let is_asked = change.is_directory || sameness == Sameness::All;
        if change.kind != ChangeKind::Modified || change.opaque || !is_asked {
            return Ok(false);
        }
        let Some(now) = self.found(&change.path)? else {
            return Ok(false);
        };
        let is_directory = now.is_directory();
        let before = match self.image.stack.resolve(&change.path, false) {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if before.is_directory() != is_directory {
            return Ok(false);
        }
        let owner = |found: &Found| (found.facts.mode, found.facts.uid, found.facts.gid);
        let time = |found: &Found| (found.facts.mtime_secs, found.facts.mtime_nanos);
        let may_differ = is_directory && (below.has_stubs || sameness == Sameness::All);
        Ok(owner(&now) == owner(&before)
            && (may_differ || time(&now) == time(&before))
            && (is_directory || self.has_same_content(&now, &before)?)
            && self.merged.xattrs(&now)? == self.image.stack.xattrs(&before)?)
    }

    /// Whether an entry that is no directory holds what it held.
    fn has_same_content(&self, now: &Found, before: &Found) -> Result<bool, TreeError> {
        // Another name of it may be new, and needs it.
        if now.facts.kind != before.facts.kind || now.nlink() > 1 {
            return Ok(false);
        }
        match now.facts.kind {
            Type::File { .. } => {
                let (Some(file), content) =
                    (self.merged.file(now)?, self.image.stack.content(before)?)
                else {
                    return Ok(false);
                };
                let Some(tar) = self.image.tars.get(content.layer) else {
                    return Ok(false);
                };
                let same = is_equal(file, content.reader(tar));
                same.map_err(|source| TreeError::Content {
                    path: now.path.clone(),
                    source,
                })
            }
            Type::Symlink => Ok(self.merged.read_link(now)? == self.image.stack.read_link(before)?),
            _ => Ok(true),
        }
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

/// Whether two streams hold the same bytes.
fn is_equal(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let count = read_full(&mut one, &mut left)?;
        if read_full(&mut other, &mut right)? != count || left[..count] != right[..count] {
            return Ok(false);
        }
        if count < left.len() {
            return Ok(true);
        }
    }
}

/// Fills a buffer as far as there is something to read.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

pub(super) fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    path.get(..slash.unwrap_or(0)).unwrap_or_default()
}
