//! Opening a store, and reading from it. What writes lives with its verb.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shiplap_model::digest::VerifyingReader;
use shiplap_model::{DiffId, Digest, limits};

use crate::database::{Cells, Database, Durability, Tx};
use crate::error::StoreError;
use crate::layout::Layout;
use crate::record::LayerRecord;
use crate::schema;

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For everything; the store is made where there is none.
    Write,
    /// For reading. Nothing on disk changes, and no store is made.
    Read,
}

/// One store. Clones share its connection; all methods may be called from any thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    layout: Layout,
    database: Database,
    access: Access,
    /// Held shared as long as the store is open, so that repair knows.
    _in_use: File,
}

impl Store {
    /// Opens the store in `root`.
    ///
    /// # Errors
    /// [`StoreError::DatabaseLost`], [`StoreError::DatabaseDamaged`] and
    /// [`StoreError::SchemaNewer`] for a database that can't be used,
    /// [`StoreError::Repairing`] while another process repairs, [`StoreError::NoStore`] when
    /// reading, and I/O failures.
    pub fn open(root: &Path, access: Access) -> Result<Self, StoreError> {
        let layout = Layout::new(root);
        if access == Access::Read && !layout.database().exists() && !holds_blobs(&layout)? {
            return Err(StoreError::NoStore {
                root: root.to_owned(),
            });
        }
        if access == Access::Write {
            make_directories(&layout)?;
        }
        let in_use = open_lock(&layout, access)?;
        match in_use.try_lock_shared() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StoreError::Repairing {
                    root: root.to_owned(),
                });
            }
            Err(std::fs::TryLockError::Error(source)) => {
                return Err(StoreError::io("lock", &layout.store_lock())(source));
            }
        }
        Self::open_locked(layout, access, in_use)
    }

    /// Opens a store whose lock is held already.
    pub(crate) fn open_locked(
        layout: Layout,
        access: Access,
        in_use: File,
    ) -> Result<Self, StoreError> {
        let path = layout.database();
        // A database that is not there beside blobs must not become an empty one: every blob
        // would be garbage. Blobs first, since whoever makes a store makes its database first.
        let holds_blobs = holds_blobs(&layout)?;
        let absent = std::fs::metadata(&path).map_or(true, |meta| meta.len() == 0);
        if absent && holds_blobs {
            return Err(StoreError::DatabaseLost { path });
        }
        let _alone = absent.then(|| lock_directory(layout.root())).transpose()?;
        Self::with_any_database(layout, access, in_use)
    }

    /// Opens a store with a database that may well be new beside blobs: repair makes one.
    pub(crate) fn with_any_database(
        layout: Layout,
        access: Access,
        in_use: File,
    ) -> Result<Self, StoreError> {
        let path = layout.database();
        let connection = match access {
            Access::Write => schema::open(&path)?,
            Access::Read => schema::open_read_only(&path)?,
        };
        let database = Database::new(path, connection);
        Ok(Self {
            inner: Arc::new(Inner {
                layout,
                database,
                access,
                _in_use: in_use,
            }),
        })
    }

    /// The store's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.inner.layout.root()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.database.read(action, work)
    }

    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        action: &'static str,
        durability: Durability,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.must_write()?;
        self.inner.database.write(action, durability, work)
    }

    pub(crate) fn must_write(&self) -> Result<(), StoreError> {
        match self.inner.access {
            Access::Write => Ok(()),
            Access::Read => Err(StoreError::ReadOnly {
                root: self.root().to_owned(),
            }),
        }
    }

    /// Reads a document (manifest, index, config) whole, and verifies it.
    ///
    /// # Errors
    /// [`StoreError::BlobMissing`], [`StoreError::TooLarge`] above
    /// [`limits::CONFIG_BYTES`], [`StoreError::Corrupt`].
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        read_document(self.layout(), digest)
    }

    /// Opens a blob of any length; what is read is verified, the last read fails if it is not
    /// what the digest says. Its length in bytes comes with it.
    ///
    /// # Errors
    /// [`StoreError::BlobMissing`].
    pub fn open_blob(&self, digest: &Digest) -> Result<(VerifyingReader<File>, u64), StoreError> {
        let (file, _, size_bytes) = open_blob_file(self.layout(), digest)?;
        Ok((
            VerifyingReader::new(file, digest.clone(), size_bytes)?,
            size_bytes,
        ))
    }

    /// Whether a blob is here. It may be gone a moment later unless a lease holds it.
    #[must_use]
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.layout().blob(digest).is_ok_and(|path| path.is_file())
    }

    /// What is recorded of a layer; `None` if it is not here.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn layer(&self, diff_id: &DiffId) -> Result<Option<LayerRecord>, StoreError> {
        self.read("read layer", |tx| layer_record(tx, diff_id))
    }

    /// Opens a layer's tar: verified when it was committed, and by `check`.
    ///
    /// # Errors
    /// [`StoreError::LayerMissing`].
    pub fn open_tar(&self, diff_id: &DiffId) -> Result<File, StoreError> {
        open_layer_file(&self.tar_path(diff_id)?, diff_id)
    }

    /// Opens a layer's index.
    ///
    /// # Errors
    /// [`StoreError::LayerMissing`]; repair rebuilds an index that is gone while its tar is there.
    pub fn open_index(&self, diff_id: &DiffId) -> Result<File, StoreError> {
        open_layer_file(&self.index_path(diff_id)?, diff_id)
    }

    /// Where a layer's tar lies, for mount(2), which takes nothing but paths.
    ///
    /// # Errors
    /// [`StoreError::Digest`] for an algorithm that is not computed.
    pub fn tar_path(&self, diff_id: &DiffId) -> Result<PathBuf, StoreError> {
        Ok(self.layout().blob(diff_id.digest())?)
    }

    /// Where a layer's index lies, for mount(2).
    ///
    /// # Errors
    /// [`StoreError::Digest`] for an algorithm that is not computed.
    pub fn index_path(&self, diff_id: &DiffId) -> Result<PathBuf, StoreError> {
        Ok(self.layout().index(diff_id)?)
    }

    /// The unpacked tree of a layer, if it has been made.
    ///
    /// # Errors
    /// [`StoreError::Digest`] for an algorithm that is not computed.
    pub fn tree_path(&self, diff_id: &DiffId) -> Result<Option<PathBuf>, StoreError> {
        let path = self.layout().tree(diff_id)?;
        Ok(path.is_dir().then_some(path))
    }

    /// The directory of one container: `containers/<id>`. It is the caller's to make and fill.
    #[must_use]
    pub fn container_path(&self, id: &str) -> Option<PathBuf> {
        let is_hex = id.len() == 64
            && id
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_hex.then(|| self.layout().containers().join(id))
    }
}

pub(crate) fn layer_record(
    tx: &Tx<'_>,
    diff_id: &DiffId,
) -> Result<Option<LayerRecord>, StoreError> {
    tx.row(
        "SELECT diff_id, tar_bytes, content_bytes, entries FROM layers WHERE diff_id = ?1",
        [diff_id.digest().as_str()],
        layer_of_cells,
    )
}

pub(crate) fn layer_of_cells(cells: &Cells<'_, '_>) -> Result<LayerRecord, StoreError> {
    Ok(LayerRecord {
        diff_id: cells.parsed(0, "layers.diff_id")?,
        tar_bytes: cells.size(1)?,
        content_bytes: cells.size(2)?,
        entries: cells.size(3)?,
    })
}

/// Reads and verifies one document.
pub(crate) fn read_document(layout: &Layout, digest: &Digest) -> Result<Vec<u8>, StoreError> {
    let (file, path, size_bytes) = open_blob_file(layout, digest)?;
    let limit_bytes = limits::CONFIG_BYTES.max(limits::MANIFEST_BYTES);
    if size_bytes > limit_bytes {
        return Err(StoreError::TooLarge {
            digest: digest.clone(),
            size_bytes,
            limit_bytes,
        });
    }
    let mut bytes = Vec::new();
    file.take(limit_bytes)
        .read_to_end(&mut bytes)
        .map_err(StoreError::io("read", &path))?;
    digest
        .verify(&bytes)
        .map_err(|source| StoreError::Corrupt { path, source })?;
    Ok(bytes)
}

fn open_blob_file(layout: &Layout, digest: &Digest) -> Result<(File, PathBuf, u64), StoreError> {
    let path = layout.blob(digest)?;
    let file = File::open(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::BlobMissing {
            digest: digest.clone(),
        },
        _ => StoreError::io("open", &path)(source),
    })?;
    let size_bytes = file
        .metadata()
        .map_err(StoreError::io("stat", &path))?
        .len();
    Ok((file, path, size_bytes))
}

fn open_layer_file(path: &Path, diff_id: &DiffId) -> Result<File, StoreError> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::LayerMissing {
            diff_id: diff_id.clone(),
        },
        _ => StoreError::io("open", path)(source),
    })
}

/// Makes what is missing of the store's directories. The root is its owner's alone: images may
/// hold what other users must not see.
pub(crate) fn make_directories(layout: &Layout) -> Result<(), StoreError> {
    if layout.locks().is_dir() {
        return Ok(());
    }
    let root = layout.root();
    if !root.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(StoreError::io("make", root))?;
    }
    for directory in layout.directories() {
        match DirBuilder::new().mode(0o755).create(&directory) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("make", &directory)(source));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens the file that everybody who uses the store holds shared.
pub(crate) fn open_lock(layout: &Layout, access: Access) -> Result<File, StoreError> {
    let path = layout.store_lock();
    let mut options = OpenOptions::new();
    options.read(true);
    if access == Access::Write {
        options.write(true).create(true);
    }
    options.open(&path).map_err(StoreError::io("open", &path))
}

/// Makes creation of the database one process's matter: SQLite's own locks refuse instead of
/// waiting while the journal mode of a new database changes.
fn lock_directory(root: &Path) -> Result<File, StoreError> {
    let directory = File::open(root).map_err(StoreError::io("open", root))?;
    directory.lock().map_err(StoreError::io("lock", root))?;
    Ok(directory)
}

/// Whether any blob or saved name says that a database must have been here.
fn holds_blobs(layout: &Layout) -> Result<bool, StoreError> {
    if layout.names().exists() {
        return Ok(true);
    }
    let blobs = layout.blobs().join("sha256");
    match std::fs::read_dir(&blobs) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StoreError::io("list", &blobs)(source)),
    }
}
