//! What `build --check` tells, as Docker prints it.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use shiplap_model::dockerfile::{Span, excerpt};

use super::{Failure, Findings, Warning};
use crate::outline::Location;

/// Findings and the file they are about.
#[derive(Debug, Clone, Copy)]
pub struct Report<'r> {
    /// The file's name.
    pub name: &'r str,
    /// Its text.
    pub source: &'r [u8],
    /// What the checks found.
    pub findings: &'r Findings,
}

impl Report<'_> {
    /// Nothing was found, and a build would not fail: exit code 0.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.warnings.is_empty() && self.findings.failure.is_none()
    }

    /// For people: the data of the command. Why a build would fail is not in it.
    #[must_use]
    pub fn text(&self) -> String {
        let warnings = &self.findings.warnings;
        let mut text = match warnings.len() {
            0 if !self.is_clean() => String::new(),
            0 => "Check complete, no warnings found.\n".to_owned(),
            1 => "Check complete, 1 warning has been found!\n".to_owned(),
            count => format!("Check complete, {count} warnings have been found!\n"),
        };
        for Warning { rule, detail, span } in warnings {
            let url = rule
                .url()
                .map_or_else(String::new, |url| format!(" - {url}"));
            // A string takes whatever is written.
            let _ = write!(text, "\nWARNING: {}{url}\n{detail}\n", rule.name());
            text.push_str(&excerpt(self.name, self.source, *span, None));
        }
        text
    }

    /// Why a build would fail, for people, with the lines; `None` if it would not.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let (message, span) = self.problem()?;
        let place = self.findings.failure.as_ref().and_then(Failure::place);
        let lines = span.map(|span| excerpt(self.name, self.source, span, place));
        Some(format!("{message}\n{}", lines.unwrap_or_default()))
    }

    fn problem(&self) -> Option<(String, Option<Span>)> {
        match (&self.findings.failure, self.findings.violation()) {
            (Some(failure), _) => Some((failure.to_string(), failure.span())),
            (None, Some(violation)) => Some((violation.to_string(), None)),
            (None, None) => None,
        }
    }

    /// For programs: what `docker build --check --format json` prints, with an empty list where
    /// that has `null`.
    #[must_use]
    pub fn json(&self) -> Value {
        let warnings: Vec<Value> = self.findings.warnings.iter().map(shown).collect();
        let source = json!({
            "filename": self.name,
            "data": STANDARD.encode(self.source),
            "language": "Dockerfile",
        });
        let mut report = json!({"warnings": warnings, "sources": [source]});
        if let Some((message, span)) = self.problem() {
            report["buildError"] = json!({"message": message, "location": location(span)});
        }
        report
    }
}

fn shown(warning: &Warning) -> Value {
    let Warning { rule, detail, span } = warning;
    let mut shown = Map::new();
    shown.insert("ruleName".to_owned(), json!(rule.name()));
    shown.insert("description".to_owned(), json!(rule.description()));
    if let Some(url) = rule.url() {
        shown.insert("url".to_owned(), json!(url));
    }
    shown.insert("detail".to_owned(), json!(detail));
    shown.insert("location".to_owned(), location(Some(*span)));
    Value::Object(shown)
}

fn location(span: Option<Span>) -> Value {
    span.map_or_else(|| json!({}), |span| json!(Location::of(span)))
}
