//! `delete`: a tag, or an image with all its tags, out of a registry.

use shiplap_model::{Digest, Reference};
use shiplap_registry::{Error, ManifestName};

use crate::context::Context;

/// Why it is still there.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The registry's failure.
    #[error("delete {reference}: {source}")]
    Registry {
        /// What was to go.
        reference: Reference,
        /// Why.
        source: Error,
    },
    /// The registry removes images by their digests alone, with whatever tags they have.
    #[error(
        "delete {reference}: the registry removes no tag alone; the image goes with all its tags by: delete {}", by_digest.familiar()
    )]
    TagAlone {
        /// The tag.
        reference: Reference,
        /// The image that it names.
        by_digest: Reference,
    },
}

/// Removes a tag, or by a digest what it names with all its tags; `latest` without either. Blobs stay until the registry
/// collects them.
///
/// # Errors
/// [`DeleteError`].
pub fn delete(context: &Context, reference: &Reference) -> Result<(), DeleteError> {
    let reference = reference.or_latest();
    let client = context.client();
    let (repository, name) = (reference.repository(), ManifestName::of(&reference));
    let failed = |source| DeleteError::Registry {
        reference: reference.clone(),
        source,
    };
    match client.delete_manifest(repository, name) {
        Err(Error::Refused { refusal, .. })
            if matches!(name, ManifestName::Tag(_)) && matches!(refusal.status, 400 | 405) =>
        {
            let digest: Digest = client
                .head_manifest(repository, name)
                .map_err(failed)?
                .digest;
            Err(DeleteError::TagAlone {
                by_digest: repository.at(digest),
                reference,
            })
        }
        result => result.map_err(failed),
    }
}
