//! The private network: the way out, the ports that lead in, and what is left of it.

use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::harness::Store;
use crate::harness::container::{Containers, IMAGE, is_alive, until};
use crate::harness::{http, judge};

/// `None`, with a word, where there can be no private network.
fn networks() -> Option<Containers> {
    judge::program("pasta")?;
    let tun = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    if let Err(error) = tun {
        judge::skip(&format!("/dev/net/tun: {error}"));
        return None;
    }
    Containers::new()
}

/// An HTTP server on the host's loopback that has one thing to say; its port.
fn serve(words: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let asked = http::read(&mut BufReader::new(&stream), false);
            if asked.is_some() {
                let length = words.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                // Who asked may be gone.
                stream.write_all((head + words).as_bytes()).ok();
            }
        }
    });
    port
}

/// What a server of the host's address says to `GET /word`.
fn ask(address: SocketAddr) -> Option<String> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
    stream.set_read_timeout(Some(patience)).unwrap();
    let question = b"GET /word HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    stream.write_all(question).ok()?;
    let reply = http::read(&mut BufReader::new(stream), false)?;
    (reply.status() == 200).then(|| String::from_utf8_lossy(&reply.body).into_owned())
}

const SERVER: &str = "mkdir -p /w && echo from inside >/w/word && exec httpd -f -p 8080 -h /w";

/// A container that serves `from inside` on its port 8080.
fn server(boxes: &Containers, name: &str, options: &[&str]) -> String {
    let start = ["run", "-d", "--network", "private", "--name", name];
    let all = [&start, options, &[IMAGE, "sh", "-c", SERVER]].concat();
    boxes.store.ok(&all).trim_end().to_owned()
}

/// The only address of the host that leads to a port of the container.
fn address(boxes: &Containers, name: &str, port: &str) -> SocketAddr {
    let printed = boxes.store.ok(&["port", name, port]);
    printed.lines().next().unwrap().parse().unwrap()
}

/// The server inside is there, if not at once.
#[track_caller]
fn assert_answers(address: SocketAddr) {
    until("the server answers", || {
        ask(address).as_deref() == Some("from inside\n")
    });
}

/// Processes whose command lines have all these words.
fn pids_of(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if words.iter().all(|word| line.contains(word)) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

fn pasta_of(root: &Path, id: &str) -> Vec<String> {
    pids_of(&["pasta", "--netns", root.to_str().unwrap(), id])
}

#[test]
fn the_way_out() {
    let Some(boxes) = networks() else {
        return;
    };
    let port = serve("from the host");
    let url = format!("http://host.test:{port}/");
    let check = |options: &[&str], words: &str, expected: &str| {
        let network = [&["--network", "private"], options].concat();
        assert_eq!(
            boxes.shell(&network, words),
            expected,
            "{options:?} {words}"
        );
    };
    let fetch = format!("timeout 3 wget -q -O- {url} || echo unreached");
    check(
        &["--add-host", "host.test:host-gateway"],
        &fetch,
        "from the host",
    );
    // The host's loopback is the host's, unless it is asked for.
    check(
        &["--add-host", "host.test:10.126.37.1"],
        &fetch,
        "unreached",
    );
    check(&["--add-host", "host.test:127.0.0.1"], &fetch, "unreached");
    check(
        &["--hostname", "here"],
        "grep -c 10.126.37.2.*here /etc/hosts; ip -4 -o addr show dev lo | wc -l",
        "1\n1",
    );
    check(&[], "ip route | grep -c default", "1");
    boxes.assert_nothing_left();
}

#[test]
fn ports_that_lead_in() {
    let Some(boxes) = networks() else {
        return;
    };
    let store = &boxes.store;
    let options = ["-p", "127.0.0.1:0:8080", "--expose", "53/udp", "-P"];
    let id = server(&boxes, "web", &options);
    let outside = address(&boxes, "web", "8080");
    assert!(outside.ip().is_loopback());
    assert_answers(outside);
    let listed = store.ok(&["ps", "--format", "{{.Ports}}"]);
    assert!(listed.contains(&format!("{outside}->8080/tcp")), "{listed}");
    let all = store.ok(&["port", "web"]);
    assert!(all.contains("53/udp -> 0.0.0.0:"), "{all}");
    store
        .run(&["port", "web", "81"])
        .assert_says(&["no public port '81/tcp' published for web"]);

    // A port that is taken is refused before anything runs.
    let taken = format!("{outside}:80");
    let refused = boxes.run(&["--network", "private", "-p", &taken], &["touch", "/ran"]);
    assert_eq!(refused.code, Some(125), "{refused:?}");
    let named = format!("publish port {}/tcp", outside.port());
    refused.assert_says(&[&named, "port is already allocated"]);
    assert_eq!(store.ok(&["ps", "-aq"]).lines().count(), 1);
    assert_eq!(pasta_of(store.root(), "").len(), 1);

    // Each start chooses anew; one that does not run has none.
    store.ok(&["stop", "-t", "0", "web"]);
    assert_eq!(pasta_of(store.root(), &id), Vec::<String>::new());
    assert_eq!(store.ok(&["port", "web"]), "");
    assert_eq!(ask(outside), None);
    store.ok(&["start", "web"]);
    assert_answers(address(&boxes, "web", "8080"));

    store.ok(&["rm", "-f", "web"]);
    boxes.assert_nothing_left();
}

#[test]
fn pasta_dies_with_its_supervisor() {
    let Some(boxes) = networks() else {
        return;
    };
    let id = server(&boxes, "lost", &["-p", "0:8080"]);
    let [pasta] = &pasta_of(boxes.store.root(), &id)[..] else {
        panic!("there is one pasta for {id}");
    };
    let [supervisor] = &pids_of(&["system supervise", &id])[..] else {
        panic!("there is one supervisor of {id}");
    };
    judge::ask(std::process::Command::new("kill").args(["-9", supervisor]));
    until("pasta is dead", || !is_alive(pasta));
    // The container goes on without a network; a new supervisor brings one.
    until("the port is gone", || {
        boxes.store.ok(&["port", "lost"]).is_empty()
    });
    assert_eq!(boxes.state("lost"), "running");
    boxes.store.ok(&["restart", "-t", "0", "lost"]);
    assert_answers(SocketAddr::from((
        Ipv4Addr::LOCALHOST,
        address(&boxes, "lost", "8080").port(),
    )));
    boxes.store.ok(&["rm", "-f", "lost"]);
    boxes.assert_nothing_left();
}

#[test]
fn a_program_that_is_not_there_leaves_no_network() {
    let Some(boxes) = networks() else {
        return;
    };
    for (program, code) in [("/nothing", 127), ("/etc", 126)] {
        let ran = boxes.run(&["--network", "private"], &[program]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
    }
    boxes.assert_nothing_left();
}

#[test]
fn without_pasta() {
    let store = Store::new();
    let empty = store.path("empty");
    std::fs::create_dir(&empty).unwrap();
    // runc is found among the programs of administrators; pasta is not.
    if Path::new("/usr/sbin/pasta").exists() || !Path::new("/usr/sbin/runc").exists() {
        judge::skip("pasta can't be hidden here");
        return;
    }
    let Some(boxes) = Containers::with(store) else {
        return;
    };
    let run = |arguments: &[&str]| {
        let mut command = boxes.store.command(arguments);
        let output = command.env("PATH", &empty).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), words)
    };
    let (code, words) = run(&["run", "--rm", "--network", "private", IMAGE, "true"]);
    assert_eq!(code, Some(125), "{words}");
    assert!(words.contains("install the package passt"), "{words}");
    let (code, words) = run(&["run", "--rm", "-p", "0:80", IMAGE, "true"]);
    assert_eq!(code, Some(0), "{words}");
    for part in [
        "pasta is not installed, so the container shares the host's network",
        "Published ports are discarded when using host network mode",
    ] {
        assert!(words.contains(part), "{words}");
    }
    boxes.assert_nothing_left();
}
