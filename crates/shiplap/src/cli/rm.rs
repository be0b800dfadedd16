//! `rm`, `rename` and `container prune`.

use clap::Args;
use shiplap_model::units;
use shiplap_ops::container::{ContainerError, remove};

use crate::face::{self, Face, Failure};

/// Remove one or more containers
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    force: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    volumes: bool,
    /// Containers to remove
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Rm {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        face.each(&self.containers, |name| {
            match remove::remove(&session.context, name, self.force, self.volumes) {
                Ok(_) => Ok(Some(name.clone())),
                // As Docker: what is not there need not be removed by force.
                Err(remove::RemoveError::Container(ContainerError::NotFound { .. }))
                    if self.force =>
                {
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// Rename a container
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Container to rename
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Its new name
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

impl Rename {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        Ok(remove::rename(
            &session.context,
            &self.container,
            &self.name,
        )?)
    }
}

/// Remove all stopped containers
#[derive(Debug, Args)]
pub(crate) struct ContainerPrune {
    /// Provide filter values: label, until
    #[arg(long, value_name = "filter")]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

impl ContainerPrune {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let filters = face::filters(&self.filter)?;
        if !face.confirm("This will remove all stopped containers.", self.force)? {
            return Ok(());
        }
        let session = face.session(true)?;
        let report = remove::prune(&session.context, &filters)?;
        if !report.removed.is_empty() {
            face.output.line("Deleted Containers:")?;
            for id in &report.removed {
                face.output.line(id)?;
            }
            face.output.line("")?;
        }
        let size = units::human_size(report.reclaimed_bytes);
        Ok(face
            .output
            .line(&format!("Total reclaimed space: {size}"))?)
    }
}
