#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::digest::{Digest, DigestError};
use crate::table::{self, same, text};

#[test]
fn agrees_with_go_digest_and_containerd() {
    table::run("digest-platform", check);
}

fn check(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    match text(case, "op") {
        "parse_digest" => check_digest(text(case, "input"), expect),
        "parse_platform" => {
            let default = case["default"].as_str().unwrap_or("linux/amd64");
            check_parse(text(case, "input"), default, expect)
        }
        op => {
            let platform = |key| {
                text(case, key)
                    .parse::<Platform>()
                    .map_err(|error| error.to_string())
            };
            let (asked, candidate) = (platform("platform")?, platform("candidate")?);
            let found = match op {
                "match_only" => asked.runs(&candidate),
                "match_only_strict" => asked.is_same(&candidate),
                _ => return Err(format!("no such op: {op}")),
            };
            same(&Some(found), &expect["match"].as_bool())
        }
    }
}

fn check_digest(input: &str, expect: &Value) -> Result<(), String> {
    let found = input.parse::<Digest>();
    // Peers refuse what they can't compute when they read it; here that is another question.
    let error = match &found {
        Ok(digest) if digest.algorithm().is_some() => None,
        Ok(_) => Some("ErrDigestUnsupported"),
        Err(DigestError::Length { .. }) => Some("ErrDigestInvalidLength"),
        Err(_) => Some("ErrDigestInvalidFormat"),
    };
    same(&error, &expect["error"].as_str())?;
    let parts = match &expect["parses_as"] {
        Value::Array(parts) => [parts[0].as_str(), parts[1].as_str()],
        _ => [expect["algorithm"].as_str(), expect["encoded"].as_str()],
    };
    match (found, parts) {
        (Ok(digest), [Some(algorithm), Some(encoded)]) => same(
            &[digest.algorithm_name(), digest.encoded()],
            &[algorithm, encoded],
        ),
        _ => Ok(()),
    }
}

fn check_parse(input: &str, default: &str, expect: &Value) -> Result<(), String> {
    let default: Platform = default
        .parse()
        .map_err(|error: PlatformError| error.to_string())?;
    let Ok(found) = Platform::parse_with(input, &default) else {
        return same(&expect["error"].as_bool(), &Some(true));
    };
    let read = |value: &Value| serde_json::from_value::<Platform>(value.clone()).unwrap();
    same(&found, &read(&expect["platform"]))?;
    same(&found.to_string().as_str(), &text(expect, "formatted"))?;
    for other in expect["also_matches"].as_array().unwrap() {
        if !found.is_same(&read(other)) {
            return Err(format!("does not match {other}"));
        }
    }
    Ok(())
}

#[test]
fn chooses_the_best_entry() {
    fn check(asked: &str, offered: &[&str], wanted: Option<usize>) {
        let asked: Platform = asked.parse().unwrap();
        let offered: Vec<Option<Platform>> = offered
            .iter()
            .map(|text| match *text {
                "" => None,
                "unknown/unknown" => Some(Platform::new("unknown", "unknown")),
                text => Some(text.parse().unwrap()),
            })
            .collect();
        assert_eq!(
            asked.choose(offered.iter().map(Option::as_ref)),
            wanted,
            "{asked} of {offered:?}"
        );
    }
    check("linux/amd64", &["linux/arm64", "linux/amd64"], Some(1));
    check(
        "linux/amd64",
        &["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"],
        Some(2),
    );
    check("linux/amd64", &["linux/amd64/v3"], None);
    check(
        "linux/amd64/v3",
        &["linux/amd64", "linux/amd64/v4", "linux/amd64/v2"],
        Some(2),
    );
    check(
        "linux/amd64/v4",
        &["linux/amd64", "linux/amd64/v3", "linux/amd64/v2"],
        Some(1),
    );
    check("linux/amd64", &["linux/386", "linux/s390x"], Some(0));
    check("linux/amd64", &["unknown/unknown", "windows/amd64"], None);
    check("linux/amd64", &["", "linux/amd64"], Some(1));
    check("linux/amd64", &["", "linux/arm64"], Some(0));
    check("linux/amd64", &["linux/amd64", "linux/x86_64"], Some(0));
    check(
        "linux/arm64",
        &["linux/arm/v6", "linux/arm/v7", "linux/arm64/v8"],
        Some(2),
    );
    check("linux/arm64", &["linux/arm/v6", "linux/arm/v7"], Some(1));
    check(
        "linux/arm64/v9.1",
        &["linux/arm64", "linux/arm64/v9", "linux/arm64/v8.6"],
        Some(1),
    );
    check(
        "linux/arm64/v8.2",
        &["linux/arm64", "linux/arm64/v8.1", "linux/arm64/v8.3"],
        Some(1),
    );
    check("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"], Some(1));
    check("linux/riscv64", &["linux/riscv64"], Some(0));
    check("linux/arm/v999999999", &["linux/arm/v7"], None);
}

#[test]
fn windows_versions_fit_by_release() {
    fn check(host: &str, image: &str, wanted: bool) {
        let platform = |version: &str| Platform {
            os_version: (!version.is_empty()).then(|| version.to_owned()),
            ..Platform::new("windows", "amd64")
        };
        assert_eq!(
            platform(host).runs(&platform(image)),
            wanted,
            "{image} on {host}"
        );
    }
    check("10.0.17763.1", "10.0.17763.9", true);
    check("10.0.17763", "10.0.14393", false);
    check("10.0.22621", "10.0.20348", true);
    check("10.0.22621", "10.0.17763", false);
    check("10.0.20348", "10.0.22621", false);
    check("10.0.26100", "10.0.20348", true);
    check("10.0.27000", "10.0.20348", false);
    check("10.0.20348", "11.0.20348", false);
    check("", "10.0.20348", true);
    check("10.0.20348", "", true);
}

#[test]
fn features_that_are_needed_must_be_there() {
    let with = |features: &[&str]| Platform {
        os_features: features
            .iter()
            .map(|feature| (*feature).to_owned())
            .collect(),
        ..Platform::new("linux", "amd64")
    };
    assert!(with(&["b", "a"]).runs(&with(&["a"])));
    assert!(with(&["a"]).runs(&with(&[])));
    assert!(!with(&[]).runs(&with(&["a"])));
}

#[test]
fn documents_hold_platforms() {
    let text = r#"{"architecture":"arm64","os":"linux","os.version":null,"os.features":["x"],"variant":"v8","features":["sse4"]}"#;
    let platform: Platform = serde_json::from_str(text).unwrap();
    assert_eq!(
        serde_json::to_string(&platform).unwrap(),
        r#"{"architecture":"arm64","os":"linux","os.features":["x"],"variant":"v8"}"#
    );
    assert!(serde_json::from_str::<Platform>(r#"{"os":"linux"}"#).is_err());
    let twofold = r#"{"architecture":"amd64","os":"linux","OS":"windows"}"#;
    let error = serde_json::from_str::<Platform>(twofold)
        .unwrap_err()
        .to_string();
    assert!(error.contains("some readers take for \"os\""), "{error}");
}

#[test]
fn says_what_is_wrong() {
    fn check(input: &str, message: &str) {
        let error = input.parse::<Platform>().unwrap_err().to_string();
        assert!(error.contains(message), "{input:?}: {error}");
    }
    check("linux/amd64/v1/x", "want os[/architecture[/variant]]");
    check("linux/am d64", "\"am d64\" is not a name");
    check("*/amd64", "\"*\" is not a name");
    check("amd65", "neither an operating system nor an architecture");
}

#[test]
fn the_host_is_a_platform_it_runs() {
    let host = Platform::host();
    assert!(host.runs(&host));
    assert_eq!(host.to_string().parse::<Platform>().unwrap(), host);
    assert_eq!(host.os.parse::<Platform>().unwrap(), host);
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,40}|[a-z0-9/().v]{0,20}") {
        if let Ok(platform) = text.parse::<Platform>() {
            prop_assert_eq!(&platform.to_string().parse::<Platform>().unwrap(), &platform);
            prop_assert!(platform.runs(&platform));
            prop_assert_eq!(platform.normalize().normalize(), platform.normalize());
        }
    }
}
