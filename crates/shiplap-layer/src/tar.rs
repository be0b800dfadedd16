//! The tar format as layers use it: [`Scanner`] reads entries from bytes that flow by,
//! [`TreeBuilder`] makes the layer's [`Tree`](crate::tree::Tree) of them, [`Writer`] writes
//! entries in one fixed form.
//!
//! Read are v7, ustar, star, GNU (long names, base-256 numbers, old sparse files) and PAX
//! (records, xattrs, sparse 0.0, 0.1 and 1.0), with the meaning that Go's `archive/tar` gives
//! them, because that is what every other container tool sees in a layer: global PAX headers are
//! checked but apply to nothing, links and directories have no data whatever their size field
//! says, what follows the end mark is ignored, a missing end mark is no error.
//!
//! Nothing here opens, creates or follows a path of the host.

mod builder;
mod header;
mod pax;
mod scan;
mod sparse;
mod writer;

pub use builder::{Contents, TreeBuilder};
pub use scan::{Scanner, scan_file};
pub use writer::{Metadata, WriteError, Writer};

use std::collections::BTreeMap;

use crate::tree::FileData;

/// Bytes of a block, the unit of a tar.
pub const BLOCK_BYTES: usize = 512;

/// One entry of a tar, its extension headers applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as written: not cleaned, may be absolute or hold `..`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// The low 12 bits of the mode.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since the epoch.
    pub mtime_secs: i64,
    /// Nanoseconds of the modification time.
    pub mtime_nanos: u32,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file; its extents are offsets in this tar.
    File(FileData),
    /// Another name of an entry before it, as written.
    HardLink(Vec<u8>),
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
}

/// Why bytes are not the tar of a layer. Offsets are bytes from the start of the tar; paths are
/// as written, escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// A header whose checksum is wrong: not a tar, or a damaged one.
    #[error("read tar header at byte {offset}: its checksum is wrong")]
    Checksum {
        /// Where the header is.
        offset: u64,
    },
    /// A header field that can't be understood or is out of range.
    #[error("read tar header at byte {offset}: bad {field}")]
    Field {
        /// Where the header is.
        offset: u64,
        /// Which field.
        field: &'static str,
    },
    /// A PAX record that is malformed or out of range.
    #[error("read PAX header at byte {offset}: bad record {record:?}")]
    Record {
        /// Where the extension header is.
        offset: u64,
        /// The start of the record.
        record: String,
    },
    /// An entry type that no container tool unpacks.
    #[error("read tar header at byte {offset}: unknown entry type {type_flag:?}")]
    Type {
        /// Where the header is.
        offset: u64,
        /// The type flag.
        type_flag: char,
    },
    /// A map of a sparse file that contradicts itself.
    #[error("read tar entry at byte {offset}: bad sparse map")]
    Sparse {
        /// Where the header is.
        offset: u64,
    },
    /// More extension headers than one entry may have.
    #[error("read tar header at byte {offset}: extension headers exceed {limit} bytes")]
    Extensions {
        /// Where the header is.
        offset: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// One zero block where an entry or the end mark (two) was due.
    #[error("read tar header at byte {offset}: data after half an end mark")]
    EndMark {
        /// Where the block after the zero block is.
        offset: u64,
    },
    /// The tar stops within an entry.
    #[error("read tar: it ends at byte {offset}, within an entry")]
    Truncated {
        /// Its length.
        offset: u64,
    },
    /// A name that is too long or holds a NUL.
    #[error("read tar entry {path:?}: {problem}")]
    Path {
        /// The entry.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A hard link that names a directory or nothing.
    #[error("read tar entry {path:?}: can't link to {target:?}")]
    HardLink {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// More entries than a layer may have.
    #[error("read tar: more than {limit} entries")]
    Entries {
        /// The limit.
        limit: u64,
    },
}

/// Bytes of a name for an error message.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..300).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests;
