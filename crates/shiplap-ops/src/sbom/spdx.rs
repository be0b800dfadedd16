//! SPDX 2.3 as JSON ("SPDX Specification 2.3").

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::{Subject, TOOL, TOOL_VERSION, is_address, plain, reference_of, short_digest};
use crate::packages::{Distribution, Ecosystem, Inventory, Licence, Package, licence};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const DISTRIBUTION: &str = "SPDXRef-Distribution";
const UNKNOWN: &str = "NOASSERTION";

/// Licences that SPDX doesn't know: what they are called here, and their own words.
type Extracted = BTreeMap<String, String>;

pub(super) fn document(subject: &Subject, inventory: &Inventory) -> Value {
    let mut extracted = Extracted::new();
    let mut packages = vec![image(subject)];
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", IMAGE)];
    if let Some(distribution) = &inventory.distribution {
        packages.push(system(distribution));
        relationships.push(relationship(IMAGE, "CONTAINS", DISTRIBUTION));
    }
    let mut brought = HashMap::new();
    for package in &inventory.packages {
        let id = id_of(package);
        if package.ecosystem.is_distribution() {
            brought.insert((&package.name, &package.version), id.clone());
        }
        packages.push(of(package, subject, &mut extracted));
        relationships.push(relationship(IMAGE, "CONTAINS", &id));
    }
    for package in &inventory.packages {
        let owner = package.brought_by.as_ref();
        let owner = owner.and_then(|(name, version)| brought.get(&(name, version)));
        if let Some(owner) = owner {
            relationships.push(relationship(owner, "CONTAINS", &id_of(package)));
        }
    }
    for (number, needed) in &inventory.needs {
        let id = |number: &usize| inventory.packages.get(*number).map(id_of);
        let needed = needed.iter().filter_map(id);
        let pairs = needed.filter_map(|needed| Some((id(number)?, needed)));
        relationships.extend(pairs.map(|(from, to)| relationship(&from, "DEPENDS_ON", &to)));
    }
    let created = subject.created();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": subject.full_name(),
        "documentNamespace": format!(
            "https://spdx.org/spdxdocs/{TOOL}-{TOOL_VERSION}/{}",
            subject.digest().encoded()
        ),
        "creationInfo": {
            "created": created,
            "creators": [format!("Tool: {TOOL}-{TOOL_VERSION}")],
        },
        "packages": packages,
        "relationships": relationships,
    });
    let infos = extracted
        .into_iter()
        .map(|(id, text)| json!({ "licenseId": id, "name": text, "extractedText": text }));
    let infos: Vec<_> = infos.collect();
    let notes = inventory.unread.iter().map(|unread| {
        json!({
            "annotationDate": created,
            "annotationType": "OTHER",
            "annotator": format!("Tool: {TOOL}-{TOOL_VERSION}"),
            "comment": format!("not read: {}: {}", unread.path, unread.reason),
        })
    });
    let notes: Vec<_> = notes.collect();
    if let Some(fields) = document.as_object_mut() {
        for (key, list) in [
            ("hasExtractedLicensingInfos", infos),
            ("annotations", notes),
        ] {
            if !list.is_empty() {
                fields.insert(key.to_owned(), Value::Array(list));
            }
        }
    }
    document
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn id_of(package: &Package) -> String {
    format!("SPDXRef-Package-{}", reference_of(package))
}

/// What every package of SPDX has to say.
fn base(id: &str, name: &str, version: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in [
        ("SPDXID", json!(id)),
        ("name", json!(name)),
        ("downloadLocation", json!(UNKNOWN)),
        ("filesAnalyzed", json!(false)),
        ("licenseConcluded", json!(UNKNOWN)),
        ("licenseDeclared", json!(UNKNOWN)),
        ("copyrightText", json!(UNKNOWN)),
    ] {
        fields.insert(key.to_owned(), value);
    }
    if !version.is_empty() {
        fields.insert("versionInfo".to_owned(), json!(version));
    }
    fields
}

fn located(purl: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    }])
}

fn image(subject: &Subject) -> Value {
    let mut fields = base(IMAGE, &subject.name, &subject.version());
    fields.insert("primaryPackagePurpose".to_owned(), json!("CONTAINER"));
    if let Some(purl) = subject.purl() {
        fields.insert("externalRefs".to_owned(), located(&purl));
    }
    let layers: Vec<_> = subject.layers.iter().map(ToString::to_string).collect();
    let manifest = subject.manifest.as_ref();
    let manifest = manifest.map_or_else(String::new, |digest| format!(" with manifest {digest}"));
    let words = format!(
        "image {}{manifest}, layers {}",
        subject.id,
        layers.join(" ")
    );
    fields.insert("comment".to_owned(), json!(words));
    Value::Object(fields)
}

fn system(distribution: &Distribution) -> Value {
    let mut fields = base(DISTRIBUTION, &distribution.id, &distribution.version);
    fields.insert(
        "primaryPackagePurpose".to_owned(),
        json!("OPERATING_SYSTEM"),
    );
    fields.insert("summary".to_owned(), json!(distribution.name));
    Value::Object(fields)
}

fn of(package: &Package, subject: &Subject, extracted: &mut Extracted) -> Value {
    let mut fields = base(&id_of(package), &package.name, &package.version);
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("licenseDeclared", json!(declared(package, extracted)));
    put("primaryPackagePurpose", json!("LIBRARY"));
    put("sourceInfo", json!(found_in(package, subject)));
    if let Some(purl) = &package.purl {
        put("externalRefs", located(purl));
    }
    if let Some(supplier) = &package.supplier {
        put("supplier", json!(agent(package.ecosystem, supplier)));
    }
    if let Some(summary) = &package.summary {
        put("summary", json!(summary));
    }
    if let Some(url) = package.homepage.as_ref().filter(|url| is_address(url)) {
        put("homepage", json!(url));
    }
    Value::Object(fields)
}

/// Where the package is told of, and what it was built from.
fn found_in(package: &Package, subject: &Subject) -> String {
    let places = package.locations.iter().map(|at| {
        let layer = subject.layer(at.layer);
        let layer = layer.map_or_else(String::new, |layer| format!(" of layer {layer}"));
        format!("{}{layer}", at.path)
    });
    let mut words = format!("found in {}", places.collect::<Vec<_>>().join(", "));
    if let Some((name, version)) = &package.source {
        words.push_str(&format!("; built from {name} {version}"));
    }
    words
}

/// `NAME <MAIL>` in SPDX's words.
fn agent(ecosystem: Ecosystem, supplier: &str) -> String {
    let supplier = supplier.replace(['\n', '\r'], " ");
    let kind = if ecosystem == Ecosystem::Rpm {
        "Organization"
    } else {
        "Person"
    };
    match supplier.split_once('<') {
        Some((name, mail)) => format!(
            "{kind}: {} ({})",
            name.trim(),
            mail.trim_end().trim_end_matches('>')
        ),
        None => format!("{kind}: {supplier}"),
    }
}

/// All licences of the package as one expression; words that SPDX doesn't know get a name of their own.
fn declared(package: &Package, extracted: &mut Extracted) -> String {
    let is_alone = package.licences.len() == 1;
    let mut parts: Vec<String> = Vec::new();
    for text in &package.licences {
        let part = match licence(text) {
            Licence::Id(id) => id.to_owned(),
            Licence::Expression(expression) if is_alone => expression,
            Licence::Expression(expression) => format!("({expression})"),
            Licence::Name(name) => {
                let id = format!("LicenseRef-{}-{}", plain(&name), short_digest(&name));
                extracted.insert(id.clone(), name);
                id
            }
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() {
        return UNKNOWN.to_owned();
    }
    parts.join(" AND ")
}
