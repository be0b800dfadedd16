//! `system prune`: everything that nobody uses, kind by kind, so that what a removed container held
//! goes with it.

use shiplap_model::filter::Filters;
use shiplap_store::StoreError;

use crate::build_cache::{self, CacheError, CachePruneOptions, CachePruneReport};
use crate::container::remove::{self, PruneError as ContainersError};
use crate::container::volume::{self, VolumeError};
use crate::context::Context;
use crate::prune::{self, PruneError as ImagesError, PruneOptions};
use crate::remove::Removal;

/// What goes beside containers that don't run, images without a name, and what builds keep.
#[derive(Debug, Clone, Default)]
pub struct ClearOptions {
    /// All images that no container uses.
    pub all: bool,
    /// Anonymous volumes that no container has.
    pub volumes: bool,
    /// `until`, `label`, `label!`.
    pub filters: Filters,
}

/// What went.
#[derive(Debug, Default)]
pub struct ClearReport {
    /// IDs of containers.
    pub containers: Vec<String>,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Images and their layers, in Docker's order.
    pub images: Vec<Removal>,
    /// IDs of what builds kept.
    pub cache: Vec<String>,
    /// Bytes freed on disk.
    pub freed_bytes: u64,
}

/// Why clearing ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClearError {
    /// A container can't be removed.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// A volume can't be removed.
    #[error(transparent)]
    Volumes(#[from] VolumeError),
    /// An image can't be removed.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// What builds keep can't be removed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A volume has no time that would say whether it is old.
    #[error("prune volumes: the \"until\" filter is not supported with \"--volumes\"")]
    Until,
}

/// Clears.
///
/// # Errors
/// [`ClearError`]; what was removed before is gone.
pub fn clear(context: &Context, options: &ClearOptions) -> Result<ClearReport, ClearError> {
    let filters = &options.filters;
    if options.volumes && filters.contains("until") {
        return Err(ClearError::Until);
    }
    let containers = remove::prune(context, filters)?;
    let (volumes, volume_bytes) = match options.volumes {
        true => volume::prune(context, filters)?,
        false => (Vec::new(), 0),
    };
    let images = prune::prune(
        context,
        &PruneOptions {
            all: options.all,
            filters: filters.clone(),
            ..PruneOptions::default()
        },
    )?;
    let cache = match filters.keys().any(|key| key.starts_with("label")) {
        // What builds keep has no labels.
        true => CachePruneReport::default(),
        false => build_cache::prune(
            context,
            &CachePruneOptions {
                all: options.all,
                filters: filters.clone(),
                ..CachePruneOptions::default()
            },
        )?,
    };
    let objects = cache.objects.into_iter();
    Ok(ClearReport {
        containers: containers.removed,
        volumes,
        images: images.removed,
        cache: objects.map(|object| object.id).collect(),
        freed_bytes: containers.reclaimed_bytes
            + volume_bytes
            + images.freed_bytes
            + cache.freed_bytes,
    })
}
