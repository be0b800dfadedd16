//! An image to look into, wherever it is: in the store, in an archive or layout, in a registry.
//! Layers that are not here come into temporary files, with their indexes, and go with them: the
//! store has no more afterwards than before.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shiplap_layer::erofs::{LayerIndex, ReadError};
use shiplap_layer::ingest;
use shiplap_layer::stack::Layer;
use shiplap_model::digest::DigestError;
use shiplap_model::{
    Descriptor, DiffId, Digest, ImageConfig, ImageId, Platform, Reference, media_type,
};
use shiplap_store::{LayerRecord, Lease, ResolveError, StagedFile, Store, StoreError};

use crate::acquire::{self, AcquireError, short};
use crate::context::Context;
use crate::copy::{Place, PlaceError, with_source};
use crate::inspect::{InspectError, read_image};
use crate::parallel;
use crate::progress::{Event, LayerState, Progress};
use crate::transport::archive::Archive;
use crate::transport::docker_archive::DockerArchive;
use crate::transport::{Source, TransportError};

/// An image, open for looking into.
pub struct OpenedImage {
    /// What it was called.
    pub name: String,
    /// What a registry calls it, if it came from there just now.
    pub registry_name: Option<Reference>,
    /// Its ID.
    pub id: ImageId,
    /// Its manifest, if that is its own and not made up for an archive that has none.
    pub manifest: Option<Digest>,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, base first.
    pub layers: Vec<OpenedLayer>,
    store: Store,
    /// Keeps layers that came beside it from being collected meanwhile.
    _lease: Option<Lease>,
}

/// A layer, open.
pub struct OpenedLayer {
    /// What is known of it.
    pub record: LayerRecord,
    /// Its tar.
    pub tar: File,
    /// Its index, if it is not in the store.
    index: Option<File>,
}

/// Why an image can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What it is called means nothing.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// It is in the store, but not whole.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it comes from has it not, or not whole.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
    /// It is not in the store, and not to be had from where its name leads.
    #[error("find image {name}: it is not here; asked for it: {source}")]
    Nowhere {
        /// Its name.
        name: String,
        /// What its registry, or the way to it, said.
        source: Box<AcquireError>,
    },
    /// A layer's index can't be read.
    #[error("read the index of layer {diff_id}: {source}")]
    Index {
        /// Which.
        diff_id: DiffId,
        /// Why.
        source: ReadError,
    },
    /// A temporary file can't be opened again.
    #[error("open a temporary file: {0}")]
    Temporary(#[source] io::Error),
}

impl From<TransportError> for OpenError {
    fn from(error: TransportError) -> Self {
        Self::Acquire(error.into())
    }
}

impl OpenedImage {
    /// The index of a layer. That of a layer of the store is opened only now: an image may have
    /// more layers than a process may have files.
    ///
    /// # Errors
    /// [`OpenError::Index`], or the store's failure.
    pub fn index(&self, layer: &OpenedLayer) -> Result<LayerIndex, OpenError> {
        let diff_id = &layer.record.diff_id;
        let file = match &layer.index {
            Some(file) => file.try_clone().map_err(OpenError::Temporary)?,
            None => self.store.open_index(diff_id)?,
        };
        LayerIndex::open(file).map_err(|source| OpenError::Index {
            diff_id: diff_id.clone(),
            source,
        })
    }

    /// The indexes of all layers, base first.
    ///
    /// # Errors
    /// As [`OpenedImage::index`].
    pub fn indexes(&self) -> Result<Vec<Arc<dyn Layer>>, OpenError> {
        let open = |layer| Ok(Arc::new(self.index(layer)?) as Arc<dyn Layer>);
        self.layers.iter().map(open).collect()
    }

    /// The tars of all layers, base first.
    #[must_use]
    pub fn tars(&self) -> Vec<&File> {
        self.layers.iter().map(|layer| &layer.tar).collect()
    }
}

impl OpenedLayer {
    fn of_store(store: &Store, record: LayerRecord) -> Result<Self, OpenError> {
        Ok(Self {
            tar: store.open_tar(&record.diff_id)?,
            index: None,
            record,
        })
    }
}

/// Opens the image that `name` means: one of the store, else a file or directory that is written as
/// a path, one of the places that `copy` knows, or what a registry has.
///
/// # Errors
/// [`OpenError`].
pub fn open(
    context: &Context,
    name: &str,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<OpenedImage, OpenError> {
    let store = context.store()?;
    if let Some(place) = written_place(store, name)? {
        return bring(context, name, &place, platform, progress);
    }
    match read_image(store, name, platform) {
        Ok((image, config)) => {
            let records = store.image_layers(&image.id)?.into_iter();
            let layers = records.map(|record| OpenedLayer::of_store(store, record));
            let manifests = store.image_manifests(&image.id)?;
            Ok(OpenedImage {
                name: name.to_owned(),
                registry_name: None,
                manifest: manifests.into_iter().next(),
                id: image.id,
                config,
                layers: layers.collect::<Result<_, _>>()?,
                store: store.clone(),
                _lease: None,
            })
        }
        Err(InspectError::Resolve(ResolveError::NotFound { .. })) => {
            let place: Place = name.parse()?;
            let brought = bring(context, name, &place, platform, progress);
            brought.map_err(|error| match error {
                OpenError::Acquire(source) => OpenError::Nowhere {
                    name: name.to_owned(),
                    source: Box::new(source),
                },
                other => other,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// The place outside the store that a name says it is, if it does.
fn written_place(store: &Store, name: &str) -> Result<Option<Place>, OpenError> {
    let kinds = ["docker://", "docker-archive:", "oci-archive:", "oci:"];
    if kinds.iter().any(|kind| name.starts_with(kind)) {
        return Ok(Some(name.parse()?));
    }
    let path = Path::new(name);
    let is_path = path.is_absolute() || name.starts_with("./") || name.starts_with("../");
    let is_archive = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz"]
        .iter()
        .any(|end| name.ends_with(end));
    let is_place = is_path || (is_archive && path.is_file());
    if !is_place {
        return Ok(None);
    }
    let path = PathBuf::from(path);
    if path.is_dir() {
        return Ok(Some(Place::OciDirectory(path, None)));
    }
    // Only of what holds its list whole can be told what it is.
    let lease = store.lease()?;
    let scratch = lease.directory()?;
    let archive = Archive::open(&path, scratch.path())?;
    Ok(Some(match DockerArchive::is_one(&archive) {
        true => Place::DockerArchive(path, None),
        false => Place::OciArchive(path, None),
    }))
}

fn bring(
    context: &Context,
    name: &str,
    place: &Place,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<OpenedImage, OpenError> {
    let store = context.store()?;
    let lease = store.lease()?;
    let scratch = lease.directory()?;
    let settings = context.settings();
    let platform = platform.unwrap_or(&settings.platform);
    let failed = |error: TransportError| OpenError::from(error);
    let brought = with_source(context, place, scratch.path(), &failed, |source| {
        let chosen = acquire::choose(source, source.root()?, platform)?;
        let (_, config) = acquire::read_config(store, source, &chosen)?;
        let layers: Vec<_> = (chosen.manifest.layers.iter())
            .zip(&config.rootfs.diff_ids)
            .collect();
        let layers = parallel::map(&layers, settings.parallel_layers, |(layer, diff_id)| {
            take(&lease, source, layer, diff_id, progress)
        })?;
        let id = ImageId::from(chosen.manifest.config.digest.clone());
        let manifest = source.has_manifests().then_some(chosen.raw.digest);
        Ok::<_, OpenError>((id, manifest, config, layers))
    })?;
    let (id, manifest, config, layers) = brought;
    Ok(OpenedImage {
        name: name.to_owned(),
        registry_name: match place {
            Place::Registry(reference) => Some(reference.clone()),
            _ => None,
        },
        id,
        manifest,
        config,
        layers,
        store: store.clone(),
        _lease: Some(lease),
    })
}

/// Opens a layer of the store, or brings it into temporary files.
fn take(
    lease: &Lease,
    source: &dyn Source,
    descriptor: &Descriptor,
    diff_id: &DiffId,
    progress: &dyn Progress,
) -> Result<OpenedLayer, OpenError> {
    let id = short(&descriptor.digest);
    if let Some(record) = lease.hold_layer(diff_id)? {
        return OpenedLayer::of_store(lease.store(), record);
    }
    let digest = descriptor.digest.clone();
    if media_type::is_foreign_layer(&descriptor.media_type) {
        let media_type = descriptor.media_type.clone();
        return Err(AcquireError::ForeignLayer { digest, media_type }.into());
    }
    let (tar, index) = (lease.file()?, lease.file()?);
    let total_bytes = descriptor.size;
    let is_far = source.repository().is_some();
    let tell = |done_bytes| {
        let state = match is_far {
            true => LayerState::Downloading {
                done_bytes,
                total_bytes,
            },
            false => LayerState::Loading {
                done_bytes,
                total_bytes,
            },
        };
        progress.event(Event::Layer { id, state });
    };
    let blob = source.blob(descriptor, 0)?;
    let facts = ingest::ingest(blob, tar.file(), index.file(), &tell);
    let facts = facts.map_err(|source| AcquireError::Layer {
        digest: digest.clone(),
        source,
    })?;
    if facts.diff_id != *diff_id {
        let (expected, actual) = (diff_id.digest().clone(), facts.diff_id.digest().clone());
        let source = DigestError::Mismatch { expected, actual };
        return Err(AcquireError::DiffId { digest, source }.into());
    }
    let state = match is_far {
        true => LayerState::Pulled,
        false => LayerState::Loaded,
    };
    progress.event(Event::Layer { id, state });
    Ok(OpenedLayer {
        record: LayerRecord {
            diff_id: facts.diff_id,
            tar_bytes: facts.tar_bytes,
            content_bytes: facts.content_bytes,
            entries: facts.entries,
        },
        tar: reopen(&tar)?,
        index: Some(reopen(&index)?),
    })
}

/// The file again; its name goes, it stays as long as it is open.
fn reopen(staged: &StagedFile) -> Result<File, OpenError> {
    File::open(staged.path()).map_err(OpenError::Temporary)
}
