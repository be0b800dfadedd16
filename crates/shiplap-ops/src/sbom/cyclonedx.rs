//! CycloneDX 1.6 as JSON (ECMA-424).

use serde_json::{Map, Value, json};

use super::{Subject, TOOL, TOOL_VERSION, is_address, reference_of};
use crate::packages::{Ecosystem, Inventory, Licence, Package, licence};

/// The image's own name in the document.
const IMAGE: &str = "image";

pub(super) fn document(subject: &Subject, inventory: &Inventory) -> Value {
    let mut components = Vec::new();
    let mut inside = Vec::new();
    if let Some(distribution) = &inventory.distribution {
        inside.push("distribution".to_owned());
        components.push(json!({
            "type": "operating-system",
            "bom-ref": "distribution",
            "name": distribution.id,
            "version": version(&distribution.version),
            "description": distribution.name,
        }));
    }
    for package in &inventory.packages {
        inside.push(reference_of(package));
        components.push(component(package, subject));
    }
    let layers = subject
        .layers
        .iter()
        .map(|layer| property("shiplap:layer", &layer.to_string()));
    let about = subject
        .tag
        .iter()
        .map(|_| property("shiplap:reference", &subject.full_name()));
    let unread = inventory.unread.iter().map(|unread| {
        let words = format!("{}: {}", unread.path, unread.reason);
        property("shiplap:unread", &words)
    });
    let facts = [property("shiplap:image-id", &subject.id.to_string())];
    let properties: Vec<_> = facts
        .into_iter()
        .chain(about)
        .chain(layers)
        .chain(unread)
        .collect();
    let aggregate = if inventory.unread.is_empty() {
        "unknown"
    } else {
        "incomplete"
    };
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(subject),
        "version": 1,
        "metadata": {
            "timestamp": subject.created(),
            "tools": { "components": [{
                "type": "application",
                "name": TOOL,
                "version": TOOL_VERSION,
            }] },
            "component": {
                "type": "container",
                "bom-ref": IMAGE,
                "name": subject.name,
                "version": subject.version(),
                "properties": properties,
            },
        },
        "components": components,
        "dependencies": dependencies(&inside, inventory),
        "compositions": [{ "aggregate": aggregate, "assemblies": [IMAGE] }],
    });
    if let Some(purl) = subject.purl() {
        document["metadata"]["component"]["purl"] = json!(purl);
    }
    document
}

/// What the image is made of directly, and which packages need which: of those that aren't here that is not known,
/// those that need nothing are here with nothing.
fn dependencies(inside: &[String], inventory: &Inventory) -> Vec<Value> {
    let mut dependencies = vec![json!({ "ref": IMAGE, "dependsOn": inside })];
    for (number, needed) in &inventory.needs {
        let reference = |number: &usize| inventory.packages.get(*number).map(reference_of);
        let needed: Vec<_> = needed.iter().filter_map(reference).collect();
        dependencies.push(json!({ "ref": reference(number), "dependsOn": needed }));
    }
    dependencies
}

/// Made of the image's digest, in the form of a UUID of one's own making (version 8 of RFC 9562).
fn serial_number(subject: &Subject) -> String {
    let hex: String = subject.digest().encoded().chars().take(32).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("0");
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

/// Longest version that the schema takes, in characters.
const VERSION_CHARS: usize = 1024;

/// As much of a version as the schema takes; no real one is longer.
fn version(text: &str) -> String {
    text.chars().take(VERSION_CHARS).collect()
}

fn component(package: &Package, subject: &Subject) -> Value {
    let mut component = Map::new();
    let mut put = |key: &str, value: Value| component.insert(key.to_owned(), value);
    put("type", json!("library"));
    put("bom-ref", json!(reference_of(package)));
    match package.name.split_once('/') {
        Some((scope, name)) if package.ecosystem == Ecosystem::Node => {
            put("group", json!(scope));
            put("name", json!(name));
        }
        _ => drop(put("name", json!(package.name))),
    }
    put("version", json!(version(&package.version)));
    if let Some(purl) = &package.purl {
        put("purl", json!(purl));
    }
    if let Some(supplier) = &package.supplier {
        put("publisher", json!(supplier));
    }
    if let Some(summary) = &package.summary {
        put("description", json!(summary));
    }
    let licences = licences(package);
    if !licences.is_empty() {
        put("licenses", json!(licences));
    }
    if let Some(url) = package.homepage.as_ref().filter(|url| is_address(url)) {
        let home = json!([{ "type": "website", "url": url }]);
        put("externalReferences", home);
    }
    let places = package.locations.iter();
    let occurrences: Vec<_> = places.map(|at| json!({ "location": at.path })).collect();
    put("evidence", json!({ "occurrences": occurrences }));
    put("properties", json!(properties(package, subject)));
    Value::Object(component)
}

fn properties(package: &Package, subject: &Subject) -> Vec<Value> {
    let mut properties = vec![property("shiplap:ecosystem", package.ecosystem.name())];
    let mut layers: Vec<usize> = package.locations.iter().map(|at| at.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    for layer in layers.into_iter().filter_map(|layer| subject.layer(layer)) {
        properties.push(property("shiplap:layer", &layer.to_string()));
    }
    if let Some((name, version)) = &package.source {
        properties.push(property("shiplap:source", &format!("{name} {version}")));
    }
    if let Some((name, version)) = &package.brought_by {
        properties.push(property("shiplap:brought-by", &format!("{name} {version}")));
    }
    properties
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

/// One expression if that is all there is; else each licence by identifier or name.
fn licences(package: &Package) -> Vec<Value> {
    let known: Vec<Licence> = package.licences.iter().map(|text| licence(text)).collect();
    if let [Licence::Expression(expression)] = known.as_slice() {
        return vec![json!({ "expression": expression, "acknowledgement": "declared" })];
    }
    let named = known.into_iter().map(|licence| match licence {
        Licence::Id(id) => json!({ "id": id }),
        Licence::Expression(name) | Licence::Name(name) => json!({ "name": name }),
    });
    let mut licences: Vec<Value> = Vec::new();
    for mut licence in named {
        if let Some(fields) = licence.as_object_mut() {
            fields.insert("acknowledgement".to_owned(), json!("declared"));
        }
        let licence = json!({ "license": licence });
        if !licences.contains(&licence) {
            licences.push(licence);
        }
    }
    licences
}
