//! `import`.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use shiplap_model::{Platform, Reference, change, config::ContainerConfig};
use shiplap_ops::import::{self, ImportOptions, Tarball};

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
    /// Tarball to read: a file, an http or https URL, or - for STDIN
    #[arg(value_name = "FILE|URL|-")]
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
        let tarball = match address(&self.source) {
            Some(address) => Tarball::Address(address.to_owned()),
            None => {
                face::file(Some(self.source)).map_or(Tarball::Stream(&mut stdin), Tarball::File)
            }
        };
        let id = import::import(&session.context, tarball, options, &*session.teller)?;
        Ok(face.output.line(&id.to_string())?)
    }
}

/// The source if it is an address, as Docker tells one from a file.
fn address(source: &Path) -> Option<&str> {
    let is_address = |text: &&str| text.starts_with("http://") || text.starts_with("https://");
    source.to_str().filter(is_address)
}
