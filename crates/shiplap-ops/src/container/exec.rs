//! `exec`: one more process in a container that runs. The OCI runtime carries its streams itself, but
//! for those of a terminal that the user types at: see [`keeper`].

pub mod keeper;

use std::fs;
use std::io::{self, Write as _};
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use shiplap_layer::root::Root;
use shiplap_run::spec::{self, Host, Process, SpecError, TerminalSize};

use super::bundle::{self, BundleError};
use super::{Container, ContainerError, Status};
use crate::context::Context;

/// What runs.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `NAME=value`, over the container's.
    pub env: Vec<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// It has a terminal.
    pub tty: bool,
    /// Standard input is joined.
    pub interactive: bool,
    /// Nobody waits for it.
    pub detach: bool,
    /// It may do everything.
    pub privileged: bool,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The container's files can't be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The container does not run.
    #[error("execute in container {name}: {}", words(*status, id))]
    NotRunning {
        /// Its name.
        name: String,
        /// Its ID.
        id: String,
        /// What it does.
        status: Status,
    },
    /// Its user is not known there, and the like.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// What no runtime can be asked for.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The runtime can't be called.
    #[error("execute in container {name}: {source}")]
    System {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime refuses.
    #[error("execute in container {name}: {reason}")]
    Runtime {
        /// Its name.
        name: String,
        /// Its words.
        reason: String,
        /// What Docker exits with: 126 or 127.
        code: u8,
    },
}

impl ExecError {
    /// What `exec` exits with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime { code, .. } => *code,
            _ => 1,
        }
    }
}

fn words(status: Status, id: &str) -> String {
    match status {
        Status::Paused => format!("container {id} is paused, unpause it first"),
        _ => format!("container {id} is not running"),
    }
}

impl ExecError {
    fn system(container: &Container) -> impl Fn(io::Error) -> Self + use<> {
        let name = container.name.clone();
        move |source| Self::System {
            name: name.clone(),
            source,
        }
    }

    /// By what the runtime wrote into its log.
    fn refused(container: &Container, said: &str) -> Self {
        let reason = bundle::runtime_words(said);
        Self::Runtime {
            name: container.name.clone(),
            code: super::supervise::refusal_code(&reason),
            reason,
        }
    }
}

/// Runs a process in a container; its exit status, 0 if nobody waits for it.
///
/// # Errors
/// [`ExecError`].
pub fn exec(
    context: &Context,
    container: &Container,
    options: &ExecOptions,
) -> Result<u8, ExecError> {
    let system = ExecError::system(container);
    let file = process_file(container, options)?;
    let log = tempfile::NamedTempFile::new_in(&container.directory).map_err(&system)?;
    let runtime = bundle::runtime(context, &container.facts)?.logging_to(log.path());
    let root = bundle::runtime_root(context).map_err(ContainerError::from)?;
    let mut command = runtime.exec(
        &root,
        container.id(),
        file.path(),
        None,
        None,
        options.detach,
    );
    if !options.interactive {
        command.stdin(Stdio::null());
    }
    if options.detach {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let status = command.status().map_err(&system)?;
    if status.success() {
        return Ok(0);
    }
    let said = fs::read_to_string(log.path()).unwrap_or_default();
    if !said.trim().is_empty() {
        return Err(ExecError::refused(container, &said));
    }
    let signalled = std::os::unix::process::ExitStatusExt::signal(&status);
    let code = status.code().or(signalled.map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
}

/// What runs, as the runtime reads it. The file goes when it is dropped.
fn process_file(
    container: &Container,
    options: &ExecOptions,
) -> Result<tempfile::NamedTempFile, ExecError> {
    let system = ExecError::system(container);
    let state = container.state()?;
    let (Status::Running, Some(pid)) = (state.status, state.pid) else {
        return Err(ExecError::NotRunning {
            name: container.name.clone(),
            id: container.facts.id.clone(),
            status: state.status,
        });
    };
    let process = process(container, options, pid).map_err(|error| match error {
        Either::System(source) => system(source),
        Either::Bundle(error) => error.into(),
    })?;
    let mut security = bundle::security(&container.facts);
    security.privileged |= options.privileged;
    let host = Host::find();
    let limits = &container.facts.options.limits;
    let text = spec::process(&process, &security, limits, &host)?;
    let mut file = tempfile::NamedTempFile::new_in(&container.directory).map_err(&system)?;
    file.write_all(&text).map_err(&system)?;
    Ok(file)
}

enum Either {
    System(io::Error),
    Bundle(BundleError),
}

/// The process, with its user by the container's own lists as they are now.
fn process(container: &Container, options: &ExecOptions, pid: i32) -> Result<Process, Either> {
    let facts = &container.facts;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty())
        .map_err(|errno| Either::System(errno.into()))?;
    let root = Root::new(handle);
    let name = options.user.as_deref().unwrap_or(&facts.config.user);
    let groups = &facts.options.process.groups;
    let user = bundle::find_user(&root, name, groups).map_err(Either::Bundle)?;
    let mut env = facts.config.env.clone();
    let mut set = |variable: &str, replaces: bool| {
        let name = variable.split('=').next().unwrap_or_default();
        let is_it = |known: &String| known.split('=').next() == Some(name);
        match env.iter().position(is_it) {
            Some(place) if replaces => variable.clone_into(&mut env[place]),
            Some(_) => {}
            None => env.push(variable.to_owned()),
        }
    };
    for variable in options.env.iter().filter(|variable| variable.contains('=')) {
        set(variable, true);
    }
    set(&format!("HOSTNAME={}", facts.hostname), false);
    set(&format!("HOME={}", user.home), false);
    if options.tty {
        set("TERM=xterm", false);
    }
    let cwd = options
        .workdir
        .as_deref()
        .unwrap_or(&facts.config.working_dir);
    Ok(Process {
        args: options.command.clone(),
        env,
        cwd: format!("/{}", cwd.trim_start_matches('/')),
        uid: user.uid,
        gid: user.gid,
        additional_gids: user.additional_gids,
        terminal: options.tty.then(TerminalSize::default),
    })
}
