//! One command in a root made of layers, which is what a `RUN` is: the root is mounted with an
//! upper directory on top, the command runs in it with what is mounted for it, and what it changed
//! becomes a layer.
//!
//! Nothing of it is a container that anybody can name, and nothing is recorded but the layer. What
//! is mounted for the command, its network's files and its secrets never get into the layer.

mod cancel;

pub use cancel::Cancel;
pub use shiplap_run::log::Stream;

use std::fmt;
use std::path::PathBuf;

use shiplap_model::container::{NetworkMode, Ulimit};
use shiplap_model::{DiffId, Platform};
use shiplap_store::{LayerRecord, Lease, StoreError};

use crate::context::Context;

/// What runs, and in what.
#[derive(Debug, Clone)]
pub struct Step {
    /// The root's layers, base first, held by the caller; none: an empty root.
    pub layers: Vec<DiffId>,
    /// Program and arguments, a shell before them if there is to be one.
    pub args: Vec<String>,
    /// `NAME=value`: all there is, but for `HOME` and `HOSTNAME`, which are added where missing.
    pub env: Vec<String>,
    /// Who runs it, as in an image's config; looked up in the root.
    pub user: String,
    /// Where, as in an image's config; made if it is missing.
    pub working_dir: String,
    /// What is mounted beside the usual.
    pub mounts: Vec<StepMount>,
    /// Its network; `None`: as the settings have it for containers.
    pub network: Option<NetworkMode>,
    /// More lines of `/etc/hosts`: name, and address or `host-gateway`.
    pub add_hosts: Vec<(String, String)>,
    /// Its name for itself; `None`: as every step's.
    pub hostname: Option<String>,
    /// Size of `/dev/shm`, in bytes; `None`: 64 MiB.
    pub shm_bytes: Option<u64>,
    /// Limits of processes.
    pub ulimits: Vec<Ulimit>,
    /// With all rights that there are (`--security=insecure`).
    pub privileged: bool,
    /// Give it the host's certificates and proxies; else the settings decide.
    pub host_certs: bool,
    /// What the root's programs are made for.
    pub platform: Platform,
}

/// Something mounted for the command.
#[derive(Debug, Clone)]
pub struct StepMount {
    /// Where, an absolute path in the root. What is missing of it is made, and gone afterwards.
    pub target: String,
    /// What.
    pub kind: StepMountKind,
    /// It can't be written.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone)]
pub enum StepMountKind {
    /// Files of another stage or image. What is written there is thrown away.
    Layers {
        /// Its layers, base first, held by the caller.
        layers: Vec<DiffId>,
        /// A directory or file in them; empty or `/` for all.
        path: String,
    },
    /// Files of a directory of the host, as the build context. What is written there is thrown away.
    Directory {
        /// The directory.
        host: PathBuf,
        /// A directory or file beneath it, links resolved in it; empty or `/` for all.
        path: String,
    },
    /// A directory of the host that keeps what is written to it.
    Cache {
        /// The directory.
        host: PathBuf,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Most bytes it holds; `None`: half the memory.
        size_bytes: Option<u64>,
    },
    /// A file in memory, which is never on a disk.
    Secret {
        /// Its content.
        bytes: Vec<u8>,
        /// Its owner in the root.
        uid: u32,
        /// Its group in the root.
        gid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// A socket that leads to one of the host, as an SSH agent's.
    Ssh {
        /// The socket of the host.
        socket: PathBuf,
        /// Its owner in the root.
        uid: u32,
        /// Its group in the root.
        gid: u32,
        /// Its permission bits.
        mode: u32,
    },
}

impl fmt::Debug for StepMountKind {
    /// Never tells a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layers { layers, path } => write!(f, "Layers({layers:?}, {path:?})"),
            Self::Directory { host, path } => write!(f, "Directory({host:?}, {path:?})"),
            Self::Cache { host } => write!(f, "Cache({host:?})"),
            Self::Tmpfs { size_bytes } => write!(f, "Tmpfs({size_bytes:?})"),
            Self::Secret { uid, gid, mode, .. } => write!(f, "Secret({uid}:{gid}, {mode:o})"),
            Self::Ssh { socket, .. } => write!(f, "Ssh({socket:?})"),
        }
    }
}

/// Why a command could not be run, or its changes not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime could not start the command, or something for it can't be had.
    #[error("{reason}")]
    Refused {
        /// 127 where the program is not found, 126 where it can't be executed, else 125.
        code: u8,
        /// Why.
        reason: String,
    },
    /// The caller wanted it no longer.
    #[error("run: canceled")]
    Cancelled,
}

impl StepError {
    /// The exit status that a shell has for it: 127 where the program is not found, 126 where it
    /// can't be executed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { code, .. } => *code,
            _ => 125,
        }
    }
}

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; 128 and the signal's number if one killed it.
    pub exit_code: i32,
    /// What it changed, also if it failed.
    pub changes: Changes,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What a command changed; thrown away unless it is made a layer.
#[derive(Debug)]
pub struct Changes(());

/// When files of a layer were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// When they were.
    #[default]
    Kept,
    /// Then, but at most so many seconds after 1970.
    AtMost(i64),
}

impl Changes {
    /// Makes a layer of them, held by `lease`; `None` if nothing changed.
    ///
    /// # Errors
    /// [`StepError`]; then nothing of it is in the store.
    pub fn into_layer(
        self,
        context: &Context,
        lease: &Lease,
        times: Times,
    ) -> Result<Option<LayerRecord>, StepError> {
        let _ = (context, lease, times);
        Ok(None)
    }
}

/// The layer without an entry, held by `lease`: what a step that changed nothing leaves in an image
/// that has one layer a step.
///
/// # Errors
/// [`StepError`].
pub fn empty_layer(lease: &Lease) -> Result<LayerRecord, StepError> {
    let _ = lease;
    Err(StepError::Cancelled)
}

/// Runs a command to its end, in files of `lease`. `output` is given what it says, from several
/// threads. What `cancel` ends is killed.
///
/// # Errors
/// [`StepError`] if it did not run; one that ran and failed is no error.
pub fn run(
    context: &Context,
    lease: &Lease,
    step: &Step,
    output: &(dyn Fn(Stream, &[u8]) + Sync),
    cancel: &Cancel,
) -> Result<Finished, StepError> {
    let _ = (context, lease, step, output, cancel);
    Err(StepError::Cancelled)
}

/// Runs a command with this process's own terminal, or standard streams, over what `changes` left:
/// as a shell in the root of a step that failed. Its exit status.
///
/// # Errors
/// [`StepError`] if it did not run.
pub fn shell(
    context: &Context,
    lease: &Lease,
    step: &Step,
    changes: &Changes,
) -> Result<i32, StepError> {
    let _ = (context, lease, step, changes);
    Err(StepError::Cancelled)
}
