//! Builds that were made or are being made, listed and forgotten.

use shiplap_store::StoreError;

use crate::context::Context;

pub use shiplap_store::{BuildRecord, BuildStatus};

/// Why a build is not found.
#[derive(Debug, thiserror::Error)]
pub enum BuildsError {
    /// No build has such an ID.
    #[error("find build {0}: there is none; `build ls` lists them")]
    Missing(String),
    /// Several have.
    #[error("find build {0}: several IDs begin so")]
    Ambiguous(String),
    /// None was made yet.
    #[error("find a build: none was made yet")]
    None,
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All of them, the one that began last first.
///
/// # Errors
/// [`BuildsError`].
pub fn list(context: &Context) -> Result<Vec<BuildRecord>, BuildsError> {
    Ok(context.store()?.builds()?)
}

/// The build whose ID is or begins so; without one, the one that began last.
///
/// # Errors
/// [`BuildsError`].
pub fn find(context: &Context, id: Option<&str>) -> Result<BuildRecord, BuildsError> {
    let mut builds = list(context)?;
    let Some(id) = id else {
        return builds.into_iter().next().ok_or(BuildsError::None);
    };
    if let Some(at) = builds.iter().position(|build| build.id == id) {
        return Ok(builds.swap_remove(at));
    }
    builds.retain(|build| build.id.starts_with(id));
    match (builds.pop(), builds.pop()) {
        (Some(build), None) => Ok(build),
        (Some(_), Some(_)) => Err(BuildsError::Ambiguous(id.to_owned())),
        (None, _) => Err(BuildsError::Missing(id.to_owned())),
    }
}

/// Forgets builds with their logs; how many. One that is being made stays.
///
/// # Errors
/// [`BuildsError`].
pub fn forget(context: &Context, ids: &[String]) -> Result<usize, BuildsError> {
    Ok(context.store()?.remove_builds(ids)?)
}
