#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;

use super::*;
use crate::Raw;
use crate::digest::{Digest, DigestError};

const BLOB: &str = r#""size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a""#;

fn blob(media_type: &str, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}",{BLOB}{more}}}"#)
}

/// A document of these fields; `CONFIG` and `LAYER` stand for descriptors.
fn document(fields: &str) -> String {
    let fields = fields
        .replace("CONFIG", &blob(media_type::OCI_CONFIG, ""))
        .replace("LAYER", &blob(media_type::OCI_LAYER_GZIP, ""))
        .replace("IMAGE", &blob(media_type::OCI_MANIFEST, ""));
    format!(r#"{{"schemaVersion":2,{fields}}}"#)
}

#[test]
fn reads_what_registries_serve() {
    fn check(fields: &str, content_type: Option<&str>, wanted: &str) {
        let text = document(fields);
        let read = Document::parse(text.as_bytes(), content_type)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read.media_type(), wanted, "{text}");
    }
    let image = r#""config":CONFIG,"layers":[LAYER]"#;
    let index = r#""manifests":[IMAGE]"#;
    let typed = |media_type: &str, fields: &str| format!(r#""mediaType":"{media_type}",{fields}"#);
    use media_type::{DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST};
    check(image, None, OCI_MANIFEST);
    check(image, Some("application/json; charset=utf-8"), OCI_MANIFEST);
    check(
        image,
        Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
        OCI_MANIFEST,
    );
    check(&typed(DOCKER_MANIFEST, image), None, DOCKER_MANIFEST);
    check(
        &typed(DOCKER_MANIFEST, image),
        Some(DOCKER_MANIFEST),
        DOCKER_MANIFEST,
    );
    check(
        &typed(DOCKER_MANIFEST, image),
        Some("text/plain"),
        DOCKER_MANIFEST,
    );
    check(&typed("", image), Some(OCI_MANIFEST), OCI_MANIFEST);
    check(index, None, OCI_INDEX);
    check(
        &typed(DOCKER_MANIFEST_LIST, index),
        Some(DOCKER_MANIFEST_LIST),
        DOCKER_MANIFEST_LIST,
    );
    check(r#""config":CONFIG,"layers":[]"#, None, OCI_MANIFEST);
    check(r#""config":CONFIG,"layers":null"#, None, OCI_MANIFEST);
    check(r#""config":CONFIG"#, None, OCI_MANIFEST);
    check(r#""manifests":[]"#, None, OCI_INDEX);
    check(
        &format!(r#"{image},"annotations":null,"subject":null,"manifests":null"#),
        None,
        OCI_MANIFEST,
    );
}

fn refused(fields: &str, content_type: Option<&str>, message: &str) {
    let text = document(fields);
    let error = Document::parse(text.as_bytes(), content_type)
        .unwrap_err()
        .to_string();
    assert!(error.contains(message), "{text}: {error}");
}

const IMAGE: &str = r#""config":CONFIG,"layers":[LAYER]"#;
const INDEX: &str = r#""manifests":[IMAGE]"#;

#[test]
fn refuses_what_could_be_two_things() {
    refused(
        &format!("{IMAGE},{INDEX}"),
        None,
        "both \"layers\" and \"manifests\"",
    );
    refused(
        &format!("\"config\":CONFIG,{INDEX}"),
        None,
        "both \"config\" and \"manifests\"",
    );
    refused(
        &format!("{IMAGE},\"layers\":[]"),
        None,
        "\"layers\" stands twice",
    );
    refused(
        &format!("{IMAGE},\"Layers\":[]"),
        None,
        "which some readers take for \"layers\"",
    );
    refused(
        &format!("{IMAGE},\"MANIFESTS\":[IMAGE]"),
        None,
        "take for \"manifests\"",
    );
    refused(
        &format!("{INDEX},\"Config\":CONFIG"),
        None,
        "index: it has the key \"Config\"",
    );
    let odd = blob(media_type::OCI_LAYER, r#","Digest":"sha256:0""#);
    refused(
        &format!("\"config\":CONFIG,\"layers\":[{odd}]"),
        None,
        "\"Digest\", which some",
    );
}

#[test]
fn refuses_another_type_than_is_said() {
    use media_type::{
        DOCKER_MANIFEST, DOCKER_MANIFEST_V1_SIGNED, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST,
    };
    refused(
        &format!("\"mediaType\":\"{OCI_INDEX}\",{IMAGE}"),
        None,
        "as its mediaType says",
    );
    refused(IMAGE, Some(OCI_INDEX), "as the registry says");
    refused(INDEX, Some(OCI_MANIFEST), "as the registry says");
    let typed = format!("\"mediaType\":\"{OCI_MANIFEST}\",{IMAGE}");
    refused(&typed, Some(DOCKER_MANIFEST), "as the registry says");
    refused(
        IMAGE,
        Some(OCI_CONFIG),
        "neither an image manifest nor an index",
    );
    let artifact = "\"mediaType\":\"application/vnd.oci.artifact.manifest.v1+json\",\"blobs\":[]";
    refused(artifact, None, "neither \"layers\"");
    refused(
        &format!("{IMAGE},\"fsLayers\":[]"),
        None,
        "Docker's schema 1",
    );
    refused(IMAGE, Some(DOCKER_MANIFEST_V1_SIGNED), "Docker's schema 1");
}

#[test]
fn refuses_what_is_incomplete_or_too_much() {
    refused("\"a\":0", None, "neither \"layers\" nor \"manifests\"");
    refused("\"layers\":[LAYER]", None, "missing field `config`");
    let huge =
        blob(media_type::OCI_LAYER, "").replace("\"size\":2", "\"size\":9223372036854775808");
    refused(
        &format!("\"config\":CONFIG,\"layers\":[{huge}]"),
        None,
        "9223372036854775808 is no size",
    );
    let layers = vec!["LAYER"; limits::LAYERS + 1].join(",");
    refused(
        &format!("\"config\":CONFIG,\"layers\":[{layers}]"),
        None,
        "names 501, more than the 500",
    );
}

#[test]
fn other_schemas_are_named() {
    fn check(text: &str, message: &str) {
        let error = Document::parse(text.as_bytes(), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
    check(
        r#"{"schemaVersion":1,"name":"a","fsLayers":[],"history":[],"signatures":[]}"#,
        "schema 1",
    );
    check(
        r#"{"schemaVersion":3,"layers":[]}"#,
        "schemaVersion is 3, not 2",
    );
    check(r#"{"layers":[]}"#, "schemaVersion is 0, not 2");
    check(" []", "parse manifest: read JSON: it is not an object");
    check("", "parse manifest: read JSON");
}

#[test]
fn a_place_wants_its_kind() {
    let image = document(r#""config":CONFIG,"layers":[]"#);
    let index = document(r#""manifests":[]"#);
    assert!(Manifest::parse(image.as_bytes()).is_ok() && Index::parse(index.as_bytes()).is_ok());
    let mismatch = |error| matches!(error, DocumentError::MediaTypeMismatch { .. });
    assert!(mismatch(Manifest::parse(index.as_bytes()).unwrap_err()));
    assert!(mismatch(Index::parse(image.as_bytes()).unwrap_err()));
}

#[test]
fn unknown_fields_survive() {
    let text = document(
        r#""mediaType":"application/vnd.oci.image.manifest.v1+json","config":CONFIG,"layers":[],"x":{"b":1,"a":[]}"#,
    );
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&manifest).unwrap(), value);
    assert!(manifest.is_image());
}

#[test]
fn an_index_chooses_among_images() {
    let entry = |media_type: &str, platform: &str| {
        blob(
            media_type,
            &format!(r#","platform":{{"os":"linux","architecture":"{platform}"}}"#),
        )
    };
    let text = document(&format!(
        r#""manifests":[{},{},{}]"#,
        entry("application/xml", "amd64"),
        entry(media_type::DOCKER_MANIFEST, "arm64"),
        entry(media_type::OCI_MANIFEST, "amd64"),
    ));
    let index = Index::parse(text.as_bytes()).unwrap();
    let choose = |platform: &str| index.choose(&platform.parse().unwrap());
    assert_eq!(choose("linux/amd64"), index.manifests.get(2));
    assert_eq!(choose("linux/arm64"), index.manifests.get(1));
    assert_eq!(choose("linux/s390x"), None);
}

#[test]
fn raw_bytes_are_kept() {
    let text = document(r#""config":CONFIG,  "layers":[]"#);
    let digest = Digest::of(text.as_bytes());
    let raw = Raw::parse(text.clone().into_bytes(), Manifest::parse).unwrap();
    assert_eq!((raw.bytes(), raw.digest()), (text.as_bytes(), &digest));
    assert_eq!(raw.descriptor(raw.media_type()).size, text.len() as u64);
    let again = Raw::encode(raw.value().clone()).unwrap();
    assert_ne!(again.digest(), raw.digest());
    assert_eq!(Manifest::parse(again.bytes()).as_ref(), Ok(raw.value()));

    #[derive(Debug, PartialEq, thiserror::Error)]
    enum Failed {
        #[error(transparent)]
        Digest(#[from] DigestError),
        #[error(transparent)]
        Document(#[from] DocumentError),
    }
    let parse = |bytes: &[u8]| Ok::<_, Failed>(Manifest::parse(bytes)?);
    assert!(Raw::verified(text.clone().into_bytes(), digest.clone(), parse).is_ok());
    let wrong = Raw::verified(b"{}".to_vec(), digest, parse);
    assert!(matches!(
        wrong,
        Err(Failed::Digest(DigestError::Mismatch { .. }))
    ));
}

proptest! {
    #[test]
    fn never_panics(text in "[\\[\\]{}\",:0-9a-z ]{0,80}", key in "[a-zA-Z]{1,10}") {
        let _ = Document::parse(text.as_bytes(), None);
        let _ = Document::parse(document(&format!("\"{key}\":[{text}]")).as_bytes(), Some(&key));
    }
}
