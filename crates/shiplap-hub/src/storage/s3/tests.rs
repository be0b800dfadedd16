#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::SocketAddr;

use axum::body::to_bytes;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::storage::Next;

/// A store of objects within this process, and a client of it.
async fn open() -> (TempDir, S3) {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path().join("store/ships")).unwrap();
    let files = s3s_fs::FileSystem::new(folder.path().join("store")).unwrap();
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single("key", "secret"));
    let service = builder.build();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection);
        }
    });
    let text = format!("s3://ships/deep/down?endpoint=http://127.0.0.1:{port}");
    let settings = [
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
    ];
    let owned = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let bucket = Bucket::parse(&text, owned.to_vec()).unwrap();
    let database = Database::open(&folder.path().join("hub.db")).unwrap();
    (folder, S3::open(&bucket, database).unwrap())
}

fn noise(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|n| (n.wrapping_mul(n.wrapping_mul(2_654_435_761)) >> 13) as u8)
        .collect()
}

/// Writes as `upload` does; what hash is kept is told by the length.
async fn write(sink: &mut dyn Sink, mut bytes: &[u8], before: usize, next: Next) {
    let mut written = before;
    while !bytes.is_empty() {
        let room = sink.room().unwrap().min(bytes.len());
        let (now, rest) = bytes.split_at(room);
        let halves = now.split_at(now.len() / 2);
        let pieces = [halves.0, halves.1].map(Bytes::copy_from_slice);
        sink.write(pieces.to_vec()).await.unwrap();
        written += now.len();
        bytes = rest;
        if sink.room() == Some(0) {
            let hash = written.to_string();
            sink.keep(hash.as_bytes(), Next::More).await.unwrap();
        }
    }
    let hash = written.to_string();
    sink.keep(hash.as_bytes(), next).await.unwrap();
}

async fn all(body: Body) -> Vec<u8> {
    to_bytes(body, usize::MAX).await.unwrap().to_vec()
}

/// Uploads these lengths one after the other; the whole must come out.
async fn check(storage: &S3, lengths: &[usize], last: Next) {
    let id = UploadId::random();
    let whole = noise(lengths.iter().sum());
    let mut at = 0;
    for (number, length) in lengths.iter().enumerate() {
        let progress = storage.progress(&id).await.unwrap();
        assert_eq!(progress.offset, at as u64, "{lengths:?}");
        if at > 0 {
            assert_eq!(
                progress.hash.unwrap(),
                at.to_string().as_bytes(),
                "{lengths:?}"
            );
        }
        let mut sink = storage.open_upload(&id, at as u64).await.unwrap();
        let next = if number + 1 == lengths.len() {
            last
        } else {
            Next::Request
        };
        write(sink.as_mut(), &whole[at..at + length], at, next).await;
        at += length;
    }
    let object = storage.complete(&id, &Digest::of(&whole)).await.unwrap();
    storage.discard(&id).await.unwrap();
    let body = storage.read(&object, 0, at as u64).await.unwrap();
    assert!(all(body).await == whole, "{lengths:?}");
    assert_eq!(storage.progress(&id).await.unwrap(), Progress::default());
    let (listed, strange) = storage.list().await.unwrap();
    assert_eq!((listed.len(), strange.len()), (1, 0), "{lengths:?}");
    assert_eq!(listed[0].object, object);
    assert_eq!(listed[0].size_bytes, at as u64);
    storage.remove(&object).await.unwrap();
    storage.remove(&object).await.unwrap();
    let gone = storage.read(&object, 0, 1).await;
    assert!(matches!(gone, Err(StorageError::Absent { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_become_objects_in_however_many_requests() {
    let (folder, storage) = open().await;
    const PART: usize = 8 << 20;
    for last in [Next::Completion, Next::Request] {
        for lengths in [
            &[1][..],
            &[5, 6, 7],
            &[PART],
            &[PART + 1],
            &[PART - 1, 1, 1],
            &[100, 2 * PART, 100],
            &[PART, PART],
            &[2_000_000, 2_000_000, 5_000_000],
        ] {
            check(&storage, lengths, last).await;
        }
    }
    // Nothing that served them is left.
    let left = folder.path().join("store/ships/deep/down/uploads");
    let left = std::fs::read_dir(left).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_at_all_is_an_object_too() {
    let (_folder, storage) = open().await;
    let id = UploadId::random();
    let object = storage.complete(&id, &Digest::of(b"")).await.unwrap();
    assert_eq!(all(storage.read(&object, 0, 0).await.unwrap()).await, b"");
    assert_eq!(storage.list().await.unwrap().0[0].size_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_one_is_too_late() {
    let (_folder, storage) = open().await;
    let id = UploadId::random();
    let mut first = storage.open_upload(&id, 0).await.unwrap();
    let mut second = storage.open_upload(&id, 0).await.unwrap();
    write(first.as_mut(), b"first", 0, Next::Request).await;
    second
        .write(vec![Bytes::from_static(b"second")])
        .await
        .unwrap();
    let late = second.keep(b"6", Next::Request).await;
    assert!(matches!(late, Err(StorageError::Overtaken { .. })));
    let stale = storage.open_upload(&id, 0).await;
    assert!(matches!(stale, Err(StorageError::Overtaken { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_leaves_nothing() {
    let (folder, storage) = open().await;
    let id = UploadId::random();
    let mut sink = storage.open_upload(&id, 0).await.unwrap();
    write(sink.as_mut(), &noise(20_000_000), 0, Next::Request).await;
    let found = storage.list_uploads(Duration::ZERO).await.unwrap();
    assert_eq!(found, vec![id.clone()]);
    assert_eq!(
        storage.list_uploads(Duration::from_secs(60)).await.unwrap(),
        vec![]
    );
    storage.discard(&id).await.unwrap();
    storage.discard(&id).await.unwrap();
    assert_eq!(storage.list_uploads(Duration::ZERO).await.unwrap(), vec![]);
    let mut left = Vec::new();
    let mut folders = vec![folder.path().join("store/ships")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                left.push(path);
            }
        }
    }
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_lead_to_objects() {
    let (_folder, storage) = open().await;
    let id = UploadId::random();
    let mut sink = storage.open_upload(&id, 0).await.unwrap();
    write(sink.as_mut(), b"linked", 0, Next::Completion).await;
    let object = storage.complete(&id, &Digest::of(b"linked")).await.unwrap();
    let link = storage.link(&object).await.unwrap().unwrap();
    assert!(!link.contains("secret"), "{link}");
    let got = reqwest::get(&link).await.unwrap();
    assert_eq!(got.bytes().await.unwrap(), "linked");
    let bare = link.split('?').next().unwrap();
    assert_eq!(reqwest::get(bare).await.unwrap().status(), 403);
}

#[test]
fn buckets_are_told_by_urls() {
    let parse = |text: &str| Bucket::parse(text, Vec::new());
    let place = |text: &str| parse(text).unwrap().place();
    assert_eq!(place("s3://b"), "s3://b");
    assert_eq!(place("s3://b/p/q/?region=x&path_style=true"), "s3://b/p/q");
    assert_eq!(parse("http://b"), Err(BucketError::Scheme));
    assert_eq!(parse("s3:///p"), Err(BucketError::Scheme));
    assert_eq!(
        parse("s3://b?key=x"),
        Err(BucketError::Key("key".to_owned()))
    );
    assert_eq!(
        parse("s3://b?path_style=x"),
        Err(BucketError::Flag("x".to_owned()))
    );
    let settings = vec![("aws_secret_access_key".to_owned(), "hidden".to_owned())];
    let shown = format!("{:?}", Bucket::parse("s3://b", settings).unwrap());
    assert!(!shown.contains("hidden"), "{shown}");
}
