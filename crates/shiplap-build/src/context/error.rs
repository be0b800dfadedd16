//! What can go wrong with files of a context. Paths are those of the context, with a leading `/`,
//! never the host's.

use std::io;

use shiplap_model::glob::GlobError;
use shiplap_model::ignore::IgnoreError;
use shiplap_model::limits;

/// Why files of a context can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// Nothing is there, or an ignore file hides it.
    #[error("find in the context: {:?}: not found{}", shown(path), if *ignored { " (an ignore file hides it)" } else { "" })]
    NotFound {
        /// As the Dockerfile has it, clean.
        path: Vec<u8>,
        /// It is there but hidden.
        ignored: bool,
    },
    /// Symbolic links lead in a circle.
    #[error("find in the context: {:?}: too many symbolic links", shown(path))]
    Loop {
        /// As the Dockerfile has it, clean.
        path: Vec<u8>,
    },
    /// A source that is no pattern.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// `--exclude` or `--parents` with what is no pattern.
    #[error(transparent)]
    Pattern(#[from] IgnoreError),
    /// A file can't be looked at or read.
    #[error("{step} {:?} of the context: {source}", shown(path))]
    File {
        /// What was tried.
        step: &'static str,
        /// Its path.
        path: Vec<u8>,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what it was a moment ago.
    #[error("read {:?} of the context: it changed meanwhile", shown(path))]
    Changed {
        /// Its path.
        path: Vec<u8>,
    },
    /// A path beyond what Linux has.
    #[error(
        "read {:?} of the context: its path is longer than {} bytes",
        shown(path),
        limits::PATH_BYTES
    )]
    TooLong {
        /// Its directory.
        path: Vec<u8>,
    },
    /// More files than a layer may have.
    #[error(
        "read {:?} of the context: it holds more than {} files",
        shown(path),
        limits::LAYER_ENTRIES
    )]
    TooMany {
        /// What was selected.
        path: Vec<u8>,
    },
}

impl FilesError {
    pub(super) fn file<'p, E: Into<io::Error>>(
        step: &'static str,
        path: &'p [u8],
    ) -> impl FnOnce(E) -> Self + use<'p, E> {
        move |source| Self::File {
            step,
            path: path.to_vec(),
            source: source.into(),
        }
    }
}

/// As people see it.
pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
