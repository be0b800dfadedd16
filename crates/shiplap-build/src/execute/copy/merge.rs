//! Files and trees put into the root, by the rules of BuildKit: the content of a directory is
//! copied, never itself; a directory that is there already keeps its attributes if it is the
//! destination, and gets the source's if it is below; a file takes the place of a file, never
//! that of a directory, nor a directory that of a file.

use std::collections::{BTreeMap, HashSet};

use std::sync::Arc;

use shiplap_layer::stack::Stack;
use shiplap_model::path;

use super::target::{
    Content, Directory, Leaf, LeafKind, Node, Target, child_directory, join, see_child,
};
use super::{Attributes, CopyError};
use crate::context::{Entry, Kind};
use crate::execute::selection::Selected;

/// Where something goes.
pub(super) struct Destination {
    /// As written, absolute.
    pub(super) path: Vec<u8>,
}

impl Destination {
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.as_bytes().to_vec(),
        }
    }

    /// The directory that must be there whatever is copied: the path itself if it is written as
    /// one, else what it lies in.
    fn directory(&self) -> &[u8] {
        let (directory, name) = path::split(&self.path);
        if matches!(name, b"" | b".") {
            &self.path
        } else {
            directory
        }
    }
}

/// One copy into the root.
pub(super) struct Merge<'m, 'a> {
    pub(super) target: &'m mut Target<'a>,
    pub(super) attributes: &'m Attributes<'m>,
}

impl Merge<'_, '_> {
    /// Copies what was selected.
    pub(super) fn tree(
        &mut self,
        selected: &Arc<Selected>,
        destination: &Destination,
    ) -> Result<(), CopyError> {
        let firsts = selected.tree.entries.iter();
        let entries = Entries {
            selected,
            attributes: self.attributes,
            number: self.target.begin_copy(),
            below: self.target.below(),
            firsts: firsts.filter_map(|entry| entry.hard_link).collect(),
        };
        let Some(root) = selected.tree.entries.first() else {
            // All of it is excluded.
            return Ok(());
        };
        if !selected.is_directory {
            let leaf = entries.leaf(0, root)?;
            return self.file(&selected.name, leaf, destination);
        }
        let place = self.prepare(destination)?;
        let made = self.attributes.made_directory();
        self.target.make_directories(&place, made.as_ref())?;
        let directory = self.target.directory_mut(&place)?;
        if let Some(metadata) = &mut directory.metadata {
            // It was made for what is copied into it.
            let time = self.attributes.time(root.mtime);
            (metadata.mtime_secs, metadata.mtime_nanos) = time;
        }
        entries.fill(&mut 1, b"", directory, &place)
    }

    /// Copies a file called `name`.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        leaf: Leaf,
        destination: &Destination,
    ) -> Result<(), CopyError> {
        let mut place = self.prepare(destination)?;
        if self.target.see(&place)?.is_directory() {
            place = join(&place, name);
        }
        let (parent, name) = path::split(&place);
        let made = self.attributes.made_directory();
        self.target.make_directories(parent, made.as_ref())?;
        let below = self.target.below();
        let directory = self.target.directory_mut(parent)?;
        put_leaf(directory, name, &place, leaf, below)
    }

    /// Makes the directory that the destination says must be there, and resolves it.
    pub(super) fn prepare(&mut self, destination: &Destination) -> Result<Vec<u8>, CopyError> {
        let directory = self.target.place(destination.directory())?;
        let made = self.attributes.made_directory();
        self.target.make_directories(&directory, made.as_ref())?;
        Ok(self.target.place(&destination.path)?)
    }
}

/// The content of something selected.
struct Entries<'e> {
    selected: &'e Arc<Selected>,
    attributes: &'e Attributes<'e>,
    number: usize,
    below: &'e Stack,
    /// Files that have more names.
    firsts: HashSet<usize>,
}

impl Entries<'_> {
    /// Puts the entries from number `at` on that are in `parent` into `directory`, whose path is
    /// `path`.
    fn fill(
        &self,
        at: &mut usize,
        parent: &[u8],
        directory: &mut Directory,
        path: &[u8],
    ) -> Result<(), CopyError> {
        while let Some(entry) = self.selected.tree.entries.get(*at) {
            let Some(name) = name_in(&entry.path, parent) else {
                return Ok(());
            };
            let number = *at;
            *at += 1;
            let path = join(path, name);
            if entry.kind != Kind::Directory {
                let leaf = self.leaf(number, entry)?;
                put_leaf(directory, name, &path, leaf, self.below)?;
                continue;
            }
            if name.starts_with(b".wh.") {
                return Err(CopyError::Whiteout { path });
            }
            let metadata = self.attributes.of(entry, self.selected.xattrs(number)?);
            if see_child(directory, name, self.below)?.is_nothing() {
                let new = Directory::new(metadata.clone());
                directory
                    .children
                    .insert(name.to_vec(), Node::Directory(new));
            }
            let child = child_directory(directory, name, &path, self.below)?;
            if entry.is_wanted {
                child.metadata = Some(metadata);
            } else {
                // One on the way that is there already gets nothing but the mode.
                child.set_mode(metadata.mode, self.below)?;
            }
            self.fill(at, &entry.path, child, &path)?;
        }
        Ok(())
    }

    fn leaf(&self, number: usize, entry: &Entry) -> Result<Leaf, CopyError> {
        let entries = &self.selected.tree.entries;
        let kind = match &entry.kind {
            Kind::File(_) => {
                let first = entry.hard_link.unwrap_or(number);
                LeafKind::File {
                    content: Content::Selected(Arc::clone(self.selected), first),
                    link: self.firsts.contains(&first).then_some((self.number, first)),
                }
            }
            Kind::Link(target) => LeafKind::Symlink(target.clone()),
            Kind::CharDevice(major, minor) => LeafKind::CharDevice(*major, *minor),
            Kind::BlockDevice(major, minor) => LeafKind::BlockDevice(*major, *minor),
            Kind::Fifo => LeafKind::Fifo,
            Kind::Directory => {
                return Err(CopyError::IsDirectory {
                    path: entry.path.clone(),
                });
            }
        };
        // Names of one file have what the first one has.
        let described = entry.hard_link.and_then(|first| entries.get(first));
        let xattrs = match kind {
            // They come with the bytes.
            LeafKind::File { .. } => BTreeMap::new(),
            _ => self.selected.xattrs(number)?,
        };
        Ok(Leaf {
            metadata: self.attributes.of(described.unwrap_or(entry), xattrs),
            kind,
        })
    }
}

/// The name of the entry `path` in `parent`, if it is in it.
fn name_in<'p>(path: &'p [u8], parent: &[u8]) -> Option<&'p [u8]> {
    let name = if parent.is_empty() {
        path
    } else {
        path.strip_prefix(parent)?.strip_prefix(b"/")?
    };
    (!name.contains(&b'/')).then_some(name)
}

/// Puts what is no directory at `path`, the entry `name` of `directory`.
pub(super) fn put_leaf(
    directory: &mut Directory,
    name: &[u8],
    path: &[u8],
    leaf: Leaf,
    below: &Stack,
) -> Result<(), CopyError> {
    if see_child(directory, name, below)?.is_directory() {
        return Err(CopyError::IsDirectory {
            path: path.to_vec(),
        });
    }
    if name.starts_with(b".wh.") {
        return Err(CopyError::Whiteout {
            path: path.to_vec(),
        });
    }
    directory.children.insert(name.to_vec(), Node::Leaf(leaf));
    Ok(())
}
