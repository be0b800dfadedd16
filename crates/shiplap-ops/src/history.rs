//! `history`: how an image came about, newest first.

use serde::Serialize;
use shiplap_model::{DiffId, ImageId, Platform, Reference};

use crate::context::Context;
use crate::inspect::{InspectError, read_image};

/// One step of an image's making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryStep {
    /// What the line is called by: the image's ID for the newest, a layer's DiffID for a step that
    /// made one, nothing for a step that made none.
    pub id: Option<StepId>,
    /// When, as the config says it.
    pub created: Option<String>,
    /// The command.
    pub created_by: String,
    /// Sizes of the files in its layer, in bytes.
    pub size_bytes: u64,
    /// Free words.
    pub comment: String,
    /// Tags of the image, in the newest step.
    pub tags: Vec<Reference>,
}

/// Name of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum StepId {
    /// The image itself.
    Image(ImageId),
    /// The layer that the step made.
    Layer(DiffId),
}

/// The steps of the image that `name` means (for a platform if one is asked for), newest first.
/// Layers that the config has no history for are steps of their own.
///
/// # Errors
/// [`InspectError`].
pub fn history(
    context: &Context,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Vec<HistoryStep>, InspectError> {
    let store = context.store()?;
    let (image, config) = read_image(store, name, platform)?;
    let mut layers = store.image_layers(&image.id)?.into_iter();
    let mut steps = Vec::new();
    for entry in config.history {
        let layer = if entry.empty_layer {
            None
        } else {
            layers.next()
        };
        steps.push(HistoryStep {
            id: layer
                .as_ref()
                .map(|layer| StepId::Layer(layer.diff_id.clone())),
            created: entry.created,
            created_by: entry.created_by.unwrap_or_default(),
            size_bytes: layer.map_or(0, |layer| layer.content_bytes),
            comment: entry.comment.unwrap_or_default(),
            tags: Vec::new(),
        });
    }
    steps.extend(layers.map(|layer| HistoryStep {
        id: Some(StepId::Layer(layer.diff_id)),
        created: config.created.clone(),
        created_by: String::new(),
        size_bytes: layer.content_bytes,
        comment: String::new(),
        tags: Vec::new(),
    }));
    if let Some(newest) = steps.last_mut() {
        newest.id = Some(StepId::Image(image.id));
        newest.tags = image.tags;
    }
    steps.reverse();
    Ok(steps)
}
