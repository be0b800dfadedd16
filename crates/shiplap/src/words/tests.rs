//! Facts in lists as Docker shows them.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn cuts_ids_and_texts() {
    let digest = "sha256:0123456789abcdef";
    assert_eq!(id(digest, false), "0123456789ab");
    assert_eq!(id(digest, true), digest);
    assert_eq!(id("<missing>", false), "<missing>");
    assert_eq!(ellipsis("12345", 5), "12345");
    assert_eq!(ellipsis("ééééé!", 5), "éééé…");
}

#[test]
fn tells_times() {
    let second = |second| Timestamp::from_second(second).unwrap();
    let check = |age: i64, want: &str| assert_eq!(since(Some(second(0)), second(age)), want);
    check(5, "5 seconds ago");
    check(86400 * 3, "3 days ago");
    check(-60, "Less than a second ago");
    assert_eq!(since(None, second(0)), "");
    assert_eq!(
        at(Some(second(1_763_941_482))),
        "2025-11-23 23:44:42 +0000 UTC"
    );
    assert_eq!(at(None), "");
}
