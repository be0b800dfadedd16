//! Where the bytes of blobs are: the port to it.
//!
//! A blob's bytes are an **object**. Its name holds the upload that it came by, so no two uploads
//! ever write the same object, and an object that goes can't be one that has just come: removing
//! needs no lock against pushing. Which object a digest has is in the database. Nothing here checks a
//! digest or asks who may see what.

mod local;
mod s3;

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;

use axum::body::Body;
use bytes::Bytes;
use shiplap_model::Digest;

use crate::database::DatabaseError;

pub use self::local::{FolderLock, Local};
pub use self::s3::{Bucket, BucketError, S3};

/// A future of this port.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

/// Why bytes were not kept or not found.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file system's failure.
    #[error("{action} {path}: {source}")]
    File {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// No room on the disk.
    #[error("write {path}: there is no room left")]
    Full {
        /// Which file.
        path: PathBuf,
    },
    /// Nothing of that name.
    #[error("find {name}: it is not there")]
    Absent {
        /// The upload or object.
        name: String,
    },
    /// The store of objects did not do it; it may later.
    #[error("{action} {place}: {message}")]
    Unavailable {
        /// What was to be done.
        action: &'static str,
        /// With what.
        place: String,
        /// Why it was not.
        message: String,
    },
    /// Somebody else wrote to the upload meanwhile.
    #[error("write to the upload {name}: somebody else did")]
    Overtaken {
        /// The upload.
        name: String,
    },
    /// How far the upload is can't be noted or read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Another process has it.
    #[error("use {path}: another hub has it")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// The name of an upload: 32 hex digits that nobody guesses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(String);

impl UploadId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::random::name())
    }

    /// The hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(())
        }
    }
}

/// The name of an object: `sha256/ab/<hex>.<upload>`, or `upload/ab/<upload>` where bytes get their
/// name before their digest is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object(String);

impl Object {
    /// The object that an upload becomes.
    #[must_use]
    pub fn of(digest: &Digest, upload: &UploadId) -> Self {
        let (algorithm, hex) = (digest.algorithm_name(), digest.encoded());
        let folder = hex.get(..2).unwrap_or("00");
        Self(format!("{algorithm}/{folder}/{hex}.{}", upload.as_str()))
    }

    /// The object that an upload becomes, whatever its digest.
    #[must_use]
    pub fn of_upload(upload: &UploadId) -> Self {
        let name = upload.as_str();
        let folder = name.get(..2).unwrap_or("00");
        Self(format!("{OF_UPLOADS}/{folder}/{name}"))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest in the name, if there is one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let mut parts = self.0.split('/');
        let (algorithm, _, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (hex, _) = file.split_once('.')?;
        format!("{algorithm}:{hex}").parse().ok()
    }
}

impl FromStr for Object {
    type Err = ();

    /// Reads a name as it stands in the database, or as a listing makes it.
    fn from_str(text: &str) -> Result<Self, ()> {
        let object = Self(text.to_owned());
        let upload = text.rsplit_once('/').map(|(_, upload)| upload.parse());
        if let Some(Ok(upload)) = upload {
            let other = Self::of_upload(&upload);
            return (other == object).then_some(object).ok_or(());
        }
        let upload = text.rsplit_once('.').map(|(_, upload)| upload.parse());
        match (object.digest(), upload) {
            (Some(digest), Some(Ok(upload))) if Self::of(&digest, &upload) == object => Ok(object),
            _ => Err(()),
        }
    }
}

/// What stands for the digest in names without one.
const OF_UPLOADS: &str = "upload";

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object that a listing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub object: Object,
    /// Its length.
    pub size_bytes: u64,
    /// How long it is there.
    pub age: std::time::Duration,
}

/// How far an upload is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of it are there.
    pub offset: u64,
    /// The state of the hash of these, where that is kept with them.
    pub hash: Option<Vec<u8>>,
}

/// What comes after what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More of the same request.
    More,
    /// Another request, perhaps to another hub.
    Request,
    /// [`Storage::complete`], by this hub; or nothing at all.
    Completion,
}

/// Takes the bytes of one upload, in order.
pub trait Sink: Send {
    /// How many bytes it takes before [`Self::keep`] must be called; none is any number.
    fn room(&self) -> Option<usize>;

    /// Appends; several pieces at once are written at once. No more than [`Self::room`].
    fn write(&mut self, pieces: Vec<Bytes>) -> Pending<'_, ()>;

    /// Keeps what was written for what comes next, with the state of the hash of the whole upload so far.
    fn keep<'a>(&'a mut self, hash: &'a [u8], next: Next) -> Pending<'a, ()>;
}

/// A place for uploads and objects. All of it is safe to call from several tasks at once, but
/// one upload has one writer at a time: that is its caller's to see to.
pub trait Storage: Send + Sync {
    /// Opens an upload at the end of its first `offset` bytes, which [`Self::progress`] told. A new one
    /// begins at 0. What a file system has beyond is forgotten.
    fn open_upload<'a>(&'a self, id: &'a UploadId, offset: u64) -> Pending<'a, Box<dyn Sink>>;

    /// How far an upload is; at its beginning if it never had any bytes.
    fn progress<'a>(&'a self, id: &'a UploadId) -> Pending<'a, Progress>;

    /// The bytes of an upload so far, in pieces. Nothing may be added to it after that.
    fn read_upload<'a>(&'a self, id: &'a UploadId) -> Pending<'a, Body>;

    /// Makes an upload an object that survives a power cut. No more can be added to it then.
    fn complete<'a>(&'a self, id: &'a UploadId, digest: &'a Digest) -> Pending<'a, Object>;

    /// Forgets an upload, but not the object that it became; one that is not there is forgotten
    /// already.
    fn discard<'a>(&'a self, id: &'a UploadId) -> Pending<'a, ()>;

    /// `length` bytes of an object from `start`, in pieces.
    fn read<'a>(&'a self, object: &'a Object, start: u64, length: u64) -> Pending<'a, Body>;

    /// A URL where a client gets an object from the storage itself, for some minutes; none if there
    /// is no such thing.
    fn link<'a>(&'a self, object: &'a Object) -> Pending<'a, Option<String>>;

    /// Removes an object; one that is not there is removed already.
    fn remove<'a>(&'a self, object: &'a Object) -> Pending<'a, ()>;

    /// All objects, and names that are no objects'.
    fn list(&self) -> Pending<'_, (Vec<Listed>, Vec<String>)>;

    /// Uploads of which nothing was heard for that long.
    fn list_uploads(&self, idle: std::time::Duration) -> Pending<'_, Vec<UploadId>>;
}

#[cfg(test)]
mod tests;
