//! `run`, `create`, `start` and `attach`.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use shiplap_model::{Platform, container::keys};
use shiplap_ops::container::{
    self, Container,
    create::{self, CreateOptions, PullPolicy},
    start::{self, StartError},
};

use super::{container_flags::ContainerFlags, stop::each};
use crate::{
    face::{Face, Failure, Session},
    terminal::{self, End, Join},
};

/// Keys that detach unless told otherwise: Ctrl-P Ctrl-Q.
pub(super) const DETACH_KEYS: &str = "ctrl-p,ctrl-q";

/// What `run` exits with when it is to blame itself, not the container.
const RUN_FAILED: u8 = 125;

/// Create and run a new container from an image
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    create: CreateFlags,
    /// Attach to STDIN, STDOUT or STDERR
    #[arg(short, long, value_name = "stream")]
    attach: Vec<StreamName>,
    /// Run container in background and print container ID
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string", default_value = DETACH_KEYS)]
    detach_keys: String,
    /// Print the OCI bundle's config.json and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Proxy received signals to the process
    #[arg(long, value_name = "bool", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
    #[command(flatten)]
    container: ContainerFlags,
}

/// Create a new container
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    create: CreateFlags,
    #[command(flatten)]
    container: ContainerFlags,
}

/// What decides of the making, not of the container.
#[derive(Debug, Args)]
struct CreateFlags {
    /// Write the container ID to the file
    #[arg(long, value_name = "string")]
    cidfile: Option<PathBuf>,
    /// Assign a name to the container
    #[arg(long, value_name = "string")]
    name: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Pull image before running
    #[arg(long, value_name = "string", default_value = "missing")]
    pull: Pull,
    /// Suppress the pull output
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Pull {
    Always,
    Missing,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamName {
    Stdin,
    Stdout,
    Stderr,
}

impl std::str::FromStr for StreamName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "stdin" => Ok(Self::Stdin),
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            _ => Err("valid streams are STDIN, STDOUT and STDERR"),
        }
    }
}

impl CreateFlags {
    /// Makes the container, and writes its ID where that is wanted.
    fn make(
        self,
        face: &Face,
        session: &Session,
        container: ContainerFlags,
    ) -> Result<(Container, Session), Failure> {
        if let Some(path) = &self.cidfile
            && path.exists()
        {
            return Err(Failure::plain(format!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            )));
        }
        let (image, options, warnings) = container.into_options()?;
        for warning in &warnings {
            face.output.warn(warning);
        }
        let options = CreateOptions {
            image,
            name: self.name,
            platform: self.platform,
            pull: match self.pull {
                Pull::Always => PullPolicy::Always,
                Pull::Missing => PullPolicy::Missing,
                Pull::Never => PullPolicy::Never,
            },
            options,
        };
        // The pull tells its progress on stderr; stdout is the container's.
        let telling = face.session(self.quiet)?;
        let created = create::create(&telling.context, options, &*telling.teller)?;
        for warning in &created.warnings {
            face.output.warn(warning);
        }
        if let Some(path) = &self.cidfile {
            write_id(path, &created.id)?;
        }
        let container = container::find(&session.context, &created.id)?;
        Ok((container, telling))
    }
}

fn write_id(path: &Path, id: &str) -> Result<(), Failure> {
    std::fs::write(path, id)
        .map_err(|error| Failure::plain(format!("failed to write {}: {error}", path.display())))
}

impl Create {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let (container, _) = self.create.make(face, &session, self.container)?;
        Ok(face.output.line(container.id())?)
    }
}

impl Run {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let started = self.start(face).map_err(|failure| match failure.code {
            1 => failure.with_code(RUN_FAILED),
            _ => failure,
        });
        match started? {
            Some((container, line, join)) => follow(face, &container, line, &join),
            None => Ok(()),
        }
    }

    /// Makes and starts the container; what is to be joined, if anything is.
    fn start(self, face: &Face) -> Result<Option<(Container, UnixStream, Join)>, Failure> {
        let session = face.session(true)?;
        let process = self.container.process();
        if process.tty && process.interactive && !self.detach && !terminal::input_is_terminal() {
            return Err(Failure::plain("the input device is not a TTY"));
        }
        let mut join = Join {
            input: process.interactive,
            output: true,
            errors: true,
            tty: process.tty,
            detach_keys: keys::parse(&self.detach_keys)?,
            pass_signals: self.sig_proxy,
        };
        if !self.attach.is_empty() {
            if self.detach {
                return Err(Failure::plain(
                    "conflicting options: cannot specify both --attach and --detach",
                ));
            }
            join.input &= self.attach.contains(&StreamName::Stdin);
            join.output = self.attach.contains(&StreamName::Stdout);
            join.errors = self.attach.contains(&StreamName::Stderr);
        }
        let (container, making) = self.create.make(face, &session, self.container)?;
        if self.dry_run {
            let config = container::dry_run(&session.context, &container);
            container::remove::remove(&session.context, container.id(), true, true)?;
            face.output.line(&config?)?;
            return Ok(None);
        }
        drop(making);
        let started = start::start(&session.context, &container);
        let started = match started {
            Ok(started) => started,
            Err(error) => {
                if container.facts.options.auto_remove {
                    container::remove::remove(&session.context, container.id(), true, true)?;
                }
                return Err(refused(error));
            }
        };
        if self.detach {
            face.output.line(container.id())?;
            return Ok(None);
        }
        Ok(Some((container, started.line, join)))
    }
}

/// A start that failed, with the exit status that Docker gives it.
fn refused(error: StartError) -> Failure {
    let code = error.exit_code();
    Failure::from(error).with_code(code)
}

/// Joins the container's streams to the end, and exits as it does.
fn follow(
    face: &Face,
    container: &Container,
    line: UnixStream,
    join: &Join,
) -> Result<(), Failure> {
    let end = terminal::join(&face.output, line, join);
    if face.output.reader_gone() {
        // As with Docker: what a pipe's reader does not want to hear does not end a container.
        let name = &container.name;
        return Err(Failure {
            is_unread: true,
            ..Failure::plain(format!(
                "failed to write to standard output: broken pipe; container {name} goes on"
            ))
        });
    }
    match end? {
        End::Exited(0) | End::Detached => Ok(()),
        End::Exited(code) => Err(Failure::told().with_code(code)),
        End::Lost => Err(Failure::plain(format!(
            "the supervisor of container {} is gone; `ps -a` says what became of it",
            container.name
        ))
        .with_code(RUN_FAILED)),
    }
}

/// Start one or more stopped containers
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    attach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string", default_value = DETACH_KEYS)]
    detach_keys: String,
    /// Attach container's STDIN
    #[arg(short, long)]
    interactive: bool,
    /// Containers to start
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Start {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        if !self.attach && !self.interactive {
            return each(face, &self.containers, |session, container| {
                start::start(&session.context, container)?;
                Ok(None)
            });
        }
        let [name] = &self.containers[..] else {
            return Err(Failure::plain(
                "you cannot start and attach multiple containers at once",
            ));
        };
        let session = face.session(true)?;
        let container = container::find(&session.context, name)?;
        let process = &container.facts.options.process;
        let join = Join {
            input: self.interactive && process.interactive,
            output: true,
            errors: true,
            tty: process.tty,
            detach_keys: keys::parse(&self.detach_keys)?,
            pass_signals: true,
        };
        let started = start::start(&session.context, &container)?;
        follow(face, &container, started.line, &join)
    }
}

/// Attach local standard input, output, and error streams to a running container
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string", default_value = DETACH_KEYS)]
    detach_keys: String,
    /// Do not attach STDIN
    #[arg(long)]
    no_stdin: bool,
    /// Proxy all received signals to the process
    #[arg(long, value_name = "bool", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
    /// Container to attach to
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Attach {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let container = container::find(&session.context, &self.container)?;
        if !container.state()?.status.is_live() {
            return Err(Failure::plain(
                "you cannot attach to a stopped container, start it first",
            ));
        }
        let process = &container.facts.options.process;
        let join = Join {
            input: !self.no_stdin && process.interactive,
            output: true,
            errors: true,
            tty: process.tty,
            detach_keys: keys::parse(&self.detach_keys)?,
            pass_signals: self.sig_proxy,
        };
        let line = start::connect(&container)?;
        follow(face, &container, line, &join)
    }
}
