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
fn agrees_with_moby() {
    table::run("api-filters", check);
}

fn check(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let filters = || -> Filters { sets(&case["filters"]).into_iter().collect() };
    match text(case, "op") {
        "parse_filters" => match Filters::parse_json(text(case, "input")) {
            Ok(found) => same(&found.0, &sets(&expect["filters"])),
            Err(_) => same(&expect["error"].as_bool(), &Some(true)),
        },
        "filter_match" => {
            let found = filters().matches(text(case, "field"), text(case, "value"));
            same(&Some(found), &expect["match"].as_bool())
        }
        "filter_match_kv" => {
            let values: BTreeMap<String, String> =
                serde_json::from_value(case["values"].clone()).unwrap();
            let found = filters().matches_labels(text(case, "field"), &values);
            same(&Some(found), &expect["match"].as_bool())
        }
        "filter_bool" => {
            let default = case["default"].as_bool().unwrap();
            match filters().flag(text(case, "key"), default) {
                Ok(found) => same(&Some(found), &expect["value"].as_bool()),
                Err(_) => same(&expect["error"].as_bool(), &Some(true)),
            }
        }
        op => Err(format!("no such op: {op}")),
    }
}

fn sets(value: &Value) -> BTreeMap<String, BTreeSet<String>> {
    serde_json::from_value(value.clone()).unwrap_or_else(|_| panic!("no sets: {value}"))
}

fn of(arguments: &[&str]) -> Filters {
    let mut filters = Filters::new();
    for argument in arguments {
        filters.add_argument(argument).unwrap();
    }
    filters
}

#[test]
fn reads_arguments() {
    let filters = of(&["Label = a=b", "label=c", "dangling=true"]);
    assert_eq!(filters.keys().collect::<Vec<_>>(), ["dangling", "label"]);
    assert_eq!(filters.values("label").collect::<Vec<_>>(), ["a=b", "c"]);
    assert_eq!(filters.flag("dangling", false), Ok(true));
    assert!(Filters::new().add_argument("label").is_err());
    assert!(filters.check_keys(&["label", "dangling"]).is_ok());
    let error = filters
        .check_keys(&["label", "until"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"dangling\"") && error.contains("label, until"),
        "{error}"
    );
}

#[test]
fn matches_in_many_ways() {
    let filters = of(&["name=we", "name=(", "id=abc"]);
    let none = Filters::new();
    assert!(filters.matches("name", "tower") && filters.matches("name", "("));
    assert!(!filters.matches("name", "ab"));
    assert!(filters.is_prefix("id", "abcdef") && !filters.is_prefix("id", "ab"));
    assert!(filters.is_only("id", "abc") && !filters.is_only("name", "we"));
    assert!(filters.is_exact("name", "we") && !filters.is_exact("name", "wet"));
    for any in ["", "x"] {
        assert!(none.matches("k", any) && none.is_exact("k", any) && none.is_only("k", any));
        assert!(none.is_prefix("k", any) && none.matches_labels("k", &BTreeMap::new()));
    }
    assert!(!of(&["label=a"]).matches_labels("label", &BTreeMap::new()));
}

#[test]
fn json_has_two_forms_and_bounds() {
    assert_eq!(Filters::parse_json("null"), Ok(Filters::new()));
    assert_eq!(Filters::parse_json("{}").unwrap().to_json(), "");
    assert_eq!(
        of(&["b=2", "a=1"]).to_json(),
        r#"{"a":{"1":true},"b":{"2":true}}"#
    );
    assert!(Filters::parse_json(r#"{"a":["1"],"b":{"2":true}}"#).is_err());
    assert!(Filters::parse_json(&format!("{}[]", " ".repeat(1 << 20))).is_err());
    let off = Filters::parse_json(r#"{"a":{"1":false,"2":true}}"#).unwrap();
    assert_eq!(off.values("a").collect::<Vec<_>>(), ["2"]);
}

proptest! {
    #[test]
    fn never_panics(json in ".{0,60}", key in ".{0,10}", value in ".{0,20}", found in ".{0,20}") {
        let _ = Filters::parse_json(&json);
        let mut filters = Filters::new();
        filters.add(key.as_str(), value.as_str());
        prop_assert!(filters.matches(&key, &value));
        let _ = filters.matches(&key, &found);
        prop_assert_eq!(Filters::parse_json(&filters.to_json()).unwrap(), filters);
    }
}
