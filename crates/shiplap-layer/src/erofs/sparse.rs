//! How the extents of one file become EROFS data: a flat run of tar blocks, or chunks that are
//! holes, tar blocks or copies. Pure arithmetic; reads and writes nothing.

use super::format::{BLOCK, BLOCK_BITS, CHUNK_ENTRY};
use crate::tree::{Extent, FileData};

/// Largest chunk EROFS knows: 5 bits of shift on the block size.
const CHUNK_BITS_MOST: u8 = BLOCK_BITS + 31;
/// Largest file Linux knows, in bytes.
const FILE_BYTES: u64 = i64::MAX as u64;

/// Whether the extents are ascending, not overlapping, and within file and tar.
pub(super) fn is_sound(file: &FileData, tar_bytes: u64) -> bool {
    let mut end = 0;
    file.size_bytes <= FILE_BYTES
        && file.extents.iter().all(|extent| {
            let after = extent.file_offset.checked_add(extent.length);
            let ascending = extent.file_offset >= end;
            end = after.unwrap_or(u64::MAX);
            ascending
                && after.is_some_and(|after| after <= file.size_bytes)
                && (extent.tar_offset.checked_add(extent.length))
                    .is_some_and(|after| after <= tar_bytes)
        })
}

/// The extents without empty ones, neighbours merged that are neighbours in the tar as well.
pub(super) fn merged(file: &FileData) -> Vec<Extent> {
    let mut extents: Vec<Extent> = Vec::with_capacity(file.extents.len());
    for &extent in file.extents.iter().filter(|extent| extent.length > 0) {
        match extents.last_mut() {
            Some(last)
                if last.file_offset + last.length == extent.file_offset
                    && last.tar_offset + last.length == extent.tar_offset =>
            {
                last.length += extent.length;
            }
            _ => extents.push(extent),
        }
    }
    extents
}

/// Where in the tar a file that is one aligned run of whole blocks starts, as a block of the tar.
pub(super) fn plain_block(file: &FileData, merged: &[Extent], tar_bytes: u64) -> Option<u64> {
    match merged {
        [only] if only.length == file.size_bytes => direct(only, 0, only.length, tar_bytes),
        _ => None,
    }
}

/// A file cut into chunks of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Chunk size as a power of two.
    pub(super) bits: u8,
    /// How many chunks.
    pub(super) count: u64,
    /// Blocks of the data area that the copied chunks take.
    pub(super) copied_blocks: u64,
    /// The merged extents they hold.
    pub(super) extents: Vec<Extent>,
    size: u64,
    tar_bytes: u64,
}

/// Where the data of one chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkData {
    Hole,
    /// Starts at this block of the tar.
    Tar(u64),
    /// Is put together and copied to the data area.
    Copy,
}

impl Chunks {
    /// The chunk size with the least cost, the larger one where two cost the same.
    pub(super) fn of(size: u64, extents: Vec<Extent>, tar_bytes: u64) -> Self {
        let cost = |bits: u8| {
            let entries = size.div_ceil(1 << bits).saturating_mul(CHUNK_ENTRY);
            entries.saturating_add(
                copied_blocks(&extents, size, bits, tar_bytes).saturating_mul(BLOCK),
            )
        };
        let bits = (BLOCK_BITS..=CHUNK_BITS_MOST)
            .rev()
            .min_by_key(|&bits| cost(bits));
        let bits = bits.unwrap_or(BLOCK_BITS);
        Self {
            bits,
            count: size.div_ceil(1 << bits),
            copied_blocks: copied_blocks(&extents, size, bits, tar_bytes),
            extents,
            size,
            tar_bytes,
        }
    }

    /// Bytes in the index: chunk entries and copies together.
    pub(super) fn cost(&self) -> u64 {
        (self.count.saturating_mul(CHUNK_ENTRY))
            .saturating_add(self.copied_blocks.saturating_mul(BLOCK))
    }

    /// File range of a chunk.
    pub(super) fn range(&self, chunk: u64) -> (u64, u64) {
        range(self.size, self.bits, chunk)
    }

    /// The chunks' data, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, ChunkData)> + '_ {
        let mut at = 0;
        (0..self.count).map(move |chunk| {
            let (start, end) = self.range(chunk);
            while (self.extents.get(at)).is_some_and(|e| e.file_offset + e.length <= start) {
                at += 1;
            }
            let data = match self.extents.get(at) {
                Some(extent) if extent.file_offset < end => {
                    match direct(extent, start, end, self.tar_bytes) {
                        Some(block) => ChunkData::Tar(block),
                        None => ChunkData::Copy,
                    }
                }
                _ => ChunkData::Hole,
            };
            (chunk, data)
        })
    }
}

fn range(size: u64, bits: u8, chunk: u64) -> (u64, u64) {
    let start = chunk << bits;
    (start, (start + (1 << bits)).min(size))
}

/// Blocks to copy with this chunk size, from the extents alone (chunks may be countless).
fn copied_blocks(extents: &[Extent], size: u64, bits: u8, tar_bytes: u64) -> u64 {
    let blocks_of = |chunk| {
        let (start, end) = range(size, bits, chunk);
        (end - start).div_ceil(BLOCK)
    };
    let mut next = 0;
    let mut blocks = 0u64;
    for extent in extents {
        let first = (extent.file_offset >> bits).max(next);
        let last = (extent.file_offset + extent.length - 1) >> bits;
        if first > last {
            continue;
        }
        if extent.tar_offset % BLOCK == extent.file_offset % BLOCK {
            // All between the first and the last are whole in the tar.
            for chunk in [Some(first), (last > first).then_some(last)]
                .into_iter()
                .flatten()
            {
                let (start, end) = range(size, bits, chunk);
                if direct(extent, start, end, tar_bytes).is_none() {
                    blocks = blocks.saturating_add(blocks_of(chunk));
                }
            }
        } else {
            let whole = (last - first).saturating_mul(1 << (bits - BLOCK_BITS));
            blocks = blocks.saturating_add(whole).saturating_add(blocks_of(last));
        }
        next = last + 1;
    }
    blocks
}

/// The tar block of the file range, if the extent holds it whole, on a block boundary, and the
/// tar does not end within its last block: the kernel takes a short read for an error.
fn direct(extent: &Extent, start: u64, end: u64, tar_bytes: u64) -> Option<u64> {
    let within = start.checked_sub(extent.file_offset)?;
    let tar_offset = extent.tar_offset + within;
    let whole = end <= extent.file_offset + extent.length
        && (tar_offset + (end - start)).next_multiple_of(BLOCK) <= tar_bytes;
    (whole && tar_offset.is_multiple_of(BLOCK)).then_some(tar_offset / BLOCK)
}
