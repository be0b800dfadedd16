//! What a layer holds and a mount must not show: implied directories, hard links into lower
//! layers, exact extents of sparse files. One section behind the index's data area; little-endian:
//!
//! - `u32` count, then as many `u32` inode numbers of implied directories, ascending
//! - `u32` count, then per link `u16` length of the path, `u16` length of the target, both
//! - `u32` count, then per sparse file, ascending: `u32` inode number, `u32` count of extents, and
//!   per extent `u64` offset in the file, `u64` offset in the tar, `u64` length

use std::collections::BTreeMap;

use super::format::{u16_at, u32_at, u64_at};
use crate::tree::{Extent, LinkBelow};

const EXTENT: usize = 24;

/// The notes, decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// Inode numbers, ascending.
    pub(super) implied: Vec<u32>,
    pub(super) links_below: Vec<LinkBelow>,
    /// Extents by inode number.
    pub(super) sparse: BTreeMap<u32, Vec<Extent>>,
}

impl Notes {
    /// None if a path is longer than 16 bits can say.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let count = |bytes: &mut Vec<u8>, count: usize| {
            bytes.extend((u32::try_from(count).ok()?).to_le_bytes());
            Some(())
        };
        count(&mut bytes, self.implied.len())?;
        bytes.extend(self.implied.iter().flat_map(|inode| inode.to_le_bytes()));
        count(&mut bytes, self.links_below.len())?;
        for link in &self.links_below {
            for path in [&link.path, &link.target] {
                bytes.extend(u16::try_from(path.len()).ok()?.to_le_bytes());
            }
            bytes.extend(&link.path);
            bytes.extend(&link.target);
        }
        count(&mut bytes, self.sparse.len())?;
        for (inode, extents) in &self.sparse {
            bytes.extend(inode.to_le_bytes());
            count(&mut bytes, extents.len())?;
            for extent in extents {
                bytes.extend(extent.file_offset.to_le_bytes());
                bytes.extend(extent.tar_offset.to_le_bytes());
                bytes.extend(extent.length.to_le_bytes());
            }
        }
        Some(bytes)
    }

    /// None if the bytes are damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let implied = rest
            .count()
            .and_then(|count| rest.take(count.checked_mul(4)?))?;
        let implied: Vec<u32> = implied
            .chunks_exact(4)
            .filter_map(|four| u32_at(four, 0))
            .collect();
        let mut links_below = Vec::new();
        for _ in 0..rest.count()? {
            let lengths = rest.take(4)?;
            let path = rest.take(u16_at(lengths, 0)?.into())?.to_vec();
            let target = rest.take(u16_at(lengths, 2)?.into())?.to_vec();
            links_below.push(LinkBelow { path, target });
        }
        let mut sparse = BTreeMap::new();
        for _ in 0..rest.count()? {
            let inode = u32_at(rest.take(4)?, 0)?;
            let extents = rest
                .count()
                .and_then(|count| rest.take(count.checked_mul(EXTENT)?))?;
            let extents: Option<Vec<Extent>> = (extents.chunks_exact(EXTENT))
                .map(|extent| {
                    Some(Extent {
                        file_offset: u64_at(extent, 0)?,
                        tar_offset: u64_at(extent, 8)?,
                        length: u64_at(extent, 16)?,
                    })
                })
                .collect();
            if sparse
                .last_key_value()
                .is_some_and(|(&last, _)| last >= inode)
            {
                return None;
            }
            sparse.insert(inode, extents?);
        }
        let sound = rest.0.is_empty() && implied.is_sorted_by(|a, b| a < b);
        sound.then_some(Self {
            implied,
            links_below,
            sparse,
        })
    }
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u32_at(self.take(4)?, 0)?).ok()
    }
}
