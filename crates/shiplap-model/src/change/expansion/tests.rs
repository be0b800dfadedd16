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
fn agrees_with_buildkit() {
    table::run("envvar-expansion", check);
}

fn check(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let fails = expect["error"].as_bool() == Some(true);
    let word = text(case, "word");
    let pairs: BTreeMap<String, String> =
        serde_json::from_value(case["env"].clone()).unwrap_or_default();
    let variables = pairs
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    match text(case, "op") {
        // The escape of a Dockerfile is always `\` here.
        _ if case["escape"].as_str().is_some_and(|escape| escape != "\\") => Ok(()),
        "expand_word" => match expand_word(word, &variables) {
            Ok(found) => same(&Some(found.as_str()), &expect["result"].as_str()),
            Err(_) => same(&fails, &true),
        },
        "expand_words" => match expand_words(word, &variables) {
            Ok(found) => same(&serde_json::json!(found), &expect["result"]),
            Err(_) => same(&fails, &true),
        },
        "pattern_to_regexp" => same(&Pattern::parse(word).is_err(), &fails),
        op => Err(format!("no such op: {op}")),
    }
}

#[test]
fn matches_patterns() {
    let variables = Variables::from([("V", "aXbXc"), ("L", "a\nb"), ("P", "/tmp/tmp/x")]);
    let check = |word: &str, wanted: &str| {
        assert_eq!(expand_word(word, &variables).unwrap(), wanted, "{word}");
    };
    check("${V#*X}", "bXc");
    check("${V##*X}", "c");
    check("${V%X*}", "aXb");
    check("${V%%X*}", "a");
    check("${V##*}", "");
    check("${V##*X?}", "");
    check("${V#b}", "aXbXc");
    check("${L##*}", "\nb");
    check("${V/X/-}", "a-bXc");
    check("${V//X/-}", "a-b-c");
    check("${V//*/-}", "-");
    check("${V//?X/-}", "--c");
    check("${V//q*/-}", "aXbXc");
    check("${P//\\/tmp/}", "/x");
    check("${V//X*X/}", "ac");
}

#[test]
fn keeps_its_bounds() {
    let deep = format!("{}x{}", "${A:-".repeat(100_000), "}".repeat(100_000));
    assert_eq!(
        expand_word(&deep, &Variables::new()),
        Err(ExpansionError::TooDeep)
    );
    let large = "x".repeat(limits::EXPANSION_BYTES / 2);
    let variables = Variables::from([("A", large.as_str())]);
    assert!(expand_word("$A$A", &variables).is_ok());
    for word in ["$A$A$A", "${A//?/yyy}", "${A//q/}$A$A"] {
        let found = expand_word(word, &variables);
        assert_eq!(found, Err(ExpansionError::TooLong), "{word}");
    }
    let pattern = format!("${{A#{}}}", "?".repeat(limits::PATTERN_CHARS + 1));
    assert_eq!(
        expand_word(&pattern, &variables),
        Err(PatternError::TooLong.into())
    );
}

proptest! {
    #[test]
    fn takes_any_word(word in "[$#{}:/%?*+\\-'\"\\\\ aAé]{0,40}") {
        let variables = Variables::from([("A", "a a/é"), ("a", "")]);
        let _ = expand_word(&word, &variables);
    }

    #[test]
    fn leaves_plain_text_alone(word in "[a-zA-Z0-9 ,;:/.=-]{0,40}") {
        prop_assert_eq!(expand_word(&word, &Variables::new()).unwrap(), word);
    }
}
