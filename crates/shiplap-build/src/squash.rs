//! `--squash`: all that a build adds to its base in one layer, and the documents that tell of it, as
//! Docker's classic builder made them.
//!
//! The layer is kept in the build cache under what it is made of, so that a build without a change makes
//! none anew.

use shiplap_layer::export::ExportError;
use shiplap_layer::ingest::{IngestError, MadeError};
use shiplap_layer::squash;
use shiplap_layer::tar::Writer;
use shiplap_model::config::{History, ImageConfig};
use shiplap_model::{DiffId, Digest, ImageId};
use shiplap_store::{LayerRecord, Lease, NewCachedStep, StoreError};

use crate::execute::RootImage;
use crate::execute::files::{FilesError, OpenLayers};
use crate::execute::layer::make_layer;
use crate::result::ImageLayer;

/// Version of how it is done.
const SCHEMA: &str = "squash 1";

/// Why layers can't be made one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SquashError {
    /// They can't be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The layer can't be written.
    #[error("squash the layers: {0}")]
    Write(#[from] ExportError),
    /// What was written is no layer.
    #[error("squash the layers: {0}")]
    Layer(#[from] IngestError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The layers with one in the place of all that lie above the first `base`.
pub(crate) fn layers(
    lease: &Lease,
    layers: &[ImageLayer],
    base: usize,
) -> Result<Vec<ImageLayer>, SquashError> {
    let (below, own) = layers.split_at(base.min(layers.len()));
    if own.len() < 2 {
        return Ok(layers.to_vec());
    }
    let ids = |layers: &[ImageLayer]| -> Vec<DiffId> {
        layers.iter().map(|layer| layer.diff_id.clone()).collect()
    };
    let (below_ids, all) = (ids(below), ids(layers));
    let key = key(&all, base);
    let kept = lease.use_cached_steps(std::slice::from_ref(&key))?;
    let layer = match kept.into_iter().flatten().next() {
        Some(layer) => layer,
        None => make(lease, &below_ids, &all, &key)?,
    };
    let newest_secs = own.iter().filter_map(|layer| layer.newest_secs).max();
    let mut squashed = below.to_vec();
    squashed.push(ImageLayer {
        diff_id: layer.diff_id,
        tar_bytes: layer.tar_bytes,
        newest_secs,
    });
    Ok(squashed)
}

fn key(layers: &[DiffId], base: usize) -> Digest {
    let layers = layers.iter().map(|layer| layer.digest().as_str());
    let words: Vec<&str> = std::iter::once(SCHEMA).chain(layers).collect();
    Digest::of(format!("{base} {}", words.join(" ")).as_bytes())
}

fn make(
    lease: &Lease,
    below: &[DiffId],
    all: &[DiffId],
    key: &Digest,
) -> Result<LayerRecord, SquashError> {
    let open = OpenLayers::new(lease.store());
    let (below, whole) = (open.files(below)?, open.files(all)?);
    let made = make_layer(lease, |out| {
        let mut writer = Writer::new(out);
        squash::write(&whole.stack, &below.stack, &whole.tars(), &mut writer)?;
        writer.finish().map_err(ExportError::from)?;
        Ok::<_, SquashError>(())
    });
    let layer = made.map_err(|error| match error {
        MadeError::Make(error) => error,
        MadeError::Ingest(error) => error.into(),
    })?;
    lease.put_cached_step(&NewCachedStep {
        key,
        layer: &layer.diff_id,
        newest_secs: open.newest(&layer.diff_id)?,
        place: key,
        description: "squash",
        inputs: &[],
    })?;
    Ok(layer)
}

/// Makes a config tell of the layers that were made one: `base_history` entries of its history are the
/// base's; those after it stand for nothing any more, and one more says what was done.
pub(crate) fn tell(
    config: &mut ImageConfig,
    layers: &[ImageLayer],
    base: &RootImage,
    base_history: usize,
) {
    // Who the image was before is known by what it said of itself.
    let before = serde_json::to_vec(config).unwrap_or_default();
    let before = ImageId::from(Digest::of(&before));
    for entry in config.history.iter_mut().skip(base_history) {
        entry.empty_layer = true;
    }
    let comment = match &base.id {
        Some(base) => format!("merge {before} to {base}"),
        None => format!("create new from {before}"),
    };
    config.history.push(History {
        created: config.created.clone(),
        comment: Some(comment),
        ..History::default()
    });
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
}
