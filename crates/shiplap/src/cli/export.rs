//! `export`.

use std::path::PathBuf;

use clap::Args;
use shiplap_ops::{
    container::{self, ContainerError},
    export,
    save::Output,
};

use crate::face::{self, Face, Failure};

/// Export a container's or an image's filesystem as a tar archive
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<PathBuf>,
    /// Container to export, or image
    #[arg(value_name = "CONTAINER|IMAGE")]
    source: String,
}

impl Export {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let path = face::file(self.output);
        if path.is_none() && face.output.data_on_terminal() {
            return Err(Failure::plain(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        let session = face.session(true)?;
        let mut stream = face.output.stream();
        let output = path.map_or(Output::Stream(&mut stream), Output::File);
        match container::find(&session.context, &self.source) {
            Ok(container) => {
                let tree = container.tree();
                container::export::export(&session.context, &container.name, &tree, output)?;
            }
            Err(ContainerError::NotFound { .. }) => {
                export::export(&session.context, &self.source, output)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
