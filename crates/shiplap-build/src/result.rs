//! The documents of what was built: config, manifest, index. Pure: layers, times and annotations
//! come from whoever has them, and the same give the same bytes.
//!
//! Times are nobody's clock. `SOURCE_DATE_EPOCH` or the context's commit says them; else every
//! layer is as old as its newest file, and never older than what lies below it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shiplap_model::config::{History, ImageConfig, Rootfs};
use shiplap_model::{Descriptor, DiffId, Index, Manifest, Platform, media_type};

use shiplap_model::annotation::Annotations;

use crate::plan::Stage;

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// What it is.
    pub diff_id: DiffId,
    /// Length of its tar, in bytes.
    pub tar_bytes: u64,
    /// The time of its newest file, in seconds since 1970; of no account for those of the base.
    pub newest_secs: Option<i64>,
}

/// Where times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// All that is new is of this second since 1970.
    Fixed(i64),
    /// The layers' files say.
    Files,
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// As many layers as steps that leave one are wanted.
    #[error(
        "make the config: {steps} steps leave a layer, but there are {layers} beside the base's"
    )]
    Layers {
        /// Steps that leave one.
        steps: usize,
        /// Layers.
        layers: usize,
    },
    /// A time beyond the calendar.
    #[error("make the config: {0} s after 1970 is no time")]
    Time(i64),
}

/// The config of the image that a stage ends with: `base` is the image at its root, and `layers`
/// are all, that image's first.
///
/// # Errors
/// [`ResultError`].
pub fn config(
    stage: &Stage,
    base: Option<&ImageConfig>,
    layers: &[ImageLayer],
    times: Times,
) -> Result<ImageConfig, ResultError> {
    let base_layers = base.map_or(0, |base| base.rootfs.diff_ids.len());
    let own = layers.get(base_layers..).unwrap_or_default();
    let mut image = (*stage.config).clone();
    let new = image
        .history
        .split_off(stage.base_history.min(image.history.len()));
    let steps = new.iter().filter(|entry| !entry.empty_layer).count();
    if steps != own.len() || layers.len() < base_layers {
        return Err(ResultError::Layers {
            steps,
            layers: own.len(),
        });
    }
    complete(&mut image.history, base_layers, base);
    let base_created = base.and_then(|base| base.created.clone());
    let is_unchanged = new.is_empty();
    image
        .history
        .extend(dated(new, own, times, base_created.as_deref())?);
    image.created = match (image.history.last(), times) {
        (Some(last), _) if !is_unchanged => last.created.clone(),
        (_, Times::Fixed(seconds)) => Some(text(seconds)?),
        (last, Times::Files) => base_created.or_else(|| last.and_then(|last| last.created.clone())),
    };
    if image.created.is_none() {
        image.created = Some(text(0)?);
    }
    image.rootfs = Rootfs {
        diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
        ..Rootfs::default()
    };
    Ok(image)
}

/// Makes a base's history tell of as many layers as it has: some images have none, or too short a
/// one.
fn complete(history: &mut Vec<History>, layers: usize, base: Option<&ImageConfig>) {
    let mut told = 0;
    for entry in history.iter_mut().filter(|entry| !entry.empty_layer) {
        if told == layers {
            entry.empty_layer = true;
        } else {
            told += 1;
        }
    }
    let missing = History {
        created: base.and_then(|base| base.created.clone()),
        created_by: Some("created by buildkit".to_owned()),
        comment: Some("buildkit.exporter.image.v0".to_owned()),
        ..History::default()
    };
    history.extend(std::iter::repeat_n(missing, layers - told));
}

/// New entries of the history with their times: those of layers by the layers, others as the layer
/// before them, or the first one if there is none.
fn dated(
    mut entries: Vec<History>,
    layers: &[ImageLayer],
    times: Times,
    base_created: Option<&str>,
) -> Result<Vec<History>, ResultError> {
    let before = base_created.and_then(|created| created.parse::<Timestamp>().ok());
    let mut latest = before.map(Timestamp::as_second);
    let mut seconds = Vec::with_capacity(layers.len());
    for layer in layers {
        latest = latest.max(layer.newest_secs);
        seconds.push(latest);
    }
    let first = seconds.first().copied().flatten().or(latest);
    let mut layers = seconds.into_iter();
    let mut current = first;
    for entry in &mut entries {
        if !entry.empty_layer {
            current = layers.next().flatten().or(current);
        }
        let time = match times {
            Times::Fixed(seconds) => seconds,
            Times::Files => current.unwrap_or_default(),
        };
        entry.created = Some(text(time)?);
    }
    Ok(entries)
}

fn text(seconds: i64) -> Result<String, ResultError> {
    let time = Timestamp::from_second(seconds).map_err(|_| ResultError::Time(seconds))?;
    Ok(time.to_string())
}

/// The manifest of an image whose layers are kept as they are.
#[must_use]
pub fn manifest(config: &[u8], layers: &[ImageLayer], annotations: &Annotations) -> Manifest {
    let layers = layers.iter().map(|layer| {
        let digest = layer.diff_id.digest().clone();
        Descriptor::new(media_type::OCI_LAYER, digest, layer.tar_bytes)
    });
    let config = Descriptor::of(media_type::OCI_CONFIG, config);
    Manifest {
        annotations: annotations.manifest.clone(),
        ..Manifest::new(config, layers.collect())
    }
}

/// The index of the images of several platforms, in the order in which they were asked for: their
/// manifests' bytes, and what is said of them in the index.
#[must_use]
pub fn index(
    images: &[(Vec<u8>, Platform, Annotations)],
    annotations: &BTreeMap<String, String>,
) -> Index {
    let entries = images
        .iter()
        .map(|(manifest, platform, annotations)| Descriptor {
            platform: Some(platform.clone()),
            annotations: annotations.descriptor.clone(),
            ..Descriptor::of(media_type::OCI_MANIFEST, manifest)
        });
    Index {
        annotations: annotations.clone(),
        ..Index::new(entries.collect())
    }
}

#[cfg(test)]
mod tests;
