//! `system supervise` and `system keep`: what a container's supervisor, and the keeper of a process
//! that `exec` runs on a terminal, are called with. Not for users.

use std::{
    io,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::PathBuf,
};

use clap::Args;
use shiplap_ops::container::{exec::keeper, supervise};

use crate::face::{Face, Failure};

/// Watch over a container; stdin is the line to whoever starts it
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Supervise {
    /// Its whole ID
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Supervise {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let line = io::stdin().as_fd().try_clone_to_owned()?;
        let session = face.session(true)?;
        supervise::supervise(&session.context, &self.container, UnixStream::from(line));
        Ok(())
    }
}

/// Keep a process that runs on a terminal; stdin is the line to whoever starts it
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Keep {
    /// The container's whole ID
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// What runs
    #[arg(value_name = "PROCESS")]
    process: PathBuf,
}

impl Keep {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let line = io::stdin().as_fd().try_clone_to_owned()?;
        let session = face.session(true)?;
        let line = UnixStream::from(line);
        keeper::keep(&session.context, &self.container, &self.process, line);
        Ok(())
    }
}
