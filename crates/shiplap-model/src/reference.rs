//! References: how users and registries name images, with Docker's short forms.
//!
//! [`grammar`] reads what stands there; [`Reference`] and [`Repository`] are always whole
//! (`python` is `docker.io/library/python`), so two that are equal name the same thing. Whether a
//! thing of that name exists is not known here.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestError};
use crate::glob::Glob;
use crate::limits;

pub mod grammar;

/// Docker Hub's registry in references.
pub const DOCKER_HUB: &str = "docker.io";
/// The tag that is meant where none stands.
pub const DEFAULT_TAG: &str = "latest";

const DOCKER_HUB_LEGACY: &str = "index.docker.io";
const OFFICIAL: &str = "library/";

/// A part of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `host[:port]`.
    Registry,
    /// The repository's path.
    Name,
    /// What follows the colon.
    Tag,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "registry",
            Self::Name => "repository name",
            Self::Tag => "tag",
        })
    }
}

/// What is wrong with a part of a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A character where the grammar has none such.
    #[error("{part} {text:?} may not have {character:?} at position {position}")]
    Character {
        /// Where.
        part: Part,
        /// The whole part.
        text: String,
        /// The character.
        character: char,
        /// Its number, from 1.
        position: usize,
    },
    /// A part, or a component of it, that ends before it is complete.
    #[error("{part} {text:?} is empty or ends too early")]
    Unfinished {
        /// Where.
        part: Part,
        /// The whole part.
        text: String,
    },
    /// A repository name with uppercase letters and no other fault.
    #[error("repository name ({name}) must be lowercase")]
    Uppercase {
        /// The name.
        name: String,
    },
    /// A part longer than registries take.
    #[error("{part} has {bytes} characters, more than {limit}")]
    TooLong {
        /// Which.
        part: Part,
        /// Its length, in bytes.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
}

impl Problem {
    fn at(part: Part, text: &str, at: usize) -> Self {
        match text.get(at..).and_then(|after| after.chars().next()) {
            Some(character) => Self::Character {
                part,
                text: shorten(text),
                character,
                position: text[..at].chars().count() + 1,
            },
            None => Self::Unfinished {
                part,
                text: shorten(text),
            },
        }
    }

    fn registry(text: &str, at: usize) -> Self {
        Self::at(Part::Registry, text, at)
    }

    fn in_reference(self, reference: &str) -> ReferenceError {
        ReferenceError::Format {
            reference: shorten(reference),
            problem: self,
        }
    }
}

/// Why a string is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing.
    #[error(
        "parse reference: invalid reference format: repository name must have at least one component"
    )]
    Empty,
    /// Longer than any reference that can be.
    #[error("parse reference {reference:?}: it has {bytes} bytes, more than {limit}", limit = limits::REFERENCE_BYTES)]
    TooLong {
        /// Its beginning.
        reference: String,
        /// Its length, in bytes.
        bytes: usize,
    },
    /// A part is wrong.
    #[error("parse reference {reference:?}: invalid reference format: {problem}")]
    Format {
        /// The reference.
        reference: String,
        /// The part, and what is wrong.
        problem: Problem,
    },
    /// An address was given.
    #[error(
        "parse reference {reference:?}: invalid reference format: leave out {scheme:?}, it is a name and no address"
    )]
    Scheme {
        /// The reference.
        reference: String,
        /// `https://` or the like.
        scheme: String,
    },
    /// A repository can't be called like an image ID.
    #[error(
        "parse reference {reference:?}: invalid repository name, 64 hexadecimal characters are an image ID"
    )]
    Identifier {
        /// The reference.
        reference: String,
    },
    /// The digest is wrong, or of an algorithm that can't be computed.
    #[error("parse reference {reference:?}: {source}")]
    Digest {
        /// The reference.
        reference: String,
        /// What is wrong.
        source: DigestError,
    },
    /// Short where the whole name is asked for.
    #[error("parse reference {reference:?}: repository name must be canonical, as {canonical}")]
    NotCanonical {
        /// The reference.
        reference: String,
        /// Its whole form.
        canonical: String,
    },
}

/// A repository: a registry and a path in it, both whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    registry: Cow<'static, str>,
    path: String,
}

impl Repository {
    /// Reads `[registry/]path` with Docker's short forms.
    ///
    /// # Errors
    /// [`ReferenceError`], also for a tag or digest.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let reference = Reference::parse(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            return Ok(reference.repository);
        }
        let at = text.rfind('/').map_or(0, |slash| slash + 1);
        let fault = text[at..].find([':', '@']).map_or(at, |colon| at + colon);
        Err(Problem::at(Part::Name, text, fault).in_reference(text))
    }

    /// `docker.io`, `localhost:5000`, …
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// `library/python`, …
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What `digest` names in this repository.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Reference {
        Reference {
            repository: self.clone(),
            tag: None,
            digest: Some(digest),
        }
    }

    /// The short form that Docker shows: `python`; the whole name where the short form would be
    /// read as another one (`docker.io/localhost/a`).
    #[must_use]
    pub fn familiar(&self) -> String {
        if self.registry != DOCKER_HUB {
            return self.to_string();
        }
        let official = self
            .path
            .strip_prefix(OFFICIAL)
            .filter(|name| grammar::find(name, b'/').is_none());
        let short = official.unwrap_or(&self.path);
        let (registry, prefix, path) = split_docker_registry(short);
        let is_read_back = registry == DOCKER_HUB && self.path.strip_prefix(prefix) == Some(path);
        if grammar::is_identifier(short) || !is_read_back {
            return self.to_string();
        }
        short.to_owned()
    }
}

/// A repository, and mostly a tag or a digest in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What a user may write for an image: an ID, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyReference {
    /// 64 hex digits, or a digest without a name.
    Digest(Digest),
    /// A name.
    Named(Reference),
}

impl Reference {
    /// Reads a reference with Docker's short forms: `python` is `docker.io/library/python`. No
    /// tag is added: see [`Reference::or_latest`].
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if grammar::is_identifier(text) {
            return Err(ReferenceError::Identifier {
                reference: text.to_owned(),
            });
        }
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > limits::REFERENCE_BYTES {
            return Err(ReferenceError::TooLong {
                reference: shorten(text),
                bytes: text.len(),
            });
        }
        Self::read(text).map_err(|error| match text.find("://") {
            Some(end) => ReferenceError::Scheme {
                reference: shorten(text),
                scheme: text[..end + 3].to_owned(),
            },
            None => error,
        })
    }

    fn read(text: &str) -> Result<Self, ReferenceError> {
        let written = |problem: Problem| problem.in_reference(text);
        let (registry, prefix, remainder) = split_docker_registry(text);
        if registry != DOCKER_HUB {
            grammar::check_registry(registry).map_err(written)?;
        }
        let bytes = registry.len() + 1 + prefix.len() + remainder.len();
        if bytes > limits::REFERENCE_BYTES {
            return Err(ReferenceError::TooLong {
                reference: shorten(&format!("{registry}/{prefix}{remainder}")),
                bytes,
            });
        }
        let (path, tag, digest) = grammar::split(remainder);
        let path = [prefix, path].concat();
        grammar::check_path(&path).map_err(written)?;
        let (tag, digest) = grammar::check_rest(text, tag, digest)?;
        Ok(Self {
            repository: Repository {
                registry: match registry {
                    DOCKER_HUB => DOCKER_HUB.into(),
                    other => other.to_owned().into(),
                },
                path,
            },
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// Reads a reference that must already be whole.
    ///
    /// # Errors
    /// [`ReferenceError`]; [`ReferenceError::NotCanonical`] for a short form.
    pub fn parse_canonical(text: &str) -> Result<Self, ReferenceError> {
        let reference = Self::parse(text)?;
        let canonical = reference.to_string();
        if canonical == text {
            return Ok(reference);
        }
        Err(ReferenceError::NotCanonical {
            reference: shorten(text),
            canonical,
        })
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, if one stands there.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one stands there.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same with this tag; a digest stays.
    ///
    /// # Errors
    /// [`ReferenceError::Format`].
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        grammar::check_tag(tag)
            .map_err(|problem| problem.in_reference(&format!("{self}:{tag}")))?;
        Ok(Self {
            tag: Some(tag.to_owned()),
            ..self.clone()
        })
    }

    /// The same with this digest; a tag stays.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same with the tag `latest`, if it has neither tag nor digest.
    #[must_use]
    pub fn or_latest(&self) -> Self {
        if self.tag.is_some() || self.digest.is_some() {
            return self.clone();
        }
        Self {
            tag: Some(DEFAULT_TAG.to_owned()),
            ..self.clone()
        }
    }

    /// What is asked of a registry, as Docker does: the digest alone where there is one, else the
    /// tag, else `latest`.
    #[must_use]
    pub fn to_pull(&self) -> Self {
        match &self.digest {
            Some(_) => Self {
                tag: None,
                ..self.clone()
            },
            None => self.or_latest(),
        }
    }

    /// The short form that Docker shows: `python:3.11`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.after(self.repository.familiar())
    }

    /// Whether `pattern` matches the short form, with or without tag and digest: Docker's
    /// `reference` filter.
    #[must_use]
    pub fn matches(&self, pattern: &Glob) -> bool {
        pattern.matches(self.familiar()) || pattern.matches(self.repository.familiar())
    }

    fn after(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(digest.as_str());
        }
        name
    }
}

impl From<Repository> for Reference {
    fn from(repository: Repository) -> Self {
        Self {
            repository,
            tag: None,
            digest: None,
        }
    }
}

impl AnyReference {
    /// Reads an image ID (64 hex digits), a digest, or else a name. Shorter IDs look like names:
    /// whoever knows the images decides.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let digest = if grammar::is_identifier(text) {
            format!("sha256:{text}").parse()
        } else {
            text.parse::<Digest>()
        };
        match digest {
            Ok(digest) if digest.algorithm().is_some() => Ok(Self::Digest(digest)),
            _ => Reference::parse(text).map(Self::Named),
        }
    }
}

/// Docker's reading of what stands before the first slash: a registry if it is `localhost`, has a
/// dot, a colon or an uppercase letter, else a part of the path on Docker Hub, where a path of one
/// component lies in `library/`. The registry, what the path begins with, and how it goes on.
fn split_docker_registry(text: &str) -> (&str, &'static str, &str) {
    let on_hub = |path| match grammar::find(path, b'/') {
        Some(_) => (DOCKER_HUB, "", path),
        None => (DOCKER_HUB, OFFICIAL, path),
    };
    let Some(slash) = grammar::find(text, b'/') else {
        return on_hub(text);
    };
    let (first, path) = (&text[..slash], &text[slash + 1..]);
    let is_registry = || {
        first == "localhost"
            || first.bytes().any(|byte| matches!(byte, b'.' | b':'))
            || first.contains(char::is_uppercase)
    };
    match first {
        DOCKER_HUB | DOCKER_HUB_LEGACY => on_hub(path),
        _ if is_registry() => (first, "", path),
        _ => on_hub(text),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

macro_rules! string_forms {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = ReferenceError;

            fn from_str(text: &str) -> Result<Self, ReferenceError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ReferenceError;

            fn try_from(text: String) -> Result<Self, ReferenceError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

string_forms!(Repository);
string_forms!(Reference);

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.after(self.repository.to_string()))
    }
}

impl fmt::Display for AnyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
            Self::Named(reference) => fmt::Display::fmt(reference, f),
        }
    }
}

#[cfg(test)]
mod tests;
