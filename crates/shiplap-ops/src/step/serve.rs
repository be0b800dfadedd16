//! The process that runs a step: it makes the root and all that is mounted in it, has the OCI runtime
//! start the command, and says how that ended.
//!
//! It is process 1 of a PID namespace and lives in a mount namespace of its own: whatever ends it
//! ends the command, and every mount. It writes nothing to the store but into the step's directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal};
use shiplap_layer::root::Root;
use shiplap_model::container::{NetworkMode, NetworkOptions, SecurityOptions};
use shiplap_run::attach::Message;
use shiplap_run::cgroups::{Cgroup, Cgroups};
use shiplap_run::mounts::{self, MountError, Writable};
use shiplap_run::namespaces::{self, EmptyNetwork, NamespaceError, in_user_namespace};
use shiplap_run::runtime::Runtime;
use shiplap_run::spec::{self, Bundle, BundleMount, Host, Network, Process};
use shiplap_run::{capabilities, handover, signals};

use super::mounts::{Mounts, StepMountError};
use super::places;
use super::request::{Request, Streams};
use crate::container::bundle::{self, BundleError, Prepared};
use crate::container::network::{self, NetworkError, Owner, Uplink};
use crate::container::supervise::{reap, refusal_code};
use crate::context::Context;

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    StepMount(#[from] StepMountError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("{step}: {source}")]
    System {
        step: &'static str,
        source: io::Error,
    },
    #[error("{reason}")]
    Runtime { reason: String },
}

impl ServeError {
    fn system(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { step, source }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Runtime { reason } => refusal_code(reason),
            _ => 125,
        }
    }
}

/// Runs the step that whoever is at the other end of `line` asks for.
pub fn serve(context: &Context, line: UnixStream) {
    let mut line = line;
    let (request, files) = match receive(&mut line) {
        Ok(received) => received,
        Err(error) => {
            // Nobody asks any more.
            tracing::warn!(%error, "no step is asked for");
            return;
        }
    };
    let cgroup = Cgroups::find().container(&request.id);
    let said = match run(context, &line, request, files, &cgroup) {
        Ok(code) => Message::Exited { code },
        Err(error) => Message::Failed {
            code: error.code(),
            reason: error.to_string(),
        },
    };
    // Who asked may be gone.
    drop(said.write(&mut line));
    cgroup.remove();
}

fn receive(line: &mut UnixStream) -> io::Result<(Request, Vec<OwnedFd>)> {
    let (message, files) = handover::receive(line)?;
    Ok((serde_json::from_slice(&message)?, files))
}

/// Runs the command to its end.
fn run(
    context: &Context,
    line: &UnixStream,
    request: Request,
    files: Vec<OwnedFd>,
    cgroup: &Cgroup,
) -> Result<u8, ServeError> {
    signals::take_usual().map_err(ServeError::system("take signals"))?;
    if !matches!(request.streams, Streams::Terminal(_)) {
        // A failure means that it leads a session already.
        let _ = rustix::process::setsid();
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "no other thread is there yet, and sockets get short names from here"
    )]
    std::env::set_current_dir(&request.directory)
        .map_err(ServeError::system("enter the directory of a step"))?;
    namespaces::private_mounts()?;
    namespaces::own_proc()?;
    let place = Place::of(&request);
    let (joined, files_of_network) = place.join(context)?;
    let streams = request.streams;
    let network = joined.network.clone();
    let prepared = prepare(context, request, network, files_of_network, cgroup)?;
    let call = Call {
        prepared,
        line,
        files,
    };
    match streams {
        Streams::Output => call.watched(),
        Streams::All | Streams::Terminal(_) => call.attached(),
    }
}

/// What the network of a step is made of.
struct Place {
    directory: PathBuf,
    mode: NetworkMode,
    hostname: String,
    options: NetworkOptions,
}

/// A network that a step is to be in.
struct Joined {
    network: Network,
    /// Keeps it, until the step is in it.
    _empty: Option<EmptyNetwork>,
    /// Its way out.
    _uplink: Option<Uplink>,
}

impl Place {
    fn of(request: &Request) -> Self {
        Self {
            directory: request.directory.clone(),
            mode: request.network,
            hostname: request.hostname.clone(),
            options: request.network_options.clone(),
        }
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            directory: &self.directory,
            mode: self.mode,
            hostname: Some(&self.hostname),
            options: &self.options,
        }
    }

    /// Writes the network's files and makes what of it the runtime does not.
    fn join(&self, context: &Context) -> Result<(Joined, Vec<BundleMount>), ServeError> {
        let files = network::files_of_step(self.owner())?;
        let joined = match network::plan_of_step(context, self.owner())? {
            None => Joined {
                network: match self.mode {
                    NetworkMode::Host => Network::Host,
                    NetworkMode::None | NetworkMode::Private => Network::Own,
                },
                _empty: None,
                _uplink: None,
            },
            Some(plan) => {
                let empty = EmptyNetwork::new()?;
                let uplink = plan.attach_to(self.owner(), empty.place())?;
                Joined {
                    network: Network::Path(empty.place().join("ns/net")),
                    _empty: Some(empty),
                    _uplink: uplink,
                }
            }
        };
        Ok((joined, files))
    }
}

/// Mounts the root and writes the bundle.
fn prepare(
    context: &Context,
    request: Request,
    network: Network,
    files: Vec<BundleMount>,
    cgroup: &Cgroup,
) -> Result<Prepared, ServeError> {
    let root = mount_root(&request)?;
    let user = bundle::find_user(&root, &request.user, &[])?;
    let cwd = bundle::working_directory(&root, &request.working_dir);
    let mut mounts = files;
    let mut places = Mounts::new(&request.directory);
    for (number, mount) in request.mounts.into_iter().enumerate() {
        mounts.push(places.make(number, mount)?);
    }
    let mut env = request.env;
    add_variable(&mut env, "HOME", &user.home);
    let terminal = match request.streams {
        Streams::Terminal(size) => Some(size),
        Streams::All | Streams::Output => None,
    };
    if terminal.is_some() {
        add_variable(&mut env, "TERM", "xterm");
    }
    if request.host_certs || context.settings().containers.host_certs {
        bundle::trust_host(context, &mut env, &mut mounts)?;
    }
    places::make(&root, &mounts).map_err(ServeError::system("make the places of mounts"))?;
    let bundle = Bundle {
        root: request.directory.join(ROOT),
        read_only_root: false,
        process: Process {
            args: request.args,
            env,
            cwd,
            uid: user.uid,
            gid: user.gid,
            additional_gids: user.additional_gids,
            terminal,
        },
        hostname: Some(request.hostname),
        domainname: None,
        mounts,
        network,
        devices: Vec::new(),
        limits: request.limits,
        security: SecurityOptions {
            privileged: request.privileged,
            // A build may become another user, as with sudo.
            no_new_privileges: Some(false),
            ..SecurityOptions::default()
        },
        capabilities: capabilities::docker_set(),
        cgroup: cgroup.clone(),
        shm_bytes: request.shm_bytes,
        annotations: BTreeMap::new(),
    };
    let config = spec::config(&bundle, &Host::find()).map_err(BundleError::from)?;
    fs::write(request.directory.join("config.json"), config)
        .map_err(ServeError::system("write config.json"))?;
    let runtime_root = request.directory.join("runtime");
    fs::create_dir_all(&runtime_root)
        .map_err(ServeError::system("make the runtime's directory"))?;
    let wanted = request.runtime.to_string_lossy();
    let remembered = context.settings().root.join("runtime.json");
    let runtime = Runtime::find(Some(&wanted), Some(&remembered))
        .map_err(BundleError::from)?
        .logging_to(&request.directory.join(RUNTIME_LOG));
    runtime.prepare_mounts().map_err(BundleError::from)?;
    Ok(Prepared {
        runtime,
        runtime_root,
        id: request.id,
        directory: request.directory,
    })
}

/// Sets a variable that is not set yet.
fn add_variable(env: &mut Vec<String>, name: &str, value: &str) {
    if !env.iter().any(|line| line.split('=').next() == Some(name)) {
        env.push(format!("{name}={value}"));
    }
}

/// Of a step's directory: where its root is mounted.
const ROOT: &str = "rootfs";
/// Of a step's directory: what the runtime has to say.
const RUNTIME_LOG: &str = "runtime.log";

fn mount_root(request: &Request) -> Result<Root, ServeError> {
    let root = request.directory.join(ROOT);
    let scratch = request.directory.join("scratch");
    for path in [&root, &scratch] {
        fs::create_dir_all(path).map_err(ServeError::system("make the root of a step"))?;
    }
    let writable = Writable {
        upper: &request.upper,
        work: &request.work,
        user_marks: in_user_namespace(),
    };
    mounts::mount_stack(
        &request.layers,
        None,
        Some(writable),
        "step",
        &root,
        &scratch,
    )?;
    Root::open(&root).map_err(|errno| ServeError::system("open the root of a step")(errno.into()))
}

/// A step whose bundle is there.
struct Call<'l> {
    prepared: Prepared,
    line: &'l UnixStream,
    /// Its streams.
    files: Vec<OwnedFd>,
}

impl Call<'_> {
    /// Runs it with two streams, and waits.
    fn watched(self) -> Result<u8, ServeError> {
        let mut files = self.files.into_iter().map(Stdio::from);
        let mut command = self.prepared.run_command(None);
        command
            .stdin(Stdio::null())
            .stdout(files.next().unwrap_or_else(Stdio::null))
            .stderr(files.next().unwrap_or_else(Stdio::null));
        let status = command
            .status()
            .map_err(ServeError::system("call the OCI runtime"))?;
        // The command holds ends of the streams.
        drop(command);
        if !status.success() {
            return Err(refusal(&self.prepared.directory));
        }
        let pid = self.prepared.pid().map_err(BundleError::from)?;
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .map_err(|errno| ServeError::system("watch the command")(errno.into()))?;
        let started = Message::Started {
            pid: pid.as_raw_nonzero().get(),
        };
        let mut line = twin(self.line)?;
        // Who is gone is seen gone below.
        drop(started.write(&mut line));
        listen(line, move |signal| {
            // It may end at this moment.
            let _ = rustix::process::pidfd_send_signal(&process, signal);
        });
        Ok(reap(pid))
    }

    /// Runs it with three streams, those of a user, and waits.
    fn attached(self) -> Result<u8, ServeError> {
        let mut files = self.files.into_iter().map(Stdio::from);
        let prepared = &self.prepared;
        let pid_file = prepared.directory.join("pid");
        let mut command = prepared.runtime.run_attached(
            &prepared.runtime_root,
            &prepared.id,
            &prepared.directory,
            &pid_file,
        );
        command
            .stdin(files.next().unwrap_or_else(Stdio::null))
            .stdout(files.next().unwrap_or_else(Stdio::null))
            .stderr(files.next().unwrap_or_else(Stdio::null));
        let mut runtime = command
            .spawn()
            .map_err(ServeError::system("call the OCI runtime"))?;
        drop(command);
        listen(twin(self.line)?, move |signal| {
            let pid = fs::read_to_string(&pid_file).ok();
            let pid = pid.and_then(|text| text.trim().parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                // It may end at this moment.
                let _ = rustix::process::kill_process(pid, signal);
            }
        });
        let status = runtime
            .wait()
            .map_err(ServeError::system("wait for the OCI runtime"))?;
        if !status.success() && has_words(&self.prepared.directory) {
            return Err(refusal(&self.prepared.directory));
        }
        let signalled = status.signal().map(|signal| 128 + signal);
        let code = status.code().or(signalled).unwrap_or(255);
        Ok(u8::try_from(code).unwrap_or(255))
    }
}

/// Does what is said on the line; at its end the command is killed.
fn listen(mut line: UnixStream, send: impl Fn(Signal) + Send + 'static) {
    thread::spawn(move || {
        while let Ok(Some(message)) = Message::read(&mut line) {
            if let Message::Signal(number) = message
                && let Some(signal) = Signal::from_named_raw(number)
            {
                send(signal);
            }
        }
        send(Signal::KILL);
    });
}

fn twin(line: &UnixStream) -> Result<UnixStream, ServeError> {
    line.try_clone()
        .map_err(ServeError::system("use the line to the builder"))
}

fn has_words(directory: &Path) -> bool {
    fs::read(directory.join(RUNTIME_LOG)).is_ok_and(|words| !words.trim_ascii().is_empty())
}

/// Why the runtime did not start the command.
fn refusal(directory: &Path) -> ServeError {
    // What can be read of its words is all there is.
    let words = fs::read_to_string(directory.join(RUNTIME_LOG)).unwrap_or_default();
    ServeError::Runtime {
        reason: bundle::runtime_words(&words),
    }
}
