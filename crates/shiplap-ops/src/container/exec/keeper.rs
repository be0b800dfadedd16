//! The keeper of one process that `exec` runs on a terminal: a process of its own that holds the
//! outer end of the terminal, so that the user may leave and the program goes on.
//!
//! It is what a supervisor is to a container, without mounts, log or state: nobody comes back to it.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, PidfdFlags};
use shiplap_model::container::log::{LogDriver, LogOptions};
use shiplap_run::attach::{Audience, Message};
use shiplap_run::console::ConsoleSocket;
use shiplap_run::log::{LogWriter, Stream};
use shiplap_run::signals;

use super::{ExecError, ExecOptions, process_file};
use crate::container::supervise::{self, PATIENCE, Shared};
use crate::container::{Container, ContainerError, bundle, find};
use crate::context::Context;

/// Runs a process in a container on a terminal of its own; the line to its keeper, on which its
/// output comes. Dropped, the program goes on.
///
/// # Errors
/// [`ExecError`].
pub fn exec_on_terminal(
    context: &Context,
    container: &Container,
    options: &ExecOptions,
) -> Result<UnixStream, ExecError> {
    let system = ExecError::system(container);
    let file = process_file(container, options)?;
    let (mut line, theirs) = UnixStream::pair().map_err(&system)?;
    let program = &context.settings().containers.program;
    program
        .command()
        .args(["system", "keep", container.id()])
        .arg(file.path())
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(&system)?;
    match Message::read(&mut line).map_err(&system)? {
        Some(Message::Started { .. }) => Ok(line),
        Some(Message::Failed { code, reason }) => Err(ExecError::Runtime {
            name: container.name.clone(),
            reason,
            code,
        }),
        _ => Err(system(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Runs the process that a file describes, and keeps it to its end. `control` is told whether it
/// started, and is attached from then on.
pub fn keep(context: &Context, id: &str, process: &Path, control: UnixStream) {
    let mut line = control;
    match begin(context, id, process) {
        Ok(kept) => kept.watch(line),
        Err(error) => {
            let failed = Message::Failed {
                code: error.exit_code(),
                reason: match error {
                    ExecError::Runtime { reason, .. } => reason,
                    other => other.to_string(),
                },
            };
            // Who asked may be gone.
            drop(failed.write(&mut line));
        }
    }
}

/// A process that runs, and our end of its terminal.
struct Kept {
    pid: Pid,
    terminal: OwnedFd,
}

fn begin(context: &Context, id: &str, process: &Path) -> Result<Kept, ExecError> {
    let container = find(context, id)?;
    let system = ExecError::system(&container);
    signals::take_usual().map_err(&system)?;
    // A failure means that it leads a session already.
    let _ = rustix::process::setsid();
    // The runtime goes, and leaves the process to us.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|errno| system(errno.into()))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "no other thread is there yet, and sockets get short names from here"
    )]
    std::env::set_current_dir(&container.directory).map_err(&system)?;
    let name = format!("exec-{}", std::process::id());
    let console = ConsoleSocket::bind(format!("{name}.sock").as_ref()).map_err(&system)?;
    let pid_file = container.path(&format!("{name}.pid"));
    let log = tempfile::NamedTempFile::new_in(&container.directory).map_err(&system)?;
    let runtime = bundle::runtime(context, &container.facts)?.logging_to(log.path());
    let root = bundle::runtime_root(context).map_err(ContainerError::from)?;
    let console_path = Some(console.path());
    let command = runtime.exec(&root, id, process, Some(&pid_file), console_path, true);
    let status = supervise::quiet(command).status().map_err(&system)?;
    let pid = fs::read_to_string(&pid_file).unwrap_or_default();
    drop(fs::remove_file(&pid_file));
    if !status.success() {
        let said = fs::read_to_string(log.path()).unwrap_or_default();
        return Err(ExecError::refused(&container, &said));
    }
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| system(io::ErrorKind::InvalidData.into()))?;
    let terminal = console.receive().map_err(&system)?;
    Ok(Kept { pid, terminal })
}

impl Kept {
    fn watch(self, control: UnixStream) {
        let mut control = control;
        let twin = || self.terminal.try_clone().map(File::from).ok();
        let (input, output) = (twin(), twin());
        let nowhere = LogOptions {
            driver: LogDriver::None,
            ..LogOptions::default()
        };
        let Ok(log) = LogWriter::open(Path::new(""), nowhere) else {
            return;
        };
        let shared = Arc::new(Shared {
            audience: Audience::default(),
            log,
            input: Mutex::new(input),
            terminal: Some(self.terminal),
            process: rustix::process::pidfd_open(self.pid, PidfdFlags::empty()).ok(),
        });
        let started = Message::Started {
            pid: self.pid.as_raw_nonzero().get(),
        };
        if started.write(&mut control).is_ok() {
            supervise::attend(&shared, control);
        }
        let (ended, output_ends) = channel::<()>();
        if let Some(output) = output {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                supervise::pump(&shared, output, Stream::Stdout);
                drop(ended);
            });
        }
        let code = supervise::reap(self.pid);
        // A reader that is stuck must not keep the end from being told.
        let _ = output_ends.recv_timeout(PATIENCE);
        shared.audience.dismiss(&Message::Exited { code }, PATIENCE);
    }
}
