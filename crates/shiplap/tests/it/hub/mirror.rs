//! The hub as a mirror of another registry: another hub, and Debian's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::harness::Store;
use crate::harness::http;
use crate::harness::hub::{Hub, PASSWORD};
use crate::harness::image::{digest, noise, recipe, usual};
use crate::harness::registry::Registry;
use crate::harness::tar::Entry;

/// How often the mirror asked its upstream.
pub(super) fn asked(mirror: &Hub) -> u64 {
    let text = mirror.ask("admin", "GET", "/metrics", &[], b"").body;
    let text = String::from_utf8(text).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("shiplap_hub_upstream_requests_total "));
    line.unwrap().parse().unwrap()
}

#[test]
fn what_is_asked_for_is_fetched_once_and_kept() {
    let mut upstream = Hub::start();
    upstream.verb(&["org", "add", "team"]).assert_ok();
    upstream
        .verb(&["org", "set", "team", "ship", "owner"])
        .assert_ok();
    let image = recipe(&[&[Entry::file("big", &noise(9, 2_000_000))]]).make();
    upstream.fill("team/app:1", &image);
    let origin = format!("up.example=http://{}", upstream.address());
    let mirror = Hub::start_with(&["--mirror", &origin]);

    // Many at once, one request.
    let blob = digest(&image.blobs[0]);
    let target = format!("/v2/up.example/team/app/blobs/{blob}");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let reply = http::request(mirror.address(), "GET", &target, &[], b"").unwrap();
                assert_eq!(reply.status(), 200);
                assert_eq!(reply.body, image.blobs[0]);
            });
        }
    });
    assert_eq!(asked(&mirror), 1);

    // By its namespace, by the registry that the client names, and by nothing at all.
    let pull = |name: &str| {
        let store = Store::new();
        let name = mirror.reference(name);
        store.ok(&["pull", &name]);
        assert_eq!(store.field(&name, "{{.Id}}"), image.id());
    };
    pull("up.example/team/app:1");
    pull("team/app:1");
    let named = mirror.ask(
        "",
        "GET",
        "/v2/team/app/manifests/1?ns=up.example",
        &[],
        b"",
    );
    assert_eq!(named.body, image.manifest);
    let before = asked(&mirror);
    pull("up.example/team/app:1");
    assert_eq!(asked(&mirror), before, "a fresh tag is not asked for again");
    let tags = mirror.ask("", "GET", "/v2/up.example/team/app/tags/list", &[], b"");
    assert!(String::from_utf8_lossy(&tags.body).contains("\"1\""));

    // Nobody pushes to it, and what the upstream hides or lacks is not there.
    let upload = "/v2/up.example/team/app/blobs/uploads/";
    assert_eq!(mirror.ask("admin", "POST", upload, &[], b"").status(), 403);
    for name in ["up.example/team/none", "none/none", "ship/none"] {
        let target = format!("/v2/{name}/manifests/1");
        assert_eq!(
            mirror.ask("ship", "GET", &target, &[], b"").status(),
            404,
            "{name}"
        );
    }
    // What is here will do when the upstream is gone.
    upstream.kill();
    pull("up.example/team/app:1");
    let target = "/v2/up.example/team/app/manifests/2";
    assert_eq!(mirror.ask("", "GET", target, &[], b"").status(), 502);
}

#[test]
fn a_mirror_serves_as_the_settings_mirror() {
    let Some(upstream) = Registry::start() else {
        return;
    };
    let image = usual().make();
    upstream.fill("library/app:1", &image);
    let origin = format!("docker.io=http://{}", upstream.address());
    let mirror = Hub::start_with(&["--mirror", &origin]);
    let address = mirror.address();
    let store = Store::new().configured(&format!(
        "[[registry]]\nprefix = \"docker.io\"\nmirrors = [\"http://{address}\"]\n"
    ));
    store.ok(&["pull", "app:1"]);
    assert_eq!(store.field("app:1", "{{.Id}}"), image.id());
    let own = mirror.ask("", "GET", "/v2/docker.io/app/manifests/1", &[], b"");
    assert_eq!(own.status(), 200);
}

/// An upstream that sends the first half of a blob, and the second when it is told to.
struct Halves {
    address: String,
    go_on: std::sync::mpsc::Sender<Vec<u8>>,
}

impl Halves {
    fn serve(length: usize, first: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (go_on, told) = std::sync::mpsc::channel::<Vec<u8>>();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                http::read(&mut reader, false).unwrap();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&first).unwrap();
                let Ok(second) = told.recv() else { return };
                stream.write_all(&second).unwrap();
            }
        });
        Self { address, go_on }
    }
}

#[test]
fn a_blob_reaches_clients_while_it_comes() {
    let blob = noise(12, 3_000_000);
    let (first, second) = blob.split_at(1_000_000);
    let upstream = Halves::serve(blob.len(), first.to_vec());
    let origin = format!("up.example=http://{}", upstream.address);
    let mirror = Hub::start_with(&["--mirror", &origin]);
    let target = format!("/v2/up.example/team/app/blobs/{}", digest(&blob));
    let get = || {
        let mut stream = TcpStream::connect(mirror.address()).unwrap();
        let head = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let mut half = vec![0; first.len()];
        // The upstream has not sent the rest, and won't before this is here.
        reader.read_exact(&mut half).unwrap();
        assert_eq!(half, first);
        reader
    };
    let mut clients = [get(), get()];
    let head = http::request(mirror.address(), "HEAD", &target, &[], b"").unwrap();
    assert_eq!(head.header("content-length"), Some("3000000"));
    // What is not what its digest says breaks off for everybody, and is not kept.
    let mut wrong = second.to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    upstream.go_on.send(wrong).unwrap();
    for client in &mut clients {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).ok();
        assert!(rest.len() < second.len(), "the wrong blob came whole");
    }
    assert!(mirror.files().is_empty(), "{:?}", mirror.files());
    // The next ones get it right, and by one more request.
    let mut clients = [get(), get()];
    upstream.go_on.send(second.to_vec()).unwrap();
    for client in &mut clients {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, second);
    }
    assert_eq!(asked(&mirror), 2);
    let range = [("range", "bytes=999998-1000001")];
    let part = mirror.expect("GET", &target, &range, b"", 206);
    assert_eq!(part.body, &blob[999_998..1_000_002]);
    assert_eq!(asked(&mirror), 2);
}

#[test]
fn a_mirror_signs_in_where_it_is_told_to() {
    let upstream = Hub::start();
    let image = usual().make();
    upstream.fill("ship/secret:1", &image);
    let hidden = ["repo", "set", "--private", "true", "ship/secret"];
    upstream.verb(&hidden).assert_ok();
    let origin = format!("up.example=http://{}", upstream.address());
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("login");
    std::fs::write(&file, format!("ship:{PASSWORD}\n")).unwrap();
    let login = format!("up.example={}", file.display());
    let target = "/v2/up.example/ship/secret/manifests/1";
    let stranger = Hub::start_with(&["--mirror", &origin]);
    assert_eq!(stranger.ask("", "GET", target, &[], b"").status(), 404);
    let mirror = Hub::start_with(&["--mirror", &origin, "--mirror-login", &login]);
    let store = Store::new();
    store.ok(&["pull", &mirror.reference("up.example/ship/secret:1")]);
    for line in mirror.lines() {
        assert!(!line.contains(PASSWORD), "{line}");
    }
    let serve = |login: &str| {
        let words = ["hub", "serve", "--mirror", &origin, "--mirror-login", login];
        store.refused(&words)
    };
    assert!(serve("docker.io=x").contains("there is no --mirror docker.io"));
    assert!(serve("up.example=/none").contains("No such file"));
}
