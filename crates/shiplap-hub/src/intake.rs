//! From an upload to a blob of a repository: bytes on the disk first, the record after them.
//!
//! The one way by which blobs come to be, whoever sent them.

use std::sync::Arc;

use shiplap_model::Digest;
use shiplap_model::digest::{Algorithm, DigestError};

use crate::database::{Durability, Tx};
use crate::hub::Hub;
use crate::records::blobs::{self, Blob};
use crate::records::repositories::{self, Name};
use crate::records::{namespaces, reviews, uploads};
use crate::refusal::Refusal;
use crate::storage::UploadId;
use crate::upload::{Then, lost};

/// Gives a repository a stored blob, making the repository where it is not. False if the blob is not
/// stored.
pub(crate) fn give(tx: &dyn Tx, hub: &Hub, name: &Name, digest: &Digest) -> Result<bool, Refusal> {
    if namespaces::kind(tx, name.namespace())?.is_none() {
        return Err(Refusal::NamespaceUnknown {
            namespace: name.namespace().to_owned(),
        });
    }
    let repository = repositories::ensure(tx, name, hub.is_private(name))?;
    if !blobs::link(tx, repository, digest)? {
        return Ok(false);
    }
    match namespaces::usage(tx, name.namespace())? {
        (used, Some(quota_bytes)) if used > quota_bytes => Err(Refusal::Quota {
            namespace: name.namespace().to_owned(),
            quota_bytes,
        }),
        _ => Ok(true),
    }
}

/// Forgets an upload; a failure leaves a file for the keeper.
pub(crate) async fn discard(hub: &Hub, id: &UploadId) {
    hub.uploads.forget(id);
    if let Err(error) = hub.storage.discard(id).await {
        tracing::warn!("failed to {error}");
    }
}

/// An upload that has come to its end.
pub(crate) struct Whole<'u> {
    /// Which.
    pub(crate) id: &'u UploadId,
    /// How long it is.
    pub(crate) size_bytes: u64,
    /// Whether others know of it: then it ends once, whoever asks for that.
    pub(crate) then: Then,
}

/// Makes an upload a blob of the repository, if it is what `digest` says.
pub(crate) async fn store(
    hub: &Arc<Hub>,
    name: &Name,
    upload: Whole<'_>,
    digest: &Digest,
) -> Result<(), Refusal> {
    let Whole {
        id,
        size_bytes,
        then,
    } = upload;
    let algorithm = digest.algorithm().unwrap_or(Algorithm::Sha256);
    let storage = hub.storage.as_ref();
    let actual = hub
        .uploads
        .digest(storage, id, size_bytes, algorithm)
        .await?;
    if actual != *digest {
        let expected = digest.clone();
        return Err(DigestError::Mismatch { expected, actual }.into());
    }
    let wanted = digest.clone();
    let is_stored = hub
        .database
        .read(move |tx| blobs::is_stored(tx, &wanted))
        .await?;
    let is_known = then == Then::End;
    let ending = Ending { id, is_known };
    if is_stored && record(hub, name, ending, digest, None).await? {
        discard(hub, id).await;
        return Ok(());
    }
    let object = storage.complete(id, digest).await.map_err(lost)?;
    let blob = Blob { size_bytes, object };
    record(hub, name, ending, digest, Some(blob)).await?;
    // Nobody waits for what served the upload to be cleared away.
    let (of, id) = (Arc::clone(hub), id.clone());
    tokio::spawn(async move { discard(&of, &id).await });
    Ok(())
}

#[derive(Clone, Copy)]
struct Ending<'u> {
    id: &'u UploadId,
    /// Whether it has a record of its own.
    is_known: bool,
}

/// Records a blob as the repository's, and the upload as ended. False if it must be stored first.
async fn record(
    hub: &Arc<Hub>,
    name: &Name,
    ending: Ending<'_>,
    digest: &Digest,
    blob: Option<Blob>,
) -> Result<bool, Refusal> {
    let object = blob.as_ref().map(|blob| blob.object.clone());
    let (id, is_known) = (ending.id.clone(), ending.is_known);
    let (name, digest, of, ended) = (name.clone(), digest.clone(), Arc::clone(hub), id.clone());
    let write = hub.database.write(Durability::Durable, move |tx| {
        // Who came first to end it has its object, and may have given that up.
        if is_known && uploads::find(tx, &ended)?.is_none() {
            return Err(Refusal::UploadUnknown);
        }
        if let Some(blob) = &blob
            && !blobs::add(tx, &digest, blob)?
        {
            // Somebody else's came first: this object has no record, and goes.
            reviews::discard(tx, &blob.object)?;
        }
        let is_given = give(tx, &of, &name, &digest)?;
        if is_given {
            uploads::remove(tx, &ended)?;
        }
        Ok::<_, Refusal>(is_given)
    });
    let recorded = write.await;
    if let (Err(_), Some(object)) = (&recorded, object) {
        let write = hub.database.write(Durability::Lazy, move |tx| {
            uploads::remove(tx, &id)?;
            reviews::discard(tx, &object)
        });
        if let Err(error) = write.await {
            tracing::warn!("failed to {error}");
        }
    }
    recorded
}
