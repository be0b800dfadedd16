//! What rewriting saves, measured: builds the Dockerfile as it is, then with one change after the other.
//!
//! The images are taken away again; the cache keeps the layers.

use std::io;
use std::path::Path;

use shiplap_ops::remove::{self, RmiOptions};
use shiplap_ops::step::Cancel;
use shiplap_store::StoreError;

use super::SettingsError;
use super::finding::Finding;
use super::guide::Family;
use super::mend::rewritten;
use super::review::Reviewer;
use crate::build::{BuildError, Streams, build};
use crate::options::BuildOptions;
use crate::progress::BuildProgress;

/// What rewriting saves.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Sizes of all files in the image's layers as the Dockerfile is, in bytes.
    pub before_bytes: u64,
    /// The same when all is rewritten.
    pub after_bytes: u64,
    /// What was rewritten, in order, each with the size from there on.
    pub changes: Vec<(Finding, u64)>,
    /// The rewritten text.
    pub text: Vec<u8>,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The Dockerfile does not say well what is to be checked.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A build failed.
    #[error("build {what}: {source}")]
    Build {
        /// Which text.
        what: String,
        /// Why.
        source: Box<BuildError>,
    },
    /// The text can't be put where a build finds it.
    #[error("write a Dockerfile to build from: {0}")]
    Write(#[from] io::Error),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Most changes that are measured one by one: each is a build.
const CHANGES: usize = 50;

/// Measures what is wanted of a Dockerfile's text. `ignore` is its own ignore file, if it has one that is not
/// the context's.
///
/// # Errors
/// [`ProveError`].
pub fn prove(
    workshop: &Workshop<'_>,
    reviewer: &Reviewer<'_>,
    text: &[u8],
    is_wanted: &dyn Fn(&Finding) -> bool,
) -> Result<Proof, ProveError> {
    let mut made = Vec::new();
    let done = measure(workshop, reviewer, text, is_wanted, &mut made);
    // What was built only to be measured goes, however it ended.
    let options = RmiOptions {
        images: made,
        ..RmiOptions::default()
    };
    if !options.images.is_empty() {
        remove::remove(workshop.ops, &options)?;
    }
    done
}

/// What builds are made with.
pub struct Workshop<'w> {
    /// The way to the store and the registries.
    pub ops: &'w shiplap_ops::Context,
    /// The context, arguments and so on; file and result are ours to say.
    pub options: &'w BuildOptions,
    /// The ignore file that belongs to the Dockerfile, and not to the context.
    pub ignore: Option<Vec<u8>>,
    /// Who is told.
    pub progress: &'w dyn BuildProgress,
    /// Ends builds.
    pub cancel: &'w Cancel,
}

fn measure(
    workshop: &Workshop<'_>,
    reviewer: &Reviewer<'_>,
    text: &[u8],
    is_wanted: &dyn Fn(&Finding) -> bool,
    made: &mut Vec<String>,
) -> Result<Proof, ProveError> {
    let before_bytes = workshop.size(text, "the Dockerfile as it is", made)?;
    let mut now = text.to_vec();
    let mut changes: Vec<(Finding, u64)> = Vec::new();
    let mut refused: Vec<(&str, u32)> = Vec::new();
    while changes.len() < CHANGES {
        let is_due = |finding: &Finding| {
            let costs = matches!(
                finding.guide.family,
                Family::Size | Family::Packages | Family::Users
            );
            costs
                && finding.is_mendable()
                && is_wanted(finding)
                && !refused.contains(&(finding.guide.name, finding.line()))
        };
        let Some(finding) = reviewer.review(&now)?.into_iter().find(is_due) else {
            break;
        };
        let Some(new) = rewritten(&now, &[&finding]) else {
            refused.push((finding.guide.name, finding.line()));
            continue;
        };
        let what = format!("without {} of line {}", finding.guide.name, finding.line());
        let size = workshop.size(&new, &what, made)?;
        changes.push((finding, size));
        now = new;
    }
    let after_bytes = changes.last().map_or(before_bytes, |(_, size)| *size);
    Ok(Proof {
        before_bytes,
        after_bytes,
        changes,
        text: now,
    })
}

impl Workshop<'_> {
    /// Builds a text, and adds up what its layers hold.
    fn size(&self, text: &[u8], what: &str, made: &mut Vec<String>) -> Result<u64, ProveError> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("Dockerfile");
        std::fs::write(&file, text)?;
        if let Some(ignore) = &self.ignore {
            std::fs::write(folder.path().join("Dockerfile.dockerignore"), ignore)?;
        }
        let mut options = self.options.clone();
        options.input.file = Some(shown(&file));
        options.result = crate::options::ResultOptions::default();
        let mut streams = Streams {
            stdin: &mut io::empty(),
            stdout: &mut io::sink(),
        };
        let built = build(self.ops, &options, self.progress, &mut streams, self.cancel);
        let report = built.map_err(|source| ProveError::Build {
            what: what.to_owned(),
            source: Box::new(source),
        })?;
        let store = self.ops.store()?;
        let mut size = 0;
        for image in &report.images {
            if image.is_new {
                made.push(image.id.to_string());
            }
            size += store
                .image_layers(&image.id)?
                .iter()
                .map(|layer| layer.content_bytes)
                .sum::<u64>();
        }
        Ok(size)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
