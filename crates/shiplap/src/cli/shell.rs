//! `completion` and `man`: made from the same definitions as the command line itself.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::face::{Face, Failure};

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// Shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let mut script = Vec::new();
        let mut command = Cli::command();
        clap_complete::generate(self.shell, &mut command, &face.program, &mut script);
        Ok(face.output.data(&String::from_utf8_lossy(&script))?)
    }
}

/// Write man pages into a directory
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Where to write them
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let path = self.directory.display();
        let failed = |error: std::io::Error| {
            Failure::plain(format!("failed to write man pages to {path}: {error}"))
        };
        std::fs::create_dir_all(&self.directory).map_err(failed)?;
        let command = Cli::command().name(face.program.clone());
        clap_mangen::generate_to(command, &self.directory).map_err(failed)
    }
}
