//! `mount` and `umount`.

use std::path::PathBuf;

use clap::Args;
use shiplap_ops::snapshot;

use crate::face::{Face, Failure};

/// Mount an image read-only, or list what is mounted
#[derive(Debug, Args)]
pub(crate) struct Mount {
    /// Image to mount
    #[arg(value_name = "IMAGE", requires = "directory")]
    image: Option<String>,
    /// Directory to mount it at
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Mount {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        if let (Some(image), Some(directory)) = (&self.image, &self.directory) {
            let session = face.session(true)?;
            snapshot::mount(&session.context, image, directory)?;
            return Ok(());
        }
        for mounted in snapshot::mounted()? {
            face.output
                .line(&format!("{} {}", mounted.name, mounted.path.display()))?;
        }
        Ok(())
    }
}

/// End a mount of an image
#[derive(Debug, Args)]
pub(crate) struct Umount {
    /// Directory it is mounted at
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Umount {
    pub(crate) fn run(self, _: &Face) -> Result<(), Failure> {
        Ok(snapshot::unmount(&self.directory)?)
    }
}
