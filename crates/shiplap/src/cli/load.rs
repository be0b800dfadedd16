//! `load`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Args;
use shiplap_model::Platform;
use shiplap_ops::load::{self, Input};

use crate::face::{self, Face, Failure};

/// Load an image from a tar archive or STDIN
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "string")]
    input: Option<PathBuf>,
    /// Load only the given platform (formatted as os[/arch[/variant]], e.g. linux/amd64)
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
}

impl Load {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let path = face::file(self.input);
        if path.is_none() && io::stdin().is_terminal() {
            return Err(Failure::plain(
                "requested load from stdin, but stdin is a terminal",
            ));
        }
        let session = face.session(self.quiet)?;
        let mut stdin = io::stdin();
        let input = path.map_or(Input::Stream(&mut stdin), Input::File);
        let platform = self.platform.as_ref();
        for image in load::load(&session.context, input, platform, &*session.teller)? {
            if image.tags.is_empty() {
                face.output
                    .line(&format!("Loaded image ID: {}", image.id))?;
            }
            for tag in &image.tags {
                face.output
                    .line(&format!("Loaded image: {}", tag.familiar()))?;
            }
        }
        Ok(())
    }
}
