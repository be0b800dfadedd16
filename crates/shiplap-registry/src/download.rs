//! A file of the web by its address, as `import` and `ADD` take one.
//!
//! No digest says what its bytes should be: a connection that breaks is an error and never
//! resumed, and no redirect leaves verified https. Nobody is ever sent credentials, not even those
//! that stand in the address.

use std::fmt;
use std::io::{self, Read};
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header::{
    ACCEPT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use url::{Position, Url};

use crate::answer::{Answer, Failure};
use crate::client::Client;
use crate::error::{Error, Item};
use crate::exchange;
use crate::place::{self, Place};
use crate::transport::{Address, Redirects, Request, hidden};

/// The bytes of a file on their way. Reading fails with an [`Error`] inside if the connection
/// breaks or more comes than was allowed.
///
/// Must not be read by an async worker.
pub struct Download {
    answer: Answer,
    address: String,
    chunk: Bytes,
    done_bytes: u64,
    limit_bytes: u64,
    handle: Handle,
    // Keeps the threads that carry the connection.
    _client: Client,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What a server calls the state of a file that it gives: by this it says later whether that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`, as it came.
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub last_modified: Option<String>,
}

impl Validators {
    /// Whether the server said nothing by which it could tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// What asks for the file only if it changed. An `ETag` says it better than a time does.
    fn condition(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match (&self.etag, &self.last_modified) {
            (Some(etag), _) => (IF_NONE_MATCH, etag),
            (None, Some(time)) => (IF_MODIFIED_SINCE, time),
            (None, None) => return None,
        };
        Some((name, HeaderValue::from_str(value).ok()?))
    }
}

impl Client {
    /// Opens the file at an http or https address, of at most `limit_bytes`.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Download`] if the address is none that is asked.
    pub fn download(&self, address: &str, limit_bytes: u64) -> Result<Download, Error> {
        let request = request(address)?;
        let answer = self.ask(&request)?;
        let answer = self.run(answer.success())?;
        self.opened(&request, answer, limit_bytes)
    }

    /// The same, unless the file is as it was when `known` was said of it: then `None`.
    ///
    /// # Errors
    /// As [`Self::download`].
    pub fn download_if_changed(
        &self,
        address: &str,
        known: &Validators,
        limit_bytes: u64,
    ) -> Result<Option<Download>, Error> {
        let mut request = request(address)?;
        let condition = known.condition();
        let is_asked = condition.is_some();
        request.headers.extend(condition);
        let answer = self.ask(&request)?;
        if is_asked && answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let answer = self.run(answer.success())?;
        self.opened(&request, answer, limit_bytes).map(Some)
    }

    fn ask(&self, request: &Request) -> Result<Answer, Error> {
        let exchange = self.exchange();
        let body = Bytes::new();
        self.run(exchange.repeat(request, &body, None))
    }

    fn opened(
        &self,
        request: &Request,
        answer: Answer,
        limit_bytes: u64,
    ) -> Result<Download, Error> {
        let download = Download {
            answer,
            address: request.target.to_string(),
            chunk: Bytes::new(),
            done_bytes: 0,
            limit_bytes,
            handle: self.handle()?,
            _client: self.clone(),
        };
        match download.size_bytes() {
            Some(size_bytes) if size_bytes > limit_bytes => Err(download.too_large()),
            _ => Ok(download),
        }
    }
}

impl Download {
    /// The address that was asked for, without its query: that may hold a secret.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Length of the file in bytes, if the server says.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.answer.response.content_length()
    }

    /// When the file last changed, if the server says.
    #[must_use]
    pub fn last_modified(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.answer.header(&LAST_MODIFIED)?).ok()
    }

    /// What the server calls its state.
    #[must_use]
    pub fn validators(&self) -> Validators {
        let said = |name: &HeaderName| self.answer.header(name).map(str::to_owned);
        Validators {
            etag: said(&ETAG),
            last_modified: said(&LAST_MODIFIED),
        }
    }

    fn too_large(&self) -> Error {
        Error::TooLarge {
            target: self.answer.target.clone(),
            limit_bytes: self.limit_bytes,
        }
    }

    /// The next bytes; none at the end.
    fn next(&mut self) -> Result<Bytes, Error> {
        let stall = self.answer.stall;
        let response = &mut self.answer.response;
        let next = self
            .handle
            .block_on(async { tokio::time::timeout(stall, response.chunk()).await });
        let failure = match next {
            Ok(Ok(chunk)) => {
                let chunk = chunk.unwrap_or_default();
                self.done_bytes = self.done_bytes.saturating_add(chunk.len() as u64);
                if self.done_bytes > self.limit_bytes {
                    return Err(self.too_large());
                }
                return Ok(chunk);
            }
            Ok(Err(error)) => Failure::of(&error),
            Err(_) => Failure::stalled(),
        };
        Err(failure.into_error(self.answer.target.clone(), 1))
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk = self.next().map_err(io::Error::other)?;
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

fn request(address: &str) -> Result<Request, Error> {
    let refused = |problem| {
        let shown = hidden(address);
        let shown = shown.split(['?', '#']).next().unwrap_or_default();
        Error::Download {
            address: shown.to_owned(),
            problem,
        }
    };
    let url = Url::parse(address).map_err(|_| refused("it is no address"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("it is no http or https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("no user name or password is sent"));
    }
    let place = Place {
        host: url[Position::BeforeHost..Position::AfterPort].to_owned(),
        repository: String::new(),
        schemes: &[],
        verified: true,
        loopback: place::is_loopback(&url) == Some(true),
        credential_name: None,
        token_servers: Vec::new(),
        mirror: false,
    };
    let shown = url[..Position::AfterPath].to_owned();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(Request {
        method: Method::GET,
        address: Address::Given(url),
        headers,
        target: exchange::target(&place, Item::File(shown)),
        redirects: Redirects::Safe,
        place,
    })
}

#[cfg(test)]
mod tests;
