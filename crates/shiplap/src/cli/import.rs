//! `import`.

use std::{io, path::PathBuf};

use clap::Args;
use shiplap_model::{Platform, Reference, change, config::ContainerConfig};
use shiplap_ops::{
    import::{self, ImportOptions},
    load::Input,
};

use crate::face::{self, Face, Failure};

/// Import the contents from a tarball to create a filesystem image
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long = "change", value_name = "list")]
    changes: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long, value_name = "string")]
    message: Option<String>,
    /// Set what the image runs on
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Tarball to read; - is STDIN
    #[arg(value_name = "FILE|-")]
    source: PathBuf,
    /// Name of the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
}

impl Import {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let reference = self
            .reference
            .as_deref()
            .map(Reference::parse)
            .transpose()?;
        let mut config = ContainerConfig::default();
        change::apply_all(&mut config, &self.changes)?;
        let options = ImportOptions {
            reference: reference.map(|reference| reference.or_latest()),
            message: self.message,
            platform: self.platform,
            config,
        };
        let session = face.session(true)?;
        let mut stdin = io::stdin();
        let input = face::file(Some(self.source)).map_or(Input::Stream(&mut stdin), Input::File);
        let id = import::import(&session.context, input, options, &*session.teller)?;
        Ok(face.output.line(&id.to_string())?)
    }
}
