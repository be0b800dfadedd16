//! Finds the entries in a tar that flows by. Keeps no more of it than one block and the extension
//! headers of one entry.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use shiplap_model::limits;

use super::header::{Block, Header, text};
use super::pax::{Pax, Version};
use super::sparse::{self, MapInData};
use super::{BLOCK_BYTES, Entry, EntryKind, TarError, printable};
use crate::tree::{Extent, FileData};

/// The state between two pieces of a tar.
#[derive(Debug)]
pub struct Scanner {
    offset: u64,
    block: Block,
    filled: usize,
    state: State,
    /// Extension headers seen since the last entry.
    extensions: Extensions,
}

#[derive(Debug)]
enum State {
    /// A header block is due.
    Header,
    /// A header block is due after one zero block.
    HalfEnd,
    /// Data of an extension header, padding included.
    Extension {
        kind: Extension,
        offset: u64,
        size: usize,
        data: Vec<u8>,
    },
    /// A continuation of an old GNU sparse map.
    OldSparse {
        pending: Box<Entry>,
        map: Vec<(u64, u64)>,
        size: u64,
        stored: u64,
        offset: u64,
    },
    /// The sparse map at the start of the data; `stored` bytes are left of the data.
    SparseInData {
        pending: Box<Entry>,
        map: MapInData,
        size: u64,
        stored: u64,
        offset: u64,
    },
    /// Data of an entry and its padding; only the padding may be missing at the end of the tar.
    Data { left: u64, padding: u64 },
    /// After the end mark.
    End,
}

#[derive(Debug, Clone, Copy)]
enum Extension {
    LongName,
    LongLink,
    Pax,
    GlobalPax,
}

#[derive(Debug, Default)]
struct Extensions {
    bytes: u64,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            offset: 0,
            block: [0; BLOCK_BYTES],
            filled: 0,
            state: State::Header,
            extensions: Extensions::default(),
        }
    }
}

impl Scanner {
    /// Takes the next bytes and gives `each` the entries whose headers end in them.
    ///
    /// # Errors
    /// What is wrong with the tar, or what `each` says. The scanner is of no use after that.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Entry) -> Result<(), TarError>,
    ) -> Result<(), TarError> {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.skippable())
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            if skipped > 0 {
                self.skip(skipped as u64);
                bytes = &bytes[skipped..];
                continue;
            }
            if let State::Extension { size, data, .. } = &mut self.state {
                let due = size.next_multiple_of(BLOCK_BYTES) - data.len();
                let (taken, rest) = bytes.split_at(due.min(bytes.len()));
                data.extend_from_slice(taken);
                self.offset += taken.len() as u64;
                bytes = rest;
                if taken.len() == due {
                    self.extension()?;
                }
                continue;
            }
            let (taken, rest) = bytes.split_at((BLOCK_BYTES - self.filled).min(bytes.len()));
            self.block[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            self.offset += taken.len() as u64;
            bytes = rest;
            if self.filled == BLOCK_BYTES {
                self.filled = 0;
                if let Some(entry) = self.block()? {
                    each(entry)?;
                }
            }
        }
        Ok(())
    }

    /// How many bytes from here on hold no header; without bound after the end mark.
    #[must_use]
    pub fn skippable(&self) -> u64 {
        match self.state {
            State::Data { left, padding } => left + padding,
            State::End => u64::MAX,
            _ => 0,
        }
    }

    /// Passes over `count` bytes, at most [`Self::skippable`] ones, unseen.
    pub fn skip(&mut self, count: u64) {
        self.offset = self.offset.saturating_add(count);
        if let State::Data { left, padding } = &mut self.state {
            let of_data = count.min(*left);
            *left -= of_data;
            *padding -= (count - of_data).min(*padding);
            if *left + *padding == 0 {
                self.state = State::Header;
            }
        }
    }

    /// Ends the tar; returns its length in bytes.
    ///
    /// # Errors
    /// [`TarError::Truncated`] if it stops within an entry.
    pub fn finish(self) -> Result<u64, TarError> {
        let pending = self.extensions.bytes > 0 || self.filled > 0;
        match self.state {
            State::End | State::Data { left: 0, .. } => Ok(self.offset),
            State::Header | State::HalfEnd if !pending => Ok(self.offset),
            _ => Err(TarError::Truncated {
                offset: self.offset,
            }),
        }
    }

    /// A whole block came in a state that wants one.
    fn block(&mut self) -> Result<Option<Entry>, TarError> {
        let block = self.block;
        match std::mem::replace(&mut self.state, State::Header) {
            State::OldSparse {
                pending,
                mut map,
                size,
                stored,
                offset,
            } => {
                self.count_extension(BLOCK_BYTES as u64, offset)?;
                let continued =
                    sparse::old_gnu(&block, false, &mut map).ok_or(TarError::Sparse { offset })?;
                if continued {
                    self.state = State::OldSparse {
                        pending,
                        map,
                        size,
                        stored,
                        offset,
                    };
                    return Ok(None);
                }
                self.sparse_entry(*pending, &map, size, stored, offset)
                    .map(Some)
            }
            State::SparseInData {
                pending,
                mut map,
                size,
                stored,
                offset,
            } => {
                let stored = stored
                    .checked_sub(BLOCK_BYTES as u64)
                    .ok_or(TarError::Sparse { offset })?;
                if map.len() > limits::TAR_EXTENSION_BYTES {
                    return Err(TarError::Extensions {
                        offset,
                        limit: limits::TAR_EXTENSION_BYTES,
                    });
                }
                let Some(map_or_more) = map.push(&block) else {
                    return Err(TarError::Sparse { offset });
                };
                if let Some(map) = map_or_more {
                    return self
                        .sparse_entry(*pending, &map, size, stored, offset)
                        .map(Some);
                }
                self.state = State::SparseInData {
                    pending,
                    map,
                    size,
                    stored,
                    offset,
                };
                Ok(None)
            }
            state => self.header_block(&block, &state),
        }
    }

    fn header_block(&mut self, block: &Block, state: &State) -> Result<Option<Entry>, TarError> {
        let offset = self.offset - BLOCK_BYTES as u64;
        let half_end = matches!(state, State::HalfEnd);
        if block.iter().all(|b| *b == 0) {
            if self.extensions.bytes > 0 {
                return Err(TarError::Truncated { offset });
            }
            self.state = if half_end { State::End } else { State::HalfEnd };
            return Ok(None);
        }
        if half_end {
            return Err(TarError::EndMark { offset });
        }
        let header = Header::new(block, offset)?;
        let kind = match header.type_flag() {
            b'L' => Extension::LongName,
            b'K' => Extension::LongLink,
            b'x' => Extension::Pax,
            b'g' => Extension::GlobalPax,
            _ => return self.entry(&header),
        };
        let size = header.size()?;
        self.count_extension(size.saturating_add(BLOCK_BYTES as u64), offset)?;
        let size = usize::try_from(size).map_err(|_| header.bad("size"))?;
        self.state = State::Extension {
            kind,
            offset,
            size,
            data: Vec::new(),
        };
        if size == 0 {
            self.extension()?;
        }
        Ok(None)
    }

    fn count_extension(&mut self, bytes: u64, offset: u64) -> Result<(), TarError> {
        self.extensions.bytes = self.extensions.bytes.saturating_add(bytes);
        if self.extensions.bytes > limits::TAR_EXTENSION_BYTES {
            return Err(TarError::Extensions {
                offset,
                limit: limits::TAR_EXTENSION_BYTES,
            });
        }
        Ok(())
    }

    /// The data of an extension header is whole.
    fn extension(&mut self) -> Result<(), TarError> {
        let State::Extension {
            kind,
            offset,
            size,
            mut data,
        } = std::mem::replace(&mut self.state, State::Header)
        else {
            return Ok(());
        };
        data.truncate(size);
        match kind {
            Extension::LongName => self.extensions.long_name = Some(text(&data).to_vec()),
            Extension::LongLink => self.extensions.long_link = Some(text(&data).to_vec()),
            Extension::Pax => self.extensions.pax = Some(Pax::parse(&data, offset)?),
            Extension::GlobalPax => {
                Pax::parse(&data, offset)?;
                // It stands alone, so that an archive may end with it.
                let before = self.extensions.bytes;
                let own = (size + BLOCK_BYTES) as u64;
                self.extensions.bytes = before.saturating_sub(own);
            }
        }
        Ok(())
    }

    /// Makes the entry of a header that is no extension. `Ok(None)` if it says nothing to a layer
    /// or if more blocks are needed.
    fn entry(&mut self, header: &Header<'_>) -> Result<Option<Entry>, TarError> {
        let extensions = std::mem::take(&mut self.extensions);
        let pax = extensions.pax.unwrap_or_default();
        let size = match pax.size {
            Some(size) => size,
            None => header.size()?,
        };
        if size > limits::LAYER_BYTES {
            return Err(header.bad("size"));
        }
        let given =
            |long: Option<Vec<u8>>, pax: Option<Vec<u8>>| long.filter(|l| !l.is_empty()).or(pax);
        let path = given(extensions.long_name, pax.path).unwrap_or_else(|| header.path());
        let link = given(extensions.long_link, pax.link).unwrap_or_else(|| header.link());
        let mut has_data = true;
        let kind = match header.type_flag() {
            b'\0' if path.ends_with(b"/") => EntryKind::Directory,
            b'\0' | b'0' | b'7' | b'S' => self.plain(size),
            b'D' => EntryKind::Directory,
            // A volume label.
            b'V' => {
                self.data(size);
                return Ok(None);
            }
            flag => {
                has_data = false;
                match flag {
                    b'1' => EntryKind::HardLink(link),
                    b'2' => EntryKind::Symlink(link),
                    b'3' => header
                        .device()
                        .map(|(major, minor)| EntryKind::CharDevice { major, minor })?,
                    b'4' => header
                        .device()
                        .map(|(major, minor)| EntryKind::BlockDevice { major, minor })?,
                    b'5' => EntryKind::Directory,
                    b'6' => EntryKind::Fifo,
                    flag => {
                        return Err(TarError::Type {
                            offset: header.offset(),
                            type_flag: char::from(flag),
                        });
                    }
                }
            }
        };
        let (mtime_secs, mtime_nanos) = match pax.mtime {
            Some(time) => time,
            None => (header.mtime()?, 0),
        };
        let entry = Entry {
            path,
            kind,
            mode: header.mode()?,
            uid: pax.uid.map_or_else(|| header.uid(), Ok)?,
            gid: pax.gid.map_or_else(|| header.gid(), Ok)?,
            mtime_secs,
            mtime_nanos,
            xattrs: pax.xattrs,
        };
        check_lengths(&entry)?;
        if header.type_flag() == b'S' && header.is_gnu() {
            return self.old_sparse(header, entry, size);
        }
        if matches!(entry.kind, EntryKind::File(_))
            && let Some(sparse) = SparseFile::of(pax.sparse)
        {
            return self.pax_sparse(header, entry, sparse, size);
        }
        if has_data {
            self.data(size);
        }
        Ok(Some(entry))
    }

    fn old_sparse(
        &mut self,
        header: &Header<'_>,
        entry: Entry,
        stored: u64,
    ) -> Result<Option<Entry>, TarError> {
        let offset = header.offset();
        let bad = || TarError::Sparse { offset };
        let size = sparse::old_gnu_size(header.block())
            .filter(|s| *s <= limits::LAYER_BYTES)
            .ok_or_else(bad)?;
        let mut map = Vec::new();
        if sparse::old_gnu(header.block(), true, &mut map).ok_or_else(bad)? {
            let pending = Box::new(entry);
            self.state = State::OldSparse {
                pending,
                map,
                size,
                stored,
                offset,
            };
            return Ok(None);
        }
        self.sparse_entry(entry, &map, size, stored, offset)
            .map(Some)
    }

    fn pax_sparse(
        &mut self,
        header: &Header<'_>,
        mut entry: Entry,
        sparse: SparseFile,
        stored: u64,
    ) -> Result<Option<Entry>, TarError> {
        let offset = header.offset();
        let size = sparse.size.unwrap_or(stored);
        if size > limits::LAYER_BYTES {
            return Err(TarError::Sparse { offset });
        }
        if let Some(name) = sparse.name {
            entry.path = name;
            check_lengths(&entry)?;
        }
        match sparse.map {
            Some(map) => self
                .sparse_entry(entry, &map, size, stored, offset)
                .map(Some),
            None => {
                let pending = Box::new(entry);
                let map = MapInData::default();
                self.state = State::SparseInData {
                    pending,
                    map,
                    size,
                    stored,
                    offset,
                };
                Ok(None)
            }
        }
    }

    /// The map is known and the data begins here.
    fn sparse_entry(
        &mut self,
        mut entry: Entry,
        map: &[(u64, u64)],
        size: u64,
        stored: u64,
        offset: u64,
    ) -> Result<Entry, TarError> {
        self.extensions = Extensions::default();
        let file =
            sparse::file(map, size, self.offset, stored).ok_or(TarError::Sparse { offset })?;
        entry.kind = EntryKind::File(file);
        self.data(stored);
        Ok(entry)
    }

    fn plain(&self, size: u64) -> EntryKind {
        let whole = Extent {
            file_offset: 0,
            tar_offset: self.offset,
            length: size,
        };
        let extents = if size == 0 { Vec::new() } else { vec![whole] };
        EntryKind::File(FileData {
            size_bytes: size,
            extents,
        })
    }

    fn data(&mut self, size: u64) {
        if size > 0 {
            self.state = State::Data {
                left: size,
                padding: size.next_multiple_of(BLOCK_BYTES as u64) - size,
            };
        }
    }
}

/// What PAX records say of a sparse file; no map if it lies in the data.
struct SparseFile {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    map: Option<Vec<(u64, u64)>>,
}

impl SparseFile {
    /// `None` if the file is not sparse or its format is none of 0.0, 0.1 and 1.0.
    fn of(sparse: super::pax::Sparse) -> Option<Self> {
        let Version { major, minor } = sparse.version;
        let map = match (major.as_deref(), minor.as_deref()) {
            (Some(b"1"), Some(b"0")) => None,
            (None, None) | (Some(b"0"), Some(b"0" | b"1")) => Some(sparse.map?),
            _ => return None,
        };
        Some(Self {
            name: sparse.name,
            size: sparse.size,
            map,
        })
    }
}

fn check_lengths(entry: &Entry) -> Result<(), TarError> {
    let problem = match &entry.kind {
        _ if entry.path.len() > limits::PATH_BYTES => "its name is too long",
        EntryKind::HardLink(target) | EntryKind::Symlink(target) => match target.len() {
            0 => "it links to nothing",
            1..=limits::PATH_BYTES => return Ok(()),
            _ => "its target is too long",
        },
        _ => return Ok(()),
    };
    Err(TarError::Path {
        path: printable(&entry.path),
        problem,
    })
}

/// Finds the entries of a tar in a file, reading headers only. Returns its length in bytes.
///
/// # Errors
/// An [`io::Error`], of kind `InvalidData` with the [`TarError`] if the tar is bad.
pub fn scan_file(
    tar: &File,
    mut each: impl FnMut(Entry) -> Result<(), TarError>,
) -> io::Result<u64> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let length = tar.metadata()?.len();
    let mut scanner = Scanner::default();
    let mut buffer = vec![0; 16 << 10];
    let mut position = 0;
    while position < length {
        let skipped = scanner.skippable().min(length - position);
        if skipped > 0 {
            scanner.skip(skipped);
            position += skipped;
            continue;
        }
        let count = tar.read_at(&mut buffer, position)?;
        if count == 0 {
            break;
        }
        scanner.push(&buffer[..count], &mut each).map_err(invalid)?;
        position += count as u64;
    }
    scanner.finish().map_err(invalid)
}
