//! Reads a layer index without mounting it: look-ups, listings, facts, xattrs, where the data of
//! a file lies in the tar. Only what is asked for is read from the file, and each piece once.
//! It trusts nothing in the index and never reads the tar.

mod directory;
mod pieces;
mod tree;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use sha2::{Digest, Sha256};
use shiplap_model::limits;

pub use self::directory::{DirEntry, ReadDir};
use self::pieces::Pieces;
use super::format::{
    BLOCK, DataLayout, Head, INODE, INODES_AT, NO_BLOCK, RawInode, SLOT, SUPERBLOCK_AT,
    SYMLINK_BYTES, XATTR_HEADER, decode_device, join_xattr_name, u16_at,
};
use super::notes::Notes;
use crate::tree::{Extent, LinkBelow};

/// Most bytes of notes that are read at once with the index: far beyond any honest layer.
const NOTES_BYTES: u64 = 1 << 30;
const OPAQUE: &[u8] = b"trusted.overlay.opaque";
const OVERLAY: &[u8] = b"trusted.overlay.";
const ESCAPED: &[u8] = b"trusted.overlay.overlay.";

/// Number of an inode within one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub(crate) u32);

/// What an inode says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: InodeKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since the epoch (may be negative).
    pub mtime_secs: i64,
    /// Nanoseconds of the modification time.
    pub mtime_nanos: u32,
    /// Size of a file or a link target in bytes; of a directory, its entries in the index.
    pub size_bytes: u64,
    /// How many names it has in this layer; a directory: 2 and one per subdirectory.
    pub links: u32,
}

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
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

/// Why a layer index can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file can't be read.
    #[error("read layer index at {offset}: {source}")]
    Io {
        /// Offset in the index, in bytes.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// It is no layer index of the form this version writes, or its head is damaged.
    #[error("read layer index: no index of this version, or damaged at its head")]
    NotAnIndex,
    /// Something within it makes no sense.
    #[error("read layer index: {what} is damaged (inode {inode})")]
    Damaged {
        /// What.
        what: &'static str,
        /// Number of the inode that was asked for; 0 if none.
        inode: u32,
    },
    /// The body is not what the head's digest says.
    #[error("verify layer index: its content does not match its digest")]
    Digest,
    /// An inode is not of the kind the question is for.
    #[error("read layer index: inode {inode} is no {wanted}")]
    Kind {
        /// Number of the inode.
        inode: u32,
        /// What it should have been.
        wanted: &'static str,
    },
}

/// An open layer index. Shared freely between threads.
#[derive(Debug)]
pub struct LayerIndex {
    pieces: Pieces,
    head: Head,
    notes: Notes,
}

impl LayerIndex {
    /// Opens the index in `file`, which is only read by position.
    ///
    /// # Errors
    /// [`ReadError::NotAnIndex`] for whatever [`super::write()`] of this version did not make, or
    /// what was cut since; [`ReadError::Io`].
    pub fn open(file: File) -> Result<Self, ReadError> {
        let length = file
            .metadata()
            .map_err(|source| ReadError::Io { offset: 0, source })?
            .len();
        Self::of(Pieces::of_file(file, length))
    }

    /// Opens an index that is in memory.
    ///
    /// # Errors
    /// As [`LayerIndex::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ReadError> {
        Self::of(Pieces::of_bytes(bytes))
    }

    fn of(pieces: Pieces) -> Result<Self, ReadError> {
        if pieces.length() < INODES_AT + INODE {
            return Err(ReadError::NotAnIndex);
        }
        let head =
            Head::decode(&pieces.read(SUPERBLOCK_AT, BLOCK)?).ok_or(ReadError::NotAnIndex)?;
        if head.index_bytes() != pieces.length() || head.notes_bytes > NOTES_BYTES {
            return Err(ReadError::NotAnIndex);
        }
        let notes = Notes::decode(&pieces.read(head.notes_at, head.notes_bytes)?);
        let notes = notes.ok_or(ReadError::Damaged {
            what: "its notes",
            inode: 0,
        })?;
        let index = Self {
            pieces,
            head,
            notes,
        };
        match index.node(index.root())?.kind {
            InodeKind::Directory => Ok(index),
            _ => Err(index.damaged(index.root(), "the root")),
        }
    }

    /// Reads the whole index and compares it with the digest in its head.
    ///
    /// # Errors
    /// [`ReadError::Digest`] if a byte changed since it was written; [`ReadError::Io`].
    pub fn verify(&self) -> Result<(), ReadError> {
        let mut hasher = Sha256::new();
        let mut at = INODES_AT;
        while at < self.head.index_bytes() {
            let length = (self.head.index_bytes() - at).min(1 << 20);
            hasher.update(self.pieces.read(at, length)?);
            at += length;
        }
        let digest: [u8; 32] = hasher.finalize().into();
        if digest.starts_with(&self.head.uuid) {
            Ok(())
        } else {
            Err(ReadError::Digest)
        }
    }

    /// Length of the tar this is the index of, in bytes.
    #[must_use]
    pub fn tar_bytes(&self) -> u64 {
        self.head.tar_bytes
    }

    /// Length of the index, in bytes.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.head.index_bytes()
    }

    /// How many inodes it says it holds.
    #[must_use]
    pub fn inodes(&self) -> u64 {
        self.head.inodes
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> InodeId {
        InodeId((INODES_AT / SLOT) as u32)
    }

    /// Hard links whose target only a lower layer can hold.
    #[must_use]
    pub fn links_below(&self) -> &[LinkBelow] {
        &self.notes.links_below
    }

    /// Whether the directory had no tar entry of its own, so that a lower layer's facts count.
    #[must_use]
    pub fn is_implied(&self, id: InodeId) -> bool {
        self.notes.implied.binary_search(&id.0).is_ok()
    }

    /// All directories of which [`Self::is_implied`] is true, in ascending order.
    pub(crate) fn implied_inodes(&self) -> &[u32] {
        &self.notes.implied
    }

    /// Whether the directory hides what lower layers have at its path.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Io`].
    pub fn is_opaque(&self, id: InodeId) -> Result<bool, ReadError> {
        let raw = self.raw(id)?;
        if raw.xattr_bytes == 0 || raw.mode >> 12 != 0o04 {
            return Ok(false);
        }
        Ok(self.stored_xattrs(id, &raw)?.contains_key(OPAQUE))
    }

    /// The facts of an inode.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Io`].
    pub fn node(&self, id: InodeId) -> Result<Facts, ReadError> {
        let raw = self.raw(id)?;
        let (major, minor) = decode_device(raw.data);
        let kind = match raw.mode >> 12 {
            0o04 => InodeKind::Directory,
            0o10 => InodeKind::File,
            0o12 => InodeKind::Symlink,
            0o02 if raw.data == 0 => InodeKind::Whiteout,
            0o02 => InodeKind::CharDevice { major, minor },
            0o06 => InodeKind::BlockDevice { major, minor },
            0o01 => InodeKind::Fifo,
            _ => return Err(self.damaged(id, "its type")),
        };
        Ok(Facts {
            kind,
            mode: raw.mode & 0o7777,
            uid: raw.uid,
            gid: raw.gid,
            mtime_secs: raw.mtime_secs,
            mtime_nanos: raw.mtime_nanos,
            size_bytes: raw.size,
            links: raw.nlink,
        })
    }

    /// The target of a symbolic link, as written.
    ///
    /// # Errors
    /// [`ReadError::Kind`] for anything else; [`ReadError::Damaged`], [`ReadError::Io`].
    pub fn read_link(&self, id: InodeId) -> Result<Vec<u8>, ReadError> {
        let raw = self.raw(id)?;
        if raw.mode >> 12 != 0o12 {
            return Err(ReadError::Kind {
                inode: id.0,
                wanted: "symbolic link",
            });
        }
        if raw.size > SYMLINK_BYTES as u64 {
            return Err(self.damaged(id, "the link target"));
        }
        let mut target = Vec::with_capacity(raw.size as usize);
        for block in 0..raw.size.div_ceil(BLOCK) {
            target.extend(self.stream_block(id, &raw, block)?.iter());
        }
        Ok(target)
    }

    /// The xattrs by full name, as the image had them: without the mark of an opaque directory.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Io`].
    pub fn xattrs(&self, id: InodeId) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ReadError> {
        let stored = self.stored_xattrs(id, &self.raw(id)?)?;
        let as_in_image = |(name, value): (Vec<u8>, _)| match name.strip_prefix(ESCAPED) {
            Some(rest) => Some(([OVERLAY, rest].concat(), value)),
            None => (name != OPAQUE).then_some((name, value)),
        };
        Ok(stored.into_iter().filter_map(as_in_image).collect())
    }

    /// Where the bytes of a regular file lie in the tar, ascending; what no extent covers is
    /// zeros. Neighbours are merged, none is empty, all lie within file and tar.
    ///
    /// # Errors
    /// [`ReadError::Kind`] for anything else; [`ReadError::Damaged`], [`ReadError::Io`].
    pub fn extents(&self, id: InodeId) -> Result<Vec<Extent>, ReadError> {
        let raw = self.raw(id)?;
        if raw.mode >> 12 != 0o10 {
            return Err(ReadError::Kind {
                inode: id.0,
                wanted: "regular file",
            });
        }
        let extents = match raw.layout {
            DataLayout::Plain if raw.size == 0 => Vec::new(),
            DataLayout::Plain => {
                let block = raw.data.checked_sub(self.head.blocks);
                let tar_offset = block.map(|block| u64::from(block) * BLOCK);
                let tar_offset = tar_offset.ok_or_else(|| self.damaged(id, "its start block"))?;
                vec![Extent {
                    file_offset: 0,
                    tar_offset,
                    length: raw.size,
                }]
            }
            DataLayout::Chunks => {
                let extents = self.notes.sparse.get(&id.0).cloned();
                extents.ok_or_else(|| self.damaged(id, "its list of extents"))?
            }
            DataLayout::Inline => return Err(self.damaged(id, "its data layout")),
        };
        let mut end = 0;
        let sound = extents.iter().all(|extent| {
            let ascending = extent.file_offset >= end && extent.length > 0;
            end = extent.file_offset.saturating_add(extent.length);
            let tar_end = extent.tar_offset.saturating_add(extent.length);
            ascending && end <= raw.size && tar_end <= self.head.tar_bytes
        });
        if sound {
            Ok(extents)
        } else {
            Err(self.damaged(id, "an extent"))
        }
    }

    fn raw(&self, id: InodeId) -> Result<RawInode, ReadError> {
        let at = u64::from(id.0) * SLOT;
        if at < INODES_AT {
            return Err(self.damaged(id, "its number"));
        }
        let raw = RawInode::decode(&self.pieces.read(at, INODE)?);
        raw.filter(|raw| raw.mtime_nanos < 1_000_000_000)
            .ok_or_else(|| self.damaged(id, "the inode"))
    }

    fn stored_xattrs(
        &self,
        id: InodeId,
        raw: &RawInode,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ReadError> {
        let mut xattrs = BTreeMap::new();
        if raw.xattr_bytes == 0 {
            return Ok(xattrs);
        }
        let area = self
            .pieces
            .read(u64::from(id.0) * SLOT + INODE, raw.xattr_bytes.into())?;
        let mut rest = area.get(XATTR_HEADER..).unwrap_or_default();
        while !rest.is_empty() {
            let entry = take_xattr(&mut rest).ok_or_else(|| self.damaged(id, "an xattr"))?;
            if xattrs.insert(entry.0, entry.1).is_some() {
                return Err(self.damaged(id, "an xattr"));
            }
        }
        Ok(xattrs)
    }

    /// One block of a directory or link target; the last one may be short, or inline.
    fn stream_block(
        &self,
        id: InodeId,
        raw: &RawInode,
        block: u64,
    ) -> Result<std::borrow::Cow<'_, [u8]>, ReadError> {
        let start = block * BLOCK;
        let length = raw.size.saturating_sub(start).min(BLOCK);
        let at = match raw.layout {
            DataLayout::Inline if length < BLOCK => {
                u64::from(id.0) * SLOT + INODE + u64::from(raw.xattr_bytes)
            }
            DataLayout::Plain | DataLayout::Inline if raw.data != NO_BLOCK => {
                u64::from(raw.data) * BLOCK + start
            }
            _ => return Err(self.damaged(id, "its data layout")),
        };
        self.pieces.read(at, length)
    }

    fn damaged(&self, id: InodeId, what: &'static str) -> ReadError {
        ReadError::Damaged { what, inode: id.0 }
    }
}

/// Takes one xattr off the front, with its padding.
fn take_xattr(rest: &mut &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (&name_length, &prefix) = (rest.first()?, rest.get(1)?);
    let name_end = 4 + usize::from(name_length);
    let value_end = name_end + usize::from(u16_at(rest, 2)?);
    let name = join_xattr_name(prefix, rest.get(4..name_end)?)?;
    let value = rest.get(name_end..value_end)?.to_vec();
    *rest = rest.get(value_end.next_multiple_of(4)..)?;
    (name.len() <= limits::NAME_BYTES + "security.".len()).then_some((name, value))
}
