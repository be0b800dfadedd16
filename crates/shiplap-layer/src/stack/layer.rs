//! What a stack asks of one layer. A [`Tree`] answers from memory, a layer index lazily.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use crate::tree::{Extent, Kind, LinkBelow, Node, NodeId, Tree};

/// An inode of one layer: an index in its [`Tree`], or an inode number of its layer index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

/// Extended attributes by full name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an inode is, without the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A directory.
    Directory {
        /// Hides what lower layers have at its path.
        opaque: bool,
        /// Has no tar entry of its own; its facts say nothing.
        implied: bool,
    },
    /// A regular file.
    File {
        /// Apparent size, holes included, in bytes.
        size_bytes: u64,
    },
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// The name is deleted from the layers below.
    Whiteout,
}

impl Type {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        matches!(self, Self::Directory { .. })
    }
}

/// Facts of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Type,
    /// The low 12 bits of `st_mode`; of a symbolic link 0777, whatever the tar says.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since the epoch.
    pub mtime_secs: i64,
    /// Nanoseconds of the modification time.
    pub mtime_nanos: u32,
    /// Names it has within its layer; of a directory 2 and one for each directory in it.
    pub nlink: u32,
}

/// The content of one layer. Errors are those of reading the layer index; an inode that is not of this
/// layer, or not of the kind asked for, is `InvalidInput` or `InvalidData`.
pub trait Layer: Send + Sync {
    /// The root directory.
    fn root(&self) -> Inode;
    /// Facts of an inode.
    fn facts(&self, inode: Inode) -> io::Result<Facts>;
    /// The entry `name` of a directory.
    fn lookup(&self, directory: Inode, name: &[u8]) -> io::Result<Option<Inode>>;
    /// All entries of a directory, in the order of their names' bytes.
    fn read_dir(&self, directory: Inode) -> io::Result<Vec<(Vec<u8>, Inode)>>;
    /// The target of a symbolic link.
    fn read_link(&self, inode: Inode) -> io::Result<Vec<u8>>;
    /// Extended attributes.
    fn xattrs(&self, inode: Inode) -> io::Result<Xattrs>;
    /// Where the bytes of a regular file are in the layer's tar; what none covers is zeros.
    fn extents(&self, inode: Inode) -> io::Result<Vec<Extent>>;
    /// The regular file itself, open, where a layer is real files and has no tar.
    fn file(&self, _inode: Inode) -> io::Result<Option<File>> {
        Ok(None)
    }
    /// Paths of the directories that have no tar entry of their own, without the root.
    fn implied(&self) -> io::Result<Vec<Vec<u8>>>;
    /// Hard links to files of lower layers.
    fn links_below(&self) -> io::Result<Vec<LinkBelow>>;
}

impl Tree {
    fn node(&self, inode: Inode) -> io::Result<&Node> {
        usize::try_from(inode.0)
            .ok()
            .and_then(|index| self.nodes.get(index))
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn children(&self, inode: Inode) -> io::Result<&BTreeMap<Vec<u8>, NodeId>> {
        match &self.node(inode)?.kind {
            Kind::Directory(directory) => Ok(&directory.children),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn is_directory(&self, id: NodeId) -> bool {
        self.node(id.into())
            .is_ok_and(|node| matches!(node.kind, Kind::Directory(_)))
    }
}

impl From<NodeId> for Inode {
    fn from(id: NodeId) -> Self {
        Self(u64::from(id.0))
    }
}

/// A [`Tree`] with the link counts that it doesn't hold itself.
#[derive(Debug, Clone)]
pub struct CountedTree {
    tree: Tree,
    names: Vec<u32>,
}

impl CountedTree {
    /// Counts the names of each inode in one pass.
    #[must_use]
    pub fn new(tree: Tree) -> Self {
        let mut names = vec![0u32; tree.nodes.len()];
        let mut open = vec![NodeId(0)];
        while let Some(id) = open.pop() {
            let Ok(children) = tree.children(id.into()) else {
                continue;
            };
            let mut nlink: u32 = 2;
            for child in children.values() {
                if tree.is_directory(*child) {
                    nlink = nlink.saturating_add(1);
                    open.push(*child);
                } else if let Some(count) = names.get_mut(child.0 as usize) {
                    *count += 1;
                }
            }
            if let Some(count) = names.get_mut(id.0 as usize) {
                *count = nlink;
            }
        }
        Self { tree, names }
    }

    /// The tree itself.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}

impl Layer for CountedTree {
    fn root(&self) -> Inode {
        Inode(0)
    }

    fn facts(&self, inode: Inode) -> io::Result<Facts> {
        let node = self.tree.node(inode)?;
        let nlink = self.names.get(inode.0 as usize).copied().unwrap_or(1);
        let kind = match &node.kind {
            Kind::Directory(directory) => Type::Directory {
                opaque: directory.opaque,
                implied: directory.implied,
            },
            Kind::File(data) => Type::File {
                size_bytes: data.size_bytes,
            },
            Kind::Symlink(_) => Type::Symlink,
            Kind::CharDevice { major, minor } => Type::CharDevice {
                major: *major,
                minor: *minor,
            },
            Kind::BlockDevice { major, minor } => Type::BlockDevice {
                major: *major,
                minor: *minor,
            },
            Kind::Fifo => Type::Fifo,
            Kind::Whiteout => Type::Whiteout,
        };
        Ok(Facts {
            kind,
            mode: if kind == Type::Symlink {
                0o777
            } else {
                node.mode
            },
            uid: node.uid,
            gid: node.gid,
            mtime_secs: node.mtime_secs,
            mtime_nanos: node.mtime_nanos,
            nlink,
        })
    }

    fn lookup(&self, directory: Inode, name: &[u8]) -> io::Result<Option<Inode>> {
        Ok(self
            .tree
            .children(directory)?
            .get(name)
            .map(|id| (*id).into()))
    }

    fn read_dir(&self, directory: Inode) -> io::Result<Vec<(Vec<u8>, Inode)>> {
        let children = self.tree.children(directory)?;
        Ok(children
            .iter()
            .map(|(name, id)| (name.clone(), (*id).into()))
            .collect())
    }

    fn read_link(&self, inode: Inode) -> io::Result<Vec<u8>> {
        match &self.tree.node(inode)?.kind {
            Kind::Symlink(target) => Ok(target.clone()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn xattrs(&self, inode: Inode) -> io::Result<Xattrs> {
        Ok(self.tree.node(inode)?.xattrs.clone())
    }

    fn extents(&self, inode: Inode) -> io::Result<Vec<Extent>> {
        match &self.tree.node(inode)?.kind {
            Kind::File(data) => Ok(data.extents.clone()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn implied(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut implied = Vec::new();
        let mut open = vec![(Vec::new(), NodeId(0))];
        while let Some((path, id)) = open.pop() {
            let node = self.tree.node(id.into())?;
            let Kind::Directory(directory) = &node.kind else {
                continue;
            };
            for (name, child) in &directory.children {
                if self.tree.is_directory(*child) {
                    open.push((crate::root::join(&path, name), *child));
                }
            }
            if directory.implied && !path.is_empty() {
                implied.push(path);
            }
        }
        implied.sort();
        Ok(implied)
    }

    fn links_below(&self) -> io::Result<Vec<LinkBelow>> {
        Ok(self.tree.links_below.clone())
    }
}
