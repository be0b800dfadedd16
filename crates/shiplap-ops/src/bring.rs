//! An image from a registry or a layout into the store, without a name: what is looked into and
//! taken away again, as build caches are.

use shiplap_model::ImageId;

use crate::acquire::{AcquireError, Wanted, acquire};
use crate::context::Context;
use crate::copy::{Place, with_source};
use crate::progress::Progress;

/// An image that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Its ID.
    pub id: ImageId,
    /// It was not here before.
    pub is_new: bool,
}

/// Brings the image at `place`, from an index that for the settings' platform.
///
/// # Errors
/// [`AcquireError`].
pub fn bring(
    context: &Context,
    place: &Place,
    progress: &dyn Progress,
) -> Result<Brought, AcquireError> {
    let store = context.store()?;
    let settings = context.settings();
    let wanted = Wanted {
        platform: settings.platform.clone(),
        tags: Vec::new(),
        parallel_layers: settings.parallel_layers,
        keep_compressed: settings.keep_compressed,
        only_platform: false,
    };
    let lease = store.lease()?;
    let scratch = lease.directory()?;
    let failed = AcquireError::from;
    with_source(context, place, scratch.path(), &failed, |source| {
        let root = source.root()?;
        let acquired = acquire(store, source, root, &wanted, progress)?;
        Ok(Brought {
            id: acquired.id,
            is_new: acquired.is_new,
        })
    })
}
