//! Gives every inode and every block of data its place before a byte is written, so that the
//! index can be written in one pass. Knows sizes only; the bytes are the writer's.

use std::collections::BTreeMap;

use super::format::{
    BLOCK, CHUNK_ENTRY, DIRENT, INODE, INODES_AT, SLOT, XATTR_HEADER, split_xattr_name,
};
use super::sparse::{Chunks, merged, plain_block};
use super::walk::{Fault, Walk};
use super::write::WriteError;
use crate::tree::{Directory, FileData, Kind, Node, NodeId, Tree};
use shiplap_model::limits;

/// Most bytes of xattrs behind one inode: 16 bits of 4-byte units, and the header.
const XATTR_AREA: usize = XATTR_HEADER + 4 * (u16::MAX as usize - 1);
/// Prefix of the xattrs that overlayfs obeys.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// Where the data of a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// No data.
    Nothing,
    /// From this block of the tar on.
    Tar(u32),
    /// In the data area from this block on, counted from the area's start; all of it.
    Area(u32),
    /// As `Area`, but the last partial block is behind the inode.
    Inline(u32),
    /// In chunks; copied ones in the data area from this block on.
    Chunks(u32),
}

/// The places of everything.
pub(super) struct Layout {
    /// By node: inode number (byte offset / 32).
    pub(super) inodes: Vec<u32>,
    /// By node.
    pub(super) places: Vec<Place>,
    /// The chunked files.
    pub(super) chunked: BTreeMap<NodeId, Chunks>,
    /// First block of the data area.
    pub(super) area_block: u64,
    /// Blocks of the data area.
    pub(super) area_blocks: u64,
    /// Sum of the regular files' sizes, each inode once.
    pub(super) content_bytes: u64,
    /// What has blocks in the data area, in their order.
    pub(super) spilled: Vec<NodeId>,
    tar_bytes: u64,
}

impl Layout {
    pub(super) fn of(tree: &Tree, walk: &Walk, tar_bytes: u64) -> Result<Self, WriteError> {
        let mut layout = Self {
            inodes: vec![0; tree.nodes.len()],
            places: vec![Place::Nothing; tree.nodes.len()],
            chunked: BTreeMap::new(),
            area_block: 0,
            area_blocks: 0,
            content_bytes: 0,
            spilled: Vec::new(),
            tar_bytes,
        };
        let mut shelf = Shelf {
            cursor: INODES_AT,
            gaps: Vec::new(),
        };
        let spare = tar_bytes.saturating_add(limits::INDEX_EXTRA_BYTES);
        let mut sparse_bytes = 0u64;
        for &id in &walk.order {
            let node = &tree.nodes[id.0 as usize];
            let fixed = INODE + xattr_area_bytes(node) as u64;
            let position = match &node.kind {
                Kind::Directory(directory) => {
                    let size = directory_size(directory);
                    layout.put_stream(&mut shelf, id, fixed, size)
                }
                Kind::Symlink(target) => {
                    layout.put_stream(&mut shelf, id, fixed, target.len() as u64)
                }
                Kind::File(file) => {
                    layout.content_bytes = layout.content_bytes.saturating_add(file.size_bytes);
                    let (position, cost) = layout.put_file(&mut shelf, id, fixed, file);
                    sparse_bytes = sparse_bytes.saturating_add(cost);
                    if sparse_bytes > spare {
                        return Err(WriteError::Scattered { most: spare });
                    }
                    position
                }
                _ => shelf.place(fixed),
            };
            layout.inodes[id.0 as usize] =
                u32::try_from(position / SLOT).map_err(|_| WriteError::TooLarge)?;
        }
        layout.area_block = shelf.cursor.div_ceil(BLOCK);
        Ok(layout)
    }

    /// A directory or a link target: inline where it fits, else in the data area.
    fn put_stream(&mut self, shelf: &mut Shelf, id: NodeId, fixed: u64, size: u64) -> u64 {
        let (tail, whole) = (size % BLOCK, size / BLOCK);
        let area = self.area_blocks as u32;
        let (position, place, blocks) = match shelf.place_with_tail(fixed, tail) {
            Some(position) => (position, Place::Inline(area), whole),
            None => (shelf.place(fixed), Place::Area(area), size.div_ceil(BLOCK)),
        };
        self.places[id.0 as usize] = place;
        if blocks > 0 {
            self.spilled.push(id);
        }
        self.area_blocks += blocks;
        position
    }

    /// Position of the inode, and what the file costs if it is chunked.
    fn put_file(
        &mut self,
        shelf: &mut Shelf,
        id: NodeId,
        fixed: u64,
        file: &FileData,
    ) -> (u64, u64) {
        let extents = merged(file);
        if file.size_bytes == 0 {
            return (shelf.place(fixed), 0);
        }
        if let Some(block) = plain_block(file, &extents, self.tar_bytes) {
            self.places[id.0 as usize] = Place::Tar(block as u32);
            return (shelf.place(fixed), 0);
        }
        let chunks = Chunks::of(file.size_bytes, extents, self.tar_bytes);
        self.places[id.0 as usize] = Place::Chunks(self.area_blocks as u32);
        if chunks.copied_blocks > 0 {
            self.spilled.push(id);
        }
        self.area_blocks = self.area_blocks.saturating_add(chunks.copied_blocks);
        let entries = chunks.count.saturating_mul(CHUNK_ENTRY);
        let cost = chunks.cost();
        self.chunked.insert(id, chunks);
        (
            shelf.place(fixed.next_multiple_of(CHUNK_ENTRY).saturating_add(entries)),
            cost,
        )
    }
}

/// Where the next inode may go.
struct Shelf {
    cursor: u64,
    /// Free room left behind, each within one block: start, length.
    gaps: Vec<(u64, u64)>,
}

impl Shelf {
    /// Room for an inode of this length, whose first 64 bytes lie within a block.
    fn place(&mut self, length: u64) -> u64 {
        if let Some(position) = self.place_in_gap(length) {
            return position;
        }
        let mut position = self.cursor;
        if position % BLOCK + INODE > BLOCK {
            position = position.next_multiple_of(BLOCK);
        }
        self.advance(position, length);
        position
    }

    /// As [`Shelf::place`], with a tail of 1 to 511 bytes that lies within a block as well; None
    /// if no position makes that so.
    fn place_with_tail(&mut self, fixed: u64, tail: u64) -> Option<u64> {
        if tail == 0 {
            return None;
        }
        if let Some(position) = self.place_in_gap(fixed + tail) {
            return Some(position);
        }
        // The root stays where the superblock says.
        let steps = if self.cursor == INODES_AT {
            1
        } else {
            BLOCK / SLOT
        };
        let position = (0..steps)
            .map(|step| self.cursor + step * SLOT)
            .find(|position| {
                position % BLOCK + INODE <= BLOCK && (position + fixed) % BLOCK + tail <= BLOCK
            })?;
        self.advance(position, fixed + tail);
        Some(position)
    }

    fn place_in_gap(&mut self, length: u64) -> Option<u64> {
        let length = length.next_multiple_of(SLOT);
        let &(start, free) = self.gaps.last()?;
        if length > free {
            return None;
        }
        self.gaps.pop();
        self.leave(start + length, start + free);
        Some(start)
    }

    fn advance(&mut self, position: u64, length: u64) {
        let boundary = self.cursor.next_multiple_of(BLOCK).min(position);
        self.leave(self.cursor, boundary);
        self.leave(boundary, position);
        self.cursor = position.saturating_add(length).next_multiple_of(SLOT);
    }

    fn leave(&mut self, start: u64, end: u64) {
        if end - start >= INODE {
            self.gaps.push((start, end - start));
        }
    }
}

/// Bytes of a directory's blocks, the last one unpadded. Each block holds whole entries.
fn directory_size(directory: &Directory) -> u64 {
    let mut whole = 0;
    let mut used = 0;
    for name in names(directory) {
        let entry = (DIRENT + name.len()) as u64;
        if used + entry > BLOCK {
            whole += BLOCK;
            used = 0;
        }
        used += entry;
    }
    whole + used
}

/// All names of a directory with `.` and `..`, in byte order.
pub(super) fn names(directory: &Directory) -> impl Iterator<Item = &[u8]> {
    let own = directory.children.keys().map(Vec::as_slice);
    let mut dots = [b".".as_slice(), b".."].into_iter().peekable();
    let mut own = own.peekable();
    std::iter::from_fn(move || match (dots.peek(), own.peek()) {
        (Some(dot), Some(name)) if name < dot => own.next(),
        (Some(_), _) => dots.next(),
        (None, _) => own.next(),
    })
}

/// The xattrs as stored: with the opaque mark, the image's own overlay names escaped.
pub(super) fn stored_xattrs(node: &Node) -> BTreeMap<Vec<u8>, &[u8]> {
    let mut stored: BTreeMap<Vec<u8>, &[u8]> = (node.xattrs.iter())
        .map(|(name, value)| match name.strip_prefix(OVERLAY) {
            Some(rest) => ([OVERLAY, b"overlay.", rest].concat(), value.as_slice()),
            None => (name.clone(), value.as_slice()),
        })
        .collect();
    if matches!(&node.kind, Kind::Directory(directory) if directory.opaque) {
        stored.insert(b"trusted.overlay.opaque".to_vec(), b"y");
    }
    stored
}

/// Bytes of the xattrs behind the inode, header included.
pub(super) fn xattr_area_bytes(node: &Node) -> usize {
    let opaque = matches!(&node.kind, Kind::Directory(directory) if directory.opaque);
    if node.xattrs.is_empty() && !opaque {
        return 0;
    }
    let entries = stored_xattrs(node).into_iter().map(|(name, value)| {
        let (_, rest) = split_xattr_name(&name);
        (4 + rest.len() + value.len()).next_multiple_of(4)
    });
    XATTR_HEADER + entries.sum::<usize>()
}

/// Whether EROFS can hold the node's xattrs.
pub(super) fn check_xattrs(node: &Node) -> Result<(), Fault> {
    for (name, value) in stored_xattrs(node) {
        let (_, rest) = split_xattr_name(&name);
        if name.is_empty() || rest.len() > limits::NAME_BYTES || value.len() > u16::MAX.into() {
            return Err(Fault::Xattr(name));
        }
    }
    let bytes = xattr_area_bytes(node);
    if bytes > XATTR_AREA {
        Err(Fault::XattrBytes(bytes))
    } else {
        Ok(())
    }
}
