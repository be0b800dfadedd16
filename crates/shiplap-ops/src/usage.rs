//! `system df`: what takes how much.

use shiplap_store::StoreError;

use crate::context::Context;

pub use shiplap_store::{ImageUsage, Usage};

/// Measures the store.
///
/// # Errors
/// [`StoreError`].
pub fn usage(context: &Context) -> Result<Usage, StoreError> {
    context.store()?.usage()
}
