//! Blobs read: verified, resumed where the connection broke (distribution specification,
//! "Pulling blobs"; ranges by RFC 9110 section 14).
//!
//! A task reads ahead, the caller's thread hashes. What has been handed out is never asked for
//! again, whichever place goes on.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE,
};
use reqwest::{Method, StatusCode};
use shiplap_model::digest::{Digest, DigestError, VerifyingReader};
use shiplap_model::reference::Repository;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::answer::{Answer, Failure};
use crate::authorization::Scopes;
use crate::client::Client;
use crate::error::{Error, Item, ProtocolFault, Target};
use crate::exchange::{self, Exchange};
use crate::place::Place;
use crate::retry;
use crate::settings::Warning;
use crate::transport::{Redirects, Request};

/// Chunks read ahead; one has up to some hundred KiB.
const READ_AHEAD: usize = 16;

/// Bytes after which a resumed blob counts as getting on.
const PROGRESS_BYTES: u64 = 1 << 20;

/// The bytes of a blob. Ends well only if length and digest are right; otherwise reading fails
/// with kind `InvalidData` holding a [`DigestError`], or another kind holding an [`Error`].
///
/// Must not be read by an async worker.
pub struct BlobReader {
    inner: VerifyingReader<Arriving>,
    /// Who gave bytes so far.
    hosts: Arc<Mutex<Vec<String>>>,
    digest: Digest,
    exchange: Arc<Exchange>,
    // Keeps the threads that carry the connection.
    _client: Client,
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let done = self.inner.read(buffer);
        if let Err(error) = &done
            && error
                .get_ref()
                .is_some_and(<dyn StdError + Send + Sync>::is::<DigestError>)
        {
            for host in self
                .hosts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
            {
                self.exchange.distrust(host, &self.digest);
            }
        }
        done
    }
}

/// The chunks as they come, unverified.
struct Arriving {
    chunks: mpsc::Receiver<Result<Piece, Error>>,
    current: Bytes,
    hosts: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

enum Piece {
    Host(String),
    Bytes(Bytes),
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(Ok(Piece::Host(host))) => {
                    self.hosts
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(host);
                }
                Some(Ok(Piece::Bytes(bytes))) => self.current = bytes,
                Some(Err(Error::Content { source, .. })) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, source));
                }
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Opens a blob of `size_bytes`. If the content turns out wrong, a mirror that gave it is
    /// passed over when the blob is opened again.
    ///
    /// # Errors
    /// [`Error`]; [`Error::NotFound`] if no place has it.
    pub fn open_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size_bytes: u64,
    ) -> Result<BlobReader, Error> {
        let exchange = self.exchange().clone();
        let registry = repository.registry();
        let places = exchange.places(repository, Some(digest))?;
        let item = Item::Blob(digest.clone());
        let target = places.last().map(|place| exchange::target(place, item));
        let handle = self.handle()?;
        let (download, answer) = handle.block_on(async {
            let mut rest: VecDeque<Place> = places.iter().cloned().collect();
            let ask = async |place: &Place| {
                rest.pop_front();
                let mut download = Download {
                    exchange: exchange.clone(),
                    registry: registry.to_owned(),
                    place: place.clone(),
                    rest: rest.clone(),
                    digest: digest.clone(),
                    size_bytes,
                    etag: None,
                    ranges: true,
                    failures: 0,
                    resumed_at: 0,
                };
                let (answer, _) = download.fetch(0).await?;
                Ok((download, answer))
            };
            exchange.first_of(registry, &places, ask).await
        })?;
        let (sender, chunks) = mpsc::channel(READ_AHEAD);
        let task = handle.spawn(download.run(answer, sender)).abort_handle();
        let hosts = Arc::<Mutex<Vec<String>>>::default();
        let arriving = Arriving {
            chunks,
            current: Bytes::new(),
            hosts: hosts.clone(),
            task,
        };
        let inner =
            VerifyingReader::new(arriving, digest.clone(), size_bytes).map_err(|source| {
                match target {
                    Some(target) => Error::Content { target, source },
                    None => Error::Address(registry.to_owned()),
                }
            })?;
        Ok(BlobReader {
            inner,
            hosts,
            digest: digest.clone(),
            exchange,
            _client: self.clone(),
        })
    }

    /// Reads a small blob (a config) whole.
    ///
    /// # Errors
    /// [`Error`]; [`Error::TooLarge`] if `size_bytes` is more than `limit_bytes`.
    pub fn blob_bytes(
        &self,
        repository: &Repository,
        digest: &Digest,
        size_bytes: u64,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let exchange = self.exchange();
        let registry = repository.registry();
        let places = exchange.places(repository, Some(digest))?;
        self.run(async {
            let ask = async |place: &Place| {
                let request = request(place, Method::GET, digest);
                if size_bytes > limit_bytes {
                    return Err(Error::TooLarge {
                        target: request.target,
                        limit_bytes,
                    });
                }
                let scopes = Scopes::repository(&place.repository, &["pull"]);
                let answer = exchange
                    .send(&request, &Bytes::new(), &scopes)
                    .await?
                    .success()
                    .await?;
                let content = |source| Error::Content {
                    target: request.target.clone(),
                    source,
                };
                let bytes = match answer.body(size_bytes).await {
                    Err(Error::TooLarge { .. }) => {
                        let actual_bytes = size_bytes.saturating_add(1);
                        return Err(content(wrong_size(digest, size_bytes, actual_bytes)));
                    }
                    done => done?,
                };
                if bytes.len() as u64 != size_bytes {
                    return Err(content(wrong_size(digest, size_bytes, bytes.len() as u64)));
                }
                digest.verify(&bytes).map_err(content)?;
                Ok(bytes)
            };
            exchange.first_of(registry, &places, ask).await
        })
    }

    /// Whether the registry (not a mirror) has a blob: its size in bytes, 0 if it doesn't say.
    ///
    /// # Errors
    /// [`Error`]; never [`Error::NotFound`].
    pub fn blob_exists(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>, Error> {
        let exchange = self.exchange();
        self.run(async {
            let place = exchange.own_place(repository)?;
            let request = request(&place, Method::HEAD, digest);
            // Asked before a push mostly: one token does for both.
            let scopes = Scopes::repository(&place.repository, &["pull", "push"]);
            let answer = exchange.send(&request, &Bytes::new(), &scopes).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let answer = answer.success().await?;
            let length = answer
                .header(&CONTENT_LENGTH)
                .and_then(|length| length.parse().ok());
            Ok(Some(length.unwrap_or_default()))
        })
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// [`Error`].
    pub fn delete_blob(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let exchange = self.exchange();
        self.run(async {
            let place = exchange.own_place(repository)?;
            let request = request(&place, Method::DELETE, digest);
            let scopes = Scopes::repository(&place.repository, &["delete", "pull"]);
            exchange
                .send(&request, &Bytes::new(), &scopes)
                .await?
                .success()
                .await?;
            Ok(())
        })
    }
}

fn request(place: &Place, method: Method, digest: &Digest) -> Request {
    let path = format!("/v2/{}/blobs/{digest}", place.repository);
    let mut request = exchange::request(place, method, path, Item::Blob(digest.clone()));
    request
        .headers
        .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request.redirects = Redirects::Any;
    request
}

fn wrong_size(digest: &Digest, expected_bytes: u64, actual_bytes: u64) -> DigestError {
    DigestError::Size {
        digest: digest.clone(),
        expected_bytes,
        actual_bytes,
    }
}

/// A blob on its way.
struct Download {
    exchange: Arc<Exchange>,
    registry: String,
    place: Place,
    rest: VecDeque<Place>,
    digest: Digest,
    size_bytes: u64,
    /// The strong validator of what was being read.
    etag: Option<HeaderValue>,
    /// Whether this place is still believed to serve ranges.
    ranges: bool,
    /// Failures since the blob last got on.
    failures: u32,
    resumed_at: u64,
}

impl Download {
    /// Reads to the end, whatever it takes. The receiver checks length and digest.
    async fn run(mut self, mut answer: Answer, sender: mpsc::Sender<Result<Piece, Error>>) {
        let mut offset = 0;
        let mut skip = 0;
        loop {
            if sender
                .send(Ok(Piece::Host(self.place.host.clone())))
                .await
                .is_err()
            {
                return;
            }
            let Some(cause) = self.read(&mut answer, &mut offset, skip, &sender).await else {
                return;
            };
            match self.resume(offset, cause).await {
                Ok(next) => (answer, skip) = next,
                Err(error) => {
                    // The receiver may be gone; then nobody wants to know.
                    let _gone = sender.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// Hands on what comes, but for the first `skip` bytes. `None` if that was all, or nobody
    /// wants more; else why it broke.
    async fn read(
        &self,
        answer: &mut Answer,
        offset: &mut u64,
        mut skip: u64,
        sender: &mpsc::Sender<Result<Piece, Error>>,
    ) -> Option<String> {
        loop {
            let next = tokio::time::timeout(answer.stall, answer.response.chunk()).await;
            let mut chunk = match next {
                Ok(Ok(Some(chunk))) => chunk,
                _ if *offset >= self.size_bytes => return None,
                Ok(Ok(None)) => return Some("the blob ended too early".to_owned()),
                Ok(Err(error)) => return Some(Failure::of(&error).cause),
                Err(_) => return Some(Failure::stalled().cause),
            };
            let skipped = usize::try_from(skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
            chunk.advance(skipped);
            skip -= skipped as u64;
            if chunk.is_empty() {
                continue;
            }
            *offset += chunk.len() as u64;
            if sender.send(Ok(Piece::Bytes(chunk))).await.is_err() || *offset > self.size_bytes {
                return None;
            }
        }
    }

    /// Asks again from `offset` on: this place as often as the settings allow, then the next.
    async fn resume(&mut self, offset: u64, cause: String) -> Result<(Answer, u64), Error> {
        let patience = self.exchange.settings().patience.clone();
        if offset - self.resumed_at >= PROGRESS_BYTES {
            self.failures = 0;
        }
        self.resumed_at = offset;
        let target = exchange::target(&self.place, Item::Blob(self.digest.clone()));
        let mut last = Error::Network {
            target,
            cause: cause.clone(),
            attempts: self.failures + 1,
        };
        loop {
            if self.failures >= patience.retries {
                self.next_place(&last)?;
            }
            let wait = retry::backoff(&patience, self.failures);
            self.failures += 1;
            let host = self.place.host.clone();
            self.exchange.warn(&Warning::Resume {
                host,
                offset_bytes: offset,
                cause: cause.clone(),
            });
            tokio::time::sleep(wait).await;
            match self.fetch(offset).await {
                Ok(answer) => return Ok(answer),
                Err(Error::Protocol {
                    fault: ProtocolFault::Range,
                    ..
                }) if self.ranges => self.ranges = false,
                Err(error) if self.place.mirror => {
                    self.failures = patience.retries;
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on with the next place, or fails with `last`.
    fn next_place(&mut self, last: &Error) -> Result<(), Error> {
        let Some(next) = self.rest.pop_front() else {
            let target = exchange::target(&self.place, Item::Blob(self.digest.clone()));
            return Err(Error::Network {
                target,
                cause: cause_of(last),
                attempts: self.failures + 1,
            });
        };
        self.exchange.warn(&Warning::Mirror {
            mirror: self.place.host.clone(),
            registry: self.registry.clone(),
            cause: last.to_string(),
        });
        self.place = next;
        self.etag = None;
        self.ranges = true;
        self.failures = 0;
        Ok(())
    }

    /// Asks the place for the blob from `offset` on. Also returns how many bytes to skip, if it
    /// sends all of it.
    async fn fetch(&mut self, offset: u64) -> Result<(Answer, u64), Error> {
        let mut request = request(&self.place, Method::GET, &self.digest);
        let ranged = offset > 0 && self.ranges;
        if ranged {
            if let Ok(range) = HeaderValue::try_from(format!("bytes={offset}-")) {
                request.headers.insert(RANGE, range);
            }
            if let Some(etag) = &self.etag {
                request.headers.insert(IF_RANGE, etag.clone());
            }
        }
        let scopes = Scopes::repository(&self.place.repository, &["pull"]);
        let answer = self.exchange.send(&request, &Bytes::new(), &scopes).await?;
        let status = answer.status();
        if ranged && status == StatusCode::PARTIAL_CONTENT {
            return match content_range(&answer) {
                Some((Some(start), total))
                    if start == offset && total.is_none_or(|all| all == self.size_bytes) =>
                {
                    Ok((answer, 0))
                }
                _ => Err(answer.fault(ProtocolFault::Range)),
            };
        }
        if ranged && status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(match content_range(&answer) {
                Some((_, Some(all))) if all != self.size_bytes => {
                    self.wrong_size(request.target, all)
                }
                _ => answer.fault(ProtocolFault::Range),
            });
        }
        let answer = answer.success().await?;
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            return Err(answer.fault(ProtocolFault::Range));
        }
        if let Some(length) = answer
            .response
            .content_length()
            .filter(|length| *length != self.size_bytes)
        {
            return Err(self.wrong_size(request.target, length));
        }
        let etag = answer.headers().get(ETAG);
        self.etag = etag
            .filter(|etag| etag.as_bytes().starts_with(b"\""))
            .cloned();
        Ok((answer, offset))
    }

    fn wrong_size(&self, target: Box<Target>, actual_bytes: u64) -> Error {
        Error::Content {
            target,
            source: wrong_size(&self.digest, self.size_bytes, actual_bytes),
        }
    }
}

fn cause_of(error: &Error) -> String {
    match error {
        Error::Network { cause, .. } | Error::Tls { cause, .. } => cause.clone(),
        other => other.to_string(),
    }
}

/// First byte and whole length by `Content-Range: bytes FIRST-LAST/ALL`.
fn content_range(answer: &Answer) -> Option<(Option<u64>, Option<u64>)> {
    let value = answer
        .header(&CONTENT_RANGE)?
        .trim()
        .strip_prefix("bytes")?
        .trim_start();
    let (range, all) = value.split_once('/')?;
    let start = range
        .split_once('-')
        .and_then(|(start, _)| start.trim().parse().ok());
    Some((start, all.trim().parse().ok()))
}
