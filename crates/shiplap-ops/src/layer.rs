//! Layers that are made here: written, hashed and indexed in one pass, and in the store only if all of
//! it went well.

use std::io::Write;

use shiplap_layer::ingest::{self, IngestError, MadeError};
use shiplap_store::{LayerRecord, Lease, StoreError};

/// Puts the layer whose tar `make` writes into the store, held by `lease`. `refused` words why what
/// was written is no layer.
///
/// # Errors
/// Those of `make`, `refused` and the store; then nothing of it is in the store.
pub fn put<E: From<StoreError>>(
    lease: &Lease,
    make: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    refused: impl FnOnce(IngestError) -> E,
) -> Result<LayerRecord, E> {
    let (tar, index) = (lease.file()?, lease.file()?);
    let facts =
        ingest::ingest_made(make, tar.file(), index.file()).map_err(|error| match error {
            MadeError::Make(error) => error,
            MadeError::Ingest(error) => refused(error),
        })?;
    let record = LayerRecord {
        diff_id: facts.diff_id,
        tar_bytes: facts.tar_bytes,
        content_bytes: facts.content_bytes,
        entries: facts.entries,
    };
    lease.commit_layer(tar, index, &record)?;
    Ok(record)
}
