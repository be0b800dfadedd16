//! What builds keep for the next ones: listed and pruned.

use jiff::Timestamp;
use shiplap_model::Filters;
use shiplap_model::filter::FilterError;
use shiplap_store::{CachePrune, StoreError};

use crate::context::Context;
use crate::when::{self, WhenError};

pub use shiplap_store::{CacheKind, CacheObject};

/// The filters there are.
const FILTERS: [&str; 8] = [
    "description",
    "id",
    "inuse",
    "private",
    "shared",
    "type",
    "unused-for",
    "until",
];

/// What goes.
#[derive(Debug, Clone, Default)]
pub struct CachePruneOptions {
    /// All that no build uses now; else what images have, too, stays: it costs nothing.
    pub all: bool,
    /// `until`, `id`, `type`, `description`.
    pub filters: Filters,
    /// Stop once no more than this is kept, in bytes.
    pub keep_bytes: Option<u64>,
    /// Say what would go, and remove nothing.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Clone, Default)]
pub struct CachePruneReport {
    /// What was unused longest first.
    pub objects: Vec<CacheObject>,
    /// Bytes freed on disk.
    pub freed_bytes: u64,
}

/// Why the cache can't be listed or pruned.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A filter that is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A time that is none.
    #[error(transparent)]
    When(#[from] WhenError),
    /// A kind of things that builds don't keep.
    #[error("apply filter \"type\": {0:?} is not kept; there are regular and exec.cachemount")]
    Kind(String),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All that builds keep and the filters take, what was used last first.
///
/// # Errors
/// [`CacheError`].
pub fn list(context: &Context, filters: &Filters) -> Result<Vec<CacheObject>, CacheError> {
    let wanted = Wanted::new(filters, Timestamp::now())?;
    let mut objects = context.store()?.build_cache()?;
    objects.retain(|object| wanted.takes(object));
    Ok(objects)
}

/// Prunes.
///
/// # Errors
/// [`CacheError`].
pub fn prune(
    context: &Context,
    options: &CachePruneOptions,
) -> Result<CachePruneReport, CacheError> {
    let store = context.store()?;
    let wanted = Wanted::new(&options.filters, Timestamp::now())?;
    let mut prune = CachePrune {
        all: options.all,
        keep_bytes: options.keep_bytes,
        dry_run: options.dry_run,
        ..CachePrune::default()
    };
    if !options.filters.is_empty() {
        let objects = store.build_cache()?.into_iter();
        let taken = objects.filter(|object| wanted.takes(object));
        prune.ids = taken.map(|object| object.id).collect();
        if prune.ids.is_empty() {
            return Ok(CachePruneReport::default());
        }
    }
    let pruned = store.prune_build_cache(&prune)?;
    Ok(CachePruneReport {
        objects: pruned.objects,
        freed_bytes: pruned.freed_bytes,
    })
}

/// What the filters want.
struct Wanted<'f> {
    filters: &'f Filters,
    unused_since: Option<Timestamp>,
    is_shared: Option<bool>,
    is_in_use: Option<bool>,
}

impl<'f> Wanted<'f> {
    fn new(filters: &'f Filters, now: Timestamp) -> Result<Self, CacheError> {
        filters.check_keys(&FILTERS)?;
        for kind in filters.values("type") {
            let known = [CacheKind::Step, CacheKind::Mount];
            if !known.iter().any(|known| known.as_str() == kind) {
                return Err(CacheError::Kind(kind.to_owned()));
            }
        }
        let mut unused_since = None;
        for text in ["until", "unused-for"]
            .into_iter()
            .flat_map(|key| filters.values(key))
        {
            let time = when::parse(text, now)?;
            unused_since =
                unused_since.map_or(Some(time), |known: Timestamp| Some(known.min(time)));
        }
        let flag = |key| match filters.contains(key) {
            true => filters.flag(key, true).map(Some),
            false => Ok(None),
        };
        let is_private = flag("private")?;
        Ok(Self {
            filters,
            unused_since,
            is_shared: flag("shared")?.or(is_private.map(|is_private| !is_private)),
            is_in_use: flag("inuse")?,
        })
    }

    fn takes(&self, object: &CacheObject) -> bool {
        let mut words = self.filters.values("description").peekable();
        self.unused_since.is_none_or(|since| object.used < since)
            && self
                .is_shared
                .is_none_or(|shared| object.is_shared == shared)
            && self
                .is_in_use
                .is_none_or(|in_use| object.is_in_use == in_use)
            && self.filters.is_prefix("id", &object.id)
            && self.filters.is_exact("type", object.kind.as_str())
            && (words.peek().is_none() || words.any(|word| object.description.contains(word)))
    }
}

#[cfg(test)]
mod tests;
