//! A layer index answers a stack's questions lazily.

use std::io;

use super::{Facts, Inode, Layer, Type, Xattrs};
use crate::erofs::{InodeId, InodeKind, LayerIndex, ReadError};
use crate::root::join;
use crate::tree::{Extent, LinkBelow};

impl Layer for LayerIndex {
    fn root(&self) -> Inode {
        of(Self::root(self))
    }

    fn facts(&self, inode: Inode) -> io::Result<Facts> {
        let id = id(inode)?;
        let node = self.node(id).map_err(error)?;
        let kind = match node.kind {
            InodeKind::Directory => Type::Directory {
                opaque: self.is_opaque(id).map_err(error)?,
                implied: self.is_implied(id),
            },
            InodeKind::File => Type::File {
                size_bytes: node.size_bytes,
            },
            InodeKind::Symlink => Type::Symlink,
            InodeKind::CharDevice { major, minor } => Type::CharDevice { major, minor },
            InodeKind::BlockDevice { major, minor } => Type::BlockDevice { major, minor },
            InodeKind::Fifo => Type::Fifo,
            InodeKind::Whiteout => Type::Whiteout,
        };
        Ok(Facts {
            kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            mtime_secs: node.mtime_secs,
            mtime_nanos: node.mtime_nanos,
            nlink: node.links,
        })
    }

    fn lookup(&self, directory: Inode, name: &[u8]) -> io::Result<Option<Inode>> {
        Ok(Self::lookup(self, id(directory)?, name)
            .map_err(error)?
            .map(of))
    }

    fn read_dir(&self, directory: Inode) -> io::Result<Vec<(Vec<u8>, Inode)>> {
        let entries = Self::read_dir(self, id(directory)?).map_err(error)?;
        entries
            .map(|entry| entry.map(|e| (e.name, of(e.id))).map_err(error))
            .collect()
    }

    fn read_link(&self, inode: Inode) -> io::Result<Vec<u8>> {
        Self::read_link(self, id(inode)?).map_err(error)
    }

    fn xattrs(&self, inode: Inode) -> io::Result<Xattrs> {
        Self::xattrs(self, id(inode)?).map_err(error)
    }

    fn extents(&self, inode: Inode) -> io::Result<Vec<Extent>> {
        Self::extents(self, id(inode)?).map_err(error)
    }

    fn implied(&self) -> io::Result<Vec<Vec<u8>>> {
        let root = Self::root(self);
        let mut left = self.implied_inodes().len() - usize::from(self.is_implied(root));
        let mut implied = Vec::new();
        let mut open = vec![(Vec::new(), root)];
        while left > 0 {
            let Some((path, directory)) = open.pop() else {
                break;
            };
            for entry in Self::read_dir(self, directory).map_err(error)? {
                let entry = entry.map_err(error)?;
                if self.node(entry.id).map_err(error)?.kind != InodeKind::Directory {
                    continue;
                }
                let path = join(&path, &entry.name);
                if self.is_implied(entry.id) {
                    implied.push(path.clone());
                    left = left.saturating_sub(1);
                }
                open.push((path, entry.id));
            }
        }
        implied.sort();
        Ok(implied)
    }

    fn links_below(&self) -> io::Result<Vec<LinkBelow>> {
        Ok(Self::links_below(self).to_vec())
    }
}

fn of(id: InodeId) -> Inode {
    Inode(id.0.into())
}

fn id(inode: Inode) -> io::Result<InodeId> {
    match u32::try_from(inode.0) {
        Ok(number) => Ok(InodeId(number)),
        Err(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn error(error: ReadError) -> io::Error {
    match error {
        ReadError::Io { source, .. } => source,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
