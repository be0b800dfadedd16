//! Volumes: directories beside the containers, kept until somebody removes them.
//!
//! A volume is `volumes/<name>/_data`, and beside it `volume.json` with its labels and whether it
//! was made for one container. What uses it is asked of the containers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use shiplap_model::container::name;
use shiplap_model::filter::{FilterError, Filters};
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
    /// A filter that there is not, or a value it can't have.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// It can't be called so.
    #[error("name volume: {source}")]
    Name {
        /// Why.
        source: name::NameError,
    },
    /// It isn't there.
    #[error("find volume: No such volume: {name}")]
    NotFound {
        /// What the user wrote.
        name: String,
    },
    /// Containers have it.
    #[error("remove volume {name}: volume is in use - [{}]", containers.join(", "))]
    InUse {
        /// Its name.
        name: String,
        /// Their IDs.
        containers: Vec<String>,
    },
    /// The containers that may have it can't be read.
    #[error("{source}")]
    Containers {
        /// Why.
        source: Box<super::ContainerError>,
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

/// What is written down of a volume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    anonymous: bool,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Makes a volume if it is not there.
pub(crate) fn ensure(
    context: &Context,
    name: &str,
    anonymous: bool,
) -> Result<PathBuf, VolumeError> {
    make(
        context,
        name,
        &Written {
            anonymous,
            labels: BTreeMap::new(),
        },
    )
}

fn make(context: &Context, name: &str, written: &Written) -> Result<PathBuf, VolumeError> {
    let directory = directory(context, name)?;
    let data = directory.join("_data");
    let make = || {
        if data.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("volume.json"), serde_json::to_vec(written)?)?;
        // Last: with it the volume is there.
        match fs::create_dir(&data) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    };
    make().map_err(failed("make", name))?;
    Ok(data)
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(io::Error) -> VolumeError {
    let name = name.to_owned();
    move |source| VolumeError::Directory {
        action,
        name,
        source,
    }
}

/// A volume in the words of Docker's API (`GET /volumes/{name}`).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// Always `local`.
    pub driver: &'static str,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where its files are.
    pub mountpoint: PathBuf,
    /// Its name.
    pub name: String,
    /// None.
    pub options: Option<()>,
    /// Always `local`.
    pub scope: &'static str,
    /// Made for one container.
    #[serde(skip)]
    pub anonymous: bool,
}

/// Makes a named volume, or one with a name made up; that is there already is no failure.
///
/// # Errors
/// [`VolumeError`].
pub fn create(
    context: &Context,
    name: Option<&str>,
    labels: BTreeMap<String, String>,
) -> Result<String, VolumeError> {
    let made_up = super::create::new_id();
    let (name, anonymous) = match name {
        Some(name) => (name, false),
        None => (made_up.as_str(), true),
    };
    make(context, name, &Written { anonymous, labels })?;
    Ok(name.to_owned())
}

/// All that is known of a volume.
///
/// # Errors
/// [`VolumeError`].
pub fn inspect(context: &Context, name: &str) -> Result<Volume, VolumeError> {
    let directory = directory(context, name)?;
    let data = directory.join("_data");
    let metadata = match fs::metadata(&data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VolumeError::NotFound {
                name: name.to_owned(),
            });
        }
        result => result.map_err(failed("look at", name))?,
    };
    let text = fs::read(directory.join("volume.json")).unwrap_or_default();
    let written: Written = serde_json::from_slice(&text).unwrap_or_default();
    let made = metadata.created().or_else(|_| metadata.modified());
    let made = made.ok().and_then(|time| Timestamp::try_from(time).ok());
    Ok(Volume {
        created_at: made.map_or_else(String::new, |time| time.to_string()),
        driver: "local",
        labels: written.labels,
        mountpoint: data,
        name: name.to_owned(),
        options: None,
        scope: "local",
        anonymous: written.anonymous,
    })
}

/// All volumes, by name.
///
/// # Errors
/// [`VolumeError`].
pub fn list(context: &Context) -> Result<Vec<Volume>, VolumeError> {
    let parent = context.store()?.root().join("volumes");
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(failed("list", ""))?,
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    // One may be removed meanwhile; what else is there is none of ours.
    Ok(names
        .iter()
        .filter_map(|name| inspect(context, name).ok())
        .collect())
}

/// Removes a volume that no container has.
///
/// # Errors
/// [`VolumeError::InUse`], [`VolumeError::NotFound`], and failures of the disk.
pub fn remove(context: &Context, name: &str) -> Result<(), VolumeError> {
    inspect(context, name)?;
    let users = users(context, name)?;
    if !users.is_empty() {
        return Err(VolumeError::InUse {
            name: name.to_owned(),
            containers: users,
        });
    }
    fs::remove_dir_all(directory(context, name)?).map_err(failed("remove", name))
}

/// IDs of the containers that have a volume.
fn users(context: &Context, name: &str) -> Result<Vec<String>, VolumeError> {
    let containers = super::all(context).map_err(|source| VolumeError::Containers {
        source: Box::new(source),
    })?;
    Ok(containers
        .into_iter()
        .filter(|container| container.facts.volumes.iter().any(|used| used.name == name))
        .map(|container| container.facts.id)
        .collect())
}

/// Names of the volumes that containers have, and how many have each.
///
/// # Errors
/// [`VolumeError`].
pub fn in_use(context: &Context) -> Result<BTreeMap<String, usize>, VolumeError> {
    let containers = super::all(context).map_err(|source| VolumeError::Containers {
        source: Box::new(source),
    })?;
    let mut users = BTreeMap::new();
    for volume in containers.iter().flat_map(|c| &c.facts.volumes) {
        *users.entry(volume.name.clone()).or_default() += 1;
    }
    Ok(users)
}

/// What a volume's files take, in bytes.
#[must_use]
pub fn size_bytes(volume: &Volume) -> u64 {
    super::list::size_of(&volume.mountpoint)
}

/// Removes all volumes that no container has and that the filters (`label`, `label!`) take, those
/// with a name only with the filter `all`; their names and what they took, in bytes.
///
/// # Errors
/// [`VolumeError`].
pub fn prune(context: &Context, filters: &Filters) -> Result<(Vec<String>, u64), VolumeError> {
    filters.check_keys(&["all", "label", "label!"])?;
    let all = filters.flag("all", false)?;
    let mut removed = Vec::new();
    let mut bytes = 0;
    for volume in list(context)? {
        let is_wanted = (volume.anonymous || all) && filters.takes_labels(&volume.labels);
        if is_wanted && users(context, &volume.name)?.is_empty() {
            bytes += super::list::size_of(&volume.mountpoint);
            remove(context, &volume.name)?;
            removed.push(volume.name);
        }
    }
    Ok((removed, bytes))
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
