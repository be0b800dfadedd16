//! Findings as SARIF 2.1.0 (OASIS), which forges and editors show beside the code.

use serde_json::{Map, Value, json};

use super::{Finding, Reviewed};
use crate::lint::guide::{self, Guide, Severity};
use crate::lint::sheet::Edit;

/// Where the format is described.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What was found in all files, by this version of the program.
#[must_use]
pub fn sarif(files: &[Reviewed], version: &str) -> Value {
    let rules: Vec<&Guide> = guide::all().collect();
    let results = files.iter().flat_map(|file| {
        file.findings
            .iter()
            .map(|finding| result(file, finding, &rules))
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "shiplap lint",
                "version": version,
                "rules": rules.iter().map(|guide| rule(guide)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Style => "note",
    }
}

fn rule(guide: &Guide) -> Value {
    let mut rule = json!({
        "id": guide.name,
        "name": guide.name,
        "shortDescription": {"text": guide.wants},
        "fullDescription": {"text": guide.reason},
        "defaultConfiguration": {"level": level(guide.severity)},
        "properties": {"tags": [guide.family.title()], "codes": guide.codes},
    });
    if let Some(url) = guide.url() {
        rule["helpUri"] = json!(url);
    }
    rule
}

fn result(file: &Reviewed, finding: &Finding, rules: &[&Guide]) -> Value {
    let index = rules
        .iter()
        .position(|guide| guide.name == finding.guide.name);
    let advice = finding.advice.as_deref().unwrap_or(finding.guide.wants);
    let place = json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&file.name)},
        "region": region(finding),
    }});
    let mut result = json!({
        "ruleId": finding.guide.name,
        "level": level(finding.severity),
        "message": {"text": format!("{}: {advice}", finding.detail)},
        "locations": [place],
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    if finding.is_mendable() {
        let replacements: Vec<Value> = finding.edits.iter().map(replacement).collect();
        result["fixes"] = json!([{
            "description": {"text": advice},
            "artifactChanges": [{
                "artifactLocation": {"uri": uri(&file.name)},
                "replacements": replacements,
            }],
        }]);
    }
    result
}

fn region(finding: &Finding) -> Value {
    let mut region = Map::new();
    // Lines count from 1, also where the file as a whole is meant.
    let line = finding.line().max(1);
    region.insert("startLine".to_owned(), json!(line));
    match finding.place {
        Some(place) => {
            region.insert("startColumn".to_owned(), json!(place.column));
            region.insert(
                "endColumn".to_owned(),
                json!(place.column.saturating_add(place.width)),
            );
        }
        None => {
            region.insert("endLine".to_owned(), json!(finding.span.last.max(line)));
        }
    }
    Value::Object(region)
}

fn replacement(edit: &Edit) -> Value {
    json!({
        "deletedRegion": {"byteOffset": edit.start, "byteLength": edit.end - edit.start},
        "insertedContent": {"text": edit.text},
    })
}

/// A path as an address: what may not stand in one is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'/'
            | b'.'
            | b'-'
            | b'_'
            | b'~'
            | b'@'
            | b'+' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
