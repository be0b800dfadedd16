//! Why a build can't be planned, and where in the Dockerfile that is.

use shiplap_model::digest::DigestError;
use shiplap_model::dockerfile::{Meant, MountFault, Span, SyntaxErrors};
use shiplap_model::expansion::ExpansionError;
use shiplap_model::git_reference::GitReferenceError;
use shiplap_model::limits;
use shiplap_model::platform::PlatformError;
use shiplap_model::reference::ReferenceError;

use super::ImageKey;
use super::chmod::ChmodError;

/// A build that can't be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plan the build: {}{fault}", place(*.span))]
pub struct PlanError {
    /// The instruction it is about; `None`: the call.
    pub span: Option<Span>,
    /// What is wrong.
    pub fault: Fault,
}

fn place(span: Option<Span>) -> String {
    span.map_or_else(String::new, |span| format!("line {}: ", span.first))
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `--target` names no stage.
    #[error("target stage {target:?} could not be found{meant}")]
    NoTarget {
        /// As given.
        target: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// Stages that need each other, or themselves.
    #[error("circular dependency detected on stage: {0}")]
    Cycle(String),
    /// `FROM $NOTHING`.
    #[error("base name ({0}) should not be blank")]
    BlankBase(String),
    /// `FROM --platform=$NOTHING`.
    #[error("empty platform value from expression {0}")]
    BlankPlatform(String),
    /// A word that is no platform.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A word that is neither a stage nor an image.
    #[error("{name:?} is neither a stage nor the name of an image: {source}{meant}")]
    NoImage {
        /// The word, expanded.
        name: String,
        /// What may have been meant.
        meant: Meant,
        /// Why it is no image's name.
        source: ReferenceError,
    },
    /// The plan was asked for before all of [`super::needs`] were answered.
    #[error("nothing is known of image {} for {}", .0.name, .0.platform)]
    Unresolved(ImageKey),
    /// `SOURCE_DATE_EPOCH` is neither seconds nor something to take them from.
    #[error("invalid SOURCE_DATE_EPOCH: {0}")]
    SourceDateEpoch(String),
    /// `SOURCE_DATE_EPOCH` names a stage that is more than one thing from elsewhere.
    #[error(
        "SOURCE_DATE_EPOCH stage does not meet source-only requirements: it must be FROM scratch and exactly one ADD of a URL or a repository"
    )]
    EpochStage,
    /// Variables multiply beyond all reason.
    #[error(
        "the plan becomes longer than {} bytes: variables multiply",
        limits::PLAN_BYTES
    )]
    TooLarge,
    /// An image's config that no reader takes.
    #[error(
        "the image's config becomes longer than {} bytes",
        limits::CONFIG_BYTES
    )]
    ConfigTooLarge,
    /// More layers than an image may have.
    #[error("the image gets more than {} layers", limits::LAYERS)]
    TooManyLayers,
    /// A word with wrong quotes or variables.
    #[error("process {word:?}: {source}")]
    Expansion {
        /// The word.
        word: String,
        /// What is wrong with it.
        source: ExpansionError,
    },
    /// `COPY --from=$STAGE`.
    #[error(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"
    )]
    VariableFrom,
    /// `COPY --from=7` with fewer stages.
    #[error("invalid stage index {0}")]
    NoStage(String),
    /// A source that begins only below.
    #[error(
        "cannot copy from stage {from:?}, it needs to be defined before current stage {stage:?}"
    )]
    LaterStage {
        /// The source.
        from: String,
        /// The stage that wants it.
        stage: String,
    },
    /// An instruction of a base's `ONBUILD` that can't be read.
    #[error("read the trigger {text:?} of the base image: {source}")]
    Trigger {
        /// The instruction.
        text: String,
        /// What is wrong with it.
        source: SyntaxErrors,
    },
    /// `STOPSIGNAL`.
    #[error("invalid signal: {0:?}")]
    Signal(String),
    /// `EXPOSE`.
    #[error("invalid port: {0:?}: want as 80, 53/udp or 7000-7002/tcp")]
    Port(String),
    /// `VOLUME ""`.
    #[error("VOLUME specified can not be an empty string")]
    EmptyVolume,
    /// `--chmod`.
    #[error(transparent)]
    Chmod(#[from] ChmodError),
    /// `ADD --checksum` of several sources.
    #[error("checksum can't be specified for multiple sources")]
    ChecksumOfSeveral,
    /// `ADD --checksum` of files.
    #[error("checksum requires HTTP(S) or Git sources")]
    ChecksumOfFiles,
    /// `ADD` of a repository that can't be one.
    #[error(transparent)]
    Git(#[from] GitReferenceError),
    /// `--keep-git-dir` and the source say different things.
    #[error("inconsistent keep-git-dir configuration")]
    KeepGitDir,
    /// `--checksum` and the source say different things.
    #[error("checksum mismatch {0:?} != {1:?}")]
    Checksums(String, String),
    /// `ADD --checksum` of a URL, which is no digest.
    #[error("read the checksum: {0}")]
    Digest(#[from] DigestError),
    /// `COPY https://…`.
    #[error("source can't be a URL for COPY")]
    CopyUrl,
    /// `COPY git@…`.
    #[error("source can't be a git ref for COPY")]
    CopyGit,
    /// `RUN --mount`.
    #[error(transparent)]
    Mount(#[from] MountFault),
    /// A mount over everything.
    #[error("invalid mount target {0:?}")]
    MountTarget(String),
    /// `source` of an ssh mount.
    #[error("ssh does not support source")]
    SshSource,
}

impl Fault {
    pub(super) fn at(self, span: Span) -> PlanError {
        PlanError {
            span: Some(span),
            fault: self,
        }
    }
}
