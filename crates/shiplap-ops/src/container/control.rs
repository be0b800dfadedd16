//! `stop`, `kill`, `wait`, `pause` and `unpause`: what is asked of a container that runs, through
//! its supervisor, which has the right to it.

use std::io;
use std::time::{Duration, Instant};

use shiplap_model::container::signal::{self, SignalError};
use shiplap_run::attach::Message;

use super::start::{StartError, connect};
use super::supervise::quiet;
use super::{Container, ContainerError, State, Status, bundle};
use crate::context::Context;

/// How long `stop` waits unless told otherwise.
pub const STOP_SECS: u32 = 10;
/// How long a killed process may take to die.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Why a container does not do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It can't be found or read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It does not run.
    #[error("{action} container {name}: container {id} is not running")]
    NotRunning {
        /// What was asked.
        action: &'static str,
        /// Its name.
        name: String,
        /// Its short ID.
        id: String,
    },
    /// There is no such signal.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// Its supervisor can't be reached.
    #[error(transparent)]
    Line(#[from] StartError),
    /// Its supervisor does not answer.
    #[error("talk to the supervisor of container {name}: {source}")]
    Talk {
        /// The container.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// It does not die.
    #[error("kill container {name}: it still runs after {} seconds", KILL_PATIENCE.as_secs())]
    Immortal {
        /// The container.
        name: String,
    },
    /// The runtime refuses.
    #[error("{action} container {name}: {reason}")]
    Runtime {
        /// What was asked.
        action: &'static str,
        /// The container.
        name: String,
        /// The runtime's words.
        reason: String,
    },
    /// It must not be frozen for that.
    #[error("{action} container {name}: it is {}", status.word())]
    Status {
        /// What was asked.
        action: &'static str,
        /// The container.
        name: String,
        /// What it does.
        status: Status,
    },
}

fn not_running(container: &Container, action: &'static str) -> ControlError {
    ControlError::NotRunning {
        action,
        name: container.name.clone(),
        id: container.short_id().to_owned(),
    }
}

/// Sends a signal to the container's process; waits for its end if it is SIGKILL.
///
/// # Errors
/// [`ControlError`].
pub fn kill(container: &Container, signal: i32) -> Result<(), ControlError> {
    let is_kill = signal == rustix::process::Signal::KILL.as_raw();
    let state = container.state()?;
    if !state.status.is_live() {
        return match is_kill && end_lost(container, &state) {
            true => Ok(()),
            false => Err(not_running(container, "kill")),
        };
    }
    let line = connect(container)?;
    send(container, &line, signal)?;
    if is_kill && !ends_within(container, line, KILL_PATIENCE)? {
        return Err(ControlError::Immortal {
            name: container.name.clone(),
        });
    }
    Ok(())
}

/// Ends the process of a container that lost its supervisor, which it may outlive; whether there
/// was one.
fn end_lost(container: &Container, state: &State) -> bool {
    let process = container.process(state);
    let Some(process) = process.filter(|_| state.status == Status::Exited) else {
        return false;
    };
    // It may end by itself at this moment.
    let _ = rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL);
    true
}

/// Asks the container's process to end, and kills it if it has not after `timeout_secs` (`None`:
/// what the container was made with, else ten; negative: waits without end). One that does not
/// run is left alone.
///
/// # Errors
/// [`ControlError`].
pub fn stop(
    container: &Container,
    signal: Option<&str>,
    timeout_secs: Option<i64>,
) -> Result<(), ControlError> {
    let state = container.state()?;
    if !state.status.is_live() {
        end_lost(container, &state);
        return Ok(());
    }
    let config = &container.facts.config;
    let number = match signal.or(config.stop_signal.as_deref()) {
        Some(word) if !word.is_empty() => signal::parse(word)?,
        _ => rustix::process::Signal::TERM.as_raw(),
    };
    let process = &container.facts.options.process;
    let seconds = timeout_secs
        .or(process.stop_timeout_secs.map(i64::from))
        .unwrap_or_else(|| i64::from(STOP_SECS));
    let line = connect(container)?;
    send(container, &line, number)?;
    let patience = u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs);
    if ends_within(container, line, patience)? {
        return Ok(());
    }
    match kill(container, rustix::process::Signal::KILL.as_raw()) {
        // It ended just now.
        Err(ControlError::NotRunning { .. } | ControlError::Line(_)) => Ok(()),
        result => result,
    }
}

/// Waits for the end of a container; its exit status.
///
/// # Errors
/// [`ControlError`].
pub fn wait(container: &Container) -> Result<u8, ControlError> {
    if container.state()?.status.is_live()
        && let Ok(line) = connect(container)
        && let Some(code) = exit_code(line, None)?
    {
        return Ok(code);
    }
    Ok(container.state()?.exit_code)
}

fn send(
    container: &Container,
    mut line: &std::os::unix::net::UnixStream,
    signal: i32,
) -> Result<(), ControlError> {
    Message::Signal(signal)
        .write(&mut line)
        .map_err(|source| ControlError::Talk {
            name: container.name.clone(),
            source,
        })
}

fn ends_within(
    container: &Container,
    line: std::os::unix::net::UnixStream,
    patience: Duration,
) -> Result<bool, ControlError> {
    let deadline = Instant::now().checked_add(patience);
    if exit_code(line, deadline)?.is_some() {
        return Ok(true);
    }
    Ok(!container.directory.exists() || !container.state()?.status.is_live())
}

/// The exit status, once the supervisor tells it; `None` if it does not until then.
fn exit_code(
    mut line: std::os::unix::net::UnixStream,
    deadline: Option<Instant>,
) -> Result<Option<u8>, ContainerError> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        // A time that can't be set only makes the wait longer.
        drop(line.set_read_timeout(left));
        match Message::read(&mut line) {
            Ok(Some(Message::Exited { code })) => return Ok(Some(code)),
            Ok(Some(_)) => {}
            // Output and time-outs look alike at the end: the container's state decides.
            Ok(None) | Err(_) => return Ok(None),
        }
    }
}

/// Freezes the container's processes.
///
/// # Errors
/// [`ControlError`].
pub fn pause(context: &Context, container: &Container) -> Result<(), ControlError> {
    freeze(context, container, Status::Running, Status::Paused, "pause")
}

/// Lets the container's processes go on.
///
/// # Errors
/// [`ControlError`].
pub fn unpause(context: &Context, container: &Container) -> Result<(), ControlError> {
    freeze(
        context,
        container,
        Status::Paused,
        Status::Running,
        "unpause",
    )
}

fn freeze(
    context: &Context,
    container: &Container,
    from: Status,
    to: Status,
    action: &'static str,
) -> Result<(), ControlError> {
    let _lock = container.lock()?;
    let state = container.state()?;
    if !state.status.is_live() {
        return Err(not_running(container, action));
    }
    if state.status != from {
        return Err(ControlError::Status {
            action,
            name: container.name.clone(),
            status: state.status,
        });
    }
    let refused = |reason: String| ControlError::Runtime {
        action,
        name: container.name.clone(),
        reason,
    };
    let runtime =
        bundle::runtime(context, &container.facts).map_err(|error| refused(error.to_string()))?;
    let root = bundle::runtime_root(context).map_err(|error| refused(error.to_string()))?;
    let mut command = quiet(match to {
        Status::Paused => runtime.pause(&root, container.id()),
        _ => runtime.resume(&root, container.id()),
    });
    let output = command
        .stderr(std::process::Stdio::piped())
        .output()
        .map_err(|error| refused(error.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(refused(bundle::runtime_words(&words)));
    }
    container.write_state(&State {
        status: to,
        ..state
    })?;
    Ok(())
}
