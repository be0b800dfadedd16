//! The bytes of an index, read from its file a piece at a time when first needed and kept. A
//! file that shrinks meanwhile gives an error, never a panic.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use super::ReadError;

/// Bytes of a piece: a look-up reads a handful of them, a walk reads each once.
const PIECE: u64 = 32 << 10;

#[derive(Debug)]
pub(super) struct Pieces {
    length: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    File {
        file: File,
        pieces: Vec<OnceLock<Box<[u8]>>>,
    },
}

impl Pieces {
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self {
            length: bytes.len() as u64,
            source: Source::Bytes(bytes),
        }
    }

    pub(super) fn of_file(file: File, length: u64) -> Self {
        // No index is longer than its 32-bit block numbers can say; the head is checked next.
        let pieces = length.min(u64::from(u32::MAX) * 512).div_ceil(PIECE);
        let pieces = (0..pieces).map(|_| OnceLock::new()).collect();
        Self {
            length,
            source: Source::File { file, pieces },
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes from `offset` on; borrowed unless they lie in two pieces.
    pub(super) fn read(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        let end = offset.checked_add(length).filter(|end| *end <= self.length);
        let end = end.ok_or(ReadError::Damaged {
            what: "an address",
            inode: 0,
        })?;
        let (file, pieces) = match &self.source {
            Source::Bytes(bytes) => {
                let range = bytes.get(offset as usize..end as usize);
                return Ok(Cow::Borrowed(range.unwrap_or_default()));
            }
            Source::File { file, pieces } => (file, pieces),
        };
        let mut gathered = Vec::new();
        let mut at = offset;
        while at < end {
            let number = at / PIECE;
            let piece = self.piece(file, pieces, number)?;
            let until = end.min((number + 1) * PIECE);
            let part = (at - number * PIECE) as usize..(until - number * PIECE) as usize;
            let part = piece.get(part).unwrap_or_default();
            if at == offset && until == end {
                return Ok(Cow::Borrowed(part));
            }
            gathered.extend(part);
            at = until;
        }
        Ok(Cow::Owned(gathered))
    }

    fn piece<'a>(
        &self,
        file: &File,
        pieces: &'a [OnceLock<Box<[u8]>>],
        number: u64,
    ) -> Result<&'a [u8], ReadError> {
        let offset = number * PIECE;
        let Some(cell) = pieces.get(number as usize) else {
            return Err(ReadError::Damaged {
                what: "an address",
                inode: 0,
            });
        };
        if let Some(piece) = cell.get() {
            return Ok(piece);
        }
        let mut piece = vec![0; (self.length - offset).min(PIECE) as usize].into_boxed_slice();
        file.read_exact_at(&mut piece, offset)
            .map_err(|source| ReadError::Io { offset, source })?;
        Ok(cell.get_or_init(|| piece))
    }
}
