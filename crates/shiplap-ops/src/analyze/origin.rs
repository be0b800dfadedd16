//! The image that another one was built on, if the store has it: what lies in its layers was not
//! written in the other one's Dockerfile.

use serde::Serialize;
use shiplap_model::{DiffId, ImageId};
use shiplap_store::{Store, StoreError};

use crate::base;

/// The image below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Base {
    /// Its name.
    pub name: String,
    /// How many layers it has; they are the lowest of the image on it.
    pub layers: usize,
}

/// The image with a name that has most of the lowest layers of these, all its own among them.
///
/// # Errors
/// The store's failure.
pub(super) fn base(
    store: &Store,
    id: &ImageId,
    layers: &[&DiffId],
) -> Result<Option<Base>, StoreError> {
    // One with all of them is not below it.
    let candidates = layers.split_last().map_or(layers, |(_, lower)| lower);
    let below = base::lowest(store, &store.images()?, candidates, |image| {
        image.tags.first().filter(|_| image.id != *id)
    })?;
    Ok(below.map(|(name, layers)| Base {
        name: name.familiar(),
        layers,
    }))
}
