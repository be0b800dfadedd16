//! `stop`, `kill`, `wait`, `pause` and `unpause`: what is asked of a container that runs, through
//! its supervisor, or of its process itself if that outlived its supervisor.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use shiplap_model::container::signal::{self, SignalError};
use shiplap_run::attach::Message;

use super::start::{StartError, connect};
use super::supervise::quiet;
use super::{Container, ContainerError, State, Status, bundle};
use crate::context::Context;

/// How long `stop` waits unless told otherwise.
pub const STOP_SECS: u32 = 10;
/// How long a killed process may take to die.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(10);

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
    let is_kill = signal == Signal::KILL.as_raw();
    let state = container.state()?;
    if !state.status.is_live() {
        return Err(not_running(container, "kill"));
    }
    if !is_kill {
        return tell(container, &state, signal).map(drop);
    }
    if has_ended_by(container, &state, signal, KILL_PATIENCE)? {
        return Ok(());
    }
    Err(ControlError::Immortal {
        name: container.name.clone(),
    })
}

/// How a container that runs is reached.
enum Reach {
    /// Through its supervisor.
    Line(UnixStream),
    /// Directly: its supervisor is gone.
    Process(OwnedFd),
}

impl Reach {
    fn of(container: &Container, state: &State) -> Result<Self, ControlError> {
        let gone = || not_running(container, "reach");
        let directly = |state: &State| container.process(state).map(Self::Process);
        if state.unwatched {
            return directly(state).ok_or_else(gone);
        }
        let unheard = match connect(container) {
            Ok(line) => return Ok(Self::Line(line)),
            Err(error) => error,
        };
        // One that takes nobody any more is ending, by itself or because it was killed: what is left
        // then decides.
        match left_behind(container, None)? {
            Left::Process(process) => Ok(Self::Process(process)),
            Left::Nothing | Left::Watched => Err(unheard.into()),
        }
    }
}

fn signal_to(process: &OwnedFd, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It may end by itself at this moment.
        let _ = rustix::process::pidfd_send_signal(process, signal);
    }
}

/// Waits for the end of a process; whether it came in time.
pub(super) fn dies_within(process: &OwnedFd, patience: Option<Duration>) -> bool {
    let mut waits = [PollFd::new(process, PollFlags::IN)];
    let patience = patience.and_then(|patience| {
        Some(Timespec {
            tv_sec: patience.as_secs().try_into().ok()?,
            tv_nsec: patience.subsec_nanos().into(),
        })
    });
    loop {
        match rustix::event::poll(&mut waits, patience.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.is_ok_and(|count| count > 0),
        }
    }
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
        return Ok(());
    }
    let config = &container.facts.config;
    let number = match signal.or(config.stop_signal.as_deref()) {
        Some(word) if !word.is_empty() => signal::parse(word)?,
        _ => Signal::TERM.as_raw(),
    };
    let process = &container.facts.options.process;
    let seconds = timeout_secs
        .or(process.stop_timeout_secs.map(i64::from))
        .unwrap_or_else(|| i64::from(STOP_SECS));
    let patience = u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs);
    if has_ended_by(container, &state, number, patience)? {
        return Ok(());
    }
    match kill(container, Signal::KILL.as_raw()) {
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
    let state = container.state()?;
    if state.status.is_live() {
        // If it can't be reached, it ended just now.
        match Reach::of(container, &state) {
            Ok(Reach::Line(line)) => {
                if let Some(code) = exit_code(line, None)? {
                    return Ok(code);
                }
                if let Left::Process(process) = left_behind(container, None)? {
                    dies_within(&process, None);
                }
            }
            Ok(Reach::Process(process)) => {
                dies_within(&process, None);
            }
            Err(_) => {}
        }
    }
    Ok(container.state()?.exit_code)
}

/// Sends a signal; by what way it went.
fn tell(container: &Container, state: &State, signal: i32) -> Result<Reach, ControlError> {
    let reach = Reach::of(container, state)?;
    let reach = match reach {
        Reach::Line(line) => match Message::Signal(signal).write(&mut &line) {
            Ok(()) => return Ok(Reach::Line(line)),
            // It died as it was spoken to.
            Err(source) => match left_behind(container, Instant::now().checked_add(KILL_PATIENCE))?
            {
                Left::Process(process) => Reach::Process(process),
                Left::Nothing => return Err(not_running(container, "reach")),
                Left::Watched => {
                    let name = container.name.clone();
                    return Err(ControlError::Talk { name, source });
                }
            },
        },
        process @ Reach::Process(_) => process,
    };
    if let Reach::Process(process) = &reach {
        signal_to(process, signal);
    }
    Ok(reach)
}

/// Sends a signal; whether the container ends by it in time. If its supervisor dies meanwhile, its process gets
/// the signal directly.
fn has_ended_by(
    container: &Container,
    state: &State,
    signal: i32,
    patience: Duration,
) -> Result<bool, ControlError> {
    let deadline = Instant::now().checked_add(patience);
    let process = match tell(container, state, signal)? {
        Reach::Process(process) => process,
        Reach::Line(line) => {
            if exit_code(line, deadline)?.is_some() {
                return Ok(true);
            }
            match left_behind(container, deadline)? {
                Left::Nothing => return Ok(true),
                Left::Watched => return Ok(false),
                Left::Process(process) => {
                    signal_to(&process, signal);
                    process
                }
            }
        }
    };
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    Ok(dies_within(&process, left))
}

/// What there is of a container whose supervisor ended the line before its time.
enum Left {
    /// It ended.
    Nothing,
    /// Its process; the supervisor is gone.
    Process(OwnedFd),
    /// All of it.
    Watched,
}

/// How often what is left is looked at: a process that dies closes its files one after the other.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until one sees what a supervisor that ended the line left, or that it goes on.
fn left_behind(container: &Container, deadline: Option<Instant>) -> Result<Left, ControlError> {
    loop {
        if !container.directory.exists() {
            return Ok(Left::Nothing);
        }
        let state = container.state()?;
        if !state.status.is_live() {
            return Ok(Left::Nothing);
        }
        if state.unwatched {
            let process = container.process(&state);
            return Ok(process.map_or(Left::Nothing, Left::Process));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(Left::Watched);
        }
        std::thread::sleep(LOOK);
    }
}

/// The exit status, once the supervisor tells it; `None` if it does not until then.
fn exit_code(
    mut line: UnixStream,
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
