//! The checks by the names that BuildKit gives them.

use Rule::*;

/// A check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A stage's name in capitals.
    StageNameCasing,
    /// `FROM … as` or `from … AS`.
    FromAsCasing,
    /// A blank line where a line was to continue.
    NoEmptyContinuation,
    /// Some instructions in capitals, others not.
    ConsistentInstructionCasing,
    /// Two stages with one name.
    DuplicateStageName,
    /// A stage named as something that is no stage.
    ReservedStageName,
    /// `CMD` or `ENTRYPOINT` for a shell, which takes the signals.
    JSONArgsRecommended,
    /// `MAINTAINER`.
    MaintainerDeprecated,
    /// `FROM` with an argument that nobody declares.
    UndefinedArgInFrom,
    /// A relative `WORKDIR` upon one of the base image.
    WorkdirRelativePath,
    /// A variable that nobody sets.
    UndefinedVar,
    /// Two of which only the last counts.
    MultipleInstructionsDisallowed,
    /// `ENV name value`.
    LegacyKeyValueFormat,
    /// A base image that is there for another platform only.
    InvalidBaseImagePlatform,
    /// `FROM --platform=$TARGETPLATFORM`.
    RedundantTargetPlatform,
    /// A secret where everybody can read it.
    SecretsUsedInArgOrEnv,
    /// `FROM` with an argument whose default makes no name.
    InvalidDefaultArgInFrom,
    /// `FROM --platform=linux/amd64`.
    FromPlatformFlagConstDisallowed,
    /// `COPY` of something that is left out of the context.
    CopyIgnoredFile,
    /// A comment that is to describe something, but does not name it.
    InvalidDefinitionDescription,
    /// `EXPOSE 80/TCP`.
    ExposeProtoCasing,
    /// `EXPOSE 127.0.0.1:80:80`.
    ExposeInvalidFormat,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 22] = [
        StageNameCasing,
        FromAsCasing,
        NoEmptyContinuation,
        ConsistentInstructionCasing,
        DuplicateStageName,
        ReservedStageName,
        JSONArgsRecommended,
        MaintainerDeprecated,
        UndefinedArgInFrom,
        WorkdirRelativePath,
        UndefinedVar,
        MultipleInstructionsDisallowed,
        LegacyKeyValueFormat,
        InvalidBaseImagePlatform,
        RedundantTargetPlatform,
        SecretsUsedInArgOrEnv,
        InvalidDefaultArgInFrom,
        FromPlatformFlagConstDisallowed,
        CopyIgnoredFile,
        InvalidDefinitionDescription,
        ExposeProtoCasing,
        ExposeInvalidFormat,
    ];

    /// As `# check=skip=…` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StageNameCasing => "StageNameCasing",
            FromAsCasing => "FromAsCasing",
            NoEmptyContinuation => "NoEmptyContinuation",
            ConsistentInstructionCasing => "ConsistentInstructionCasing",
            DuplicateStageName => "DuplicateStageName",
            ReservedStageName => "ReservedStageName",
            JSONArgsRecommended => "JSONArgsRecommended",
            MaintainerDeprecated => "MaintainerDeprecated",
            UndefinedArgInFrom => "UndefinedArgInFrom",
            WorkdirRelativePath => "WorkdirRelativePath",
            UndefinedVar => "UndefinedVar",
            MultipleInstructionsDisallowed => "MultipleInstructionsDisallowed",
            LegacyKeyValueFormat => "LegacyKeyValueFormat",
            InvalidBaseImagePlatform => "InvalidBaseImagePlatform",
            RedundantTargetPlatform => "RedundantTargetPlatform",
            SecretsUsedInArgOrEnv => "SecretsUsedInArgOrEnv",
            InvalidDefaultArgInFrom => "InvalidDefaultArgInFrom",
            FromPlatformFlagConstDisallowed => "FromPlatformFlagConstDisallowed",
            CopyIgnoredFile => "CopyIgnoredFile",
            InvalidDefinitionDescription => "InvalidDefinitionDescription",
            ExposeProtoCasing => "ExposeProtoCasing",
            ExposeInvalidFormat => "ExposeInvalidFormat",
        }
    }

    /// What it wants, in one line.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            StageNameCasing => "Stage names should be lowercase",
            FromAsCasing => "The 'as' keyword should match the case of the 'from' keyword",
            NoEmptyContinuation => {
                "Empty continuation lines will become errors in a future release"
            }
            ConsistentInstructionCasing => {
                "All commands within the Dockerfile should use the same casing (either upper or lower)"
            }
            DuplicateStageName => "Stage names should be unique",
            ReservedStageName => "Reserved words should not be used as stage names",
            JSONArgsRecommended => {
                "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals"
            }
            MaintainerDeprecated => {
                "The MAINTAINER instruction is deprecated, use a label instead to define an image author"
            }
            UndefinedArgInFrom => "FROM command must use declared ARGs",
            WorkdirRelativePath => {
                "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes"
            }
            UndefinedVar => "Variables should be defined before their use",
            MultipleInstructionsDisallowed => {
                "Multiple instructions of the same type should not be used in the same stage"
            }
            LegacyKeyValueFormat => {
                "Legacy key/value format with whitespace separator should not be used"
            }
            InvalidBaseImagePlatform => {
                "Base image platform does not match expected target platform"
            }
            RedundantTargetPlatform => {
                "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"
            }
            SecretsUsedInArgOrEnv => "Sensitive data should not be used in the ARG or ENV commands",
            InvalidDefaultArgInFrom => {
                "Default value for global ARG results in an empty or invalid base image name"
            }
            FromPlatformFlagConstDisallowed => {
                "FROM --platform flag should not use a constant value"
            }
            CopyIgnoredFile => "Attempting to Copy file that is excluded by .dockerignore",
            InvalidDefinitionDescription => {
                "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment."
            }
            ExposeProtoCasing => "Protocol in EXPOSE instruction should be lowercase",
            ExposeInvalidFormat => {
                "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release"
            }
        }
    }

    /// Where Docker explains it; `None`: nowhere.
    #[must_use]
    pub fn url(self) -> Option<String> {
        if self == InvalidBaseImagePlatform {
            return None;
        }
        let mut page = String::new();
        let mut after_lower = false;
        for letter in self.name().replace("JSON", "Json").chars() {
            if letter.is_ascii_uppercase() && after_lower {
                page.push('-');
            }
            after_lower = letter.is_ascii_lowercase();
            page.push(letter.to_ascii_lowercase());
        }
        Some(format!(
            "https://docs.docker.com/go/dockerfile/rule/{page}/"
        ))
    }

    /// Only checked where it is asked for.
    #[must_use]
    pub fn is_experimental(self) -> bool {
        self == InvalidDefinitionDescription
    }
}
