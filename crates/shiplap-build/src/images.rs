//! The images that a build begins with or copies from: found in the store, or brought there first.
//! What is found is held, so that nobody takes its layers away meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use shiplap_model::dockerfile::{Dockerfile, Meant, Span};
use shiplap_model::reference::ReferenceError;
use shiplap_model::{DiffId, DocumentError, ImageConfig, ImageId, Reference};
use shiplap_ops::Context;
use shiplap_ops::acquire::AcquireError;
use shiplap_ops::bring::bring;
use shiplap_ops::copy::Place;
use shiplap_ops::progress::Progress;
use shiplap_ops::pull::{PullError, PullOptions, pull};
use shiplap_store::{Lease, ResolveError, Store, StoreError};

use crate::plan::{
    self, ImageKey, NeededImage, Needs, PlanError, PlanInput, Resolved, ResolvedImage,
};

/// How many rounds of triggers that need images whose triggers need images are gone along with.
pub(crate) const ROUNDS: usize = 64;

/// Why an image can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The Dockerfile makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It can't be pulled.
    #[error("{text}: {source}{meant}")]
    Pull {
        /// The instruction, variables expanded.
        text: String,
        /// Where it stands.
        span: Span,
        /// Why.
        source: PullError,
        /// The stage that may have been meant.
        meant: Meant,
    },
    /// It can't be taken from a layout.
    #[error("{text}: {source}")]
    Layout {
        /// The instruction, variables expanded.
        text: String,
        /// Where it stands.
        span: Span,
        /// Why.
        source: AcquireError,
    },
    /// Its name is none.
    #[error("{text}: {source}")]
    Name {
        /// The instruction, variables expanded.
        text: String,
        /// Where it stands.
        span: Span,
        /// Why.
        source: ReferenceError,
    },
    /// Triggers that need images without end.
    #[error("find the images of the build: their ONBUILD triggers need further ones without end")]
    Endless,
    /// Its config can't be read.
    #[error("read the config of image {id}: {source}")]
    Config {
        /// Which.
        id: ImageId,
        /// Why.
        source: DocumentError,
    },
    /// One of its layers is gone.
    #[error("use image {id}: its layer {layer} is missing; see system check")]
    LayerMissing {
        /// Which.
        id: ImageId,
        /// Which layer.
        layer: DiffId,
    },
    /// It can't be found for another reason than that it is not here.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImageError {
    /// The instruction it is about.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Pull { span, .. } | Self::Layout { span, .. } | Self::Name { span, .. } => {
                Some(*span)
            }
            Self::Plan(error) => error.span,
            _ => None,
        }
    }
}

/// An image that is here.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// Its ID.
    pub id: ImageId,
    /// Its config.
    pub config: Arc<ImageConfig>,
    /// Its layers, base first, held by the lease.
    pub layers: Vec<DiffId>,
}

/// The images of a build.
#[derive(Debug, Default)]
pub struct Images {
    /// For the plan.
    pub resolved: Resolved,
    /// By the same keys.
    pub images: BTreeMap<ImageKey, BaseImage>,
}

/// Finds an image that is needed.
pub type Finder<'f> =
    dyn FnMut(&NeededImage) -> Result<(BaseImage, ResolvedImage), ImageError> + 'f;

/// Finds all that the target needs with `find`, asking again until triggers need nothing new; and
/// what else the plan needs.
///
/// # Errors
/// [`ImageError`].
pub fn find_all(
    file: &Dockerfile,
    input: &PlanInput,
    find: &mut Finder<'_>,
) -> Result<(Needs, Images), ImageError> {
    let mut images = Images::default();
    for _ in 0..ROUNDS {
        let needs = plan::needs(file, input, &images.resolved)?;
        if needs.images.is_empty() {
            return Ok((needs, images));
        }
        for needed in &needs.images {
            let (image, resolved) = find(needed)?;
            images.resolved.images.insert(needed.key.clone(), resolved);
            images.images.insert(needed.key.clone(), image);
        }
    }
    Err(ImageError::Endless)
}

/// Finds one, here or elsewhere; its layers are held by `lease`.
///
/// # Errors
/// [`ImageError`].
pub fn find(
    context: &Context,
    lease: &Lease,
    needed: &NeededImage,
    always_pull: bool,
    progress: &dyn Progress,
) -> Result<(BaseImage, ResolvedImage), ImageError> {
    let id = match needed.key.name.strip_prefix("oci-layout://") {
        Some(layout) => from_layout(context, needed, layout, progress)?,
        None => named(context, needed, always_pull, progress)?,
    };
    let store = lease.store();
    let config = config_of(store, &id)?;
    let held = lease.hold_layers(&config.rootfs.diff_ids)?;
    for (layer, held) in config.rootfs.diff_ids.iter().zip(held) {
        if held.is_none() {
            return Err(ImageError::LayerMissing {
                id,
                layer: layer.clone(),
            });
        }
    }
    let record = store.image(&id)?;
    let repository = Reference::parse(&needed.key.name).ok();
    let known = record.as_ref().and_then(|record| {
        let repository = repository.as_ref()?.repository();
        let known = record.repo_digests.iter();
        known
            .filter(|known| known.repository == *repository)
            .map(|known| known.digest.clone())
            .next()
    });
    let config = Arc::new(config);
    let resolved = ResolvedImage {
        config: Arc::clone(&config),
        digest: known,
    };
    let image = BaseImage {
        id,
        layers: config.rootfs.diff_ids.clone(),
        config,
    };
    Ok((image, resolved))
}

/// What is known of one that is here, for checks; its layers are not held.
///
/// # Errors
/// [`ImageError`].
pub fn find_here(
    context: &Context,
    needed: &NeededImage,
) -> Result<Option<ResolvedImage>, ImageError> {
    let store = context.store()?;
    let found = match in_store(store, needed) {
        // What is the beginning of several IDs is for the build to tell.
        Err(ImageError::Resolve(ResolveError::Ambiguous { .. })) => None,
        found => found?,
    };
    let Some(id) = found else {
        return Ok(None);
    };
    Ok(Some(ResolvedImage {
        config: Arc::new(config_of(store, &id)?),
        digest: None,
    }))
}

/// The image that is here under the name that is needed, or, if nothing has that name, with that ID: what
/// is written may be one, which is shorter than the whole name that it looks like.
fn in_store(store: &Store, needed: &NeededImage) -> Result<Option<ImageId>, ImageError> {
    let name = needed.key.name.as_str();
    let familiar = Reference::parse(name).map(|reference| reference.familiar());
    let familiar = familiar.unwrap_or_default();
    let short = familiar.strip_suffix(":latest").unwrap_or(&familiar);
    for name in [name, short] {
        match store.resolve_for(name, Some(&needed.key.platform)) {
            Ok(found) => return Ok(Some(found.id)),
            Err(
                ResolveError::NotFound { .. }
                | ResolveError::Platform { .. }
                | ResolveError::Invalid { .. },
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn config_of(store: &Store, id: &ImageId) -> Result<ImageConfig, ImageError> {
    let bytes = store.read_blob(id.digest())?;
    ImageConfig::parse(&bytes).map_err(|source| ImageError::Config {
        id: id.clone(),
        source,
    })
}

/// An image by its name, or by its ID where nothing has that name.
fn named(
    context: &Context,
    needed: &NeededImage,
    always_pull: bool,
    progress: &dyn Progress,
) -> Result<ImageId, ImageError> {
    let reference = Reference::parse(&needed.key.name).map_err(|source| ImageError::Name {
        text: needed.text.clone(),
        span: needed.span,
        source,
    })?;
    if !always_pull && let Some(id) = in_store(context.store()?, needed)? {
        return Ok(id);
    }
    let options = PullOptions {
        reference,
        platform: Some(needed.key.platform.clone()),
        all_tags: false,
    };
    let report = pull(context, &options, progress).map_err(|source| ImageError::Pull {
        text: needed.text.clone(),
        span: needed.span,
        source,
        meant: needed.meant.clone(),
    })?;
    match report.images.into_iter().next() {
        Some(image) => Ok(image.id),
        None => Err(ResolveError::NotFound {
            name: needed.key.name.clone(),
        }
        .into()),
    }
}

/// `DIR`, `DIR:NAME` or `DIR@DIGEST`: with a digest the image must be what it names.
fn from_layout(
    context: &Context,
    needed: &NeededImage,
    layout: &str,
    progress: &dyn Progress,
) -> Result<ImageId, ImageError> {
    let (directory, digest) = match layout.split_once('@') {
        Some((directory, digest)) => (directory, Some(digest)),
        None => (layout, None),
    };
    let (directory, name) = match directory.rsplit_once(':') {
        Some((directory, name)) if !name.contains('/') => (directory, Some(name.to_owned())),
        _ => (directory, None),
    };
    let place = Place::OciDirectory(PathBuf::from(directory), name);
    let brought = bring(context, &place, progress).map_err(|source| ImageError::Layout {
        text: needed.text.clone(),
        span: needed.span,
        source,
    })?;
    let store = context.store()?;
    let known = [
        store.image_manifests(&brought.id)?,
        store.image_indexes(&brought.id)?,
    ];
    let is_it = |digest: &str| known.iter().flatten().any(|own| own.as_str() == digest);
    if !digest.is_none_or(is_it) {
        return Err(ResolveError::NotFound {
            name: needed.key.name.clone(),
        }
        .into());
    }
    Ok(brought.id)
}
