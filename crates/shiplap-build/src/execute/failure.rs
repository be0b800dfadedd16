//! Why a step failed, with all that helps to understand it.

use shiplap_model::dockerfile::Span;
use shiplap_model::git_reference::GitReferenceError;
use shiplap_ops::step::{Changes, Step, StepError};
use shiplap_store::StoreError;

use super::copy::CopyError;
use super::files::FilesError;
use crate::context::RemoteError;

/// A step that failed.
pub struct Failure {
    /// Where it stands in the Dockerfile.
    pub span: Span,
    /// As progress showed it: `[build 2/4] RUN make`.
    pub name: String,
    /// Why.
    pub problem: Problem,
    /// The end of what its command said.
    pub tail: Vec<u8>,
    /// What is left of the root it failed in, for whoever wants to look.
    pub root: Option<Box<FailedRoot>>,
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Failure({:?}, {:?})", self.name, self.problem)
    }
}

/// A root that a command failed in.
pub struct FailedRoot {
    /// What ran there.
    pub step: Step,
    /// What it had changed by then.
    pub changes: Changes,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A command said so.
    #[error("process {command:?} did not complete successfully: exit code: {code}")]
    Exit {
        /// The command line.
        command: String,
        /// Its exit status.
        code: i32,
    },
    /// A command could not be run.
    #[error(transparent)]
    Run(#[from] StepError),
    /// Files can't be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Files can't be fetched.
    #[error(transparent)]
    Fetch(#[from] RemoteError),
    /// A secret that must be there is not.
    #[error("secret {id}: not found")]
    NoSecret {
        /// Its ID.
        id: String,
    },
    /// A secret can't be read.
    #[error("read secret {id}: {source}")]
    Secret {
        /// Its ID.
        id: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A secret that is longer than any.
    #[error(
        "read secret {id}: it is longer than {} bytes",
        shiplap_model::limits::SECRET_BYTES
    )]
    LongSecret {
        /// Its ID.
        id: String,
    },
    /// A secret is to be in the environment, and can't be.
    #[error("use secret {id} as a variable: it is no text")]
    SecretText {
        /// Its ID.
        id: String,
    },
    /// An agent that must be there is not.
    #[error("ssh agent {id}: not found; give it with --ssh {id}")]
    NoAgent {
        /// Its ID.
        id: String,
    },
    /// All rights were not allowed.
    #[error("security.insecure is not allowed; allow it with --allow security.insecure")]
    Insecure,
    /// A device that must be there is not.
    #[error("use device {name}: devices of the host are not given to steps")]
    Device {
        /// As written.
        name: String,
    },
    /// What is to be mounted is not there.
    #[error("mount {:?}: not found", path)]
    NoMount {
        /// Its path in the source.
        path: String,
    },
    /// A cache can't be filled with what it begins with.
    #[error("fill the cache {id}: {reason}")]
    Cache {
        /// Its ID.
        id: String,
        /// Why not.
        reason: String,
    },
    /// A context or image that the plan names and nobody brought.
    #[error("find {name}: the build has no such context or image")]
    NoContext {
        /// Its name.
        name: String,
    },
    /// A reference of a repository is none.
    #[error(transparent)]
    Git(#[from] GitReferenceError),
    /// What was in the cache was taken away, again and again.
    #[error("use the build cache: somebody else prunes it all the time")]
    Pruned,
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not wanted any more.
    #[error("canceled")]
    Canceled,
}

impl From<FilesError> for Problem {
    fn from(error: FilesError) -> Self {
        Self::Copy(error.into())
    }
}

impl Problem {
    /// Whether somebody only wanted it to end.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(
            self,
            Self::Canceled | Self::Copy(CopyError::Canceled) | Self::Run(StepError::Cancelled)
        )
    }
}
