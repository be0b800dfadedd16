//! `push`: an image from the store to a registry.
//!
//! Of each layer that form is sent which costs least: one the repository holds, one it can mount
//! from another repository of its registry, one that is kept here, one that can be copied from
//! where it came; only then it is compressed anew. As long as every layer goes in the form that
//! the image's own manifest names, that manifest goes as it is, and the digest survives.

mod error;
mod index;
mod layer;

use shiplap_model::media_type::{self, LayerCompression};
use shiplap_model::{Descriptor, Digest, ImageId, Manifest, Reference};
use shiplap_registry::{Client, ManifestName, UploadMode};
use shiplap_store::{Lease, NewImage, RepoDigest, Store};

use crate::acquire::short;
use crate::context::Context;
use crate::progress::{Event, LayerState, Progress};
use crate::transport::docker_archive::fetched;
use crate::transport::{Fetched, TransportError};

pub use error::PushError;
pub use index::push_index_as;

/// What to push.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// The image and where it goes.
    pub reference: Reference,
    /// All tags of the repository that are here.
    pub all_tags: bool,
    /// The form of layers that have to be compressed; if it is said, no other form will do.
    pub compression: Option<LayerCompression>,
}

/// One pushed image.
#[derive(Debug, Clone)]
pub struct PushedImage {
    /// Where it is now.
    pub reference: Reference,
    /// Digest of its manifest there.
    pub digest: Digest,
    /// Length of the manifest, in bytes.
    pub manifest_bytes: u64,
}

/// Pushes.
///
/// # Errors
/// [`PushError`]. Blobs that were sent before the failure stay with the registry.
pub fn push(
    context: &Context,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Vec<PushedImage>, PushError> {
    let reference = &options.reference;
    if reference.digest().is_some() {
        return Err(PushError::Digest {
            reference: reference.clone(),
        });
    }
    let store = context.store()?;
    progress.event(Event::Status(&format!(
        "The push refers to repository [{}]",
        reference.repository()
    )));
    if !options.all_tags {
        let reference = reference.or_latest();
        let id = store.find(&reference)?;
        let id = id.ok_or_else(|| PushError::NotTagged {
            reference: reference.clone(),
        })?;
        return Ok(vec![push_tag(context, &id, &reference, options, progress)?]);
    }
    if reference.tag().is_some() {
        return Err(PushError::TagWithAllTags {
            reference: reference.clone(),
        });
    }
    let mut tagged = Vec::new();
    for image in store.images()? {
        let of_repository = |tag: &&Reference| tag.repository() == reference.repository();
        tagged.extend(
            image
                .tags
                .iter()
                .filter(of_repository)
                .map(|tag| (image.id.clone(), tag.clone())),
        );
    }
    if tagged.is_empty() {
        return Err(PushError::NotTagged {
            reference: reference.clone(),
        });
    }
    tagged.sort_by_key(|(_, tag)| tag.to_string());
    tagged
        .iter()
        .map(|(id, tag)| push_tag(context, id, tag, options, progress))
        .collect()
}

/// Pushes what a tag names: an index with all its images, or an image.
fn push_tag(
    context: &Context,
    id: &ImageId,
    tag: &Reference,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage, PushError> {
    match context.store()?.named_index(tag)? {
        Some(index) => push_index_as(context, &index, tag, options.compression, progress),
        None => push_as(context, id, tag, options.compression, progress),
    }
}

/// Pushes one image to a name that it need not have in the store.
///
/// # Errors
/// [`PushError`].
pub fn push_as(
    context: &Context,
    id: &ImageId,
    reference: &Reference,
    compression: Option<LayerCompression>,
    progress: &dyn Progress,
) -> Result<PushedImage, PushError> {
    let lease = context.store()?.lease()?;
    let push = Push::new(context, &lease, reference, compression, progress);
    let own = push.own_manifests(id)?;
    if let Some(pushed) = push.unchanged(id, &own)? {
        return Ok(pushed);
    }
    let document = push.image(id, &own)?;
    push.put_manifest(&document)
}

struct Push<'a> {
    context: &'a Context,
    store: &'a Store,
    lease: &'a Lease,
    client: &'a Client,
    reference: &'a Reference,
    compression: Option<LayerCompression>,
    progress: &'a dyn Progress,
}

impl<'a> Push<'a> {
    fn new(
        context: &'a Context,
        lease: &'a Lease,
        reference: &'a Reference,
        compression: Option<LayerCompression>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            context,
            store: lease.store(),
            lease,
            client: context.client(),
            reference,
            compression,
            progress,
        }
    }
}

impl Push<'_> {
    fn transport(&self, source: impl Into<TransportError>) -> PushError {
        PushError::Transport {
            reference: self.reference.clone(),
            source: source.into(),
        }
    }

    /// The manifests that the image is known by, the newest first.
    fn own_manifests(&self, id: &ImageId) -> Result<Vec<(Fetched, Manifest)>, PushError> {
        let mut own = Vec::new();
        for digest in self.store.image_manifests(id)? {
            let bytes = self.store.read_blob(&digest)?;
            let manifest = Manifest::parse(&bytes).map_err(|source| PushError::Manifest {
                digest: digest.clone(),
                source,
            })?;
            own.push((
                Fetched {
                    bytes,
                    digest,
                    media_type: None,
                },
                manifest,
            ));
        }
        Ok(own)
    }

    /// Sees that the registry has all of an image but its manifest, which is what is to be put.
    fn image(&self, id: &ImageId, own: &[(Fetched, Manifest)]) -> Result<Fetched, PushError> {
        let newest = own.first().map(|(_, manifest)| manifest);
        let layers = self.store.image_layers(id)?;
        let descriptors = self.layers(&layers, newest)?;
        let config = self.config(id, newest)?;
        let same = own.iter().find(|(_, manifest)| {
            manifest.config.digest == config.digest
                && manifest
                    .layers
                    .iter()
                    .map(|l| &l.digest)
                    .eq(descriptors.iter().map(|l| &l.digest))
        });
        match same {
            Some((document, _)) => Ok(document.clone()),
            None => self.new_manifest(config, descriptors, newest),
        }
    }

    /// If the tag names one of the image's own manifests already, there is nothing to do.
    fn unchanged(
        &self,
        id: &ImageId,
        own: &[(Fetched, Manifest)],
    ) -> Result<Option<PushedImage>, PushError> {
        let repository = self.reference.repository();
        let was_there = self.store.image(id)?.is_some_and(|image| {
            image
                .repo_digests
                .iter()
                .any(|known| known.repository == *repository)
        });
        if !was_there {
            return Ok(None);
        }
        let head = match self
            .client
            .head_manifest(repository, ManifestName::of(self.reference))
        {
            Ok(head) => head,
            Err(shiplap_registry::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.transport(error)),
        };
        let is_it = |(document, manifest): &&(Fetched, Manifest)| {
            document.digest == head.digest
                && self.compression.is_none_or(|wanted| {
                    manifest
                        .layers
                        .iter()
                        .all(|l| LayerCompression::of(&l.media_type) == Some(wanted))
                })
        };
        let Some((document, manifest)) = own.iter().find(is_it) else {
            return Ok(None);
        };
        for layer in &manifest.layers {
            self.tell(&layer.digest, LayerState::Present);
        }
        Ok(Some(self.pushed(document)))
    }

    fn pushed(&self, document: &Fetched) -> PushedImage {
        PushedImage {
            reference: self.reference.clone(),
            digest: document.digest.clone(),
            manifest_bytes: document.bytes.len() as u64,
        }
    }

    /// Sees that the registry has the config.
    fn config(&self, id: &ImageId, own: Option<&Manifest>) -> Result<Descriptor, PushError> {
        let bytes = self.store.read_blob(id.digest())?;
        let media_type = own.map_or(media_type::OCI_CONFIG, |own| own.config.media_type.as_str());
        let descriptor = Descriptor::of(media_type, &bytes);
        let descriptor = Descriptor {
            digest: id.digest().clone(),
            ..descriptor
        };
        let repository = self.reference.repository();
        let there = self.client.blob_exists(repository, id.digest());
        if there.map_err(|error| self.transport(error))?.is_none() {
            self.client
                .upload(
                    repository,
                    id.digest(),
                    descriptor.size,
                    &bytes,
                    UploadMode::Auto,
                )
                .map_err(|error| self.transport(error))?;
        }
        Ok(descriptor)
    }

    /// A manifest of the forms that the layers were sent in; what the image's own says beside stays.
    fn new_manifest(
        &self,
        config: Descriptor,
        layers: Vec<Descriptor>,
        own: Option<&Manifest>,
    ) -> Result<Fetched, PushError> {
        let as_docker = config.media_type == media_type::DOCKER_CONFIG
            && layers
                .iter()
                .all(|l| LayerCompression::of(&l.media_type) != Some(LayerCompression::Zstd));
        let layers = layers.into_iter().map(|layer| {
            let compression = LayerCompression::of(&layer.media_type);
            let compression = compression.unwrap_or(LayerCompression::Gzip);
            let media_type = if as_docker {
                compression.docker_layer()
            } else {
                compression.oci_layer()
            };
            Descriptor {
                media_type: media_type.to_owned(),
                ..layer
            }
        });
        let (media_type, config_type) = if as_docker {
            (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG)
        } else {
            (media_type::OCI_MANIFEST, media_type::OCI_CONFIG)
        };
        let config = Descriptor {
            media_type: config_type.to_owned(),
            ..config
        };
        let manifest = Manifest {
            media_type: Some(media_type.to_owned()),
            annotations: own.map_or_else(Default::default, |own| own.annotations.clone()),
            ..Manifest::new(config, layers.collect())
        };
        fetched(&manifest).map_err(|error| self.transport(error))
    }

    fn media_type(&self, document: &Fetched) -> Result<String, PushError> {
        let media_type = crate::transport::registry::media_type_of(document);
        media_type.map_err(|error| self.transport(error))
    }

    fn send_manifest(&self, document: &Fetched, name: ManifestName<'_>) -> Result<(), PushError> {
        let repository = self.reference.repository();
        let media_type = self.media_type(document)?;
        self.client
            .put_manifest(repository, name, &media_type, &document.bytes)
            .map(drop)
            .map_err(|error| self.transport(error))
    }

    /// Sends the manifest, and records by what digest the image is known there.
    fn put_manifest(&self, document: &Fetched) -> Result<PushedImage, PushError> {
        self.send_manifest(document, ManifestName::of(self.reference))?;
        let repository = self.reference.repository();
        self.lease.put_blob(&document.digest, &document.bytes)?;
        let digest = document.digest.clone();
        let repo_digest = RepoDigest {
            repository: repository.clone(),
            digest,
        };
        self.lease.put_image(&NewImage {
            repo_digests: std::slice::from_ref(&repo_digest),
            ..NewImage::of(&document.digest)
        })?;
        Ok(self.pushed(document))
    }

    fn tell(&self, digest: &Digest, state: LayerState<'_>) {
        self.progress.event(Event::Layer {
            id: short(digest),
            state,
        });
    }
}
