//! The supervisor of one container: a process of its own, in a mount namespace of its own, from
//! the start of the container to its end. It makes the root file system, has the OCI runtime start
//! the process, carries its streams to log and attached, and records how it ended.
//!
//! Whatever ends the supervisor also ends its namespace, and with it every mount it made.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use shiplap_run::attach::{Audience, Message};
use shiplap_run::console::ConsoleSocket;
use shiplap_run::log::{LineCutter, LogWriter, Stream};
use shiplap_run::{namespaces, signals};

use super::bundle::{self, BundleError, Prepared};
use super::network::{self, NetworkError, Uplink};
use super::{Container, ContainerError, State, find, remove};
use crate::context::Context;

/// How long the streams of a container that ended may still be read, and the attached be told.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Why a container could not be started.
#[derive(Debug, thiserror::Error)]
enum SuperviseError {
    #[error(transparent)]
    Container(#[from] ContainerError),
    #[error("start container {name}: another supervisor watches over it")]
    Watched { name: String },
    #[error(transparent)]
    Namespace(#[from] namespaces::NamespaceError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("{step}: {source}")]
    System {
        step: &'static str,
        source: io::Error,
    },
    #[error("start container {name}: {reason}")]
    Runtime { name: String, reason: String },
}

impl SuperviseError {
    fn system(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { step, source }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Runtime { reason, .. } => refusal_code(reason),
            _ => 125,
        }
    }
}

/// Docker's exit status for what a runtime says: 127 where the program is not found, 126 where it
/// can't be executed, else 125.
pub(crate) fn refusal_code(reason: &str) -> u8 {
    let reason = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&[
        "permission denied",
        "open executable",
        "is a directory",
        "exec format error",
    ]) {
        126
    } else if has(&["not found", "no such file"]) {
        127
    } else {
        125
    }
}

/// Starts a container and watches over it to its end. `control` is told whether it started, and is
/// attached from then on.
pub fn supervise(context: &Context, id: &str, control: UnixStream) {
    let mut line = control;
    match begin(context, id) {
        Ok(running) => running.watch(context, line),
        Err(error) => {
            note_failure(context, id, &error);
            let told = Message::Failed {
                code: error.code(),
                reason: error.to_string(),
            }
            .write(&mut line);
            // Who asked may be gone; the container's state says the same.
            drop(told);
        }
    }
}

fn note_failure(context: &Context, id: &str, error: &SuperviseError) {
    if matches!(error, SuperviseError::Watched { .. }) {
        return;
    }
    let noted = find(context, id).and_then(|container| {
        let state = State {
            exit_code: error.code(),
            error: Some(error.to_string()),
            ..State::created()
        };
        container.write_state(&state)
    });
    if let Err(error) = noted {
        tracing::warn!(%error, "the state of a container can't be written");
    }
}

/// A container whose process runs.
struct Running {
    container: Container,
    prepared: Prepared,
    /// Held to the end.
    _lock: File,
    pid: Pid,
    /// Its way out of a network of its own.
    uplink: Option<Uplink>,
    state: State,
    io: Streams,
    listener: UnixListener,
}

/// Our ends of the container's standard streams.
struct Streams {
    input: Option<File>,
    output: Option<File>,
    errors: Option<File>,
    /// The outer end of its terminal, if it has one.
    terminal: Option<OwnedFd>,
}

fn begin(context: &Context, id: &str) -> Result<Running, SuperviseError> {
    signals::take_usual().map_err(SuperviseError::system("take signals"))?;
    let container = find(context, id)?;
    let Some(lock) = container.supervisor_lock()? else {
        return Err(SuperviseError::Watched {
            name: container.name,
        });
    };
    // A failure means that it leads a session already.
    let _ = rustix::process::setsid();
    // Processes of the container that lose their parent become ours, so their end is known.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|errno| {
        SuperviseError::system("become the reaper of a container")(errno.into())
    })?;
    #[expect(
        clippy::disallowed_methods,
        reason = "no other thread is there yet, and sockets get short names from here"
    )]
    std::env::set_current_dir(&container.directory)
        .map_err(SuperviseError::system("enter the directory of a container"))?;
    namespaces::private_mounts()?;
    let plan = network::plan(context, &container)?;
    let prepared = bundle::prepare(context, &container)?;
    let listener = listen().map_err(SuperviseError::system("listen for attaching"))?;
    let (pid, io) = launch(&container, &prepared, plan.is_none())?;
    let (state, uplink) = set_going(context, &container, &prepared, plan, pid)
        .inspect_err(|_| prepared.clean(&container))?;
    Ok(Running {
        container,
        prepared,
        _lock: lock,
        pid,
        uplink,
        state,
        io,
        listener,
    })
}

fn listen() -> io::Result<UnixListener> {
    match std::fs::remove_file("attach.sock") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind("attach.sock")
}

/// Records that a container runs. One that was only made is joined to the network before, and its
/// program run.
fn set_going(
    context: &Context,
    container: &Container,
    prepared: &Prepared,
    plan: Option<network::Plan>,
    pid: Pid,
) -> Result<(State, Option<Uplink>), SuperviseError> {
    let state = State::running(pid.as_raw_nonzero().get());
    // From here on whoever finds it without a supervisor knows what to clear.
    container.write_state(&state)?;
    let uplink = match plan {
        Some(plan) => connect(container, prepared, plan, pid)?,
        None => None,
    };
    let record = container.record(shiplap_store::ContainerState::Running);
    let store = context.store().map_err(ContainerError::from)?;
    store.put_container(&record).map_err(ContainerError::from)?;
    Ok((state, uplink))
}

fn connect(
    container: &Container,
    prepared: &Prepared,
    plan: network::Plan,
    pid: Pid,
) -> Result<Option<Uplink>, SuperviseError> {
    let uplink = plan.attach(container, pid)?;
    let output = prepared
        .start_command()
        .stdin(Stdio::null())
        .output()
        .map_err(SuperviseError::system("call the OCI runtime"))?;
    if output.status.success() {
        return Ok(uplink);
    }
    Err(SuperviseError::Runtime {
        name: container.name.clone(),
        reason: bundle::runtime_words(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// Has the runtime make the process, and start it if `starts`; its ID, and our ends of its
/// streams.
fn launch(
    container: &Container,
    prepared: &Prepared,
    starts: bool,
) -> Result<(Pid, Streams), SuperviseError> {
    let process = &container.facts.options.process;
    let pipe = || {
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|errno| SuperviseError::system("make a pipe")(errno.into()))
    };
    let console = match process.tty {
        true => Some(
            ConsoleSocket::bind("console.sock".as_ref())
                .map_err(SuperviseError::system("listen for the terminal"))?,
        ),
        false => None,
    };
    let (output, output_inside) = pipe()?;
    let (errors, errors_inside) = pipe()?;
    let console_path = console.as_ref().map(ConsoleSocket::path);
    let mut command = match starts {
        true => prepared.run_command(console_path),
        false => prepared.create_command(console_path),
    };
    command.stdout(output_inside).stderr(errors_inside);
    let input = if process.interactive && !process.tty {
        let (inside, input) = pipe()?;
        command.stdin(inside);
        Some(File::from(input))
    } else {
        command.stdin(Stdio::null());
        None
    };
    let status = command
        .status()
        .map_err(SuperviseError::system("call the OCI runtime"))?;
    // The command holds the inner ends.
    drop(command);
    if !status.success() {
        let mut words = String::new();
        // What could be read of its words is all there is.
        drop(File::from(errors).take(64 << 10).read_to_string(&mut words));
        return Err(SuperviseError::Runtime {
            name: container.name.clone(),
            reason: bundle::runtime_words(&words),
        });
    }
    let pid = prepared.pid()?;
    let terminal = console
        .map(|console| console.receive())
        .transpose()
        .map_err(SuperviseError::system("take over the terminal"))?;
    let streams = match terminal {
        Some(terminal) => {
            let twin = || terminal.try_clone().map(File::from);
            let twin = || twin().map_err(SuperviseError::system("use the terminal"));
            Streams {
                input: process.interactive.then(twin).transpose()?,
                output: Some(twin()?),
                errors: None,
                terminal: Some(terminal),
            }
        }
        None => Streams {
            input,
            output: Some(output.into()),
            errors: Some(errors.into()),
            terminal: None,
        },
    };
    Ok((pid, streams))
}

/// What the threads of a supervisor share.
pub(super) struct Shared {
    pub(super) audience: Audience,
    pub(super) log: LogWriter,
    pub(super) input: Mutex<Option<File>>,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) process: Option<OwnedFd>,
}

impl Running {
    fn watch(self, context: &Context, control: UnixStream) {
        let mut control = control;
        let log = match self.open_log() {
            Ok(log) => log,
            Err(error) => {
                tracing::warn!(%error, "nothing is logged");
                return;
            }
        };
        let shared = Arc::new(Shared {
            audience: Audience::default(),
            log,
            input: Mutex::new(self.io.input),
            terminal: self.io.terminal,
            process: rustix::process::pidfd_open(self.pid, PidfdFlags::empty()).ok(),
        });
        let started = Message::Started {
            pid: self.pid.as_raw_nonzero().get(),
        };
        if started.write(&mut control).is_ok() {
            attend(&shared, control);
        }
        let (ended, streams_end) = channel::<()>();
        let pumps = [
            (self.io.output, Stream::Stdout),
            (self.io.errors, Stream::Stderr),
        ];
        for (file, stream) in pumps {
            let Some(file) = file else { continue };
            let (shared, ended) = (Arc::clone(&shared), ended.clone());
            thread::spawn(move || {
                pump(&shared, file, stream);
                drop(ended);
            });
        }
        drop(ended);
        let listener = self.listener;
        let doorman = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                attend(&doorman, client);
            }
        });
        let code = reap(self.pid);
        drop(self.uplink);
        // Whatever else had the streams open died with process 1; a stuck reader must not keep
        // the end from being told.
        let drained = streams_end.recv_timeout(PATIENCE);
        if drained == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("somebody attached takes no output");
        }
        finish(context, &self.container, &self.state.exited(code));
        // Who is told of the end must find what Docker would leave; the rest can wait.
        let removes = self.container.facts.options.auto_remove;
        if removes {
            self.prepared.clean(&self.container);
            remove::erase(context, &self.container);
            // A full disk may have had no room to forget it before.
            if let Ok(store) = context.store() {
                drop(store.remove_container(self.container.id()));
            }
        }
        shared.audience.dismiss(&Message::Exited { code }, PATIENCE);
        if !removes {
            self.prepared.clean(&self.container);
        }
    }

    fn open_log(&self) -> Result<LogWriter, ContainerError> {
        let path = self.container.path("log.json");
        let options = self.container.facts.options.log;
        LogWriter::open(&path, options).map_err(ContainerError::file("open", &path))
    }
}

/// Waits for process 1, and buries whoever else is left to this process.
pub(crate) fn reap(wanted: Pid) -> u8 {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == wanted => {
                let signalled = status.terminating_signal().map(|signal| 128 + signal);
                let code = status.exit_status().or(signalled).unwrap_or(255);
                return u8::try_from(code).unwrap_or(255);
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // There is no child: somebody else waited for it.
            Err(_) => return 255,
        }
    }
}

/// Records the end.
fn finish(context: &Context, container: &Container, state: &State) {
    let recorded = || -> Result<(), ContainerError> {
        container.write_end(state)?;
        let store = context.store()?;
        if container.facts.options.auto_remove {
            store.remove_container(container.id())?;
        } else {
            // The name may have changed meanwhile.
            let name = find(context, container.id())?.name;
            let renamed = Container {
                name,
                ..container.clone()
            };
            store.put_container(&renamed.record(state.status.into()))?;
        }
        Ok(())
    };
    if let Err(error) = recorded() {
        tracing::warn!(%error, "the end of a container can't be recorded");
    }
}

/// Carries one stream to log and attached.
pub(super) fn pump(shared: &Shared, mut file: File, stream: Stream) {
    let mut cutter = LineCutter::new(&shared.log, stream);
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A terminal whose other end is gone says EIO.
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let bytes = buffer[..count].to_vec();
        if let Err(error) = cutter.take(&bytes) {
            tracing::warn!(%error, "output is not logged");
        }
        shared.audience.tell(&match stream {
            Stream::Stdout => Message::Stdout(bytes),
            Stream::Stderr => Message::Stderr(bytes),
        });
    }
    if let Err(error) = cutter.finish() {
        tracing::warn!(%error, "output is not logged");
    }
}

/// Takes somebody among the attached, and does what they say until they leave.
pub(super) fn attend(shared: &Arc<Shared>, client: UnixStream) {
    let Ok(member) = client.try_clone() else {
        return;
    };
    shared.audience.join(member);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut client = client;
        while let Ok(Some(message)) = Message::read(&mut client) {
            obey(&shared, message);
        }
    });
}

fn obey(shared: &Shared, message: Message) {
    let input = || shared.input.lock().unwrap_or_else(PoisonError::into_inner);
    let done: io::Result<()> = match message {
        Message::Stdin(bytes) => input()
            .as_mut()
            .map_or(Ok(()), |input| input.write_all(&bytes)),
        // Of a terminal this is one of several who type.
        Message::StdinEnd if shared.terminal.is_none() => {
            input().take();
            Ok(())
        }
        Message::Resize { rows, columns } => match &shared.terminal {
            Some(terminal) => rustix::termios::tcsetwinsize(
                terminal,
                rustix::termios::Winsize {
                    ws_row: rows,
                    ws_col: columns,
                    ws_xpixel: 0,
                    ws_ypixel: 0,
                },
            )
            .map_err(io::Error::from),
            None => Ok(()),
        },
        Message::Signal(number) => match (&shared.process, Signal::from_named_raw(number)) {
            (Some(process), Some(signal)) => {
                rustix::process::pidfd_send_signal(process, signal).map_err(io::Error::from)
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    };
    if let Err(error) = done {
        tracing::debug!(%error, "what an attached one sent is lost");
    }
}

/// The command with nothing but what the caller adds.
pub(super) fn quiet(mut command: Command) -> Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
