//! The check: a command in a container of the new image, without a network, and what it printed.

use std::io;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use serde::Serialize;
use shiplap_model::ImageId;
use shiplap_model::container::{ContainerOptions, NetworkMode, NetworkOptions, ProcessOptions};
use shiplap_store::{RemoveError, RemoveOptions, Resolved, Store};

use crate::container::create::{self, CreateError, CreateOptions, PullPolicy};
use crate::container::remove::{self, RemoveError as RemoveContainerError};
use crate::container::start::{self, StartError};
use crate::container::{self, ContainerError, Message};
use crate::context::Context;
use crate::progress::Progress;
use crate::snapshot::{self, SnapshotError};
use crate::step::Cancel;

/// How much of what it printed is kept, in bytes: the end is what matters.
const OUTPUT_BYTES: usize = 64 << 10;

/// The exit status of `run` for what is not the program's fault: there is no runtime, or it fails itself.
const CANNOT_RUN: u8 = 125;

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The command.
    pub command: String,
    /// Its exit status, as `run` has it.
    pub exit_code: u8,
    /// What it printed on both streams, or the end of it.
    pub output: String,
}

impl Checked {
    /// Whether it ended well.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.exit_code == 0
    }
}

/// Why the check can't be run.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The image can't be looked into.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// No container can be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// It can't be found or removed.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It can't be removed.
    #[error(transparent)]
    Remove(#[from] RemoveContainerError),
    /// Its supervisor can't be heard.
    #[error("hear the check {command:?}: {source}")]
    Line {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// No container can be run.
    #[error("run the check {command:?}: {reason}; no image was made")]
    Refused {
        /// The command.
        command: String,
        /// Why: a fragment that completes "failed to …".
        reason: String,
    },
    /// It was interrupted.
    #[error("run the check {command:?}: it was interrupted; no image was made")]
    Cancelled {
        /// The command.
        command: String,
    },
    /// Its supervisor went.
    #[error("hear the check {command:?}: its supervisor is gone")]
    Lost {
        /// The command.
        command: String,
    },
}

/// Runs the command: by the image's shell, or word by word if it has none.
pub(super) fn run(
    context: &Context,
    image: &ImageId,
    command: &str,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Checked, CheckError> {
    let stack = snapshot::open_id(context.store().map_err(SnapshotError::from)?, image.clone())?;
    let has_shell = stack.stack.resolve(b"bin/sh", true).is_ok();
    let words = match has_shell {
        true => vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()],
        false => command.split_whitespace().map(str::to_owned).collect(),
    };
    let options = CreateOptions {
        image: image.to_string(),
        pull: PullPolicy::Never,
        options: ContainerOptions {
            process: ProcessOptions {
                command: words,
                entrypoint: Some(Vec::new()),
                ..ProcessOptions::default()
            },
            network: NetworkOptions {
                mode: Some(NetworkMode::None),
                ..NetworkOptions::default()
            },
            // However this process ends, the container does not stay.
            auto_remove: true,
            ..ContainerOptions::default()
        },
        ..CreateOptions::default()
    };
    let created = create::create(context, options, progress)?;
    let checked = heard(context, &created.id, command, cancel);
    match remove::remove(context, &created.id, true, true) {
        Ok(_) | Err(RemoveContainerError::Container(ContainerError::NotFound { .. })) => checked,
        Err(error) => Err(error.into()),
    }
}

/// Starts the container and hears it to its end.
fn heard(
    context: &Context,
    id: &str,
    command: &str,
    cancel: &Cancel,
) -> Result<Checked, CheckError> {
    let container = container::find(context, id)?;
    let command = command.to_owned();
    let line = match start::start(context, &container) {
        Ok(started) => started.line,
        // A program that isn't there is as red as one that fails; where nothing can be run nothing is told of it.
        Err(StartError::Refused { code, reason }) if code == CANNOT_RUN => {
            return Err(CheckError::Refused { command, reason });
        }
        Err(StartError::Refused { code, reason }) => {
            return Ok(Checked {
                command,
                exit_code: code,
                output: reason,
            });
        }
        Err(StartError::Container(error)) => return Err(error.into()),
        Err(other) => {
            let source = io::Error::other(other);
            return Err(CheckError::Line { command, source });
        }
    };
    match said(&line, cancel) {
        _ if cancel.is_cancelled() => Err(CheckError::Cancelled { command }),
        Ok(Some((exit_code, output))) => Ok(Checked {
            command,
            exit_code,
            output: String::from_utf8_lossy(&output).into_owned(),
        }),
        Ok(None) => Err(CheckError::Lost { command }),
        Err(source) => Err(CheckError::Line { command, source }),
    }
}

/// The exit status and the end of what was printed; nothing if its supervisor went. Kills it once that is wanted.
fn said(mut line: &UnixStream, cancel: &Cancel) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut output = Vec::new();
    let mut is_killed = false;
    loop {
        if !is_killed {
            let mut waits = [
                PollFd::new(line, PollFlags::IN),
                PollFd::new(cancel, PollFlags::IN),
            ];
            match poll(&mut waits, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if cancel.is_cancelled() {
                is_killed = true;
                Message::Signal(Signal::KILL.as_raw()).write(&mut line)?;
            } else if waits[0].revents().is_empty() {
                continue;
            }
        }
        match Message::read(&mut line)? {
            Some(Message::Stdout(bytes) | Message::Stderr(bytes)) => {
                output.extend_from_slice(&bytes);
                let over = output.len().saturating_sub(OUTPUT_BYTES);
                output.drain(..over);
            }
            Some(Message::Exited { code }) => return Ok(Some((code, output))),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

/// Takes the image away again.
pub(super) fn undo(store: &Store, image: &ImageId) -> Result<(), RemoveError> {
    let target = Resolved::by_id(image.clone());
    let how = RemoveOptions {
        force: false,
        all_names: false,
    };
    store.remove_image(&target, how).map(drop)
}
