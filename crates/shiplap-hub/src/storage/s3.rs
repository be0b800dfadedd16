//! Blobs in a bucket of a store that speaks S3's protocol, for any number of hubs.
//!
//! An upload is a multipart upload of the object that it becomes, whose name needs no digest:
//! `blobs/upload/<ab>/<id>`. How far it is, its parts and the state of its hash are in the database
//! (`records::transfers`), so any replica goes on with it. The store wants parts of some megabytes;
//! what came behind the last one when a request ended lies in an object of its own,
//! `uploads/<id>.0` or `.1` in turn, until the next request, or the end, takes it up.
//!
//! The store answers when bytes are safe; nothing is acknowledged before. Never overwrites an object
//! that a record names: uploads have their turns (`crate::upload`), and one that ended is no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload};
use shiplap_model::Digest;
use tokio::sync::Semaphore;

use super::{Listed, Object, Pending, Progress, Sink, Storage, StorageError, UploadId};
use crate::database::{Database, DatabaseError, Durability};
use crate::lock::lock;
use crate::records::transfers::{self, Transfer};

mod bucket;
mod sink;

pub use self::bucket::{Bucket, BucketError};
use self::sink::Writing;

/// How long a link is good: a client follows it at once, and its transfer may last longer.
const LINK: Duration = Duration::from_secs(10 * 60);

/// Bytes of parts on their way, in MiB, for all uploads together: one that has not its part's memory
/// waits.
const MEMORY_MIB: u32 = 512;

/// Ends of uploads that are kept in memory though the store has them.
const HELD: usize = 64;

/// Idle uploads that are told of at once.
const IDLE: u64 = 256;

/// What is kept in memory of an upload whose request is ending: what came behind its last part.
#[derive(Clone)]
struct Held {
    /// The version of the transfer that it follows.
    version: u64,
    /// How long the upload is with it.
    offset: u64,
    pieces: Vec<Bytes>,
    /// Whether the store has them, too.
    is_stored: bool,
    /// Whether the object is made.
    is_object: bool,
}

/// What is shared by all uploads.
struct Inner {
    client: AmazonS3,
    place: String,
    prefix: String,
    database: Database,
    held: Mutex<HashMap<UploadId, Held>>,
    memory: Arc<Semaphore>,
}

/// The bucket.
pub struct S3(Arc<Inner>);

impl S3 {
    /// A client of the bucket; uploads are noted in the database. Asks nothing yet.
    ///
    /// # Errors
    /// [`BucketError`].
    pub fn open(bucket: &Bucket, database: Database) -> Result<Self, BucketError> {
        Ok(Self(Arc::new(Inner {
            client: bucket.client()?,
            place: bucket.place(),
            prefix: bucket.prefix.clone(),
            database,
            held: Mutex::default(),
            memory: Arc::new(Semaphore::new(MEMORY_MIB as usize)),
        })))
    }
}

impl Inner {
    fn path(&self, name: &str) -> Path {
        if self.prefix.is_empty() {
            return Path::from(name);
        }
        Path::from(format!("{}/{name}", self.prefix))
    }

    fn object(&self, object: &Object) -> Path {
        self.path(&format!("blobs/{object}"))
    }

    /// Where the tail of an upload lies, at this version of it.
    fn tail(&self, id: &UploadId, version: u64) -> Path {
        self.path(&format!("uploads/{}.{}", id.as_str(), version % 2))
    }

    fn failed(
        &self,
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(object_store::Error) -> StorageError + use<> {
        let (place, name) = (self.place.clone(), path.to_string());
        move |error| match error {
            object_store::Error::NotFound { .. } => StorageError::Absent { name },
            error => StorageError::Unavailable {
                action,
                place: format!("{name} of {place}"),
                message: error.to_string(),
            },
        }
    }

    async fn transfer(&self, id: &UploadId) -> Result<Transfer, StorageError> {
        let wanted = id.clone();
        let read = self
            .database
            .read(move |tx| transfers::find(tx, &wanted).map_err(StorageError::from));
        read.await
    }

    /// Notes how far an upload is.
    async fn advance(
        &self,
        id: &UploadId,
        to: &Transfer,
        part: Option<String>,
    ) -> Result<(), StorageError> {
        let (of, to) = (id.clone(), to.clone());
        let write = self.database.write(Durability::Durable, move |tx| {
            transfers::advance(tx, &of, &to, part.as_deref())
        });
        if write.await? {
            return Ok(());
        }
        Err(StorageError::Overtaken {
            name: id.as_str().to_owned(),
        })
    }

    fn held(&self, id: &UploadId) -> Option<Held> {
        lock(&self.held).get(id).cloned()
    }

    fn hold(&self, id: &UploadId, new: Held) {
        let mut held = lock(&self.held);
        if new.is_stored && held.len() >= HELD {
            held.retain(|_, one| !one.is_stored);
        }
        held.insert(id.clone(), new);
    }

    async fn put(&self, path: &Path, payload: PutPayload) -> Result<(), StorageError> {
        let put = self.client.put(path, payload).await;
        put.map_err(self.failed("write", path)).map(|_| ())
    }

    /// What lies behind the last part, from the memory or the store.
    async fn tail_bytes(
        &self,
        id: &UploadId,
        transfer: &Transfer,
    ) -> Result<Vec<Bytes>, StorageError> {
        match self.held(id) {
            Some(held) if held.version == transfer.version => return Ok(held.pieces),
            _ if transfer.tail_bytes == 0 => return Ok(Vec::new()),
            _ => {}
        }
        let path = self.tail(id, transfer.version);
        let fail = || self.failed("read", &path);
        let found = self.client.get(&path).await.map_err(fail())?;
        let bytes = found.bytes().await.map_err(fail())?;
        if bytes.len() as u64 != transfer.tail_bytes {
            return Err(StorageError::Absent {
                name: path.to_string(),
            });
        }
        Ok(vec![bytes])
    }

    /// Makes the object; how long it is.
    async fn make(&self, id: &UploadId) -> Result<(Object, u64), StorageError> {
        let object = Object::of_upload(id);
        let transfer = self.transfer(id).await?;
        let held = self.held(id).filter(|it| it.version == transfer.version);
        let offset = held.as_ref().map_or(transfer.offset, |held| held.offset);
        if held.as_ref().is_some_and(|held| held.is_object) {
            return Ok((object, offset));
        }
        let path = self.object(&object);
        let tail = self.tail_bytes(id, &transfer).await?;
        match &transfer.multipart {
            None => self.put(&path, tail.iter().cloned().collect()).await?,
            Some(multipart) => {
                let part = |content_id: String| PartId { content_id };
                let mut parts: Vec<PartId> = transfer.parts.into_iter().map(part).collect();
                if tail.iter().any(|piece| !piece.is_empty()) {
                    let last = tail.iter().cloned().collect();
                    let put = self.client.put_part(&path, multipart, parts.len(), last);
                    parts.push(put.await.map_err(self.failed("write", &path))?);
                }
                let completed = self.client.complete_multipart(&path, multipart, parts);
                completed.await.map_err(self.failed("complete", &path))?;
            }
        }
        let held = Held {
            version: transfer.version,
            offset,
            pieces: tail,
            is_stored: false,
            is_object: true,
        };
        self.hold(id, held);
        Ok((object, offset))
    }

    async fn discard(&self, id: &UploadId) -> Result<(), StorageError> {
        let held = lock(&self.held).remove(id);
        let transfer = self.transfer(id).await?;
        if transfer.version == 0 && held.is_some() {
            // It came and went within one request.
            return Ok(());
        }
        if let Some(multipart) = &transfer.multipart {
            let path = self.object(&Object::of_upload(id));
            let is_object = held.is_some_and(|held| held.is_object);
            // One that became an object is no more; stores differ in how they say so.
            if !is_object
                && let Err(error) = self.client.abort_multipart(&path, multipart).await
                && self.client.head(&path).await.is_err()
            {
                gone(Err(self.failed("abort", &path)(error)))?;
            }
        }
        let tails = [self.tail(id, 0), self.tail(id, 1)];
        let (even, odd) = tokio::join!(self.remove(&tails[0]), self.remove(&tails[1]));
        even.and(odd)?;
        if transfer.version > 0 {
            let of = id.clone();
            let write = self
                .database
                .write(Durability::Lazy, move |tx| transfers::remove(tx, &of));
            write.await?;
        }
        Ok(())
    }

    async fn remove(&self, path: &Path) -> Result<(), StorageError> {
        let deleted = self.client.delete(path).await;
        gone(deleted.map_err(self.failed("remove", path)))
    }

    /// Objects below a folder, and folders.
    async fn entries(&self, folder: &Path) -> Result<object_store::ListResult, StorageError> {
        let listed = self.client.list_with_delimiter(Some(folder)).await;
        listed.map_err(self.failed("list", folder))
    }

    async fn list(&self) -> Result<(Vec<Listed>, Vec<String>), StorageError> {
        let root = self.path("blobs");
        let (mut objects, mut strange) = (Vec::new(), Vec::new());
        let mut folders = vec![root.clone()];
        let now = jiff::Timestamp::now().as_second();
        while let Some(folder) = folders.pop() {
            let entries = self.entries(&folder).await?;
            folders.extend(entries.common_prefixes);
            for found in entries.objects {
                let whole = found.location.as_ref();
                let name = whole.strip_prefix(root.as_ref()).unwrap_or(whole);
                let name = name.trim_start_matches('/');
                let Ok(object) = name.parse() else {
                    strange.push(name.to_owned());
                    continue;
                };
                let seconds = now.saturating_sub(found.last_modified.timestamp());
                objects.push(Listed {
                    object,
                    size_bytes: found.size,
                    age: Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
                });
            }
        }
        Ok((objects, strange))
    }
}

/// What is not there is gone already.
fn gone(outcome: Result<(), StorageError>) -> Result<(), StorageError> {
    match outcome {
        Err(StorageError::Absent { .. }) => Ok(()),
        outcome => outcome,
    }
}

impl Storage for S3 {
    fn open_upload<'a>(&'a self, id: &'a UploadId, offset: u64) -> Pending<'a, Box<dyn Sink>> {
        Box::pin(async move {
            let sink = Writing::open(Arc::clone(&self.0), id.clone(), offset).await?;
            let sink: Box<dyn Sink> = Box::new(sink);
            Ok(sink)
        })
    }

    fn progress<'a>(&'a self, id: &'a UploadId) -> Pending<'a, Progress> {
        Box::pin(async move {
            let transfer = self.0.transfer(id).await?;
            Ok(Progress {
                offset: transfer.offset,
                hash: (transfer.version > 0).then_some(transfer.hash),
            })
        })
    }

    fn read_upload<'a>(&'a self, id: &'a UploadId) -> Pending<'a, Body> {
        Box::pin(async move {
            let (object, offset) = self.0.make(id).await?;
            self.read(&object, 0, offset).await
        })
    }

    fn complete<'a>(&'a self, id: &'a UploadId, _: &'a Digest) -> Pending<'a, Object> {
        Box::pin(async move { self.0.make(id).await.map(|(object, _)| object) })
    }

    fn discard<'a>(&'a self, id: &'a UploadId) -> Pending<'a, ()> {
        Box::pin(self.0.discard(id))
    }

    fn read<'a>(&'a self, object: &'a Object, start: u64, length: u64) -> Pending<'a, Body> {
        Box::pin(async move {
            if length == 0 {
                return Ok(Body::empty());
            }
            let path = self.0.object(object);
            let options = GetOptions {
                range: Some(GetRange::Bounded(start..start.saturating_add(length))),
                ..GetOptions::default()
            };
            let found = self.0.client.get_opts(&path, options).await;
            let found = found.map_err(self.0.failed("read", &path))?;
            Ok(Body::from_stream(found.into_stream()))
        })
    }

    fn link<'a>(&'a self, object: &'a Object) -> Pending<'a, Option<String>> {
        Box::pin(async move {
            let path = self.0.object(object);
            let signed = self
                .0
                .client
                .signed_url(axum::http::Method::GET, &path, LINK);
            let signed = signed
                .await
                .map_err(self.0.failed("sign a link to", &path))?;
            Ok(Some(signed.into()))
        })
    }

    fn remove<'a>(&'a self, object: &'a Object) -> Pending<'a, ()> {
        Box::pin(async move {
            let path = self.0.object(object);
            self.0.remove(&path).await
        })
    }

    fn list(&self) -> Pending<'_, (Vec<Listed>, Vec<String>)> {
        Box::pin(self.0.list())
    }

    fn list_uploads(&self, idle: Duration) -> Pending<'_, Vec<UploadId>> {
        Box::pin(async move {
            let idle_us = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
            let before = crate::records::now_us().saturating_sub(idle_us);
            let read = self
                .0
                .database
                .read(move |tx| transfers::idle(tx, before, IDLE));
            let found: Result<_, DatabaseError> = read.await;
            Ok(found?)
        })
    }
}

#[cfg(test)]
mod tests;
