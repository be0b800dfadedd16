//! Config and manifest of the new image: those of the old one, with the new layers and one more line of
//! history. Times are the image's, so that the same wishes give the same image.

use shiplap_model::config::{History, ImageConfig};
use shiplap_model::{Descriptor, Manifest, media_type};
use shiplap_store::{LayerRecord, Store};

use super::{SlimError, SlimReport, Work};

/// The new image's config.
pub(super) fn config(
    store: &Store,
    work: &Work<'_>,
    layers: &[Option<LayerRecord>],
    report: &SlimReport,
) -> Result<ImageConfig, SlimError> {
    let bytes = store.read_blob(work.from.digest())?;
    let mut config = ImageConfig::parse(&bytes).map_err(|source| SlimError::Document {
        image: work.from.clone(),
        source,
    })?;
    // An image may tell of fewer layers than it has; each entry stands for one from here on.
    let told = config.history.iter().filter(|entry| !entry.empty_layer);
    let untold = layers.len().saturating_sub(told.count());
    config.history.extend(vec![History::default(); untold]);
    let made = config.history.iter_mut().filter(|entry| !entry.empty_layer);
    for (entry, layer) in made.zip(layers) {
        entry.empty_layer = layer.is_none();
    }
    config.history.push(History {
        created: config.created.clone(),
        created_by: Some(command(work)),
        comment: Some(comment(report)),
        empty_layer: true,
        ..History::default()
    });
    config.rootfs.diff_ids = layers
        .iter()
        .flatten()
        .map(|layer| layer.diff_id.clone())
        .collect();
    Ok(config)
}

/// What was asked for, as it is typed.
fn command(work: &Work<'_>) -> String {
    let mut words = "shiplap slim".to_owned();
    for (flag, choices) in [
        ("--drop", &work.options.drop),
        ("--keep", &work.options.keep),
    ] {
        for choice in choices {
            words.push_str(&format!(" {flag} {choice}"));
        }
    }
    words
}

fn comment(report: &SlimReport) -> String {
    let kinds = report
        .saved
        .iter()
        .map(|saving| format!("{} {} bytes", saving.kind, saving.bytes));
    format!("dropped: {}", kinds.collect::<Vec<_>>().join(", "))
}

/// The new image's manifest, over the config's bytes.
pub(super) fn manifest(
    store: &Store,
    work: &Work<'_>,
    layers: &[Option<LayerRecord>],
    config: &[u8],
) -> Result<Manifest, SlimError> {
    let old = store.image_manifests(&work.from)?.into_iter().next();
    let annotations = match old {
        Some(digest) => {
            let old = Manifest::parse(&store.read_blob(&digest)?);
            let old = old.map_err(|source| SlimError::Document {
                image: work.from.clone(),
                source,
            })?;
            old.annotations
        }
        None => Default::default(),
    };
    let layers = layers.iter().flatten().map(|layer| {
        let digest = layer.diff_id.digest().clone();
        Descriptor::new(media_type::OCI_LAYER, digest, layer.tar_bytes)
    });
    Ok(Manifest {
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        annotations,
        ..Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, config),
            layers.collect(),
        )
    })
}
