//! Answers: bodies read within bounds, refusals put into words.
//!
//! What a registry says is trimmed and freed of control characters here, once for all.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shiplap_model::digest::Digest;
use shiplap_model::distribution::{ErrorBody, code};
use shiplap_model::{limits, media_type};
use url::Url;

use crate::error::{Error, ProtocolFault, Refusal, RegistryError, Target};
use crate::retry;

/// The digest of what was asked for, by the registry.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

const WORDS_CHARACTERS: usize = 400;
const WORDS_ERRORS: usize = 4;

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// Where it came from, after redirects.
    pub(crate) url: Url,
    /// Whether it came from the registry itself and not from where it redirected to.
    pub(crate) own: bool,
    pub(crate) target: Box<Target>,
    /// Longest time without a byte.
    pub(crate) stall: Duration,
    /// Longest time for a whole body that is kept in memory.
    pub(crate) whole: Duration,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// The media type by `Content-Type`.
    pub(crate) fn media_type(&self) -> Option<String> {
        self.header(&CONTENT_TYPE)
            .map(media_type::of_content_type)
            .filter(|name| media_type::is_well_formed(name))
    }

    /// The digest that the registry names.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.header(&CONTENT_DIGEST)?.trim().parse().ok()
    }

    pub(crate) fn fault(&self, fault: ProtocolFault) -> Error {
        Error::Protocol {
            target: self.target.clone(),
            fault,
        }
    }

    /// This answer if its status is a success, else the error that it is.
    pub(crate) async fn success(self) -> Result<Self, Error> {
        if self.status().is_success() {
            Ok(self)
        } else {
            Err(self.refusal().await)
        }
    }

    /// The error that this answer is.
    pub(crate) async fn refusal(self) -> Error {
        let status = self.status().as_u16();
        let retry_after = retry::retry_after(self.headers());
        let target = self.target.clone();
        let body = self
            .body(limits::REGISTRY_ERROR_BYTES)
            .await
            .unwrap_or_default();
        let refusal = Refusal {
            status,
            errors: words(&body),
        };
        let limited = status == 429 || refusal.has_code(code::TOOMANYREQUESTS);
        match status {
            _ if limited => Error::RateLimited {
                target,
                refusal,
                retry_after,
            },
            401 => Error::Unauthorized { target, refusal },
            403 => Error::Denied { target, refusal },
            404 => Error::NotFound { target, refusal },
            _ if refusal.has_code(code::DENIED) => Error::Denied { target, refusal },
            _ => Error::Refused { target, refusal },
        }
    }

    /// The whole body, at most `limit_bytes` long.
    pub(crate) async fn body(self, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let target = self.target.clone();
        match tokio::time::timeout(self.whole, self.read(limit_bytes)).await {
            Ok(done) => done,
            Err(_) => Err(Failure::stalled().into_error(target, 1)),
        }
    }

    async fn read(mut self, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let too_large = |target| Error::TooLarge {
            target,
            limit_bytes,
        };
        if self
            .response
            .content_length()
            .is_some_and(|length| length > limit_bytes)
        {
            return Err(too_large(self.target));
        }
        let mut body = Vec::new();
        loop {
            let next = tokio::time::timeout(self.stall, self.response.chunk()).await;
            let chunk = match next {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(Failure::of(&error).into_error(self.target, 1)),
                Err(_) => return Err(Failure::stalled().into_error(self.target, 1)),
            };
            if (body.len() as u64).saturating_add(chunk.len() as u64) > limit_bytes {
                return Err(too_large(self.target));
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// The body as JSON of at most `limit_bytes`.
    pub(crate) async fn json<T: DeserializeOwned>(self, limit_bytes: u64) -> Result<T, Error> {
        let target = self.target.clone();
        let body = self.body(limit_bytes).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Protocol {
            target,
            fault: ProtocolFault::Json(clean(&error.to_string())),
        })
    }
}

/// The registry's words in the body of an error.
fn words(body: &[u8]) -> Vec<RegistryError> {
    #[derive(Deserialize)]
    struct Loose {
        #[serde(default, alias = "error", alias = "details", alias = "detail")]
        message: String,
    }
    if let Ok(body) = serde_json::from_slice::<ErrorBody>(body) {
        let errors = body
            .errors
            .iter()
            .take(WORDS_ERRORS)
            .map(|entry| RegistryError {
                code: clean(&entry.code),
                message: clean(&entry.message),
            });
        let errors: Vec<_> = errors.collect();
        if !errors.is_empty() {
            return errors;
        }
    }
    match serde_json::from_slice::<Loose>(body) {
        Ok(Loose { message }) if !message.is_empty() => {
            vec![RegistryError {
                code: String::new(),
                message: clean(&message),
            }]
        }
        _ => Vec::new(),
    }
}

/// `text` without what could steer a terminal, trimmed and shortened.
pub(crate) fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let plain: String = text
        .trim()
        .chars()
        .take(WORDS_CHARACTERS)
        .map(|c| if steers(c) { ' ' } else { c })
        .collect();
    plain.trim().to_owned()
}

/// A request that got no answer, or only a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) cause: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// There is no such host.
    Name,
    /// No connection.
    Connect,
    /// No secure connection.
    Tls,
    /// The connection broke, or what came is no HTTP.
    Broken,
    /// Nothing came for too long.
    Stalled,
}

impl Failure {
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        let mut innermost: &(dyn StdError + 'static) = error;
        let mut tls = false;
        let mut timed_out = error.is_timeout();
        while let Some(source) = innermost.source() {
            innermost = source;
            let mut layer = source.downcast_ref::<io::Error>();
            // An I/O error's source is that of what it wraps: what it wraps has to be asked for.
            while let Some(error) = layer {
                // rustls reports what the peer did wrong as invalid data.
                tls |= error.kind() == io::ErrorKind::InvalidData;
                timed_out |= error.kind() == io::ErrorKind::TimedOut;
                layer = error.get_ref().and_then(|inner| inner.downcast_ref());
            }
        }
        let kind = match error.is_connect() {
            true if tls => FailureKind::Tls,
            true if error.is_dns() => FailureKind::Name,
            true => FailureKind::Connect,
            false if timed_out => FailureKind::Stalled,
            false => FailureKind::Broken,
        };
        Self {
            kind,
            cause: clean(&innermost.to_string()),
        }
    }

    pub(crate) fn stalled() -> Self {
        Self {
            kind: FailureKind::Stalled,
            cause: "no answer within the time limit".to_owned(),
        }
    }

    /// Whether the server may not have spoken the scheme that was tried.
    pub(crate) fn may_be_scheme(&self) -> bool {
        matches!(
            self.kind,
            FailureKind::Connect | FailureKind::Tls | FailureKind::Broken
        )
    }

    pub(crate) fn into_error(self, target: Box<Target>, attempts: u32) -> Error {
        match self.kind {
            FailureKind::Tls => Error::Tls {
                target,
                cause: self.cause,
            },
            _ => Error::Network {
                target,
                cause: self.cause,
                attempts,
            },
        }
    }
}

#[cfg(test)]
mod tests;
