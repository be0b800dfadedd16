//! Where things lie beneath the store's root. Pure: no file is touched here.

use std::path::{Path, PathBuf};

use shiplap_model::digest::DigestError;
use shiplap_model::{DiffId, Digest};

/// The paths of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
    database: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            database: root.join("shiplap.db"),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Every directory a store has, parents first.
    pub(crate) fn directories(&self) -> [PathBuf; 7] {
        [
            self.root.join("blobs"),
            self.root.join("blobs/sha256"),
            self.layers(),
            self.trees(),
            self.containers(),
            self.staging(),
            self.locks(),
        ]
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn trees(&self) -> PathBuf {
        self.root.join("trees")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// Directories that builds mount and keep.
    pub(crate) fn caches(&self) -> PathBuf {
        self.root.join("caches")
    }

    /// What is kept of each build.
    pub(crate) fn builds(&self) -> PathBuf {
        self.root.join("builds")
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.database.clone()
    }

    /// The same with another database file, for building a new one.
    pub(crate) fn with_database(&self, path: &Path) -> Self {
        Self {
            root: self.root.clone(),
            database: path.to_owned(),
        }
    }

    /// Names that survive the loss of the database.
    pub(crate) fn names(&self) -> PathBuf {
        self.root.join("tags.json")
    }

    /// Held shared by everybody, exclusively by repair.
    pub(crate) fn store_lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The file of a blob. Only digests of computed algorithms have one: their encoded part is
    /// proved to be hex of the right length, so it can't lead elsewhere.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<PathBuf, DigestError> {
        let algorithm = digest
            .algorithm()
            .ok_or_else(|| DigestError::Unsupported(digest.clone()))?;
        Ok(self.blobs().join(algorithm.name()).join(digest.encoded()))
    }

    /// The index of a layer.
    pub(crate) fn index(&self, diff_id: &DiffId) -> Result<PathBuf, DigestError> {
        self.blob(diff_id.digest())?;
        Ok(self.layers().join(format!("{}.erofs", diff_id.hex())))
    }

    /// The unpacked tree of a layer.
    pub(crate) fn tree(&self, diff_id: &DiffId) -> Result<PathBuf, DigestError> {
        self.blob(diff_id.digest())?;
        Ok(self.trees().join(diff_id.hex()))
    }
}
