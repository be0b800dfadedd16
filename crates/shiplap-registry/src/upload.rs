//! Blobs pushed: mounted, in one piece, in chunks, or streamed (distribution specification,
//! "Pushing blobs").

use std::io::{self, Cursor, Read};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, StatusCode};
use shiplap_model::digest::{Digest, DigestError, Hasher};
use shiplap_model::reference::Repository;
use url::{Url, form_urlencoded};

use crate::answer::Answer;
use crate::authorization::Scopes;
use crate::client::Client;
use crate::error::{Error, Item, ProtocolFault, Target};
use crate::exchange::{self, Exchange};
use crate::place::Place;
use crate::transport::{Address, Payload, Request};

mod parts;
mod stream;
mod whole;

const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Up to this length a blob is sent in one piece, and again as a whole if that fails, in bytes.
const WHOLE_BYTES: u64 = 8 << 20;

/// Content to push that can be read again from any offset.
pub trait UploadSource {
    /// A reader from byte `offset` to the end.
    ///
    /// # Errors
    /// Whatever opening it gives.
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>>;
}

impl UploadSource for Vec<u8> {
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..))
            .unwrap_or_default();
        Ok(Box::new(Cursor::new(rest)))
    }
}

impl<F: Fn(u64) -> io::Result<Box<dyn Read>>> UploadSource for F {
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        self(offset)
    }
}

/// How known content is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UploadMode {
    /// In one piece if small; else streamed, and resumed where it broke.
    #[default]
    Auto,
    /// One `POST` with the content; a `PUT` after it where the registry doesn't take that.
    SinglePost,
    /// `POST`, then the content in one `PUT`.
    Monolithic,
    /// `PATCH`es of this many bytes (or the registry's minimum, if more); streamed in one where
    /// the registry doesn't take chunks.
    Chunked {
        /// Length of a chunk, in bytes.
        bytes: u64,
    },
}

/// What was sent by [`Client::upload_stream`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Its digest.
    pub digest: Digest,
    /// Its length, in bytes.
    pub size_bytes: u64,
}

impl Client {
    /// Asks the registry to take a blob from another of its repositories. `false` if it doesn't:
    /// upload it then.
    ///
    /// # Errors
    /// [`Error`].
    pub fn mount(
        &self,
        to: &Repository,
        from: &Repository,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let exchange = self.exchange();
        self.run(async {
            let place = exchange.own_place(to)?;
            let source = exchange.own_place(from)?;
            if place.host != source.host {
                return Ok(false);
            }
            let scopes = push_scopes(&place).and_repository(&source.repository, &["pull"]);
            let mut query = form_urlencoded::Serializer::new(String::new());
            query
                .append_pair("mount", digest.as_str())
                .append_pair("from", &source.repository);
            let path = format!("/v2/{}/blobs/uploads/?{}", place.repository, query.finish());
            let request = exchange::request(&place, Method::POST, path, Item::Blob(digest.clone()));
            let answer = exchange.send(&request, &Bytes::new(), &scopes).await?;
            match answer.status() {
                StatusCode::CREATED => Ok(true),
                // An upload was begun instead, or the source may not be read: no mount.
                StatusCode::ACCEPTED => {
                    Upload::begun(place, &answer)?.cancel(exchange).await;
                    Ok(false)
                }
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
                _ => Err(answer.refusal().await),
            }
        })
    }

    /// Pushes a blob of known digest and size.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] if the content can't be read or has another length.
    pub fn upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        size_bytes: u64,
        source: &dyn UploadSource,
        mode: UploadMode,
    ) -> Result<(), Error> {
        let place = self.exchange().own_place(repository)?;
        let content = Content {
            digest,
            size_bytes,
            source,
        };
        match mode {
            UploadMode::Auto if size_bytes <= WHOLE_BYTES => whole::put(self, &place, &content),
            UploadMode::SinglePost => whole::post(self, place, &content),
            UploadMode::Monolithic => whole::put(self, &place, &content),
            UploadMode::Auto => parts::push(self, &place, &content, None),
            UploadMode::Chunked { bytes } => {
                parts::push(self, &place, &content, Some(bytes.max(1)))
            }
        }
    }

    /// Pushes a blob whose length and digest are known only at its end. Not repeated once bytes
    /// have flowed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn upload_stream(
        &self,
        repository: &Repository,
        content: &mut dyn Read,
    ) -> Result<Uploaded, Error> {
        let exchange = self.exchange();
        let place = exchange.own_place(repository)?;
        let mut upload = self.run(Upload::begin(exchange, &place))?;
        let mut hashing = Hashing {
            content,
            hasher: Hasher::default(),
            size_bytes: 0,
        };
        let mut request = upload.request(Method::PATCH, None)?;
        request.headers.insert(CONTENT_TYPE, OCTETS);
        let sent = stream::send(self, &request, &push_scopes(&place), &mut hashing, None);
        let Hashing {
            hasher, size_bytes, ..
        } = hashing;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                // The error that stopped the push is the one to tell.
                let _cancelled = self.run(async {
                    upload.cancel(exchange).await;
                    Ok(())
                });
                return Err(error);
            }
        };
        let digest = hasher.finish();
        self.run(async {
            let answer = answer.success().await?;
            if upload
                .received(&answer)
                .is_some_and(|received| received != size_bytes && size_bytes > 1)
            {
                return Err(answer.fault(ProtocolFault::Range));
            }
            upload.moved(&answer)?;
            upload.commit(exchange, &digest).await
        })?;
        Ok(Uploaded { digest, size_bytes })
    }
}

/// Counts and hashes what passes.
struct Hashing<'a> {
    content: &'a mut dyn Read,
    hasher: Hasher,
    size_bytes: u64,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.size_bytes += count as u64;
        Ok(count)
    }
}

/// What is to be pushed.
struct Content<'a> {
    digest: &'a Digest,
    size_bytes: u64,
    source: &'a dyn UploadSource,
}

impl Content<'_> {
    fn open_at(&self, offset: u64, target: &Target) -> Result<Box<dyn Read + '_>, Error> {
        self.source.open_at(offset).map_err(|source| Error::Source {
            target: Box::new(target.clone()),
            source,
        })
    }
}

/// An upload that a registry has begun.
struct Upload {
    place: Place,
    location: Url,
    /// Smallest chunk that the registry takes, in bytes.
    chunk_min_bytes: u64,
}

impl Upload {
    async fn begin(exchange: &Exchange, place: &Place) -> Result<Self, Error> {
        let path = format!("/v2/{}/blobs/uploads/", place.repository);
        let request = exchange::request(place, Method::POST, path, Item::Upload);
        let answer = exchange
            .send(&request, &Bytes::new(), &push_scopes(place))
            .await?
            .success()
            .await?;
        Self::begun(place.clone(), &answer)
    }

    fn begun(place: Place, answer: &Answer) -> Result<Self, Error> {
        let chunk_min = answer
            .header(&CHUNK_MIN_LENGTH)
            .and_then(|length| length.trim().parse().ok());
        let location = located(&place, answer, &answer.url)?;
        Ok(Self {
            place,
            location,
            chunk_min_bytes: chunk_min.unwrap_or_default(),
        })
    }

    /// Takes the location of the next request, if the answer names one.
    fn moved(&mut self, answer: &Answer) -> Result<(), Error> {
        if answer.headers().contains_key(LOCATION) {
            self.location = located(&self.place, answer, &self.location)?;
        }
        Ok(())
    }

    /// How many bytes the registry says it has. `0-0` is said of none as well as of one byte.
    fn received(&self, answer: &Answer) -> Option<u64> {
        let range = answer.header(&RANGE)?.trim();
        let range = range.strip_prefix("bytes=").unwrap_or(range);
        let (start, end) = range.split_once('-')?;
        let end: u64 = end.trim().parse().ok()?;
        match (start.trim(), end) {
            ("0", 0) => Some(0),
            ("0", end) => end.checked_add(1),
            _ => None,
        }
    }

    fn request(&self, method: Method, digest: Option<&Digest>) -> Result<Request, Error> {
        let item = digest.map_or(Item::Upload, |digest| Item::Blob(digest.clone()));
        let mut request = exchange::request(&self.place, method, String::new(), item);
        let mut location = self.location.clone();
        if let Some(digest) = digest {
            location
                .query_pairs_mut()
                .append_pair("digest", digest.as_str());
        }
        request.address = Address::Given(location);
        Ok(request)
    }

    /// Ends an upload whose bytes are all there.
    async fn commit(&self, exchange: &Exchange, digest: &Digest) -> Result<(), Error> {
        let request = self.request(Method::PUT, Some(digest))?;
        let answer = exchange
            .send(&request, &Bytes::new(), &push_scopes(&self.place))
            .await?;
        taken(answer, digest).await
    }

    /// Tells the registry to forget the upload, once: it forgets by itself in the end.
    async fn cancel(&self, exchange: &Exchange) {
        let Ok(request) = self.request(Method::DELETE, None) else {
            return;
        };
        let authorization = exchange
            .authorization(&self.place, &push_scopes(&self.place))
            .await
            .ok()
            .flatten();
        let payload = Payload::Bytes(Bytes::new());
        let _forgotten = exchange
            .transport
            .send(&request, payload, authorization.as_ref())
            .await;
    }
}

/// Where an answer says to go on: relative or absolute. Behind a proxy that ends TLS, registries
/// name themselves by http; they are still asked by https.
fn located(place: &Place, answer: &Answer, base: &Url) -> Result<Url, Error> {
    let location = answer
        .header(&LOCATION)
        .and_then(|location| base.join(location).ok());
    let mut location = location.ok_or_else(|| answer.fault(ProtocolFault::Location))?;
    let same_host = location.host() == base.host();
    if base.scheme() == "https" && location.scheme() == "http" && same_host {
        let port = location.port().filter(|port| *port != 80);
        let secured = location
            .set_scheme("https")
            .and_then(|()| location.set_port(port));
        secured.map_err(|()| answer.fault(ProtocolFault::Location))?;
    }
    let downgrade = base.scheme() == "https" && location.scheme() == "http" && place.verified;
    if !matches!(location.scheme(), "http" | "https")
        || downgrade
        || !location.username().is_empty()
    {
        let host = location.host_str().unwrap_or_default().to_owned();
        let scheme = location.scheme().to_owned();
        return Err(answer.fault(ProtocolFault::RedirectScheme { host, scheme }));
    }
    Ok(location)
}

/// Checks the answer to the last request of an upload.
async fn taken(answer: Answer, digest: &Digest) -> Result<(), Error> {
    let answer = answer.success().await?;
    if answer.status() == StatusCode::ACCEPTED {
        return Err(answer.fault(ProtocolFault::Status(202)));
    }
    match answer.digest() {
        Some(actual) if actual != *digest && actual.algorithm_name() == digest.algorithm_name() => {
            let expected = digest.clone();
            Err(Error::Content {
                target: answer.target,
                source: DigestError::Mismatch { expected, actual },
            })
        }
        _ => Ok(()),
    }
}

fn push_scopes(place: &Place) -> Scopes {
    Scopes::repository(&place.repository, &["pull", "push"])
}
