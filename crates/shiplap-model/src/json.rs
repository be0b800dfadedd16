//! Strict JSON: what two careful readers would both take to mean the same, or nothing.
//!
//! A manifest is read here, by the registry that served it, and by whoever signed it. Duplicate
//! keys (some readers take the first, some the last), bytes after the document and nesting without
//! end are therefore refused wherever they stand, in parts that are understood and in parts that
//! are not. Go's decoder, which most peers use, also takes `Layers` for `layers`; types built on
//! this module refuse such a key with [`misspelt`]. Nothing here knows what a document means.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::limits;

/// Fields of an object that have no place in its type, kept so that they survive a rewrite.
pub type Rest = BTreeMap<String, serde_json::Value>;

/// Why bytes are not a JSON document that is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than such a document may have.
    #[error("read JSON: it has {actual_bytes} bytes, more than the {limit_bytes} allowed")]
    TooLong {
        /// Length of the document, in bytes.
        actual_bytes: u64,
        /// The bound, in bytes.
        limit_bytes: u64,
    },
    /// An object with the same key twice.
    #[error("read JSON: the key {key:?} stands twice in one object (line {line}, column {column})")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of the second one, from 1.
        line: usize,
        /// Column of the second one, from 1.
        column: usize,
    },
    /// Arrays and objects nested beyond [`limits::JSON_DEPTH`].
    #[error("read JSON: arrays and objects nest deeper than {limit} levels")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
    /// Not JSON, bytes after the document, or not the shape that is wanted.
    #[error("read JSON: {problem}")]
    Malformed {
        /// What the parser says, with line and column where it knows them.
        problem: String,
    },
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed {
            problem: error.to_string(),
        }
    }
}

/// Reads one document of at most `limit_bytes` into `T`.
///
/// # Errors
/// [`JsonError`] if [`check`] refuses it or it does not have `T`'s shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], limit_bytes: u64) -> Result<T, JsonError> {
    check(bytes, limit_bytes)?;
    Ok(serde_json::from_slice(bytes)?)
}

/// Checks in one pass that `bytes` are one JSON document within the bounds, without duplicate keys.
///
/// # Errors
/// [`JsonError`].
pub fn check(bytes: &[u8], limit_bytes: u64) -> Result<(), JsonError> {
    let actual_bytes = bytes.len() as u64;
    if actual_bytes > limit_bytes {
        return Err(JsonError::TooLong {
            actual_bytes,
            limit_bytes,
        });
    }
    let mut found = None;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let scanned = Scan {
        found: &mut found,
        depth: 0,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end());
    let Err(error) = scanned else { return Ok(()) };
    Err(match found {
        Some(Found::Duplicate(key)) => JsonError::DuplicateKey {
            key,
            line: error.line(),
            column: error.column(),
        },
        Some(Found::Depth) => JsonError::TooDeep {
            limit: limits::JSON_DEPTH,
        },
        None => error.into(),
    })
}

/// The first key in `rest` that Go's decoder would take for one of the `known` keys, and that one.
#[must_use]
pub fn misspelt<'r>(rest: &'r Rest, known: &[&'static str]) -> Option<(&'r str, &'static str)> {
    rest.keys().find_map(|key| {
        known
            .iter()
            .find(|known| key != *known && folds_to(key, known))
            .map(|known| (key.as_str(), *known))
    })
}

/// Whether Go's `encoding/json` takes the key `found` for the field `known` (ASCII): letters
/// compare without case, and `ſ` and the Kelvin sign fold to `s` and `k`.
fn folds_to(found: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    found.chars().map(fold).eq(known.chars().map(fold))
}

/// For fields where `null` means the same as absence, as in Go.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

enum Found {
    Duplicate(String),
    Depth,
}

struct Scan<'s> {
    found: &'s mut Option<Found>,
    depth: usize,
}

impl Scan<'_> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        if self.depth >= limits::JSON_DEPTH {
            *self.found = Some(Found::Depth);
            return Err(E::custom("too deep"));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while seq
            .next_element_seed(Scan {
                found: self.found,
                depth,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let mut keys = Keys::default();
        while let Some(Key(key)) = map.next_key()? {
            if let Err(key) = keys.insert(key) {
                *self.found = Some(Found::Duplicate(key.chars().take(200).collect()));
                return Err(A::Error::custom("duplicate key"));
            }
            map.next_value_seed(Scan {
                found: self.found,
                depth,
            })?;
        }
        Ok(())
    }
}

/// The keys of one object: nearly always few, so a list first and a set only beyond that.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    const FEW: usize = 16;

    fn insert(&mut self, key: Cow<'de, str>) -> Result<(), Cow<'de, str>> {
        if self.few.contains(&key) || self.many.contains(&key) {
            return Err(key);
        }
        if self.few.len() < Self::FEW {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        Ok(())
    }
}

struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests;
