//! `tag`.

use clap::Args;
use shiplap_model::Reference;
use shiplap_ops::tag;

use crate::face::{Face, Failure};

/// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// Image to name
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    /// Its new name
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

impl Tag {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let target = Reference::parse(&self.target)?.or_latest();
        let session = face.session(true)?;
        tag::tag(&session.context, &self.source, &target)?;
        Ok(())
    }
}
