//! What a step sees: the root it works in, and where files come from.

use std::sync::Arc;

use shiplap_model::DiffId;
use shiplap_model::ignore::Patterns;

use super::copy::CopyTimes;
use super::ends::{Ends, RootImage};
use super::failure::Problem;
use super::files::Files;
use super::selection::{Selected, of_context};
use super::session::Session;
use crate::context::{ContentDigest, Context};
use crate::plan::{Source, Stage};
use crate::result::ImageLayer;

/// A time for what is copied from nowhere onto nothing: older tools can't write an earlier one
/// into an archive (1980-01-01).
const EARLIEST_SECS: i64 = 315_532_800;

/// What one step sees.
#[derive(Clone)]
pub(super) struct Around<'s, 'a> {
    pub(super) session: &'s Session<'a>,
    pub(super) stage: &'s Stage,
    pub(super) ends: &'s Ends,
    /// The layers of the root, base first.
    pub(super) root: Vec<DiffId>,
    /// Times of what is made.
    pub(super) times: CopyTimes,
}

/// Where files come from.
pub(super) enum Place {
    /// A context.
    Context(Arc<Context>),
    /// Layers, base first, which somebody holds.
    Layers(Vec<DiffId>),
}

impl<'s, 'a> Around<'s, 'a> {
    pub(super) fn new(
        session: &'s Session<'a>,
        stage: &'s Stage,
        ends: &'s Ends,
        layers: &[ImageLayer],
        base: &RootImage,
    ) -> Self {
        let newest = layers.iter().filter_map(|layer| layer.newest_secs).max();
        let made = newest.max(base.created_secs);
        Self {
            session,
            stage,
            ends,
            root: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
            times: CopyTimes {
                at_most_secs: session.at_most_secs,
                made_secs: made.unwrap_or(EARLIEST_SECS),
            },
        }
    }

    pub(super) fn root_files(&self) -> Result<Arc<Files>, Problem> {
        Ok(self.session.layers.files(&self.root)?)
    }

    /// Where `source` is, once it is there.
    pub(super) fn place(&self, source: &Source) -> Result<Place, Problem> {
        let session = self.session;
        Ok(match source {
            Source::Scratch => Place::Layers(Vec::new()),
            Source::Context => Place::Context(Arc::clone(&session.context)),
            Source::Named(name) => match session.named.get(name) {
                Some(context) => Place::Context(Arc::clone(context)),
                None => return Err(Problem::NoContext { name: name.clone() }),
            },
            Source::Stage(id) => {
                let end = self.ends.wait(*id, session.cancel)?;
                Place::Layers(
                    end.layers
                        .iter()
                        .map(|layer| layer.diff_id.clone())
                        .collect(),
                )
            }
            Source::Image(key) => match session.images.get(key) {
                Some(image) => Place::Layers(image.layers.clone()),
                None => {
                    let name = key.name.clone();
                    return Err(Problem::NoContext { name });
                }
            },
        })
    }

    /// What a source selects in a context; the first look into the build's own is told.
    pub(super) fn select(
        &self,
        context: &Arc<Context>,
        source: &str,
        excludes: &Patterns,
        parents: bool,
    ) -> Result<Vec<Arc<Selected>>, Problem> {
        let mut vertex = None;
        if Arc::ptr_eq(context, &self.session.context) {
            self.session.context_is_told.call_once(|| {
                vertex = Some(self.session.reporter.start("[internal] load build context"));
            });
        }
        let selected = of_context(context, source, excludes, parents);
        if let Some(vertex) = vertex {
            if let Ok(selected) = &selected {
                let bytes = selected
                    .iter()
                    .map(|selected| selected.tree.content_bytes());
                let bytes = shiplap_model::units::human_size(bytes.sum());
                vertex.status(&format!("transferring context: {bytes}"));
            }
            vertex.done();
        }
        Ok(selected?.into_iter().map(Arc::new).collect())
    }
}

/// What is known of files in layers without reading them.
pub(super) fn glance_at(layers: &[DiffId], path: &str, how: &[String]) -> ContentDigest {
    let layers = layers.iter().map(|layer| layer.digest().as_str());
    let mut words: Vec<&str> = vec!["layers"];
    words.extend(layers);
    words.push(path);
    words.extend(how.iter().map(String::as_str));
    ContentDigest::of(words.join("\0").as_bytes())
}
