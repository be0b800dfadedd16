//! Files and trees put into the root, by the rules of BuildKit: the content of a directory is
//! copied, never itself; a directory that is there already keeps its attributes if it is the
//! destination, and gets the source's if it is below; a file takes the place of a file, never
//! that of a directory, nor a directory that of a file.

use std::collections::BTreeMap;

use shiplap_layer::stack::{Found, Stack, Type};
use shiplap_layer::tar::Metadata;
use shiplap_model::path;

use super::pick::{Pick, Picked};
use super::target::{
    Content, Directory, Leaf, LeafKind, Node, Target, child_directory, join, see_child,
};
use super::{Attributes, CopyError};

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
    /// Which copy of the step it is.
    pub(super) number: usize,
}

impl Merge<'_, '_> {
    /// Copies what was picked.
    pub(super) fn tree(
        &mut self,
        picked: &Picked,
        destination: &Destination,
    ) -> Result<(), CopyError> {
        if !picked.root.found.is_directory() {
            let leaf = self.leaf(picked, &picked.root.found)?;
            return self.file(&picked.name, leaf, destination);
        }
        let place = self.prepare(destination)?;
        let made = self.attributes.made_directory();
        self.target.make_directories(&place, made.as_ref())?;
        let below = self.target.below();
        let directory = self.target.directory_mut(&place)?;
        if let Some(metadata) = &mut directory.metadata {
            // It was made for what is copied into it.
            let facts = picked.root.found.facts;
            let time = self.attributes.time(facts.mtime_secs, facts.mtime_nanos);
            (metadata.mtime_secs, metadata.mtime_nanos) = time;
        }
        let entries = Entries {
            picked,
            attributes: self.attributes,
            number: self.number,
            below,
        };
        entries.merge(&picked.root, directory, &place)
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

    fn leaf(&self, picked: &Picked, found: &Found) -> Result<Leaf, CopyError> {
        leaf(picked, found, self.attributes, self.number)
    }
}

/// The content of one picked directory.
struct Entries<'e> {
    picked: &'e Picked,
    attributes: &'e Attributes<'e>,
    number: usize,
    below: &'e Stack,
}

impl Entries<'_> {
    /// Puts what is below `pick` into `directory`, whose path is `path`.
    fn merge(&self, pick: &Pick, directory: &mut Directory, path: &[u8]) -> Result<(), CopyError> {
        for (name, entry) in &pick.below {
            let path = join(path, name);
            if !entry.found.is_directory() {
                let leaf = leaf(self.picked, &entry.found, self.attributes, self.number)?;
                put_leaf(directory, name, &path, leaf, self.below)?;
                continue;
            }
            let metadata = self.metadata(&entry.found)?;
            if see_child(directory, name, self.below)?.is_nothing() {
                let new = Directory::new(metadata);
                directory
                    .children
                    .insert(name.clone(), Node::Directory(new));
            } else if entry.is_wanted {
                child_directory(directory, name, &path, self.below)?.metadata = Some(metadata);
            }
            let child = child_directory(directory, name, &path, self.below)?;
            self.merge(entry, child, &path)?;
        }
        Ok(())
    }

    fn metadata(&self, found: &Found) -> Result<Metadata, CopyError> {
        let xattrs = self.picked.files.stack.xattrs(found)?;
        Ok(self.attributes.of(found, xattrs))
    }
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

fn leaf(
    picked: &Picked,
    found: &Found,
    attributes: &Attributes<'_>,
    number: usize,
) -> Result<Leaf, CopyError> {
    let stack = &picked.files.stack;
    let kind = match found.facts.kind {
        Type::File { .. } => LeafKind::File {
            content: Content::Tree(std::sync::Arc::clone(&picked.files), found.clone()),
            link: (found.facts.nlink > 1).then_some((number, found.layer, found.inode.0)),
        },
        Type::Symlink => LeafKind::Symlink(stack.read_link(found)?),
        Type::CharDevice { major, minor } => LeafKind::CharDevice(major, minor),
        Type::BlockDevice { major, minor } => LeafKind::BlockDevice(major, minor),
        Type::Fifo => LeafKind::Fifo,
        // A merged tree shows no whiteout, and a directory is no leaf.
        Type::Directory { .. } | Type::Whiteout => {
            return Err(CopyError::IsDirectory {
                path: found.path.clone(),
            });
        }
    };
    let xattrs: BTreeMap<_, _> = stack.xattrs(found)?;
    Ok(Leaf {
        metadata: attributes.of(found, xattrs),
        kind,
    })
}
