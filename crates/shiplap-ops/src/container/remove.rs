//! `rm` and `container prune`.

use std::fs;

use jiff::Timestamp;
use shiplap_model::filter::{FilterError, Filters};
use shiplap_run::mounts;
use shiplap_store::ContainerState;

use super::control::{self, ControlError};
use super::{Container, ContainerError, all, find, lost, volume};
use crate::context::Context;
use crate::when::{self, WhenError};

/// Why a container is not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// It can't be found or written.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It runs.
    #[error(
        "remove container {name}: You cannot remove a running container {id}. \
         Stop the container before attempting removal or force remove"
    )]
    Running {
        /// What the user wrote.
        name: String,
        /// Its ID.
        id: String,
    },
    /// It can't be killed first.
    #[error(transparent)]
    Kill(#[from] ControlError),
}

/// Removes a container; with `force` one that runs is killed first, with `volumes` its anonymous
/// volumes go too.
///
/// # Errors
/// [`RemoveError`]; then it is still there.
pub fn remove(
    context: &Context,
    name: &str,
    force: bool,
    volumes: bool,
) -> Result<Container, RemoveError> {
    let container = find(context, name)?;
    if container.state()?.status.is_live() {
        if !force {
            return Err(RemoveError::Running {
                name: name.to_owned(),
                id: container.facts.id,
            });
        }
        control::kill(&container, rustix::process::Signal::KILL.as_raw())?;
        container.await_supervisor()?;
        if !container.directory.exists() {
            // It was to be removed at its end anyway.
            return Ok(container);
        }
    }
    // It may remove itself, or somebody else may, at the same time.
    let _lock = match container.lock() {
        Err(_) if !container.directory.exists() => return Ok(container),
        lock => lock?,
    };
    container.await_supervisor()?;
    if !container.directory.exists() {
        return Ok(container);
    }
    if let Err(error) = forget(context, &container) {
        tracing::warn!(%error, "what the container wrote goes first");
        // A full disk has no room to note anything; the container's own files make some.
        let upper = container.upper();
        fs::remove_dir_all(&upper).map_err(ContainerError::file("remove", &upper))?;
        forget(context, &container)?;
    }
    if volumes {
        volume::remove_anonymous(context, &container.facts);
    }
    erase_files(&container)?;
    Ok(container)
}

/// Takes the container, which must not run, out of the records. The caller holds its lock.
fn forget(context: &Context, container: &Container) -> Result<(), ContainerError> {
    lost::clean(context, container)?;
    context.store()?.remove_container(container.id())?;
    Ok(())
}

/// Removes all that is left of a container whose record is gone.
pub(crate) fn erase(context: &Context, container: &Container) {
    volume::remove_anonymous(context, &container.facts);
    if let Err(error) = erase_files(container) {
        tracing::warn!(%error, "files of a removed container stay until the next prune");
    }
}

fn erase_files(container: &Container) -> Result<(), ContainerError> {
    // In the supervisor's own namespace the root is still mounted.
    mounts::detach(&container.path("rootfs"));
    match fs::remove_dir_all(&container.directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ContainerError::file("remove", &container.directory)(error))
        }
        _ => Ok(()),
    }
}

/// What `container prune` did.
#[derive(Debug, Default)]
pub struct PruneReport {
    /// IDs of the containers that are gone.
    pub removed: Vec<String>,
    /// What their files took, in bytes.
    pub reclaimed_bytes: u64,
}

/// Why pruning ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// A filter that there is not.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A time that is none.
    #[error(transparent)]
    When(#[from] WhenError),
    /// A container that can't be removed.
    #[error(transparent)]
    Remove(#[from] RemoveError),
}

impl From<ContainerError> for PruneError {
    fn from(error: ContainerError) -> Self {
        Self::Remove(error.into())
    }
}

/// Removes all containers that do not run and that the filters (`label`, `label!`, `until`) take,
/// and directories that no record names.
///
/// # Errors
/// [`PruneError`] of the first that can't be removed.
pub fn prune(context: &Context, filters: &Filters) -> Result<PruneReport, PruneError> {
    filters.check_keys(&["label", "label!", "until"])?;
    let now = Timestamp::now();
    let times = filters.values("until").map(|time| when::parse(time, now));
    let until = times.collect::<Result<Vec<_>, _>>()?.into_iter().min();
    let takes = |container: &Container| {
        let labels = &container.facts.config.labels;
        until.is_none_or(|until| container.facts.created < until) && filters.takes_labels(labels)
    };
    let mut report = PruneReport::default();
    for container in all(context)? {
        if container.state()?.status.is_live() || !takes(&container) {
            continue;
        }
        report.reclaimed_bytes += super::list::size_of_changes(&container);
        remove(context, container.id(), false, false)?;
        report.removed.push(container.facts.id);
    }
    remove_nameless(context)?;
    Ok(report)
}

/// Directories of containers that died between their files and their record.
fn remove_nameless(context: &Context) -> Result<(), ContainerError> {
    let store = context.store()?;
    let Some(parent) = store
        .container_path(&"0".repeat(64))
        .and_then(|path| path.parent().map(std::path::Path::to_owned))
    else {
        return Ok(());
    };
    let entries = fs::read_dir(&parent).map_err(ContainerError::file("list", &parent))?;
    for entry in entries.filter_map(Result::ok) {
        let id = entry.file_name().to_string_lossy().into_owned();
        if store.container_path(&id).is_none() || find(context, &id).is_ok() {
            continue;
        }
        let is_recorded = store.containers()?.iter().any(|record| record.id == id);
        let lock = fs::File::options()
            .write(true)
            .open(entry.path().join("supervisor.lock"));
        // The supervisor of a container that removes itself is still at it.
        let is_free = lock.map_or(true, |lock| lock.try_lock().is_ok());
        let is_old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 60));
        if !is_recorded && is_free && is_old {
            fs::remove_dir_all(entry.path())
                .map_err(ContainerError::file("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Gives a container another name.
///
/// # Errors
/// [`ContainerError::Record`] if somebody has it.
pub fn rename(context: &Context, name: &str, new: &str) -> Result<(), super::create::CreateError> {
    use super::create::CreateError;
    shiplap_model::container::name::check(new).map_err(|source| CreateError::Name { source })?;
    let container = find(context, name)?;
    let _lock = container.lock()?;
    let state: ContainerState = container.state()?.status.into();
    let renamed = Container {
        name: new.to_owned(),
        ..container
    };
    let store = context.store()?;
    match store.put_container(&renamed.record(state)) {
        Err(shiplap_store::ContainerError::NameTaken { name, id }) => {
            Err(CreateError::NameTaken { name, id })
        }
        result => Ok(result.map_err(ContainerError::from)?),
    }
}
