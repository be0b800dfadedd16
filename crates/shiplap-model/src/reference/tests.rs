#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::table::{self, same, text};

#[test]
fn agrees_with_distribution_reference() {
    table::run("reference-grammar", check);
}

fn check(case: &Value) -> Result<(), String> {
    let (input, expect) = (text(case, "input"), &case["expect"]);
    match text(case, "op") {
        "parse" => check_strict(input, expect),
        "parse_normalized" => check_normalized(input, expect),
        "parse_any" => {
            let found = AnyReference::parse(input).map_err(|error| error.to_string())?;
            same(&found.to_string().as_str(), &text(expect, "string"))?;
            let is_digest = matches!(found, AnyReference::Digest(_));
            same(&Some(is_digest), &expect["is_bare_digest"].as_bool())
        }
        "parse_named" => match Reference::parse_canonical(input) {
            Ok(found) => {
                same(&found.repository.registry(), &text(expect, "domain"))?;
                same(&found.repository.path(), &text(expect, "path"))
            }
            Err(error) => check_error(&error, expect),
        },
        "parse_docker_ref" => match Reference::parse(input) {
            Ok(found) => same(
                &found.to_pull().to_string().as_str(),
                &text(expect, "string"),
            ),
            Err(error) => check_error(&error, expect),
        },
        "with_name" => check_name(input, expect),
        "with_tag" | "with_digest" => check_construction(case, expect),
        "familiar_match" => {
            let reference = Reference::parse(input).map_err(|error| error.to_string())?;
            match Glob::parse(text(case, "pattern")) {
                Ok(pattern) => same(
                    &Some(reference.matches(&pattern)),
                    &expect["match"].as_bool(),
                ),
                Err(_) => same(&expect["error"].is_string(), &true),
            }
        }
        _ => check_expression(case),
    }
}

/// The peer's regular expressions, which must match the whole input.
fn check_expression(case: &Value) -> Result<(), String> {
    let (input, expect) = (text(case, "input"), &case["expect"]);
    let is_match = match text(case, "op") {
        "domain_regexp" => grammar::check_registry(input).is_ok(),
        "identifier_regexp" => grammar::is_identifier(input),
        "name_regexp" => grammar::split_name(input).is_ok(),
        "reference_regexp" => grammar::parse(input).is_ok(),
        op => return Err(format!("no such op: {op}")),
    };
    same(&Some(is_match), &expect["match"].as_bool())?;
    if let (Ok((registry, path)), true) = (grammar::split_name(input), expect["path"].is_string()) {
        same(&registry.unwrap_or_default(), &text(expect, "domain"))?;
        same(&path, &text(expect, "path"))?;
    }
    if let (Ok(parts), true) = (grammar::parse(input), expect["name"].is_string()) {
        same(&name_of(&parts).as_str(), &text(expect, "name"))?;
        check_tag_and_digest(&parts, expect)?;
    }
    Ok(())
}

fn name_of(parts: &grammar::Parts<'_>) -> String {
    let name = grammar::Parts {
        tag: None,
        digest: None,
        ..parts.clone()
    };
    name.to_string()
}

fn check_strict(input: &str, expect: &Value) -> Result<(), String> {
    // Peers compute SHA-512 only where a program asks for it; here it is always known.
    if expect["only_when"].is_string() {
        return Ok(());
    }
    match grammar::parse(input) {
        Ok(parts) => {
            same(&name_of(&parts).as_str(), &text(expect, "repository"))?;
            same(&parts.registry.unwrap_or_default(), &text(expect, "domain"))?;
            check_tag_and_digest(&parts, expect)
        }
        Err(error) => check_error(&error, expect),
    }
}

fn check_tag_and_digest(parts: &grammar::Parts<'_>, expect: &Value) -> Result<(), String> {
    same(&parts.tag.unwrap_or_default(), &text(expect, "tag"))?;
    let digest = parts.digest.as_ref().map_or("", Digest::as_str);
    same(&digest, &text(expect, "digest"))
}

fn check_normalized(input: &str, expect: &Value) -> Result<(), String> {
    let found = match Reference::parse(input) {
        Ok(found) => found,
        Err(error) if expect["ok"] == false => {
            return same(&error.to_string().is_empty(), &false);
        }
        Err(error) => return Err(error.to_string()),
    };
    same(&Some(true), &expect["ok"].as_bool())?;
    let facts = [
        ("full_name", found.repository.to_string()),
        ("familiar_name", found.repository.familiar()),
        ("domain", found.repository.registry().to_owned()),
        ("path", found.repository.path().to_owned()),
        ("string", found.to_string()),
        ("familiar_string", found.familiar()),
        ("familiar", found.familiar()),
    ];
    for (key, fact) in facts {
        if let Some(wanted) = expect[key].as_str() {
            same(&fact.as_str(), &wanted).map_err(|differ| format!("{key}: {differ}"))?;
        }
    }
    Ok(())
}

fn check_name(input: &str, expect: &Value) -> Result<(), String> {
    match grammar::split_name(input) {
        Ok((registry, path)) => {
            same(&registry.unwrap_or_default(), &text(expect, "domain"))?;
            same(&path, &text(expect, "path"))
        }
        Err(_) => same(&expect["error"].is_string(), &true),
    }
}

/// Peers put any tag or digest behind a name as it stands, so a name here is whole or short too.
fn check_construction(case: &Value, expect: &Value) -> Result<(), String> {
    let name = text(case, "input");
    let reference = Reference::parse(name).map_err(|error| error.to_string())?;
    let made = match case["tag"].as_str() {
        Some(tag) => reference.with_tag(tag).map_err(|error| error.to_string()),
        None => text(case, "digest")
            .parse()
            .map(|digest| reference.with_digest(digest))
            .map_err(|error: DigestError| error.to_string()),
    };
    match (made, expect["string"].as_str()) {
        (Ok(made), Some(wanted)) => {
            let as_written = made.to_string().replacen(&reference.to_string(), name, 1);
            same(&as_written.as_str(), &wanted)
        }
        (Err(_), None) => Ok(()),
        // A digest of another length than its algorithm's names nothing; peers put it together
        // nevertheless and refuse it when they read it back.
        (Err(error), Some(_)) if error.contains("hex characters") => Ok(()),
        (made, _) => Err(format!("found {made:?}")),
    }
}

fn check_error(error: &ReferenceError, expect: &Value) -> Result<(), String> {
    let Some(wanted) = expect["error"].as_str() else {
        return Err(format!("found {error:?}"));
    };
    let name = match error {
        ReferenceError::Empty => "ErrNameEmpty",
        ReferenceError::Format {
            problem: Problem::Uppercase { .. },
            ..
        } => "ErrNameContainsUppercase",
        ReferenceError::Format {
            problem: Problem::TooLong {
                part: Part::Name, ..
            },
            ..
        } => "ErrNameTooLong",
        ReferenceError::Digest {
            source: DigestError::Length { .. },
            ..
        } => "ErrDigestInvalidLength",
        ReferenceError::Digest {
            source: DigestError::Unsupported(_),
            ..
        } => "ErrDigestUnsupported",
        ReferenceError::NotCanonical { .. } => "ErrNameNotCanonical",
        _ => "ErrReferenceInvalidFormat",
    };
    same(&name, &wanted)
}

#[test]
fn says_what_is_wrong() {
    fn check(input: &str, message: &str) {
        let error = Reference::parse(input).unwrap_err().to_string();
        assert!(error.contains(message), "{input:?}: {error}");
    }
    check("", "repository name must have at least one component");
    check(
        "Python",
        "invalid reference format: repository name (library/Python) must be lowercase",
    );
    check(
        "docker/Docker",
        "repository name (docker/Docker) must be lowercase",
    );
    check(
        "example.com/a b",
        "repository name \"a b\" may not have ' ' at position 2",
    );
    check("a/b:ta~g", "tag \"ta~g\" may not have '~' at position 3");
    check("a/b:", "tag \"\" is empty");
    check("a//b", "may not have '/' at position 3");
    check(
        "a/b_",
        "repository name \"a/b_\" is empty or ends too early",
    );
    check("a:b:c", "tag \"b:c\" may not have ':' at position 2");
    check(
        "[fe80::1%eth0]:5000/a",
        "registry \"[fe80::1%eth0]:5000\" may not have '%' at position 9",
    );
    check(
        "example.com:port/a",
        "registry \"example.com:port\" may not have 'p' at position 13",
    );
    check("https://example.com/a", "leave out \"https://\"");
    check(&"a".repeat(64), "are an image ID");
    check(
        &"a".repeat(256),
        "repository name has 264 characters, more than 255",
    );
    check(
        &format!("a:{}", "b".repeat(129)),
        "tag has 129 characters, more than 128",
    );
    check(&"a/".repeat(1000), "it has 2000 bytes, more than 1024");
    check("a@sha256:abc", "sha256 wants 64 hex characters, not 3");
    check(
        "a@md5:d41d8cd98f00b204e9800998ecf8427e",
        "its algorithm is not one of",
    );
    check("é/a", "may not have 'é' at position 1");
}

#[test]
fn shows_the_short_form_only_where_it_reads_back() {
    fn check(whole: &str, familiar: &str) {
        let repository: Repository = whole.parse().unwrap();
        assert_eq!(repository.familiar(), familiar);
        assert_eq!(familiar.parse::<Repository>().unwrap(), repository);
    }
    check("docker.io/library/python", "python");
    check("docker.io/library/a/b", "library/a/b");
    check("docker.io/bitnami/python", "bitnami/python");
    check("docker.io/localhost/a", "docker.io/localhost/a");
    check("docker.io/quay.io/a", "docker.io/quay.io/a");
    let identifier = format!("docker.io/library/{}", "a".repeat(64));
    check(&identifier, &identifier);
    check("localhost:5000/a", "localhost:5000/a");
}

#[test]
fn repositories_have_no_tag() {
    for text in [
        "python:3",
        "localhost:5000/python:3",
        "a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        assert!(Repository::parse(text).is_err(), "{text}");
    }
}

#[test]
fn fills_in_what_is_missing() {
    let digest = Digest::of(b"");
    let bare = Reference::parse("python").unwrap();
    assert_eq!(bare.or_latest().familiar(), "python:latest");
    assert_eq!(
        bare.to_pull().to_string(),
        "docker.io/library/python:latest"
    );
    let both = bare.with_tag("3").unwrap().with_digest(digest.clone());
    assert_eq!(both.or_latest(), both);
    assert_eq!(
        both.to_string(),
        format!("docker.io/library/python:3@{digest}")
    );
    assert_eq!(both.to_pull().familiar(), format!("python@{digest}"));
    let json = serde_json::to_string(&both).unwrap();
    assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), both);
}

proptest! {
    #[test]
    fn never_panics(text in ".{0,300}") {
        let _ = Reference::parse(&text);
        let _ = AnyReference::parse(&text);
        let _ = grammar::parse(&text);
        let _ = grammar::check_registry(&text);
    }

    #[test]
    fn never_panics_on_near_misses(text in "[a-zA-Z0-9:/@._%\\[\\]-]{0,60}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
            prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
        }
        if let Ok(parts) = grammar::parse(&text) {
            prop_assert_eq!(parts.to_string(), text.clone());
        }
    }

    #[test]
    fn reads_back_what_it_writes(
        registry in prop::option::of("[a-z]{1,8}\\.[a-z]{2,3}(:[0-9]{1,5})?|localhost|\\[::1\\]:5000"),
        path in "[a-z0-9]{1,9}((__|-{1,3}|[._])[a-z0-9]{1,9})?(/[a-z0-9]{1,9}){0,3}",
        tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
        content in prop::option::of(prop::collection::vec(any::<u8>(), 0..8)),
    ) {
        let mut text = registry.map(|registry| format!("{registry}/")).unwrap_or_default() + &path;
        if let Some(tag) = &tag {
            text = format!("{text}:{tag}");
        }
        if let Some(content) = &content {
            text = format!("{text}@{}", Digest::of(content));
        }
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(reference.tag(), tag.as_deref());
        prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference.clone());
        prop_assert_eq!(reference.familiar().parse::<Reference>().unwrap(), reference);
    }
}
