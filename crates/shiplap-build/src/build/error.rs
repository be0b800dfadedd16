//! Why there is no image, with the lines of the Dockerfile that it is about.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use shiplap_model::annotation::AnnotationError;
use shiplap_model::dockerfile::{Place, Span, SyntaxErrors, excerpt};
use shiplap_model::limits;
use shiplap_store::{ImageError as PutError, StoreError};

use crate::agents::AgentError;
use crate::context::{LoadError, SourceError};
use crate::execute::{Failure, Problem};
use crate::images::ImageError;
use crate::lint::{SettingsError, Violation};
use crate::output::OutputError;
use crate::plan::PlanError;
use crate::remote_cache::{CachePlaceError, RemoteCacheError};
use crate::result::ResultError;
use crate::squash::SquashError;

/// Why there is no image.
#[derive(Debug)]
pub struct BuildError {
    /// Why.
    pub cause: Cause,
    /// The lines it is about, as people see them; empty: none.
    pub excerpt: String,
    /// The end of what the command said that failed.
    pub output: Vec<u8>,
    /// As progress showed the step that failed.
    pub step: Option<String>,
    /// Where all that the build said is kept.
    pub log: Option<PathBuf>,
    /// What the build is called, for its log.
    pub build: Option<String>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The user ended it.
    #[error("build: canceled")]
    Canceled,
    /// What was named is no context.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Nobody can sign.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The context or the Dockerfile can't be had.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The Dockerfile can't be read.
    #[error("{0}")]
    Syntax(SyntaxErrors),
    /// It can't be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Its checks are set wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It is to fail if a check finds something, and one did.
    #[error(transparent)]
    Checks(#[from] Violation),
    /// An image that it needs can't be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A step failed.
    #[error(transparent)]
    Step(Problem),
    /// The documents of the result can't be made.
    #[error(transparent)]
    Result(#[from] ResultError),
    /// An annotation is wrong.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// A place for the cache is wrong.
    #[error(transparent)]
    CachePlace(#[from] CachePlaceError),
    /// The cache can't be put elsewhere.
    #[error(transparent)]
    RemoteCache(#[from] RemoteCacheError),
    /// An output can't be made.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Docker's archive holds one image for each name.
    #[error(
        "write a docker archive: the docker exporter does not support manifest lists, and {platforms} platforms are built; use type=oci, or build them one by one"
    )]
    OnePlatform {
        /// How many platforms there are.
        platforms: usize,
    },
    /// Layers can't be made one.
    #[error(transparent)]
    Squash(#[from] SquashError),
    /// The image can't be recorded.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The documents can't be written down.
    #[error("make the documents of the image: {0}")]
    Json(#[from] serde_json::Error),
    /// More layers than an image may have.
    #[error("make the image: its {layers} layers are more than {}", limits::LAYERS)]
    TooManyLayers {
        /// How many there are.
        layers: usize,
    },
    /// The log can't be begun.
    #[error("begin the log {}: {source}", path.display())]
    Log {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing can be waited for.
    #[error("prepare the build: {0}")]
    System(#[source] io::Error),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

impl<C: Into<Cause>> From<C> for BuildError {
    fn from(cause: C) -> Self {
        Self {
            cause: cause.into(),
            excerpt: String::new(),
            output: Vec::new(),
            step: None,
            log: None,
            build: None,
        }
    }
}

impl BuildError {
    /// Whether the user ended it.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        match &self.cause {
            Cause::Canceled => true,
            Cause::Step(problem) => problem.is_canceled(),
            _ => false,
        }
    }

    /// What went wrong with a file whose name and text are known.
    pub(super) fn in_file(cause: Cause, name: &str, text: &[u8]) -> Self {
        let excerpt = match cause.place() {
            Some((span, place)) => excerpt(name, text, span, place),
            None => String::new(),
        };
        Self {
            excerpt,
            ..cause.into()
        }
    }

    /// A step that failed.
    pub(super) fn of_step(failure: Failure, name: &str, text: &[u8]) -> Self {
        Self {
            excerpt: excerpt(name, text, failure.span, None),
            output: failure.tail,
            step: Some(failure.name),
            ..Cause::Step(failure.problem).into()
        }
    }

    /// Where more is to be read.
    pub(super) fn with_log(mut self, build: &str, log: &Path) -> Self {
        self.log = Some(log.to_owned());
        self.build = Some(build.to_owned());
        self
    }
}

impl Cause {
    /// The lines it is about.
    fn place(&self) -> Option<(Span, Option<Place>)> {
        match self {
            Self::Syntax(errors) => {
                let first = errors.0.first()?;
                Some((first.span, first.place))
            }
            Self::Plan(error) => Some((error.span?, None)),
            Self::Image(error) => Some((error.span()?, None)),
            _ => None,
        }
    }
}
