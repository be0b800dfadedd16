//! `delete`.

use clap::Args;
use shiplap_model::Reference;
use shiplap_ops::delete;

use crate::face::{Face, Failure};

/// Delete images from a registry
///
/// A name with a tag loses that tag; one with a digest is deleted with all its tags. Images here stay: rmi removes
/// those.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Images to delete
    #[arg(value_name = "NAME[:TAG|@DIGEST]", required = true, value_parser = name)]
    names: Vec<Reference>,
}

/// A name, also as `copy` writes it.
fn name(text: &str) -> Result<Reference, shiplap_model::reference::ReferenceError> {
    Reference::parse(text.strip_prefix("docker://").unwrap_or(text))
}

impl Delete {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        face.each(&self.names, |name| {
            delete::delete(&session.context, name)?;
            Ok(Some(format!("Deleted: {}", name.or_latest())))
        })
    }
}
