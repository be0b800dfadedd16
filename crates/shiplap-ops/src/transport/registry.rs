//! A repository of a registry as source and destination.

use std::io::Read;

use shiplap_model::{Descriptor, Digest, Reference, Repository};
use shiplap_registry::{Client, ManifestName, UploadMode, UploadSource};

use super::{Destination, Fetched, Reopen, Source, TransportError};

/// One image of a registry.
pub struct RegistryImage<'c> {
    client: &'c Client,
    reference: Reference,
    /// A repository of the same registry that may hold the blobs already.
    mount_from: Option<Repository>,
    upload: UploadMode,
}

impl<'c> RegistryImage<'c> {
    /// The image that `reference` names, `latest` without a tag or digest.
    #[must_use]
    pub fn new(client: &'c Client, reference: &Reference) -> Self {
        let reference = reference.or_latest();
        Self {
            client,
            reference,
            mount_from: None,
            upload: UploadMode::default(),
        }
    }

    /// Tries to have blobs mounted from `repository` if it is of the same registry.
    #[must_use]
    pub fn mount_from(mut self, repository: Option<&Repository>) -> Self {
        let here = self.reference.repository();
        self.mount_from = repository
            .filter(|from| from.registry() == here.registry() && *from != here)
            .cloned();
        self
    }

    fn named(&self, name: ManifestName<'_>) -> Result<Fetched, TransportError> {
        let fetched = self.client.manifest(self.reference.repository(), name)?;
        let (bytes, digest, media_type) = (fetched.bytes, fetched.digest, fetched.media_type);
        Ok(Fetched {
            bytes,
            digest,
            media_type,
        })
    }
}

impl Source for RegistryImage<'_> {
    fn root(&self) -> Result<Fetched, TransportError> {
        self.named(ManifestName::of(&self.reference))
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Fetched, TransportError> {
        self.named(ManifestName::Digest(&descriptor.digest))
    }

    fn blob(
        &self,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        let repository = self.reference.repository();
        let mut reader = self
            .client
            .open_blob(repository, &descriptor.digest, descriptor.size)?;
        skip(&mut reader, offset).map_err(|source| TransportError::Blob {
            digest: descriptor.digest.clone(),
            source,
        })?;
        Ok(Box::new(reader))
    }

    fn repository(&self) -> Option<&Repository> {
        Some(self.reference.repository())
    }
}

impl Destination for RegistryImage<'_> {
    fn holds(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        let repository = self.reference.repository();
        if self.client.blob_exists(repository, &blob.digest)?.is_some() {
            return Ok(true);
        }
        match &self.mount_from {
            Some(from) => Ok(self.client.mount(repository, from, &blob.digest)?),
            None => Ok(false),
        }
    }

    fn put_blob(&self, blob: &Descriptor, open: &Reopen<'_>) -> Result<(), TransportError> {
        let source = Reopened(open);
        let repository = self.reference.repository();
        Ok(self
            .client
            .upload(repository, &blob.digest, blob.size, &source, self.upload)?)
    }

    fn put_document(&self, document: &Fetched, is_root: bool) -> Result<(), TransportError> {
        let name = match self.reference.tag().filter(|_| is_root) {
            Some(tag) => ManifestName::Tag(tag),
            None => ManifestName::Digest(&document.digest),
        };
        let media_type = media_type_of(document)?;
        let repository = self.reference.repository();
        let digest: Digest =
            self.client
                .put_manifest(repository, name, &media_type, &document.bytes)?;
        Ok(document.digest.clone())
            .and_then(|expected| {
                if expected == digest {
                    Ok(())
                } else {
                    Err(shiplap_model::digest::DigestError::Mismatch {
                        expected,
                        actual: digest,
                    })
                }
            })
            .map_err(TransportError::from)
    }

    fn finish(&self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// What a document says it is, or was said to be when it came.
pub(crate) fn media_type_of(document: &Fetched) -> Result<String, TransportError> {
    Ok(document.parse()?.media_type().to_owned())
}

struct Reopened<'r, 'a>(&'r Reopen<'a>);

impl UploadSource for Reopened<'_, '_> {
    fn open_at(&self, offset: u64) -> std::io::Result<Box<dyn Read + '_>> {
        Ok((self.0)(offset)?)
    }
}

/// Reads over the first `offset` bytes.
fn skip(reader: &mut dyn Read, offset: u64) -> std::io::Result<()> {
    std::io::copy(&mut reader.take(offset), &mut std::io::sink()).map(drop)
}
