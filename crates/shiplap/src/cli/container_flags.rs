//! What `run` and `create` take of a container: Docker's flags, grouped by what they decide, and
//! what they come to.
//!
//! Never makes a container: paths of the host stay as they are given, and only the files that
//! flags name to be read are read.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{ArgAction, Args};
use shiplap_model::container::{
    ContainerOptions, label,
    log::{self, LogDriver, LogError, LogOptions},
    memory::MemoryError,
    restart,
    restart::RestartError,
    variable,
};

use super::foreign::{ForeignError, ForeignFlags};
use crate::{face::Failure, settings::Environment};

mod foreign;
pub(super) mod limits;
mod network;
mod process;
mod security;
mod storage;
#[cfg(test)]
mod tests;

/// Why flags come to no container.
#[derive(Debug, thiserror::Error)]
enum FlagError {
    /// A file that can't be read.
    #[error("read {flag} {path}: {source}")]
    Read {
        /// Whose file it is.
        flag: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of variables that says something else.
    #[error("read {flag} {path}: {source}")]
    Variables {
        /// Whose file it is.
        flag: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: variable::FileError,
    },
    /// Two flags that can't both be meant.
    #[error("create container: conflicting options: cannot specify both {0} and {1}")]
    Conflict(&'static str, &'static str),
    /// A flag of Docker's whose value can't be had.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A working directory that depends on another.
    #[error(
        "create container: the working directory '{0}' is invalid, it needs to be an absolute path"
    )]
    Workdir(String),
    /// A policy without meaning.
    #[error("create container: {0}")]
    Restart(RestartError),
    /// A log that can't be.
    #[error("create container: {0}")]
    Log(#[from] LogError),
    /// Limits that don't go together.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Looks a variable of the caller's environment up.
type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

// A doc comment here would become that of the verb.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct ContainerFlags {
    /// Image, the command to run in it, and its arguments
    #[arg(
        value_names = ["IMAGE", "COMMAND", "ARG"],
        required = true,
        num_args = 1..,
        trailing_var_arg = true
    )]
    call: Vec<String>,
    /// Print usage
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Set meta data on a container
    #[arg(short, long, value_name = "list", value_parser = label::parse)]
    label: Vec<(String, String)>,
    /// Read in a line delimited file of labels
    #[arg(long, value_name = "list")]
    label_file: Vec<PathBuf>,
    /// Logging driver for the container: json-file or none
    #[arg(long, value_name = "string", default_value = "json-file", hide_default_value = true, value_parser = log::parse_driver)]
    log_driver: LogDriver,
    /// Log driver options: max-size (default 50m, -1 for no bound) and max-file (default 2)
    #[arg(long, value_name = "list")]
    log_opt: Vec<String>,
    /// Restart policy to apply when a container exits: only "no" without a daemon
    #[arg(long, value_name = "string", default_value = "no", value_parser = restart::parse)]
    restart: restart::RestartPolicy,
    /// Automatically remove the container and its associated anonymous volumes when it exits
    #[arg(long)]
    rm: bool,
    /// Runtime to use for this container: crun, runc, youki, or a path
    #[arg(long, value_name = "string")]
    runtime: Option<String>,
    #[command(flatten)]
    process: process::ProcessFlags,
    #[command(flatten)]
    storage: storage::StorageFlags,
    #[command(flatten)]
    network: network::NetworkFlags,
    #[command(flatten)]
    limits: limits::LimitFlags,
    #[command(flatten)]
    security: security::SecurityFlags,
    #[command(flatten)]
    foreign: ForeignFlags<foreign::OfContainers>,
}

impl ContainerFlags {
    /// What was said of the process.
    pub(crate) fn process(&self) -> &process::ProcessFlags {
        &self.process
    }

    /// The image, what was decided of the container, and what the user should know; the files
    /// that flags name are read.
    pub(crate) fn into_options(self) -> Result<(String, ContainerOptions, Vec<String>), Failure> {
        let environment = Environment::of_process();
        let lookup = |name: &str| {
            let value = (environment.variable)(name)?;
            Some(value.to_string_lossy().into_owned())
        };
        Ok(self.resolve(&lookup)?)
    }

    fn resolve(self, lookup: Lookup) -> Result<(String, ContainerOptions, Vec<String>), FlagError> {
        let mut warnings = self.foreign.check()?;
        self.restart.check().map_err(FlagError::Restart)?;
        if !self.restart.is_no() {
            if self.rm {
                return Err(FlagError::Conflict("--restart", "--rm"));
            }
            warnings.push(format!(
                "there is no daemon that could start the container again: --restart={} has no \
                 effect",
                self.restart.name
            ));
        }
        let mut call = self.call.into_iter();
        let image = call.next().unwrap_or_default();
        let options = ContainerOptions {
            process: self.process.into_options(call.collect(), lookup)?,
            storage: self.storage.into_options(),
            network: self.network.into_options(&mut warnings),
            limits: self.limits.into_options()?,
            security: self.security.into_options(&mut warnings)?,
            labels: labels(&self.label_file, self.label)?,
            runtime: self.runtime,
            log: LogOptions::new(self.log_driver, &self.log_opt)?,
            auto_remove: self.rm,
        };
        Ok((image, options, warnings))
    }
}

/// Variables for a container: those of files first, so that the flags win.
pub(crate) fn environment(files: &[PathBuf], flags: &[String]) -> Result<Vec<String>, Failure> {
    let environment = Environment::of_process();
    let lookup = |name: &str| {
        let value = (environment.variable)(name)?;
        Some(value.to_string_lossy().into_owned())
    };
    let mut variables = variables("--env-file", files, &lookup)?;
    variables.extend(environment.of_container(flags));
    Ok(variables)
}

/// Those of the files first, so that the flags win.
fn labels(
    files: &[PathBuf],
    flags: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, FlagError> {
    let mut labels = BTreeMap::new();
    for line in variables("--label-file", files, &|_| None)? {
        let (name, value) = line.split_once('=').unwrap_or((&line, ""));
        labels.insert(name.to_owned(), value.to_owned());
    }
    labels.extend(flags);
    Ok(labels)
}

/// The `NAME=value` lines of files.
fn variables(
    flag: &'static str,
    files: &[PathBuf],
    lookup: Lookup,
) -> Result<Vec<String>, FlagError> {
    let mut variables = Vec::new();
    for path in files {
        let content = std::fs::read(path).map_err(|source| FlagError::Read {
            flag,
            path: path.clone(),
            source,
        })?;
        let lines = variable::parse_file(&content, lookup);
        variables.extend(lines.map_err(|source| FlagError::Variables {
            flag,
            path: path.clone(),
            source,
        })?);
    }
    Ok(variables)
}
