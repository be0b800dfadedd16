//! `push`: an image from the store to a registry.
//!
//! Of each layer that form is sent which costs least: one the repository holds, one it can mount
//! from another repository of its registry, one that is kept here, one that can be copied from
//! where it came; only then it is compressed anew. As long as every layer goes in the form that
//! the image's own manifest names, that manifest goes as it is, and the digest survives.

mod error;

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;

use shiplap_layer::compress::{self, CompressError, Compressed, GzipLevel, ZstdLevel};
use shiplap_model::media_type::{self, LayerCompression};
use shiplap_model::{Descriptor, Digest, ImageId, Manifest, Reference};
use shiplap_registry::{Client, ManifestName, UploadMode};
use shiplap_store::{CompressedForm, LayerRecord, Lease, NewImage, RepoDigest, Store};

use crate::acquire::short;
use crate::context::Context;
use crate::parallel;
use crate::progress::{Event, LayerState, Progress};
use crate::transport::docker_archive::fetched;
use crate::transport::{Fetched, TransportError};

pub use error::PushError;

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
        let compression = options.compression;
        return Ok(vec![push_as(
            context,
            &id,
            &reference,
            compression,
            progress,
        )?]);
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
        .map(|(id, tag)| push_as(context, id, tag, options.compression, progress))
        .collect()
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
    let store = context.store()?;
    let lease = store.lease()?;
    let push = Push {
        context,
        store,
        lease: &lease,
        client: context.client(),
        reference,
        compression,
        progress,
    };
    let own = push.own_manifests(id)?;
    if let Some(pushed) = push.unchanged(id, &own)? {
        return Ok(pushed);
    }
    let layers = store.image_layers(id)?;
    let descriptors = push.layers(&layers, own.first().map(|(_, manifest)| manifest))?;
    let config = push.config(id, own.first().map(|(_, manifest)| manifest))?;
    let same = own.iter().find(|(_, manifest)| {
        manifest.config.digest == config.digest
            && manifest
                .layers
                .iter()
                .map(|l| &l.digest)
                .eq(descriptors.iter().map(|l| &l.digest))
    });
    let document = match same {
        Some((document, _)) => document.clone(),
        None => push.new_manifest(config, descriptors)?,
    };
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

    /// Sees that the registry has all layers, and in which form.
    fn layers(
        &self,
        layers: &[LayerRecord],
        own: Option<&Manifest>,
    ) -> Result<Vec<Descriptor>, PushError> {
        let forms = own
            .map(|manifest| manifest.layers.as_slice())
            .unwrap_or_default();
        let layers: Vec<_> = layers
            .iter()
            .enumerate()
            .map(|(number, layer)| (layer, forms.get(number)))
            .collect();
        let workers = self.context.settings().parallel_layers;
        parallel::map(&layers, workers, |(layer, form)| self.layer(layer, *form))
    }

    fn layer(
        &self,
        layer: &LayerRecord,
        own: Option<&Descriptor>,
    ) -> Result<Descriptor, PushError> {
        let forms = self.forms(layer, own)?;
        let repository = self.reference.repository();
        for form in &forms {
            let there = self.client.blob_exists(repository, &form.digest);
            if there.map_err(|error| self.transport(error))?.is_some() {
                self.tell(&form.digest, LayerState::Present);
                return self.settled(layer, form);
            }
        }
        for form in &forms {
            if self.mounted(form)? || self.sent_kept(form)? || self.copied(form)? {
                return self.settled(layer, form);
            }
        }
        self.compressed(layer)
    }

    /// The compressed forms that would do, the image's own first.
    fn forms(
        &self,
        layer: &LayerRecord,
        own: Option<&Descriptor>,
    ) -> Result<Vec<CompressedForm>, PushError> {
        let mut forms = self.store.compressed_forms(&layer.diff_id)?;
        forms.sort_by_key(|form| own.is_none_or(|own| own.digest != form.digest));
        forms.retain(|form| {
            self.compression
                .is_none_or(|wanted| LayerCompression::of(&form.media_type) == Some(wanted))
        });
        Ok(forms)
    }

    /// Has the registry take the blob from another of its repositories.
    fn mounted(&self, form: &CompressedForm) -> Result<bool, PushError> {
        let to = self.reference.repository();
        let siblings = form
            .locations
            .iter()
            .filter(|from| from.registry() == to.registry() && *from != to);
        for from in siblings {
            if self
                .client
                .mount(to, from, &form.digest)
                .map_err(|error| self.transport(error))?
            {
                self.tell(&form.digest, LayerState::Mounted { from: from.path() });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends the compressed form that is kept here.
    fn sent_kept(&self, form: &CompressedForm) -> Result<bool, PushError> {
        if !form.kept || !self.lease.hold_blob(&form.digest)? {
            return Ok(false);
        }
        let open = |offset: u64| -> io::Result<Box<dyn Read>> {
            let (mut reader, _) = self
                .store
                .open_blob(&form.digest)
                .map_err(io::Error::other)?;
            io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
            Ok(Box::new(reader))
        };
        let repository = self.reference.repository();
        self.client
            .upload(
                repository,
                &form.digest,
                form.size_bytes,
                &open,
                UploadMode::Auto,
            )
            .map_err(|error| self.transport(error))?;
        self.tell(&form.digest, LayerState::Pushed);
        Ok(true)
    }

    /// Copies the blob from where it came. That source may be gone: then it is no failure, the
    /// layer is compressed anew.
    fn copied(&self, form: &CompressedForm) -> Result<bool, PushError> {
        let to = self.reference.repository();
        for from in form.locations.iter().filter(|from| *from != to) {
            let blob = match self.client.open_blob(from, &form.digest, form.size_bytes) {
                Ok(blob) => blob,
                Err(error) => {
                    if matches!(error, shiplap_registry::Error::NotFound { .. }) {
                        self.store.forget_location(&form.digest, from)?;
                    }
                    continue;
                }
            };
            let mut blob = self.counted(&form.digest, form.size_bytes, blob);
            match self.client.upload_stream(to, &mut blob) {
                Ok(sent) if sent.digest == form.digest => {
                    self.tell(&form.digest, LayerState::Pushed);
                    return Ok(true);
                }
                Ok(_) => {}
                Err(shiplap_registry::Error::Source { .. }) => {}
                Err(error) => return Err(self.transport(error)),
            }
        }
        Ok(false)
    }

    /// Compresses the layer while it is sent.
    fn compressed(&self, layer: &LayerRecord) -> Result<Descriptor, PushError> {
        let wanted = self.compression.unwrap_or(LayerCompression::Gzip);
        let tar = self.store.open_tar(&layer.diff_id)?;
        let id = layer.diff_id.digest();
        let sent = if wanted == LayerCompression::None {
            let mut tar = self.counted(id, layer.tar_bytes, tar);
            self.client
                .upload_stream(self.reference.repository(), &mut tar)
        } else {
            self.send_compressed(layer, tar, wanted)?
        };
        let sent = sent.map_err(|error| self.transport(error))?;
        self.tell(id, LayerState::Pushed);
        let form = CompressedForm {
            digest: sent.digest,
            size_bytes: sent.size_bytes,
            media_type: wanted.oci_layer().to_owned(),
            kept: false,
            locations: Vec::new(),
        };
        self.settled(layer, &form)
    }

    fn send_compressed(
        &self,
        layer: &LayerRecord,
        tar: File,
        wanted: LayerCompression,
    ) -> Result<Result<shiplap_registry::Uploaded, shiplap_registry::Error>, PushError> {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let tar = self.counted(layer.diff_id.digest(), layer.tar_bytes, tar);
        let failed = |source| PushError::Compress {
            diff_id: layer.diff_id.clone(),
            source,
        };
        let (mut outlet, inlet) = io::pipe().map_err(|e| failed(CompressError::Write(e)))?;
        let compress = move || -> Result<Compressed, CompressError> {
            match wanted {
                LayerCompression::Zstd => compress::zstd(tar, inlet, ZstdLevel::default(), threads),
                _ => compress::gzip(tar, inlet, GzipLevel::default(), threads),
            }
        };
        std::thread::scope(|scope| {
            let compressor = scope.spawn(compress);
            let sent = self
                .client
                .upload_stream(self.reference.repository(), &mut outlet);
            // A compressor that still writes must not wait for a reader that has given up.
            drop(outlet);
            let compressed = compressor
                .join()
                .unwrap_or_else(|_| Err(CompressError::Write(io::ErrorKind::Other.into())));
            match (compressed, &sent) {
                // A pipe that was cut is the upload's failure.
                (Err(CompressError::Write(_)), Err(_)) => Ok(sent),
                (Err(source), _) => Err(failed(source)),
                (Ok(_), _) => Ok(sent),
            }
        })
    }

    /// Remembers that the repository has the form.
    fn settled(&self, layer: &LayerRecord, form: &CompressedForm) -> Result<Descriptor, PushError> {
        let locations = vec![self.reference.repository().clone()];
        self.store.record_compressed(
            &layer.diff_id,
            &CompressedForm {
                locations,
                ..form.clone()
            },
        )?;
        let media_type = form.media_type.clone();
        Ok(Descriptor::new(
            media_type,
            form.digest.clone(),
            form.size_bytes,
        ))
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

    /// A manifest of the forms that the layers were sent in.
    fn new_manifest(
        &self,
        config: Descriptor,
        layers: Vec<Descriptor>,
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
        let (own, config_type) = if as_docker {
            (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG)
        } else {
            (media_type::OCI_MANIFEST, media_type::OCI_CONFIG)
        };
        let config = Descriptor {
            media_type: config_type.to_owned(),
            ..config
        };
        let manifest = Manifest {
            media_type: Some(own.to_owned()),
            ..Manifest::new(config, layers.collect())
        };
        fetched(&manifest).map_err(|error| self.transport(error))
    }

    /// Sends the manifest, and records by what digest the image is known there.
    fn put_manifest(&self, document: &Fetched) -> Result<PushedImage, PushError> {
        let repository = self.reference.repository();
        let media_type = crate::transport::registry::media_type_of(document)
            .map_err(|error| self.transport(error))?;
        let name = ManifestName::of(self.reference);
        self.client
            .put_manifest(repository, name, &media_type, &document.bytes)
            .map_err(|error| self.transport(error))?;
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

    fn counted<'r, R: Read>(
        &'r self,
        digest: &'r Digest,
        total_bytes: u64,
        inner: R,
    ) -> Counted<'r, R> {
        Counted {
            inner,
            progress: self.progress,
            digest,
            done_bytes: 0,
            total_bytes,
        }
    }
}

/// A reader that tells how far it is.
struct Counted<'a, R> {
    inner: R,
    progress: &'a dyn Progress,
    digest: &'a Digest,
    done_bytes: u64,
    total_bytes: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done_bytes += count as u64;
        let (done_bytes, total_bytes) = (self.done_bytes, self.total_bytes);
        let state = LayerState::Pushing {
            done_bytes,
            total_bytes,
        };
        self.progress.event(Event::Layer {
            id: short(self.digest),
            state,
        });
        Ok(count)
    }
}
