#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Instant;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::hub::{Options, Place};
use crate::records::repositories::{self, Name};
use crate::records::users;

/// How long this hub waits for its clients.
const SHORT: Duration = Duration::from_secs(1);

/// A hub that has little patience, with a user; where it listens.
async fn serve() -> (TempDir, Arc<Hub>, SocketAddr) {
    let folder = TempDir::new().unwrap();
    let options = Options {
        place: Place {
            data: folder.path().to_owned(),
            ..Place::default()
        },
        redirect: false,
        address: ([127, 0, 0, 1], 0).into(),
        tls: None,
        insecure: false,
        url: None,
        private_by_default: false,
        open_metrics: true,
        inner_webhooks: false,
        mirrors: Vec::new(),
        access_log: None,
    };
    let mut hub = Hub::open(options).unwrap();
    hub.patience = Patience {
        idle: SHORT,
        headers: SHORT,
    };
    let hash = crate::password::hash("lap-secret").unwrap();
    let add = hub.database.write_now(move |tx| {
        users::add(tx, "ship", &hash, false)?;
        let name = Name::parse("ship/app").unwrap();
        repositories::ensure(tx, &name, false)
    });
    add.unwrap();
    let hub = Arc::new(hub);
    let listening = Listening::open(&hub).await.unwrap();
    let address = listening.address().unwrap();
    tokio::spawn(listening.serve(Arc::clone(&hub), std::future::pending()));
    (folder, hub, address)
}

/// What comes until the hub ends the connection, and how long that took.
async fn rest(stream: &mut TcpStream) -> (String, Duration) {
    let begun = Instant::now();
    let mut said = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said));
    // It may be reset.
    let _ended = read.await.expect("the hub waits for ever");
    (String::from_utf8_lossy(&said).into_owned(), begun.elapsed())
}

/// `Basic` and `ship:lap-secret`.
const SHIP: &str = "authorization: Basic c2hpcDpsYXAtc2VjcmV0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_ends_its_headers_is_left() {
    let (_folder, _hub, address) = serve().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let (_, took) = rest(&mut stream).await;
    assert!(took >= SHORT / 2, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_ends_its_body_is_told_so() {
    let (_folder, hub, address) = serve().await;
    for target in [
        "POST /v2/ship/app/blobs/uploads/?digest=sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "PUT /v2/ship/app/manifests/1",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("{target} HTTP/1.1\r\nhost: x\r\n{SHIP}\r\ncontent-length: 1000\r\n\r\nfoo");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 400", "{target}");
    }
    assert_eq!(hub.storage.list().await.unwrap().0.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_of_an_answer_is_left() {
    let (_folder, hub, address) = serve().await;
    let bytes = vec![7_u8; 32 << 20];
    let digest = shiplap_model::Digest::of(&bytes);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v2/ship/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: x\r\n{SHIP}\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 201");
    drop(stream);

    let mut stream = TcpStream::connect(address).await.unwrap();
    let ask = format!("GET /v2/ship/app/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    // Nothing is read; the hub must give up by itself.
    let begun = Instant::now();
    while connections(&hub) > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the hub waits for ever"
        );
        tokio::time::sleep(SHORT / 4).await;
    }
    assert!(begun.elapsed() >= SHORT / 2);
}

fn connections(hub: &Hub) -> u64 {
    let text = hub.metrics.text(0);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("shiplap_hub_connections "));
    line.unwrap().parse().unwrap()
}
