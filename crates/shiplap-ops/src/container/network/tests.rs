use super::*;

#[test]
fn the_way_to_everywhere() {
    let check = |line: &str, expected: Option<&str>| {
        assert_eq!(gateway(line).as_deref(), expected, "{line}");
    };
    let number = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
    let line = |destination: &str, gateway: &str| {
        format!("eth0\t{destination}\t{gateway}\t0003\t0\t0\t0\t00000000\t0\t0\t0")
    };
    check(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask",
        None,
    );
    check(
        &line("00000000", &number([192, 0, 2, 1])),
        Some("192.0.2.1"),
    );
    check(&line(&number([192, 0, 2, 0]), "00000000"), None);
    check(&line("00000000", "00000000"), None);
    check(&line("00000000", "x"), None);
    check("eth0", None);
    check("", None);
}

#[test]
fn name_servers_seen_from_a_private_network() {
    let check = |host: &str, expected: &[&str], forwards: bool| {
        let (lines, found) = resolver(host);
        assert_eq!(lines, expected, "{host}");
        assert_eq!(found, forwards, "{host}");
    };
    let forwarded = "nameserver 10.126.37.3";
    check("", &[], false);
    check(
        "# by hand\nnameserver 9.9.9.9\nsearch a.example\n",
        &["# by hand", "nameserver 9.9.9.9", "search a.example"],
        false,
    );
    check(
        "nameserver 127.0.0.53\noptions edns0\n",
        &[forwarded, "options edns0"],
        true,
    );
    // pasta forwards to the first only.
    check(
        "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 9.9.9.9",
        &[forwarded, "nameserver 9.9.9.9"],
        true,
    );
    check(
        "nameserver 9.9.9.9\nnameserver 127.0.0.1",
        &["nameserver 9.9.9.9"],
        false,
    );
    check("nameserver ::1\nnameserver 127.0.0.1", &[forwarded], true);
    check("nameserver ::1", &[], false);
    check(
        "nameserver\nnameserver x",
        &["nameserver", "nameserver x"],
        false,
    );
}

#[test]
fn resolv_conf_of_each_network() {
    let options = NetworkOptions {
        dns: vec!["1.2.3.4".to_owned()],
        dns_search: vec!["a.example".to_owned(), "b.example".to_owned()],
        ..NetworkOptions::default()
    };
    let host = "nameserver 127.0.0.53\nsearch lan\noptions edns0\n";
    let check = |mode, options: &NetworkOptions, expected: &str| {
        assert_eq!(resolv_conf(host, mode, options), expected, "{mode:?}");
    };
    let none = NetworkOptions::default();
    check(NetworkMode::Host, &none, host);
    check(
        NetworkMode::Private,
        &none,
        "nameserver 10.126.37.3\nsearch lan\noptions edns0\n",
    );
    let asked = "options edns0\nnameserver 1.2.3.4\nsearch a.example b.example\n";
    check(NetworkMode::Private, &options, asked);
    check(NetworkMode::Host, &options, asked);
}

#[test]
fn errors_name_the_port_and_what_helps() {
    let address = SocketAddr::from(([0, 0, 0, 0], 80));
    let check = |error: NetworkError, expected: &str| {
        assert_eq!(error.to_string(), expected);
    };
    check(
        NetworkError::Taken {
            address,
            protocol: "tcp".to_owned(),
        },
        "publish port 80/tcp: Bind for 0.0.0.0:80 failed: port is already allocated",
    );
    check(
        NetworkError::Port {
            address,
            protocol: "udp".to_owned(),
            source: io::ErrorKind::PermissionDenied.into(),
        },
        "publish port 80/udp: Bind for 0.0.0.0:80 failed: permission denied; \
         ports below sysctl net.ipv4.ip_unprivileged_port_start are the machine's root's",
    );
    check(
        NetworkError::NoPasta,
        "make a private network: pasta is not installed; \
         install the package passt, or use --network host or none",
    );
}
