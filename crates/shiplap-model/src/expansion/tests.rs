#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::collections::BTreeMap;

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
    let lookup = |name: &str| pairs.get(name).map(String::as_str);
    let escape = case["escape"].as_str().and_then(|text| text.chars().next());
    let expanded = expand(word, &lookup, escape.unwrap_or('\\'));
    match (text(case, "op"), expanded) {
        ("pattern_to_regexp", _) => same(&Pattern::parse(word).is_err(), &fails),
        (_, Err(_)) => same(&fails, &true),
        ("expand_words", Ok(found)) => same(&serde_json::json!(found.words), &expect["result"]),
        ("expand_word", Ok(found)) => {
            same(&Some(found.text.as_str()), &expect["result"].as_str())?;
            for (names, key) in [(found.used, "matched"), (found.unset, "unmatched")] {
                if let Some(wanted) = expect[key].as_array() {
                    let wanted: BTreeSet<&str> = wanted.iter().filter_map(Value::as_str).collect();
                    same(&names.iter().map(String::as_str).collect(), &wanted)?;
                }
            }
            Ok(())
        }
        (op, _) => Err(format!("no such op: {op}")),
    }
}

fn lookup_in(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<&'static str> {
    move |name| Some(pairs.iter().find(|pair| pair.0 == name)?.1)
}

#[test]
fn matches_patterns() {
    let lookup = lookup_in(&[("V", "aXbXc"), ("L", "a\nb"), ("P", "/tmp/tmp/x")]);
    let check = |word: &str, wanted: &str| {
        assert_eq!(expand_word(word, &lookup, '\\').unwrap(), wanted, "{word}");
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
fn knows_the_other_escape() {
    let lookup = lookup_in(&[("V", "v")]);
    let check = |word: &str, wanted: &str| {
        assert_eq!(expand_word(word, &lookup, '`').unwrap(), wanted, "{word}");
    };
    check(r"c:\dir\$V", r"c:\dir\v");
    check("`$V", "$V");
    check("\"`$V`a```\"\"", "$V`a`\"");
}

#[test]
fn keeps_what_the_eyes_want() {
    let lookup = lookup_in(&[("V", "v")]);
    let check = |line: &str, wanted: &str| {
        let found = expand_visibly(line, &lookup, '\\');
        assert_eq!(found.unwrap(), wanted, "{line}");
    };
    check("RUN echo \"$V\" '$V' $W", "RUN echo \"v\" '$V' $W");
    check(
        "a ${W} ${W:-x} ${W#x} ${W%%y} ${W//a/b}",
        "a ${W} ${W:-x} ${W#x} ${W%%y} ${W//a/b}",
    );
    let found = expand_content("it's $V, \"$V\" \\$V", &lookup).unwrap();
    assert_eq!(found.text, "it's v, \"v\" $V");
}

#[test]
fn keeps_its_bounds() {
    let deep = format!("{}x{}", "${A:-".repeat(100_000), "}".repeat(100_000));
    assert_eq!(
        expand_word(&deep, &|_| None, '\\'),
        Err(ExpansionError::TooDeep)
    );
    let large = "x".repeat(limits::EXPANSION_BYTES / 2);
    let lookup = |name: &str| (name == "A").then_some(large.as_str());
    assert!(expand_word("$A$A", &lookup, '\\').is_ok());
    for word in ["$A$A$A", "${A//?/yyy}", "${A//q/}$A$A"] {
        let found = expand_word(word, &lookup, '\\');
        assert_eq!(found, Err(ExpansionError::TooLong), "{word}");
    }
    let pattern = format!("${{A#{}}}", "?".repeat(limits::PATTERN_CHARS + 1));
    assert_eq!(
        expand_word(&pattern, &lookup, '\\'),
        Err(PatternError::TooLong.into())
    );
}

proptest! {
    #[test]
    fn takes_any_word(word in "[$#{}:/%?*+\\-'\"\\\\ aAé<]{0,40}", is_backtick: bool) {
        let lookup = lookup_in(&[("A", "a a/é"), ("a", "")]);
        let escape = if is_backtick { '`' } else { '\\' };
        let _ = expand(&word, &lookup, escape);
        let _ = expand_visibly(&word, &lookup, escape);
        let _ = expand_content(&word, &lookup);
    }

    #[test]
    fn leaves_plain_text_alone(word in "[a-zA-Z0-9 ,;:/.=<-]{0,40}") {
        prop_assert_eq!(expand_word(&word, &|_| None, '\\').unwrap(), word);
    }
}
