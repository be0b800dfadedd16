//! `export`.

use std::path::PathBuf;

use clap::Args;
use shiplap_ops::{export, save::Output};

use crate::face::{self, Face, Failure};

/// Export an image's filesystem as a tar archive
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<PathBuf>,
    /// Image to export
    #[arg(value_name = "IMAGE")]
    image: String,
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
        Ok(export::export(&session.context, &self.image, output)?)
    }
}
