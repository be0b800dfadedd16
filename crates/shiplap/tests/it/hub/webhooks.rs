//! Who is told of what was pushed and deleted.

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::harness::http::{self, Message};
use crate::harness::hub::Hub;
use crate::harness::image::small;

/// A listener that answers these statuses, one a message; its address and what it got.
pub(super) fn listener(statuses: &'static [u16]) -> (String, Receiver<Message>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", socket.local_addr().unwrap());
    let (got, messages) = channel();
    std::thread::spawn(move || {
        for (stream, status) in socket.incoming().map_while(Result::ok).zip(statuses) {
            let mut stream = BufReader::new(stream);
            let Some(message) = http::read(&mut stream, false) else {
                return;
            };
            let reply =
                format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.get_mut().write_all(reply.as_bytes()).ok();
            if got.send(message).is_err() {
                return;
            }
        }
    });
    (address, messages)
}

#[test]
fn webhooks_hear_of_pushes_and_deletions() {
    let hub = Hub::start_with(&["--inner-webhooks"]);
    let (address, messages) = listener(&[200, 200]);
    hub.verb(&["webhook", "add", "ship", "ftp://x"])
        .assert_refused();
    hub.verb(&["webhook", "add", "nobody", &address])
        .assert_refused();
    let added = hub.verb(&["webhook", "add", "ship", &address]);
    added.assert_ok();
    hub.fill("ship/app:1", &small("x"));
    let next = || messages.recv_timeout(Duration::from_secs(60)).unwrap();
    let message = next();
    assert_eq!(message.method(), "POST");
    let signature = message.header("x-shiplap-signature").unwrap();
    assert!(signature.starts_with("sha256="), "{signature}");
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(body["action"], "push");
    assert_eq!(body["push_data"]["tag"], "1");
    assert_eq!(body["push_data"]["pusher"], "ship");
    assert_eq!(body["push_data"]["digest"], small("x").manifest_digest());
    assert_eq!(body["repository"]["repo_name"], "ship/app");
    hub.expect("DELETE", "/v2/ship/app/manifests/1", &[], b"", 202);
    let body: Value = serde_json::from_slice(&next().body).unwrap();
    assert_eq!(body["action"], "delete");
    let listed = hub.verb(&["webhook", "ls", "--format", "{{.ID}} {{.Namespace}}"]);
    assert_eq!(listed.stdout.trim(), "1 ship");
    hub.verb(&["webhook", "rm", "1"]).assert_ok();
    hub.verb(&["webhook", "rm", "1"]).assert_refused();
}
