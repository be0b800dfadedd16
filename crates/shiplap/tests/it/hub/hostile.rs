//! Clients that mean harm: whatever they send, the hub refuses it in words and goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::Store;
use crate::harness::http;
use crate::harness::hub::Hub;
use crate::harness::image::{digest, small};

#[test]
fn names_lead_nowhere() {
    let hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    for name in [
        "..",
        "../..",
        "ship/..",
        "ship/%2e%2e/%2e%2e",
        "ship/%00",
        "ship/a%0d%0ax:y",
        "SHIP/app",
        "ship//app",
        "/ship/app",
        "ship/-",
        "ship/a_-b",
        "%2fetc%2fpasswd",
    ] {
        for rest in ["manifests/1", "tags/list", "blobs/uploads/"] {
            let method = if rest.ends_with('/') { "POST" } else { "GET" };
            let reply = hub.ask("ship", method, &format!("/v2/{name}/{rest}"), &[], b"");
            let refused = [400, 404, 405].contains(&reply.status());
            assert!(refused, "{name}/{rest}: {}", reply.first);
        }
    }
    let uploads = "/v2/ship/app/blobs/uploads";
    let begun = hub.expect("POST", uploads, &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    let tampered = format!("{}0", &place[..place.len() - 1]);
    for place in [
        format!("{uploads}/..%2f..%2fhub.db"),
        format!("{uploads}/%2e%2e"),
        format!("{uploads}/{}", "0".repeat(32)),
        place
            .to_uppercase()
            .replace("/V2/SHIP/APP/BLOBS/UPLOADS", uploads),
        tampered.replace(&place, "/v2/ship/app/blobs/uploads/x"),
    ] {
        let reply = hub.ask("ship", "PATCH", &place, &[], b"x");
        assert!(
            [404, 400].contains(&reply.status()),
            "{place}: {}",
            reply.first
        );
    }
    let long = format!("/v2/ship/{}/tags/list", "a".repeat(300));
    assert_eq!(hub.ask("ship", "GET", &long, &[], b"").status(), 400);
}

#[test]
fn bad_credentials_are_refused() {
    let hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    let long = format!("Bearer {}", "x".repeat(20_000));
    for credential in [
        "Bearer x",
        "Bearer a.b.c",
        "Bearer eyJhbGciOiJub25lIn0.eyJ1aWQiOjF9.",
        "Bearer ",
        "Basic !!!!",
        "Basic eA==",
        "Basic c2hpcDp3cm9uZw==",
        "Digest x",
        "x",
        &long,
    ] {
        let headers = [("authorization", credential)];
        let target = "/v2/ship/app/manifests/1";
        let reply = http::request(hub.address(), "GET", target, &headers, b"").unwrap();
        assert_eq!(reply.status(), 401, "{credential}");
        assert!(reply.header("www-authenticate").is_some());
    }
}

#[test]
fn too_much_is_refused() {
    let hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    for target in [
        "/v2/ship/app/tags/list?n=99999999999999999999999",
        "/v2/_catalog?n=1e9",
        "/v2/repositories/ship/app/tags?page=x",
    ] {
        hub.expect("GET", target, &[], b"", 400);
    }
    hub.expect(
        "GET",
        "/v2/ship/app/tags/list?n=18446744073709551615",
        &[],
        b"",
        200,
    );
    hub.expect(
        "GET",
        "/v1/search?q=x&n=1000000000&page=1000000000",
        &[],
        b"",
        200,
    );
    let long = format!("/v1/search?q={}", "x".repeat(1000));
    hub.expect("GET", &long, &[], b"", 400);
    // More headers, and longer ones, than anybody sends.
    let mut raw = TcpStream::connect(hub.address()).unwrap();
    raw.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n").unwrap();
    let header = format!("x: {}\r\n", "y".repeat(8000));
    for _ in 0..50 {
        if raw.write_all(header.as_bytes()).is_err() {
            break;
        }
    }
    raw.write_all(b"\r\n").ok();
    let mut told = Vec::new();
    raw.read_to_end(&mut told).ok();
    let told = String::from_utf8_lossy(&told);
    assert!(
        told.is_empty() || told.starts_with("HTTP/1.1 431"),
        "{told}"
    );
    hub.expect("GET", "/v2/", &[], b"", 200);
}

#[test]
fn a_body_that_breaks_off_is_no_blob() {
    let hub = Hub::start();
    let begun = hub.expect("POST", "/v2/ship/app/blobs/uploads/", &[], b"", 202);
    let place = begun.header("location").unwrap().to_owned();
    let finish = format!("{place}?digest={}", digest(b"half"));
    let mut raw = TcpStream::connect(hub.address()).unwrap();
    let head = format!(
        "PUT {finish} HTTP/1.1\r\nhost: x\r\nauthorization: Basic c2hpcDpsYXAtc2VjcmV0\r\n\
         content-length: 100\r\n\r\nhalf"
    );
    raw.write_all(head.as_bytes()).unwrap();
    // What came is kept, and the upload goes on from there.
    let deadline = Instant::now() + Duration::from_secs(10);
    drop(raw);
    loop {
        let status = hub.ask("ship", "GET", &place, &[], b"");
        if status.header("range") == Some("0-3") {
            break;
        }
        assert!(Instant::now() < deadline, "{status:?}");
    }
    let blob = format!("/v2/ship/app/blobs/{}", digest(b"half"));
    hub.expect("HEAD", &blob, &[], b"", 404);
    hub.expect("PUT", &finish, &[], b"", 201);
    hub.expect("HEAD", &blob, &[], b"", 200);
}

#[test]
fn secrets_are_not_logged() {
    let hub = Hub::start();
    hub.fill("ship/app:1", &small("x"));
    hub.ask(
        "ship",
        "GET",
        "/token?scope=repository:ship/app:pull",
        &[],
        b"",
    );
    hub.ask("ship", "GET", "/v1/search?q=what-i-look-for", &[], b"");
    let login = br#"{"username":"ship","password":"lap-secret"}"#;
    hub.expect("POST", "/v2/users/login", &[], login, 200);
    // The last request's line is there once a later one was answered.
    hub.ask("", "GET", "/health/live", &[], b"");
    let deadline = Instant::now() + Duration::from_secs(10);
    let lines = loop {
        let lines = hub.lines();
        if lines.iter().any(|line| line.contains("/health/live")) {
            break lines;
        }
        assert!(Instant::now() < deadline, "{lines:?}");
    };
    let text = lines.join("\n");
    for secret in [
        "lap-secret",
        "c2hpcDpsYXAtc2VjcmV0",
        "what-i-look-for",
        "eyJ",
        "digest=",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let line = lines
        .iter()
        .find(|line| line.contains("manifests"))
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["user"], "ship");
    assert_eq!(line["repository"], "ship/app");
    assert_eq!(line["status"], 201);
}

#[test]
fn it_listens_beyond_this_machine_only_when_told() {
    let store = Store::new();
    let data = store.path("hub");
    let data = data.to_str().unwrap();
    let serve = ["hub", "serve", "--data", data, "--address", "0.0.0.0:0"];
    let ran = store.run(&serve);
    ran.assert_refused();
    ran.assert_says(&["TLS"]);
    // One folder has one hub.
    let hub = Hub::start();
    let data = hub.data().to_str().unwrap().to_owned();
    let second = ["hub", "serve", "--data", &data, "--address", "127.0.0.1:0"];
    store.run(&second).assert_refused();
}

#[test]
fn numbers_are_for_who_runs_it() {
    let hub = Hub::start();
    let statuses = |target: &str| {
        ["", "ship", "admin"].map(|user| hub.ask(user, "GET", target, &[], b"").status())
    };
    assert_eq!(statuses("/metrics"), [401, 403, 200]);
    assert_eq!(statuses("/health/live"), [200, 200, 200]);
    assert_eq!(statuses("/health/ready"), [200, 200, 200]);
    let text = hub.ask("admin", "GET", "/metrics", &[], b"").body;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("shiplap_hub_requests_total{method=\"GET\",status=\"2xx\"}"));
    let open = Hub::start_with(&["--open-metrics"]);
    assert_eq!(open.ask("", "GET", "/metrics", &[], b"").status(), 200);
}
