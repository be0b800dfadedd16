//! `pull`: an image from a registry into the store.

use shiplap_model::{Digest, ImageId, Platform, Reference};
use shiplap_registry::ManifestName;
use shiplap_store::{Store, StoreError};

use crate::acquire::{self, AcquireError, Wanted};
use crate::context::Context;
use crate::progress::{Event, Progress};
use crate::transport::registry::RegistryImage;
use crate::transport::{Source as _, TransportError};

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// The image; without tag and digest the tag `latest`.
    pub reference: Reference,
    /// The platform to choose; `None`: that of the settings.
    pub platform: Option<Platform>,
    /// All tags of the repository instead of one.
    pub all_tags: bool,
}

/// What was pulled.
#[derive(Debug, Clone)]
pub struct PullReport {
    /// One per tag, in the order in which they were pulled.
    pub images: Vec<PulledImage>,
}

/// One pulled image.
#[derive(Debug, Clone)]
pub struct PulledImage {
    /// As asked for, with its tag.
    pub reference: Reference,
    /// Its ID.
    pub id: ImageId,
    /// Digest of what the tag names in the registry.
    pub digest: Digest,
    /// Whether anything changed in the store.
    pub is_new: bool,
}

/// Why nothing, or not everything, was pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// All tags of an image that is named with a tag or digest.
    #[error("pull all tags of {reference}: name the repository alone, without tag and digest")]
    TagWithAllTags {
        /// What was asked for.
        reference: Reference,
    },
    /// One image could not be pulled.
    #[error("pull {reference}: {source}")]
    Image {
        /// Which.
        reference: Reference,
        /// Why.
        source: AcquireError,
    },
}

/// Pulls.
///
/// # Errors
/// [`PullError`]. What was pulled before the failure stays.
pub fn pull(
    context: &Context,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<PullReport, PullError> {
    let pull_error = |source: AcquireError| PullError::Image {
        reference: options.reference.clone(),
        source,
    };
    if !options.all_tags {
        let image = pull_one(context, &options.reference.or_latest(), options, progress)?;
        return Ok(PullReport {
            images: vec![image],
        });
    }
    let reference = &options.reference;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(PullError::TagWithAllTags {
            reference: reference.clone(),
        });
    }
    let tags = context
        .client()
        .list_tags(reference.repository())
        .map_err(|error| pull_error(TransportError::from(error).into()))?;
    let mut images = Vec::new();
    for tag in tags {
        // A tag that is none by the grammar can't be asked for either.
        let Ok(reference) = reference.with_tag(&tag) else {
            continue;
        };
        images.push(pull_one(context, &reference, options, progress)?);
    }
    Ok(PullReport { images })
}

fn pull_one(
    context: &Context,
    reference: &Reference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<PulledImage, PullError> {
    let pull = || -> Result<PulledImage, AcquireError> {
        let name = reference
            .digest()
            .map(Digest::as_str)
            .or(reference.tag())
            .unwrap_or_default();
        let line = format!("{name}: Pulling from {}", reference.repository().path());
        progress.event(Event::Status(&line));
        let wanted_platform = options
            .platform
            .as_ref()
            .unwrap_or(&context.settings().platform);
        if let Some(image) = unchanged(context, reference, wanted_platform)? {
            return Ok(image);
        }
        let source = RegistryImage::new(context.client(), reference);
        let wanted = Wanted {
            platform: wanted_platform.clone(),
            tags: tags_of(reference),
            parallel_layers: context.settings().parallel_layers,
            keep_compressed: context.settings().keep_compressed,
            only_platform: false,
        };
        let root = source.root()?;
        let acquired = acquire::acquire(context.store()?, &source, root, &wanted, progress)?;
        Ok(PulledImage {
            reference: reference.clone(),
            id: acquired.id,
            digest: acquired.root,
            is_new: acquired.is_new,
        })
    };
    pull().map_err(|source| PullError::Image {
        reference: reference.clone(),
        source,
    })
}

/// A reference with a digest gives no tag, as with Docker.
fn tags_of(reference: &Reference) -> Vec<Reference> {
    if reference.digest().is_some() {
        Vec::new()
    } else {
        vec![reference.clone()]
    }
}

/// The image that is here under this name, if the registry still means the same by it: then one
/// request for the head of the manifest is all it takes.
fn unchanged(
    context: &Context,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<PulledImage>, AcquireError> {
    let Some(image) = known(context, reference)? else {
        return Ok(None);
    };
    if !platform.runs(&image.platform()) {
        return Ok(None);
    }
    let name = ManifestName::of(reference);
    let head = context
        .client()
        .head_manifest(reference.repository(), name)
        .map_err(TransportError::from)?;
    let digest = head.digest;
    let is_same = image
        .repo_digests
        .iter()
        .any(|known| known.digest == digest && known.repository == *reference.repository());
    if !is_same || !is_whole(context.store()?, &image.id)? {
        return Ok(None);
    }
    Ok(Some(PulledImage {
        reference: reference.clone(),
        id: image.id,
        digest,
        is_new: false,
    }))
}

/// Whether tar and index of every layer are there; what they hold is `system check`'s matter.
fn is_whole(store: &Store, id: &ImageId) -> Result<bool, StoreError> {
    for layer in store.image_layers(id)? {
        let paths = [
            store.tar_path(&layer.diff_id)?,
            store.index_path(&layer.diff_id)?,
        ];
        if !paths.iter().all(|path| path.is_file()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn known(
    context: &Context,
    reference: &Reference,
) -> Result<Option<shiplap_store::Image>, StoreError> {
    let store = context.store()?;
    match store.find(reference)? {
        Some(id) => store.image(&id),
        None => Ok(None),
    }
}
