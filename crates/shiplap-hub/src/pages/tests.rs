#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use axum::http::HeaderValue;

use super::*;

#[test]
fn people_are_told_in_html() {
    let check = |path: &str, accept: Option<&'static str>, want: bool| {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        }
        let found = is_wanted(&path.parse().unwrap(), &headers);
        assert_eq!(found, want, "{path} {accept:?}");
    };
    let browser = Some("text/html,application/xhtml+xml,*/*;q=0.8");
    check("/nowhere", browser, true);
    check("/v2x", browser, true);
    check("/v2", browser, false);
    check("/v2/a/b", browser, false);
    check("/v1/search", browser, false);
    check("/nowhere", Some("*/*"), false);
    check("/nowhere", None, false);
}

#[test]
fn who_is_not_signed_in_is_led_back() {
    let check = |is_pull: bool, method: Method, uri: &str, want: Option<&str>| {
        let refusal = challenge(is_pull, &method, &uri.parse().unwrap());
        match (refusal, want) {
            (Refusal::NameUnknown, None) => {}
            (Refusal::SignIn { location }, Some(want)) => {
                assert_eq!(location, format!("/sign-in?next={}", encoded(want)));
            }
            (refusal, _) => panic!("{uri}: {refusal}"),
        }
    };
    check(true, Method::GET, "/r/a/b", None);
    check(
        false,
        Method::GET,
        "/account?page=2",
        Some("/account?page=2"),
    );
    check(
        false,
        Method::POST,
        "/account/tokens/1/revoke",
        Some("/account"),
    );
    check(false, Method::POST, "/r/a/b/-/star", Some("/r/a/b"));
}
