//! Containers: what is written down of one, how it is found by what a user calls it, and its
//! verbs, one a module.
//!
//! A container is a directory of the store: `container.json` (facts that never change),
//! `state.json` (what its process does), `upper` and `work` (its changes, overlayfs' form), and
//! what its supervisor needs. The supervisor holds a lock on `supervisor.lock` as long as it
//! lives, so a state that says "running" is believed only while somebody holds it.

pub mod bundle;
pub mod changes;
pub mod commit;
pub mod control;
pub mod cp;
pub mod create;
pub mod exec;
pub mod export;
pub mod inspect;
pub mod list;
pub mod logs;
mod lost;
pub mod network;
mod record;
pub mod remove;
pub mod start;
pub mod stats;
pub mod supervise;
pub mod top;
pub mod volume;

pub use record::{Facts, State, Status, VolumeUse};
pub use shiplap_run::attach::Message;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use shiplap_store::{ContainerError as RecordError, ContainerRecord, Store, StoreError};

use crate::context::Context;

/// Why a container can't be found or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its record can't be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nothing is called so.
    #[error("find container: No such container: {name}")]
    NotFound {
        /// What the user wrote.
        name: String,
    },
    /// Several IDs begin so.
    #[error("find container {prefix}: several IDs begin so: {}", candidates.join(", "))]
    Ambiguous {
        /// What the user wrote.
        prefix: String,
        /// Short IDs of those meant.
        candidates: Vec<String>,
    },
    /// One of its files can't be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What a file of it says makes no sense.
    #[error("read {}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl ContainerError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

/// One container, found.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its name; unlike the facts it may change.
    pub name: String,
    /// What never changes.
    pub facts: Facts,
    /// Its directory.
    pub(crate) directory: PathBuf,
}

/// Files of a container's directory.
impl Container {
    /// 64 hex digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.facts.id
    }

    /// The 12 digits that are shown.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.facts.id.get(..12).unwrap_or(&self.facts.id)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Changes to the image, in overlayfs' form.
    pub(crate) fn upper(&self) -> PathBuf {
        self.path("upper")
    }

    /// What its process does, by its file and by whether somebody watches over it.
    ///
    /// # Errors
    /// [`ContainerError::File`], [`ContainerError::Damaged`].
    pub fn state(&self) -> Result<State, ContainerError> {
        let state: State = read_json(&self.path("state.json"))?;
        if !state.status.is_live() || self.supervisor_lock()?.is_none() {
            return Ok(state);
        }
        // It may have ended, with all its records, while they were read.
        let state: State = read_json(&self.path("state.json"))?;
        Ok(match state.status.is_live() {
            true if self.process(&state).is_some() => state.unwatched(),
            true => state.lost(),
            false => state,
        })
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<(), ContainerError> {
        write_json(&self.path("state.json"), state)
    }

    /// Records how it ended, even where there is no room for a new file: then over the old one.
    pub(crate) fn write_end(&self, state: &State) -> Result<(), ContainerError> {
        let path = self.path("state.json");
        self.write_state(state)
            .or_else(|error| overwrite_json(&path, state).map_err(|_| error))
    }

    /// The lock that says that a supervisor lives; `None` if one does.
    pub(crate) fn supervisor_lock(&self) -> Result<Option<File>, ContainerError> {
        let path = self.path("supervisor.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(ContainerError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(ContainerError::file("lock", &path)(error)),
        }
    }

    /// Keeps other verbs from changing this container at the same time.
    pub(crate) fn lock(&self) -> Result<File, ContainerError> {
        let path = self.path("lock");
        let failed = || ContainerError::file("lock", &path);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed())?;
        file.lock().map_err(failed())?;
        Ok(file)
    }

    /// Waits until no supervisor watches over it.
    pub(crate) fn await_supervisor(&self) -> Result<(), ContainerError> {
        let path = self.path("supervisor.lock");
        let failed = || ContainerError::file("wait for", &path);
        let file = match File::open(&path) {
            // It never had one, or is gone with all its files.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(failed())?,
        };
        file.lock_shared().map_err(failed())
    }

    /// Where its files are.
    #[must_use]
    pub fn tree(&self) -> changes::ContainerTree {
        let facts = &self.facts;
        let asked = facts
            .options
            .storage
            .mounts
            .iter()
            .map(|mount| &mount.target);
        let volumes = facts.volumes.iter().map(|volume| &volume.target);
        changes::ContainerTree {
            image: facts.image.clone(),
            upper: self.upper(),
            marks: crate::snapshot::marks(),
            mounts: asked.chain(volumes).cloned().collect(),
        }
    }

    pub(crate) fn record(&self, state: shiplap_store::ContainerState) -> ContainerRecord {
        ContainerRecord {
            id: self.facts.id.clone(),
            name: self.name.clone(),
            image: self.facts.image.clone(),
            state,
            created: self.facts.created,
        }
    }

    /// A process of it that is alive, by the ID that its state names.
    pub(crate) fn process(&self, state: &State) -> Option<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(state.pid?)?;
        let process =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
        // The number may have been given to another process since.
        state.is_process(state.pid?).then_some(process)
    }
}

/// The `config.json` that the OCI runtime would get. The container's root is mounted for the
/// time of it in mounts of this thread's own.
///
/// # Errors
/// [`DryRunError`].
pub fn dry_run(context: &Context, container: &Container) -> Result<String, DryRunError> {
    shiplap_run::namespaces::private_mounts()?;
    let _lock = container.supervisor_lock()?;
    let prepared = bundle::prepare(context, container)?;
    let path = container.path("config.json");
    let config = fs::read_to_string(&path).map_err(ContainerError::file("read", &path));
    prepared.unmount(container);
    Ok(config?)
}

/// Why there is no `config.json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DryRunError {
    /// The container's files can't be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It can't be prepared.
    #[error(transparent)]
    Bundle(#[from] bundle::BundleError),
    /// There can be no mounts of its own.
    #[error(transparent)]
    Namespace(#[from] shiplap_run::namespaces::NamespaceError),
}

/// All containers, the newest first. Those of `--rm` that ended without their supervisor, which
/// would have removed them, are removed now.
///
/// # Errors
/// [`ContainerError`]; a container whose files are damaged is passed over here and reported by
/// whoever names it.
pub(crate) fn all(context: &Context) -> Result<Vec<Container>, ContainerError> {
    let store = context.store()?;
    let mut records = store.containers()?;
    records.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    let containers = records.into_iter();
    let containers = containers.filter_map(|record| open(store, record).ok());
    Ok(containers
        .filter(|container| !is_overdue(container) || !clear_away(context, container))
        .collect())
}

/// Whether its supervisor should have removed it, and is gone itself.
fn is_overdue(container: &Container) -> bool {
    let has_ended = |state: State| state.status == Status::Exited;
    container.facts.options.auto_remove
        && container.state().is_ok_and(has_ended)
        && matches!(container.supervisor_lock(), Ok(Some(_)))
}

/// Removes it; whether that could be done.
fn clear_away(context: &Context, container: &Container) -> bool {
    match remove::remove(context, container.id(), false, true) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "a container that was to be removed stays");
            false
        }
    }
}

/// The container that `name` means: a whole ID, a name, or the beginning of an ID.
///
/// # Errors
/// [`ContainerError`].
pub fn find(context: &Context, name: &str) -> Result<Container, ContainerError> {
    let store = context.store()?;
    let records = store.containers()?;
    let plain = name.strip_prefix('/').unwrap_or(name);
    let exact = records
        .iter()
        .find(|record| record.id == plain)
        .or_else(|| records.iter().find(|record| record.name == plain));
    if let Some(record) = exact {
        return open(store, record.clone());
    }
    let is_prefix = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found: Vec<_> = records
        .into_iter()
        .filter(|record| is_prefix && record.id.starts_with(plain))
        .collect();
    match &found[..] {
        [] => Err(ContainerError::NotFound {
            name: name.to_owned(),
        }),
        [one] => open(store, one.clone()),
        several => Err(ContainerError::Ambiguous {
            prefix: name.to_owned(),
            candidates: several
                .iter()
                .take(10)
                .map(|record| record.id.chars().take(12).collect())
                .collect(),
        }),
    }
}

fn open(store: &Store, record: ContainerRecord) -> Result<Container, ContainerError> {
    let not_found = || ContainerError::NotFound {
        name: record.id.clone(),
    };
    let directory = store.container_path(&record.id).ok_or_else(not_found)?;
    let facts = read_json(&directory.join("container.json"))?;
    Ok(Container {
        name: record.name,
        facts,
        directory,
    })
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ContainerError> {
    let bytes = fs::read(path).map_err(ContainerError::file("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| ContainerError::Damaged {
        path: path.to_owned(),
        source,
    })
}

/// Replaces a file whole, so that a reader never sees half of it.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ContainerError> {
    let bytes = serde_json::to_vec(value).map_err(|source| ContainerError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    let new = path.with_extension("new");
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, path))
        .map_err(ContainerError::file("write", path))
}

/// Writes over a file in one call, filled up with spaces to its old length. That takes no room on
/// the disk as long as both are within one block.
fn overwrite_json(path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let mut bytes = serde_json::to_vec(value)?;
    let old_bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    bytes.resize(bytes.len().max(old_bytes), b' ');
    file.write_all_at(&bytes, 0)
}
