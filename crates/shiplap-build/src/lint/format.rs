//! Findings as they are told: text for people, JSON for programs, SARIF for those that show findings
//! beside the code.

mod fingerprint;
mod json;
mod sarif;
mod text;

use super::Finding;
use super::guide::Severity;

pub use json::json;
pub use sarif::sarif;
pub use text::{summary, text};

/// A Dockerfile that was reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// What it is called.
    pub name: String,
    /// Its text.
    pub text: Vec<u8>,
    /// What was found in it.
    pub findings: Vec<Finding>,
}

/// How many findings there are of each severity, the gravest first.
#[must_use]
pub fn counts(files: &[Reviewed]) -> Vec<(Severity, usize)> {
    let findings = || files.iter().flat_map(|file| &file.findings);
    let count = |severity| {
        findings()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    Severity::ALL
        .into_iter()
        .rev()
        .map(|severity| (severity, count(severity)))
        .collect()
}
