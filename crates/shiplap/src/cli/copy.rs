//! `copy`.

use clap::Args;
use shiplap_model::Platform;
use shiplap_ops::copy::{self, CopyOptions, Place};

use crate::face::{Face, Failure};

/// Copy an image between registries, layouts and archives
///
/// A place is a name in a registry, oci:DIR[:NAME], oci-archive:FILE[:NAME] or
/// docker-archive:FILE[:NAME]. Digests stay as they are.
#[derive(Debug, Args)]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "the text is the verb's help"
)]
pub(crate) struct Copy {
    /// Copy all platforms of an image that has several
    #[arg(short, long, conflicts_with = "platform")]
    all: bool,
    /// Choose this platform of an image that has several
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Print nothing but the digest
    #[arg(short, long)]
    quiet: bool,
    /// From where
    #[arg(value_name = "SOURCE")]
    source: Place,
    /// To where
    #[arg(value_name = "DESTINATION")]
    destination: Place,
}

impl Copy {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let options = CopyOptions {
            source: self.source,
            destination: self.destination,
            all: self.all,
            platform: self.platform,
        };
        let session = face.session(self.quiet)?;
        let digest = copy::copy(&session.context, &options, &*session.teller)?;
        Ok(face.output.line(&digest.to_string())?)
    }
}
