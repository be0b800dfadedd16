//! The tables of facts in `testdata/`, for tests: one case after the other, all failures at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a table that can't be read fails its test"
)]

use serde_json::Value;

/// Runs `check` on every case of `testdata/<name>.json`; it returns what is wrong.
pub(crate) fn run(name: &str, check: impl Fn(&Value) -> Result<(), String>) {
    let path = format!("{}/../../testdata/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let table: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert_eq!(
        Some(cases.len() as u64),
        table["header"]["cases_in_this_part"].as_u64()
    );
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}\n  {case}", case["id"], check(case).err()?)))
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

/// The text at `key`.
pub(crate) fn text<'c>(case: &'c Value, key: &str) -> &'c str {
    case[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key:?} in {case}"))
}

/// Nothing, or what differs.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("found {found:?}, wanted {wanted:?}"))
    }
}
