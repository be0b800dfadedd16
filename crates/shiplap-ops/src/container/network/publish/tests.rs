use super::*;

fn mapping(ip: Option<IpAddr>, ports: (u16, Option<u16>), inside: u16, proto: &str) -> PortMapping {
    PortMapping {
        host_ip: ip,
        host_port: ports.0,
        host_port_last: ports.1,
        container_port: inside,
        protocol: proto.to_owned(),
    }
}

#[test]
fn exposed_ports() {
    let check = |text: &str, expected: Option<(u16, u16, &str)>| {
        let found = exposed(text);
        let expected = expected.map(|(first, last, protocol)| (first..=last, protocol.to_owned()));
        assert_eq!(found, expected, "{text}");
    };
    check("80", Some((80, 80, "tcp")));
    check("53/udp", Some((53, 53, "udp")));
    check("53/UDP", Some((53, 53, "udp")));
    check("8000-8010/tcp", Some((8000, 8010, "tcp")));
    for text in ["", "/tcp", "x", "0", "70000", "9-8", "-1", "1-"] {
        check(text, None);
    }
}

#[test]
fn what_is_published() {
    let check =
        |publish: &[PortMapping], all: bool, exposed: &[&str], expected: &[(u16, u16, &str)]| {
            let options = NetworkOptions {
                publish: publish.to_vec(),
                publish_all: all,
                ..NetworkOptions::default()
            };
            let exposed: Vec<String> = exposed.iter().map(|&text| text.to_owned()).collect();
            let wanted = wanted(&options, &exposed).unwrap();
            let found: Vec<_> = wanted
                .iter()
                .map(|port| (port.host_port, port.container_port, port.protocol.as_str()))
                .collect();
            assert_eq!(found, expected, "{exposed:?}");
        };
    let web = mapping(None, (8080, None), 80, "tcp");
    check(&[], false, &["80/tcp"], &[]);
    check(
        &[],
        true,
        &["80/tcp", "53/udp"],
        &[(0, 80, "tcp"), (0, 53, "udp")],
    );
    check(
        std::slice::from_ref(&web),
        false,
        &["80/tcp"],
        &[(8080, 80, "tcp")],
    );
    check(
        &[web],
        true,
        &["80/tcp", "80/udp", "1-2"],
        &[
            (8080, 80, "tcp"),
            (0, 80, "udp"),
            (0, 1, "tcp"),
            (0, 2, "tcp"),
        ],
    );
    let options = NetworkOptions {
        publish_all: true,
        ..NetworkOptions::default()
    };
    let error = wanted(&options, &["http".to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "publish exposed port \"http\": it is no port"
    );
}

#[test]
fn a_free_port_is_chosen_and_held() {
    let loopback = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
    for (ip, protocol) in [(loopback, "tcp"), (loopback, "udp"), (None, "tcp")] {
        let any = mapping(ip, (0, None), 80, protocol);
        let (chosen, mut held) = choose(&[any.clone(), any]).unwrap();
        let ports: Vec<u16> = chosen.iter().map(|port| port.host_port).collect();
        assert!(ports[0] > 0 && ports[1] > 0 && ports[0] != ports[1]);
        assert!(chosen.iter().all(|port| port.container_port == 80));
        let same = mapping(ip, (ports[0], None), 81, protocol);
        let error = choose(std::slice::from_ref(&same)).unwrap_err();
        assert!(matches!(error, NetworkError::Taken { .. }), "{error}");
        let words = format!("publish port {}/{protocol}: Bind for ", ports[0]);
        assert!(error.to_string().starts_with(&words), "{error}");
        held.release();
        choose(&[same]).unwrap();
    }
}

#[test]
fn the_first_free_one_of_a_range() {
    let loopback = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let last = port.saturating_add(20);
    let (chosen, _held) = choose(&[mapping(loopback, (port, Some(last)), 80, "tcp")]).unwrap();
    assert!((port + 1..=last).contains(&chosen[0].host_port));
    assert_eq!(chosen[0].host_port_last, None);
    let error = choose(&[mapping(loopback, (port, Some(port)), 80, "tcp")]).unwrap_err();
    assert!(matches!(error, NetworkError::Taken { .. }), "{error}");
}

#[test]
fn ports_that_can_not_be_had() {
    let check = |wanted: PortMapping, expected: &str| {
        let error = choose(&[wanted]).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(
        mapping(None, (0, None), 80, "sctp"),
        "publish port 80/sctp: only tcp and udp can be published",
    );
    check(
        mapping(None, (9, Some(8)), 80, "tcp"),
        "publish ports 9-8: the last is before the first",
    );
    // An address of documentation (RFC 5737), which no host has.
    check(
        mapping(
            Some(IpAddr::from([198, 51, 100, 7])),
            (8080, None),
            80,
            "tcp",
        ),
        "publish port 8080/tcp: Bind for 198.51.100.7:8080 failed: ",
    );
}
