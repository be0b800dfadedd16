//! `tag`: another name for an image.

use shiplap_model::{ImageId, Reference};
use shiplap_store::{ImageError, ResolveError, StoreError};

use crate::context::Context;

/// Why a tag is not given.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// The image is not to be found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The name can't be a tag, or the records can't be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives the image that `source` names the tag `target`; the image that had it before.
///
/// # Errors
/// [`TagError`].
pub fn tag(
    context: &Context,
    source: &str,
    target: &Reference,
) -> Result<Option<ImageId>, TagError> {
    let store = context.store()?;
    let id = store.resolve(source)?.id;
    Ok(store.tag(&id, target)?)
}
