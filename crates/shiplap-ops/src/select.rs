//! Choosing images by Docker's filters, for `images` and `image prune`.

use jiff::Timestamp;
use shiplap_model::Reference;
use shiplap_model::filter::{FilterError, Filters};
use shiplap_model::glob::{Glob, GlobError};
use shiplap_store::{ImageLine, ResolveError, Store, StoreError};

use crate::when::{self, WhenError};

/// Why images can't be chosen.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// A filter that there is not, or a value it can't have.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A pattern that is none.
    #[error(transparent)]
    Pattern(#[from] GlobError),
    /// A time that is none.
    #[error(transparent)]
    When(#[from] WhenError),
    /// The image of `before` or `since` is not to be found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A set of filters, ready to be asked.
pub(crate) struct Selection<'f> {
    filters: &'f Filters,
    patterns: Vec<Glob>,
    dangling: Option<bool>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl<'f> Selection<'f> {
    /// Understands `filters`, of which only the keys in `known` may be there.
    pub(crate) fn new(
        store: &Store,
        filters: &'f Filters,
        known: &[&'static str],
    ) -> Result<Self, SelectError> {
        filters.check_keys(known)?;
        let dangling = match filters.contains("dangling") {
            true => Some(filters.flag("dangling", false)?),
            false => None,
        };
        let now = Timestamp::now();
        let until: Vec<Timestamp> = filters
            .values("until")
            .map(|text| when::parse(text, now))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            filters,
            patterns: filters
                .values("reference")
                .map(Glob::parse)
                .collect::<Result<_, _>>()?,
            dangling,
            before: created_of(store, filters, "before")?.into_iter().min(),
            since: created_of(store, filters, "since")?.into_iter().max(),
            until: until.into_iter().min(),
        })
    }

    /// Whether it asks for labels.
    pub(crate) fn wants_labels(&self) -> bool {
        ["label", "label!"]
            .iter()
            .any(|key| self.filters.contains(key))
    }

    /// Whether an image is chosen. Names that no `reference` pattern matches are taken off it.
    pub(crate) fn takes(&self, image: &mut ImageLine) -> bool {
        if !self.patterns.is_empty() {
            let matches = |name: &Reference| self.patterns.iter().any(|p| name.matches(p));
            image.tags.retain(matches);
            image
                .repo_digests
                .retain(|known| matches(&known.repository.at(known.digest.clone())));
            if image.tags.is_empty() && image.repo_digests.is_empty() {
                return false;
            }
        }
        let created = image.created.unwrap_or(Timestamp::UNIX_EPOCH);
        self.dangling
            .is_none_or(|dangling| dangling == image.is_dangling())
            && self.before.is_none_or(|before| created < before)
            && self.since.is_none_or(|since| created > since)
            && self.until.is_none_or(|until| created < until)
            && self.filters.takes_labels(&image.labels)
    }
}

fn created_of(store: &Store, filters: &Filters, key: &str) -> Result<Vec<Timestamp>, SelectError> {
    let created = |name: &str| {
        let id = store.resolve(name)?.id;
        let image = store.image(&id)?;
        Ok(image
            .and_then(|image| image.created)
            .unwrap_or(Timestamp::UNIX_EPOCH))
    };
    filters.values(key).map(created).collect()
}
