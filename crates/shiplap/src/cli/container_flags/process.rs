//! Flags that decide what runs.

use std::path::PathBuf;

use clap::Args;
use shiplap_model::container::{
    ProcessOptions,
    signal::{self, SignalError},
    variable,
};

use super::{FlagError, Lookup, variables};

#[derive(Debug, Args)]
#[command(next_help_heading = "Process Options")]
pub(crate) struct ProcessFlags {
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "string")]
    entrypoint: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = variable::check)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Add additional groups to join
    #[arg(long, value_name = "list")]
    group_add: Vec<String>,
    /// Run an init inside the container that forwards signals and reaps processes
    #[arg(long)]
    init: bool,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Signal to stop the container
    #[arg(long, value_name = "string", value_parser = stop_signal)]
    stop_signal: Option<String>,
    /// Timeout (in seconds) to stop a container
    #[arg(long, value_name = "int")]
    stop_timeout: Option<u32>,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    workdir: Option<String>,
}

/// A signal as it is given, if there is one.
fn stop_signal(text: &str) -> Result<String, SignalError> {
    signal::parse(text).map(|_| text.to_owned())
}

impl ProcessFlags {
    pub(super) fn into_options(
        self,
        command: Vec<String>,
        lookup: Lookup,
    ) -> Result<ProcessOptions, FlagError> {
        let mut env = variables("--env-file", &self.env_file, lookup)?;
        let flags = self.env.into_iter();
        env.extend(flags.map(|text| variable::resolve(text, lookup)));
        let workdir = self.workdir.filter(|path| !path.is_empty());
        if let Some(path) = workdir.as_ref().filter(|path| !path.starts_with('/')) {
            return Err(FlagError::Workdir(path.clone()));
        }
        let words = |entrypoint: String| match entrypoint.is_empty() {
            true => Vec::new(),
            false => vec![entrypoint],
        };
        Ok(ProcessOptions {
            command,
            entrypoint: self.entrypoint.map(words),
            env,
            workdir,
            user: self.user.filter(|user| !user.is_empty()),
            groups: self.group_add,
            tty: self.tty,
            interactive: self.interactive,
            init: self.init,
            stop_signal: self.stop_signal,
            stop_timeout_secs: self.stop_timeout,
        })
    }
}
