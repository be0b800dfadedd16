//! The image that another one was built on, if the store has it: what lies in its layers was not
//! written in the other one's Dockerfile.

use serde::Serialize;
use shiplap_model::{DiffId, ImageId};
use shiplap_store::{Store, StoreError};

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
    let mut found: Option<Base> = None;
    for image in store.images()? {
        let Some(name) = image.tags.first().filter(|_| image.id != *id) else {
            continue;
        };
        let below = store.image_layers(&image.id)?;
        let is_larger = found
            .as_ref()
            .is_none_or(|known| known.layers < below.len());
        let is_below = (1..layers.len()).contains(&below.len())
            && below
                .iter()
                .zip(layers)
                .all(|(one, other)| one.diff_id == **other);
        if is_below && is_larger {
            found = Some(Base {
                name: name.familiar(),
                layers: below.len(),
            });
        }
    }
    Ok(found)
}
