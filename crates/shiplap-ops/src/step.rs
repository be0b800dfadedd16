//! One command in a root made of layers, which is what a `RUN` is: the root is mounted with an
//! upper directory on top, the command runs in it with what is mounted for it, and what it changed
//! becomes a layer.
//!
//! Nothing of it is a container that anybody can name, and nothing is recorded but the layer. What
//! is mounted for the command, its network's files and its secrets never get into the layer.

mod agent;
mod cancel;
mod carry;
mod changes;
mod helper;
mod mounts;
mod places;
mod prepare;
mod program;
mod request;
mod serve;

pub use cancel::Cancel;
pub use changes::{Changes, empty_layer};
pub use serve::serve;
pub use shiplap_layer::diff::Times;
pub use shiplap_run::log::Stream;

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use rustix::pipe::{PipeFlags, pipe_with};
use shiplap_layer::ingest::IngestError;
use shiplap_layer::tar::WriteError;
use shiplap_model::container::{Limits, NetworkMode};
use shiplap_model::{DiffId, Platform};
use shiplap_run::runtime::RuntimeError;
use shiplap_run::spec::TerminalSize;
use shiplap_store::{Lease, StoreError};

use crate::container::changes::{OpenTree, TreeError};
use crate::container::network::NetworkError;
use crate::context::Context;
use crate::snapshot::{self, SnapshotError};

use carry::{End, Outlets, carry};
use helper::Helper;
use request::Streams;

/// What runs, and in what.
#[derive(Debug, Clone)]
pub struct Step {
    /// The root's layers, base first, held by the caller; none: an empty root.
    pub layers: Vec<DiffId>,
    /// Program and arguments, a shell before them if there is to be one.
    pub args: Vec<String>,
    /// `NAME=value`: all there is, but for `HOME`, which is added where it is missing.
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
    /// What it may use.
    pub limits: Limits,
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
    /// Its layers can't be opened or found.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Its network can't be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Mounting is root's, also that of a user namespace.
    #[error("run {program}: that needs root, or root of a user namespace with its own mounts")]
    NotRoot {
        /// What was to run.
        program: String,
    },
    /// No OCI runtime works.
    #[error(
        "run {program}: {source}; install the package crun or runc, or name one in the settings"
    )]
    Runtime {
        /// What was to run.
        program: String,
        /// Which were tried.
        source: RuntimeError,
    },
    /// A directory for it can't be made.
    #[error("make {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process that runs it can't be started or talked to.
    #[error("start the process that runs a step: {source}")]
    Start {
        /// What the system said.
        source: io::Error,
    },
    /// The process that ran it was killed, or failed without a word.
    #[error("run a step: the process that runs it ended early: {reason}")]
    Lost {
        /// Its last words, or how it ended.
        reason: String,
    },
    /// The runtime could not start the command, or something for it can't be had.
    #[error("run {program}: {reason}")]
    Refused {
        /// What was to run.
        program: String,
        /// 127 where the program is not found, 126 where it can't be executed, else 125.
        code: u8,
        /// Why.
        reason: String,
    },
    /// The program is made for other processors than this machine's.
    #[error(
        "run {program}: exec format error: it is made for linux/{architecture}, and this machine, \
         {host}, can't run that; install the packages qemu-user-static and binfmt-support, or build \
         for {host}"
    )]
    Foreign {
        /// What was to run.
        program: String,
        /// What it is made for.
        architecture: &'static str,
        /// What this machine is.
        host: Platform,
    },
    /// What it changed can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its layer can't be written.
    #[error("write the layer of a step: {0}")]
    Write(#[source] WriteError),
    /// What was written is no layer.
    #[error("write the layer of a step: {0}")]
    Layer(#[source] IngestError),
    /// The caller wanted it no longer.
    #[error("run a step: canceled")]
    Cancelled,
}

impl StepError {
    /// The exit status that a shell has for it: 127 where the program is not found, 126 where it
    /// can't be executed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Foreign { .. } => 126,
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
    let directory = lease.directory()?;
    let ready = prepare::ready(context, lease, step, directory.path(), Streams::Output)?;
    let pipe = || {
        pipe_with(PipeFlags::CLOEXEC).map_err(|errno| StepError::Start {
            source: errno.into(),
        })
    };
    let ((out, out_inside), (errors, errors_inside)) = (pipe()?, pipe()?);
    let inside = [out_inside.as_fd(), errors_inside.as_fd()];
    let mut helper = Helper::start(context, &ready.request, &inside)?;
    drop((out_inside, errors_inside));
    let end = carry(&mut helper, Outlets([out, errors]), output, cancel)?;
    let changes = Changes {
        helper: Some(helper),
        tree: OpenTree::new(ready.layers, &ready.request.upper, snapshot::marks())?,
        targets: ready.targets,
        directory: Some(directory),
        upper: ready.request.upper,
        work: ready.request.work,
    };
    let exit_code = code_of(context, step, end, &changes)?;
    Ok(Finished {
        exit_code: i32::from(exit_code),
        changes,
        warnings: ready.warnings,
    })
}

/// Runs a command with this process's own terminal, or standard streams, over what `changes` left:
/// as a shell in the root of a step that failed. Its exit status. What `cancel` ends is killed.
///
/// # Errors
/// [`StepError`] if it did not run.
pub fn shell(
    context: &Context,
    lease: &Lease,
    step: &Step,
    changes: &mut Changes,
    cancel: &Cancel,
) -> Result<i32, StepError> {
    // Two overlays on one upper directory would disturb each other.
    changes.helper = None;
    let directory = lease.directory()?;
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let streams = match is_terminal {
        true => Streams::Terminal(size_of_terminal()),
        false => Streams::All,
    };
    let mut request = prepare::ready(context, lease, step, directory.path(), streams)?.request;
    request.upper.clone_from(&changes.upper);
    request.work.clone_from(&changes.work);
    let (input, out, errors) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [input.as_fd(), out.as_fd(), errors.as_fd()];
    let mut helper = Helper::start(context, &request, &streams)?;
    let end = carry::end(helper.next(cancel)?, false)?;
    code_of(context, step, end, changes).map(i32::from)
}

fn size_of_terminal() -> TerminalSize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.map_or_else(
        |_| TerminalSize::default(),
        |size| TerminalSize {
            rows: size.ws_row,
            columns: size.ws_col,
        },
    )
}

/// The exit status of a command that ran; why it didn't, as well as that can be told.
fn code_of(context: &Context, step: &Step, end: End, changes: &Changes) -> Result<u8, StepError> {
    let is_format_error = match &end {
        End::Exited {
            code,
            has_format_error,
        } => *code != 0 && *has_format_error,
        End::Refused { reason, .. } => reason.to_ascii_lowercase().contains("exec format error"),
    };
    if is_format_error && let Some(architecture) = program::foreign(&changes.tree, step) {
        return Err(StepError::Foreign {
            program: step.program(),
            architecture,
            host: context.settings().platform.clone(),
        });
    }
    match end {
        End::Exited { code, .. } => Ok(code),
        End::Refused { code, reason } => Err(StepError::Refused {
            program: step.program(),
            code,
            reason,
        }),
    }
}

impl Step {
    fn program(&self) -> String {
        self.args.first().cloned().unwrap_or_default()
    }
}
