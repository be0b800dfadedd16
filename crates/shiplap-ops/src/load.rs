//! `load`: images from an archive into the store.

use std::io::Read;
use std::path::{Path, PathBuf};

use shiplap_model::reference::ReferenceError;
use shiplap_model::{Descriptor, ImageId, Platform, Reference};
use shiplap_store::StoreError;

use crate::acquire::{self, AcquireError, Wanted};
use crate::context::Context;
use crate::progress::Progress;
use crate::transport::archive::Archive;
use crate::transport::docker_archive::DockerArchive;
use crate::transport::layout::{IMAGE_NAME, Layout, REF_NAME};
use crate::transport::{Source, TransportError};

/// Where the archive comes from.
pub enum Input<'a> {
    /// A file.
    File(PathBuf),
    /// A stream, as standard input.
    Stream(&'a mut (dyn Read + Send)),
}

/// One image of the archive.
#[derive(Debug, Clone)]
pub struct LoadedImage {
    /// Its ID.
    pub id: ImageId,
    /// The tags that the archive gave it.
    pub tags: Vec<Reference>,
}

/// Why not everything was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The archive can't be read.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image of the archive can't be taken.
    #[error("load {}: {source}", path.display())]
    Image {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: AcquireError,
    },
    /// A name in the archive that can be none.
    #[error("load {}: {source}", path.display())]
    Name {
        /// The archive.
        path: PathBuf,
        /// Why it is none.
        source: ReferenceError,
    },
    /// Neither format.
    #[error("load {}: it is neither a Docker archive (no manifest.json) nor an OCI one (no index.json)", path.display())]
    Unknown {
        /// The archive.
        path: PathBuf,
    },
}

/// Loads every image of an archive: Docker's, or OCI's, plain or compressed. From an index the
/// image for `platform` is chosen, that of the settings if there is none; with one, images for others
/// are refused.
///
/// # Errors
/// [`LoadError`]; images before the one that failed are loaded.
pub fn load(
    context: &Context,
    input: Input<'_>,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Vec<LoadedImage>, LoadError> {
    let store = context.store()?;
    let lease = store.lease()?;
    let scratch = lease.directory()?;
    let archive = match input {
        Input::File(path) => Archive::open(&path, scratch.path())?,
        Input::Stream(stream) => Archive::spool(Path::new("-"), stream, scratch.path())?,
    };
    let path = archive.path().to_owned();
    let take = |source: &dyn Source, tags: Vec<Reference>| -> Result<LoadedImage, LoadError> {
        let wanted = Wanted {
            platform: platform.unwrap_or(&context.settings().platform).clone(),
            tags: tags.clone(),
            parallel_layers: context.settings().parallel_layers,
            keep_compressed: context.settings().keep_compressed,
            only_platform: platform.is_some(),
        };
        let image_error = |source| LoadError::Image {
            path: path.clone(),
            source,
        };
        let root = source.root()?;
        let acquired =
            acquire::acquire(store, source, root, &wanted, progress).map_err(image_error)?;
        Ok(LoadedImage {
            id: acquired.id,
            tags,
        })
    };
    if DockerArchive::is_one(&archive) {
        let archive = DockerArchive::open(archive)?;
        // All names first: an archive with one that is none is refused before anything is taken.
        let tags = archive
            .images()
            .iter()
            .map(|image| parse_tags(&path, &image.tags));
        let tags = tags.collect::<Result<Vec<_>, _>>()?;
        let images = archive.images().iter().zip(tags);
        return images
            .map(|(image, tags)| take(&archive.source(image), tags))
            .collect();
    }
    if !archive.has("index.json") {
        return Err(LoadError::Unknown { path });
    }
    let layout = Layout::open_archive(archive)?;
    let images = layout.images().iter();
    images
        .map(|image| take(&layout.source(image), name_of(image).into_iter().collect()))
        .collect()
}

fn parse_tags(path: &Path, tags: &[String]) -> Result<Vec<Reference>, LoadError> {
    let parse = |tag: &String| match Reference::parse(tag) {
        Ok(tag) => Ok(tag.or_latest()),
        Err(source) => Err(LoadError::Name {
            path: path.to_owned(),
            source,
        }),
    };
    tags.iter().map(parse).collect()
}

/// The name a layout gives an image: containerd's full name, or a reference name that is more
/// than a tag.
fn name_of(image: &Descriptor) -> Option<Reference> {
    let full = image.annotations.get(IMAGE_NAME);
    let short = image
        .annotations
        .get(REF_NAME)
        .filter(|name| name.contains([':', '/']));
    let reference = Reference::parse(full.or(short)?).ok()?;
    Some(reference.or_latest())
}
