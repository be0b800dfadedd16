//! `save`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use shiplap_model::Platform;
use shiplap_ops::save::{self, ArchiveFormat, Output, SaveOptions};

use crate::face::{self, Face, Failure};

/// Save one or more images to a tar archive (streamed to STDOUT by default)
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Format of the archive
    #[arg(long, value_name = "string", default_value = "docker")]
    format: Format,
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<PathBuf>,
    /// Save only the given platform (formatted as os[/arch[/variant]], e.g. linux/amd64)
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Images to save
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    #[value(alias = "docker-archive")]
    Docker,
    #[value(alias = "oci-archive")]
    Oci,
}

impl Save {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let format = match self.format {
            Format::Docker => ArchiveFormat::Docker,
            Format::Oci => ArchiveFormat::Oci,
        };
        let options = SaveOptions {
            images: self.images,
            format,
            platform: self.platform,
        };
        let path = face::file(self.output);
        if path.is_none() && face.output.data_on_terminal() {
            return Err(Failure::plain(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        let session = face.session(true)?;
        let mut stream = face.output.stream();
        let output = path.map_or(Output::Stream(&mut stream), Output::File);
        Ok(save::save(&session.context, &options, output)?)
    }
}
