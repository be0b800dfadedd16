//! Writes the layer index of a [`Tree`]: one pass from front to back, the superblock last. Reads
//! of the tar only what must be copied: unaligned pieces of sparse files.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};
use shiplap_model::limits;

use super::format::{
    BLOCK, BLOCK_BITS, CHUNK_ENTRY, DIRENT, DataLayout, Head, INODES_AT, NO_BLOCK, RawInode, SLOT,
    SUPERBLOCK_AT, XATTR_HEADER, encode_device, split_xattr_name,
};
use super::layout::{Layout, Place, names, stored_xattrs, xattr_area_bytes};
use super::notes::Notes;
use super::sparse::{ChunkData, Chunks};
use super::walk::Walk;
use crate::tree::{Directory, Kind, NodeId, Tree};

/// Bytes gathered before they are hashed and written.
const PIECE: usize = 256 << 10;

/// A layer's tar, read at any position.
pub trait ReadAt {
    /// Fills the whole buffer from `offset` (in bytes) on.
    ///
    /// # Errors
    /// Where reading fails or the tar ends before the buffer is full.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..));
        match from.and_then(|bytes| bytes.get(..buffer.len())) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexSummary {
    /// Length of the index, in bytes.
    pub index_bytes: u64,
    /// How many inodes it holds.
    pub inodes: u64,
    /// Sum of the sizes of all regular files, in bytes; hard links count once.
    pub content_bytes: u64,
}

/// Why a tree can't be written as a layer index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output can't be written.
    #[error("write layer index: {source}")]
    Output {
        /// Why.
        source: io::Error,
    },
    /// The tar can't be read where a sparse file's data is.
    #[error("read {length} bytes of the layer's tar at {offset}: {source}")]
    Tar {
        /// Offset in the tar, in bytes.
        offset: u64,
        /// Bytes wanted.
        length: u64,
        /// Why.
        source: io::Error,
    },
    /// Node 0 is missing or no directory.
    #[error("write layer index: the tree has no root directory")]
    NoRoot,
    /// A name Linux can't hold: empty, `.`, `..`, over 255 bytes, with a slash or NUL.
    #[error("index {path:?}: illegal name")]
    Name {
        /// Path of the entry.
        path: String,
    },
    /// An entry names a node that is not in the tree.
    #[error("index {path:?}: the tree lacks its node")]
    MissingNode {
        /// Path of the entry.
        path: String,
    },
    /// A directory has two names, or contains itself.
    #[error("index {path:?}: a directory can't have two names")]
    DirectoryLinkedTwice {
        /// Path of the second name.
        path: String,
    },
    /// The target of a symbolic link is empty, over 4,095 bytes, or has a NUL.
    #[error("index {path:?}: illegal link target of {length} bytes")]
    LinkTarget {
        /// Path of the link.
        path: String,
        /// Length of the target.
        length: usize,
    },
    /// The device number is beyond 12 bits of major or 20 of minor.
    #[error("index {path:?}: Linux has no device number {major}:{minor}")]
    Device {
        /// Path of the device.
        path: String,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// An xattr's name is empty or too long, or its value over 65,535 bytes.
    #[error("index {path:?}: xattr {name:?} has an illegal name or is too long")]
    Xattr {
        /// Path of the entry.
        path: String,
        /// Name of the xattr, as it would be stored.
        name: String,
    },
    /// All xattrs of one entry take more than 256 KiB.
    #[error("index {path:?}: {bytes} bytes of xattrs are too many")]
    XattrBytes {
        /// Path of the entry.
        path: String,
        /// What they would take.
        bytes: usize,
    },
    /// The extents of a file overlap, descend, or lie outside file or tar.
    #[error("index {path:?}: its data lies outside the file or the tar")]
    Extents {
        /// Path of the file.
        path: String,
    },
    /// The sparse files would bloat the index.
    #[error("write layer index: sparse files would take over {most} bytes in it")]
    Scattered {
        /// What they may take.
        most: u64,
    },
    /// Tar or index are too long for 32 bits of 512-byte blocks.
    #[error("write layer index: layer too large")]
    TooLarge,
}

/// Writes the index of `tree`, whose data lies in a tar of `tar_bytes`, to `out` from its start.
/// The same tree gives the same bytes. `tar` is asked only for unaligned data of sparse files.
///
/// What the index does not keep: unreachable nodes, empty extents and the seams between extents
/// that continue each other, the mode of symbolic links (always 0777, as Linux has it),
/// nanoseconds beyond 999,999,999; a character device 0:0 is a whiteout.
///
/// # Errors
/// [`WriteError`]; `out` then holds no valid index.
pub fn write<W: Write + Seek>(
    tree: &Tree,
    tar_bytes: u64,
    tar: &(impl ReadAt + ?Sized),
    out: &mut W,
) -> Result<IndexSummary, WriteError> {
    if tar_bytes > limits::LAYER_BYTES {
        return Err(WriteError::TooLarge);
    }
    let walk = Walk::of(tree, tar_bytes)?;
    let layout = Layout::of(tree, &walk, tar_bytes)?;
    let notes = notes(tree, &walk, &layout)
        .encode()
        .ok_or(WriteError::TooLarge)?;
    let notes_at = (layout.area_block.saturating_add(layout.area_blocks)).saturating_mul(BLOCK);
    let blocks = notes_at.saturating_add(notes.len() as u64).div_ceil(BLOCK);
    let mut head = Head {
        inodes: walk.order.len() as u64,
        blocks: u32::try_from(blocks).map_err(|_| WriteError::TooLarge)?,
        tar_bytes,
        notes_at,
        notes_bytes: notes.len() as u64,
        uuid: [0; 16],
    };
    if blocks + head.tar_blocks() >= u64::from(NO_BLOCK) {
        return Err(WriteError::TooLarge);
    }
    let mut pass = Pass {
        tree,
        walk: &walk,
        layout: &layout,
        tar,
        tar_block: head.blocks,
    };
    let mut body = Body {
        out,
        hasher: Sha256::new(),
        piece: Vec::new(),
        position: INODES_AT,
    };
    body.start()?;
    pass.inodes(&mut body)?;
    pass.area(&mut body)?;
    body.pad_to(notes_at)?;
    body.put(&notes)?;
    body.pad_to(head.index_bytes())?;
    head.uuid = body.finish()?;
    let put_head = |out: &mut W| {
        out.seek(SeekFrom::Start(SUPERBLOCK_AT))?;
        out.write_all(&head.encode())?;
        out.seek(SeekFrom::Start(head.index_bytes()))?;
        out.flush()
    };
    put_head(out).map_err(|source| WriteError::Output { source })?;
    Ok(IndexSummary {
        index_bytes: head.index_bytes(),
        inodes: head.inodes,
        content_bytes: layout.content_bytes,
    })
}

fn notes(tree: &Tree, walk: &Walk, layout: &Layout) -> Notes {
    let inode = |id: &NodeId| layout.inodes[id.0 as usize];
    let implied = |id: &&NodeId| matches!(&tree.nodes[id.0 as usize].kind, Kind::Directory(directory) if directory.implied);
    let mut notes = Notes {
        implied: walk.order.iter().filter(implied).map(inode).collect(),
        links_below: tree.links_below.clone(),
        sparse: (layout.chunked.iter())
            .map(|(id, chunks)| (inode(id), chunks.extents.clone()))
            .collect(),
    };
    notes.implied.sort_unstable();
    notes
}

/// Everything the body is made from.
struct Pass<'a, T: ?Sized> {
    tree: &'a Tree,
    walk: &'a Walk,
    layout: &'a Layout,
    tar: &'a T,
    /// First block of the tar in the unified address space.
    tar_block: u32,
}

impl<T: ReadAt + ?Sized> Pass<'_, T> {
    fn inodes<W: Write + Seek>(&mut self, body: &mut Body<'_, W>) -> Result<(), WriteError> {
        let mut by_position: Vec<(u32, u32, NodeId)> = (1..)
            .zip(&self.walk.order)
            .map(|(serial, &id)| (self.layout.inodes[id.0 as usize], serial, id))
            .collect();
        by_position.sort_unstable();
        let mut buffer = Vec::new();
        for (inode, serial, id) in by_position {
            body.pad_to(u64::from(inode) * SLOT)?;
            buffer.clear();
            self.inode(id, serial, &mut buffer);
            body.put(&buffer)?;
        }
        body.pad_to(self.layout.area_block * BLOCK)
    }

    /// One inode with its xattrs and what lies inline.
    fn inode(&self, id: NodeId, serial: u32, out: &mut Vec<u8>) {
        let node = &self.tree.nodes[id.0 as usize];
        let (format, size) = match &node.kind {
            Kind::Directory(_) => (0o040_000, 0),
            Kind::File(file) => (0o100_000, file.size_bytes),
            Kind::Symlink(target) => (0o120_000, target.len() as u64),
            Kind::CharDevice { .. } | Kind::Whiteout => (0o020_000, 0),
            Kind::BlockDevice { .. } => (0o060_000, 0),
            Kind::Fifo => (0o010_000, 0),
        };
        let mode = match &node.kind {
            Kind::Symlink(_) => 0o777,
            _ => node.mode & 0o7777,
        };
        let mut raw = RawInode {
            layout: DataLayout::Plain,
            xattr_bytes: xattr_area_bytes(node) as u32,
            mode: format | mode,
            size,
            data: NO_BLOCK,
            serial,
            uid: node.uid,
            gid: node.gid,
            mtime_secs: node.mtime_secs,
            mtime_nanos: node.mtime_nanos.min(999_999_999),
            nlink: self.walk.links[id.0 as usize],
        };
        let mut stream = Vec::new();
        match &node.kind {
            Kind::Directory(directory) => {
                stream = self.directory(id, directory);
                raw.size = stream.len() as u64;
            }
            Kind::Symlink(target) => stream.clone_from(target),
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                raw.data = encode_device(*major, *minor).unwrap_or_default();
            }
            Kind::Whiteout | Kind::Fifo => raw.data = 0,
            Kind::File(_) => {}
        }
        let place = self.layout.places[id.0 as usize];
        let area = self.layout.area_block as u32;
        match place {
            Place::Nothing => {}
            Place::Tar(block) => raw.data = self.tar_block + block,
            Place::Area(block) => raw.data = area + block,
            Place::Inline(block) => (raw.layout, raw.data) = (DataLayout::Inline, area + block),
            Place::Chunks(_) => raw.layout = DataLayout::Chunks,
        }
        let chunks = self.layout.chunked.get(&id);
        if let Some(chunks) = chunks {
            raw.data = u32::from(chunks.bits - BLOCK_BITS) | CHUNK_ENTRIES;
        }
        out.extend(raw.encode());
        self.put_xattrs(id, out);
        match (place, chunks) {
            (Place::Inline(_), _) => {
                let whole = stream.len() - stream.len() % BLOCK as usize;
                out.extend(&stream[whole..]);
            }
            (Place::Chunks(block), Some(chunks)) => put_chunks(chunks, area + block, out),
            _ => {}
        }
    }

    fn put_xattrs(&self, id: NodeId, out: &mut Vec<u8>) {
        let node = &self.tree.nodes[id.0 as usize];
        if xattr_area_bytes(node) == 0 {
            return;
        }
        out.extend([0; XATTR_HEADER]);
        for (name, value) in stored_xattrs(node) {
            let (prefix, rest) = split_xattr_name(&name);
            out.extend([rest.len() as u8, prefix]);
            out.extend((value.len() as u16).to_le_bytes());
            out.extend(rest);
            out.extend(value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
    }

    /// The blocks of a directory, the last one unpadded.
    fn directory(&self, id: NodeId, directory: &Directory) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut block: Vec<(&[u8], NodeId)> = Vec::new();
        let mut used = 0;
        for name in names(directory) {
            if used + DIRENT + name.len() > BLOCK as usize {
                self.put_entries(&block, &mut stream);
                stream.resize(stream.len().next_multiple_of(BLOCK as usize), 0);
                block.clear();
                used = 0;
            }
            used += DIRENT + name.len();
            let child = match name {
                b"." => id,
                b".." => self.walk.parents[id.0 as usize],
                _ => directory.children.get(name).copied().unwrap_or(id),
            };
            block.push((name, child));
        }
        self.put_entries(&block, &mut stream);
        stream
    }

    /// The entries of one directory block, then their names.
    fn put_entries(&self, entries: &[(&[u8], NodeId)], stream: &mut Vec<u8>) {
        let mut name_at = entries.len() * DIRENT;
        for (name, child) in entries {
            let kind: u8 = match &self.tree.nodes[child.0 as usize].kind {
                Kind::File(_) => 1,
                Kind::Directory(_) => 2,
                Kind::CharDevice { .. } | Kind::Whiteout => 3,
                Kind::BlockDevice { .. } => 4,
                Kind::Fifo => 5,
                Kind::Symlink(_) => 7,
            };
            stream.extend(u64::from(self.layout.inodes[child.0 as usize]).to_le_bytes());
            stream.extend((name_at as u16).to_le_bytes());
            stream.extend([kind, 0]);
            name_at += name.len();
        }
        stream.extend(entries.iter().flat_map(|(name, _)| *name));
    }

    /// The data area: what the inodes' start blocks point to.
    fn area<W: Write + Seek>(&mut self, body: &mut Body<'_, W>) -> Result<(), WriteError> {
        for &id in &self.layout.spilled {
            let place = self.layout.places[id.0 as usize];
            match (&self.tree.nodes[id.0 as usize].kind, place) {
                (Kind::Directory(directory), Place::Area(_) | Place::Inline(_)) => {
                    body.put_stream(&self.directory(id, directory), place)?;
                }
                (Kind::Symlink(target), Place::Area(_) | Place::Inline(_)) => {
                    body.put_stream(target, place)?;
                }
                (Kind::File(_), Place::Chunks(_)) => {
                    if let Some(chunks) = self.layout.chunked.get(&id) {
                        self.copies(chunks, body)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn copies<W: Write + Seek>(
        &self,
        chunks: &Chunks,
        body: &mut Body<'_, W>,
    ) -> Result<(), WriteError> {
        let mut at = 0;
        for (chunk, _) in chunks.iter().filter(|(_, data)| *data == ChunkData::Copy) {
            let (start, end) = chunks.range(chunk);
            let first = body.position;
            while (chunks.extents.get(at)).is_some_and(|e| e.file_offset + e.length <= start) {
                at += 1;
            }
            for extent in chunks
                .extents
                .iter()
                .skip(at)
                .take_while(|e| e.file_offset < end)
            {
                let from = extent.file_offset.max(start);
                let until = (extent.file_offset + extent.length).min(end);
                body.pad_to(first + (from - start))?;
                let offset = extent.tar_offset + (from - extent.file_offset);
                self.copy(offset, until - from, body)?;
            }
            body.pad_to(first + (end - start).next_multiple_of(BLOCK))?;
        }
        Ok(())
    }

    fn copy<W: Write + Seek>(
        &self,
        mut offset: u64,
        mut length: u64,
        body: &mut Body<'_, W>,
    ) -> Result<(), WriteError> {
        let mut buffer = [0; 16 << 10];
        while length > 0 {
            let piece = &mut buffer[..length.min(16 << 10) as usize];
            let read = self.tar.read_exact_at(piece, offset);
            read.map_err(|source| WriteError::Tar {
                offset,
                length,
                source,
            })?;
            body.put(piece)?;
            offset += piece.len() as u64;
            length -= piece.len() as u64;
        }
        Ok(())
    }
}

/// Marks the chunk table's entries as 8 bytes long, with a device.
const CHUNK_ENTRIES: u32 = 0x20;

fn put_chunks(chunks: &Chunks, area: u32, out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(CHUNK_ENTRY as usize), 0);
    let mut copied = u64::from(area);
    for (chunk, data) in chunks.iter() {
        let (device, block) = match data {
            ChunkData::Hole => (0, NO_BLOCK),
            ChunkData::Tar(block) => (1u16, block as u32),
            ChunkData::Copy => {
                let (start, end) = chunks.range(chunk);
                let block = copied;
                copied += (end - start).div_ceil(BLOCK);
                (0, block as u32)
            }
        };
        out.extend([0; 2]);
        out.extend(device.to_le_bytes());
        out.extend(block.to_le_bytes());
    }
}

/// Everything behind the superblock, hashed on its way out.
struct Body<'a, W> {
    out: &'a mut W,
    hasher: Sha256,
    piece: Vec<u8>,
    position: u64,
}

impl<W: Write + Seek> Body<'_, W> {
    fn start(&mut self) -> Result<(), WriteError> {
        let zeros = [0; INODES_AT as usize];
        let start = self
            .out
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.out.write_all(&zeros));
        start.map_err(|source| WriteError::Output { source })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.piece.extend(bytes);
        self.position += bytes.len() as u64;
        if self.piece.len() < PIECE {
            Ok(())
        } else {
            self.flush()
        }
    }

    fn put_stream(&mut self, stream: &[u8], place: Place) -> Result<(), WriteError> {
        match place {
            Place::Inline(_) => self.put(&stream[..stream.len() - stream.len() % BLOCK as usize]),
            _ => {
                self.put(stream)?;
                self.pad_to(self.position.next_multiple_of(BLOCK))
            }
        }
    }

    fn pad_to(&mut self, position: u64) -> Result<(), WriteError> {
        while self.position < position {
            let zeros = [0; BLOCK as usize];
            let length = (position - self.position).min(BLOCK) as usize;
            self.put(&zeros[..length])?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.hasher.update(&self.piece);
        let written = self.out.write_all(&self.piece);
        self.piece.clear();
        written.map_err(|source| WriteError::Output { source })
    }

    fn finish(mut self) -> Result<[u8; 16], WriteError> {
        self.flush()?;
        let digest: [u8; 32] = self.hasher.finalize().into();
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&digest[..16]);
        Ok(uuid)
    }
}
