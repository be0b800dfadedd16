//! Every rule: what it is called, how grave what it finds is, why it is there, and an example of what
//! it finds and of what it wants. The documentation and the tests are made of these.

mod buildkit;
mod page;

use std::fmt;
use std::str::FromStr;

use super::practice;

pub use page::page;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A matter of taste, as long as it is one taste.
    Style,
    /// Worth knowing: the image could be better.
    Info,
    /// It does what is not meant, or costs what need not be paid.
    Warning,
    /// It fails, or gives something away.
    Error,
}

impl Severity {
    /// From the mildest on.
    pub const ALL: [Self; 4] = [Self::Style, Self::Info, Self::Warning, Self::Error];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Style => "style",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Severity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL
            .into_iter()
            .find(|severity| severity.name() == text);
        known.ok_or("there are error, warning, info and style")
    }
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// BuildKit's checks.
    BuildKit,
    /// Instructions that can't do what they seem to.
    Form,
    /// What comes from outside is to be the same tomorrow.
    Pinning,
    /// Package managers.
    Packages,
    /// Bytes that nobody needs in an image.
    Size,
    /// What has to be made anew, though little has changed.
    Order,
    /// What everybody who has the image can read.
    Secrets,
    /// Who runs it.
    Users,
    /// The shell's traps.
    Shell,
}

impl Family {
    /// In the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::BuildKit,
        Self::Form,
        Self::Pinning,
        Self::Packages,
        Self::Size,
        Self::Order,
        Self::Secrets,
        Self::Users,
        Self::Shell,
    ];

    /// As a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::BuildKit => "BuildKit's checks",
            Self::Form => "Instructions",
            Self::Pinning => "Pinning",
            Self::Packages => "Package managers",
            Self::Size => "Size",
            Self::Order => "Order and cache",
            Self::Secrets => "Secrets",
            Self::Users => "Users",
            Self::Shell => "Shell",
        }
    }
}

/// All that is to be known of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guide {
    /// What it is called.
    pub name: &'static str,
    /// What it is about.
    pub family: Family,
    /// How grave what it finds is.
    pub severity: Severity,
    /// What other checkers call it; comments for them hold here, too.
    pub codes: &'static [&'static str],
    /// What it wants, in one line.
    pub wants: &'static str,
    /// Why, and what is to be done.
    pub reason: &'static str,
    /// What it finds can be rewritten.
    pub is_mended: bool,
    /// A Dockerfile in which it finds something.
    pub bad: &'static str,
    /// The same as it is to be; what rewriting makes of `bad`, if it is rewritten.
    pub good: &'static str,
}

impl Guide {
    /// Rewriting what it finds may leave out something that is needed: only a build, and a try of the program,
    /// can tell.
    #[must_use]
    pub fn is_daring(&self) -> bool {
        self.name == "AptRecommends"
    }

    /// Where it is explained, if not by us.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let rule = super::Rule::ALL
            .into_iter()
            .find(|rule| rule.name() == self.name)?;
        rule.url()
    }
}

/// A file that can't be read, or not be built.
pub const INVALID: Guide = Guide {
    name: "InvalidDockerfile",
    family: Family::Form,
    severity: Severity::Error,
    codes: &["DL1000", "DL3011", "DL3023", "DL3043", "DL3061"],
    wants: "A Dockerfile is to be built",
    reason: "A build of it fails here, whatever the context is.",
    is_mended: false,
    bad: "FROM debian:12\nRNU make\n",
    good: "FROM debian:12\nRUN make\n",
};

/// All rules, in the order of families.
pub fn all() -> impl Iterator<Item = &'static Guide> {
    let own = practice::FAMILIES.iter().flat_map(|family| family.guides);
    buildkit::GUIDES
        .iter()
        .chain([&INVALID])
        .chain(own.copied())
}

/// The one of a name, or of another checker's code.
#[must_use]
pub fn find(name: &str) -> Option<&'static Guide> {
    all().find(|guide| {
        let is_code = guide
            .codes
            .iter()
            .any(|code| code.eq_ignore_ascii_case(name));
        is_code || guide.name.eq_ignore_ascii_case(name)
    })
}

/// What is to be known of one of BuildKit's checks.
pub(super) fn of_check(rule: super::Rule) -> &'static Guide {
    let found = buildkit::GUIDES
        .iter()
        .find(|guide| guide.name == rule.name());
    found.unwrap_or(&INVALID)
}

#[cfg(test)]
mod tests;
