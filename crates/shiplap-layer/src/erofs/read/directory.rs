//! Directories of a layer index: look-up by binary search, and listing in name order. `.` and
//! `..` are never shown.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::format::{BLOCK, DIRENT, RawInode, u16_at, u64_at};
use super::{InodeId, LayerIndex, ReadError};

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name: 1 to 255 bytes, no slash, no NUL.
    pub name: Vec<u8>,
    /// The inode it names.
    pub id: InodeId,
}

impl LayerIndex {
    /// The inode of a name in a directory, or None.
    ///
    /// # Errors
    /// [`ReadError::Kind`] if `directory` is none; [`ReadError::Damaged`], [`ReadError::Io`].
    pub fn lookup(&self, directory: InodeId, name: &[u8]) -> Result<Option<InodeId>, ReadError> {
        if matches!(name, b"." | b"..") {
            return Ok(None);
        }
        let raw = self.raw_directory(directory)?;
        let (mut low, mut high) = (0, raw.size.div_ceil(BLOCK));
        while low < high {
            let middle = low + (high - low) / 2;
            let block = self.block(directory, &raw, middle)?;
            match block
                .find(name)
                .ok_or_else(|| self.damaged(directory, "the directory"))?
            {
                Place::Before => high = middle,
                Place::After => low = middle + 1,
                Place::Missing => return Ok(None),
                Place::Here(id) => return Ok(Some(id)),
            }
        }
        Ok(None)
    }

    /// The entries of a directory, in byte order of their names.
    ///
    /// # Errors
    /// [`ReadError::Kind`] if it is none; [`ReadError::Damaged`], [`ReadError::Io`].
    pub fn read_dir(&self, directory: InodeId) -> Result<ReadDir<'_>, ReadError> {
        let raw = self.raw_directory(directory)?;
        Ok(ReadDir {
            index: self,
            id: directory,
            raw,
            block: None,
            next: 0,
            entry: 0,
            last: None,
        })
    }

    fn raw_directory(&self, id: InodeId) -> Result<RawInode, ReadError> {
        let raw = self.raw(id)?;
        match raw.mode >> 12 {
            0o04 if raw.size <= self.index_bytes() => Ok(raw),
            0o04 => Err(self.damaged(id, "the directory")),
            _ => Err(ReadError::Kind {
                inode: id.0,
                wanted: "directory",
            }),
        }
    }

    fn block(&self, id: InodeId, raw: &RawInode, number: u64) -> Result<Block<'_>, ReadError> {
        let bytes = self.stream_block(id, raw, number)?;
        Block::of(bytes).ok_or_else(|| self.damaged(id, "the directory"))
    }
}

/// Iterates over a directory; ends after the first error.
#[derive(Debug)]
pub struct ReadDir<'a> {
    index: &'a LayerIndex,
    id: InodeId,
    raw: RawInode,
    block: Option<Block<'a>>,
    /// Block to read after `block`.
    next: u64,
    /// Entry of `block` to show next.
    entry: usize,
    last: Option<Vec<u8>>,
}

impl ReadDir<'_> {
    fn step(&mut self) -> Result<Option<DirEntry>, ReadError> {
        loop {
            let damaged = || self.index.damaged(self.id, "the directory");
            if let Some(block) = &self.block
                && self.entry < block.count
            {
                let (name, id) = block.entry(self.entry).ok_or_else(damaged)?;
                let legal = !name.is_empty() && !name.iter().any(|&byte| byte == 0 || byte == b'/');
                if !legal || self.last.as_deref().is_some_and(|last| last >= name) {
                    return Err(damaged());
                }
                let name = name.to_vec();
                self.entry += 1;
                self.last = Some(name.clone());
                if !matches!(name.as_slice(), b"." | b"..") {
                    return Ok(Some(DirEntry { name, id }));
                }
            } else if self.next < self.raw.size.div_ceil(BLOCK) {
                self.block = Some(self.index.block(self.id, &self.raw, self.next)?);
                self.next += 1;
                self.entry = 0;
            } else {
                return Ok(None);
            }
        }
    }
}

impl Iterator for ReadDir<'_> {
    type Item = Result<DirEntry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.block = None;
            self.next = u64::MAX;
        }
        step.transpose()
    }
}

/// One block of a directory: an array of entries, then their names.
#[derive(Debug)]
struct Block<'a> {
    bytes: Cow<'a, [u8]>,
    count: usize,
}

/// Where a name is, relative to a block.
enum Place {
    Before,
    After,
    Missing,
    Here(InodeId),
}

impl<'a> Block<'a> {
    fn of(bytes: Cow<'a, [u8]>) -> Option<Self> {
        let names_at = usize::from(u16_at(&bytes, 8)?);
        let sound = names_at >= DIRENT && names_at % DIRENT == 0 && names_at < bytes.len();
        sound.then_some(Self {
            count: names_at / DIRENT,
            bytes,
        })
    }

    /// Name and inode of an entry.
    fn entry(&self, number: usize) -> Option<(&[u8], InodeId)> {
        let at = number * DIRENT;
        let start = usize::from(u16_at(&self.bytes, at + 8)?);
        let name = if number + 1 < self.count {
            self.bytes
                .get(start..usize::from(u16_at(&self.bytes, at + DIRENT + 8)?))?
        } else {
            let rest = self.bytes.get(start..)?;
            rest.split(|&byte| byte == 0).next()?
        };
        let id = u32::try_from(u64_at(&self.bytes, at)?).ok()?;
        (start >= self.count * DIRENT && name.len() <= 255).then_some((name, InodeId(id)))
    }

    fn find(&self, name: &[u8]) -> Option<Place> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let (found, id) = self.entry(middle)?;
            match name.cmp(found) {
                Ordering::Equal => return Some(Place::Here(id)),
                Ordering::Less => high = middle,
                Ordering::Greater => low = middle + 1,
            }
        }
        Some(match low {
            0 => Place::Before,
            _ if low == self.count => Place::After,
            _ => Place::Missing,
        })
    }
}
