//! Where a cache is, in the words of `--cache-from` and `--cache-to`. What is not understood is refused,
//! never skipped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use shiplap_model::Reference;
use shiplap_model::csv::{self, QuoteError};
use shiplap_model::reference::ReferenceError;

/// Where a cache is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// `type=registry,ref=NAME`, or a name alone: in a registry, as an image of its own or within
    /// one that was built.
    Registry(Reference),
    /// `type=local,src=DIR` or `dest=DIR`: a layout in a directory.
    Local(PathBuf),
    /// `type=inline`: within the image that is built.
    Inline,
}

/// How much of a cache is put elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheBreadth {
    /// `mode=min`: the steps whose layers the image has.
    Image,
    /// `mode=max`: all steps. The default, other than BuildKit's: what a step copies from another
    /// stage is known by its content, so that stage's layers must be there to find the step.
    #[default]
    All,
}

/// Where a cache is put, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTarget {
    /// Where.
    pub place: CachePlace,
    /// How much of it.
    pub breadth: CacheBreadth,
    /// `ignore-error=true`: the build does not fail if it can't be put there.
    pub ignores_errors: bool,
}

/// A place that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CachePlaceError {
    /// Quotes.
    #[error("read the cache: {0}")]
    Quotes(#[from] QuoteError),
    /// A kind that there is not.
    #[error(
        "use the cache {0:?}: there are type=registry,ref=NAME, type=local,src=DIR (dest=DIR) and type=inline"
    )]
    Kind(String),
    /// Something that this kind needs.
    #[error("use the cache {place:?}: {key}= is missing")]
    Missing {
        /// As written.
        place: String,
        /// What is missing.
        key: &'static str,
    },
    /// Something that no cache has, or not with that value.
    #[error("use the cache {place:?}: {field} is not supported")]
    Field {
        /// As written.
        place: String,
        /// What is meant.
        field: String,
    },
    /// No name of an image.
    #[error("use the cache {place:?}: {source}")]
    Reference {
        /// As written.
        place: String,
        /// Why.
        source: ReferenceError,
    },
}

impl FromStr for CachePlace {
    type Err = CachePlaceError;

    fn from_str(text: &str) -> Result<Self, CachePlaceError> {
        let words = Words::of(text)?;
        let place = words.place()?;
        words.check(&["type", "ref", "src", "dest"])?;
        Ok(place)
    }
}

impl FromStr for CacheTarget {
    type Err = CachePlaceError;

    fn from_str(text: &str) -> Result<Self, CachePlaceError> {
        let words = Words::of(text)?;
        let place = words.place()?;
        let own = ["type", "ref", "src", "dest", "mode", "ignore-error"];
        words.check(&own)?;
        let refused = |key: &str| words.refused(key);
        let breadth = match words.fields.get("mode").map(String::as_str) {
            None => CacheBreadth::default(),
            Some("min") => CacheBreadth::Image,
            Some("max") => CacheBreadth::All,
            Some(_) => return Err(refused("mode")),
        };
        let ignores_errors = match words.fields.get("ignore-error").map(String::as_str) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(refused("ignore-error")),
        };
        Ok(Self {
            place,
            breadth,
            ignores_errors,
        })
    }
}

/// What was written, taken apart.
struct Words<'t> {
    text: &'t str,
    /// None: it is a name alone.
    fields: BTreeMap<String, String>,
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Result<Self, CachePlaceError> {
        let fields = match text.contains('=') {
            true => csv::fields(text)?,
            false => Vec::new(),
        };
        let pair = |field: &String| {
            let (key, value) = field.split_once('=').unwrap_or((field, ""));
            (key.trim().to_ascii_lowercase(), value.to_owned())
        };
        Ok(Self {
            text,
            fields: fields.iter().map(pair).collect(),
        })
    }

    /// Beside its own fields one may ask for what is done anyway: a cache is an image, in OCI's words.
    fn check(&self, own: &[&str]) -> Result<(), CachePlaceError> {
        for (key, value) in &self.fields {
            let is_done = ["image-manifest", "oci-mediatypes"].contains(&key.as_str());
            let is_known = own.contains(&key.as_str()) || is_done && value == "true";
            if !is_known {
                return Err(self.refused(key));
            }
        }
        Ok(())
    }

    fn refused(&self, key: &str) -> CachePlaceError {
        let value = self.fields.get(key).map_or("", String::as_str);
        CachePlaceError::Field {
            place: self.text.to_owned(),
            field: format!("{key}={value}"),
        }
    }

    fn place(&self) -> Result<CachePlace, CachePlaceError> {
        if self.fields.is_empty() {
            return self.named(self.text);
        }
        let needed = |keys: &[&'static str]| {
            let value = keys.iter().find_map(|key| self.fields.get(*key));
            value.ok_or_else(|| CachePlaceError::Missing {
                place: self.text.to_owned(),
                key: keys[0],
            })
        };
        match self.fields.get("type").map(String::as_str) {
            Some("registry") => self.named(needed(&["ref"])?),
            Some("local") => Ok(CachePlace::Local(PathBuf::from(needed(&["dest", "src"])?))),
            Some("inline") => Ok(CachePlace::Inline),
            _ => Err(CachePlaceError::Kind(self.text.to_owned())),
        }
    }

    fn named(&self, name: &str) -> Result<CachePlace, CachePlaceError> {
        match Reference::parse(name) {
            Ok(name) => Ok(CachePlace::Registry(name.or_latest())),
            Err(source) => Err(CachePlaceError::Reference {
                place: self.text.to_owned(),
                source,
            }),
        }
    }
}
