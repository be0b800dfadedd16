#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use axum::body::{Body, to_bytes};
use shiplap_model::digest::Algorithm;
use shiplap_model::{Descriptor, Digest, Document, Manifest};
use tempfile::TempDir;

use super::*;
use crate::hub::{Options, Place};
use crate::intake::{self, Whole};
use crate::records::blobs::{self, Unlinked};
use crate::records::manifests::{self, Pushed, Removed};
use crate::records::repositories::Name;
use crate::records::users;
use crate::storage::UploadId;
use crate::upload::{Incoming, Then};

fn open() -> (TempDir, Arc<Hub>) {
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
        open_metrics: false,
        inner_webhooks: false,
        mirrors: Vec::new(),
        access_log: None,
    };
    let hub = Hub::open(options).unwrap();
    let add = hub
        .database
        .write_now(|tx| users::add(tx, "ship", "", false));
    add.unwrap().unwrap();
    (folder, Arc::new(hub))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Pushes a blob as a client does.
async fn push(hub: &Arc<Hub>, repository: &str, bytes: &'static [u8]) -> Digest {
    let (id, digest) = (UploadId::random(), Digest::of(bytes));
    let storage = hub.storage.as_ref();
    let incoming = Incoming {
        offset: 0,
        body: Body::from(bytes),
        algorithm: Algorithm::Sha256,
        length: None,
        idle: hub.patience.idle,
        then: Then::EndOrNothing,
    };
    let taken = hub.uploads.append(storage, &id, incoming).await.unwrap();
    let whole = Whole {
        id: &id,
        size_bytes: taken.offset,
        then: Then::EndOrNothing,
    };
    let stored = intake::store(hub, &name(repository), whole, &digest).await;
    stored.unwrap();
    digest
}

async fn id(hub: &Hub, repository: &str) -> i64 {
    let name = name(repository);
    let read = hub
        .database
        .read(move |tx| rules_of::by_name(tx, &name))
        .await;
    read.unwrap().unwrap().id
}

/// The bytes that a repository has for a digest.
async fn bytes(hub: &Hub, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
    let (id, digest) = (id(hub, repository).await, digest.clone());
    let read = hub.database.read(move |tx| blobs::find(tx, id, &digest));
    let blob = read.await.unwrap()?;
    let body = hub.storage.read(&blob.object, 0, blob.size_bytes);
    let body = body.await.unwrap();
    Some(to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

async fn objects_there(hub: &Hub) -> usize {
    hub.storage.list().await.unwrap().0.len()
}

/// All reviews are due, and nothing is left alone for its youth.
async fn collect(hub: &Hub) {
    let write = hub.database.write(Durability::Lazy, |tx| {
        tx.execute("UPDATE repository_reviews SET due_us = 0", &[])?;
        tx.execute("UPDATE blob_reviews SET due_us = 0", &[])
    });
    write.await.unwrap();
    round(hub, 0).await.unwrap();
}

#[tokio::test]
async fn what_nothing_needs_goes_and_what_is_needed_stays() {
    let (_folder, hub) = open();
    let config = push(&hub, "ship/app", b"{}").await;
    let loose = push(&hub, "ship/app", b"loose").await;
    let manifest = Manifest::new(
        Descriptor::new("application/x", config.clone(), 2),
        Vec::new(),
    );
    let content = serde_json::to_vec(&manifest).unwrap();
    let digest = Digest::of(&content);
    let pushed = Pushed {
        digest: digest.clone(),
        media_type: manifest.media_type().to_owned(),
        document: Document::Manifest(manifest),
        content,
        platform: None,
    };
    let app = id(&hub, "ship/app").await;
    let write = hub.database.write(Durability::Durable, move |tx| {
        assert_eq!(manifests::missing(tx, app, &pushed)?, None);
        manifests::put(tx, app, &pushed, &["1".to_owned()])
    });
    write.await.unwrap();

    // A client sends blobs before the manifest: the young are left alone.
    round(&hub, reviews::GRACE_US).await.unwrap();
    assert_eq!(objects_there(&hub).await, 2);
    collect(&hub).await;
    assert_eq!(objects_there(&hub).await, 1);
    assert_eq!(bytes(&hub, "ship/app", &loose).await, None);
    assert_eq!(bytes(&hub, "ship/app", &config).await.unwrap(), b"{}");
    let (needed, removed) = (config.clone(), digest);
    let write = hub.database.write(Durability::Durable, move |tx| {
        assert_eq!(blobs::unlink(tx, app, &needed)?, Unlinked::Needed);
        manifests::remove(tx, app, &removed)
    });
    assert_eq!(write.await.unwrap(), Removed::Gone(vec!["1".to_owned()]));
    collect(&hub).await;
    assert_eq!(objects_there(&hub).await, 0);
}

#[tokio::test]
async fn what_another_repository_has_stays() {
    let (_folder, hub) = open();
    let digest = push(&hub, "ship/one", b"shared").await;
    push(&hub, "ship/two", b"shared").await;
    assert_eq!(objects_there(&hub).await, 1);
    let one = id(&hub, "ship/one").await;
    let write = hub
        .database
        .write(Durability::Durable, move |tx| rules_of::remove(tx, one));
    write.await.unwrap();
    round(&hub, reviews::GRACE_US).await.unwrap();
    assert_eq!(bytes(&hub, "ship/two", &digest).await.unwrap(), b"shared");
    collect(&hub).await;
    assert_eq!(objects_there(&hub).await, 0);
}

#[tokio::test]
async fn a_push_beside_collection_makes_an_object_of_its_own() {
    let (_folder, hub) = open();
    let digest = push(&hub, "ship/app", b"again").await;
    let app = id(&hub, "ship/app").await;
    let unlinked = digest.clone();
    let write = hub.database.write(Durability::Durable, move |tx| {
        blobs::unlink(tx, app, &unlinked)?;
        // The record goes; the object is still there.
        reviews::look_at_blob(tx, &unlinked)
    });
    assert!(write.await.unwrap());
    push(&hub, "ship/app", b"again").await;
    assert_eq!(objects_there(&hub).await, 2);
    while objects(&hub).await.unwrap() {}
    assert_eq!(objects_there(&hub).await, 1);
    assert_eq!(bytes(&hub, "ship/app", &digest).await.unwrap(), b"again");
}

#[tokio::test]
async fn many_pushes_of_one_blob_leave_one_object() {
    let (_folder, hub) = open();
    let pushes: Vec<_> = (0..16)
        .map(|_| {
            let hub = Arc::clone(&hub);
            tokio::spawn(async move { push(&hub, "ship/app", b"the same").await })
        })
        .collect();
    for one in pushes {
        one.await.unwrap();
    }
    while objects(&hub).await.unwrap() {}
    assert_eq!(objects_there(&hub).await, 1);
    let digest = Digest::of(b"the same");
    assert_eq!(bytes(&hub, "ship/app", &digest).await.unwrap(), b"the same");
}
