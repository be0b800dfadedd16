#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use shiplap_model::{Digest, ImageConfig, ImageId};

use super::{SbomFormat, Subject, document, is_address};
use crate::packages::tests::inventory;

fn subject(created: Option<&str>) -> Subject {
    Subject {
        name: "registry.example/a/app".to_owned(),
        tag: Some("1.0+x".to_owned()),
        id: ImageId::from(Digest::of(b"config")),
        manifest: Some(Digest::of(b"manifest")),
        config: ImageConfig {
            created: created.map(str::to_owned),
            architecture: "amd64".to_owned(),
            ..ImageConfig::default()
        },
        layers: Vec::new(),
    }
}

#[test]
fn names_of_formats() {
    let check = |name: &str, expected: Option<SbomFormat>| {
        assert_eq!(name.parse().ok(), expected, "{name}");
    };
    check("spdx", Some(SbomFormat::Spdx));
    check("SPDX-JSON", Some(SbomFormat::Spdx));
    check("CycloneDX", Some(SbomFormat::CycloneDx));
    check("xml", None);
}

#[test]
fn times_of_images() {
    let check = |created: Option<&str>, expected: &str| {
        assert_eq!(subject(created).created(), expected, "{created:?}");
    };
    check(
        Some("2024-02-29T01:02:03.123456789Z"),
        "2024-02-29T01:02:03Z",
    );
    check(Some("2024-02-29T01:02:03+02:00"), "2024-02-28T23:02:03Z");
    check(Some("yesterday"), "1970-01-01T00:00:00Z");
    check(None, "1970-01-01T00:00:00Z");
}

#[test]
fn addresses_that_programs_take() {
    let check = |url: &str, expected: bool| assert_eq!(is_address(url), expected, "{url}");
    check("https://example.org/a?b=c#d", true);
    check("git://example.org", true);
    check("https://example.org/a b", false);
    check("javascript:alert(1)", false);
    check("https://\u{7}", false);
    check("https://<script>", false);
    check("", false);
}

#[test]
fn the_image_itself_and_licences() {
    let image = subject(Some("2024-01-01T00:00:00Z"));
    let digest = Digest::of(b"manifest");
    assert_eq!(
        image.purl(),
        Some(format!(
            "pkg:oci/app@{}?arch=amd64&repository_url=registry.example%2Fa%2Fapp&tag=1.0%2Bx",
            digest.as_str()
        ))
    );
    let apk: &[u8] =
        b"P:a\nV:1\nL:MIT AND Nonsense\n\nP:b\nV:1\nL:mit OR Zlib\n\nP:c\nV:1\nL:BSD\n\nP:d\nV:1\n";
    let found = || inventory(&[&[("lib/apk/db/installed", 0o644, apk)]]);
    let spdx = document(&image, found(), SbomFormat::Spdx).document;
    let value: serde_json::Value = serde_json::from_str(&spdx).unwrap();
    let declared: Vec<_> = value["packages"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|package| package["licenseDeclared"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "LicenseRef-MIT-AND-Nonsense-",
        "MIT OR Zlib",
        "LicenseRef-BSD-",
        "NOASSERTION",
    ];
    assert_eq!(declared.len(), expected.len());
    for (declared, expected) in declared.iter().zip(expected) {
        assert!(declared.starts_with(expected), "{declared} {expected}");
    }
    let cyclonedx = document(&image, found(), SbomFormat::CycloneDx).document;
    let value: serde_json::Value = serde_json::from_str(&cyclonedx).unwrap();
    let licences = |number: usize| value["components"][number]["licenses"].clone();
    assert_eq!(licences(0)[0]["license"]["name"], "MIT AND Nonsense");
    assert_eq!(licences(1)[0]["expression"], "MIT OR Zlib");
    assert_eq!(licences(2)[0]["license"]["name"], "BSD");
    assert!(licences(3).is_null());
}
