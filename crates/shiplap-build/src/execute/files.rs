//! Files that a step reads: a merged tree, and where its bytes are. Layers and contexts look the
//! same from here; nothing is mounted, nothing written.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use shiplap_layer::erofs::{self, LayerIndex};
use shiplap_layer::stack::{Content, Found, Layer, Stack, StackError, Type};
use shiplap_model::DiffId;
use shiplap_store::{Store, StoreError};

/// A merged tree, open.
pub struct Files {
    /// The tree.
    pub stack: Stack,
    /// The tars of its layers, base first; a layer of real files has none.
    tars: Vec<Arc<File>>,
}

/// Layers that a build has open, so that steps on one another open each but once.
pub struct OpenLayers {
    store: Store,
    open: Mutex<HashMap<DiffId, OpenLayer>>,
}

#[derive(Clone)]
struct OpenLayer {
    index: Arc<LayerIndex>,
    tar: Arc<File>,
}

impl OpenLayers {
    /// None is open yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            open: Mutex::default(),
        }
    }

    /// The layers `diff_ids`, base first, which the caller holds; none: nothing but a root.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn files(&self, diff_ids: &[DiffId]) -> Result<Arc<Files>, FilesError> {
        let open = diff_ids.iter().map(|diff_id| self.layer(diff_id));
        let open = open.collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Files::of_open(open)?))
    }

    /// When the newest file of a layer is of, in seconds since 1970; nothing of a layer without
    /// any.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn newest(&self, diff_id: &DiffId) -> Result<Option<i64>, FilesError> {
        let files = Files::of_open(vec![self.layer(diff_id)?])?;
        let mut newest = None;
        for found in files.stack.walk(files.stack.root()?).skip(1) {
            let facts = found?.facts;
            if !matches!(facts.kind, Type::Directory { implied: true, .. }) {
                newest = newest.max(Some(facts.mtime_secs));
            }
        }
        Ok(newest)
    }

    fn layer(&self, diff_id: &DiffId) -> Result<OpenLayer, FilesError> {
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = known.get(diff_id) {
            return Ok(layer.clone());
        }
        drop(known);
        let index = LayerIndex::open(self.store.open_index(diff_id)?);
        let index = index.map_err(|source| FilesError::Index {
            diff_id: diff_id.clone(),
            source,
        })?;
        let layer = OpenLayer {
            index: Arc::new(index),
            tar: Arc::new(self.store.open_tar(diff_id)?),
        };
        let mut known = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(diff_id.clone(), layer.clone());
        Ok(layer)
    }
}

/// Why files can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer's index can't be read.
    #[error("read the index of layer {diff_id}: {source}")]
    Index {
        /// Which.
        diff_id: DiffId,
        /// Why.
        source: erofs::ReadError,
    },
    /// The layers can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
}

impl Files {
    /// The layers `diff_ids`, base first, which the caller holds; none: nothing but a root.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn of_layers(store: &Store, diff_ids: &[DiffId]) -> Result<Arc<Self>, FilesError> {
        OpenLayers::new(store).files(diff_ids)
    }

    fn of_open(open: Vec<OpenLayer>) -> Result<Self, FilesError> {
        let mut layers: Vec<Arc<dyn Layer>> = Vec::with_capacity(open.len());
        let mut tars = Vec::with_capacity(open.len());
        for layer in open {
            layers.push(layer.index);
            tars.push(layer.tar);
        }
        if layers.is_empty() {
            layers.push(Arc::new(empty_tree()));
        }
        Ok(Self {
            stack: Stack::new(layers)?,
            tars,
        })
    }

    /// The tars of its layers, base first.
    #[must_use]
    pub fn tars(&self) -> Vec<&File> {
        self.tars.iter().map(|tar| &**tar).collect()
    }

    /// What is at `path`, links followed inside the tree; nothing if there is nothing.
    ///
    /// # Errors
    /// A tree that can't be read, links in a circle.
    pub fn find(&self, path: &[u8]) -> Result<Option<Found>, StackError> {
        match self.stack.resolve(path, true) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where the bytes of a regular file are.
    ///
    /// # Errors
    /// A tree that can't be read.
    pub fn bytes(&self, found: &Found) -> Result<Bytes<'_>, StackError> {
        if let Some(file) = self.stack.file(found)? {
            return Ok(Bytes::File(file));
        }
        let content = self.stack.content(found)?;
        let tar = self.tars.get(content.layer);
        let tar = tar.ok_or_else(|| StackError::Layer {
            layer: content.layer,
            path: found.path.clone(),
            source: io::ErrorKind::NotFound.into(),
        })?;
        Ok(Bytes::Tar(tar, content))
    }

    /// All of a short regular file; nothing if it is none, or longer than `limit_bytes`.
    ///
    /// # Errors
    /// A tree that can't be read.
    pub fn read_short(&self, path: &[u8], limit_bytes: u64) -> Result<Option<Vec<u8>>, StackError> {
        let Some(found) = self.find(path)? else {
            return Ok(None);
        };
        match found.facts.kind {
            Type::File { size_bytes } if size_bytes <= limit_bytes => {}
            _ => return Ok(None),
        }
        let mut text = Vec::new();
        let mut reader = self.bytes(&found)?;
        let read = reader.reader().take(limit_bytes).read_to_end(&mut text);
        read.map_err(|source| StackError::Layer {
            layer: found.layer,
            path: found.path.clone(),
            source,
        })?;
        Ok(Some(text))
    }
}

/// Where the bytes of a regular file are.
pub enum Bytes<'a> {
    /// In the file itself.
    File(File),
    /// In a layer's tar.
    Tar(&'a File, Content),
}

impl Bytes<'_> {
    /// A reader of them, from the beginning.
    pub fn reader(&mut self) -> Box<dyn Read + '_> {
        match self {
            Self::File(file) => Box::new(file),
            Self::Tar(tar, content) => Box::new(content.reader(tar)),
        }
    }
}

/// A layer without an entry.
fn empty_tree() -> shiplap_layer::stack::CountedTree {
    use shiplap_layer::tree::{Directory, Kind, Node, Tree};
    shiplap_layer::stack::CountedTree::new(Tree {
        nodes: vec![Node {
            kind: Kind::Directory(Directory {
                implied: true,
                ..Directory::default()
            }),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime_secs: 0,
            mtime_nanos: 0,
            xattrs: std::collections::BTreeMap::new(),
        }],
        links_below: Vec::new(),
    })
}
