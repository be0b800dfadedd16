//! Reading every byte of a store: which blobs are what their names say, which layer indexes fit
//! their tars. Changes nothing, and asks no record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use shiplap_model::digest::DigestError;
use shiplap_model::{DiffId, Digest};

use crate::collect::{FileKind, stored_files};
use crate::error::StoreError;
use crate::layout::Layout;
use crate::lease::verify_file;

/// What a tar holds, by whoever can read one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFacts {
    /// Sizes of all regular files in it, in bytes.
    pub content_bytes: u64,
    /// Its entries.
    pub entries: u64,
}

/// Why a tar or its index can't be read.
pub type PortError = Box<dyn std::error::Error + Send + Sync>;

/// What the store doesn't know of layers.
pub trait LayerPort: Sync {
    /// Checks that `index` is a sound index of `tar`; what the tar holds.
    ///
    /// # Errors
    /// What is wrong with the index.
    fn verify_index(&self, tar: &File, index: &File) -> Result<LayerFacts, PortError>;

    /// Writes the index of `tar` to the empty file `index`; what the tar holds.
    ///
    /// # Errors
    /// Why the tar can't be read or the index not be written.
    fn build_index(&self, tar: &File, index: &File) -> Result<LayerFacts, PortError>;
}

/// How a blob was found.
#[derive(Debug)]
pub(crate) enum BlobState {
    /// As its name says, with its length in bytes.
    Sound(u64),
    /// Something else.
    Corrupt(PathBuf, DigestError),
}

/// How an index was found, where the tar is sound.
#[derive(Debug)]
pub(crate) enum IndexState {
    Sound(LayerFacts),
    Missing,
    Corrupt(String),
}

/// Every file of a store's objects, read.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) blobs: BTreeMap<Digest, BlobState>,
    pub(crate) indexes: BTreeMap<DiffId, IndexState>,
    /// Indexes and trees found.
    pub(crate) derived: Vec<(PathBuf, DiffId)>,
    pub(crate) strangers: Vec<PathBuf>,
    pub(crate) read_bytes: u64,
}

impl Survey {
    pub(crate) fn is_sound(&self, digest: &Digest) -> bool {
        matches!(self.blobs.get(digest), Some(BlobState::Sound(_)))
    }

    /// Reads all blobs, on all processors.
    pub(crate) fn of_blobs(
        layout: &Layout,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, StoreError> {
        let mut survey = Self::default();
        let mut blobs: Vec<(PathBuf, Digest, u64)> = Vec::new();
        for file in stored_files(layout)? {
            match file.kind {
                FileKind::Blob(digest) => {
                    let size_bytes = std::fs::metadata(&file.path).map_or(0, |meta| meta.len());
                    blobs.push((file.path, digest, size_bytes));
                }
                FileKind::Index(diff_id) | FileKind::Tree(diff_id) => {
                    survey.derived.push((file.path, diff_id));
                }
                FileKind::Stranger => survey.strangers.push(file.path),
            }
        }
        // The largest first, so that no processor is left alone with it at the end.
        blobs.sort_by_key(|(_, _, size_bytes)| std::cmp::Reverse(*size_bytes));
        let total_bytes = blobs.iter().map(|(_, _, size_bytes)| size_bytes).sum();
        let done_bytes = AtomicU64::new(0);
        let states = in_parallel(&blobs, |(path, digest, size_bytes)| {
            let state = read_blob_state(path, digest);
            let done = done_bytes.fetch_add(*size_bytes, Ordering::Relaxed) + size_bytes;
            progress(done, total_bytes);
            state
        });
        for ((_, digest, _), state) in blobs.iter().zip(states) {
            // None: collected while we came to it.
            if let Some(state) = state? {
                survey.blobs.insert(digest.clone(), state);
            }
        }
        survey.read_bytes = total_bytes;
        Ok(survey)
    }

    /// Reads the indexes of layers whose tars are sound.
    pub(crate) fn add_indexes(
        &mut self,
        layout: &Layout,
        layers: &BTreeSet<DiffId>,
        port: &dyn LayerPort,
    ) {
        let layers: Vec<&DiffId> = layers
            .iter()
            .filter(|layer| self.is_sound(layer.digest()))
            .collect();
        let states = in_parallel(&layers, |layer| {
            let (Ok(tar), Ok(index)) = (layout.blob(layer.digest()), layout.index(layer)) else {
                return IndexState::Missing;
            };
            read_index_state(&tar, &index, port)
        });
        self.indexes.extend(layers.into_iter().cloned().zip(states));
    }
}

fn read_blob_state(path: &Path, digest: &Digest) -> Result<Option<BlobState>, StoreError> {
    match verify_file(path, digest) {
        Ok(size_bytes) => Ok(Some(BlobState::Sound(size_bytes))),
        Err(StoreError::Digest { source }) => Ok(Some(BlobState::Corrupt(path.to_owned(), source))),
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read_index_state(tar: &Path, index: &Path, port: &dyn LayerPort) -> IndexState {
    let Ok(index) = File::open(index) else {
        return IndexState::Missing;
    };
    let verified = File::open(tar)
        .map_err(PortError::from)
        .and_then(|tar| port.verify_index(&tar, &index));
    match verified {
        Ok(facts) => IndexState::Sound(facts),
        Err(error) => IndexState::Corrupt(error.to_string()),
    }
}

/// Does `work` on every item, as many at a time as there are processors; results in order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(items.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { break };
                    let result = work(item);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
