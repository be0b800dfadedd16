//! Findings for programs: a list of objects.

use serde_json::{Value, json};

use super::{Finding, Reviewed};

/// All findings: one object each.
#[must_use]
pub fn json(files: &[Reviewed]) -> Value {
    let each = files
        .iter()
        .flat_map(|file| file.findings.iter().map(|finding| one(file, finding)));
    Value::Array(each.collect())
}

fn one(file: &Reviewed, finding: &Finding) -> Value {
    let edits = finding
        .edits
        .iter()
        .map(|edit| json!({"start": edit.start, "end": edit.end, "text": edit.text}));
    json!({
        "file": file.name,
        "line": finding.line(),
        "column": finding.place.map(|place| place.column),
        "width": finding.place.map(|place| place.width),
        "firstLine": finding.span.first,
        "lastLine": finding.span.last,
        "rule": finding.guide.name,
        "code": finding.code,
        "severity": finding.severity.name(),
        "detail": finding.detail,
        "advice": finding.advice.as_deref().unwrap_or(finding.guide.wants),
        "url": finding.guide.url(),
        "unsafe": finding.is_mendable() && finding.guide.is_daring(),
        "edits": edits.collect::<Vec<_>>(),
    })
}
