#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use axum::http::HeaderValue;

use super::*;

const PLAIN: &str = "http://hub.example";
const TLS: &str = "https://hub.example";

fn with(cookies: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for cookie in cookies {
        headers.append(header::COOKIE, HeaderValue::from_static(cookie));
    }
    headers
}

#[test]
fn cookies_are_read_by_their_names() {
    let check = |cookies: &[&'static str], url: &str, want: Option<&str>| {
        let found = Cookie::Session.read(&with(cookies), url);
        assert_eq!(found.as_deref(), want, "{cookies:?}");
    };
    const SECRET: &str = "sls_0123456789abcdef0123456789abcdef01234567";
    let own = "a=b; shiplap=sls_0123456789abcdef0123456789abcdef01234567; c=d";
    let secure = "__Host-shiplap=sls_0123456789abcdef0123456789abcdef01234567";
    check(&[own], PLAIN, Some(SECRET));
    check(&["x=y", own], PLAIN, Some(SECRET));
    check(&[secure], TLS, Some(SECRET));
    // What anybody on the network can set is no cookie of a hub with TLS.
    check(&[own], TLS, None);
    check(&[secure], PLAIN, None);
    check(&["shiplap="], PLAIN, None);
    check(&["shiplap=' OR 1=1"], PLAIN, None);
    check(&["shiplap"], PLAIN, None);
    check(&[], PLAIN, None);
}

#[test]
fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
    let given = Cookie::Session.give("x", TLS);
    for part in [
        "__Host-shiplap=x;",
        "HttpOnly",
        "SameSite=Lax",
        "Path=/",
        "; Secure",
    ] {
        assert!(given.contains(part), "{part} not in {given}");
    }
    let plain = Cookie::Session.give("x", PLAIN);
    assert!(!plain.contains("Secure") && plain.contains("HttpOnly"));
    assert!(Cookie::Session.take(PLAIN).contains("Max-Age=0"));
}

#[test]
fn a_token_is_of_one_secret() {
    assert_eq!(form_token("a"), form_token("a"));
    assert_ne!(form_token("a"), form_token("b"));
    assert!(!form_token("sls_secret").contains("secret"));
}

#[test]
fn forms_are_read_as_browsers_write_them() {
    let form = Form(call::pairs("a=1+2&b=%C3%BC%0D%0Ax&b=second&c").collect());
    assert_eq!(form.get("a"), "1 2");
    assert_eq!(form.text("b"), "ü\nx");
    assert_eq!(form.get("c"), "");
    assert_eq!(form.get("none"), "");
}
