//! Findings as SARIF 2.1.0 (OASIS), which forges and editors show beside the code.

use serde_json::{Map, Value, json};

use super::fingerprint::fingerprints;
use super::{Finding, Reviewed};
use crate::lint::guide::{self, Family, Guide, Severity};
use crate::lint::sheet::Edit;

/// Where the format is described.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What paths are relative to: the directory that was linted from, of a repository in general its root.
const ROOT: &str = "%SRCROOT%";

/// What was found in all files, by this version of the program.
#[must_use]
pub fn sarif(files: &[Reviewed], version: &str) -> Value {
    let rules: Vec<&Guide> = guide::all().collect();
    let results = files.iter().flat_map(|file| {
        let prints = fingerprints(&file.text);
        let own = file.findings.iter();
        own.map(|finding| result(file, finding, &prints, &rules))
            .collect::<Vec<_>>()
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "shiplap lint",
                "semanticVersion": version,
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
    let problem = match guide.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Style => "recommendation",
    };
    let mut rule = json!({
        "id": guide.name,
        "name": guide.name,
        "shortDescription": {"text": guide.wants.replace('`', "")},
        "fullDescription": {"text": guide.reason.replace('`', "")},
        "help": help(guide),
        "defaultConfiguration": {"level": level(guide.severity)},
        "properties": {
            "tags": [guide.family.title()],
            "codes": guide.codes,
            "precision": "high",
            "problem.severity": problem,
        },
    });
    // Forges sort what opens something by a number of its own, from 0 to 10.
    if guide.family == Family::Secrets {
        let grave = guide.severity == Severity::Error;
        rule["properties"]["tags"] = json!([guide.family.title(), "security"]);
        rule["properties"]["security-severity"] = json!(if grave { "8.0" } else { "5.0" });
    }
    if let Some(url) = guide.url() {
        rule["helpUri"] = json!(url);
    }
    rule
}

/// What is to be done, and an example of it.
fn help(guide: &Guide) -> Value {
    let Guide {
        wants,
        reason,
        bad,
        good,
        ..
    } = guide;
    let mut text = format!("{wants}. {reason}");
    let mut markdown = text.clone();
    if !bad.is_empty() && !good.is_empty() {
        text.push_str(&format!("\n\nFound in:\n\n{bad}\nBetter:\n\n{good}"));
        markdown.push_str(&format!(
            "\n\nFound in:\n\n```dockerfile\n{bad}```\n\nBetter:\n\n```dockerfile\n{good}```\n"
        ));
    }
    json!({"text": text.replace('`', ""), "markdown": markdown})
}

fn result(file: &Reviewed, finding: &Finding, prints: &[String], rules: &[&Guide]) -> Value {
    let index = rules
        .iter()
        .position(|guide| guide.name == finding.guide.name);
    let advice = finding.advice.as_deref().unwrap_or(finding.guide.wants);
    let place = json!({"physicalLocation": {
        "artifactLocation": artifact(&file.name),
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
    let line = finding.line() as usize;
    if let Some(print) = prints.get(line - 1) {
        result["partialFingerprints"] = json!({"primaryLocationLineHash": print});
    }
    if finding.is_mendable() && !finding.guide.is_daring() {
        let replacements: Vec<Value> = finding.edits.iter().map(replacement).collect();
        result["fixes"] = json!([{
            "description": {"text": advice},
            "artifactChanges": [{
                "artifactLocation": artifact(&file.name),
                "replacements": replacements,
            }],
        }]);
    }
    result
}

/// Where a file is: by its path from the root, or from that of the system.
fn artifact(name: &str) -> Value {
    if name.starts_with('/') {
        return json!({"uri": format!("file://{}", uri(name))});
    }
    let mut path = name;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    json!({"uri": uri(path), "uriBaseId": ROOT})
}

fn region(finding: &Finding) -> Value {
    let mut region = Map::new();
    let line = finding.line();
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
