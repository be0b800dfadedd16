//! Docker's archive of images (`docker save`): `manifest.json` names each image's config, layers
//! and tags. What is written is at the same time an OCI layout, as Docker writes it since 25.
//!
//! The format has no manifest of registries' kind; one is made up for reading, of the layers as
//! they lie in the archive.

mod destination;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shiplap_layer::compress::Format;
use shiplap_layer::tar::{Metadata, Writer};
use shiplap_model::digest::{Hasher, VerifyingReader};
use shiplap_model::{
    Descriptor, DiffId, Digest, ImageConfig, Index, Manifest, Reference, json, limits, media_type,
};

use super::archive::Archive;
use super::layout;
use super::{Fetched, Source, TransportError};

pub use destination::ArchiveDestination;

/// One entry of `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item {
    #[serde(rename = "Config")]
    config: String,
    #[serde(
        rename = "RepoTags",
        default,
        deserialize_with = "json::null_as_default"
    )]
    repo_tags: Vec<String>,
    #[serde(rename = "Layers", default, deserialize_with = "json::null_as_default")]
    layers: Vec<String>,
}

/// The images of one archive, checked to be there: no member that `manifest.json` names is
/// missing, and each config has as many DiffIDs as layers are named.
pub struct DockerArchive {
    archive: Archive,
    images: Vec<ArchivedImage>,
}

/// One image of an archive.
#[derive(Debug, Clone)]
pub struct ArchivedImage {
    /// Its tags, as written.
    pub tags: Vec<String>,
    manifest: Fetched,
    members: BTreeMap<Digest, String>,
}

impl DockerArchive {
    /// Whether the archive is one of Docker's.
    #[must_use]
    pub fn is_one(archive: &Archive) -> bool {
        archive.has("manifest.json")
    }

    /// Reads what the archive says of itself.
    ///
    /// # Errors
    /// [`TransportError`] for an archive that contradicts itself or lacks what it names.
    pub fn open(archive: Archive) -> Result<Self, TransportError> {
        let bytes = archive.read_member("manifest.json", limits::MANIFEST_BYTES)?;
        let items: Option<Vec<Item>> =
            json::parse(&bytes, limits::MANIFEST_BYTES).map_err(|source| {
                TransportError::Metadata {
                    file: "manifest.json".to_owned(),
                    path: archive.path().to_owned(),
                    source,
                }
            })?;
        let items = items.unwrap_or_default();
        if items.is_empty() {
            return Err(shape(&archive, "its manifest.json names no image"));
        }
        let images = items
            .into_iter()
            .map(|item| read_item(&archive, item))
            .collect::<Result<_, _>>()?;
        Ok(Self { archive, images })
    }

    /// The images, in the archive's order.
    #[must_use]
    pub fn images(&self) -> &[ArchivedImage] {
        &self.images
    }

    /// One of the images as a source.
    #[must_use]
    pub fn source<'a>(&'a self, image: &'a ArchivedImage) -> impl Source + 'a {
        ArchivedSource {
            archive: &self.archive,
            image,
        }
    }

    /// The image of that tag, or the only one.
    ///
    /// # Errors
    /// [`TransportError::NoSuchImage`].
    pub fn find(&self, tag: Option<&Reference>) -> Result<&ArchivedImage, TransportError> {
        let is_wanted = |image: &&ArchivedImage| match tag {
            None => self.images.len() == 1,
            Some(tag) => image
                .tags
                .iter()
                .any(|t| Reference::parse(t).is_ok_and(|t| t == tag.or_latest())),
        };
        self.images
            .iter()
            .find(is_wanted)
            .ok_or_else(|| TransportError::NoSuchImage {
                path: self.archive.path().to_owned(),
                wanted: tag.map(Reference::familiar).unwrap_or_default(),
                held: self
                    .images
                    .iter()
                    .flat_map(|image| image.tags.clone())
                    .collect(),
            })
    }
}

fn shape(archive: &Archive, problem: impl Into<String>) -> TransportError {
    TransportError::Shape {
        path: archive.path().to_owned(),
        problem: problem.into(),
    }
}

fn read_item(archive: &Archive, item: Item) -> Result<ArchivedImage, TransportError> {
    let config = archive.read_member(&item.config, limits::CONFIG_BYTES)?;
    let config_digest = Digest::of(&config);
    let parsed = ImageConfig::parse(&config).map_err(|source| TransportError::Document {
        digest: config_digest.clone(),
        source,
    })?;
    let diff_ids = &parsed.rootfs.diff_ids;
    if diff_ids.len() != item.layers.len() {
        let problem = format!(
            "its manifest.json names {} layers for {}, whose config has {}",
            item.layers.len(),
            item.config,
            diff_ids.len()
        );
        return Err(shape(archive, problem));
    }
    // Archives name a config by its digest; one that lies is refused, not renamed.
    let named = item.config.rsplit('/').next().unwrap_or_default();
    let named = named.strip_suffix(".json").unwrap_or(named);
    if named.len() == 64
        && named.bytes().all(|b| b.is_ascii_hexdigit())
        && named != config_digest.encoded()
    {
        let problem = format!("its config {} has the digest {config_digest}", item.config);
        return Err(shape(archive, problem));
    }
    let mut members = BTreeMap::from([(config_digest, item.config)]);
    let mut layers = Vec::new();
    for (member, diff_id) in item.layers.into_iter().zip(diff_ids) {
        let descriptor = layer_descriptor(archive, &member, diff_id)?;
        members.insert(descriptor.digest.clone(), member);
        layers.push(descriptor);
    }
    let manifest = Manifest {
        media_type: Some(media_type::DOCKER_MANIFEST.to_owned()),
        ..Manifest::new(Descriptor::of(media_type::DOCKER_CONFIG, &config), layers)
    };
    Ok(ArchivedImage {
        tags: item.repo_tags,
        manifest: fetched(&manifest)?,
        members,
    })
}

/// A document made here, as bytes.
pub(crate) fn fetched(document: &impl Serialize) -> Result<Fetched, TransportError> {
    let bytes = serde_json::to_vec(document)
        .map_err(|error| TransportError::io("write", "manifest")(error.into()))?;
    Ok(Fetched {
        digest: Digest::of(&bytes),
        bytes,
        media_type: None,
    })
}

/// A layer as it lies in the archive: plain, then its DiffID is its digest, or compressed.
fn layer_descriptor(
    archive: &Archive,
    member: &str,
    diff_id: &DiffId,
) -> Result<Descriptor, TransportError> {
    let read_error = |source| TransportError::io("read", archive.path())(source);
    let (reader, size_bytes) = archive.open_member(member, 0)?;
    let mut start = Vec::new();
    reader
        .take(16)
        .read_to_end(&mut start)
        .map_err(read_error)?;
    let media_type = match Format::of(&start) {
        Format::Plain => {
            let digest = diff_id.digest().clone();
            return Ok(Descriptor::new(
                media_type::DOCKER_LAYER,
                digest,
                size_bytes,
            ));
        }
        Format::Gzip => media_type::DOCKER_LAYER_GZIP,
        Format::Zstd => media_type::DOCKER_LAYER_ZSTD,
        // No media type says xz or bzip2; whoever reads it goes by the first bytes.
        Format::Xz | Format::Bzip2 => media_type::DOCKER_LAYER,
    };
    let mut hasher = Hasher::default();
    io::copy(&mut archive.open_member(member, 0)?.0, &mut hasher).map_err(read_error)?;
    Ok(Descriptor::new(media_type, hasher.finish(), size_bytes))
}

struct ArchivedSource<'a> {
    archive: &'a Archive,
    image: &'a ArchivedImage,
}

impl Source for ArchivedSource<'_> {
    fn root(&self) -> Result<Fetched, TransportError> {
        Ok(self.image.manifest.clone())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Fetched, TransportError> {
        Err(TransportError::Missing {
            path: self.archive.path().to_owned(),
            member: descriptor.digest.to_string(),
        })
    }

    fn blob(
        &self,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        let member =
            self.image
                .members
                .get(&descriptor.digest)
                .ok_or_else(|| TransportError::Missing {
                    path: self.archive.path().to_owned(),
                    member: descriptor.digest.to_string(),
                })?;
        let (reader, size_bytes) = self.archive.open_member(member, offset)?;
        if offset > 0 {
            return Ok(Box::new(reader));
        }
        Ok(Box::new(VerifyingReader::new(
            reader,
            descriptor.digest.clone(),
            size_bytes,
        )?))
    }

    fn has_manifests(&self) -> bool {
        false
    }
}

/// Formats of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveFormat {
    /// Docker's, which is an OCI layout too.
    #[default]
    Docker,
    /// An OCI layout alone.
    Oci,
}

/// Writes an archive. Without [`ArchiveWriter::finish`] it names no image.
pub struct ArchiveWriter<W> {
    path: PathBuf,
    format: ArchiveFormat,
    tar: Writer<W>,
    items: Vec<Item>,
    manifests: Vec<Descriptor>,
    written: std::collections::BTreeSet<Digest>,
}

/// One layer to be written.
pub struct ArchiveLayer<'a> {
    /// Its DiffID.
    pub diff_id: DiffId,
    /// Length of its tar, in bytes.
    pub tar_bytes: u64,
    /// Opens its tar; asked only if the archive does not have the layer yet.
    pub open: Box<dyn FnOnce() -> io::Result<Box<dyn Read + 'a>> + 'a>,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive; `path` is what it is called in messages.
    ///
    /// # Errors
    /// Failures of writing.
    pub fn new(path: &Path, out: W, format: ArchiveFormat) -> Result<Self, TransportError> {
        let mut writer = Self {
            path: path.to_owned(),
            format,
            tar: Writer::new(out),
            items: Vec::new(),
            manifests: Vec::new(),
            written: std::collections::BTreeSet::new(),
        };
        for directory in ["blobs", "blobs/sha256"] {
            let written = writer
                .tar
                .directory(directory.as_bytes(), &directory_metadata());
            written.map_err(writer.failed())?;
        }
        Ok(writer)
    }

    fn failed(&self) -> impl FnOnce(shiplap_layer::tar::WriteError) -> TransportError + use<W> {
        let path = self.path.clone();
        move |source| TransportError::Archive { path, source }
    }

    /// Adds an image with its tags, which must be canonical.
    ///
    /// # Errors
    /// Failures of reading and writing.
    pub fn image(
        &mut self,
        config: &[u8],
        layers: Vec<ArchiveLayer<'_>>,
        tags: &[Reference],
    ) -> Result<(), TransportError> {
        let descriptors = self.layers(layers)?;
        let config_descriptor = Descriptor::of(media_type::OCI_CONFIG, config);
        let config_digest = config_descriptor.digest.clone();
        self.document(&config_digest, config)?;
        let item = Item {
            config: layout::blob_path(&config_digest),
            repo_tags: tags.iter().map(Reference::familiar).collect(),
            layers: descriptors
                .iter()
                .map(|layer| layout::blob_path(&layer.digest))
                .collect(),
        };
        let manifest = fetched(&Manifest {
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            ..Manifest::new(config_descriptor, descriptors)
        })?;
        self.document(&manifest.digest, &manifest.bytes)?;
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &manifest.bytes);
        self.manifests.extend(layout::named(&descriptor, tags));
        self.items.push(item);
        Ok(())
    }

    /// Adds an image with its own manifest, for an index to name: of its layers as they are here.
    ///
    /// # Errors
    /// Failures of reading and writing.
    pub fn part(
        &mut self,
        manifest: &[u8],
        config: &[u8],
        layers: Vec<ArchiveLayer<'_>>,
    ) -> Result<(), TransportError> {
        self.layers(layers)?;
        self.document(&Digest::of(config), config)?;
        self.document(&Digest::of(manifest), manifest)
    }

    /// Adds an index whose images were added, with its tags. Only an OCI layout can name it.
    ///
    /// # Errors
    /// Failures of writing.
    pub fn index(&mut self, index: &[u8], tags: &[Reference]) -> Result<(), TransportError> {
        self.document(&Digest::of(index), index)?;
        let descriptor = Descriptor::of(media_type::OCI_INDEX, index);
        self.manifests.extend(layout::named(&descriptor, tags));
        Ok(())
    }

    fn layers(&mut self, layers: Vec<ArchiveLayer<'_>>) -> Result<Vec<Descriptor>, TransportError> {
        let mut descriptors = Vec::with_capacity(layers.len());
        for layer in layers {
            let digest = layer.diff_id.digest().clone();
            descriptors.push(Descriptor::new(
                media_type::OCI_LAYER,
                digest,
                layer.tar_bytes,
            ));
            self.layer(layer)?;
        }
        Ok(descriptors)
    }

    fn layer(&mut self, layer: ArchiveLayer<'_>) -> Result<(), TransportError> {
        if !self.written.insert(layer.diff_id.digest().clone()) {
            return Ok(());
        }
        let digest = layer.diff_id.digest();
        let mut reader = (layer.open)().map_err(|source| TransportError::Blob {
            digest: digest.clone(),
            source,
        })?;
        let name = layout::blob_path(digest);
        self.tar
            .file(
                name.as_bytes(),
                &file_metadata(),
                layer.tar_bytes,
                &mut reader,
            )
            .map_err(self.failed())
    }

    fn document(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), TransportError> {
        if !self.written.insert(digest.clone()) {
            return Ok(());
        }
        self.member(&layout::blob_path(digest), bytes)
    }

    fn member(&mut self, name: &str, mut bytes: &[u8]) -> Result<(), TransportError> {
        let size_bytes = bytes.len() as u64;
        self.tar
            .file(name.as_bytes(), &file_metadata(), size_bytes, &mut bytes)
            .map_err(self.failed())
    }

    /// Writes what names the images, and gives the output back.
    ///
    /// # Errors
    /// Failures of writing.
    pub fn finish(mut self) -> Result<W, TransportError> {
        let index = fetched(&Index {
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            ..Index::new(std::mem::take(&mut self.manifests))
        })?;
        let items = fetched(&self.items)?;
        let repositories = fetched(&self.repositories())?;
        self.member("index.json", &index.bytes)?;
        if self.format == ArchiveFormat::Docker {
            self.member("manifest.json", &items.bytes)?;
        }
        self.member("oci-layout", layout::MARK)?;
        if self.format == ArchiveFormat::Docker {
            self.member("repositories", &repositories.bytes)?;
        }
        let failed = self.failed();
        self.tar.finish().map_err(failed)
    }

    /// `repositories`, for readers older than `manifest.json`: repository → tag → top layer.
    fn repositories(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut repositories = BTreeMap::<String, BTreeMap<String, String>>::new();
        for item in &self.items {
            let top = item
                .layers
                .last()
                .and_then(|layer| layer.rsplit('/').next());
            for tag in &item.repo_tags {
                if let Some((repository, tag)) = tag.rsplit_once(':') {
                    let tags = repositories.entry(repository.to_owned()).or_default();
                    tags.insert(tag.to_owned(), top.unwrap_or_default().to_owned());
                }
            }
        }
        repositories
    }
}

pub(crate) fn file_metadata() -> Metadata {
    metadata(0o644)
}

pub(crate) fn directory_metadata() -> Metadata {
    metadata(0o755)
}

/// Owner and time are fixed, so the same images make the same archive.
fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        uid: 0,
        gid: 0,
        mtime_secs: 0,
        mtime_nanos: 0,
        xattrs: BTreeMap::new(),
    }
}
