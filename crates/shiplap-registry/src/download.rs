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
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, LAST_MODIFIED};
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

impl Client {
    /// Opens the file at an http or https address, of at most `limit_bytes`.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Download`] if the address is none that is asked.
    pub fn download(&self, address: &str, limit_bytes: u64) -> Result<Download, Error> {
        let request = request(address)?;
        let handle = self.handle()?;
        let answer = handle.block_on(async {
            let exchange = self.exchange();
            let answer = exchange.repeat(&request, &Bytes::new(), None).await?;
            answer.success().await
        })?;
        let download = Download {
            answer,
            address: request.target.to_string(),
            chunk: Bytes::new(),
            done_bytes: 0,
            limit_bytes,
            handle,
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
        let value = self.answer.response.headers().get(LAST_MODIFIED)?;
        httpdate::parse_http_date(value.to_str().ok()?).ok()
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
