//! Checks of a Dockerfile: what can be built, but is likely not what is meant. Names, words and
//! behaviour are those of BuildKit's checks.
//!
//! Pure: the text, what the caller decides and what is known of the base images go in, warnings
//! come out. Where a build would fail, the checks that come after it are not made: they would
//! judge what nobody knows.
//!
//! [`Reviewer`] adds the rules of our own, takes away what comments silence, and rewrites what can be:
//!
//! ```text
//! checks (BuildKit's) ─┐
//! practice (our own) ──┴─▶ findings ─▶ silence ─▶ format (text, JSON, SARIF)
//!    └─ shell: commands       └─▶ mend ─▶ the file, rewritten and read again
//! ```

use std::borrow::Cow;

use shiplap_model::dockerfile::{Place, Reading, Span, SyntaxErrors};
use shiplap_model::ignore::Patterns;

use crate::plan::graph::globals;
use crate::plan::{self, Breadth, PlanError, PlanInput, Resolved};

mod base;
pub mod files;
mod finding;
pub mod format;
pub mod guide;
mod mend;
mod practice;
pub mod prove;
mod report;
mod review;
mod rule;
mod secret;
mod settings;
mod sheet;
mod shell;
mod silence;
mod steps;
mod text;
mod weigh;

pub use finding::Finding;
pub use guide::{Guide, Severity};
pub use mend::Mended;
pub use report::Report;
pub use review::{Reviewer, Wishes};
pub use rule::Rule;
use settings::Settings;
pub use settings::SettingsError;
pub use sheet::Edit;

/// Name of the build argument that decides instead of `# check=`.
const CHECK_ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// The file.
    pub reading: &'s Reading,
    /// What the caller decides.
    pub input: &'s PlanInput,
    /// What is known of the base images; of others nothing but a `PATH` is expected.
    pub resolved: &'s Resolved,
    /// What the context leaves out; `None`: nothing, or nobody knows.
    pub ignored: Option<&'s Patterns>,
    /// Whether stages that the target does not need are checked, too.
    pub breadth: Breadth,
}

/// Something that is likely not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The check.
    pub rule: Rule,
    /// What about it, here.
    pub detail: String,
    /// Where.
    pub span: Span,
}

impl Warning {
    /// How grave it is, as BuildKit counts: all checks are 1.
    pub const LEVEL: u8 = 1;
}

/// As one line at the end of a build: `FromAsCasing: 'as' and … (line 2)`.
impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, detail, span } = self;
        write!(f, "{}: {detail} (line {})", rule.name(), span.first)
    }
}

/// What came of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// In the order of lines.
    pub warnings: Vec<Warning>,
    /// A build is to fail if there is one.
    pub is_error: bool,
    /// Why a build would fail anyway; checks that come after it were not made.
    pub failure: Option<Failure>,
}

/// Why a build would fail, warnings or not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The text is wrong.
    #[error(transparent)]
    Syntax(#[from] SyntaxErrors),
    /// It can't be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Failure {
    /// Where, if it is in the file.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Syntax(errors) => errors.0.first().map(|error| error.span),
            Self::Plan(error) => error.span,
        }
    }

    /// The word that is wrong, where it is one.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax(errors) => errors.0.first().and_then(|error| error.place),
            Self::Plan(_) => None,
        }
    }
}

impl Findings {
    /// The checks for whose sake a build fails.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        let mut rules: Vec<&'static str> = Vec::new();
        for warning in self.warnings.iter().filter(|_| self.is_error) {
            if !rules.contains(&warning.rule.name()) {
                rules.push(warning.rule.name());
            }
        }
        (!rules.is_empty()).then_some(Violation { rules })
    }
}

/// Warnings that are to fail a build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lint violation found for rules: {}", rules.join(", "))]
pub struct Violation {
    /// The checks, each once.
    pub rules: Vec<&'static str>,
}

/// Makes all checks that are wanted.
///
/// # Errors
/// [`SettingsError`] if the file, or the caller in its stead, does not say well which are wanted.
pub fn check(subject: &Subject<'_>) -> Result<Findings, SettingsError> {
    let given = subject.input.build_args.get(CHECK_ARGUMENT);
    let given = given.or(subject.reading.file.check.as_ref());
    let settings = Settings::read(given.map_or("", String::as_str))?;
    let mut warnings = Vec::new();
    let mut notes = Notes {
        settings: Cow::Borrowed(&settings),
        warnings: &mut warnings,
    };
    let failure = make(subject, &mut notes).err();
    warnings.sort_by_key(|warning| warning.span.first);
    Ok(Findings {
        warnings,
        is_error: settings.is_error,
        failure,
    })
}

fn make(subject: &Subject<'_>, notes: &mut Notes<'_>) -> Result<(), Failure> {
    let Reading { file, errors } = subject.reading;
    text::lines(subject.reading, notes);
    if !errors.is_empty() {
        return Err(SyntaxErrors(errors.clone()).into());
    }
    text::whole(file, notes);
    base::defaults(subject, notes);
    let globals = globals(file, subject.input)?;
    base::stages(subject, &globals, notes);
    let resolved = plan::assumed(file, subject.input, subject.resolved, subject.breadth)?;
    let mut observer = steps::Observer::new(subject, notes.within(&[]));
    plan::observe(
        file,
        subject.input,
        &resolved,
        subject.breadth,
        &mut observer,
    )?;
    Ok(())
}

/// Where warnings are noted, if they are wanted.
struct Notes<'n> {
    settings: Cow<'n, Settings>,
    warnings: &'n mut Vec<Warning>,
}

impl Notes<'_> {
    /// The same, with what comments say of it.
    fn within(&mut self, comments: &[String]) -> Notes<'_> {
        Notes {
            settings: self.settings.within(comments),
            warnings: self.warnings,
        }
    }

    fn tell(&mut self, rule: Rule, span: Span, detail: String) {
        if self.settings.want(rule) {
            self.warnings.push(Warning { rule, detail, span });
        }
    }
}

#[cfg(test)]
mod tests;
