//! An index with all its images, from the store to one name.
//!
//! Images go by their digests, the index last and by its tag. Where layers change their form on the way, so
//! do the manifests, and the index names the new ones; platforms and annotations stay.

use shiplap_model::media_type::LayerCompression;
use shiplap_model::{Descriptor, Digest, Document, ImageId, Index, Reference};
use shiplap_registry::ManifestName;
use shiplap_store::{NewImage, RepoDigest};

use super::{Push, PushError, PushedImage};
use crate::context::Context;
use crate::progress::{LayerState, Progress};
use crate::transport::Fetched;
use crate::transport::docker_archive::fetched;

/// Pushes an index to a name that it need not have in the store.
///
/// # Errors
/// [`PushError`]; [`PushError::Part`] if one of its images is not here.
pub fn push_index_as(
    context: &Context,
    index: &Digest,
    reference: &Reference,
    compression: Option<LayerCompression>,
    progress: &dyn Progress,
) -> Result<PushedImage, PushError> {
    let lease = context.store()?.lease()?;
    let push = Push::new(context, &lease, reference, compression, progress);
    let (index, images) = push.read_index(index)?;
    if let Some(pushed) = push.unchanged_index(&images)? {
        return Ok(pushed);
    }
    let mut entries = Vec::with_capacity(images.len());
    for (entry, id) in index.manifests.iter().zip(&images) {
        let own = push.own_manifests(id)?;
        let document = push.image(id, &own)?;
        push.put_part(&document)?;
        entries.push(Descriptor {
            platform: entry.platform.clone(),
            annotations: entry.annotations.clone(),
            ..push.descriptor(&document)?
        });
    }
    let document = fetched(&Index {
        manifests: entries.clone(),
        ..index
    });
    let document = document.map_err(|error| push.transport(error))?;
    push.put_index(&document, &entries)?;
    Ok(push.pushed(&document))
}

impl Push<'_> {
    /// An index, and the image of each of its entries.
    fn read_index(&self, digest: &Digest) -> Result<(Index, Vec<ImageId>), PushError> {
        let bytes = self.store.read_blob(digest)?;
        let document = Document::parse(&bytes, None);
        let document = document.map_err(|source| PushError::Manifest {
            digest: digest.clone(),
            source,
        })?;
        let Document::Index(index) = document else {
            return Err(PushError::NotAnIndex {
                digest: digest.clone(),
            });
        };
        let images = index.manifests.iter().map(|entry| {
            let image = self.store.image_of_manifest(&entry.digest)?;
            image.ok_or_else(|| PushError::Part {
                reference: self.reference.clone(),
                part: match &entry.platform {
                    Some(platform) => platform.to_string(),
                    None => entry.digest.to_string(),
                },
            })
        });
        let images = images.collect::<Result<_, _>>()?;
        Ok((index, images))
    }

    /// If the tag names an index of these images already, there is nothing to do.
    fn unchanged_index(&self, images: &[ImageId]) -> Result<Option<PushedImage>, PushError> {
        let (Some(first), None) = (images.first(), self.compression) else {
            return Ok(None);
        };
        let repository = self.reference.repository();
        let known = self.store.image(first)?.map(|image| image.repo_digests);
        let known: Vec<Digest> = known
            .into_iter()
            .flatten()
            .filter(|known| known.repository == *repository)
            .map(|known| known.digest)
            .collect();
        if known.is_empty() {
            return Ok(None);
        }
        let name = ManifestName::of(self.reference);
        let head = match self.client.head_manifest(repository, name) {
            Ok(head) => head,
            Err(shiplap_registry::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.transport(error)),
        };
        if !known.contains(&head.digest) || !self.store.has_blob(&head.digest) {
            return Ok(None);
        }
        let Ok((index, own)) = self.read_index(&head.digest) else {
            return Ok(None);
        };
        if own != images {
            return Ok(None);
        }
        for entry in &index.manifests {
            self.tell(&entry.digest, LayerState::Present);
        }
        let document = Fetched {
            bytes: self.store.read_blob(&head.digest)?,
            digest: head.digest,
            media_type: None,
        };
        Ok(Some(self.pushed(&document)))
    }

    fn descriptor(&self, document: &Fetched) -> Result<Descriptor, PushError> {
        let media_type = self.media_type(document)?;
        Ok(Descriptor::new(
            media_type,
            document.digest.clone(),
            document.bytes.len() as u64,
        ))
    }

    /// Sends the manifest of an image that the index will name.
    fn put_part(&self, document: &Fetched) -> Result<(), PushError> {
        let name = ManifestName::Digest(&document.digest);
        self.send_manifest(document, name)?;
        self.lease.put_blob(&document.digest, &document.bytes)?;
        self.lease.put_image(&NewImage::of(&document.digest))?;
        Ok(())
    }

    /// Sends the index, and records by what digest its images are known there.
    fn put_index(&self, document: &Fetched, entries: &[Descriptor]) -> Result<(), PushError> {
        self.send_manifest(document, ManifestName::of(self.reference))?;
        self.lease.put_blob(&document.digest, &document.bytes)?;
        let repo_digest = RepoDigest {
            repository: self.reference.repository().clone(),
            digest: document.digest.clone(),
        };
        for entry in entries {
            self.lease.put_image(&NewImage {
                indexes: std::slice::from_ref(&document.digest),
                repo_digests: std::slice::from_ref(&repo_digest),
                ..NewImage::of(&entry.digest)
            })?;
        }
        Ok(())
    }
}
