//! `pull`.

use clap::Args;
use shiplap_model::{Platform, Reference};
use shiplap_ops::pull::{self, PullOptions};

use crate::face::{Face, Failure};

/// Download an image from a registry
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Choose this platform of an image that has several
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Print nothing but the image's name
    #[arg(short, long)]
    quiet: bool,
    #[arg(long, hide = true)]
    disable_content_trust: bool,
    /// Image to download
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
}

impl Pull {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let mut reference = Reference::parse(&self.name)?;
        if !self.all_tags {
            if reference.tag().is_none() && reference.digest().is_none() && !self.quiet {
                face.output.talk("Using default tag: latest");
            }
            reference = reference.or_latest();
        }
        let options = PullOptions {
            reference,
            platform: self.platform,
            all_tags: self.all_tags,
        };
        let session = face.session(self.quiet)?;
        let report = pull::pull(&session.context, &options, &*session.teller)?;
        if self.all_tags {
            return Ok(face
                .output
                .line(&options.reference.repository().to_string())?);
        }
        for image in report.images {
            if !self.quiet {
                let news = if image.is_new {
                    "Downloaded newer image"
                } else {
                    "Image is up to date"
                };
                face.output.line(&format!("Digest: {}", image.digest))?;
                face.output.line(&format!(
                    "Status: {news} for {}",
                    image.reference.familiar()
                ))?;
            }
            face.output.line(&image.reference.to_string())?;
        }
        Ok(())
    }
}
