//! `save`: images from the store into an archive.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use shiplap_model::{AnyReference, Digest, Document, ImageId, Platform, Reference};
use shiplap_store::{ResolveError, ResolvedBy, Store, StoreError};

use crate::context::Context;
use crate::transport::TransportError;
pub use crate::transport::docker_archive::ArchiveFormat;
use crate::transport::docker_archive::{ArchiveLayer, ArchiveWriter};
use crate::transport::layout::NewFile;

/// What to save, and how.
#[derive(Debug, Clone)]
pub struct SaveOptions {
    /// Names and IDs; a repository without tag means all its tags.
    pub images: Vec<String>,
    /// The format.
    pub format: ArchiveFormat,
    /// Only images for this platform.
    pub platform: Option<Platform>,
}

/// Where the archive goes.
pub enum Output<'a> {
    /// A file, which appears when it is whole.
    File(PathBuf),
    /// A stream, as standard output.
    Stream(&'a mut (dyn Write + Send)),
}

/// Why nothing was saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of the images of an index is gone.
    #[error(
        "save index {index}: its image for {part} is not here any more; build it again, or name one with --platform"
    )]
    Part {
        /// Which.
        index: Digest,
        /// The platform of the image, or its digest.
        part: String,
    },
    /// The archive can't be written.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// One image with the tags that it is saved under, or an index that these name.
struct Chosen {
    id: ImageId,
    index: Option<Digest>,
    tags: Vec<Reference>,
}

/// Saves.
///
/// # Errors
/// [`SaveError`]; then there is no file.
pub fn save(context: &Context, options: &SaveOptions, output: Output<'_>) -> Result<(), SaveError> {
    let store = context.store()?;
    let chosen = choose(store, options)?;
    put(store, &chosen, options.format, output)
}

/// Saves one image under names that it need not have in the store.
///
/// # Errors
/// [`SaveError`]; then there is no file.
pub fn save_as(
    context: &Context,
    id: &ImageId,
    names: &[Reference],
    format: ArchiveFormat,
    output: Output<'_>,
) -> Result<(), SaveError> {
    let chosen = Chosen {
        id: id.clone(),
        index: None,
        tags: names.to_vec(),
    };
    put(context.store()?, &[chosen], format, output)
}

/// Saves an index with all its images as an OCI layout, under names that it need not have in the store. Their
/// manifests must be of layers that are not compressed, as those of a build are.
///
/// # Errors
/// [`SaveError`]; then there is no file.
pub fn save_index_as(
    context: &Context,
    index: &Digest,
    names: &[Reference],
    output: Output<'_>,
) -> Result<(), SaveError> {
    let store = context.store()?;
    to_output(output, ArchiveFormat::Oci, |archive| {
        add_index(store, archive, index, names)
    })
}

fn add_index(
    store: &Store,
    archive: &mut ArchiveWriter<BufWriter<&mut dyn Write>>,
    index: &Digest,
    names: &[Reference],
) -> Result<(), SaveError> {
    let bytes = store.read_blob(index)?;
    let document = Document::parse(&bytes, None).map_err(|source| TransportError::Document {
        digest: index.clone(),
        source,
    })?;
    let manifests = match document {
        Document::Index(index) => index.manifests,
        Document::Manifest(_) => Vec::new(),
    };
    for entry in &manifests {
        let id = store.image_of_manifest(&entry.digest)?;
        let id = id.ok_or_else(|| SaveError::Part {
            index: index.clone(),
            part: match &entry.platform {
                Some(platform) => platform.to_string(),
                None => entry.digest.to_string(),
            },
        })?;
        let manifest = store.read_blob(&entry.digest)?;
        let config = store.read_blob(id.digest())?;
        archive.part(&manifest, &config, layers(store, &id)?)?;
    }
    Ok(archive.index(&bytes, names)?)
}

fn put(
    store: &Store,
    images: &[Chosen],
    format: ArchiveFormat,
    output: Output<'_>,
) -> Result<(), SaveError> {
    to_output(output, format, |archive| {
        for image in images {
            if let Some(index) = &image.index {
                add_index(store, archive, index, &image.tags)?;
                continue;
            }
            let config = store.read_blob(image.id.digest())?;
            archive.image(&config, layers(store, &image.id)?, &image.tags)?;
        }
        Ok(())
    })
}

/// The layers of an image, each opened.
fn layers(store: &Store, id: &ImageId) -> Result<Vec<ArchiveLayer<'static>>, SaveError> {
    let layers = store.image_layers(id)?.into_iter().map(|layer| {
        let tar: File = store.open_tar(&layer.diff_id)?;
        Ok(ArchiveLayer {
            diff_id: layer.diff_id,
            tar_bytes: layer.tar_bytes,
            open: Box::new(move || Ok(Box::new(tar) as Box<dyn Read>)),
        })
    });
    layers.collect()
}

/// Lets `fill` write an archive to where it goes.
fn to_output(
    output: Output<'_>,
    format: ArchiveFormat,
    fill: impl FnOnce(&mut ArchiveWriter<BufWriter<&mut dyn Write>>) -> Result<(), SaveError>,
) -> Result<(), SaveError> {
    match output {
        Output::Stream(stream) => write(Path::new("-"), stream, format, fill),
        Output::File(path) => {
            let mut file = NewFile::create(&path)?;
            write(&path, &mut file, format, fill)?;
            Ok(file.finish()?)
        }
    }
}

fn write(
    path: &Path,
    out: &mut dyn Write,
    format: ArchiveFormat,
    fill: impl FnOnce(&mut ArchiveWriter<BufWriter<&mut dyn Write>>) -> Result<(), SaveError>,
) -> Result<(), SaveError> {
    let out = BufWriter::with_capacity(1 << 20, out);
    let mut archive = ArchiveWriter::new(path, out, format)?;
    fill(&mut archive)?;
    let out = archive.finish()?;
    let flushed = out.into_inner().map_err(io::IntoInnerError::into_error);
    flushed
        .map(drop)
        .map_err(|error| TransportError::io("write", path)(error).into())
}

/// The images of the names, each once, with all the tags that were asked for.
fn choose(store: &Store, options: &SaveOptions) -> Result<Vec<Chosen>, SaveError> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for name in &options.images {
        for (id, tag) in named(store, name, options.platform.as_ref())? {
            // Docker's own list in an archive has no place for an index.
            let index = match (&tag, options.format, &options.platform) {
                (Some(tag), ArchiveFormat::Oci, None) => store.named_index(tag)?,
                _ => None,
            };
            let is_it = |image: &&mut Chosen| image.id == id && image.index == index;
            let image = match chosen.iter_mut().find(is_it) {
                Some(image) => image,
                None => {
                    chosen.push(Chosen {
                        id,
                        index,
                        tags: Vec::new(),
                    });
                    let last = chosen.len() - 1;
                    &mut chosen[last]
                }
            };
            image
                .tags
                .extend(tag.filter(|tag| !image.tags.contains(tag)));
        }
    }
    Ok(chosen)
}

fn named(
    store: &Store,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Vec<(ImageId, Option<Reference>)>, SaveError> {
    if let Ok(AnyReference::Named(reference)) = AnyReference::parse(name)
        && reference.tag().is_none()
        && reference.digest().is_none()
    {
        let images = store.images()?;
        let tags = images.iter().flat_map(|image| &image.tags);
        let tags = tags.filter(|tag| tag.repository() == reference.repository());
        let tagged = tags.map(|tag| tagged(store, &tag.to_string(), platform));
        let tagged = tagged.collect::<Result<Vec<_>, _>>()?;
        if !tagged.is_empty() {
            return Ok(tagged);
        }
    }
    Ok(vec![tagged(store, name, platform)?])
}

/// The image that `name` means for a platform, and the tag that was written.
fn tagged(
    store: &Store,
    name: &str,
    platform: Option<&Platform>,
) -> Result<(ImageId, Option<Reference>), SaveError> {
    let id = store.resolve_for(name, platform)?.id;
    let tag = match store.resolve(name)?.by {
        ResolvedBy::Tag(tag) => Some(tag),
        ResolvedBy::Id | ResolvedBy::RepoDigest(_) => None,
    };
    Ok((id, tag))
}
