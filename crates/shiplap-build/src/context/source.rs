//! What a user names as a build context, and as a `--build-context`: told apart as buildx does, by
//! what is on disk first, then by the words. Nothing is opened here.

use std::path::{Path, PathBuf};

use shiplap_model::git_reference::{GitReference, GitReferenceError};

/// Where a context comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A directory.
    Directory(PathBuf),
    /// Standard input: an archive, or a Dockerfile without a context.
    Stdin,
    /// An http or https address: an archive, or a Dockerfile without a context.
    Url(String),
    /// A git repository.
    Git(GitReference),
    /// `docker-image://`: an image by its reference.
    Image(String),
    /// `oci-layout://`: an image in a directory, with tag or digest.
    Layout(String),
}

/// Why something is no context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing was named.
    #[error("prepare context: name a directory, as \".\" for the current one")]
    Missing,
    /// There is no such directory.
    #[error("prepare context: path {path:?} not found")]
    NotFound {
        /// As it was written.
        path: String,
    },
    /// It is a file.
    #[error("prepare context: {path:?} is no directory")]
    NotADirectory {
        /// As it was written.
        path: String,
    },
    /// A git repository with parts that contradict each other or mean nothing.
    #[error(transparent)]
    Git(#[from] GitReferenceError),
}

impl ContextSource {
    /// The main context of a build.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(SourceError::Missing);
        }
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if Path::new(text).is_dir() {
            return Ok(Self::Directory(text.into()));
        }
        match Self::remote(text)? {
            Some(remote) => Ok(remote),
            None => Err(missing(text)),
        }
    }

    /// A context with a name: also an image.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn parse_named(text: &str) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(SourceError::Missing);
        }
        if let Some(reference) = text.strip_prefix("docker-image://") {
            return Ok(Self::Image(reference.to_owned()));
        }
        if let Some(layout) = text.strip_prefix("oci-layout://") {
            return Ok(Self::Layout(layout.to_owned()));
        }
        if let Some(remote) = Self::remote(text)? {
            return Ok(remote);
        }
        if Path::new(text).is_dir() {
            Ok(Self::Directory(text.into()))
        } else {
            Err(missing(text))
        }
    }

    fn remote(text: &str) -> Result<Option<Self>, SourceError> {
        if let Some(reference) = GitReference::parse(text)? {
            return Ok(Some(Self::Git(reference)));
        }
        Ok(is_url(text).then(|| Self::Url(text.to_owned())))
    }
}

/// Whether it is an address of the web by its beginning.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn missing(text: &str) -> SourceError {
    let path = text.to_owned();
    if Path::new(text).exists() {
        SourceError::NotADirectory { path }
    } else {
        SourceError::NotFound { path }
    }
}
