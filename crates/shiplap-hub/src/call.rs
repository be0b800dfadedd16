//! One request that may be done: what handlers get.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shiplap_model::{Digest, json, limits};

use crate::authorization::{Caller, Place, User};
use crate::browser::Form;
use crate::hub::Hub;
use crate::records::repositories::{self, Name};
use crate::refusal::Refusal;
use crate::routes::Parameters;

/// A request whose caller may do what its route says.
pub(crate) struct Call {
    pub(crate) hub: Arc<Hub>,
    pub(crate) parts: Parts,
    /// Behind a lock only so that a call can be shared between threads.
    pub(crate) body: Mutex<Body>,
    pub(crate) parameters: Parameters,
    pub(crate) caller: Caller,
    /// The repository's name, where the route names one.
    pub(crate) name: Option<Name>,
    /// What is known of it, or of the namespace that the route names.
    pub(crate) place: Option<Place>,
    /// The browser's secret, where the route is a page's.
    pub(crate) secret: Option<String>,
    /// What the browser sent, made by a page of ours.
    pub(crate) form: Form,
}

impl Call {
    pub(crate) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    /// The repository's name; only for routes that have one.
    pub(crate) fn name(&self) -> Result<&Name, Refusal> {
        self.name.as_ref().ok_or(Refusal::NameUnknown)
    }

    /// The repository that is there.
    pub(crate) fn repository(&self) -> Result<i64, Refusal> {
        let place = self.place.as_ref();
        place
            .and_then(|place| place.repository)
            .ok_or(Refusal::NameUnknown)
    }

    /// Looks for the repository again, since it may have come to be meanwhile.
    pub(crate) async fn look_again(&mut self) -> Result<(), Refusal> {
        let (name, user) = (self.name()?.clone(), self.caller.user.clone());
        let read = self
            .hub
            .database
            .read(move |tx| repositories::place(tx, &name, user.as_ref()));
        self.place = Some(read.await?);
        Ok(())
    }

    /// Whether the repository is another registry's.
    pub(crate) fn is_mirrored(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.is_mirror)
    }

    /// The user; only for routes that need one.
    pub(crate) fn user(&self) -> Result<&User, Refusal> {
        self.caller.user.as_ref().ok_or(Refusal::Denied)
    }

    /// A digest in the path, of an algorithm that can be computed.
    pub(crate) fn digest(&self, parameter: &str) -> Result<Digest, Refusal> {
        digest(self.parameters.get(parameter))
    }

    /// All values that the query has for a key.
    pub(crate) fn queries(&self, key: &str) -> Vec<String> {
        pairs(self.parts.uri.query().unwrap_or_default())
            .filter(|(its, _)| its == key)
            .map(|(_, value)| value)
            .collect()
    }

    /// The first value that the query has for a key.
    pub(crate) fn query(&self, key: &str) -> Option<String> {
        pairs(self.parts.uri.query().unwrap_or_default())
            .find(|(its, _)| its == key)
            .map(|(_, value)| value)
    }

    /// A number in the query.
    pub(crate) fn number(&self, key: &'static str) -> Result<Option<u64>, Refusal> {
        let parsed = self.query(key).map(|text| text.parse::<u64>());
        parsed.transpose().map_err(|_| Refusal::Parameter {
            name: key,
            reason: "no number",
        })
    }

    /// What the client calls the hub.
    pub(crate) fn url(&self) -> String {
        self.hub.url(self.header(&header::HOST))
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The body, once.
    pub(crate) fn take_body(&mut self) -> Body {
        let body = self.body.get_mut();
        std::mem::take(body.unwrap_or_else(PoisonError::into_inner))
    }

    /// The whole body, which may have `limit` bytes.
    pub(crate) async fn bytes(&mut self, limit: u64) -> Result<Vec<u8>, Refusal> {
        let body = self.take_body();
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut body = Limited::new(body, most);
        let mut bytes = Vec::new();
        loop {
            let frame = tokio::time::timeout(self.hub.patience.idle, body.frame()).await;
            match frame {
                Ok(None) => return Ok(bytes),
                Ok(Some(Ok(frame))) => {
                    bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
                Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {
                    return Err(Refusal::Long { limit });
                }
                Ok(Some(Err(_))) | Err(_) => return Err(Refusal::Broken),
            }
        }
    }

    /// The body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let bytes = self.bytes(limits::HUB_BODY_BYTES).await?;
        json::parse(&bytes, limits::HUB_BODY_BYTES).map_err(|_| Refusal::Parameter {
            name: "the body",
            reason: "not the JSON that is wanted",
        })
    }
}

/// Reads a digest of an algorithm that can be computed.
pub(crate) fn digest(text: &str) -> Result<Digest, Refusal> {
    let digest: Digest = text.parse()?;
    digest.hasher()?;
    Ok(digest)
}

/// Keys and values of a query or form.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
}

/// An answer with a body.
pub(crate) fn answer(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// An answer with a JSON body.
pub(crate) fn json_answer(status: StatusCode, value: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    answer(status, bytes).with(header::CONTENT_TYPE, json)
}

/// Adding headers to an answer.
pub(crate) trait With {
    fn with(self, name: impl Into<HeaderName>, value: impl TryInto<HeaderValue>) -> Self;
}

impl With for Response {
    /// Adds a header; a value that can't be one is left out, since it came from outside.
    fn with(mut self, name: impl Into<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers_mut().append(name.into(), value);
        }
        self
    }
}

/// `Docker-Content-Digest`.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `Docker-Upload-UUID`.
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// `OCI-Subject`.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// `OCI-Tag`.
pub(crate) const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// `OCI-Filters-Applied`.
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
