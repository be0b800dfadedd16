//! Every path of an image with what each layer does to it: who made it, who changed it, who hid
//! it. One pass over the layer indexes, base first; each may be closed when it was read.
//!
//! It reads no content and follows no symbolic link.

mod reading;

use std::collections::HashMap;
use std::io;
use std::num::{NonZeroU32, NonZeroU64};

use shiplap_layer::stack::{Content, Inode, Layer, Stack, Type};
use shiplap_layer::tree::Extent;
use shiplap_model::limits;

use self::reading::Reading;
use crate::files::permissions;

/// Number of a path; parents have lower numbers than what lies in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(u32);

impl PathId {
    /// Its place in lists of all paths, below [`Paths::len`].
    #[must_use]
    pub fn number(self) -> usize {
        self.0 as usize
    }
}

/// Number of an entry; layers in their order, within a layer in the order of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(NonZeroU32);

impl EntryId {
    fn of(number: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index(number)))
    }

    fn number(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What one layer has at one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: PathId,
    /// Number of the layer; 0 is the base.
    pub layer: u16,
    /// What it is; of a whiteout that a name is gone from here on.
    pub kind: Type,
    /// The low 12 bits of `st_mode`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes that the layer holds for it: a file's size, 0 for further names of the same file.
    pub own_bytes: u64,
    /// What was there before, in a lower layer, if it still was.
    pub before: Option<EntryId>,
    /// What became of it.
    pub end: End,
    /// What a lower layer has at the path, whatever became of it.
    previous: Option<EntryId>,
    /// The entry that holds the bytes, if this is a further name of that file.
    first: Option<EntryId>,
    /// Where a file's bytes are in its layer's tar, if in one piece: behind a header, so never at its beginning.
    data_at: Option<NonZeroU64>,
    /// A directory with nothing in it in this layer.
    pub(super) is_bare: bool,
}

/// What became of an entry in the layers above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is in the image as it runs.
    Live,
    /// A layer has something else at its path.
    Overwritten {
        /// Number of that layer.
        by: u16,
    },
    /// A layer removes it, alone or with the directory it lies in.
    Deleted {
        /// Number of that layer.
        by: u16,
    },
}

impl Entry {
    /// Whether it is in the image as it runs.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.end == End::Live && self.kind != Type::Whiteout
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Type::File { .. })
    }

    /// Kind and mode as `ls -l` shows them, `-rwsr-xr-x`.
    #[must_use]
    pub fn mode_text(&self) -> String {
        let kind = match self.kind {
            Type::Directory { .. } => 'd',
            Type::File { .. } => '-',
            Type::Symlink => 'l',
            Type::CharDevice { .. } | Type::Whiteout => 'c',
            Type::BlockDevice { .. } => 'b',
            Type::Fifo => 'p',
        };
        format!("{kind}{}", permissions(self.mode))
    }

    /// The apparent size of a file, else 0.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match self.kind {
            Type::File { size_bytes } => size_bytes,
            _ => 0,
        }
    }
}

/// What a layer does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Nothing was there.
    Added,
    /// Something was there, of another content, kind, owner or mode, or written again.
    Changed,
    /// It is gone.
    Removed,
}

struct Node {
    parent: PathId,
    name_at: u32,
    name_bytes: u8,
    /// The place in [`Paths::directories`] of what lies in it, if anything ever did.
    directory: Option<NonZeroU32>,
    newest: Option<EntryId>,
}

/// All paths of an image, and all entries of its layers.
pub struct Paths {
    nodes: Vec<Node>,
    /// What lies in directories, by name; the first is that of all paths with nothing in them.
    directories: Vec<Vec<PathId>>,
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// Where each layer's entries begin.
    starts: Vec<u32>,
    /// All names of files that have several, by the first.
    names_of: HashMap<EntryId, Vec<EntryId>>,
    /// Files whose bytes are in several pieces.
    scattered: HashMap<EntryId, Vec<Extent>>,
    /// Targets of symbolic links.
    targets: HashMap<EntryId, Box<[u8]>>,
}

/// Why the paths of an image can't be had.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// A layer's index can't be read.
    #[error("read the index of layer {layer}: {source}")]
    Layer {
        /// Its number; 0 is the base.
        layer: usize,
        /// Why.
        source: io::Error,
    },
    /// More than is looked at.
    #[error("look at layer {layer}: there are more than {limit} entries up to it")]
    Entries {
        /// The layer that goes beyond.
        layer: usize,
        /// The bound.
        limit: usize,
    },
}

impl Paths {
    /// The paths of layers that are open already.
    ///
    /// # Errors
    /// [`PathsError`].
    pub fn of(stack: &Stack) -> Result<Self, PathsError> {
        let mut paths = Self::new();
        for layer in stack.layers() {
            paths.add(&**layer)?;
        }
        Ok(paths)
    }

    /// The paths of no layer.
    #[must_use]
    pub fn new() -> Self {
        let root = Node {
            parent: ROOT,
            name_at: 0,
            name_bytes: 0,
            directory: None,
            newest: None,
        };
        Self {
            nodes: vec![root],
            directories: vec![Vec::new()],
            names: Vec::new(),
            entries: Vec::new(),
            starts: Vec::new(),
            names_of: HashMap::new(),
            scattered: HashMap::new(),
            targets: HashMap::new(),
        }
    }

    /// Puts one more layer on top.
    ///
    /// # Errors
    /// [`PathsError`]; then what was added so far is of no use.
    pub fn add(&mut self, layer: &dyn Layer) -> Result<(), PathsError> {
        let number = self.starts.len();
        self.starts.push(index(self.entries.len()));
        let mut reading = Reading {
            number: u16::try_from(number).unwrap_or(u16::MAX),
            paths: self,
            layer,
            files: HashMap::new(),
        };
        match reading.read() {
            Ok(true) => Ok(()),
            Ok(false) => Err(PathsError::Entries {
                layer: number,
                limit: limits::ANALYZED_ENTRIES,
            }),
            Err(source) => Err(PathsError::Layer {
                layer: number,
                source,
            }),
        }
    }

    /// How many layers there are.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.starts.len()
    }

    /// How many paths there are, the root among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no layer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> PathId {
        ROOT
    }

    /// An entry.
    #[must_use]
    pub fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id.number()]
    }

    /// All entries, in the order of their numbers.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (EntryId, &Entry)> {
        (self.entries.iter().enumerate()).map(|(number, entry)| (EntryId::of(number), entry))
    }

    /// The entries of one layer, a directory before what lies in it, by name.
    pub fn layer_entries(&self, layer: usize) -> impl Iterator<Item = (EntryId, &Entry)> {
        let start = self.starts.get(layer).map_or(0, |start| *start as usize);
        let end = self.starts.get(layer + 1);
        let end = end.map_or(self.entries.len(), |end| *end as usize);
        (start..end).map(|number| (EntryId::of(number), &self.entries[number]))
    }

    /// The paths in a directory, by name.
    #[must_use]
    pub fn children(&self, path: PathId) -> &[PathId] {
        &self.directories[self.directory(path)]
    }

    fn directory(&self, path: PathId) -> usize {
        self.nodes[path.number()]
            .directory
            .map_or(0, |directory| directory.get() as usize)
    }

    /// The directory that a path lies in; of the root itself.
    #[must_use]
    pub fn parent(&self, path: PathId) -> PathId {
        self.nodes[path.0 as usize].parent
    }

    /// The last name of a path; nothing for the root.
    #[must_use]
    pub fn name(&self, path: PathId) -> &[u8] {
        let node = &self.nodes[path.0 as usize];
        let start = node.name_at as usize;
        &self.names[start..start + usize::from(node.name_bytes)]
    }

    /// A path from the root, without leading slash.
    #[must_use]
    pub fn full(&self, path: PathId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut here = path;
        while here != ROOT {
            names.push(self.name(here));
            here = self.parent(here);
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The path of that name in a directory.
    #[must_use]
    pub fn child(&self, directory: PathId, name: &[u8]) -> Option<PathId> {
        let children = self.children(directory);
        let found = children.binary_search_by(|child| self.name(*child).cmp(name));
        found.ok().map(|at| children[at])
    }

    /// The path with this name from the root, if any layer has it.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<PathId> {
        path.split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
            .try_fold(ROOT, |here, name| self.child(here, name))
    }

    /// What the image has at a path as it runs.
    #[must_use]
    pub fn live(&self, path: PathId) -> Option<EntryId> {
        self.newest(path)
            .filter(|entry| self.entry(*entry).is_live())
    }

    /// What the topmost layer that speaks of a path has there.
    #[must_use]
    pub fn newest(&self, path: PathId) -> Option<EntryId> {
        self.nodes[path.0 as usize].newest
    }

    /// What lower layers have at the path of an entry, the topmost first.
    pub fn older(&self, id: EntryId) -> impl Iterator<Item = EntryId> {
        let previous = |id: &EntryId| self.entry(*id).previous;
        std::iter::successors(previous(&id), previous)
    }

    /// What a layer does to a path; `None` for a directory that it only passes through.
    #[must_use]
    pub fn change(&self, entry: &Entry) -> Option<Change> {
        match (entry.kind, entry.before) {
            (Type::Whiteout, _) => Some(Change::Removed),
            (_, None) => Some(Change::Added),
            (Type::Directory { implied: true, .. }, Some(_)) => None,
            (Type::Directory { .. }, Some(before)) => {
                let before = self.entry(before);
                let is_same = before.kind.is_directory()
                    && (before.mode, before.uid, before.gid) == (entry.mode, entry.uid, entry.gid);
                (!is_same).then_some(Change::Changed)
            }
            (_, Some(_)) => Some(Change::Changed),
        }
    }

    /// All names of the file, itself among them, in the order of their entries.
    pub fn names_of(&self, id: EntryId) -> impl Iterator<Item = EntryId> {
        let first = self.first(id);
        let names = self.names_of.get(&first).map_or(&[][..], Vec::as_slice);
        let alone = names.is_empty().then_some(id);
        names.iter().copied().chain(alone)
    }

    /// The entry that holds the bytes of a file: itself, or that of its first name.
    #[must_use]
    pub fn first(&self, id: EntryId) -> EntryId {
        self.entry(id).first.unwrap_or(id)
    }

    /// The target of a symbolic link, as written.
    #[must_use]
    pub fn target(&self, id: EntryId) -> Option<&[u8]> {
        self.targets.get(&id).map(|target| &**target)
    }

    /// Where the bytes of a file are.
    #[must_use]
    pub fn content(&self, id: EntryId) -> Content {
        let first = self.first(id);
        let entry = self.entry(first);
        let size_bytes = entry.size_bytes();
        let extents = match entry.data_at {
            Some(tar_offset) => vec![Extent {
                file_offset: 0,
                tar_offset: tar_offset.get(),
                length: size_bytes,
            }],
            None => self.scattered.get(&first).cloned().unwrap_or_default(),
        };
        Content {
            layer: entry.layer.into(),
            size_bytes,
            extents,
        }
    }

    /// Ends what a path had, and all below it; `by` how.
    fn end(&mut self, path: PathId, by: End) {
        let mut open = vec![path];
        while let Some(path) = open.pop() {
            let Some(live) = self.live(path) else {
                continue;
            };
            self.entries[live.number()].end = by;
            open.extend(self.children(path));
        }
    }

    /// Finds or makes the paths of these names, which are sorted, in a directory.
    fn paths_in(&mut self, directory: PathId, names: &[(Vec<u8>, Inode)]) -> Vec<PathId> {
        if names.is_empty() {
            return Vec::new();
        }
        let mut place = self.directory(directory);
        if place == 0 {
            place = self.directories.len();
            self.directories.push(Vec::new());
            self.nodes[directory.number()].directory = NonZeroU32::new(index(place));
        }
        let old = std::mem::take(&mut self.directories[place]);
        let mut merged = Vec::with_capacity(old.len().max(names.len()));
        let mut found = Vec::with_capacity(names.len());
        let mut old = old.into_iter().peekable();
        for (name, _) in names {
            while let Some(child) = old.next_if(|child| self.name(*child) < name.as_slice()) {
                merged.push(child);
            }
            let child = match old.next_if(|child| self.name(*child) == name.as_slice()) {
                Some(child) => child,
                None => self.new_path(directory, name),
            };
            merged.push(child);
            found.push(child);
        }
        merged.extend(old);
        merged.shrink_to_fit();
        self.directories[place] = merged;
        found
    }

    fn new_path(&mut self, parent: PathId, name: &[u8]) -> PathId {
        let id = PathId(index(self.nodes.len()));
        let name_at = index(self.names.len());
        self.names.extend(name);
        self.nodes.push(Node {
            parent,
            name_at,
            name_bytes: u8::try_from(name.len()).unwrap_or(u8::MAX),
            directory: None,
            newest: None,
        });
        id
    }

    fn push(&mut self, entry: Entry) -> EntryId {
        let id = EntryId::of(self.entries.len());
        let newest = &mut self.nodes[entry.path.0 as usize].newest;
        let previous = newest.replace(id);
        self.entries.push(Entry { previous, ..entry });
        id
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}

const ROOT: PathId = PathId(0);

/// The bound on entries keeps numbers, and names of 255 bytes each, within 32 bits.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
