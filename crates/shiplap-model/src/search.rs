//! The words of Docker Hub's search (`GET /v1/search?q=…&n=…`), which registries and clients share.

use serde::{Deserialize, Serialize};

use crate::json;

/// What a search found, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchResults {
    /// Number of this page, from 1.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub page: u64,
    /// Results a page.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub page_size: u64,
    /// Pages in all.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub num_pages: u64,
    /// Results in all.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub num_results: u64,
    /// What was asked.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub query: String,
    /// The results of this page.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub results: Vec<SearchResult>,
}

/// One repository that was found. Its words come from whoever owns it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchResult {
    /// Its name as Docker shows it: `python`, `bitnami/python`.
    pub name: String,
    /// What its owner says of it.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub description: String,
    /// How many users starred it.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub star_count: u64,
    /// Whether it is one of the `library/` images.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub is_official: bool,
    /// Whether the registry builds it; Docker Hub says `false` for all by now.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub is_automated: bool,
}

#[cfg(test)]
mod tests;
