#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use super::*;

#[test]
fn reads_tags() {
    let list: TagList = serde_json::from_str(r#"{"name":"a","tags":["1","2"],"more":0}"#).unwrap();
    assert_eq!(list.tags, ["1", "2"]);
    let none: TagList = serde_json::from_str(r#"{"name":"a","tags":null}"#).unwrap();
    assert!(none.tags.is_empty());
}

#[test]
fn shows_errors_without_their_tricks() {
    fn check(text: &str, shown: &str) {
        assert_eq!(
            serde_json::from_str::<ErrorBody>(text).unwrap().to_string(),
            shown
        );
    }
    check(
        r#"{"errors":[{"code":"DENIED","message":"no","detail":{"a":1}}]}"#,
        "DENIED: no",
    );
    check(
        r#"{"errors":[{"code":"A"},{"code":"B","message":"c"}]}"#,
        "A; B: c",
    );
    check(
        r#"{"errors":[{"code":"A","message":"\u001b[2J\n"}]}"#,
        "A: \\u{1b}[2J\\n",
    );
    check(r#"{"errors":null}"#, "");
    let long = ErrorBody::of(code::DENIED, "x".repeat(100_000)).to_string();
    assert_eq!(long.len(), 400);
    let body = ErrorBody::of(code::NAME_UNKNOWN, "");
    assert!(body.has(code::NAME_UNKNOWN) && !body.has(code::DENIED));
    assert_eq!(
        serde_json::to_string(&body).unwrap(),
        r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#
    );
}

#[test]
fn takes_a_token_by_either_name_and_hides_it() {
    fn check(text: &str, bearer: Option<&str>, seconds: u64) {
        let response: TokenResponse = serde_json::from_str(text).unwrap();
        assert_eq!((response.bearer(), response.seconds()), (bearer, seconds));
        assert!(!format!("{response:?}").contains("secret"));
    }
    check(
        r#"{"token":"secret","expires_in":300}"#,
        Some("secret"),
        300,
    );
    check(
        r#"{"access_token":"secret","expires_in":1}"#,
        Some("secret"),
        60,
    );
    check(
        r#"{"token":"","access_token":"secret"}"#,
        Some("secret"),
        60,
    );
    check("{}", None, 60);
}
