//! `analyze`: what each layer, step and path of an image costs, what of it is waste, and which
//! change to the Dockerfile saves how much. All from the layer indexes: nothing is mounted or
//! unpacked, and the only content that is read is that of files which may be there twice.
//!
//! It changes nothing; what rewrites an image without its waste builds on [`waste::find`].

pub mod bounds;
pub(crate) mod content;
pub mod opened;
pub mod origin;
pub mod paths;
pub mod proposal;
pub mod report;
pub(crate) mod rules;
pub mod score;
pub mod steps;
pub mod tree;
pub mod waste;

use shiplap_model::dockerfile::Dockerfile;
use shiplap_model::{DiffId, Platform};
use shiplap_store::StoreError;

use crate::base::{self, Ask, BaseError, Standing, Suggestion};
use crate::context::Context;
use crate::progress::{Event, Progress};

use opened::{OpenError, OpenedImage};
use origin::Base;
use paths::{Paths, PathsError};
use proposal::Proposal;
use score::Score;
use steps::Step;
use waste::{Finding, WasteError};

/// What to look into, and how.
#[derive(Debug, Clone, Default)]
pub struct AnalyzeOptions {
    /// An image of the store, an archive or layout, or what a registry has.
    pub image: String,
    /// For which platform; `None`: that of the settings.
    pub platform: Option<Platform>,
    /// The Dockerfile it was built from, to name lines.
    pub dockerfile: Option<Dockerfile>,
    /// Ask the base's registry for smaller forms of it; those that are here are told in any case.
    pub asks_registry: bool,
}

/// All that is known of an image's bytes.
pub struct Analysis {
    /// The image.
    pub image: OpenedImage,
    /// The image it was built on, if the store has that.
    pub base: Option<Base>,
    /// Smaller forms of the image it was built on, as far as they are known.
    pub suggestion: Option<Suggestion>,
    /// Its paths, with what each layer does to them.
    pub paths: Paths,
    /// The steps that made it, oldest first.
    pub steps: Vec<Step>,
    /// dive's score.
    pub score: Score,
    /// What it could do without.
    pub findings: Vec<Finding>,
    /// What to change, best first.
    pub proposals: Vec<Proposal>,
}

/// Why an image can't be looked into.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// It can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its layers can't be read.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// Content can't be read.
    #[error(transparent)]
    Waste(#[from] WasteError),
}

/// Looks into an image.
///
/// # Errors
/// [`AnalyzeError`].
pub fn analyze(
    context: &Context,
    options: &AnalyzeOptions,
    progress: &dyn Progress,
) -> Result<Analysis, AnalyzeError> {
    let platform = options.platform.as_ref();
    let image = opened::open(context, &options.image, platform, progress)?;
    let (paths, findings) = {
        let paths = read(&image)?;
        let findings = waste::find(&paths, &image.tars())?;
        (paths, findings)
    };
    let steps = steps::steps(
        &image.config,
        image.layers.len(),
        options.dockerfile.as_ref(),
    );
    let ids: Vec<_> = image
        .layers
        .iter()
        .map(|layer| &layer.record.diff_id)
        .collect();
    let base = origin::base(context.store()?, &image.id, &ids)?;
    let suggestion = suggest(context, options, &image, &ids, progress)?;
    let proposals = proposal::proposals(
        &paths,
        &findings,
        &steps,
        base.as_ref(),
        suggestion.as_ref(),
    );
    Ok(Analysis {
        score: score::score(&paths),
        image,
        base,
        suggestion,
        paths,
        steps,
        findings,
        proposals,
    })
}

/// Smaller forms of the base. A registry that can't be asked is told, and no reason to fail.
fn suggest(
    context: &Context,
    options: &AnalyzeOptions,
    image: &OpenedImage,
    layers: &[&DiffId],
    progress: &dyn Progress,
) -> Result<Option<Suggestion>, StoreError> {
    let standing = Standing {
        config: &image.config,
        layers,
        name: image.registry_name.as_ref(),
    };
    let told = |error: BaseError| match error {
        BaseError::Store(error) => Err(error),
        other => {
            let line = format!("only smaller bases that are here are told: failed to {other}");
            progress.event(Event::Warning(&line));
            Ok(None)
        }
    };
    let asked = match options.asks_registry {
        true => base::smaller(context, &standing, Ask::Registry).or_else(told)?,
        false => None,
    };
    match asked {
        Some(found) => Ok(Some(found)),
        None => base::smaller(context, &standing, Ask::Store).or_else(told),
    }
}

/// The paths of an image; each index is closed when it was read, so that memory holds one.
fn read(image: &OpenedImage) -> Result<Paths, AnalyzeError> {
    let mut paths = Paths::new();
    for layer in &image.layers {
        paths.add(&image.index(layer)?)?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests;
