//! Collection: taking away what no record and no live lease needs. Runs beside other processes,
//! may die at any moment, never touches an image.

use std::path::{Path, PathBuf};

use shiplap_model::digest::Algorithm;
use shiplap_model::{DiffId, Digest};

use crate::database::Durability;
use crate::error::StoreError;
use crate::layout::Layout;
use crate::lease::drop_dead_claims;
use crate::remove::drop_lone_locations;
use crate::store::Store;

/// Digests whose files are moved away in one go, while other writers wait.
const BATCH: usize = 256;

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Layers that neither an image nor the build cache has.
    pub layers: u64,
    /// Bytes on disk that were freed, the remains of dead processes among them.
    pub freed_bytes: u64,
}

impl Store {
    /// Removes layers that neither an image nor the build cache has, files that no record names, and what dead processes left
    /// in `staging/` and `locks/`. Whatever a live lease holds stays.
    ///
    /// # Errors
    /// Failures of disk and database; what was not reached is left to the next collection.
    pub fn collect(&self) -> Result<Collected, StoreError> {
        self.must_write()?;
        // First what needs no room in the database: on a full disk that makes some.
        let mut freed_bytes = self.sweep_staging()?;
        self.sweep_locks()?;
        let layers = self.collect_layers()?;
        let lease = self.new_lease()?;
        for digests in self.all_digests()?.chunks(BATCH) {
            freed_bytes += self.discard(&lease, digests)?;
        }
        Ok(Collected {
            layers,
            freed_bytes,
        })
    }

    /// Deletes the records of layers that nobody has; how many.
    fn collect_layers(&self) -> Result<u64, StoreError> {
        self.write("collect layers", Durability::Durable, |tx| {
            drop_dead_claims(self, tx)?;
            let layers = tx.execute(
                "DELETE FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM image_layers)
                 AND diff_id NOT IN (SELECT diff_id FROM cached_steps)
                 AND diff_id NOT IN (SELECT digest FROM claims)",
                [],
            )?;
            drop_lone_locations(tx)?;
            Ok(layers as u64)
        })
    }

    /// Whatever has a file: blobs, indexes, trees.
    fn all_digests(&self) -> Result<Vec<Digest>, StoreError> {
        let mut digests: Vec<Digest> = stored_files(self.layout())?
            .into_iter()
            .filter_map(|file| file.kind.digest())
            .collect();
        digests.sort_unstable();
        digests.dedup();
        Ok(digests)
    }
}

/// One file (or tree) in the directories of objects.
pub(crate) struct StoredFile {
    pub(crate) path: PathBuf,
    pub(crate) kind: FileKind,
}

/// What a file is by its place and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileKind {
    Blob(Digest),
    Index(DiffId),
    Tree(DiffId),
    /// Not of the store's making.
    Stranger,
}

impl FileKind {
    fn digest(self) -> Option<Digest> {
        match self {
            Self::Blob(digest) => Some(digest),
            Self::Index(diff_id) | Self::Tree(diff_id) => Some(diff_id.digest().clone()),
            Self::Stranger => None,
        }
    }
}

/// Everything in `blobs/`, `layers/` and `trees/`.
pub(crate) fn stored_files(layout: &Layout) -> Result<Vec<StoredFile>, StoreError> {
    let mut files = Vec::new();
    for path in entries(&layout.blobs())? {
        let algorithm = file_name(&path).to_owned();
        if !path.is_dir() {
            files.push(StoredFile {
                path,
                kind: FileKind::Stranger,
            });
            continue;
        }
        for path in entries(&path)? {
            let digest = format!("{algorithm}:{}", file_name(&path))
                .parse::<Digest>()
                .ok();
            let known = digest.filter(|digest| digest.algorithm().is_some());
            files.push(StoredFile {
                path,
                kind: known.map_or(FileKind::Stranger, FileKind::Blob),
            });
        }
    }
    for path in entries(&layout.layers())? {
        let diff_id = file_name(&path)
            .strip_suffix(".erofs")
            .and_then(diff_id_of_hex);
        files.push(StoredFile {
            path,
            kind: diff_id.map_or(FileKind::Stranger, FileKind::Index),
        });
    }
    for path in entries(&layout.trees())? {
        let diff_id = diff_id_of_hex(file_name(&path));
        files.push(StoredFile {
            path,
            kind: diff_id.map_or(FileKind::Stranger, FileKind::Tree),
        });
    }
    Ok(files)
}

/// The algorithms differ in length.
fn diff_id_of_hex(hex: &str) -> Option<DiffId> {
    let algorithm = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
        .into_iter()
        .find(|algorithm| algorithm.hex_len() == hex.len())?;
    format!("{}:{hex}", algorithm.name()).parse().ok()
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default()
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| Ok(entry.map_err(StoreError::io("list", directory))?.path()))
            .collect(),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(StoreError::io("list", directory)(source)),
    }
}
