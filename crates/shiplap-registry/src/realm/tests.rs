//! The rule of [`super::permit`], as a table.

use super::*;

const NAMED: &str = "http://named.test:5001";

fn check(registry: &str, trusted: bool, realm: &str, want: Option<Leave>) {
    let named = [Url::parse(NAMED).unwrap().origin()];
    let (registry, realm) = (Url::parse(registry).unwrap(), Url::parse(realm).unwrap());
    let permitted = permit(&registry, trusted, &named, &realm);
    assert_eq!(
        permitted.ok(),
        want,
        "{registry} (trusted: {trusted}) names {realm}: {permitted:?}"
    );
}

#[test]
fn verified_https_names_any_https_token_server() {
    for (registry, realm, want) in [
        (
            "https://registry-1.docker.io",
            "https://auth.docker.io/token",
            Some(Leave::Credentials),
        ),
        (
            "https://registry.gitlab.com",
            "https://gitlab.com/jwt/auth",
            Some(Leave::Credentials),
        ),
        (
            "https://ghcr.io",
            "https://ghcr.io/token",
            Some(Leave::Credentials),
        ),
        (
            "https://ghcr.io",
            "https://ghcr.io:8443/token",
            Some(Leave::Credentials),
        ),
        ("https://ghcr.io", "http://ghcr.io/token", None),
        ("https://ghcr.io", "http://named.test:5001/token", None),
        ("https://ghcr.io", "https://user@ghcr.io/token", None),
        ("https://ghcr.io", "https://a:b@ghcr.io/token", None),
        ("https://ghcr.io", "file:///etc/passwd", None),
        ("https://ghcr.io", "ftp://ghcr.io/token", None),
    ] {
        check(registry, true, realm, want);
    }
}

#[test]
fn others_name_themselves_or_whom_the_user_named() {
    let (given, withheld) = (Some(Leave::Credentials), Some(Leave::Anonymous));
    for (registry, realm, want) in [
        // The same origin, however it is written.
        ("https://reg.test", "https://reg.test/token", given),
        ("https://reg.test", "https://REG.test:443/token", given),
        (
            "http://reg.test:5000",
            "http://reg.test:5000/a/b?c=d",
            given,
        ),
        ("http://[::1]:5000", "http://[0:0::1]:5000/token", given),
        // Another port, scheme or host.
        (
            "http://reg.test:5000",
            "http://reg.test:5001/token",
            withheld,
        ),
        ("http://reg.test:5000", "http://reg.test/token", withheld),
        (
            "http://reg.test:5000",
            "https://reg.test:5000/token",
            withheld,
        ),
        ("https://reg.test", "http://reg.test/token", withheld),
        ("https://reg.test", "https://reg.test:8443/token", withheld),
        ("https://reg.test", "https://evil.test/token", withheld),
        ("http://reg.test:5000", "https://auth.test/token", withheld),
        // This machine is not one registry.
        (
            "http://localhost:5000",
            "http://localhost:5001/token",
            withheld,
        ),
        (
            "http://localhost:5000",
            "http://127.0.0.1:5000/token",
            withheld,
        ),
        ("http://127.0.0.1:5000", "http://[::1]:5001/token", withheld),
        (
            "http://localhost:5000",
            "http://localhost.evil.test:5000/token",
            withheld,
        ),
        ("http://localhost:5000", "http://10.0.0.1/token", withheld),
        // Named by the user, by scheme, host and port.
        (
            "http://localhost:5000",
            "http://named.test:5001/token",
            given,
        ),
        ("https://reg.test", "http://named.test:5001/", given),
        (
            "http://localhost:5000",
            "https://named.test:5001/token",
            withheld,
        ),
        (
            "http://localhost:5000",
            "http://named.test:5002/token",
            withheld,
        ),
        (
            "http://localhost:5000",
            "http://a.named.test:5001/token",
            withheld,
        ),
        ("http://localhost:5000", "http://me@localhost:5000/", None),
        ("http://localhost:5000", "http://a:b@named.test:5001/", None),
        ("http://localhost:5000", "ftp://localhost:5000/", None),
    ] {
        check(registry, false, realm, want);
    }
}
