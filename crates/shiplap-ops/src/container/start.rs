//! `start`: gives a container its supervisor, and says what came of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use shiplap_run::attach::Message;

use super::{Container, ContainerError, State, lost};
use crate::context::Context;

/// Why a container does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its files or its record can't be used.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Its supervisor can't be started or talked to.
    #[error("start the supervisor of container {name}: {source}")]
    Supervisor {
        /// The container.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The supervisor ended without a word.
    #[error("start container {name}: its supervisor ended early; {} says more", log.display())]
    Silent {
        /// The container.
        name: String,
        /// Where its words are.
        log: std::path::PathBuf,
    },
    /// It runs, but nobody is there to talk to.
    #[error(
        "reach container {name}: it runs, but its supervisor is gone; restart gives it a new one"
    )]
    Unwatched {
        /// The container.
        name: String,
    },
    /// The supervisor could not start it.
    #[error("{reason}")]
    Refused {
        /// What `run` exits with: 125, 126 or 127.
        code: u8,
        /// Why.
        reason: String,
    },
}

impl StartError {
    /// What `run` exits with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { code, .. } => *code,
            _ => 125,
        }
    }
}

/// A container that runs, and the line to its supervisor: its output comes from it.
#[derive(Debug)]
pub struct Started {
    /// The line; dropped, the container goes on.
    pub line: UnixStream,
    /// It ran already.
    pub was_running: bool,
}

/// Starts a container.
///
/// # Errors
/// [`StartError`].
pub fn start(context: &Context, container: &Container) -> Result<Started, StartError> {
    let _lock = container.lock()?;
    if container.state()?.status.is_live() {
        return Ok(Started {
            line: connect(container)?,
            was_running: true,
        });
    }
    // The one before may not have cleared away yet.
    container.await_supervisor()?;
    lost::clean(context, container)?;
    let failed = |source| StartError::Supervisor {
        name: container.name.clone(),
        source,
    };
    let (mut line, theirs) = UnixStream::pair().map_err(failed)?;
    let log = container.path("supervisor.log");
    let words = File::create(&log).map_err(failed)?;
    let program = &context.settings().containers.program;
    program
        .command()
        .args(["system", "supervise", container.id()])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(words)
        .spawn()
        .map_err(failed)?;
    match Message::read(&mut line).map_err(failed)? {
        Some(Message::Started { .. }) => Ok(Started {
            line,
            was_running: false,
        }),
        Some(Message::Failed { code, reason }) => Err(StartError::Refused { code, reason }),
        _ => Err(StartError::Silent {
            name: container.name.clone(),
            log,
        }),
    }
}

/// A line to the supervisor of a container that runs.
///
/// # Errors
/// [`StartError::Supervisor`], [`StartError::Unwatched`].
pub fn connect(container: &Container) -> Result<UnixStream, StartError> {
    if container.state()?.unwatched {
        return Err(StartError::Unwatched {
            name: container.name.clone(),
        });
    }
    let dial = || {
        let directory = File::open(&container.directory)?;
        // The path itself may be longer than an address of a socket can be.
        let number = std::os::fd::AsRawFd::as_raw_fd(&directory.as_fd());
        UnixStream::connect(format!("/proc/self/fd/{number}/attach.sock"))
    };
    dial().map_err(|source| StartError::Supervisor {
        name: container.name.clone(),
        source,
    })
}

/// Waits until the container has ended; its last state.
///
/// # Errors
/// [`ContainerError`].
pub fn wait(container: &Container) -> Result<State, ContainerError> {
    container.await_supervisor()?;
    container.state()
}
