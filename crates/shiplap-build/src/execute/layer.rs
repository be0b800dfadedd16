//! A layer that a step makes: its tar is written, hashed and indexed in one pass, and then in the
//! store.

use std::io::Write;

use shiplap_layer::ingest::{MadeError, ingest_made};
use shiplap_store::{LayerRecord, Lease, StoreError};

/// Lets `make` write a plain tar; the layer it is, in the store and held by `lease`.
///
/// # Errors
/// Those of `make`, what was written is no layer, the store's failure.
pub fn make_layer<E: From<StoreError>>(
    lease: &Lease,
    make: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<LayerRecord, MadeError<E>> {
    let stage = || lease.file().map_err(|error| MadeError::Make(error.into()));
    let (tar, index) = (stage()?, stage()?);
    let facts = ingest_made(make, tar.file(), index.file())?;
    let record = LayerRecord {
        diff_id: facts.diff_id,
        tar_bytes: facts.tar_bytes,
        content_bytes: facts.content_bytes,
        entries: facts.entries,
    };
    let committed = lease.commit_layer(tar, index, &record);
    committed.map_err(|error| MadeError::Make(error.into()))?;
    Ok(record)
}
