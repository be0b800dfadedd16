//! `search`: images that a registry offers.

use shiplap_model::filter::{FilterError, Filters};
use shiplap_model::reference::DOCKER_HUB;
pub use shiplap_model::search::SearchResult;

use crate::context::Context;

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// The term; before it may stand a registry, as in `quay.example/term`.
    pub term: String,
    /// Most results; 1 to 100.
    pub limit: usize,
    /// `stars`, `is-official`, `is-automated`.
    pub filters: Filters,
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A filter that there is not, or a value it can't have.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A number of stars that is none.
    #[error("filter by stars: {value:?} is no number")]
    Stars {
        /// What was written.
        value: String,
    },
    /// A limit that is out of range.
    #[error("search with limit {limit}: want 1 to 100")]
    Limit {
        /// What was asked for.
        limit: usize,
    },
    /// The registry's failure.
    #[error(transparent)]
    Registry(#[from] shiplap_registry::Error),
}

/// Searches; results come in the registry's order.
///
/// # Errors
/// [`SearchError`].
pub fn search(
    context: &Context,
    options: &SearchOptions,
) -> Result<Vec<SearchResult>, SearchError> {
    let filters = &options.filters;
    filters.check_keys(&["stars", "is-official", "is-automated"])?;
    if !(1..=100).contains(&options.limit) {
        return Err(SearchError::Limit {
            limit: options.limit,
        });
    }
    let stars = |value: &str| {
        value.parse::<u64>().map_err(|_| SearchError::Stars {
            value: value.to_owned(),
        })
    };
    let stars: Vec<u64> = filters
        .values("stars")
        .map(stars)
        .collect::<Result<_, _>>()?;
    let least_stars = stars.into_iter().max().unwrap_or(0);
    let (registry, term) = split(&options.term);
    let mut results = context.client().search(registry, term, options.limit)?;
    let official = flag(filters, "is-official")?;
    let automated = flag(filters, "is-automated")?;
    results.retain(|result| {
        result.star_count >= least_stars
            && official.is_none_or(|wanted| wanted == result.is_official)
            && automated.is_none_or(|wanted| wanted == result.is_automated)
    });
    results.truncate(options.limit);
    Ok(results)
}

fn flag(filters: &Filters, key: &str) -> Result<Option<bool>, FilterError> {
    if filters.contains(key) {
        filters.flag(key, false).map(Some)
    } else {
        Ok(None)
    }
}

/// What stands before the first slash is a registry if it looks like a host, as in references.
fn split(term: &str) -> (&str, &str) {
    match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => (DOCKER_HUB, term),
    }
}
