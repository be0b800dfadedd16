//! What is found in a Dockerfile, with where it is and how it can be rewritten.

use std::ops::Range;

use shiplap_model::dockerfile::{Place, Span};

use super::guide::{Family, Guide, INVALID, Severity};
use super::sheet::{Edit, Sheet};

/// One thing that is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub guide: &'static Guide,
    /// How grave it is.
    pub severity: Severity,
    /// What another checker calls exactly this.
    pub code: Option<&'static str>,
    /// What about it, here.
    pub detail: String,
    /// What is to be done here.
    pub advice: Option<String>,
    /// The instruction.
    pub span: Span,
    /// The word in it.
    pub place: Option<Place>,
    /// What rewriting it changes; none: people have to do it.
    pub edits: Vec<Edit>,
}

impl Finding {
    pub(super) fn new(guide: &'static Guide, span: Span, detail: String) -> Self {
        Self {
            guide,
            severity: guide.severity,
            code: guide.codes.first().copied(),
            detail,
            advice: None,
            span,
            place: None,
            edits: Vec::new(),
        }
    }

    /// The same at these bytes of the file.
    pub(super) fn at(self, sheet: &Sheet<'_>, bytes: Option<Range<usize>>) -> Self {
        let place = bytes.and_then(|bytes| sheet.place(&bytes));
        Self {
            place: place.or(self.place),
            ..self
        }
    }

    /// The same with another checker's name for it.
    pub(super) fn known_as(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The same with what is to be done.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }

    /// The same with how it is rewritten; nothing if a part of that can't be said.
    pub(super) fn mend(self, edits: impl IntoIterator<Item = Option<Edit>>) -> Self {
        let edits: Option<Vec<Edit>> = edits.into_iter().collect();
        Self {
            edits: edits.unwrap_or_default(),
            ..self
        }
    }

    /// The line in which it begins; of a file without any: the first.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.place
            .map_or(self.span.first, |place| place.line)
            .max(1)
    }

    /// It is of a rule of our own, and not that the file can't be built.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.guide.family != Family::BuildKit && self.guide.name != INVALID.name
    }

    /// It can be rewritten.
    #[must_use]
    pub fn is_mendable(&self) -> bool {
        !self.edits.is_empty()
    }
}

/// As one line at the end of a build: `SecretWritten: … (line 2)`.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} (line {})",
            self.guide.name,
            self.detail,
            self.line()
        )
    }
}
