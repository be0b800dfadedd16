//! `exec`.

use std::path::PathBuf;

use clap::Args;
use shiplap_ops::container::{
    self,
    exec::{self, ExecError, ExecOptions},
};

use super::container_flags;
use crate::{
    face::{Face, Failure},
    terminal,
};

/// Execute a command in a running container
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    detach: bool,
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
        match exec::exec(&session.context, &container, &options) {
            Ok(0) => Ok(()),
            Ok(code) => Err(Failure::told().with_code(code)),
            // The runtime has said why, where its words were not thrown away.
            Err(error @ ExecError::Runtime { .. }) if !options.detach => {
                Err(Failure::told().with_code(error.exit_code()))
            }
            Err(error) => {
                let code = error.exit_code();
                Err(Failure::from(error).with_code(code))
            }
        }
    }
}
