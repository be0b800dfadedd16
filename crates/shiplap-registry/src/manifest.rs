//! Manifests and indexes: asked for, fetched, put, deleted (distribution specification, "Pulling
//! manifests", "Pushing Manifests").
//!
//! Bytes are kept as received and never parsed here.

use std::fmt;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use shiplap_model::digest::{Digest, DigestError};
use shiplap_model::limits;
use shiplap_model::reference::{DEFAULT_TAG, Reference, Repository};

use crate::authorization::Scopes;
use crate::client::Client;
use crate::error::{Error, Item, ProtocolFault};
use crate::exchange::{self, Exchange};
use crate::place::Place;
use crate::transport::Request;

/// Every kind of manifest that is read, as an `Accept` header.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// How a manifest is named in its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestName<'a> {
    /// By tag.
    Tag(&'a str),
    /// By digest.
    Digest(&'a Digest),
}

impl<'a> ManifestName<'a> {
    fn digest(self) -> Option<&'a Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
        }
    }

    fn item(self) -> Item {
        match self {
            Self::Tag(tag) => Item::Tag(tag.to_owned()),
            Self::Digest(digest) => Item::Manifest(digest.clone()),
        }
    }

    /// The digest of `reference`, else its tag, else `latest`.
    #[must_use]
    pub fn of(reference: &'a Reference) -> Self {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Self::Digest(digest),
            (None, tag) => Self::Tag(tag.unwrap_or(DEFAULT_TAG)),
        }
    }
}

impl fmt::Display for ManifestName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => f.write_str(digest.as_str()),
        }
    }
}

/// What a registry says of a manifest without sending it: a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its digest.
    pub digest: Digest,
    /// Its media type, without parameters.
    pub media_type: Option<String>,
    /// Its length, in bytes.
    pub size_bytes: Option<u64>,
}

/// A manifest as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The digest of `bytes`: the one asked for, or the one the registry named, verified.
    pub digest: Digest,
    /// `Content-Type`, without parameters.
    pub media_type: Option<String>,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Host, and port if any, that gave it: the registry or a mirror.
    pub host: String,
}

impl Client {
    /// Asks for a manifest's digest without fetching it (fetches it where the registry doesn't
    /// say).
    ///
    /// # Errors
    /// [`Error`]; [`Error::NotFound`] if no place has it.
    pub fn head_manifest(
        &self,
        repository: &Repository,
        name: ManifestName<'_>,
    ) -> Result<ManifestHead, Error> {
        let exchange = self.exchange();
        self.run(async {
            let places = exchange.places(repository, name.digest())?;
            exchange
                .first_of(repository.registry(), &places, async |place| {
                    head(exchange, place, name).await
                })
                .await
        })
    }

    /// Fetches a manifest, and verifies its digest.
    ///
    /// # Errors
    /// [`Error`]; [`Error::TooLarge`] beyond [`shiplap_model::limits::MANIFEST_BYTES`].
    pub fn manifest(
        &self,
        repository: &Repository,
        name: ManifestName<'_>,
    ) -> Result<FetchedManifest, Error> {
        let exchange = self.exchange();
        self.run(async {
            let places = exchange.places(repository, name.digest())?;
            exchange
                .first_of(repository.registry(), &places, async |place| {
                    fetch(exchange, place, name).await
                })
                .await
        })
    }

    /// Puts a manifest and returns its digest.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Content`] if `name` is another digest than that of `bytes`, or the
    /// registry says that it took something else.
    pub fn put_manifest(
        &self,
        repository: &Repository,
        name: ManifestName<'_>,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        let exchange = self.exchange();
        self.run(async {
            let place = exchange.own_place(repository)?;
            let mut request = request(&place, Method::PUT, name);
            let digest = match name.digest() {
                Some(digest) => {
                    verify(&request, digest, bytes)?;
                    digest.clone()
                }
                None => Digest::of(bytes),
            };
            let content_type = HeaderValue::try_from(media_type).map_err(|_| Error::Protocol {
                target: request.target.clone(),
                fault: ProtocolFault::Header("Content-Type"),
            })?;
            request.headers.insert(CONTENT_TYPE, content_type);
            let scopes = Scopes::repository(&place.repository, &["pull", "push"]);
            let body = Bytes::copy_from_slice(bytes);
            let answer = exchange
                .send(&request, &body, &scopes)
                .await?
                .success()
                .await?;
            if let Some(taken) = answer.digest() {
                verify(&request, &taken, bytes)?;
            }
            Ok(digest)
        })
    }

    /// Deletes a manifest, or a tag where the registry can.
    ///
    /// # Errors
    /// [`Error`].
    pub fn delete_manifest(
        &self,
        repository: &Repository,
        name: ManifestName<'_>,
    ) -> Result<(), Error> {
        let exchange = self.exchange();
        self.run(async {
            let place = exchange.own_place(repository)?;
            let request = request(&place, Method::DELETE, name);
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

fn request(place: &Place, method: Method, name: ManifestName<'_>) -> Request {
    let path = format!("/v2/{}/manifests/{name}", place.repository);
    let mut request = exchange::request(place, method, path, name.item());
    request
        .headers
        .insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    request
        .headers
        .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request
}

async fn head(
    exchange: &Exchange,
    place: &Place,
    name: ManifestName<'_>,
) -> Result<ManifestHead, Error> {
    let request = request(place, Method::HEAD, name);
    let scopes = Scopes::repository(&place.repository, &["pull"]);
    let answer = exchange.send(&request, &Bytes::new(), &scopes).await?;
    let unsupported = matches!(answer.status().as_u16(), 405 | 501);
    if !unsupported {
        let answer = answer.success().await?;
        if let Some(digest) = answer.digest() {
            if let Some(expected) = name.digest().filter(|expected| **expected != digest) {
                let expected = expected.clone();
                return Err(Error::Content {
                    target: request.target,
                    source: DigestError::Mismatch {
                        expected,
                        actual: digest,
                    },
                });
            }
            let length = answer
                .header(&CONTENT_LENGTH)
                .and_then(|length| length.parse().ok());
            return Ok(ManifestHead {
                digest,
                media_type: answer.media_type(),
                size_bytes: length,
            });
        }
    }
    let fetched = fetch(exchange, place, name).await?;
    let size_bytes = Some(fetched.bytes.len() as u64);
    Ok(ManifestHead {
        digest: fetched.digest,
        media_type: fetched.media_type,
        size_bytes,
    })
}

async fn fetch(
    exchange: &Exchange,
    place: &Place,
    name: ManifestName<'_>,
) -> Result<FetchedManifest, Error> {
    let request = request(place, Method::GET, name);
    let scopes = Scopes::repository(&place.repository, &["pull"]);
    let answer = exchange
        .send(&request, &Bytes::new(), &scopes)
        .await?
        .success()
        .await?;
    let named = answer.digest();
    let media_type = answer.media_type();
    let bytes = answer.body(limits::MANIFEST_BYTES).await?;
    if let Some(named) = &named {
        verify(&request, named, &bytes)?;
    }
    if let Some(asked) = name.digest() {
        verify(&request, asked, &bytes)?;
    }
    let digest = name
        .digest()
        .cloned()
        .or(named)
        .unwrap_or_else(|| Digest::of(&bytes));
    Ok(FetchedManifest {
        digest,
        media_type,
        bytes,
        host: place.host.clone(),
    })
}

fn verify(request: &Request, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
    let target = || request.target.clone();
    digest.verify(bytes).map_err(|source| Error::Content {
        target: target(),
        source,
    })
}
