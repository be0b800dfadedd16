//! A build's cache elsewhere: `--cache-to` and `--cache-from`, so that many machines share one.
//!
//! A cache is an image: its layers are those that steps left, and its config says, beside what all
//! configs say, which step's key left which. So registries, layouts and whatever else carries
//! images carry caches; `type=inline` puts the same words into the config of the image that was
//! built. Keys are digests of all that decides a step, so a record from elsewhere is as good as
//! one made here; a layer of it comes verified, as every layer does.

mod place;

pub use place::{CacheBreadth, CachePlace, CachePlaceError, CacheTarget};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shiplap_model::annotation::Annotations;
use shiplap_model::config::{History, ImageConfig, Rootfs};
use shiplap_model::{DiffId, Digest, DocumentError, ImageId, Platform, limits};
use shiplap_ops::Context;
use shiplap_ops::acquire::AcquireError;
use shiplap_ops::bring::bring;
use shiplap_ops::copy::Place;
use shiplap_ops::progress::Progress;
use shiplap_ops::push::{PushError, push_as};
use shiplap_ops::remove::{self, RmiOptions};
use shiplap_ops::save::{self, ArchiveFormat, save_as};
use shiplap_store::{ImageError, Lease, NewCachedStep, NewImage, StoreError};

use crate::output::{self, OutputError};
use crate::result::{self, ImageLayer};

/// Where the config says which step left which layer.
pub const FIELD: &str = "shiplap.build-cache";

/// The name of a cache in a layout.
const LAYOUT_NAME: &str = "cache";

/// Why a cache is not taken or put elsewhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteCacheError {
    /// It can't be fetched.
    #[error("take the cache from {place}: {source}")]
    Fetch {
        /// From where.
        place: String,
        /// Why.
        source: AcquireError,
    },
    /// The image's config can't be read.
    #[error("read the cache {id}: {source}")]
    Config {
        /// The image.
        id: ImageId,
        /// Why.
        source: DocumentError,
    },
    /// More layers than an image may have.
    #[error(
        "put the cache elsewhere: {layers} layers are more than the {} of an image",
        limits::LAYERS
    )]
    TooManyLayers {
        /// How many there are.
        layers: usize,
    },
    /// The documents can't be made.
    #[error("make the documents of the cache: {0}")]
    Json(#[from] serde_json::Error),
    /// It can't be recorded for the time of it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It can't be pushed.
    #[error(transparent)]
    Push(#[from] PushError),
    /// It can't be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A step that was carried out, or was in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteStep {
    /// Digest of all that decides its result.
    pub key: Digest,
    /// The layer it left.
    pub layer: DiffId,
    /// Which step of which Dockerfile it is.
    pub place: Digest,
    /// `RUN make`.
    pub description: String,
    /// When the newest of its files is of, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_secs: Option<i64>,
}

/// What the config's field holds.
#[must_use]
pub fn field(steps: &[RemoteStep]) -> serde_json::Value {
    serde_json::json!({ "version": 1, "steps": steps })
}

#[derive(Deserialize)]
struct Field {
    version: u32,
    steps: Vec<RemoteStep>,
}

/// Takes what a cache elsewhere has into this one; how many steps those were. Layers that no
/// record names are not kept. An image that is here under that name is not fetched.
///
/// # Errors
/// [`RemoteCacheError`].
pub fn take(
    context: &Context,
    place: &CachePlace,
    progress: &dyn Progress,
) -> Result<usize, RemoteCacheError> {
    let source = match place {
        CachePlace::Registry(reference) => Place::Registry(reference.clone()),
        CachePlace::Local(directory) => {
            Place::OciDirectory(directory.clone(), Some(LAYOUT_NAME.to_owned()))
        }
        CachePlace::Inline => return Ok(0),
    };
    let store = context.store()?;
    let lease = store.lease()?;
    if let CachePlace::Registry(reference) = place
        && let Some(id) = store.find(reference)?
    {
        return record(&lease, &id);
    }
    let fetched = bring(context, &source, progress);
    let brought = fetched.map_err(|error| RemoteCacheError::Fetch {
        place: source.to_string(),
        source: error,
    })?;
    let taken = record(&lease, &brought.id);
    if brought.is_new {
        forget(context, &brought.id)?;
    }
    taken
}

/// Records the steps that an image's config names, as far as their layers are its own.
fn record(lease: &Lease, id: &ImageId) -> Result<usize, RemoteCacheError> {
    let bytes = lease.store().read_blob(id.digest())?;
    let config = ImageConfig::parse(&bytes).map_err(|source| RemoteCacheError::Config {
        id: id.clone(),
        source,
    })?;
    let Some(field) = config.rest.get(FIELD) else {
        return Ok(0);
    };
    // What is of another version, or none of ours, is no cache.
    let Ok(field) = Field::deserialize(field) else {
        return Ok(0);
    };
    if field.version != 1 {
        return Ok(0);
    }
    let mut count = 0;
    for step in &field.steps {
        let is_own = config.rootfs.diff_ids.contains(&step.layer);
        if !is_own || lease.hold_layer(&step.layer)?.is_none() {
            continue;
        }
        lease.put_cached_step(&NewCachedStep {
            key: &step.key,
            layer: &step.layer,
            newest_secs: step.newest_secs,
            place: &step.place,
            description: &step.description,
            inputs: &[],
        })?;
        count += 1;
    }
    Ok(count)
}

/// Puts the cache of these steps elsewhere; `inline` ones are the builder's matter.
///
/// # Errors
/// [`RemoteCacheError`].
pub fn put(
    context: &Context,
    place: &CachePlace,
    steps: &[RemoteStep],
    platform: &Platform,
    progress: &dyn Progress,
) -> Result<(), RemoteCacheError> {
    if matches!(place, CachePlace::Inline) || steps.is_empty() {
        return Ok(());
    }
    let lease = context.store()?.lease()?;
    let (id, is_new) = image(&lease, steps, platform)?;
    let sent = match place {
        CachePlace::Registry(reference) => push_as(context, &id, reference, None, progress)
            .map(drop)
            .map_err(RemoteCacheError::from),
        CachePlace::Local(directory) => {
            let make =
                |file: save::Output<'_>| Ok(save_as(context, &id, &[], ArchiveFormat::Oci, file)?);
            output::layout(context, directory, Some(LAYOUT_NAME), make, progress)
                .map_err(RemoteCacheError::from)
        }
        CachePlace::Inline => Ok(()),
    };
    if is_new {
        forget(context, &id)?;
    }
    sent
}

/// The cache as an image, in the store for the time of it; and whether it was not here before.
fn image(
    lease: &Lease,
    steps: &[RemoteStep],
    platform: &Platform,
) -> Result<(ImageId, bool), RemoteCacheError> {
    let mut seen = BTreeSet::new();
    let (mut layers, mut history) = (Vec::new(), Vec::new());
    for step in steps {
        let Some(layer) = lease.hold_layer(&step.layer)? else {
            continue;
        };
        if seen.insert(layer.diff_id.clone()) {
            layers.push(ImageLayer {
                diff_id: layer.diff_id,
                tar_bytes: layer.tar_bytes,
                newest_secs: None,
            });
            history.push(History {
                created_by: Some(step.description.clone()),
                ..History::default()
            });
        }
    }
    if layers.len() > limits::LAYERS {
        return Err(RemoteCacheError::TooManyLayers {
            layers: layers.len(),
        });
    }
    let config = ImageConfig {
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os: platform.os.clone(),
        rootfs: Rootfs {
            diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
            ..Rootfs::default()
        },
        history,
        rest: BTreeMap::from([(FIELD.to_owned(), field(steps))]),
        ..ImageConfig::default()
    };
    let config = serde_json::to_vec(&config)?;
    let manifest = result::manifest(&config, &layers, &Annotations::default());
    let manifest = serde_json::to_vec(&manifest)?;
    let digest = Digest::of(&manifest);
    lease.put_blob(&Digest::of(&config), &config)?;
    lease.put_blob(&digest, &manifest)?;
    let put = lease.put_image(&NewImage::of(&digest))?;
    Ok((put.id, put.is_new))
}

/// Takes an image away that was here for a moment only. One that got a name meanwhile stays.
fn forget(context: &Context, id: &ImageId) -> Result<(), StoreError> {
    let options = RmiOptions {
        images: vec![id.to_string()],
        ..RmiOptions::default()
    };
    let report = remove::remove(context, &options)?;
    for failure in report.failures {
        tracing::warn!(%failure, "an image of a build cache stays");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
