//! `commit` and `diff`.

use clap::Args;
use jiff::Timestamp;
use shiplap_model::Reference;
use shiplap_ops::container::{
    self, Container, Status, changes,
    commit::{self, CommitOptions},
    control, volume,
};

use crate::face::{Face, Failure, Session};

/// Create a new image from a container's changes
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "string")]
    author: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "string")]
    message: Option<String>,
    /// Pause container during commit
    #[arg(short, long, value_name = "bool", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pause: bool,
    /// Make one layer of all of it
    #[arg(long)]
    squash: bool,
    /// Put the data of the container's volumes into the image
    #[arg(long)]
    with_volumes: bool,
    /// Container to make an image of
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

impl Commit {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let container = container::find(&session.context, &self.container)?;
        let name = self.name.as_deref().map(Reference::parse).transpose()?;
        let facts = &container.facts;
        let volumes = match self.with_volumes {
            true => volume::of_container(&session.context, facts)?,
            false => Vec::new(),
        };
        if !self.with_volumes && !facts.volumes.is_empty() {
            let targets = facts.volumes.iter().map(|volume| volume.target.as_str());
            face.output.warn(&format!(
                "the data of volumes stays outside the image: {}; --with-volumes puts it in",
                targets.collect::<Vec<_>>().join(", ")
            ));
        }
        let options = CommitOptions {
            tree: container.tree(),
            config: facts.config.clone(),
            over: None,
            changes: self.change,
            author: self.author,
            message: self.message,
            created: Timestamp::now(),
            reference: name.map(|name| name.or_latest()),
            squash: self.squash,
            volumes,
        };
        let frozen = match self.pause {
            true => Frozen::begin(face, &session, &container)?,
            false => None,
        };
        let id = commit::commit(&session.context, &options);
        drop(frozen);
        Ok(face.output.line(&id?.to_string())?)
    }
}

/// A container that stands still until this is dropped.
struct Frozen<'c> {
    face: &'c Face,
    session: &'c Session,
    container: &'c Container,
}

impl<'c> Frozen<'c> {
    /// Freezes a container that runs; one that can't be frozen goes on, and the user is told.
    fn begin(
        face: &'c Face,
        session: &'c Session,
        container: &'c Container,
    ) -> Result<Option<Self>, Failure> {
        if container.state()?.status != Status::Running {
            return Ok(None);
        }
        match control::pause(&session.context, container) {
            Ok(()) => Ok(Some(Self {
                face,
                session,
                container,
            })),
            Err(error) => {
                face.output.warn(&format!(
                    "the container goes on meanwhile: failed to {error}"
                ));
                Ok(None)
            }
        }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Err(error) = control::unpause(&self.session.context, self.container) {
            self.face.tell(&error.into());
        }
    }
}

/// Inspect changes to files or directories on a container's filesystem
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Container whose changes are wanted
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Diff {
    /// That of the container of this name.
    pub(crate) fn of(container: String) -> Self {
        Self { container }
    }

    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let container = container::find(&session.context, &self.container)?;
        let mut lines = String::new();
        for change in changes::changes(&session.context, &container.tree())? {
            let path = String::from_utf8_lossy(&change.path);
            lines.push_str(&format!("{} /{path}\n", change.kind));
        }
        Ok(face.output.data(&lines)?)
    }
}
