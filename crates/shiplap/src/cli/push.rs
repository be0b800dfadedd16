//! `push`.

use clap::{Args, ValueEnum};
use shiplap_model::{Reference, media_type::LayerCompression};
use shiplap_ops::push::{self, PushOptions};

use crate::face::{Face, Failure};

/// Upload an image to a registry
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Compress all layers so
    #[arg(long, value_name = "string")]
    compression: Option<Compression>,
    /// Print nothing but the image's name
    #[arg(short, long)]
    quiet: bool,
    #[arg(long, hide = true)]
    disable_content_trust: bool,
    /// Image to upload
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compression {
    Gzip,
    Zstd,
    None,
}

impl Push {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let mut reference = Reference::parse(&self.name)?;
        if !self.all_tags {
            if reference.tag().is_none() && reference.digest().is_none() && !self.quiet {
                face.output.talk("Using default tag: latest");
            }
            reference = reference.or_latest();
        }
        let compression = self.compression.map(|compression| match compression {
            Compression::Gzip => LayerCompression::Gzip,
            Compression::Zstd => LayerCompression::Zstd,
            Compression::None => LayerCompression::None,
        });
        let options = PushOptions {
            reference,
            all_tags: self.all_tags,
            compression,
        };
        let session = face.session(self.quiet)?;
        for image in push::push(&session.context, &options, &*session.teller)? {
            if self.quiet {
                face.output.line(&image.reference.to_string())?;
            } else {
                let tag = image.reference.tag().unwrap_or_default();
                let (digest, size) = (&image.digest, image.manifest_bytes);
                face.output
                    .line(&format!("{tag}: digest: {digest} size: {size}"))?;
            }
        }
        Ok(())
    }
}
