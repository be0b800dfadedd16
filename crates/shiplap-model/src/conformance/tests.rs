#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::table::{self, same, text};
use crate::{Document, ImageConfig, Index, Manifest};

#[test]
fn agrees_with_the_schemas() {
    table::run("oci-image-documents", judge);
}

/// The verdict of the table; and whatever conforms can be read, too.
fn judge(case: &Value) -> Result<(), String> {
    let bytes = text(case, "document").as_bytes();
    let kind = match text(case, "kind") {
        "descriptor" => DocumentKind::Descriptor,
        "manifest" => DocumentKind::Manifest,
        "index" => DocumentKind::Index,
        "config" => DocumentKind::Config,
        "image-layout" => DocumentKind::ImageLayout,
        kind => return Err(format!("no such kind: {kind}")),
    };
    let verdict = check(kind, bytes);
    same(&Some(verdict.is_ok()), &case["expect"]["valid"].as_bool())
        .map_err(|_| format!("{verdict:?}"))?;
    if verdict.is_err() {
        return Ok(());
    }
    let rewritten = match kind {
        DocumentKind::Manifest => {
            Manifest::parse(bytes).map(|read| serde_json::to_value(read).unwrap())
        }
        DocumentKind::Index => Index::parse(bytes).map(|read| serde_json::to_value(read).unwrap()),
        DocumentKind::Config => {
            ImageConfig::parse(bytes).map(|read| serde_json::to_value(read).unwrap())
        }
        DocumentKind::Descriptor | DocumentKind::ImageLayout => return Ok(()),
    };
    let rewritten = rewritten.map_err(|error| error.to_string())?;
    same(
        &without_nothing(rewritten),
        &without_nothing(serde_json::from_slice(bytes).unwrap()),
    )
}

/// Without `null` and empty values at known places, which mean the same as absence.
fn without_nothing(mut value: Value) -> Value {
    for object in ["", "/config"] {
        if let Some(Value::Object(fields)) = value.pointer_mut(object) {
            fields.retain(|_, value| {
                ![Value::Null, "".into(), serde_json::json!({})].contains(value)
            });
        }
    }
    value
}

#[test]
fn says_where_and_what() {
    fn wrong(kind: DocumentKind, document: &str, message: &str) {
        let error = check(kind, document.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, format!("check document: {message}"));
    }
    let blob = r#""mediaType":"a/b","size":1,"digest":"sha256+b64:a""#;
    let manifest = |layer: &str| {
        format!(r#"{{"schemaVersion":2,"config":{{{blob}}},"layers":[{{{blob}}},{layer}]}}"#)
    };
    wrong(
        DocumentKind::Manifest,
        &manifest("7"),
        "manifest.layers[1] is not an object",
    );
    wrong(
        DocumentKind::Manifest,
        &manifest(r#"{"mediaType":"a/b"}"#),
        "manifest.layers[1] has no \"size\"",
    );
    wrong(
        DocumentKind::Manifest,
        &manifest(&format!(r#"{{{blob},"urls":["x:y",0]}}"#)),
        "manifest.layers[1].urls[1] is not a URI (RFC 3986)",
    );
    wrong(
        DocumentKind::Config,
        r#"{"architecture":"a","os":"b","rootfs":{"type":"layers","diff_ids":[]},"history":[{"created":"now"}]}"#,
        "config.history[0].created is not a date and time (RFC 3339)",
    );
    wrong(
        DocumentKind::Config,
        r#"{"architecture":"a","os":"b","rootfs":{"type":"layers","diff_ids":[]},"config":{"Env":["=x"]}}"#,
        "config.config.Env[0] is not NAME=value",
    );
    wrong(
        DocumentKind::ImageLayout,
        r#"{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"1.0.0"}"#,
        "read JSON: the key \"imageLayoutVersion\" stands twice in one object (line 1, column 50)",
    );
}

#[test]
fn knows_the_calendar() {
    fn is(text: &str, wanted: bool) {
        assert_eq!(is_date_time(text), wanted, "{text}");
    }
    is("2015-10-31T22:22:56.015925234Z", true);
    is("2024-02-29T00:00:00+23:59", true);
    is("1970-01-01T00:00:00Z", true);
    is("2023-02-29T00:00:00Z", false);
    is("1900-02-29T00:00:00Z", false);
    is("2015-13-01T00:00:00Z", false);
    is("2015-04-31T00:00:00Z", false);
    is("2015-01-01T24:00:00Z", false);
    is("2015-01-01T00:00:60Z", false);
    is("2015-01-01T00:00:00.Z", false);
    is("2015-01-01T00:00:00", false);
    is("2015-01-01 00:00:00Z", false);
    is("2015-01-01T00:00:00+1:00", false);
    is("2015-01-01T00:00:00é", false);
    is("", false);
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,40}") {
        for kind in [DocumentKind::Manifest, DocumentKind::Index, DocumentKind::Config] {
            prop_assert!(check(kind, &bytes).is_err());
        }
        let _ = Document::parse(&bytes, Some(&text));
        let _ = is_date_time(&text);
    }
}
