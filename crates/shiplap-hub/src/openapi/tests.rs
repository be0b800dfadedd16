#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use std::collections::HashSet;

use super::*;

#[test]
fn every_route_for_programs_is_told() {
    let told = operations();
    let document = document("https://hub.example");
    let mut count = 0;
    for route in ROUTES.iter().filter(|route| route.face == Face::Api) {
        let words = told
            .iter()
            .filter(|told| told.method == route.method && told.pattern == route.pattern)
            .count();
        assert_eq!(words, 1, "{} {}", route.method, route.pattern);
        let path = &document["paths"][path_of(route.pattern)];
        let operation = &path[route.method.as_str().to_lowercase()];
        assert!(
            operation["summary"].is_string(),
            "{} {}",
            route.method,
            route.pattern
        );
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.len() > 1, "{} {}", route.method, route.pattern);
        count += 1;
    }
    assert_eq!(told.len(), count, "words for a route that is none");
    let in_document: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    assert_eq!(in_document, count);
}

#[test]
fn no_page_is_told() {
    let document = document("https://hub.example");
    for route in ROUTES.iter().filter(|route| route.face == Face::Page) {
        let path = document["paths"].get(path_of(route.pattern));
        assert!(path.is_none(), "{}", route.pattern);
    }
}

/// Every `$ref` of a document.
fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn names_are_unique_and_lead_somewhere() {
    let document = document("https://hub.example");
    let told = operations();
    let ids: HashSet<&str> = told.iter().map(|told| told.id).collect();
    assert_eq!(ids.len(), told.len());
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for parameter in [
        "namespace",
        "repository",
        "tag",
        "reference",
        "digest",
        "upload",
        "token",
    ] {
        assert!(!schemas::parameter(parameter).is_empty());
    }
}
