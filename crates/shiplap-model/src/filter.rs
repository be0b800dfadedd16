//! Docker's filters: `--filter key=value` of the command line, and the `filters` parameter of the
//! Engine API in both of its JSON forms.
//!
//! What a key means and which keys a verb takes, the verb knows; here are only the ways to match.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::Value;

use crate::json::{self, JsonError};
use crate::limits;

/// Why a filter is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not one of the two JSON forms.
    #[error(
        "parse filters: want {{\"key\": {{\"value\": true}}}} or {{\"key\": [\"value\"]}}: {source}"
    )]
    Json {
        /// Where and why.
        source: JsonError,
    },
    /// A command-line filter without `=`.
    #[error("parse filter {0:?}: want name=value")]
    Argument(String),
    /// A key that the verb does not know.
    #[error("apply filter {key:?}: there is no such filter; there are {}", known.join(", "))]
    Unknown {
        /// The key.
        key: String,
        /// What the verb knows.
        known: Vec<&'static str>,
    },
    /// A yes-or-no filter with no, another or contradicting values.
    #[error("apply filter {key:?}: want true (1) or false (0), not {values:?}")]
    Flag {
        /// The key.
        key: String,
        /// Its values.
        values: Vec<String>,
    },
}

/// Sets of wanted values, by key.
///
/// A key that is absent, or has no values, wants nothing: everything matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// No filters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the Engine API's parameter: `{"key": {"value": true}}`, or the older
    /// `{"key": ["value"]}`; empty is no filters. A value that is `false` is not wanted.
    ///
    /// # Errors
    /// [`FilterError::Json`].
    pub fn parse_json(text: &str) -> Result<Self, FilterError> {
        type Sets = BTreeMap<String, Option<BTreeMap<String, bool>>>;
        type Lists = BTreeMap<String, Option<Vec<String>>>;
        if text.is_empty() {
            return Ok(Self::new());
        }
        let bytes = text.as_bytes();
        if let Ok(sets) = json::parse::<Option<Sets>>(bytes, limits::FILTER_BYTES) {
            let wanted = |set: BTreeMap<String, bool>| {
                set.into_iter()
                    .filter_map(|(value, on)| on.then_some(value))
                    .collect()
            };
            let sets = sets.unwrap_or_default().into_iter();
            return Ok(Self(
                sets.map(|(key, set)| (key, wanted(set.unwrap_or_default())))
                    .collect(),
            ));
        }
        let lists: Lists = json::parse(bytes, limits::FILTER_BYTES)
            .map_err(|source| FilterError::Json { source })?;
        let lists = lists.into_iter();
        Ok(Self(
            lists
                .map(|(key, list)| (key, list.unwrap_or_default().into_iter().collect()))
                .collect(),
        ))
    }

    /// The Engine API's parameter, in its newer form; empty for no filters.
    #[must_use]
    pub fn to_json(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let set = |values: &BTreeSet<String>| -> Value {
            values.iter().map(|value| (value.clone(), true)).collect()
        };
        let keys = self
            .0
            .iter()
            .map(|(key, values)| (key.clone(), set(values)));
        keys.collect::<Value>().to_string()
    }

    /// Adds a command-line filter, `key=value`; blanks around both and the key's case don't matter.
    ///
    /// # Errors
    /// [`FilterError::Argument`].
    pub fn add_argument(&mut self, argument: &str) -> Result<(), FilterError> {
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| FilterError::Argument(argument.chars().take(200).collect()))?;
        self.add(key.trim().to_lowercase(), value.trim());
        Ok(())
    }

    /// Adds one wanted value.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().insert(value.into());
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is there.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The wanted values of `key`, sorted.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Refuses keys that the verb does not know.
    ///
    /// # Errors
    /// [`FilterError::Unknown`].
    pub fn check_keys(&self, known: &[&'static str]) -> Result<(), FilterError> {
        match self.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(FilterError::Unknown {
                key: key.to_owned(),
                known: known.to_vec(),
            }),
            None => Ok(()),
        }
    }

    /// Whether `found` is a wanted value, or one of them as a regular expression is found
    /// anywhere in it. A value that is no regular expression matches only itself.
    #[must_use]
    pub fn matches(&self, key: &str, found: &str) -> bool {
        self.is_exact(key, found)
            || self
                .values(key)
                .any(|value| Regex::new(value).is_ok_and(|wanted| wanted.is_match(found)))
    }

    /// Whether `found` is a wanted value.
    #[must_use]
    pub fn is_exact(&self, key: &str, found: &str) -> bool {
        self.wanted(key).is_none_or(|values| values.contains(found))
    }

    /// Whether `found` is the only wanted value.
    #[must_use]
    pub fn is_only(&self, key: &str, found: &str) -> bool {
        self.wanted(key)
            .is_none_or(|values| values.len() == 1 && values.contains(found))
    }

    /// Whether `found` begins with a wanted value (Docker's fuzzy match).
    #[must_use]
    pub fn is_prefix(&self, key: &str, found: &str) -> bool {
        self.wanted(key).is_none_or(|values| {
            values
                .iter()
                .any(|prefix| found.starts_with(prefix.as_str()))
        })
    }

    /// Whether every wanted `name` or `name=value` is among `found`: Docker's `label` filter.
    #[must_use]
    pub fn matches_labels(&self, key: &str, found: &BTreeMap<String, String>) -> bool {
        self.values(key).all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => found.get(name).is_some_and(|found| found == value),
            None => found.contains_key(wanted),
        })
    }

    /// Docker's filters `label` and `label!` together: what must and what must not be among `found`.
    #[must_use]
    pub fn takes_labels(&self, found: &BTreeMap<String, String>) -> bool {
        let is_excluded = self.contains("label!") && self.matches_labels("label!", found);
        self.matches_labels("label", found) && !is_excluded
    }

    /// The value of a yes-or-no filter, or `default` if it is not there.
    ///
    /// # Errors
    /// [`FilterError::Flag`] for no value, another one, or both.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, FilterError> {
        let Some(values) = self.0.get(key) else {
            return Ok(default);
        };
        let has = |words: [&str; 2]| words.iter().any(|word| values.contains(*word));
        match (has(["1", "true"]), has(["0", "false"])) {
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            _ => Err(FilterError::Flag {
                key: key.to_owned(),
                values: values.iter().cloned().collect(),
            }),
        }
    }

    fn wanted(&self, key: &str) -> Option<&BTreeSet<String>> {
        self.0.get(key).filter(|values| !values.is_empty())
    }
}

impl FromIterator<(String, BTreeSet<String>)> for Filters {
    fn from_iter<I: IntoIterator<Item = (String, BTreeSet<String>)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
