//! Why a step was not in the cache: what it was the last time at the same place of the Dockerfile,
//! against what it is now. In one line, and in full for `--explain`.
//!
//! Nothing is decided here; the key was.

mod difference;
mod manifest;
mod record;

use std::fmt;

pub use manifest::{Difference, Manifest};
pub use record::{Notes, Record};

/// Why a step is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The reason, or the first of them: what is called by its name comes first.
    pub line: String,
    /// All of them, one a line.
    pub details: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// Names of files that one line tells.
const NAMED: usize = 3;

/// Why `new` was not found, when `old` is what ran last at its place.
#[must_use]
pub fn explain(old: Option<&Record>, new: &Record) -> Explanation {
    let Some(old) = old else {
        return Explanation {
            line: "nothing like it was built here before".to_owned(),
            details: Vec::new(),
        };
    };
    let reasons = difference::reasons(old, new);
    let Some(first) = reasons.first() else {
        return Explanation {
            line: "its result is not kept any more".to_owned(),
            details: Vec::new(),
        };
    };
    let more = match reasons.len() {
        1 => String::new(),
        others => format!(" (and {} more)", others - 1),
    };
    Explanation {
        line: format!("{}{more}", first.line),
        details: reasons
            .into_iter()
            .flat_map(|reason| reason.details)
            .collect(),
    }
}

/// Some names, and how many there are beside them.
fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
