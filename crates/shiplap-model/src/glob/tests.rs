#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use proptest::prelude::*;

use super::*;

#[test]
fn matches_as_path_match_does() {
    fn check(pattern: &str, text: &str, wanted: Option<bool>) {
        let found = Glob::parse(pattern)
            .ok()
            .map(|pattern| pattern.matches(text));
        assert_eq!(found, wanted, "{pattern:?} on {text:?}");
    }
    // Go's own cases (path/match_test.go), as facts.
    check("abc", "abc", Some(true));
    check("*", "abc", Some(true));
    check("*c", "abc", Some(true));
    check("a*", "a", Some(true));
    check("a*", "ab/c", Some(false));
    check("a*/b", "abc/b", Some(true));
    check("a*/b", "a/c/b", Some(false));
    check("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true));
    check("a*b*c*d*e*/f", "axbxcxdxexxx/f", Some(true));
    check("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Some(false));
    check("a*b?c*x", "abxbbxdbxebxczzx", Some(true));
    check("a*b?c*x", "abxbbxdbxebxczzy", Some(false));
    check("ab[c]", "abc", Some(true));
    check("ab[b-d]", "abc", Some(true));
    check("ab[e-g]", "abc", Some(false));
    check("ab[^c]", "abc", Some(false));
    check("ab[^e-g]", "abc", Some(true));
    check("a\\*b", "a*b", Some(true));
    check("a\\*b", "ab", Some(false));
    check("a?b", "a☺b", Some(true));
    check("a[^a]b", "a☺b", Some(true));
    check("a???b", "a☺b", Some(false));
    check("[a-ζ]*", "α", Some(true));
    check("*[a-ζ]", "A", Some(false));
    check("a?b", "a/b", Some(false));
    check("a*b", "a/b", Some(false));
    check("[\\]a]", "]", Some(true));
    check("[\\-]", "-", Some(true));
    check("[x\\-]", "z", Some(false));
    check("[\\-x]", "a", Some(false));
    for pattern in [
        "[]a]", "[-]", "[x-]", "[-x]", "[a-b-d]", "[", "[^", "[^bc", "a[", "\\",
    ] {
        check(pattern, "a", None);
    }
    check("*x", "xxx", Some(true));
    check("", "", Some(true));
    check("", "a", Some(false));
    check("**/b", "a/b", Some(true));
}

#[test]
fn many_stars_cost_little() {
    let pattern = Glob::parse("a*".repeat(500)).unwrap();
    assert!(!pattern.matches(format!("{}/", "a".repeat(5000))));
}

proptest! {
    #[test]
    fn never_panics(pattern in ".{0,40}", text in ".{0,40}") {
        if let Ok(pattern) = Glob::parse(&pattern) {
            let _ = pattern.matches(&text);
        }
    }

    #[test]
    fn a_plain_name_matches_itself_alone(name in "[a-z0-9/:._-]{1,30}", other in "[a-z0-9/:._-]{1,30}") {
        let pattern = Glob::parse(&name).unwrap();
        prop_assert!(pattern.matches(&name));
        prop_assert_eq!(pattern.matches(&other), name == other);
    }
}
