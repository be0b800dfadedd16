//! Which nodes of a tree are reachable, in which order they are stored, and whether each is
//! something EROFS and Linux can hold. Looks at the tree only; places and writes nothing.

use shiplap_model::limits;

use super::format::{SYMLINK_BYTES, encode_device};
use super::write::WriteError;
use super::{layout, sparse};
use crate::tree::{Directory, Kind, Node, NodeId, Tree};

/// The reachable nodes: breadth first, a directory's children by name, next to each other.
/// Node 0 is first. [`super::LayerIndex::to_tree`] numbers its nodes in the same order.
pub(super) struct Walk {
    pub(super) order: Vec<NodeId>,
    /// By node: the directory it lies in (the root lies in itself); meaningful for directories.
    pub(super) parents: Vec<NodeId>,
    /// By node: `st_nlink`; 0 if unreachable.
    pub(super) links: Vec<u32>,
}

impl Walk {
    pub(super) fn of(tree: &Tree, tar_bytes: u64) -> Result<Self, WriteError> {
        let root = NodeId(0);
        let mut walk = Self {
            order: vec![root],
            parents: vec![root; tree.nodes.len()],
            links: vec![0; tree.nodes.len()],
        };
        match tree.nodes.first() {
            Some(Node {
                kind: Kind::Directory(_),
                ..
            }) => walk.links[0] = 2,
            _ => return Err(WriteError::NoRoot),
        }
        check_node(&tree.nodes[0], tar_bytes).map_err(|fault| fault.at("/"))?;
        let mut done = 0;
        while let Some(&id) = walk.order.get(done) {
            if let Kind::Directory(directory) = &tree.nodes[id.0 as usize].kind {
                walk.enter(tree, id, directory, tar_bytes)?;
            }
            done += 1;
        }
        Ok(walk)
    }

    fn enter(
        &mut self,
        tree: &Tree,
        id: NodeId,
        directory: &Directory,
        tar_bytes: u64,
    ) -> Result<(), WriteError> {
        for (name, &child) in &directory.children {
            let fail = |walk: &Self, fault: Fault| fault.at(&walk.path(tree, id, name));
            let legal = !name.is_empty()
                && name.len() <= limits::NAME_BYTES
                && !matches!(name.as_slice(), b"." | b"..")
                && !name.iter().any(|&byte| byte == 0 || byte == b'/');
            if !legal {
                return Err(fail(self, Fault::Name));
            }
            let number = child.0 as usize;
            let Some(node) = tree.nodes.get(number) else {
                return Err(fail(self, Fault::MissingNode));
            };
            let is_directory = matches!(node.kind, Kind::Directory(_));
            if self.links[number] == 0 {
                check_node(node, tar_bytes).map_err(|fault| fail(self, fault))?;
                self.order.push(child);
                self.parents[number] = id;
            } else if is_directory {
                return Err(fail(self, Fault::DirectoryLinkedTwice));
            }
            self.links[number] += if is_directory { 2 } else { 1 };
            self.links[id.0 as usize] += u32::from(is_directory);
        }
        Ok(())
    }

    /// Path of an entry, for messages.
    fn path(&self, tree: &Tree, directory: NodeId, name: &[u8]) -> String {
        let mut names = vec![String::from_utf8_lossy(name).into_owned()];
        let mut id = directory;
        while id != NodeId(0) {
            let parent = self.parents[id.0 as usize];
            if let Kind::Directory(above) = &tree.nodes[parent.0 as usize].kind
                && let Some((name, _)) = above.children.iter().find(|&(_, &child)| child == id)
            {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
            id = parent;
        }
        names.reverse();
        names.join("/")
    }
}

/// What is wrong with one entry.
pub(super) enum Fault {
    Name,
    MissingNode,
    DirectoryLinkedTwice,
    LinkTarget(usize),
    Device { major: u32, minor: u32 },
    Xattr(Vec<u8>),
    XattrBytes(usize),
    Extents,
}

impl Fault {
    fn at(self, path: &str) -> WriteError {
        let path = path.to_owned();
        match self {
            Self::Name => WriteError::Name { path },
            Self::MissingNode => WriteError::MissingNode { path },
            Self::DirectoryLinkedTwice => WriteError::DirectoryLinkedTwice { path },
            Self::LinkTarget(length) => WriteError::LinkTarget { path, length },
            Self::Device { major, minor } => WriteError::Device { path, major, minor },
            Self::Xattr(name) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                WriteError::Xattr { path, name }
            }
            Self::XattrBytes(bytes) => WriteError::XattrBytes { path, bytes },
            Self::Extents => WriteError::Extents { path },
        }
    }
}

fn check_node(node: &Node, tar_bytes: u64) -> Result<(), Fault> {
    match &node.kind {
        Kind::Symlink(target) => {
            let legal = (1..=SYMLINK_BYTES).contains(&target.len()) && !target.contains(&0);
            if !legal {
                return Err(Fault::LinkTarget(target.len()));
            }
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            if encode_device(*major, *minor).is_none() {
                return Err(Fault::Device {
                    major: *major,
                    minor: *minor,
                });
            }
        }
        Kind::File(file) if !sparse::is_sound(file, tar_bytes) => return Err(Fault::Extents),
        Kind::File(_) | Kind::Directory(_) | Kind::Fifo | Kind::Whiteout => {}
    }
    layout::check_xattrs(node)
}
