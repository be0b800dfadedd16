//! The upper directory of an overlay as the topmost layer of a stack: what the container sees,
//! read without a mount.
//!
//! Nothing is read before it is asked for. The directory may be in use: what is asked of a path is
//! what is there at that moment, and paths are followed inside the upper directory only.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use super::layer::{is_reserved, portable_xattrs, reopen, unless_gone};
use super::upper::Marked;
use super::{file_type, is_whiteout};
use crate::root::{Root, dir_names, join, stat_child};
use crate::stack::{Facts, Inode, Layer, Type, Xattrs};
use crate::tree::{Extent, LinkBelow};
use crate::unpack::Marks;

/// An upper directory that answers like a layer. Its file content is in its files, so there is no
/// tar: see [`crate::stack::Stack::file`]. Its root says nothing of the root's attributes; a
/// socket only hides what is below it, and names that begin with `.wh.` are not shown.
pub struct UpperLayer {
    root: Root,
    marks: Marks,
    nodes: Mutex<Nodes>,
}

/// What was found so far; an [`Inode`] is an index in it.
#[derive(Default)]
struct Nodes {
    found: Vec<Arc<Node>>,
    /// Of files with several names.
    by_file: HashMap<(u64, u64), usize>,
}

struct Node {
    path: Vec<u8>,
    facts: Facts,
}

impl UpperLayer {
    /// Takes the upper directory; `marks` is how the overlay is mounted.
    #[must_use]
    pub fn new(root: Root, marks: Marks) -> Self {
        let top = Node {
            path: Vec::new(),
            facts: Facts {
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
            },
        };
        Self {
            root,
            marks,
            nodes: Mutex::new(Nodes {
                found: vec![Arc::new(top)],
                by_file: HashMap::new(),
            }),
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, inode: Inode) -> io::Result<Arc<Node>> {
        let index = usize::try_from(inode.0).ok();
        let nodes = self.nodes();
        let node = index.and_then(|index| nodes.found.get(index));
        node.cloned()
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// The directory itself, if it still is one.
    fn directory(&self, node: &Node) -> io::Result<Option<OwnedFd>> {
        if !node.facts.kind.is_directory() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(unless_gone(self.root.open_dir(&node.path))?)
    }

    /// The inode of the entry `name` of `dir`, noted if it is new.
    fn entry(&self, dir: &OwnedFd, name: &[u8], parent: &Node) -> io::Result<Option<Inode>> {
        if is_reserved(name) {
            return Ok(None);
        }
        let Some(stat) = unless_gone(stat_child(dir, name))?.flatten() else {
            return Ok(None);
        };
        let file = (stat.st_dev, stat.st_ino);
        let is_shared = !file_type(&stat).is_dir() && stat.st_nlink > 1;
        if is_shared && let Some(index) = self.nodes().by_file.get(&file) {
            return Ok(Some(Inode(*index as u64)));
        }
        let path = join(&parent.path, name);
        let marked = Marked::read(dir, name, &stat, &path, self.marks);
        let marked = marked.map_err(io::Error::other)?;
        let node = Node {
            path,
            facts: facts(&stat, &marked),
        };
        let mut nodes = self.nodes();
        let index = nodes.found.len();
        nodes.found.push(Arc::new(node));
        if is_shared {
            nodes.by_file.insert(file, index);
        }
        Ok(Some(Inode(index as u64)))
    }

    /// A handle of the entry itself that is good for asking, not for reading.
    fn handle(&self, node: &Node) -> Result<OwnedFd, Errno> {
        self.root
            .open_at(&node.path, OFlags::PATH | OFlags::NOFOLLOW)
    }
}

fn facts(stat: &Stat, marked: &Marked) -> Facts {
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    let kind = match file_type(stat) {
        _ if is_whiteout(stat) || marked.whiteout => Type::Whiteout,
        FileType::Directory => Type::Directory {
            opaque: marked.opaque,
            implied: false,
        },
        FileType::RegularFile => Type::File {
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        },
        FileType::Symlink => Type::Symlink,
        FileType::CharacterDevice => Type::CharDevice { major, minor },
        FileType::BlockDevice => Type::BlockDevice { major, minor },
        FileType::Fifo => Type::Fifo,
        FileType::Socket | FileType::Unknown => Type::Whiteout,
    };
    Facts {
        kind,
        mode: (stat.st_mode & 0o7777) as u16,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime_secs: stat.st_mtime,
        mtime_nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
    }
}

impl Layer for UpperLayer {
    fn root(&self) -> Inode {
        Inode(0)
    }

    fn facts(&self, inode: Inode) -> io::Result<Facts> {
        Ok(self.node(inode)?.facts)
    }

    fn lookup(&self, directory: Inode, name: &[u8]) -> io::Result<Option<Inode>> {
        let node = self.node(directory)?;
        match self.directory(&node)? {
            Some(dir) => self.entry(&dir, name, &node),
            None => Ok(None),
        }
    }

    fn read_dir(&self, directory: Inode) -> io::Result<Vec<(Vec<u8>, Inode)>> {
        let node = self.node(directory)?;
        let Some(dir) = self.directory(&node)? else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        for name in dir_names(&dir)? {
            if let Some(inode) = self.entry(&dir, &name, &node)? {
                entries.push((name, inode));
            }
        }
        Ok(entries)
    }

    fn read_link(&self, inode: Inode) -> io::Result<Vec<u8>> {
        let handle = self.handle(&*self.node(inode)?)?;
        let target = rustix::fs::readlinkat(handle, "", Vec::new())?;
        Ok(target.into_bytes())
    }

    fn xattrs(&self, inode: Inode) -> io::Result<Xattrs> {
        match unless_gone(self.handle(&*self.node(inode)?))? {
            Some(handle) => Ok(portable_xattrs(handle)?),
            None => Ok(Xattrs::new()),
        }
    }

    fn extents(&self, _: Inode) -> io::Result<Vec<Extent>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn file(&self, inode: Inode) -> io::Result<Option<File>> {
        let handle = self.handle(&*self.node(inode)?)?;
        if !file_type(&rustix::fs::fstat(&handle)?).is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Some(reopen(handle)?))
    }

    fn implied(&self) -> io::Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    fn links_below(&self) -> io::Result<Vec<LinkBelow>> {
        Ok(Vec::new())
    }
}
