//! The whole index back as a tree: what was written, less what [`super::super::write()`] drops.

use std::collections::HashMap;

use super::super::format::{DIRENT, INODE};
use super::{InodeId, InodeKind, LayerIndex, ReadError};
use crate::tree::{Directory, FileData, Kind, Node, NodeId, Tree};

impl LayerIndex {
    /// The layer's tree. Nodes are numbered breadth first, a directory's children by name.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] also where directories form a loop or overlap; [`ReadError::Io`].
    pub fn to_tree(&self) -> Result<Tree, ReadError> {
        let mut tree = Tree {
            nodes: Vec::new(),
            links_below: self.links_below().to_vec(),
        };
        let mut numbers = HashMap::from([(self.root(), NodeId(0))]);
        let mut order = vec![self.root()];
        // Nothing overlaps in an honest index, so all that is kept fits into its length.
        let mut room = self.index_bytes();
        while let Some(&id) = order.get(tree.nodes.len()) {
            let mut node = self.to_node(id, &mut room)?;
            if let Kind::Directory(directory) = &mut node.kind {
                for entry in self.read_dir(id)? {
                    let entry = entry?;
                    self.take_room(&mut room, DIRENT as u64, id)?;
                    let next = u32::try_from(order.len());
                    let next = NodeId(next.map_err(|_| self.damaged(id, "the directory"))?);
                    let number = *numbers.entry(entry.id).or_insert(next);
                    if number == next {
                        order.push(entry.id);
                    } else if self.node(entry.id)?.kind == InodeKind::Directory {
                        return Err(self.damaged(entry.id, "the directory"));
                    }
                    directory.children.insert(entry.name, number);
                }
            }
            tree.nodes.push(node);
        }
        Ok(tree)
    }

    /// One node, a directory still without its children.
    fn to_node(&self, id: InodeId, room: &mut u64) -> Result<Node, ReadError> {
        let facts = self.node(id)?;
        self.take_room(room, INODE + u64::from(self.raw(id)?.xattr_bytes), id)?;
        if facts.kind == InodeKind::Symlink {
            self.take_room(room, facts.size_bytes, id)?;
        }
        let kind = match facts.kind {
            InodeKind::Directory => Kind::Directory(Directory {
                opaque: self.is_opaque(id)?,
                implied: self.is_implied(id),
                ..Directory::default()
            }),
            InodeKind::File => Kind::File(FileData {
                size_bytes: facts.size_bytes,
                extents: self.extents(id)?,
            }),
            InodeKind::Symlink => Kind::Symlink(self.read_link(id)?),
            InodeKind::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            InodeKind::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
            InodeKind::Fifo => Kind::Fifo,
            InodeKind::Whiteout => Kind::Whiteout,
        };
        Ok(Node {
            kind,
            mode: facts.mode,
            uid: facts.uid,
            gid: facts.gid,
            mtime_secs: facts.mtime_secs,
            mtime_nanos: facts.mtime_nanos,
            xattrs: self.xattrs(id)?,
        })
    }

    fn take_room(&self, room: &mut u64, bytes: u64, id: InodeId) -> Result<(), ReadError> {
        *room = room
            .checked_sub(bytes)
            .ok_or_else(|| self.damaged(id, "the inode"))?;
        Ok(())
    }
}
