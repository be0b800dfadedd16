//! What one layer holds, in memory: the entries of a tar after its extension headers are read,
//! its hard links resolved and its whiteouts understood. The tar reader makes a [`Tree`], the
//! EROFS writer turns it into the layer index.

use std::collections::BTreeMap;

/// The entries of one layer. Node 0 is the root directory, always present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// All nodes; a node that a later entry replaced may be unreachable.
    pub nodes: Vec<Node>,
    /// Hard links whose target is not in this layer (a lower one must hold it).
    pub links_below: Vec<LinkBelow>,
}

/// Index of a node in [`Tree::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// One inode. Two directory entries with one [`NodeId`] are hard links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: the low 12 bits of `st_mode`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since the epoch (may be negative).
    pub mtime_secs: i64,
    /// Nanoseconds of the modification time.
    pub mtime_nanos: u32,
    /// Extended attributes by full name (`user.mime_type`, `security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    File(FileData),
    /// A symbolic link with its target, as written.
    Symlink(Vec<u8>),
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
    /// The name is deleted from the layers below (OCI's `.wh.NAME`; in EROFS and overlayfs a
    /// character device 0:0).
    Whiteout,
}

/// A directory of one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Entries by name.
    pub children: BTreeMap<Vec<u8>, NodeId>,
    /// Hides what lower layers have at this path (OCI's `.wh..wh..opq`).
    pub opaque: bool,
    /// No tar entry of its own: it was made because something lies in it. Its mode, owner and
    /// times then say nothing; a lower layer's count.
    pub implied: bool,
}

/// The content of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileData {
    /// Apparent size, holes included, in bytes.
    pub size_bytes: u64,
    /// Where the bytes are in the layer's tar, ascending by `file_offset`, not overlapping; what
    /// no extent covers is zeros. A plain entry has one extent from offset 0 (none when empty).
    pub extents: Vec<Extent>,
}

/// A run of file bytes within the layer's tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset in the file, in bytes.
    pub file_offset: u64,
    /// Offset in the uncompressed tar, in bytes.
    pub tar_offset: u64,
    /// Length, in bytes.
    pub length: u64,
}

/// A hard link to a path that only a lower layer can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkBelow {
    /// Path of the link from the root, without leading slash.
    pub path: Vec<u8>,
    /// Path of the target from the root, without leading slash.
    pub target: Vec<u8>,
}
