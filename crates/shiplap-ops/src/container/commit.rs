//! `commit`: a container's changes as one more layer over its image, and its config as the new
//! image's.
//!
//! The container may run meanwhile. The layer is written, hashed and indexed in one pass; nothing
//! of it is in the store unless all of it is.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::io::Errno;
use shiplap_layer::diff::{self, Change, DiffError, Owner, Times};
use shiplap_layer::export::{self, ExportError};
use shiplap_layer::ingest::IngestError;
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Found, StackError, Type};
use shiplap_layer::tar::{WriteError, Writer};
use shiplap_model::change::{self, ChangeError};
use shiplap_model::config::{ContainerConfig, History, ImageConfig};
use shiplap_model::{Descriptor, DocumentError, ImageId, Manifest, Reference, limits, media_type};
use shiplap_store::{ImageError, LayerRecord, Lease, NewImage, StoreError};

use super::changes::{ContainerTree, OpenTree, TreeError};
use crate::context::Context;
use crate::layer;
use crate::transport::TransportError;
use crate::transport::docker_archive::fetched;

#[cfg(test)]
mod tests;

/// What to make an image of, and what it is to be.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// The container's files.
    pub tree: ContainerTree,
    /// How the container runs: its image's config with what the user decided.
    pub config: ContainerConfig,
    /// A config of the caller's own that comes first, as the body of Docker's API request.
    pub over: Option<ContainerConfig>,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// Who made it.
    pub author: Option<String>,
    /// The comment in its history.
    pub message: Option<String>,
    /// When it is made.
    pub created: Timestamp,
    /// Its tag.
    pub reference: Option<Reference>,
    /// One layer of all the container sees instead of one more over its image's.
    pub squash: bool,
    /// Volumes whose content goes into the layer: where they are in the container and on the host.
    pub volumes: Vec<(String, PathBuf)>,
}

/// Why no image was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The container's files can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A volume can't be read.
    #[error("read volume {}: {source}", path.display())]
    Volume {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: DiffError,
    },
    /// Something else can't be put into the layer.
    #[error("write the layer of changes: {0}")]
    Write(#[source] ExportError),
    /// What was written is no layer.
    #[error("write the layer of changes: {0}")]
    Layer(#[source] IngestError),
    /// An instruction is wrong.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The image's config can't be read.
    #[error("read the config of image {image}: {source}")]
    Config {
        /// The container's image.
        image: ImageId,
        /// Why.
        source: DocumentError,
    },
    /// No image may have one more layer.
    #[error(
        "commit: the image {image} has {} layers already; --squash makes them one",
        limits::LAYERS
    )]
    TooManyLayers {
        /// The container's image.
        image: ImageId,
    },
    /// A layer of the image is not whole.
    #[error("commit: layer {0} of the image is missing or damaged; see system check")]
    LayerMissing(shiplap_model::DiffId),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image's documents can't be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The image can't be recorded.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl From<StackError> for CommitError {
    fn from(error: StackError) -> Self {
        Self::Tree(error.into())
    }
}

impl From<WriteError> for CommitError {
    fn from(error: WriteError) -> Self {
        Self::Write(error.into())
    }
}

/// Makes an image of a container. Without any change it has its image's layers and one more entry in
/// its history.
///
/// # Errors
/// [`CommitError`]; then nothing of it is in the store.
pub fn commit(context: &Context, options: &CommitOptions) -> Result<ImageId, CommitError> {
    let store = context.store()?;
    let image = &options.tree.image;
    let parent = store.read_blob(image.digest())?;
    let parent = ImageConfig::parse(&parent).map_err(|source| CommitError::Config {
        image: image.clone(),
        source,
    })?;
    let container = change::commit(&options.config, options.over.as_ref(), &options.changes)?;
    let lease = store.lease()?;
    let tree = options.tree.open(store)?;
    let mut layers = Vec::new();
    if !options.squash {
        layers = held_layers(&lease, &parent)?;
    }
    let new = make_layer(&lease, &tree, options)?;
    let is_new = new.is_some();
    layers.extend(new);
    if layers.len() > limits::LAYERS {
        return Err(CommitError::TooManyLayers {
            image: image.clone(),
        });
    }
    let config = fetched(&config_of(parent, container, &layers, is_new, options))?;
    let descriptors = layers.iter().map(|layer| {
        let digest = layer.diff_id.digest().clone();
        Descriptor::new(media_type::OCI_LAYER, digest, layer.tar_bytes)
    });
    let manifest = fetched(&Manifest {
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        ..Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, &config.bytes),
            descriptors.collect(),
        )
    })?;
    lease.put_blob(&config.digest, &config.bytes)?;
    lease.put_blob(&manifest.digest, &manifest.bytes)?;
    let tags: Vec<_> = options.reference.iter().map(Reference::or_latest).collect();
    let put = lease.put_image(&NewImage {
        tags: &tags,
        parent: Some(image).filter(|_| !options.squash),
        ..NewImage::of(&manifest.digest)
    })?;
    Ok(put.id)
}

/// The image's layers, kept from being removed meanwhile.
fn held_layers(lease: &Lease, image: &ImageConfig) -> Result<Vec<LayerRecord>, CommitError> {
    let diff_ids = image.rootfs.diff_ids.iter();
    diff_ids
        .map(|diff_id| {
            let held = lease.hold_layer(diff_id)?;
            held.ok_or_else(|| CommitError::LayerMissing(diff_id.clone()))
        })
        .collect()
}

/// The layer of changes, in the store; `None` if there is nothing in it.
fn make_layer(
    lease: &Lease,
    tree: &OpenTree,
    options: &CommitOptions,
) -> Result<Option<LayerRecord>, CommitError> {
    let volumes = volumes(tree, options)?;
    // A mount point is part of the image if what is mounted there is.
    let mounts: Vec<_> = options
        .tree
        .mounts
        .iter()
        .filter(|target| !options.volumes.iter().any(|(volume, _)| volume == *target))
        .cloned()
        .collect();
    let changes = tree.changes(&mounts)?;
    if changes.is_empty() && volumes.is_empty() && !options.squash {
        return Ok(None);
    }
    let make = |out: &mut dyn Write| -> Result<(), CommitError> {
        let mut writer = Writer::new(out);
        if options.squash {
            write_merged(tree, &changes, &volumes, &mut writer)?;
        } else {
            let is_outside = |change: &Change| !volumes.iter().any(|v| v.holds(&change.path));
            let changes: Vec<_> = changes.into_iter().filter(is_outside).collect();
            diff::write(&changes, &tree.upper, Times::Kept, &mut writer)
                .map_err(TreeError::from)?;
        }
        for volume in &volumes {
            volume.write(tree, options.squash, &mut writer)?;
        }
        writer.finish()?;
        Ok(())
    };
    layer::put(lease, make, CommitError::Layer).map(Some)
}

/// Writes all the container sees, but for stubs of mounts and the places of volumes.
fn write_merged<W: Write>(
    tree: &OpenTree,
    changes: &[Change],
    volumes: &[Volume<'_>],
    out: &mut Writer<W>,
) -> Result<(), CommitError> {
    let changed: BTreeSet<&[u8]> = changes.iter().map(|change| &*change.path).collect();
    let top = tree.image.tars.len();
    // New in the upper directory and yet no change: a stub.
    let is_stub = |found: &Found| {
        found.layer == top
            && !changed.contains(&*found.path)
            && tree
                .image
                .stack
                .resolve(&found.path, false)
                .is_err_and(|error| error.is_not_found())
    };
    let root = tree.merged.root()?;
    let implied = matches!(root.facts.kind, Type::Directory { implied: true, .. });
    let entries = tree.merged.walk(root).skip(usize::from(implied));
    let entries = entries.filter(|found| {
        let Ok(found) = found else {
            return true;
        };
        !is_stub(found) && !volumes.iter().any(|volume| volume.holds(&found.path))
    });
    let tars: Vec<_> = tree.image.tars.iter().collect();
    export::write(&tree.merged, &tars, entries, out).map_err(CommitError::Write)
}

/// A volume whose content goes into the layer.
struct Volume<'a> {
    /// Where it is in the container, links resolved.
    place: Vec<u8>,
    host: &'a Path,
}

fn volumes<'a>(
    tree: &OpenTree,
    options: &'a CommitOptions,
) -> Result<Vec<Volume<'a>>, CommitError> {
    let mut volumes = Vec::new();
    for (target, host) in &options.volumes {
        let place = tree.merged.place(target.as_bytes())?;
        volumes.push(Volume { place, host });
    }
    // One within another comes after it.
    volumes.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(volumes)
}

impl Volume<'_> {
    fn holds(&self, path: &[u8]) -> bool {
        path.strip_prefix(&*self.place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || self.place.is_empty())
    }

    /// Writes its content; what the image has in its place is hidden, as it was in the container.
    fn write<W: Write>(
        &self,
        tree: &OpenTree,
        is_alone: bool,
        out: &mut Writer<W>,
    ) -> Result<(), CommitError> {
        let failed = |source| CommitError::Volume {
            path: self.host.to_owned(),
            source,
        };
        let root = Root::open(self.host).map_err(|source: Errno| {
            let (step, path) = ("open", Vec::new());
            failed(DiffError::File { step, path, source })
        })?;
        diff::write_tree(&root, b"", &self.place, Owner::Kept, out).map_err(failed)?;
        let below = tree.image.stack.resolve(&self.place, false);
        if !is_alone && below.is_ok_and(|found| found.is_directory()) {
            out.opaque(&self.place)?;
        }
        Ok(())
    }
}

fn config_of(
    parent: ImageConfig,
    container: ContainerConfig,
    layers: &[LayerRecord],
    is_new: bool,
    options: &CommitOptions,
) -> ImageConfig {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let created = Some(options.created.to_string());
    let mut history = parent.history;
    if options.squash {
        history.clear();
    } else {
        // An image may tell of fewer layers than it has; each entry stands for one from here on.
        let told = history.iter().filter(|entry| !entry.empty_layer).count();
        let untold = (layers.len() - usize::from(is_new)).saturating_sub(told);
        history.extend(vec![History::default(); untold]);
    }
    history.push(History {
        created: created.clone(),
        created_by: Some(
            options
                .config
                .cmd
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
        )
        .filter(|command| !command.is_empty()),
        author: text(&options.author),
        comment: text(&options.message),
        empty_layer: !is_new,
        ..History::default()
    });
    let mut rootfs = parent.rootfs;
    rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    ImageConfig {
        created,
        author: text(&options.author),
        architecture: parent.architecture,
        variant: parent.variant,
        os: parent.os,
        os_version: parent.os_version,
        os_features: parent.os_features,
        config: container,
        rootfs,
        history,
        // What they say of is the image's own making.
        rest: serde_json::Map::new().into_iter().collect(),
    }
}
