use super::request;

#[track_caller]
fn check(address: &str, expected: Result<(&str, &str), &str>) {
    let made = request(address)
        .map(|request| (request.place.host, request.target.to_string()))
        .map_err(|error| error.to_string());
    let expected = expected
        .map(|(host, shown)| (host.to_owned(), shown.to_owned()))
        .map_err(str::to_owned);
    assert_eq!(made, expected, "{address}");
}

#[test]
fn addresses_that_are_asked() {
    for (address, host, shown) in [
        (
            "http://a.example/root.tar",
            "a.example",
            "http://a.example/root.tar",
        ),
        ("HTTPS://A.example", "a.example", "https://a.example/"),
        (
            "https://[::1]:8443/x?token=secret#part",
            "[::1]:8443",
            "https://[::1]:8443/x",
        ),
        (
            "http://a.example:8080/a\u{1b}b",
            "a.example:8080",
            "http://a.example:8080/a%1Bb",
        ),
    ] {
        check(address, Ok((host, shown)));
    }
}

#[test]
fn addresses_that_are_not() {
    for (address, message) in [
        ("http://", "download \"http://\": it is no address"),
        (
            "ftp://a.example/x",
            "download \"ftp://a.example/x\": it is no http or https address",
        ),
        (
            "https://user:word@a.example/x?token=secret",
            "download \"a.example/x\": no user name or password is sent",
        ),
        (
            "https://user:word@a.example:99999/x",
            "download \"a.example:99999/x\": it is no address",
        ),
    ] {
        check(address, Err(message));
    }
}
