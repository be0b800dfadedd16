use super::*;

#[test]
fn signatures_are_hmacs() {
    // RFC 4231, test cases 2 and 6.
    let want = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(sign("Jefe", "what do ya want for nothing?"), want);
    let long = "x".repeat(131);
    assert_ne!(sign(&long, "a"), sign(&long, "b"));
    assert_ne!(sign(&long, "a"), sign(&long[1..], "a"));
}

#[test]
fn inner_addresses_are_known() {
    let check = |text: &str, want: bool| {
        let address: IpAddr = text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        assert_eq!(is_inner(address), want, "{text}");
    };
    for inner in [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ] {
        check(inner, true);
    }
    for outer in [
        "1.1.1.1",
        "93.184.216.34",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
    ] {
        check(outer, false);
    }
}

#[tokio::test]
async fn inner_webhooks_are_not_told() {
    for url in [
        "http://127.0.0.1:9/",
        "http://localhost:9/",
        "http://[::1]:9/",
        "http://169.254.169.254/latest/",
        "http://0x7f000001/",
        "http://2130706433/",
    ] {
        let delivery = Delivery {
            due_us: 0,
            id: 1,
            namespace: "ship".to_owned(),
            url: url.to_owned(),
            secret: "x".to_owned(),
            body: "{}".to_owned(),
            attempts: 0,
        };
        let told = tell(&delivery, false).await;
        assert!(matches!(told, Err(Failure::Inner)), "{url}: {told:?}");
    }
}
