use super::*;

fn port(ip: Option<&str>, host_port: u16, container_port: u16, protocol: &str) -> PortMapping {
    PortMapping {
        host_ip: ip.map(|ip| ip.parse().unwrap()),
        host_port,
        host_port_last: None,
        container_port,
        protocol: protocol.to_owned(),
    }
}

#[test]
fn arguments() {
    let check = |ports: &[PortMapping], maps_host, forwards_names, more: &str| {
        let call = Call {
            program: "/usr/bin/pasta".into(),
            ports: ports.to_vec(),
            maps_host,
            forwards_names,
        };
        let always = "--foreground --quiet --config-net --runas 0 --pid /proc/self/fd/1 \
                      --netns /c/netns --no-netns-quit --ns-ifname eth0 \
                      --address 10.126.37.2 --netmask 24 --gateway 10.126.37.1";
        let expected = format!("{always} {more} --tcp-ns none --udp-ns none");
        assert_eq!(call.arguments(Path::new("/c/netns")).join(" "), expected);
    };
    let none = "--tcp-ports none --udp-ports none";
    check(&[], false, false, &format!("--no-map-gw {none}"));
    check(&[], true, false, none);
    check(
        &[],
        false,
        true,
        &format!("--no-map-gw --dns-forward 10.126.37.3 {none}"),
    );
    check(
        &[
            port(None, 8080, 80, "tcp"),
            port(Some("127.0.0.1"), 5353, 53, "udp"),
            port(Some("::1"), 8443, 443, "tcp"),
        ],
        true,
        false,
        "--tcp-ports 8080:80 --tcp-ports ::1/8443:443 --udp-ports 127.0.0.1/5353:53",
    );
}

#[test]
fn why_it_gave_up() {
    let check = |words: &str, expected: &str| assert_eq!(reason(words), expected, "{words}");
    check("", "no network within 10 seconds, and no word why");
    check(
        "Failed to send 47 bytes to syslog\nDon't run as root. Changing to nobody...\n",
        "no network within 10 seconds, and no word why",
    );
    check(
        "Couldn't get any nameserver address\nFailed to send 45 bytes to syslog\n\
         Failed to open tun socket in namespace\n",
        "Failed to open tun socket in namespace",
    );
    check(
        "No external routable interface for IPv4\nExternal interface not usable\n\n",
        "No external routable interface for IPv4; External interface not usable",
    );
    check("one\ntwo\nthree\u{1b}[31m", "two; three[31m");
}

#[test]
fn programs_that_are_not_pasta() {
    let check = |program: &str, expected: &str| {
        let call = Call {
            program: program.into(),
            ports: Vec::new(),
            maps_host: false,
            forwards_names: false,
        };
        let said = match call.attach(Path::new("/none")) {
            Ok(_) => "attached".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "{program}: {said}");
    };
    check("/bin/false", "pasta: no network within");
    check("/bin/cat", "pasta: /bin/cat: ");
    check("/bin/echo", "attached");
    check("/none/pasta", "call pasta: No such file");
}
