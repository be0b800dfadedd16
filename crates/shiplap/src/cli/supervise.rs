//! `system supervise`: what a container's supervisor is called with. Not for users.

use std::{
    io,
    os::{fd::AsFd as _, unix::net::UnixStream},
};

use clap::Args;
use shiplap_ops::container::supervise;

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
