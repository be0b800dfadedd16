//! `tag`: another name for an image, or for an index of images.

use shiplap_model::{ImageId, Reference};
use shiplap_store::{ImageError, ResolveError, ResolvedBy, StoreError};

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

/// Gives what `source` names the tag `target`; the image that had it before.
///
/// # Errors
/// [`TagError`].
pub fn tag(
    context: &Context,
    source: &str,
    target: &Reference,
) -> Result<Option<ImageId>, TagError> {
    let store = context.store()?;
    let found = store.resolve(source)?;
    let index = match &found.by {
        ResolvedBy::Tag(tag) => store.named_index(tag)?,
        ResolvedBy::Id | ResolvedBy::RepoDigest(_) => None,
    };
    Ok(store.tag_index(&found.id, index.as_ref(), target)?)
}
