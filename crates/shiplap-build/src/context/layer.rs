//! What is selected of a context, in the form of a layer of real files: for whoever merges and
//! copies trees of layers and of contexts alike. It asks the file system for nothing but the bytes of
//! files; all else is what the walk found.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use shiplap_layer::stack::{Facts, Inode, Layer, Type, Xattrs};
use shiplap_layer::tree::{Extent, LinkBelow};
use shiplap_model::path;

use super::Context;
use super::entry::{Entry, Kind, Tree};
use super::read::open_file;

/// The root, where what is selected is no directory.
const TOP: Inode = Inode(0);

/// A tree as a layer. A directory that was selected is its root; a file lies in the root.
#[derive(Debug)]
pub struct ContextLayer {
    context: Arc<Context>,
    tree: Arc<Tree>,
    /// Name of a file that was selected.
    name: Vec<u8>,
    /// Of each entry that is a directory, what is in it, by name.
    children: HashMap<usize, Vec<usize>>,
    /// Of each file with several names in the tree, how many.
    names: HashMap<usize, u32>,
}

impl ContextLayer {
    /// `tree`, which `context` gave; `name` is that of its match.
    #[must_use]
    pub fn new(context: Arc<Context>, tree: Arc<Tree>, name: &[u8]) -> Self {
        let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut names = HashMap::new();
        // The directories that the entry before lies in, the top one first.
        let mut open: Vec<usize> = Vec::new();
        for (index, entry) in tree.entries.iter().enumerate() {
            let (parent, _) = path::split(&entry.path);
            while let Some(last) = open.last()
                && tree.entries[*last].path != parent
            {
                open.pop();
            }
            if let Some(last) = open.last() {
                children.entry(*last).or_default().push(index);
            }
            if entry.kind == Kind::Directory {
                open.push(index);
            }
            if let Some(first) = entry.hard_link {
                *names.entry(first).or_insert(1) += 1;
            }
        }
        Self {
            context,
            name: name.to_vec(),
            children,
            names,
            tree,
        }
    }

    /// The entry of an inode; `None` for the root around a file.
    #[must_use]
    pub fn entry(&self, inode: Inode) -> Option<&Entry> {
        self.tree.entries.get(index_of(inode)?)
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    fn inode(&self, index: usize) -> Inode {
        let first = self.tree.entries[index].hard_link.unwrap_or(index);
        Inode(first as u64 + 1)
    }

    fn find(&self, inode: Inode) -> io::Result<(usize, &Entry)> {
        let found = index_of(inode).and_then(|index| Some((index, self.tree.entries.get(index)?)));
        found.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn has_top(&self) -> bool {
        let top = self.tree.entries.first();
        top.is_none_or(|top| top.kind != Kind::Directory)
    }

    fn children(&self, inode: Inode) -> io::Result<&[usize]> {
        let (index, entry) = self.find(inode)?;
        if entry.kind != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(self.children.get(&index).map_or(&[], Vec::as_slice))
    }

    fn name_of(&self, index: usize) -> &[u8] {
        path::split(&self.tree.entries[index].path).1
    }
}

fn index_of(inode: Inode) -> Option<usize> {
    usize::try_from(inode.0.checked_sub(1)?).ok()
}

/// A directory that nobody selected.
fn top_facts() -> Facts {
    Facts {
        kind: Type::Directory {
            opaque: false,
            implied: true,
        },
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime_secs: 0,
        mtime_nanos: 0,
        nlink: 2,
    }
}

impl Layer for ContextLayer {
    fn root(&self) -> Inode {
        if self.has_top() { TOP } else { Inode(1) }
    }

    fn facts(&self, inode: Inode) -> io::Result<Facts> {
        if inode == TOP {
            return Ok(top_facts());
        }
        let (index, entry) = self.find(inode)?;
        let mut nlink = 1;
        let kind = match &entry.kind {
            Kind::Directory => {
                let children = self.children(inode)?.iter();
                let directories =
                    children.filter(|child| self.tree.entries[**child].kind == Kind::Directory);
                nlink = u32::try_from(directories.count() + 2).unwrap_or(u32::MAX);
                Type::Directory {
                    opaque: false,
                    implied: false,
                }
            }
            Kind::File(content) => {
                nlink = self.names.get(&index).copied().unwrap_or(1);
                Type::File {
                    size_bytes: content.size_bytes,
                }
            }
            Kind::Link(_) => Type::Symlink,
            Kind::Fifo => Type::Fifo,
            Kind::CharDevice(major, minor) => Type::CharDevice {
                major: *major,
                minor: *minor,
            },
            Kind::BlockDevice(major, minor) => Type::BlockDevice {
                major: *major,
                minor: *minor,
            },
        };
        Ok(Facts {
            kind,
            // Twelve bits.
            mode: entry.mode as u16,
            uid: entry.uid,
            gid: entry.gid,
            mtime_secs: entry.mtime.seconds,
            mtime_nanos: entry.mtime.nanoseconds,
            nlink,
        })
    }

    fn lookup(&self, directory: Inode, name: &[u8]) -> io::Result<Option<Inode>> {
        if directory == TOP {
            let is_it = name == self.name && !self.tree.entries.is_empty();
            return Ok(is_it.then_some(Inode(1)));
        }
        let children = self.children(directory)?;
        let found = children.binary_search_by(|child| self.name_of(*child).cmp(name));
        Ok(found.ok().map(|at| self.inode(children[at])))
    }

    fn read_dir(&self, directory: Inode) -> io::Result<Vec<(Vec<u8>, Inode)>> {
        if directory == TOP {
            let all = self.tree.entries.iter().take(1);
            return Ok(all.map(|_| (self.name.clone(), Inode(1))).collect());
        }
        let children = self.children(directory)?.iter();
        let named = children.map(|child| (self.name_of(*child).to_vec(), self.inode(*child)));
        Ok(named.collect())
    }

    fn read_link(&self, inode: Inode) -> io::Result<Vec<u8>> {
        match &self.find(inode)?.1.kind {
            Kind::Link(target) => Ok(target.clone()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn xattrs(&self, inode: Inode) -> io::Result<Xattrs> {
        let mut xattrs = Xattrs::new();
        if let Some(Entry {
            kind: Kind::File(content),
            ..
        }) = self.entry(inode)
            && let Some(capability) = &content.capability
        {
            xattrs.insert(b"security.capability".to_vec(), capability.clone());
        }
        Ok(xattrs)
    }

    fn extents(&self, _: Inode) -> io::Result<Vec<Extent>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn file(&self, inode: Inode) -> io::Result<Option<File>> {
        let (_, entry) = self.find(inode)?;
        if !matches!(entry.kind, Kind::File(_)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let path = self.tree.path_of(entry);
        let file = open_file(&self.context.root, &path, &entry.stamp).map_err(io::Error::other)?;
        Ok(Some(file))
    }

    fn implied(&self) -> io::Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    fn links_below(&self) -> io::Result<Vec<LinkBelow>> {
        Ok(Vec::new())
    }
}
