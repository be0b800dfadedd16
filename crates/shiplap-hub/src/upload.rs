//! Bytes of a blob on their way in: hashed as they come, written beside, in pieces of bounded size.
//!
//! A running hash is kept in memory between the requests of an upload, so chunks are hashed once; and
//! with the upload, where its storage can't be read before it is whole. After a restart, or where the
//! digest turns out to be of another algorithm, the bytes are read again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use shiplap_model::Digest;
use shiplap_model::digest::{Algorithm, Hasher};
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;

use crate::database::Database;
use crate::lease::Lease;
use crate::lock::lock;
use crate::refusal::Refusal;
use crate::storage::{Next, Progress, Sink, Storage, StorageError, UploadId};

/// How much is collected before it is hashed and written.
const PIECE: usize = 256 << 10;

/// How long a request waits for another one that writes to the same upload: long enough for the hub
/// to notice that the other one's client has gone.
const TURN: Duration = Duration::from_secs(5);

/// How long for one at another hub: until what a hub has that died is anybody's.
const OTHERS_TURN: Duration = Duration::from_secs(15);

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

    /// The state, as it is kept with an upload.
    fn save(&self) -> Vec<u8> {
        let name = self.algorithm.name().as_bytes();
        [name, b":", &self.hasher.save()].concat()
    }

    /// What an upload has kept, if it is of this algorithm.
    fn resume(algorithm: Algorithm, progress: &Progress) -> Option<Self> {
        let kept = progress.hash.as_deref()?;
        let state = kept.strip_prefix(algorithm.name().as_bytes())?;
        let hasher = Hasher::resume(algorithm, state.strip_prefix(b":")?)?;
        Some(Self {
            algorithm,
            bytes: progress.offset,
            hasher,
        })
    }
}

/// A body that is to be appended.
pub(crate) struct Incoming {
    /// Where the upload ends.
    pub(crate) offset: u64,
    /// The body.
    pub(crate) body: Body,
    /// What is computed of it.
    pub(crate) algorithm: Algorithm,
    /// How long it is, if that is known.
    pub(crate) length: Option<u64>,
    /// Longest time between two pieces of it.
    pub(crate) idle: Duration,
    /// What comes after it.
    pub(crate) then: Then,
}

/// What comes after a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Another request.
    More,
    /// The end, or another try if this body is at fault.
    End,
    /// The end, or nothing: nobody else knows of the upload.
    EndOrNothing,
}

impl Then {
    fn next(self, is_whole: bool) -> Next {
        match self {
            Self::EndOrNothing => Next::Completion,
            Self::End if is_whole => Next::Completion,
            Self::End | Self::More => Next::Request,
        }
    }
}

/// The right to write to an upload, as long as this is there.
pub(crate) struct Turn<'u> {
    uploads: &'u Uploads,
    id: UploadId,
    guard: Option<OwnedMutexGuard<()>>,
    _lease: Lease,
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

/// How taking a body ended.
pub(crate) struct Taken {
    /// How long the upload is now.
    pub(crate) offset: u64,
    /// What was wrong with the body, if something was; what came before stays.
    pub(crate) fault: Option<Refusal>,
}

impl Uploads {
    /// Waits for the right to write to an upload.
    pub(crate) async fn turn(
        &self,
        database: &Database,
        id: &UploadId,
    ) -> Result<Turn<'_>, Refusal> {
        let turn = Arc::clone(lock(&self.turns).entry(id.clone()).or_default());
        let guard = tokio::time::timeout(TURN, turn.lock_owned()).await;
        let guard = guard.map_err(|_| Refusal::UploadBusy)?;
        let name = format!("upload {}", id.as_str());
        let lease = Lease::take(database, name, OTHERS_TURN).await?;
        Ok(Turn {
            uploads: self,
            id: id.clone(),
            guard: Some(guard),
            _lease: lease.ok_or(Refusal::UploadBusy)?,
        })
    }

    /// Forgets what is kept of an upload.
    pub(crate) fn forget(&self, id: &UploadId) {
        lock(&self.hashes).remove(id);
    }

    /// Appends a body. Must have the turn.
    pub(crate) async fn append(
        &self,
        storage: &dyn Storage,
        id: &UploadId,
        incoming: Incoming,
    ) -> Result<Taken, Refusal> {
        let begun = incoming.offset;
        let mut hash = self.hash(storage, id, begun, incoming.algorithm).await?;
        let mut sink = storage.open_upload(id, begun).await.map_err(lost)?;
        let taken = take(incoming, &mut hash, sink.as_mut()).await;
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
                if matches!(error, StorageError::Full { .. })
                    && let Err(error) = storage.open_upload(id, begun).await
                {
                    tracing::warn!("failed to {error}");
                }
                Err(lost(error))
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
        let progress = storage.progress(id).await?;
        if let Some(kept) = Hash::resume(algorithm, &progress).filter(|it| it.bytes == offset) {
            return Ok(kept);
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

/// What is told of an upload that its storage can't go on with: one that is not there has ended.
pub(crate) fn lost(error: StorageError) -> Refusal {
    match error {
        StorageError::Absent { .. } => Refusal::UploadUnknown,
        error => error.into(),
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
    incoming: Incoming,
    hash: &mut Hash,
    sink: &mut dyn Sink,
) -> Result<Option<Refusal>, StorageError> {
    let Incoming {
        mut body,
        length,
        idle,
        then,
        ..
    } = incoming;
    let mut came = 0_u64;
    loop {
        let (pieces, mut fault) = collect(&mut body, idle).await;
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
        while !pieces.is_empty() {
            let now = first(&mut pieces, sink.room());
            let (hashed, written) =
                tokio::join!(update(hash.clone(), now.clone()), sink.write(now));
            written?;
            *hash = hashed?;
            if sink.room() == Some(0) {
                sink.keep(&hash.save(), Next::More).await?;
            }
        }
        if ended || fault.is_some() {
            let next = then.next(fault.is_none());
            sink.keep(&hash.save(), next).await?;
            return Ok(fault);
        }
    }
}

/// Takes from pieces as many bytes as there is room for.
fn first(pieces: &mut Vec<Bytes>, room: Option<usize>) -> Vec<Bytes> {
    let Some(mut room) = room else {
        return std::mem::take(pieces);
    };
    let fit = pieces.iter().take_while(|piece| {
        let fits = piece.len() <= room;
        if fits {
            room -= piece.len();
        }
        fits
    });
    let whole = fit.count();
    let rest = pieces.split_off(whole);
    let mut now = std::mem::replace(pieces, rest);
    if let Some(piece) = pieces.first_mut().filter(|_| room > 0) {
        now.push(piece.split_to(room));
    }
    now
}

/// Some pieces of a body; none at its end.
async fn collect(body: &mut Body, idle: Duration) -> (Option<Vec<Bytes>>, Option<Refusal>) {
    let (mut pieces, mut size) = (Vec::new(), 0);
    while size < PIECE {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
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
