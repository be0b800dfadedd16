//! `stop`, `restart`, `kill`, `wait`, `pause` and `unpause`.

use clap::Args;
use shiplap_model::container::signal;
use shiplap_ops::container::{self, Container, control, start};

use crate::face::{Face, Failure, Session};

/// Does something with each container named, and prints its name; failures are told, and the others
/// go on.
pub(crate) fn each(
    face: &Face,
    names: &[String],
    act: impl Fn(&Session, &Container) -> Result<Option<String>, Failure>,
) -> Result<(), Failure> {
    let session = face.session(true)?;
    face.each(names, |name| {
        let container = container::find(&session.context, name)?;
        let line = act(&session, &container)?;
        Ok(Some(line.unwrap_or_else(|| name.clone())))
    })
}

// A doc comment here would become that of the verbs.
#[derive(Debug, Args)]
struct HowToStop {
    /// Signal to send to the container
    #[arg(short, long, value_name = "string")]
    signal: Option<String>,
    /// Seconds to wait before killing the container
    #[arg(
        short,
        long,
        alias = "timeout",
        value_name = "int",
        allow_negative_numbers = true
    )]
    time: Option<i64>,
}

impl HowToStop {
    fn stop(&self, container: &Container) -> Result<(), control::ControlError> {
        control::stop(container, self.signal.as_deref(), self.time)
    }
}

/// Stop one or more running containers
#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    how: HowToStop,
    /// Containers to stop
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Stop {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        each(face, &self.containers, |_, container| {
            self.how.stop(container)?;
            Ok(None)
        })
    }
}

/// Restart one or more containers
#[derive(Debug, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    how: HowToStop,
    /// Containers to restart
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Restart {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        each(face, &self.containers, |session, container| {
            self.how.stop(container)?;
            start::wait(container)?;
            start::start(&session.context, container)?;
            Ok(None)
        })
    }
}

/// Kill one or more running containers
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Signal to send to the container
    #[arg(short, long, value_name = "string", default_value = "KILL")]
    signal: String,
    /// Containers to kill
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Kill {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let number = signal::parse(&self.signal)?;
        each(face, &self.containers, |_, container| {
            control::kill(container, number)?;
            Ok(None)
        })
    }
}

/// Block until one or more containers stop, then print their exit codes
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Containers to wait for
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Wait {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        each(face, &self.containers, |_, container| {
            Ok(Some(control::wait(container)?.to_string()))
        })
    }
}

/// Pause all processes within one or more containers
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Containers to pause
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Pause {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        each(face, &self.containers, |session, container| {
            control::pause(&session.context, container)?;
            Ok(None)
        })
    }
}

/// Unpause all processes within one or more containers
#[derive(Debug, Args)]
pub(crate) struct Unpause {
    /// Containers to unpause
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Unpause {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        each(face, &self.containers, |session, container| {
            control::unpause(&session.context, container)?;
            Ok(None)
        })
    }
}
