//! What can go wrong with the directory and the database beneath every verb of the store.
//!
//! Verbs that can fail in ways of their own (resolving a name, removing an image) have their own
//! enums and carry a [`StoreError`] for the rest.

use std::io;
use std::path::{Path, PathBuf};

use shiplap_model::digest::DigestError;
use shiplap_model::{DiffId, Digest, ImageId};

/// A failure of the store's disk or database, or of what a caller gave it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call on a path failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done, as `write`.
        action: &'static str,
        /// The path it was done to.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The disk or the quota is full. Nothing of the failed step stays.
    #[error("{action} {path}: no space left on the device or in the quota")]
    StorageFull {
        /// What was being done.
        action: &'static str,
        /// The path it was done to.
        path: PathBuf,
    },
    /// The database refused.
    #[error("{action} in the database: {source}")]
    Database {
        /// What was being done, as `record image`.
        action: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// The database is not a sound one. Names and content are safe: repair rebuilds it.
    #[error(
        "read database {path}: it is damaged ({reason}); `system check --repair` rebuilds it from the blobs"
    )]
    DatabaseDamaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite says of it.
        reason: String,
    },
    /// There are blobs but no database.
    #[error(
        "open database {path}: it is gone, though blobs are there; `system check --repair` rebuilds it"
    )]
    DatabaseLost {
        /// Where it should be.
        path: PathBuf,
    },
    /// A later version of the program wrote the database.
    #[error(
        "open database {path}: its schema {found} is newer than {known}, the newest this version knows; use a newer shiplap"
    )]
    SchemaNewer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Another process repairs the store.
    #[error("open store {root}: another process repairs it")]
    Repairing {
        /// The store's directory.
        root: PathBuf,
    },
    /// Repair wants the store for itself.
    #[error("repair store {root}: another process uses it")]
    InUse {
        /// The store's directory.
        root: PathBuf,
    },
    /// A change was asked of a store that was opened for reading.
    #[error("write to store {root}: it is open for reading only")]
    ReadOnly {
        /// The store's directory.
        root: PathBuf,
    },
    /// There is no store.
    #[error("open store {root}: there is none")]
    NoStore {
        /// The directory asked for.
        root: PathBuf,
    },
    /// Content is not here.
    #[error("read blob {digest}: it is not in the store")]
    BlobMissing {
        /// What was asked for.
        digest: Digest,
    },
    /// A layer is not here.
    #[error("read layer {diff_id}: it is not in the store")]
    LayerMissing {
        /// What was asked for.
        diff_id: DiffId,
    },
    /// An image is not here.
    #[error("read image {id}: it is not in the store")]
    ImageMissing {
        /// What was asked for.
        id: ImageId,
    },
    /// Content on disk is not what its name says.
    #[error("read blob {path}: {source}; `system check --repair` takes it away")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        source: DigestError,
    },
    /// Content given by the caller is not what the caller says, or of an unknown algorithm.
    #[error("store blob: {source}")]
    Digest {
        /// How they differ.
        #[from]
        source: DigestError,
    },
    /// A blob is too long to be read whole.
    #[error(
        "read blob {digest}: its {size_bytes} bytes are more than {limit_bytes}, the most for a document"
    )]
    TooLarge {
        /// What was asked for.
        digest: Digest,
        /// Its length.
        size_bytes: u64,
        /// The longest that is read whole.
        limit_bytes: u64,
    },
    /// The tar of a layer has another length than its record says.
    #[error("store layer {diff_id}: its tar has {actual_bytes} bytes instead of {expected_bytes}")]
    LayerSize {
        /// The layer.
        diff_id: DiffId,
        /// Length by the record.
        expected_bytes: u64,
        /// Length of the file.
        actual_bytes: u64,
    },
    /// What decided a build step's result is too long to be kept.
    #[error("record build step: its inputs take {size_bytes} bytes, more than {limit_bytes}")]
    CacheInputs {
        /// Their length.
        size_bytes: u64,
        /// The longest that are kept.
        limit_bytes: u64,
    },
    /// A record holds what this version never writes.
    #[error("read record {record}: {value:?} is not valid")]
    Record {
        /// Table and column.
        record: &'static str,
        /// The value.
        value: String,
    },
}

impl StoreError {
    /// For `map_err` on an I/O result: names action and path, and tells a full disk apart.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull {
                action,
                path: path.to_owned(),
            },
            _ => Self::Io {
                action,
                path: path.to_owned(),
                source,
            },
        }
    }

    /// For `map_err` on a database result.
    pub(crate) fn db(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::StorageFull {
                action,
                path: path.to_owned(),
            },
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::DatabaseDamaged {
                    path: path.to_owned(),
                    reason: source.to_string(),
                }
            }
            _ => Self::Database { action, source },
        }
    }

    /// Whether the disk or the quota is full.
    #[must_use]
    pub fn is_storage_full(&self) -> bool {
        matches!(self, Self::StorageFull { .. })
    }
}
