#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn takes_only_what_all_read_alike() {
    fn check_is(text: &str, wanted: Result<(), &str>) {
        let found = check(text.as_bytes(), 1000).map_err(|error| error.to_string());
        match (found, wanted) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(wanted)) if found.contains(wanted) => {}
            (found, wanted) => panic!("{text:?}: found {found:?}, wanted {wanted:?}"),
        }
    }
    check_is(
        r#"{"a":1,"b":[{"a":2},{"a":3}],"c":null,"d":-1.5e3,"e":true,"f":"x"}"#,
        Ok(()),
    );
    check_is(r#"{"a":1,"A":2}"#, Ok(()));
    check_is("", Err("EOF"));
    check_is("{} {}", Err("trailing characters"));
    check_is("{}\0", Err("trailing characters"));
    check_is("1.0.0", Err("trailing characters"));
    check_is(
        r#"{"a":1,"a":1}"#,
        Err("\"a\" stands twice in one object (line 1, column 10)"),
    );
    check_is(r#"{"a":1,"\u0061":1}"#, Err("\"a\" stands twice"));
    check_is(r#"{"x":[{"y":{"b":0,"b":0}}]}"#, Err("\"b\" stands twice"));
    check_is("[1,]", Err("trailing comma"));
    check_is("{'a':1}", Err("key must be a string"));
    check_is("[NaN]", Err("expected value"));
    check_is("\u{feff}{}", Err("expected value"));
    check_is(&"[".repeat(500), Err("nest deeper than 64"));
    check_is(&format!("{}{}", "[".repeat(64), "]".repeat(64)), Ok(()));
    check_is(
        &format!("{}{}", "[".repeat(65), "]".repeat(65)),
        Err("nest deeper than 64"),
    );
    check_is(&" ".repeat(1001), Err("1001 bytes, more than the 1000"));
    check_is("\"\\ud800\"", Err("hex escape"));
    assert!(check(b"\"\xff\"", 1000).is_err());
}

#[test]
fn finds_the_late_duplicate_among_many_keys() {
    let keys: Vec<String> = (0..10_000)
        .map(|number| format!("\"k{number}\":0"))
        .collect();
    let fine = format!("{{{}}}", keys.join(","));
    assert_eq!(check(fine.as_bytes(), u64::MAX), Ok(()));
    for key in ["k3", "k9999"] {
        let twice = format!("{{{},\"{key}\":1}}", keys.join(","));
        assert!(matches!(
            check(twice.as_bytes(), u64::MAX),
            Err(JsonError::DuplicateKey { .. })
        ));
    }
}

#[test]
fn knows_what_go_takes_for_a_key() {
    fn check(found: &str, wanted: Option<&'static str>) {
        let rest = Rest::from([(found.to_owned(), Value::Null)]);
        let known = ["layers", "os.version", "schemaVersion", "size"];
        assert_eq!(
            misspelt(&rest, &known).map(|(_, known)| known),
            wanted,
            "{found}"
        );
    }
    check("Layers", Some("layers"));
    check("LAYERS", Some("layers"));
    check("layer\u{17f}", Some("layers"));
    check("OS.Version", Some("os.version"));
    check("schemaversion", Some("schemaVersion"));
    check("layer", None);
    check("layers ", None);
    check("ſize", Some("size"));
}

#[test]
fn errors_of_shape_say_where() {
    let error = parse::<Vec<u8>>(b"[1,\n\"x\"]", 100)
        .unwrap_err()
        .to_string();
    assert!(error.contains("line 2 column 3"), "{error}");
}

proptest! {
    #[test]
    fn never_panics_and_agrees_with_serde(bytes in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,60}|.{0,60}") {
        if check(bytes.as_bytes(), 1000).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(bytes.as_bytes()).is_ok());
        }
    }
}
