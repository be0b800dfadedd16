//! Each rule finds what it is for and lets good files be.

use super::*;

fn check(rule: Rule, path: &str, text: &str, expected: Option<&str>) {
    let machine = Machine {
        hosts: BTreeSet::from(["mirror.example.internal".to_owned()]),
    };
    let found = rule(&File { path, text }, &machine);
    match (found, expected) {
        (None, None) => {}
        (Some(found), Some(part)) if found.contains(part) => {}
        (found, expected) => assert_eq!(found.as_deref(), expected, "{path}: {text:?}"),
    }
}

#[test]
fn rules_find_what_they_are_for() {
    let lib = "crates/shiplap-store/src/lib.rs";
    check(header, lib, "//! For this.\n", None);
    check(header, lib, "use std::fs;\n", Some("does not begin"));
    check(header, "README.md", "# Title\n", None);

    let long = format!("//! For this.\n{}", "\n".repeat(FILE_LINES));
    let reasoned = format!(
        "//! For this.\n//! Long because of a table.\n{}",
        "\n".repeat(FILE_LINES)
    );
    check(length, lib, &long, Some("601 lines"));
    check(length, lib, &reasoned, None);
    check(
        length,
        "crates/shiplap-store/src/store/tests.rs",
        &long,
        None,
    );

    check(
        leftovers,
        lib,
        concat!("// TO", "DO: more\n"),
        Some("line 1"),
    );
    check(leftovers, lib, concat!("\ndbg", "!(x)\n"), Some("line 2"));
    check(leftovers, lib, "// all done\n", None);

    check(unsafe_code, lib, "//! For this.\n", Some("forbid"));
    check(
        unsafe_code,
        lib,
        "//! For this.\n#![forbid(unsafe_code)]\n",
        None,
    );
    check(
        unsafe_code,
        "crates/shiplap-run/src/lib.rs",
        "//! For this.\n",
        None,
    );

    check(
        output_only,
        lib,
        "println!(\"x\");\n",
        Some("line 1 prints"),
    );
    check(output_only, lib, "// println!(\"x\");\n", None);
    check(
        output_only,
        "crates/shiplap/src/output.rs",
        "println!(\"x\");\n",
        None,
    );

    check(
        machine,
        "README.md",
        concat!("see /wo", "rk/x\n"),
        Some("of one machine"),
    );
    check(
        machine,
        "deny.toml",
        "from mirror.example.internal\n",
        Some("mirror.example"),
    );
    check(machine, "README.md", "see docs/store.md\n", None);
}

#[test]
fn hosts_are_read_from_urls() {
    let text = "URIs: http://user@mirror.example.internal:80/debian https://docs.google.com/x\n";
    assert_eq!(hosts_of(text), ["mirror.example.internal"]);
}
