//! `system step`: what runs one command of a build. Not for users.

use std::{
    io,
    os::{fd::AsFd as _, unix::net::UnixStream},
};

use clap::Args;
use shiplap_ops::step;

use crate::face::{Face, Failure};

/// Run a step of a build; stdin is the line to the builder
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Step {}

impl Step {
    #[expect(clippy::unused_self, reason = "all verbs run alike")]
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let line = io::stdin().as_fd().try_clone_to_owned()?;
        let session = face.session(true)?;
        step::serve(&session.context, UnixStream::from(line));
        Ok(())
    }
}
