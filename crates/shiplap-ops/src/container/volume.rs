//! Volumes: directories beside the containers, kept until somebody removes them.
//!
//! A volume is `volumes/<name>/_data`; the file `anonymous` beside it says that it was made for
//! one container. Nothing else is written down of it: what uses it is asked of the containers.

use std::fs;
use std::io;
use std::path::PathBuf;

use shiplap_model::container::name;
use shiplap_store::StoreError;

use super::Facts;
use crate::context::Context;

/// Why a volume can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It can't be called so.
    #[error("name volume: {source}")]
    Name {
        /// Why.
        source: name::NameError,
    },
    /// Its directory can't be made or read.
    #[error("{action} volume {name}: {source}")]
    Directory {
        /// What was done.
        action: &'static str,
        /// The volume.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Where a volume's files are; its name is checked, since it becomes part of a path.
pub(crate) fn data(context: &Context, name: &str) -> Result<PathBuf, VolumeError> {
    Ok(directory(context, name)?.join("_data"))
}

fn directory(context: &Context, name: &str) -> Result<PathBuf, VolumeError> {
    name::check(name).map_err(|source| VolumeError::Name { source })?;
    Ok(context.store()?.root().join("volumes").join(name))
}

/// Makes a volume if it is not there.
pub(crate) fn ensure(
    context: &Context,
    name: &str,
    anonymous: bool,
) -> Result<PathBuf, VolumeError> {
    let directory = directory(context, name)?;
    let data = directory.join("_data");
    let make = || {
        if data.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&data)?;
        if anonymous {
            fs::write(directory.join("anonymous"), "")?;
        }
        Ok(())
    };
    make().map_err(|source| VolumeError::Directory {
        action: "make",
        name: name.to_owned(),
        source,
    })?;
    Ok(data)
}

/// Removes the volumes that were made for this container alone, as far as that is possible.
pub(crate) fn remove_anonymous(context: &Context, facts: &Facts) {
    for volume in facts.volumes.iter().filter(|volume| volume.anonymous) {
        if let Ok(directory) = directory(context, &volume.name) {
            // What stays is shown by `volume ls` and goes with `volume prune`.
            drop(fs::remove_dir_all(directory));
        }
    }
}

/// The volumes of a container: where each is in it, and where its files are.
///
/// # Errors
/// [`VolumeError`].
pub fn of_container(
    context: &Context,
    facts: &Facts,
) -> Result<Vec<(String, PathBuf)>, VolumeError> {
    facts
        .volumes
        .iter()
        .map(|volume| Ok((volume.target.clone(), data(context, &volume.name)?)))
        .collect()
}
