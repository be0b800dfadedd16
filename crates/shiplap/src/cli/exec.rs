//! `exec`.

use std::path::PathBuf;

use clap::Args;
use shiplap_model::container::keys;
use shiplap_ops::container::{
    self, Container,
    exec::{self, ExecError, ExecOptions, keeper},
};

use super::{container_flags, run::DETACH_KEYS};
use crate::{
    face::{Face, Failure, Session},
    terminal::{self, End, Join},
};

/// Execute a command in a running container
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string", default_value = DETACH_KEYS)]
    detach_keys: String,
    /// Set environment variables
    #[arg(short, long, value_name = "list")]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "string")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    workdir: Option<String>,
    /// Container to run it in
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Program and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<String>,
}

impl Exec {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        if self.tty && self.interactive && !self.detach && !terminal::input_is_terminal() {
            return Err(Failure::plain("the input device is not a TTY"));
        }
        let session = face.session(true)?;
        let container = container::find(&session.context, &self.container)?;
        let options = ExecOptions {
            command: self.command,
            env: container_flags::environment(&self.env_file, &self.env)?,
            workdir: self.workdir,
            user: self.user,
            tty: self.tty,
            interactive: self.interactive,
            detach: self.detach,
            privileged: self.privileged,
        };
        let detach_keys = keys::parse(&self.detach_keys)?;
        // Only who types at a terminal can leave.
        if options.tty && options.interactive && !options.detach {
            return on_terminal(face, &session, &container, &options, detach_keys);
        }
        match exec::exec(&session.context, &container, &options) {
            Ok(0) => Ok(()),
            Ok(code) => Err(Failure::told().with_code(code)),
            // The runtime has said why, where its words were not thrown away.
            Err(error @ ExecError::Runtime { .. }) if !options.detach => {
                Err(Failure::told().with_code(error.exit_code()))
            }
            Err(error) => Err(refused(error)),
        }
    }
}

fn refused(error: ExecError) -> Failure {
    let code = error.exit_code();
    Failure::from(error).with_code(code)
}

/// Runs it on a terminal that outlives the user's.
fn on_terminal(
    face: &Face,
    session: &Session,
    container: &Container,
    options: &ExecOptions,
    detach_keys: Vec<u8>,
) -> Result<(), Failure> {
    let line = keeper::exec_on_terminal(&session.context, container, options).map_err(refused)?;
    let join = Join {
        input: true,
        output: true,
        errors: true,
        tty: true,
        detach_keys,
        pass_signals: false,
    };
    match terminal::join(&face.output, line, &join)? {
        End::Exited(0) | End::Detached => Ok(()),
        End::Exited(code) => Err(Failure::told().with_code(code)),
        End::Lost => Err(Failure::plain(
            "whoever kept the terminal is gone, and the program with it",
        )),
    }
}
