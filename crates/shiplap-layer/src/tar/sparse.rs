//! Maps of sparse files: GNU's old one in header blocks, and that of PAX format 1.0 in the data.

use super::header::{Block, number};
use super::pax::decimal;
use crate::tree::{Extent, FileData};

/// Takes the runs out of the map in an old GNU header or in one of its continuation blocks;
/// `Some(true)` if another block continues it, `None` if it is malformed.
pub(super) fn old_gnu(block: &Block, is_header: bool, map: &mut Vec<(u64, u64)>) -> Option<bool> {
    let (fields, continued) = if is_header {
        (&block[386..482], block[482])
    } else {
        (&block[..504], block[504])
    };
    for field in fields.chunks_exact(24) {
        if field[0] == 0 {
            break;
        }
        let part = |field| number(field).and_then(|n| u64::try_from(n).ok());
        map.push((part(&field[..12])?, part(&field[12..])?));
    }
    Some(continued != 0)
}

/// Size of the whole file by an old GNU header.
pub(super) fn old_gnu_size(block: &Block) -> Option<u64> {
    number(&block[483..495]).and_then(|n| u64::try_from(n).ok())
}

/// The map at the start of the data of PAX format 1.0, block by block: `COUNT\n`, then COUNT
/// pairs of `OFFSET\nLENGTH\n`, padded to a block.
#[derive(Debug, Default)]
pub(super) struct MapInData {
    text: Vec<u8>,
    lines: u64,
    wanted: Option<u64>,
}

impl MapInData {
    /// Bytes taken so far.
    pub(super) fn len(&self) -> u64 {
        self.text.len() as u64
    }

    /// Takes one block: `Some(Some(runs))` when the map is whole, `None` if it is malformed.
    pub(super) fn push(&mut self, block: &Block) -> Option<Option<Vec<(u64, u64)>>> {
        self.text.extend_from_slice(block);
        self.lines += block.iter().filter(|b| **b == b'\n').count() as u64;
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => {
                let end = self.text.iter().position(|b| *b == b'\n')?;
                let count = decimal(&self.text[..end])?;
                *self.wanted.insert(count.checked_mul(2)?.checked_add(1)?)
            }
        };
        if self.lines < wanted {
            return Some(None);
        }
        let mut numbers = self.text.split(|b| *b == b'\n').skip(1).map(decimal);
        let mut map = Vec::new();
        for _ in 0..wanted / 2 {
            map.push((numbers.next()??, numbers.next()??));
        }
        Some(Some(map))
    }
}

/// Lays the runs of `map` over the `stored` bytes that begin at `tar_offset`; `None` unless they
/// are in order, within `size`, and take up exactly what is stored.
pub(super) fn file(
    map: &[(u64, u64)],
    size: u64,
    tar_offset: u64,
    stored: u64,
) -> Option<FileData> {
    let mut extents = Vec::new();
    let (mut end, mut used) = (0_u64, 0_u64);
    for (offset, length) in map {
        let run_end = offset.checked_add(*length)?;
        if *offset < end || run_end > size {
            return None;
        }
        if *length > 0 {
            let tar_offset = tar_offset.checked_add(used)?;
            extents.push(Extent {
                file_offset: *offset,
                tar_offset,
                length: *length,
            });
        }
        end = run_end;
        used = used.checked_add(*length)?;
    }
    (used == stored).then_some(FileData {
        size_bytes: size,
        extents,
    })
}
