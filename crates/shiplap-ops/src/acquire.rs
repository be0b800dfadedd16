//! Brings an image from a [`Source`] into the store: what `pull` and `load` have in common.
//!
//! Layers come in parallel; each goes through download, verification, inflation, DiffID, tar and
//! index in one pass. A layer that is here is not read; one that another process is fetching is
//! waited for. The image is recorded when all of it is durable.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use shiplap_layer::ingest::{self, IngestError};
use shiplap_model::digest::DigestError;
use shiplap_model::media_type::LayerCompression;
use shiplap_model::{
    Descriptor, DiffId, Digest, Document, DocumentError, ImageConfig, ImageId, Index, Manifest,
    Platform, Reference, limits, media_type,
};
use shiplap_store::{
    CompressedForm, ImageError, LayerRecord, Lease, NewImage, RepoDigest, Store, StoreError,
};

use crate::parallel;
use crate::progress::{Event, LayerState, Progress};
use crate::transport::{Fetched, Source, TransportError, read_small};

/// Why an image does not come into the store. Nothing of it is visible then; layers that were
/// whole before the failure stay until the next collection, so that a second try finds them.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// The source's failure.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image can't be recorded.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A manifest or config that contradicts itself.
    #[error("take {digest}: {source}")]
    Document {
        /// Which.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// No image in the index is for that platform.
    #[error("find an image for {wanted}; there is {}", offered.join(", "))]
    NoPlatform {
        /// What was asked for.
        wanted: Platform,
        /// What the index has.
        offered: Vec<String>,
    },
    /// Indexes within indexes without end.
    #[error(
        "take {digest}: its indexes lie more than {} deep",
        limits::INDEX_DEPTH
    )]
    Nested {
        /// The document that is one too deep.
        digest: Digest,
    },
    /// Something that is distributed like an image but is none.
    #[error("take {digest}: it is no container image but {kind}")]
    NotAnImage {
        /// The manifest.
        digest: Digest,
        /// Its artifact or config type.
        kind: String,
    },
    /// A layer that is not in the registry but at URLs of its own.
    #[error(
        "take layer {digest}: it is a foreign layer ({media_type}), which is not distributed with its image"
    )]
    ForeignLayer {
        /// Which.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// A layer can't be made of what comes.
    #[error("take layer {digest}: {source}")]
    Layer {
        /// Its digest in the manifest.
        digest: Digest,
        /// Why.
        source: IngestError,
    },
    /// A layer that is not the one that the config names.
    #[error("take layer {digest}: {source}")]
    DiffId {
        /// Its digest in the manifest.
        digest: Digest,
        /// What the config wants and what came.
        source: DigestError,
    },
}

/// An image that is in the store now.
#[derive(Debug, Clone)]
pub struct Acquired {
    /// Its ID.
    pub id: ImageId,
    /// Digest of the document that the source's reference names: an index's, or the manifest's.
    pub root: Digest,
    /// Whether anything is new: the image, or a tag that moved.
    pub is_new: bool,
}

/// What is wanted of a source, and what it is to be called.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The platform to choose from an index.
    pub platform: Platform,
    /// Tags the image gets.
    pub tags: Vec<Reference>,
    /// Layers fetched at once; at least one.
    pub parallel_layers: usize,
    /// Keep the compressed form of layers too.
    pub keep_compressed: bool,
    /// Refuse an image for another platform though the source has no choice.
    pub only_platform: bool,
}

/// An image chosen from a source: its manifest, and the indexes on the way to it, outermost first.
pub(crate) struct Chosen {
    indexes: Vec<Fetched>,
    /// The manifest as received.
    pub(crate) raw: Fetched,
    pub(crate) manifest: Manifest,
}

/// Brings the image of `source` into the store.
///
/// # Errors
/// [`AcquireError`].
pub fn acquire(
    store: &Store,
    source: &dyn Source,
    root: Fetched,
    wanted: &Wanted,
    progress: &dyn Progress,
) -> Result<Acquired, AcquireError> {
    let root_digest = root.digest.clone();
    let chosen = choose(source, root, &wanted.platform)?;
    let (config_bytes, config) = read_config(store, source, &chosen)?;
    if wanted.only_platform && !wanted.platform.runs(&config.platform()) {
        return Err(AcquireError::NoPlatform {
            wanted: wanted.platform.clone(),
            offered: vec![config.platform().to_string()],
        });
    }
    let lease = store.lease()?;
    let layers = chosen.manifest.layers.iter().zip(&config.rootfs.diff_ids);
    let fetch = Fetch {
        lease: &lease,
        source,
        wanted,
        progress,
    };
    fetch.all(&layers.collect::<Vec<_>>())?;

    lease.put_blob(&chosen.manifest.config.digest, &config_bytes)?;
    for document in chosen.indexes.iter().chain([&chosen.raw]) {
        lease.put_blob(&document.digest, &document.bytes)?;
    }
    let repo_digests: Vec<_> = source
        .repository()
        .map(|repository| RepoDigest {
            repository: repository.clone(),
            digest: root_digest.clone(),
        })
        .into_iter()
        .collect();
    let indexes: Vec<_> = chosen
        .indexes
        .iter()
        .map(|index| index.digest.clone())
        .collect();
    let put = lease.put_image(&NewImage {
        indexes: &indexes,
        tags: &wanted.tags,
        repo_digests: &repo_digests,
        ..NewImage::of(&chosen.raw.digest)
    })?;
    let is_new = put.is_new || !put.moved_tags.is_empty();
    Ok(Acquired {
        id: put.id,
        root: root_digest,
        is_new,
    })
}

/// Follows indexes to the manifest for `platform`.
pub(crate) fn choose(
    source: &dyn Source,
    root: Fetched,
    platform: &Platform,
) -> Result<Chosen, AcquireError> {
    let mut indexes = Vec::new();
    let mut raw = root;
    loop {
        match raw.parse()? {
            Document::Manifest(manifest) => {
                refuse_artifact(&raw.digest, &manifest)?;
                return Ok(Chosen {
                    indexes,
                    raw,
                    manifest,
                });
            }
            Document::Index(index) => {
                if indexes.len() >= limits::INDEX_DEPTH {
                    return Err(AcquireError::Nested { digest: raw.digest });
                }
                let Some(descriptor) = index.choose(platform) else {
                    return Err(no_platform(platform, &index));
                };
                let next = source.document(descriptor)?;
                indexes.push(raw);
                raw = next;
            }
        }
    }
}

fn no_platform(wanted: &Platform, index: &Index) -> AcquireError {
    let offered: BTreeSet<String> = index
        .manifests
        .iter()
        .filter_map(|manifest| manifest.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(ToString::to_string)
        .collect();
    let offered = if offered.is_empty() {
        vec!["none with a platform".to_owned()]
    } else {
        offered.into_iter().collect()
    };
    AcquireError::NoPlatform {
        wanted: wanted.clone(),
        offered,
    }
}

/// Charts, signatures and the like are kept in registries too.
fn refuse_artifact(digest: &Digest, manifest: &Manifest) -> Result<(), AcquireError> {
    if manifest.is_image() {
        return Ok(());
    }
    let kind = manifest
        .artifact_type
        .clone()
        .unwrap_or_else(|| manifest.config.media_type.clone());
    Err(AcquireError::NotAnImage {
        digest: digest.clone(),
        kind,
    })
}

/// The config of the image, as it came and as it reads.
pub(crate) fn read_config(
    store: &Store,
    source: &dyn Source,
    chosen: &Chosen,
) -> Result<(Vec<u8>, ImageConfig), AcquireError> {
    let descriptor = &chosen.manifest.config;
    let document = |source| AcquireError::Document {
        digest: descriptor.digest.clone(),
        source,
    };
    let bytes = match store.read_blob(&descriptor.digest) {
        Ok(bytes) => bytes,
        Err(_) => read_small(source, descriptor, limits::CONFIG_BYTES)?,
    };
    let config = ImageConfig::parse(&bytes).map_err(document)?;
    config.check_layers(&chosen.manifest).map_err(document)?;
    Ok((bytes, config))
}

struct Fetch<'a> {
    lease: &'a Lease,
    source: &'a dyn Source,
    wanted: &'a Wanted,
    progress: &'a dyn Progress,
}

impl Fetch<'_> {
    /// Fetches every layer that is not here; the first failure stops the others.
    fn all(&self, layers: &[(&Descriptor, &DiffId)]) -> Result<(), AcquireError> {
        let mut seen = BTreeSet::new();
        let mut layers: Vec<_> = layers
            .iter()
            .copied()
            .filter(|(_, diff_id)| seen.insert(*diff_id))
            .collect();
        for (descriptor, _) in &layers {
            self.tell(descriptor, LayerState::Queued);
        }
        // The longest first: begun last, it would keep one core busy when the others have gone.
        layers.sort_by_key(|(descriptor, _)| Reverse(descriptor.size));
        let stop = AtomicBool::new(false);
        let fetch = |layer: &(&Descriptor, &DiffId)| {
            let (descriptor, diff_id) = *layer;
            self.one(descriptor, diff_id, &stop)
                .inspect_err(|_| stop.store(true, Ordering::Relaxed))
        };
        parallel::map(&layers, self.wanted.parallel_layers, fetch).map(drop)
    }

    fn one(
        &self,
        descriptor: &Descriptor,
        diff_id: &DiffId,
        stop: &AtomicBool,
    ) -> Result<(), AcquireError> {
        let store = self.lease.store();
        if self.lease.hold_layer(diff_id)?.is_some() {
            self.note_known_form(descriptor, diff_id)?;
            self.tell(descriptor, LayerState::Exists);
            return Ok(());
        }
        if media_type::is_foreign_layer(&descriptor.media_type) {
            let (digest, media_type) = (descriptor.digest.clone(), descriptor.media_type.clone());
            return Err(AcquireError::ForeignLayer { digest, media_type });
        }
        let _lock = match store.try_lock(diff_id.digest())? {
            Some(lock) => lock,
            None => {
                self.tell(descriptor, LayerState::Waiting);
                store.lock(diff_id.digest())?
            }
        };
        // Whoever had the lock may have finished the layer.
        if self.lease.hold_layer(diff_id)?.is_some() {
            self.note_known_form(descriptor, diff_id)?;
        } else {
            match self.fetch(descriptor, diff_id, stop) {
                // A mirror that lied is known at the end of the blob, and passed over from then
                // on: the next place in the list gets its chance.
                Err(error) if self.source.repository().is_some() && is_bad_content(&error) => {
                    self.fetch(descriptor, diff_id, stop)?;
                }
                result => result?,
            }
            self.note_form(descriptor, diff_id)?;
        }
        self.tell(descriptor, LayerState::Pulled);
        Ok(())
    }

    fn fetch(
        &self,
        descriptor: &Descriptor,
        diff_id: &DiffId,
        stop: &AtomicBool,
    ) -> Result<(), AcquireError> {
        let digest = || descriptor.digest.clone();
        let (tar, index) = (self.lease.file()?, self.lease.file()?);
        let blob = self.source.blob(descriptor, 0)?;
        let kept = if self.keeps(descriptor) {
            Some(self.lease.file()?)
        } else {
            None
        };
        let blob = Watched {
            inner: blob,
            copy: kept.as_ref().map(shiplap_store::StagedFile::file),
            stop,
        };
        let tell = |done_bytes| {
            let total_bytes = descriptor.size;
            self.tell(
                descriptor,
                LayerState::Downloading {
                    done_bytes,
                    total_bytes,
                },
            );
        };
        let facts = ingest::ingest(blob, tar.file(), index.file(), &tell).map_err(|source| {
            AcquireError::Layer {
                digest: digest(),
                source,
            }
        })?;
        if facts.diff_id != *diff_id {
            let (expected, actual) = (diff_id.digest().clone(), facts.diff_id.digest().clone());
            let source = DigestError::Mismatch { expected, actual };
            return Err(AcquireError::DiffId {
                digest: digest(),
                source,
            });
        }
        let record = LayerRecord {
            diff_id: facts.diff_id,
            tar_bytes: facts.tar_bytes,
            content_bytes: facts.content_bytes,
            entries: facts.entries,
        };
        self.lease.commit_layer(tar, index, &record)?;
        if let Some(kept) = kept {
            self.lease.commit_blob(kept, &descriptor.digest)?;
        }
        Ok(())
    }

    fn keeps(&self, descriptor: &Descriptor) -> bool {
        self.wanted.keep_compressed && is_compressed(descriptor)
    }

    /// Remembers one more place of a compressed form. Of a layer that was not read now, only its
    /// manifest says that this blob is a form of it; that counts if the same was proved before.
    fn note_known_form(
        &self,
        descriptor: &Descriptor,
        diff_id: &DiffId,
    ) -> Result<(), AcquireError> {
        let known = self.lease.store().layer_of_compressed(&descriptor.digest)?;
        if known.as_ref() == Some(diff_id) {
            self.note_form(descriptor, diff_id)
        } else {
            Ok(())
        }
    }

    /// Remembers the compressed form and where it is, so that a push need not make it again.
    fn note_form(&self, descriptor: &Descriptor, diff_id: &DiffId) -> Result<(), AcquireError> {
        let Some(repository) = self.source.repository() else {
            return Ok(());
        };
        self.lease.store().record_compressed(
            diff_id,
            &CompressedForm {
                digest: descriptor.digest.clone(),
                size_bytes: descriptor.size,
                media_type: descriptor.media_type.clone(),
                kept: self.keeps(descriptor) && self.lease.hold_blob(&descriptor.digest)?,
                locations: vec![repository.clone()],
            },
        )?;
        Ok(())
    }

    fn tell(&self, descriptor: &Descriptor, state: LayerState<'_>) {
        // What comes out of an archive is loaded, not pulled.
        let state = match state {
            state if self.source.repository().is_some() => state,
            LayerState::Queued => return,
            LayerState::Exists | LayerState::Pulled => LayerState::Loaded,
            LayerState::Downloading {
                done_bytes,
                total_bytes,
            } => LayerState::Loading {
                done_bytes,
                total_bytes,
            },
            state => state,
        };
        self.progress.event(Event::Layer {
            id: short(&descriptor.digest),
            state,
        });
    }
}

/// Whether the bytes that came were not those of the descriptor.
fn is_bad_content(error: &AcquireError) -> bool {
    match error {
        AcquireError::Layer {
            source: IngestError::Source(source),
            ..
        } => source.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn is_compressed(descriptor: &Descriptor) -> bool {
    LayerCompression::of(&descriptor.media_type) != Some(LayerCompression::None)
}

/// The first 12 digits of a digest, as Docker shows it.
pub(crate) fn short(digest: &Digest) -> &str {
    digest.encoded().get(..12).unwrap_or(digest.encoded())
}

/// A blob on its way: stops when another layer has failed, and writes a copy of what it reads.
struct Watched<'a, R> {
    inner: R,
    copy: Option<&'a std::fs::File>,
    stop: &'a AtomicBool,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("another layer failed"));
        }
        let count = self.inner.read(buffer)?;
        if let Some(mut copy) = self.copy {
            io::Write::write_all(&mut copy, buffer.get(..count).unwrap_or_default())?;
        }
        Ok(count)
    }
}
