//! `copy`: images between registries, layouts and archives, past the store, digest for digest.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use shiplap_model::reference::ReferenceError;
use shiplap_model::{Descriptor, Digest, Document, Manifest, Platform, Reference, limits};
use shiplap_store::StoreError;

use crate::acquire::short;
use crate::context::Context;
use crate::parallel;
use crate::progress::{Event, LayerState, Progress};
use crate::transport::archive::Archive;
use crate::transport::docker_archive::{ArchiveDestination, DockerArchive};
use crate::transport::layout::{Layout, LayoutWriter};
use crate::transport::registry::RegistryImage;
use crate::transport::{Destination, Fetched, Source, TransportError};

/// Where an image is or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `docker://NAME`, or `NAME` alone: a registry.
    Registry(Reference),
    /// `oci:DIR[:NAME]`: a layout in a directory.
    OciDirectory(PathBuf, Option<String>),
    /// `oci-archive:FILE[:NAME]`: a layout in an archive.
    OciArchive(PathBuf, Option<String>),
    /// `docker-archive:FILE[:NAME]`: Docker's archive.
    DockerArchive(PathBuf, Option<Reference>),
}

/// A place that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A kind of place there is not.
    #[error(
        "copy {0:?}: there are docker://NAME, oci:DIR[:NAME], oci-archive:FILE[:NAME] and docker-archive:FILE[:NAME]"
    )]
    Kind(String),
    /// No path.
    #[error("copy {0:?}: a path is missing")]
    Path(String),
    /// No reference.
    #[error("copy {text:?}: {source}")]
    Reference {
        /// What was written.
        text: String,
        /// Why it is none.
        source: ReferenceError,
    },
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let reference = |name: &str| {
            Reference::parse(name).map_err(|source| PlaceError::Reference {
                text: text.to_owned(),
                source,
            })
        };
        if let Some(name) = text.strip_prefix("docker://") {
            return Ok(Self::Registry(reference(name)?.or_latest()));
        }
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let path_and_name = || {
            let (path, name) = match rest.split_once(':') {
                Some((path, name)) => (path, Some(name)),
                None => (rest, None),
            };
            if path.is_empty() {
                return Err(PlaceError::Path(text.to_owned()));
            }
            Ok((PathBuf::from(path), name.filter(|name| !name.is_empty())))
        };
        match kind {
            "oci" => path_and_name()
                .map(|(path, name)| Self::OciDirectory(path, name.map(str::to_owned))),
            "oci-archive" => {
                path_and_name().map(|(path, name)| Self::OciArchive(path, name.map(str::to_owned)))
            }
            "docker-archive" => {
                let (path, name) = path_and_name()?;
                let name = name
                    .map(reference)
                    .transpose()?
                    .map(|name| name.or_latest());
                Ok(Self::DockerArchive(path, name))
            }
            "containers-storage" | "docker-daemon" | "dir" | "ostree" | "sif" => {
                Err(PlaceError::Kind(text.to_owned()))
            }
            _ => Ok(Self::Registry(reference(text)?.or_latest())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut file = |kind: &str, path: &PathBuf, name: Option<String>| {
            write!(f, "{kind}:{}", path.display())?;
            name.map_or(Ok(()), |name| write!(f, ":{name}"))
        };
        match self {
            Self::Registry(reference) => write!(f, "docker://{reference}"),
            Self::OciDirectory(path, name) => file("oci", path, name.clone()),
            Self::OciArchive(path, name) => file("oci-archive", path, name.clone()),
            Self::DockerArchive(path, name) => file(
                "docker-archive",
                path,
                name.as_ref().map(Reference::familiar),
            ),
        }
    }
}

/// What to copy.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// From where.
    pub source: Place,
    /// To where.
    pub destination: Place,
    /// All that an index names, instead of one platform.
    pub all: bool,
    /// The platform to choose from an index; `None`: that of the settings.
    pub platform: Option<Platform>,
}

/// Why nothing, or not everything, was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One side's failure.
    #[error("copy {from} to {to}: {source}")]
    Transport {
        /// From where.
        from: Place,
        /// To where.
        to: Place,
        /// Why.
        source: TransportError,
    },
    /// No image in the index is for that platform.
    #[error("copy {from}: it has no image for {wanted}; see --all")]
    NoPlatform {
        /// From where.
        from: Place,
        /// What was asked for.
        wanted: Platform,
    },
    /// Indexes within indexes without end.
    #[error("copy {from}: its indexes lie more than {} deep", limits::INDEX_DEPTH)]
    Nested {
        /// From where.
        from: Place,
    },
    /// There is no place for temporary files.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies; the digest of what the destination names now.
///
/// # Errors
/// [`CopyError`].
pub fn copy(
    context: &Context,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<Digest, CopyError> {
    let lease = context.store()?.lease()?;
    let scratch = lease.directory()?;
    let failed = |source| CopyError::Transport {
        from: options.source.clone(),
        to: options.destination.clone(),
        source,
    };
    with_source(
        context,
        &options.source,
        scratch.path(),
        &failed,
        |source| relay(context, options, source, progress),
    )
}

/// Opens a place as a source of one image, for the time of `work`.
pub(crate) fn with_source<T, E>(
    context: &Context,
    place: &Place,
    scratch: &Path,
    failed: &dyn Fn(TransportError) -> E,
    work: impl FnOnce(&dyn Source) -> Result<T, E>,
) -> Result<T, E> {
    match place {
        Place::Registry(reference) => work(&RegistryImage::new(context.client(), reference)),
        Place::OciDirectory(path, name) => {
            let layout = Layout::open_directory(path).map_err(failed)?;
            let image = layout.find(name.as_deref()).map_err(failed)?;
            work(&layout.source(image))
        }
        Place::OciArchive(path, name) => {
            let archive = Archive::open(path, scratch).map_err(failed)?;
            let layout = Layout::open_archive(archive).map_err(failed)?;
            let image = layout.find(name.as_deref()).map_err(failed)?;
            work(&layout.source(image))
        }
        Place::DockerArchive(path, name) => {
            let archive = Archive::open(path, scratch).map_err(failed)?;
            let archive = DockerArchive::open(archive).map_err(failed)?;
            let image = archive.find(name.as_ref()).map_err(failed)?;
            work(&archive.source(image))
        }
    }
}

fn relay(
    context: &Context,
    options: &CopyOptions,
    source: &dyn Source,
    progress: &dyn Progress,
) -> Result<Digest, CopyError> {
    let failed = |source| CopyError::Transport {
        from: options.source.clone(),
        to: options.destination.clone(),
        source,
    };
    let destination: Box<dyn Destination + '_> = match &options.destination {
        Place::Registry(reference) => {
            let image = RegistryImage::new(context.client(), reference);
            Box::new(image.mount_from(source.repository()))
        }
        Place::OciDirectory(path, name) => {
            Box::new(LayoutWriter::directory(path, name.as_deref()).map_err(failed)?)
        }
        Place::OciArchive(path, name) => {
            Box::new(LayoutWriter::archive(path, name.as_deref()).map_err(failed)?)
        }
        Place::DockerArchive(path, name) => {
            Box::new(ArchiveDestination::new(path, name.clone()).map_err(failed)?)
        }
    };
    let relay = Relay {
        context,
        options,
        source,
        destination: &*destination,
        progress,
    };
    let root = relay.root(source.root().map_err(failed)?)?;
    relay.document(&root, 0, true)?;
    destination.finish().map_err(failed)?;
    Ok(root.digest)
}

struct Relay<'a> {
    context: &'a Context,
    options: &'a CopyOptions,
    source: &'a dyn Source,
    destination: &'a dyn Destination,
    progress: &'a dyn Progress,
}

impl Relay<'_> {
    fn failed(&self, source: TransportError) -> CopyError {
        let (from, to) = (
            self.options.source.clone(),
            self.options.destination.clone(),
        );
        CopyError::Transport { from, to, source }
    }

    /// What is copied as the root: with `all` the document itself, else the manifest it leads to.
    fn root(&self, mut document: Fetched) -> Result<Fetched, CopyError> {
        if self.options.all {
            return Ok(document);
        }
        for _ in 0..=limits::INDEX_DEPTH {
            let index = match document.parse().map_err(|error| self.failed(error))? {
                Document::Manifest(_) => return Ok(document),
                Document::Index(index) => index,
            };
            let wanted = self
                .options
                .platform
                .as_ref()
                .unwrap_or(&self.context.settings().platform);
            let descriptor = index.choose(wanted).ok_or_else(|| CopyError::NoPlatform {
                from: self.options.source.clone(),
                wanted: wanted.clone(),
            })?;
            document = self
                .source
                .document(descriptor)
                .map_err(|error| self.failed(error))?;
        }
        Err(CopyError::Nested {
            from: self.options.source.clone(),
        })
    }

    /// Copies a document after all that it names.
    fn document(&self, document: &Fetched, depth: usize, is_root: bool) -> Result<(), CopyError> {
        if depth > limits::INDEX_DEPTH {
            return Err(CopyError::Nested {
                from: self.options.source.clone(),
            });
        }
        match document.parse().map_err(|error| self.failed(error))? {
            Document::Manifest(manifest) => self.blobs(&manifest)?,
            Document::Index(index) => {
                for descriptor in &index.manifests {
                    let next = self
                        .source
                        .document(descriptor)
                        .map_err(|e| self.failed(e))?;
                    self.document(&next, depth + 1, false)?;
                }
            }
        }
        self.destination
            .put_document(document, is_root)
            .map_err(|error| self.failed(error))
    }

    fn blobs(&self, manifest: &Manifest) -> Result<(), CopyError> {
        let mut seen = BTreeSet::new();
        let blobs: Vec<_> = manifest
            .blobs()
            .filter(|blob| seen.insert(&blob.digest))
            .collect();
        let workers = self.context.settings().parallel_layers;
        parallel::map(&blobs, workers, |blob| self.blob(blob))
            .map(drop)
            .map_err(|error| self.failed(error))
    }

    fn blob(&self, blob: &Descriptor) -> Result<(), TransportError> {
        let tell = |state| {
            self.progress.event(Event::Layer {
                id: short(&blob.digest),
                state,
            });
        };
        if self.destination.holds(blob)? {
            tell(LayerState::Present);
            return Ok(());
        }
        tell(LayerState::Queued);
        let open = |offset| self.source.blob(blob, offset).map_err(io::Error::other);
        self.destination.put_blob(blob, &open)?;
        tell(LayerState::Pushed);
        Ok(())
    }
}
