#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::Duration;

use axum::body::to_bytes;
use tempfile::TempDir;

use super::*;

fn open() -> (TempDir, Local) {
    let folder = TempDir::new().unwrap();
    let storage = Local::open(folder.path()).unwrap();
    (folder, storage)
}

async fn all(body: Body) -> Vec<u8> {
    to_bytes(body, usize::MAX).await.unwrap().to_vec()
}

#[tokio::test]
async fn an_upload_becomes_an_object() {
    let (_folder, storage) = open();
    let id = UploadId::random();
    assert_eq!(storage.progress(&id).await.unwrap().offset, 0);
    let noise: Vec<u8> = (0..1_000_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let mut sink = storage.open_upload(&id, 0).await.unwrap();
    let pieces = noise[..600_000].chunks(70_000).map(Bytes::copy_from_slice);
    sink.write(pieces.collect()).await.unwrap();
    drop(sink);
    // What lies beyond the offset is forgotten.
    let mut sink = storage.open_upload(&id, 500_000).await.unwrap();
    let rest = Bytes::copy_from_slice(&noise[500_000..]);
    sink.write(vec![Bytes::new(), rest]).await.unwrap();
    assert_eq!(storage.progress(&id).await.unwrap().offset, 1_000_000);
    assert_eq!(all(storage.read_upload(&id).await.unwrap()).await, noise);

    let object = storage.complete(&id, &Digest::of(&noise)).await.unwrap();
    assert_eq!(object, Object::of(&Digest::of(&noise), &id));
    assert_eq!(storage.progress(&id).await.unwrap().offset, 0);
    let check = async |start: usize, length: usize| {
        let body = storage.read(&object, start as u64, length as u64).await;
        assert_eq!(all(body.unwrap()).await, noise[start..start + length]);
    };
    check(0, 1_000_000).await;
    check(5, 10).await;
    check(300_000, 700_000).await;
    check(7, 0).await;
    let (listed, strange) = storage.list().await.unwrap();
    assert_eq!((listed.len(), strange.len()), (1, 0));
    assert_eq!(listed[0].object, object);
    assert_eq!(listed[0].size_bytes, 1_000_000);
    storage.remove(&object).await.unwrap();
    storage.remove(&object).await.unwrap();
    let gone = storage.read(&object, 0, 1).await;
    assert!(matches!(gone, Err(StorageError::Absent { .. })));
}

#[tokio::test]
async fn an_empty_upload_is_an_object_too() {
    let (_folder, storage) = open();
    let id = UploadId::random();
    let object = storage.complete(&id, &Digest::of(b"")).await.unwrap();
    assert_eq!(all(storage.read(&object, 0, 0).await.unwrap()).await, b"");
}

#[tokio::test]
async fn abandoned_uploads_are_found_and_forgotten() {
    let (_folder, storage) = open();
    let id = UploadId::random();
    storage.open_upload(&id, 0).await.unwrap();
    let none = storage.list_uploads(Duration::from_secs(60)).await.unwrap();
    assert_eq!(none, Vec::new());
    let found = storage.list_uploads(Duration::ZERO).await.unwrap();
    assert_eq!(found, vec![id.clone()]);
    storage.discard(&id).await.unwrap();
    storage.discard(&id).await.unwrap();
    let found = storage.list_uploads(Duration::ZERO).await.unwrap();
    assert_eq!(found, Vec::new());
}

#[test]
fn one_folder_has_one_hub() {
    let (folder, storage) = open();
    let second = Local::open(folder.path());
    assert!(matches!(second, Err(StorageError::InUse { .. })));
    drop(storage);
    Local::open(folder.path()).unwrap();
}

#[test]
fn names_are_read_back() {
    let id = UploadId::random();
    let object = Object::of(&Digest::of(b"x"), &id);
    assert_eq!(object.as_str().parse(), Ok(object.clone()));
    assert_eq!(object.digest(), Some(Digest::of(b"x")));
    let object = Object::of_upload(&id);
    assert_eq!(object.as_str().parse(), Ok(object.clone()));
    assert_eq!(object.digest(), None);
    let hex = Digest::of(b"x");
    let hex = hex.encoded();
    for strange in [
        String::new(),
        format!("sha256/zz/{hex}.{}", id.as_str()),
        format!("sha256/{}/{hex}", &hex[..2]),
        format!("upload/zz/{}", id.as_str()),
        format!("{}/{}", &id.as_str()[..2], id.as_str()),
        format!("sha256/{}/{hex}.x", &hex[..2]),
        format!("../sha256/{}/{hex}.{}", &hex[..2], id.as_str()),
    ] {
        assert_eq!(strange.parse::<Object>(), Err(()), "{strange}");
    }
    for strange in [
        "",
        "..",
        "../../etc/passwd",
        "ABCDEF0123456789ABCDEF0123456789",
    ] {
        assert_eq!(strange.parse::<UploadId>(), Err(()), "{strange}");
    }
}
