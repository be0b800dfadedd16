//! Bytes of a blob on their way in: hashed as they come, written beside, in pieces of bounded size.
//!
//! A running hash is kept in memory between the requests of an upload, so chunks are hashed once; after
//! a restart, or where the digest turns out to be of another algorithm, the bytes are read again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use shiplap_model::Digest;
use shiplap_model::digest::{Algorithm, Hasher};
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;

use crate::refusal::Refusal;
use crate::storage::{Sink, Storage, StorageError, UploadId};

/// How much is collected before it is hashed and written.
const PIECE: usize = 256 << 10;

/// Longest time between two pieces of a body.
const IDLE: Duration = Duration::from_secs(60);

/// How long a request waits for another one that writes to the same upload: long enough for the hub
/// to notice that the other one's client has gone.
const TURN: Duration = Duration::from_secs(5);

/// Running hashes that are kept. An upload without one is read again.
const KEPT: usize = 10_000;

/// Uploads that go on.
#[derive(Default)]
pub(crate) struct Uploads {
    turns: Mutex<HashMap<UploadId, Arc<tokio::sync::Mutex<()>>>>,
    hashes: Mutex<HashMap<UploadId, Hash>>,
}

/// A running hash, and of how many bytes.
#[derive(Clone)]
struct Hash {
    algorithm: Algorithm,
    bytes: u64,
    hasher: Hasher,
}

impl Hash {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            bytes: 0,
            hasher: Hasher::new(algorithm),
        }
    }
}

/// The right to write to an upload, as long as this is there.
pub(crate) struct Turn<'u> {
    uploads: &'u Uploads,
    id: UploadId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard.take();
        let mut turns = lock(&self.uploads.turns);
        // Nobody else waits: only the map has it.
        let idle = |turn: &Arc<_>| Arc::strong_count(turn) == 1;
        if turns.get(&self.id).is_some_and(idle) {
            turns.remove(&self.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How taking a body ended.
pub(crate) struct Taken {
    /// How long the upload is now.
    pub(crate) offset: u64,
    /// What was wrong with the body, if something was; what came before stays.
    pub(crate) fault: Option<Refusal>,
}

impl Uploads {
    /// Waits for the right to write to an upload.
    pub(crate) async fn turn(&self, id: &UploadId) -> Result<Turn<'_>, Refusal> {
        let turn = Arc::clone(lock(&self.turns).entry(id.clone()).or_default());
        let guard = tokio::time::timeout(TURN, turn.lock_owned()).await;
        let guard = guard.map_err(|_| Refusal::UploadBusy)?;
        Ok(Turn {
            uploads: self,
            id: id.clone(),
            guard: Some(guard),
        })
    }

    /// Forgets what is kept of an upload.
    pub(crate) fn forget(&self, id: &UploadId) {
        lock(&self.hashes).remove(id);
    }

    /// Appends a body at `offset`, of `length` bytes if that is known. Must have the turn.
    pub(crate) async fn append(
        &self,
        storage: &dyn Storage,
        id: &UploadId,
        offset: u64,
        body: Body,
        algorithm: Algorithm,
        length: Option<u64>,
    ) -> Result<Taken, Refusal> {
        let mut hash = self.hash(storage, id, offset, algorithm).await?;
        let mut sink = storage.open_upload(id, offset).await?;
        let taken = take(body, &mut hash, sink.as_mut(), length).await;
        let begun = offset;
        let offset = hash.bytes;
        match taken {
            Ok(fault) => {
                self.keep(id, hash);
                Ok(Taken { offset, fault })
            }
            // On a full disk, what there was room for must not stay in everybody's way.
            Err(error) => {
                self.forget(id);
                drop(sink);
                if let Err(error) = storage.open_upload(id, begun).await {
                    tracing::warn!("failed to {error}");
                }
                Err(error.into())
            }
        }
    }

    /// The digest of an upload's first `offset` bytes, which are all. Must have the turn.
    pub(crate) async fn digest(
        &self,
        storage: &dyn Storage,
        id: &UploadId,
        offset: u64,
        algorithm: Algorithm,
    ) -> Result<Digest, Refusal> {
        let hash = self.hash(storage, id, offset, algorithm).await?;
        Ok(hash.hasher.finish())
    }

    fn keep(&self, id: &UploadId, hash: Hash) {
        let mut hashes = lock(&self.hashes);
        if hashes.len() < KEPT || hashes.contains_key(id) {
            hashes.insert(id.clone(), hash);
        }
    }

    /// The running hash of an upload's first `offset` bytes.
    async fn hash(
        &self,
        storage: &dyn Storage,
        id: &UploadId,
        offset: u64,
        algorithm: Algorithm,
    ) -> Result<Hash, Refusal> {
        let kept = lock(&self.hashes).get(id).cloned();
        if let Some(hash) = kept
            && hash.bytes == offset
            && hash.algorithm == algorithm
        {
            return Ok(hash);
        }
        let mut hash = Hash::new(algorithm);
        if offset == 0 {
            return Ok(hash);
        }
        let mut body = storage.read_upload(id).await?;
        while hash.bytes < offset {
            let Some(Ok(frame)) = body.frame().await else {
                return Err(Refusal::UploadUnknown);
            };
            if let Ok(mut piece) = frame.into_data() {
                let left = usize::try_from(offset - hash.bytes).unwrap_or(usize::MAX);
                piece.truncate(left);
                hash = update(hash, vec![piece]).await?;
            }
        }
        Ok(hash)
    }
}

/// Hashes pieces on a thread.
async fn update(mut hash: Hash, pieces: Vec<Bytes>) -> Result<Hash, StorageError> {
    let hashing = spawn_blocking(move || {
        for piece in &pieces {
            hash.hasher.update(piece);
            hash.bytes += piece.len() as u64;
        }
        hash
    });
    hashing.await.map_err(|error| StorageError::File {
        action: "hash",
        path: std::path::PathBuf::new(),
        source: std::io::Error::other(error),
    })
}

/// Takes a body to its end, or to its fault.
async fn take(
    mut body: Body,
    hash: &mut Hash,
    sink: &mut dyn Sink,
    length: Option<u64>,
) -> Result<Option<Refusal>, StorageError> {
    let mut came = 0_u64;
    loop {
        let (pieces, mut fault) = collect(&mut body).await;
        let ended = pieces.is_none();
        let mut pieces = pieces.unwrap_or_default();
        came += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        match length {
            Some(said) if came > said => {
                pieces.clear();
                fault = Some(Refusal::Size { said, found: came });
            }
            Some(said) if ended && came < said && fault.is_none() => {
                fault = Some(Refusal::Size { said, found: came });
            }
            _ => {}
        }
        if !pieces.is_empty() {
            let (hashed, written) =
                tokio::join!(update(hash.clone(), pieces.clone()), sink.write(pieces));
            written?;
            *hash = hashed?;
        }
        if ended || fault.is_some() {
            return Ok(fault);
        }
    }
}

/// Some pieces of a body; none at its end.
async fn collect(body: &mut Body) -> (Option<Vec<Bytes>>, Option<Refusal>) {
    let (mut pieces, mut size) = (Vec::new(), 0);
    while size < PIECE {
        let frame = match tokio::time::timeout(IDLE, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => return (Some(pieces), Some(Refusal::Broken)),
        };
        if let Ok(piece) = frame.into_data()
            && !piece.is_empty()
        {
            size += piece.len();
            pieces.push(piece);
        }
    }
    ((!pieces.is_empty()).then_some(pieces), None)
}
