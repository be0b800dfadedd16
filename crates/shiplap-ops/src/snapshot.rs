//! Layers as file systems: mounted from their indexes, or unpacked first where that can't be.
//!
//! Both backends give the same tree. Which one is used is decided by a probe, or by the settings.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use shiplap_layer::erofs::{self, LayerIndex};
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Layer, Stack, StackError};
use shiplap_layer::tar::{BLOCK_BYTES, Writer};
use shiplap_layer::unpack::{self, Form, Marks, Rights, UnpackError};
use shiplap_layer::{export, ingest};
use shiplap_model::{DiffId, ImageId};
use shiplap_run::mounts::{self, LayerSource, MemoryLayer, MountError, Mounted, Writable};
use shiplap_run::namespaces::{has_single_id, in_user_namespace};
use shiplap_store::{Lease, ResolveError, StagedFile, Store, StoreError};

use crate::context::Context;
use crate::inspect::GraphDriver;

/// How layers become file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The kernel mounts the layer index and reads file data from the tar; nothing is unpacked.
    Erofs,
    /// Each layer is unpacked once into a directory.
    Tree,
}

impl Backend {
    /// Its name in settings and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::Tree => "tree",
        }
    }
}

/// A name that no backend has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("choose the layer backend {0:?}: there are erofs and tree")]
pub struct UnknownBackend(pub String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        [Self::Erofs, Self::Tree]
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| UnknownBackend(name.to_owned()))
    }
}

/// Why an image can't be shown as a file system.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The layers can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A layer's index can't be read.
    #[error("read the index of layer {diff_id}: {source}")]
    Index {
        /// Which.
        diff_id: DiffId,
        /// Why.
        source: erofs::ReadError,
    },
    /// A layer can't be unpacked.
    #[error("unpack layer {diff_id}: {source}")]
    Unpack {
        /// Which.
        diff_id: DiffId,
        /// Why.
        source: UnpackError,
    },
    /// What mends the view of layers can't be made.
    #[error("make the layer that completes the view of others: {source}")]
    Corrections {
        /// Why.
        source: io::Error,
    },
    /// Mounting is root's, also that of a user namespace.
    #[error(
        "mount {image}: that needs root, or root of a user namespace with its own mounts; \
         `image ls`, `image cat`, `image cp` and `export` read it without"
    )]
    NotRoot {
        /// The image.
        image: String,
    },
    /// The kernel refused.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A file can't be read or made.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Layers, open: their merged tree and the tars that hold the content.
pub struct OpenLayers {
    /// The merged tree.
    pub stack: Stack,
    /// The tars, base first.
    pub tars: Vec<File>,
}

/// The layers of an image, open: its merged tree and the tars that hold the content.
pub struct OpenImage {
    /// Which.
    pub id: ImageId,
    /// The merged tree.
    pub stack: Stack,
    /// The tars, base first.
    pub tars: Vec<File>,
}

/// Opens the layers of an image for reading in user space: no mount, no rights.
///
/// # Errors
/// [`SnapshotError`].
pub fn open(context: &Context, name: &str) -> Result<OpenImage, SnapshotError> {
    let store = context.store()?;
    let id = store.resolve(name)?.id;
    open_id(store, id)
}

pub(crate) fn open_id(store: &Store, id: ImageId) -> Result<OpenImage, SnapshotError> {
    let diff_ids = diff_ids(store, &id)?;
    let OpenLayers { stack, tars } = open_layers(store, &diff_ids)?;
    Ok(OpenImage { id, stack, tars })
}

fn diff_ids(store: &Store, id: &ImageId) -> Result<Vec<DiffId>, StoreError> {
    let layers = store.image_layers(id)?;
    Ok(layers.into_iter().map(|layer| layer.diff_id).collect())
}

/// Opens layers, base first, for reading in user space. There may be none.
///
/// # Errors
/// [`SnapshotError`].
pub fn open_layers(store: &Store, diff_ids: &[DiffId]) -> Result<OpenLayers, SnapshotError> {
    let mut layers: Vec<Arc<dyn Layer>> = Vec::new();
    let mut tars = Vec::new();
    for diff_id in diff_ids {
        layers.push(Arc::new(open_index(store, diff_id)?));
        tars.push(store.open_tar(diff_id)?);
    }
    Ok(OpenLayers {
        stack: Stack::new(layers)?,
        tars,
    })
}

fn open_index(store: &Store, diff_id: &DiffId) -> Result<LayerIndex, SnapshotError> {
    LayerIndex::open(store.open_index(diff_id)?).map_err(|source| SnapshotError::Index {
        diff_id: diff_id.clone(),
        source,
    })
}

/// Mounts the image that `name` means, read-only, at the directory `target`.
///
/// # Errors
/// [`SnapshotError`]; nothing stays mounted.
pub fn mount(context: &Context, name: &str, target: &Path) -> Result<ImageId, SnapshotError> {
    let image = open(context, name)?;
    mount_open(context, &image, None, name, target)?;
    Ok(image.id)
}

/// Mounts an image at `target`, where changes to it go to `writable`, if anywhere.
pub(crate) fn mount_open(
    context: &Context,
    image: &OpenImage,
    writable: Option<Writable<'_>>,
    name: &str,
    target: &Path,
) -> Result<(), SnapshotError> {
    if !rustix::process::geteuid().is_root() {
        return Err(SnapshotError::NotRoot {
            image: name.to_owned(),
        });
    }
    let store = context.store()?;
    let lease = store.lease()?;
    let sources = sources(context, &lease, &diff_ids(store, &image.id)?)?;
    let corrections = correct(&lease, image)?;
    let scratch = lease.directory()?;
    mounts::mount_stack(
        &sources,
        corrections,
        writable,
        name,
        target,
        scratch.path(),
    )?;
    Ok(())
}

/// Where the kernel finds layers, each alone; unpacked now where they have to be.
fn sources(
    context: &Context,
    lease: &Lease,
    diff_ids: &[DiffId],
) -> Result<Vec<LayerSource>, SnapshotError> {
    let backend = chosen_backend(context, lease)?.0;
    diff_ids
        .iter()
        .map(|diff_id| layer_source(lease, diff_id, backend))
        .collect()
}

/// Where the kernel finds layers so that the overlay of them shows what their stack does: what mends
/// it is written into `corrections`, an empty directory.
pub(crate) fn whole_sources(
    context: &Context,
    lease: &Lease,
    diff_ids: &[DiffId],
    open: &OpenLayers,
    corrections: &Path,
) -> Result<Vec<LayerSource>, SnapshotError> {
    let mut sources = sources(context, lease, diff_ids)?;
    if let Some(written) = write_corrections(lease, &open.stack, &open.tars)? {
        let root = open_root(corrections)?;
        unpack_into(&written.index, written.tar.file(), &root, &written.diff_id)?;
        sources.push(LayerSource::Tree(corrections.to_owned()));
    }
    Ok(sources)
}

/// Ends a mount made by [`mount`].
///
/// # Errors
/// [`MountError`].
pub fn unmount(target: &Path) -> Result<(), MountError> {
    mounts::unmount_stack(target)
}

/// All images that are mounted.
///
/// # Errors
/// [`MountError`].
pub fn mounted() -> Result<Vec<Mounted>, MountError> {
    mounts::mounted()
}

/// The backend and why it is this one.
pub(crate) fn chosen_backend(
    context: &Context,
    lease: &Lease,
) -> Result<(Backend, String), SnapshotError> {
    if let Some(backend) = context.settings().layer_backend {
        return Ok((backend, "chosen by the settings".to_owned()));
    }
    if let Some(known) = context.backend() {
        return Ok(known.clone());
    }
    let found = find_backend(lease)?;
    Ok(context.remember_backend(found).clone())
}

fn find_backend(lease: &Lease) -> Result<(Backend, String), SnapshotError> {
    match probe(lease) {
        Ok(()) => Ok((
            Backend::Erofs,
            "this kernel mounts layer indexes".to_owned(),
        )),
        Err(SnapshotError::Mount(error)) => {
            let cause = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            Ok((
                Backend::Tree,
                format!("layer indexes can't be mounted: {cause}"),
            ))
        }
        Err(error) => Err(error),
    }
}

/// Mounts the index of an empty layer, for nobody to see.
fn probe(lease: &Lease) -> Result<(), SnapshotError> {
    let (tar, index) = (lease.file()?, lease.file()?);
    let io_error = |source| SnapshotError::Io {
        action: "write",
        path: tar.path().to_owned(),
        source,
    };
    tar.file()
        .set_len(2 * BLOCK_BYTES as u64)
        .map_err(io_error)?;
    ingest::reindex(tar.file(), index.file()).map_err(|error| io_error(io::Error::other(error)))?;
    Ok(mounts::probe_index(index.path(), tar.path())?)
}

fn layer_source(
    lease: &Lease,
    diff_id: &DiffId,
    backend: Backend,
) -> Result<LayerSource, SnapshotError> {
    let store = lease.store();
    match backend {
        Backend::Erofs => Ok(LayerSource::Index {
            index: store.index_path(diff_id)?,
            tars: vec![store.tar_path(diff_id)?],
        }),
        Backend::Tree => Ok(LayerSource::Tree(unpacked(lease, diff_id)?)),
    }
}

/// The unpacked tree of a layer, made now if it is not there.
fn unpacked(lease: &Lease, diff_id: &DiffId) -> Result<PathBuf, SnapshotError> {
    let store = lease.store();
    if let Some(path) = store.tree_path(diff_id)? {
        return Ok(path);
    }
    let _lock = store.lock(diff_id.digest())?;
    if let Some(path) = store.tree_path(diff_id)? {
        return Ok(path);
    }
    let index = open_index(store, diff_id)?;
    let staged = lease.directory()?;
    let root = open_root(staged.path())?;
    unpack_into(&index, &store.open_tar(diff_id)?, &root, diff_id)?;
    // The store does not sync trees; half a tree must not survive a crash under its name.
    File::open(staged.path())
        .and_then(|directory| Ok(rustix::fs::syncfs(directory)?))
        .map_err(|source| SnapshotError::Io {
            action: "sync",
            path: staged.path().to_owned(),
            source,
        })?;
    Ok(lease.commit_tree(staged, diff_id)?)
}

fn open_root(path: &Path) -> Result<Root, SnapshotError> {
    Root::open(path).map_err(|errno| SnapshotError::Io {
        action: "open",
        path: path.to_owned(),
        source: errno.into(),
    })
}

fn unpack_into(
    layer: &dyn Layer,
    tar: &File,
    root: &Root,
    diff_id: &DiffId,
) -> Result<(), SnapshotError> {
    let options = unpack::Options {
        form: Form::Layer(marks()),
        rights: rights(),
    };
    unpack::unpack(layer, tar, root, options)
        .map(drop)
        .map_err(|source| SnapshotError::Unpack {
            diff_id: diff_id.clone(),
            source,
        })
}

/// How overlayfs marks what it hides: within a user namespace nobody may set trusted attributes.
pub(crate) fn marks() -> Marks {
    if in_user_namespace() {
        Marks::User
    } else {
        Marks::Trusted
    }
}

/// What this process may do with files of images. Where there is no user but root, all of them
/// are root's.
#[must_use]
pub fn rights() -> Rights {
    match (in_user_namespace(), has_single_id()) {
        (false, _) => Rights::Full,
        (true, false) => Rights::Namespace,
        (true, true) => Rights::Caller,
    }
}

/// What the layers, each mounted alone, would show wrongly, as one more layer on top.
fn correct(lease: &Lease, image: &OpenImage) -> Result<Option<MemoryLayer>, SnapshotError> {
    let Some(written) = write_corrections(lease, &image.stack, &image.tars)? else {
        return Ok(None);
    };
    let memory = MemoryLayer::new()?;
    let root = Root::new(memory.directory()?);
    unpack_into(&written.index, written.tar.file(), &root, &written.diff_id)?;
    Ok(Some(memory))
}

/// The layer that mends others, written out.
struct Corrections {
    index: LayerIndex,
    tar: StagedFile,
    diff_id: DiffId,
}

fn write_corrections(
    lease: &Lease,
    stack: &Stack,
    tars: &[File],
) -> Result<Option<Corrections>, SnapshotError> {
    let corrections = stack.corrections()?;
    if corrections.is_empty() {
        return Ok(None);
    }
    let failed = |source| SnapshotError::Corrections { source };
    let other = |error: Box<dyn std::error::Error + Send + Sync>| failed(io::Error::other(error));
    let (tar, index) = (lease.file()?, lease.file()?);
    let mut out = BufWriter::new(tar.file());
    let tars: Vec<_> = tars.iter().collect();
    let mut writer = Writer::new(&mut out);
    let entries = corrections.into_iter().map(Ok);
    export::write(stack, &tars, entries, &mut writer).map_err(|error| other(error.into()))?;
    writer.finish().map_err(|error| other(error.into()))?;
    out.flush().map_err(failed)?;
    drop(out);
    let facts = ingest::reindex(tar.file(), index.file()).map_err(|error| other(error.into()))?;
    let reopened = File::open(index.path()).map_err(failed)?;
    let index = LayerIndex::open(reopened).map_err(|source| SnapshotError::Index {
        diff_id: facts.diff_id.clone(),
        source,
    })?;
    Ok(Some(Corrections {
        index,
        tar,
        diff_id: facts.diff_id,
    }))
}

/// What `inspect` says of where an image's layers are: Docker's overlay2 paths, of this store.
pub(crate) fn graph_driver(context: &Context, id: &ImageId) -> Result<GraphDriver, StoreError> {
    let store = context.store()?;
    let backend = context.settings().layer_backend.unwrap_or(Backend::Erofs);
    let mut indexes = Vec::new();
    for layer in store.image_layers(id)?.iter().rev() {
        let path = match backend {
            Backend::Erofs => Some(store.index_path(&layer.diff_id)?),
            Backend::Tree => store.tree_path(&layer.diff_id)?,
        };
        indexes.extend(path.map(|path| path.to_string_lossy().into_owned()));
    }
    let data = BTreeMap::from([("LowerDir".to_owned(), indexes.join(":"))]);
    Ok(GraphDriver {
        data,
        name: backend.name().to_owned(),
    })
}
