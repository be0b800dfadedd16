//! One upload, open for more: what comes is collected until it is a part.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::multipart::MultipartStore as _;
use tokio::sync::OwnedSemaphorePermit;

use super::{Held, Inner};
use crate::records::transfers::Transfer;
use crate::storage::{Next, Object, Pending, Sink, StorageError, UploadId};

/// Size of the first parts, in MiB. The store wants five at least, and some stores want them equal.
const PART_MIB: usize = 8;

/// After how many parts they get longer: the store takes 10,000, and a blob may have a terabyte.
const LONGER_AFTER: usize = 2_500;

/// What may be collected without memory having been asked for: small blobs never wait.
const FREE: usize = 1 << 20;

/// How long an upload waits for memory that others have.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many MiB a part has, by its number from 0.
fn part_mib(number: usize) -> usize {
    PART_MIB << (2 * (number / LONGER_AFTER).min(3))
}

/// An upload, open for more.
pub(super) struct Writing {
    inner: Arc<Inner>,
    id: UploadId,
    /// As the database has it.
    transfer: Transfer,
    /// What came behind the last part.
    pieces: Vec<Bytes>,
    bytes: usize,
    memory: Option<OwnedSemaphorePermit>,
}

impl Writing {
    pub(super) async fn open(
        inner: Arc<Inner>,
        id: UploadId,
        offset: u64,
    ) -> Result<Self, StorageError> {
        let transfer = inner.transfer(&id).await?;
        if transfer.offset != offset {
            return Err(StorageError::Overtaken {
                name: id.as_str().to_owned(),
            });
        }
        let is_stale = inner
            .held(&id)
            .is_some_and(|held| held.offset != transfer.offset);
        if is_stale {
            // Of a request that failed after it; its client sends it again.
            super::lock(&inner.held).remove(&id);
        }
        let pieces = inner.tail_bytes(&id, &transfer).await?;
        let bytes = pieces.iter().map(Bytes::len).sum();
        Ok(Self {
            inner,
            id,
            transfer,
            pieces,
            bytes,
            memory: None,
        })
    }

    fn part_bytes(&self) -> usize {
        part_mib(self.transfer.parts.len()) << 20
    }

    /// Bytes of all parts.
    fn of_parts(&self) -> u64 {
        self.transfer.offset - self.transfer.tail_bytes
    }

    async fn reserve(&mut self) -> Result<(), StorageError> {
        if self.memory.is_some() || self.bytes <= FREE {
            return Ok(());
        }
        let mib = part_mib(self.transfer.parts.len()).min(super::MEMORY_MIB as usize);
        let mib = u32::try_from(mib).unwrap_or(super::MEMORY_MIB);
        let memory = Arc::clone(&self.inner.memory).acquire_many_owned(mib);
        let Ok(Ok(memory)) = tokio::time::timeout(PATIENCE, memory).await else {
            return Err(StorageError::Unavailable {
                action: "take more for",
                place: format!("the upload {}", self.id.as_str()),
                message: "too many uploads are under way".to_owned(),
            });
        };
        self.memory = Some(memory);
        Ok(())
    }

    /// Stores a whole part.
    async fn part(&mut self, hash: &[u8]) -> Result<(), StorageError> {
        let path = self.inner.object(&Object::of_upload(&self.id));
        let multipart = match &self.transfer.multipart {
            Some(multipart) => multipart.clone(),
            None => {
                let begun = self.inner.client.create_multipart(&path).await;
                let begun = begun.map_err(self.inner.failed("begin", &path))?;
                // Noted first: what is stored from now on can be found and aborted.
                let mut to = self.transfer.clone();
                to.multipart = Some(begun.clone());
                self.keep_tail(&mut to).await?;
                self.inner.advance(&self.id, &to, None).await?;
                self.transfer = to;
                begun
            }
        };
        let number = self.transfer.parts.len();
        let payload = self.pieces.iter().cloned().collect();
        let put = self
            .inner
            .client
            .put_part(&path, &multipart, number, payload);
        let part = put.await.map_err(self.inner.failed("write", &path))?;
        let mut to = self.transfer.clone();
        to.version += 1;
        to.offset = self.of_parts() + self.bytes as u64;
        to.hash = hash.to_vec();
        to.tail_bytes = 0;
        self.inner
            .advance(&self.id, &to, Some(part.content_id.clone()))
            .await?;
        to.parts.push(part.content_id);
        self.transfer = to;
        self.pieces.clear();
        self.bytes = 0;
        self.memory = None;
        Ok(())
    }

    /// Counts a change that leaves the tail as it is: it lies under the name of its version.
    async fn keep_tail(&self, to: &mut Transfer) -> Result<(), StorageError> {
        to.version += 1;
        if to.tail_bytes == 0 {
            return Ok(());
        }
        let (from, path) = (
            self.inner.tail(&self.id, self.transfer.version),
            self.inner.tail(&self.id, to.version),
        );
        let copied = self.inner.client.copy(&from, &path).await;
        copied.map_err(self.inner.failed("copy", &from))
    }

    /// Stores what came behind the last part, for whichever replica gets the next request.
    async fn tail(&mut self, hash: &[u8]) -> Result<(), StorageError> {
        let offset = self.of_parts() + self.bytes as u64;
        if offset == self.transfer.offset {
            return Ok(());
        }
        let mut to = self.transfer.clone();
        to.version += 1;
        to.offset = offset;
        to.hash = hash.to_vec();
        to.tail_bytes = self.bytes as u64;
        let path = self.inner.tail(&self.id, to.version);
        let payload = self.pieces.iter().cloned().collect();
        self.inner.put(&path, payload).await?;
        self.inner.advance(&self.id, &to, None).await?;
        self.transfer = to;
        Ok(())
    }
}

impl Sink for Writing {
    fn room(&self) -> Option<usize> {
        Some(self.part_bytes().saturating_sub(self.bytes))
    }

    fn write(&mut self, pieces: Vec<Bytes>) -> Pending<'_, ()> {
        Box::pin(async move {
            self.bytes += pieces.iter().map(Bytes::len).sum::<usize>();
            self.pieces.extend(pieces);
            self.reserve().await
        })
    }

    fn keep<'a>(&'a mut self, hash: &'a [u8], next: Next) -> Pending<'a, ()> {
        Box::pin(async move {
            match next {
                Next::More if self.bytes < self.part_bytes() => return Ok(()),
                Next::More => return self.part(hash).await,
                Next::Request => self.tail(hash).await?,
                Next::Completion => {}
            }
            // The end mostly comes here, too, and at once.
            let held = Held {
                version: self.transfer.version,
                offset: self.of_parts() + self.bytes as u64,
                pieces: std::mem::take(&mut self.pieces),
                is_stored: next == Next::Request,
                is_object: false,
            };
            if next == Next::Completion || self.bytes <= FREE {
                self.inner.hold(&self.id, held);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_enough_for_the_longest_blob() {
        let whole: u64 = (0..10_000)
            .map(|number| (part_mib(number) as u64) << 20)
            .sum();
        assert!(whole > shiplap_model::limits::LAYER_BYTES);
        assert_eq!(part_mib(0), part_mib(LONGER_AFTER - 1));
    }
}
