//! What can be wrong with the text of a Dockerfile, and where.

use std::fmt::{self, Display};

use super::Span;
use super::mount::MountFault;
use super::suggestion::Meant;
use crate::csv::QuoteError;
use crate::expansion::ExpansionError;
use crate::limits;
use crate::units::UnitError;

/// Everything that is wrong with a file, in order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxErrors(pub Vec<SyntaxError>);

impl Display for SyntaxErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SyntaxErrors {}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dockerfile parse error on line {}: {fault}", span.first)]
pub struct SyntaxError {
    /// The instruction it is in; of a file without any: its last line.
    pub span: Span,
    /// The word that is wrong, where it is one.
    pub place: Option<Place>,
    /// What is wrong.
    pub fault: Fault,
}

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// In characters, at least 1.
    pub width: u32,
}

/// What is wrong with a file or an instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is too long.
    #[error("a Dockerfile may have {} bytes at most", limits::DOCKERFILE_BYTES)]
    FileTooLong,
    /// A line is too long.
    #[error(
        "dockerfile line greater than max allowed size of {}",
        limits::DOCKERFILE_LINE_BYTES
    )]
    LineTooLong,
    /// Too many instructions.
    #[error(
        "a Dockerfile may have {} instructions at most",
        limits::DOCKERFILE_INSTRUCTIONS
    )]
    TooManyInstructions,
    /// Bytes that are no text, outside comments.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Nothing but comments.
    #[error("file with no instructions")]
    NoInstructions,
    /// Something else than `ARG` before the first `FROM`.
    #[error("no build stage in current context")]
    NoStage,
    /// No `FROM` at all.
    #[error("dockerfile contains no stages to build")]
    NoStages,
    /// A trigger is one instruction.
    #[error("onbuild trigger should be a single expression")]
    NotSingle,
    /// `# escape=` and the like, twice.
    #[error("only one {0} parser directive can be used")]
    DuplicateDirective(String),
    /// `# escape=` with something else.
    #[error("invalid escape token '{0}' does not match ` or \\")]
    Escape(String),
    /// `# syntax=` names something that is no Dockerfile frontend.
    #[error("syntax {0:?} is not a Dockerfile's: only docker/dockerfile is understood")]
    Syntax(String),
    /// No such instruction.
    #[error("unknown instruction: {word}{meant}")]
    UnknownInstruction {
        /// As written.
        word: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// The file ends within a heredoc.
    #[error("unterminated heredoc: no line {0:?} follows")]
    UnterminatedHeredoc(String),
    /// A heredoc's name with wrong quotes.
    #[error("the name of a heredoc: {0}")]
    HeredocName(ExpansionError),
    /// A heredoc where a path must be.
    #[error("{0} cannot accept a heredoc as a destination")]
    HeredocDestination(&'static str),
    /// JSON with something else in it.
    #[error("when using JSON array syntax, arrays must be comprised of strings only")]
    StringsOnly,
    /// `ENV name`.
    #[error("{0} must have two arguments")]
    TwoArguments(&'static str),
    /// A word without `=` among others.
    #[error("can't find = in {0:?}. Must be of the form: name=value")]
    NoEquals(String),
    /// Nothing follows.
    #[error("{0} requires at least one argument")]
    AtLeastOne(&'static str),
    /// Nothing follows, or more than one.
    #[error("{0} requires exactly one argument")]
    ExactlyOne(&'static str),
    /// A source without destination.
    #[error(
        "{0} requires at least two arguments, but only one was provided. Destination could not be determined"
    )]
    NoDestination(&'static str),
    /// `=value`.
    #[error("{0} names can not be blank")]
    BlankName(&'static str),
    /// A flag that the instruction does not know.
    #[error("unknown flag: {flag}{meant}")]
    UnknownFlag {
        /// With its dashes.
        flag: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// A flag twice.
    #[error("duplicate flag specified: {0}")]
    DuplicateFlag(String),
    /// A flag without a value.
    #[error("missing a value on flag: {0}")]
    FlagWithoutValue(String),
    /// Neither `true` nor `false`.
    #[error("expecting boolean value for flag {flag}, not: {value}")]
    FlagBoolean {
        /// With its dashes.
        flag: String,
        /// As written.
        value: String,
    },
    /// Not `FROM image` nor `FROM image AS name`.
    #[error("FROM requires either one or three arguments")]
    FromArguments,
    /// A stage that can't be called so.
    #[error(
        "invalid name for build stage: {0:?}, name can't start with a number or contain symbols"
    )]
    StageName(String),
    /// `ONBUILD ONBUILD`.
    #[error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")]
    TriggerChain,
    /// `ONBUILD FROM` and the like.
    #[error("{0} isn't allowed as an ONBUILD trigger")]
    Trigger(String),
    /// `HEALTHCHECK NONE something`.
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthcheckNone,
    /// `HEALTHCHECK CMD` alone.
    #[error("Missing command after HEALTHCHECK CMD")]
    HealthcheckCommand,
    /// Neither `NONE` nor `CMD`.
    #[error("Unknown type {0:?} in HEALTHCHECK (try CMD)")]
    HealthcheckType(String),
    /// A flag that wants a length of time.
    #[error(transparent)]
    Duration(#[from] UnitError),
    /// Less than a millisecond, but not 0.
    #[error("Interval {0:?} cannot be less than 1ms")]
    DurationTooShort(&'static str),
    /// Not a whole number from 0.
    #[error("--retries cannot be {0:?}: want a number, 0 or more")]
    Retries(String),
    /// `VOLUME [""]`.
    #[error("VOLUME specified can not be an empty string")]
    EmptyVolume,
    /// `SHELL bash`.
    #[error("SHELL requires the arguments to be in JSON form")]
    ShellNotJson,
    /// `RUN --network=` with something else.
    #[error("invalid network mode {0:?}")]
    Network(String),
    /// `RUN --security=` with something else.
    #[error("security {0:?} is not valid")]
    Security(String),
    /// A wrong `RUN --mount`.
    #[error(transparent)]
    Mount(#[from] MountFault),
    /// Quotes in `RUN --device` that can't be understood.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// A wrong field of `RUN --device`.
    #[error("invalid field '{0}' must be a key=value pair")]
    DeviceField(String),
    /// A key that `RUN --device` does not know.
    #[error("unexpected key '{key}'{meant}")]
    DeviceKey {
        /// As written.
        key: String,
        /// What may have been meant.
        meant: Meant,
    },
    /// `RUN --device` names two.
    #[error("device name already set to {0}")]
    DeviceName(String),
    /// `required=` with something else than a boolean.
    #[error("invalid value for required: {0}")]
    DeviceRequired(String),
}

impl Fault {
    /// The word of the text that is wrong, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        Some(match self {
            Self::UnknownInstruction { word, .. } => word,
            Self::UnknownFlag { flag, .. }
            | Self::DuplicateFlag(flag)
            | Self::FlagWithoutValue(flag)
            | Self::FlagBoolean { flag, .. } => flag,
            Self::NoEquals(word)
            | Self::StageName(word)
            | Self::Trigger(word)
            | Self::HealthcheckType(word)
            | Self::Retries(word)
            | Self::Network(word)
            | Self::Security(word)
            | Self::Syntax(word)
            | Self::Escape(word)
            | Self::DeviceKey { key: word, .. } => word,
            Self::Mount(fault) => return fault.word(),
            _ => return None,
        })
    }
}
