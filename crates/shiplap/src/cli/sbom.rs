//! `sbom`.

use std::path::PathBuf;

use clap::Args;
use shiplap_model::Platform;
use shiplap_ops::sbom::{self, SbomFormat, SbomOptions};

use crate::face::{self, Face, Failure};

/// Records that are told not to be read; more would scroll away what matters.
const TOLD: usize = 5;

/// List what an image is made of, as SPDX or CycloneDX
///
/// Packages of dpkg, apk and rpm, of Python and Node, and what Rust and Go programs say they are made of are
/// read from the layers; nothing is run, unpacked or mounted. The same image gives the same document.
#[derive(Debug, Args)]
pub(crate) struct Sbom {
    /// Words of the document: spdx (2.3) or cyclonedx (1.6), as JSON
    #[arg(long, value_name = "string", default_value = "spdx")]
    format: SbomFormat,
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<PathBuf>,
    /// Choose this platform of an image that has several
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Image of the store, archive or layout (as copy has them), or image of a registry
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Sbom {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(false)?;
        let options = SbomOptions {
            image: self.image,
            platform: self.platform,
            format: self.format,
        };
        let made = sbom::sbom(&session.context, &options, &*session.teller)?;
        for unread in made.unread.iter().take(TOLD) {
            let line = format!("{} is left out: {}", unread.path, unread.reason);
            face.output.warn(&line);
        }
        if made.unread.len() > TOLD {
            let more = made.unread.len() - TOLD;
            face.output.warn(&format!(
                "{more} more are left out; the document names them"
            ));
        }
        match face::file(self.output) {
            Some(path) => std::fs::write(&path, &made.document).map_err(|error| {
                Failure::plain(format!("failed to write {}: {error}", path.display()))
            }),
            None => Ok(face.output.data(&made.document)?),
        }
    }
}
