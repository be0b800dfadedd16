//! `fetch`: a file of the web, read as it comes. What it should be nobody knows here: whoever has a
//! checksum compares it at the end.

use std::io::{self, Read};
use std::time::SystemTime;

use shiplap_registry::{Download, Error};

pub use shiplap_registry::Validators;

use crate::context::Context;

/// A file on its way. Reading fails if the connection breaks or more comes than was allowed;
/// [`failure`] then has the reason.
#[derive(Debug)]
pub struct WebFile(Download);

impl WebFile {
    /// The address that was asked for, without its query: that may hold a secret.
    #[must_use]
    pub fn address(&self) -> &str {
        self.0.address()
    }

    /// Length of the file in bytes, if the server says.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.0.size_bytes()
    }

    /// What the server calls its state.
    #[must_use]
    pub fn validators(&self) -> Validators {
        self.0.validators()
    }

    /// When the file last changed, if the server says.
    #[must_use]
    pub fn last_modified(&self) -> Option<SystemTime> {
        self.0.last_modified()
    }
}

impl Read for WebFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Opens the file at an http or https address, of at most `limit_bytes`.
///
/// # Errors
/// Nobody answers, or not with a file; an address that is none.
pub fn fetch(context: &Context, address: &str, limit_bytes: u64) -> Result<WebFile, Error> {
    context.client().download(address, limit_bytes).map(WebFile)
}

/// The same, unless the file is as it was when `known` was said of it: then `None`.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_if_changed(
    context: &Context,
    address: &str,
    known: &Validators,
    limit_bytes: u64,
) -> Result<Option<WebFile>, Error> {
    let client = context.client();
    let changed = client.download_if_changed(address, known, limit_bytes)?;
    Ok(changed.map(WebFile))
}

/// What went wrong on the way, if that is why reading failed.
///
/// # Errors
/// The error itself, if it is another's.
pub fn failure(error: io::Error) -> Result<Error, io::Error> {
    error.downcast()
}
