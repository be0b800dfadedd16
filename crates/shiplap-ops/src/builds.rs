//! Builds that were made or are being made, listed and forgotten.

use std::fs::File;
use std::io;
use std::path::PathBuf;

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
    /// Its log can't be read.
    #[error("read the log {path}: {source}")]
    Log {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Name of the log in a build's directory.
const LOG: &str = "log";

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

/// The log of a build, from its beginning: lines of plain progress, and in them bytes that programs
/// wrote.
///
/// # Errors
/// [`BuildsError`].
pub fn log(context: &Context, build: &BuildRecord) -> Result<File, BuildsError> {
    let directory = context.store()?.build_path(&build.id);
    let directory = directory.ok_or_else(|| BuildsError::Missing(build.id.clone()))?;
    let path = directory.join(LOG);
    File::open(&path).map_err(|source| BuildsError::Log { path, source })
}

/// Forgets builds with their logs; how many. One that is being made stays.
///
/// # Errors
/// [`BuildsError`].
pub fn forget(context: &Context, ids: &[String]) -> Result<usize, BuildsError> {
    Ok(context.store()?.remove_builds(ids)?)
}
