//! A document together with the bytes that it was read from.
//!
//! A digest is of bytes received, never of something written again: whoever passes a document on
//! passes on [`Raw::bytes`].

use std::ops::Deref;

use serde::Serialize;

use crate::descriptor::Descriptor;
use crate::digest::{Digest, DigestError};

/// A parsed document, its bytes as received, and their digest. The three always agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw<T> {
    bytes: Vec<u8>,
    digest: Digest,
    value: T,
}

impl<T> Raw<T> {
    /// Reads `bytes` with `parse` and names them by their SHA-256.
    ///
    /// # Errors
    /// What `parse` says.
    pub fn parse<E>(bytes: Vec<u8>, parse: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<Self, E> {
        let value = parse(&bytes)?;
        Ok(Self {
            digest: Digest::of(&bytes),
            bytes,
            value,
        })
    }

    /// Checks `bytes` against `digest`, which stays their name, before `parse` sees them.
    ///
    /// # Errors
    /// [`DigestError`] in the caller's error, or what `parse` says.
    pub fn verified<E: From<DigestError>>(
        bytes: Vec<u8>,
        digest: Digest,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Self, E> {
        digest.verify(&bytes)?;
        let value = parse(&bytes)?;
        Ok(Self {
            bytes,
            digest,
            value,
        })
    }

    /// The bytes as received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What they say.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// A descriptor of the bytes.
    #[must_use]
    pub fn descriptor(&self, media_type: impl Into<String>) -> Descriptor {
        Descriptor::new(media_type, self.digest.clone(), self.bytes.len() as u64)
    }

    /// Takes it apart into bytes, digest and value.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Digest, T) {
        (self.bytes, self.digest, self.value)
    }
}

impl<T: Serialize> Raw<T> {
    /// Writes a new document: compact, fields in the order of their type, maps sorted, so the
    /// same value always has the same digest.
    ///
    /// # Errors
    /// Only for a type whose map keys are no strings; the documents of this crate have none.
    pub fn encode(value: T) -> Result<Self, serde_json::Error> {
        let bytes = serde_json::to_vec(&value)?;
        Ok(Self {
            digest: Digest::of(&bytes),
            bytes,
            value,
        })
    }
}

impl<T> Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
