//! Where images come from and go to besides the store: registries, OCI layouts (as directory or
//! archive) and Docker's archives. Each is a [`Source`] of one image or a [`Destination`] for it;
//! documents are handed on as the bytes they came in.

pub mod archive;
pub mod docker_archive;
pub mod layout;
pub mod registry;

use std::io::{self, Read};
use std::path::PathBuf;

use shiplap_model::digest::DigestError;
use shiplap_model::json::JsonError;
use shiplap_model::{Descriptor, Digest, Document, DocumentError, Repository};

/// A manifest or index as received: verified against the digest that was asked for.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// What the other side says they are.
    pub media_type: Option<String>,
}

impl Fetched {
    /// Reads the bytes as a document.
    ///
    /// # Errors
    /// [`TransportError::Document`].
    pub fn parse(&self) -> Result<Document, TransportError> {
        Document::parse(&self.bytes, self.media_type.as_deref()).map_err(|source| {
            TransportError::Document {
                digest: self.digest.clone(),
                source,
            }
        })
    }
}

/// One image, or an index of images, that can be read. Calls may come from several threads.
pub trait Source: Sync {
    /// The document that the reference names.
    ///
    /// # Errors
    /// Failures of the transport.
    fn root(&self) -> Result<Fetched, TransportError>;

    /// A document that another one names.
    ///
    /// # Errors
    /// Failures of the transport, and content that is not what `descriptor` says.
    fn document(&self, descriptor: &Descriptor) -> Result<Fetched, TransportError>;

    /// A config or layer from byte `offset` on. Read from byte 0, it ends well only if it has the
    /// descriptor's digest and size.
    ///
    /// # Errors
    /// Failures of the transport.
    fn blob(
        &self,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError>;

    /// Whether its documents are the image's own, and not made up here for a format without any.
    fn has_manifests(&self) -> bool {
        true
    }

    /// The repository its blobs are in, if it is a registry's.
    fn repository(&self) -> Option<&Repository> {
        None
    }
}

/// Opens a blob's bytes from an offset on.
pub type Reopen<'a> = dyn Fn(u64) -> io::Result<Box<dyn Read + Send + 'a>> + Sync + 'a;

/// Where one image, or an index of images, can be written. Calls may come from several threads;
/// documents come after all they name.
pub trait Destination: Sync {
    /// Whether the blob is there already, so that it need not be sent.
    ///
    /// # Errors
    /// Failures of the transport.
    fn holds(&self, blob: &Descriptor) -> Result<bool, TransportError>;

    /// Takes a blob and verifies it.
    ///
    /// # Errors
    /// Failures of the transport, and content that is not what `blob` says.
    fn put_blob(&self, blob: &Descriptor, open: &Reopen<'_>) -> Result<(), TransportError>;

    /// Takes a document; `is_root` for the one that the reference is to name.
    ///
    /// # Errors
    /// Failures of the transport.
    fn put_document(&self, document: &Fetched, is_root: bool) -> Result<(), TransportError>;

    /// Makes what was taken visible, if that was not done by the documents.
    ///
    /// # Errors
    /// Failures of the transport.
    fn finish(&self) -> Result<(), TransportError>;
}

/// Why an image can't be read from or written to somewhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// A registry's or the network's.
    #[error(transparent)]
    Registry(#[from] shiplap_registry::Error),
    /// A file can't be read or written.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `make`, …
        action: &'static str,
        /// The file, or `-` for standard input.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A blob can't be read whole.
    #[error("read {digest}: {source}")]
    Blob {
        /// Which.
        digest: Digest,
        /// Why; a wrong digest or size too.
        source: io::Error,
    },
    /// A document is not what is taken.
    #[error("read {digest}: {source}")]
    Document {
        /// Which.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// A file of a layout or archive is not what it should be.
    #[error("read {} of {}: {source}", file, path.display())]
    Metadata {
        /// `manifest.json`, `index.json`, …
        file: String,
        /// The layout or archive.
        path: PathBuf,
        /// Why.
        source: JsonError,
    },
    /// Something that a layout or archive names is not in it.
    #[error("read {}: it names {member:?}, which it does not hold", path.display())]
    Missing {
        /// The layout or archive.
        path: PathBuf,
        /// What is missing.
        member: String,
    },
    /// It is neither a Docker archive nor an OCI layout.
    #[error("read {}: {problem}", path.display())]
    Shape {
        /// The layout or archive.
        path: PathBuf,
        /// What it lacks or has too much.
        problem: String,
    },
    /// No image of the name that was asked for.
    #[error("read {}: it holds no image {wanted:?}, but {}", path.display(), held.join(", "))]
    NoSuchImage {
        /// The layout or archive.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What there is.
        held: Vec<String>,
    },
    /// A digest that can't be verified.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A tar can't be written.
    #[error("write {}: {source}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: shiplap_layer::tar::WriteError,
    },
}

impl TransportError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// Reads a blob of at most `limit_bytes` whole.
pub(crate) fn read_small(
    source: &dyn Source,
    descriptor: &Descriptor,
    limit_bytes: u64,
) -> Result<Vec<u8>, TransportError> {
    let blob_error = |source| TransportError::Blob {
        digest: descriptor.digest.clone(),
        source,
    };
    if descriptor.size > limit_bytes {
        let problem = format!(
            "{} bytes, more than the {limit_bytes} allowed",
            descriptor.size
        );
        return Err(blob_error(io::Error::new(
            io::ErrorKind::FileTooLarge,
            problem,
        )));
    }
    let mut bytes = Vec::new();
    source
        .blob(descriptor, 0)?
        .read_to_end(&mut bytes)
        .map_err(blob_error)?;
    Ok(bytes)
}
