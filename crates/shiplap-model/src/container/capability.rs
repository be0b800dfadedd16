//! Capabilities as users write them: `--cap-add` and `--cap-drop`.
//!
//! Which ones there are, the runner knows.

use std::collections::BTreeSet;

/// Every one.
const ALL: &str = "ALL";

/// A name in upper case with `CAP_`, or `ALL`.
#[must_use]
pub fn normalize(name: &str) -> String {
    let name = name.trim().to_uppercase();
    if name == ALL || name.starts_with("CAP_") {
        return name;
    }
    format!("CAP_{name}")
}

/// What is added and what is dropped, by Docker's rules: `ALL` stands for the others of its list,
/// and what is both added and dropped is added.
#[must_use]
pub fn effective(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    let set = |names: &[String]| -> BTreeSet<String> {
        let set: BTreeSet<String> = names.iter().map(|name| normalize(name)).collect();
        match set.contains(ALL) {
            true => BTreeSet::from([ALL.to_owned()]),
            false => set,
        }
    };
    let (add, drop) = (set(add), set(drop));
    let drop = drop.difference(&add).cloned().collect();
    (add.into_iter().collect(), drop)
}
