//! What can keep an image from being pushed.

use shiplap_layer::compress::CompressError;
use shiplap_model::{DiffId, Digest, DocumentError, Reference};
use shiplap_store::{ImageError, ResolveError, StoreError};

use crate::transport::TransportError;

/// Why an image is not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A digest can't be pushed to.
    #[error("push to {reference}: name a tag, not a digest")]
    Digest {
        /// What was asked for.
        reference: Reference,
    },
    /// All tags of a name with a tag.
    #[error("push all tags of {reference}: name the repository alone, without tag")]
    TagWithAllTags {
        /// What was asked for.
        reference: Reference,
    },
    /// No image has this name.
    #[error("push {reference}: no image here has this name; give it with: tag IMAGE {}", reference.familiar())]
    NotTagged {
        /// What was asked for.
        reference: Reference,
    },
    /// The registry's failure.
    #[error("push {reference}: {source}")]
    Transport {
        /// What was pushed.
        reference: Reference,
        /// Why it failed.
        source: TransportError,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new manifest can't be recorded.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The manifest in the store can't be read.
    #[error("read manifest {digest}: {source}")]
    Manifest {
        /// Which.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// What is to be an index is none.
    #[error("push {digest}: it is no index")]
    NotAnIndex {
        /// Which.
        digest: Digest,
    },
    /// One of the images of an index is gone.
    #[error(
        "push {reference}: its image for {part} is not here any more; build it again, or push one image by a tag of its own"
    )]
    Part {
        /// What was pushed.
        reference: Reference,
        /// The platform of it, or its digest.
        part: String,
    },
    /// A layer can't be compressed.
    #[error("compress layer {diff_id}: {source}")]
    Compress {
        /// Which.
        diff_id: DiffId,
        /// Why.
        source: CompressError,
    },
}
