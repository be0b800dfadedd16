//! The root that files are copied to, as it will be: what lies below, and over it in memory what
//! the step's layer changes. Paths are resolved here as they would be in the real root: symbolic
//! links count from the root and never lead out of it.
//!
//! It reads no content and writes nothing; [`super::layer`] writes what has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use shiplap_layer::root::resolve_in_root;
use shiplap_layer::stack::{self, Found, Stack, StackError, Type};
use shiplap_layer::tar::Metadata;

use super::CopyError;
use crate::execute::files::Files;
use crate::execute::selection::Selected;

/// The root as it will be. Paths are clean, from the root, without leading slash.
pub(super) struct Target<'a> {
    below: &'a Stack,
    root: Directory,
    /// How many copies went into it.
    copies: usize,
}

/// One entry that the layer has.
pub(super) enum Node {
    /// A directory.
    Directory(Directory),
    /// Anything else.
    Leaf(Leaf),
}

/// A directory that the layer has, or has something in.
#[derive(Default)]
pub(super) struct Directory {
    /// What shows through of the layers below.
    pub(super) below: Option<Found>,
    /// The attributes that the layer gives it; else it has those it has below.
    pub(super) metadata: Option<Metadata>,
    /// It took the place of a directory that must not show through.
    pub(super) opaque: bool,
    /// What the layer has in it.
    pub(super) children: BTreeMap<Vec<u8>, Node>,
}

/// What is no directory.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) metadata: Metadata,
    pub(super) kind: LeafKind,
}

/// What a leaf is.
#[derive(Clone)]
pub(super) enum LeafKind {
    File {
        content: Content,
        /// Files with one number are hard links.
        link: Option<LinkNumber>,
    },
    Symlink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// Tells files with several names apart: by the copy they came with, and the first name's number.
pub(super) type LinkNumber = (usize, usize);

/// The bytes of a file.
#[derive(Clone)]
pub(super) enum Content {
    /// They are here.
    Inline(Arc<[u8]>),
    /// They are those of something selected: its number in the tree.
    Selected(Arc<Selected>, usize),
    /// They are in the root.
    Below(Arc<Files>, Found),
    /// They are in a file, as an archive's tar: where.
    Part(Arc<std::fs::File>, stack::Content),
}

/// What is at a path.
pub(super) enum Seen<'t> {
    Nothing,
    Ours(&'t Node),
    Below(Found),
}

impl Seen<'_> {
    pub(super) fn is_directory(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Ours(node) => matches!(node, Node::Directory(_)),
            Self::Below(found) => found.is_directory(),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl Directory {
    /// One that is new.
    pub(super) fn new(metadata: Metadata) -> Self {
        Self {
            metadata: Some(metadata),
            ..Self::default()
        }
    }

    /// Gives it another mode, and leaves all else.
    pub(super) fn set_mode(&mut self, mode: u16, below: &Stack) -> Result<(), StackError> {
        if self.metadata.is_none()
            && let Some(found) = &self.below
        {
            self.metadata = Some(metadata_of(found, below)?);
        }
        if let Some(metadata) = &mut self.metadata {
            metadata.mode = mode;
        }
        Ok(())
    }

    fn see(&self, name: &[u8], below: &Stack) -> Result<Seen<'_>, StackError> {
        if let Some(node) = self.children.get(name) {
            return Ok(Seen::Ours(node));
        }
        let Some(directory) = &self.below else {
            return Ok(Seen::Nothing);
        };
        let found = below.lookup(directory, name)?;
        Ok(found.map_or(Seen::Nothing, Seen::Below))
    }
}

impl<'a> Target<'a> {
    pub(super) fn new(below: &'a Stack) -> Result<Self, StackError> {
        Ok(Self {
            root: Directory {
                below: Some(below.root()?),
                ..Directory::default()
            },
            below,
            copies: 0,
        })
    }

    /// Another copy begins; its number.
    pub(super) fn begin_copy(&mut self) -> usize {
        self.copies += 1;
        self.copies
    }

    /// What lies below.
    pub(super) fn below(&self) -> &'a Stack {
        self.below
    }

    /// The root directory, with all that the layer has.
    pub(super) fn root(&self) -> &Directory {
        &self.root
    }

    /// What is at `path`, itself if it is a symbolic link; a path through one leads nowhere.
    pub(super) fn see(&self, path: &[u8]) -> Result<Seen<'_>, StackError> {
        let mut directory = &self.root;
        let mut names = names(path).peekable();
        while let Some(name) = names.next() {
            let seen = directory.see(name, self.below)?;
            if names.peek().is_none() {
                return Ok(seen);
            }
            match seen {
                Seen::Ours(Node::Directory(ours)) => directory = ours,
                Seen::Below(found) if found.is_directory() => {
                    let rest: Vec<&[u8]> = names.collect();
                    return self.see_below(found, &rest);
                }
                _ => return Ok(Seen::Nothing),
            }
        }
        // The root itself is always there.
        Ok(self.root.below.clone().map_or(Seen::Nothing, Seen::Below))
    }

    fn see_below(&self, from: Found, names: &[&[u8]]) -> Result<Seen<'_>, StackError> {
        let mut here = from;
        for name in names {
            if !here.is_directory() {
                return Ok(Seen::Nothing);
            }
            match self.below.lookup(&here, name)? {
                Some(found) => here = found,
                None => return Ok(Seen::Nothing),
            }
        }
        Ok(Seen::Below(here))
    }

    /// Where `path` leads in the root, links followed to the end, what is missing kept as written.
    pub(super) fn place(&self, path: &[u8]) -> Result<Vec<u8>, StackError> {
        self.place_beneath(b"", path)
    }

    /// The same with the clean directory `root` as the root that links count from.
    pub(super) fn place_beneath(&self, root: &[u8], path: &[u8]) -> Result<Vec<u8>, StackError> {
        let place = resolve_in_root(path, |part| self.read_link(&join(root, part)))??;
        Ok(join(root, &place))
    }

    fn read_link(&self, path: &[u8]) -> Result<Option<Vec<u8>>, StackError> {
        match self.see(path)? {
            Seen::Ours(Node::Leaf(Leaf {
                kind: LeafKind::Symlink(target),
                ..
            })) => Ok(Some(target.clone())),
            Seen::Below(found) if found.facts.kind == Type::Symlink => {
                self.below.read_link(&found).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The directory at `path`, for changing; it must be one.
    pub(super) fn directory_mut(&mut self, path: &[u8]) -> Result<&mut Directory, CopyError> {
        let mut directory = &mut self.root;
        let mut walked: Vec<u8> = Vec::new();
        for name in names(path) {
            walked = join(&walked, name);
            directory = child_directory(directory, name, &walked, self.below)?;
        }
        Ok(directory)
    }

    /// Makes what is missing of the directory `path`, each new one with `made`.
    pub(super) fn make_directories(
        &mut self,
        path: &[u8],
        made: Option<&Metadata>,
    ) -> Result<(), CopyError> {
        let mut directory = &mut self.root;
        let mut walked: Vec<u8> = Vec::new();
        for name in names(path) {
            walked = join(&walked, name);
            if directory.see(name, self.below)?.is_nothing() {
                let new = Directory {
                    metadata: made.cloned(),
                    ..Directory::default()
                };
                directory
                    .children
                    .insert(name.to_vec(), Node::Directory(new));
            }
            directory = child_directory(directory, name, &walked, self.below)?;
        }
        Ok(())
    }
}

/// The directory `name` of `directory`, whose path is `path`, for changing.
pub(super) fn child_directory<'d>(
    directory: &'d mut Directory,
    name: &[u8],
    path: &[u8],
    below: &Stack,
) -> Result<&'d mut Directory, CopyError> {
    let not_a_directory = || CopyError::NotADirectory {
        path: path.to_vec(),
    };
    if !directory.children.contains_key(name) {
        match directory.see(name, below)? {
            Seen::Below(found) if found.is_directory() => {
                let through = Directory {
                    below: Some(found),
                    ..Directory::default()
                };
                directory
                    .children
                    .insert(name.to_vec(), Node::Directory(through));
            }
            _ => return Err(not_a_directory()),
        }
    }
    match directory.children.get_mut(name) {
        Some(Node::Directory(child)) => Ok(child),
        _ => Err(not_a_directory()),
    }
}

/// What a name in `directory` is, over `below`.
pub(super) fn see_child<'d>(
    directory: &'d Directory,
    name: &[u8],
    below: &Stack,
) -> Result<Seen<'d>, StackError> {
    directory.see(name, below)
}

/// The attributes of what is there.
pub(super) fn metadata_of(found: &Found, below: &Stack) -> Result<Metadata, StackError> {
    Ok(Metadata {
        mode: found.facts.mode,
        uid: found.facts.uid,
        gid: found.facts.gid,
        mtime_secs: found.facts.mtime_secs,
        mtime_nanos: found.facts.mtime_nanos,
        xattrs: below.xattrs(found)?,
    })
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
}

/// The clean path `name` within the clean path `directory`; either may be empty.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory, name) {
        (b"", name) => name.to_vec(),
        (directory, b"") => directory.to_vec(),
        (directory, name) => [directory, b"/", name].concat(),
    }
}
