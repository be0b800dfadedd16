use super::*;

#[test]
fn browsers_are_told_apart() {
    let check = |agent: &str, want: &str| assert_eq!(browser_name(agent), want);
    check(
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox on Linux",
    );
    check(
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
        "Edge on Windows",
    );
    check(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1",
        "Safari on iPhone",
    );
    check("curl/8.0", "curl");
    check("something", "something");
}
