//! Files of an image, read whole within a bound or at an offset, from the layers' tars.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _};

use shiplap_layer::stack::{Content, Found, Stack, StackError, Type};

/// Why a record of packages is not read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is too long.
    #[error("it has more than {most_bytes} bytes")]
    TooLong {
        /// The bound.
        most_bytes: u64,
    },
    /// It says what can't be so.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Its form is not known here.
    #[error("{0} is not read")]
    Form(&'static str),
    /// More packages than are taken.
    #[error("the image has more than {most} packages; the rest is left out")]
    TooMany {
        /// The bound.
        most: usize,
    },
    /// More needs than are taken.
    #[error("the image says more than {most_bytes} bytes of it; the rest is left out")]
    TooManyNeeds {
        /// The bound.
        most_bytes: usize,
    },
    /// More is read than an honest image asks for.
    #[error("the image has {most_bytes} bytes read for its packages already; the rest is left out")]
    TooMuch {
        /// The bound.
        most_bytes: u64,
    },
    /// It is no JSON of the kind it should be.
    #[error("it is damaged: {0}")]
    Json(serde_json::Error),
    /// The tar can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The layer can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
}

/// How often all bytes of an image may be read for its packages: a record is read once, but links and
/// damaged databases lead to the same bytes again and again.
const ROUNDS: u64 = 4;

/// Bytes that are free of that (256 MiB).
const FREE_BYTES: u64 = 256 << 20;

/// A tree and the tars that hold its content.
pub(super) struct ImageFiles<'a> {
    pub(super) stack: &'a Stack,
    tars: &'a [&'a File],
    budget: Budget,
}

/// How much may still be read.
struct Budget {
    most_bytes: u64,
    left_bytes: Cell<u64>,
}

/// A regular file, open.
pub(super) struct OpenFile<'a> {
    content: Content,
    tar: &'a File,
    budget: &'a Budget,
}

impl<'a> ImageFiles<'a> {
    /// Nothing is read yet.
    pub(super) fn new(stack: &'a Stack, tars: &'a [&'a File]) -> Self {
        let length = |tar: &&File| tar.metadata().map_or(0, |metadata| metadata.len());
        let all: u64 = tars.iter().map(length).fold(0, u64::saturating_add);
        let most_bytes = all.saturating_mul(ROUNDS).saturating_add(FREE_BYTES);
        let budget = Budget {
            most_bytes,
            left_bytes: Cell::new(most_bytes),
        };
        Self {
            stack,
            tars,
            budget,
        }
    }

    /// What is at the path, symbolic links followed; `None` if nothing is.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<Found>, StackError> {
        match self.stack.resolve(path, true) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() || matches!(error, StackError::Loop(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The regular file at the path, symbolic links followed.
    pub(super) fn find_file(&self, path: &[u8]) -> Result<Option<Found>, StackError> {
        let is_file = |found: &Found| matches!(found.facts.kind, Type::File { .. });
        Ok(self.find(path)?.filter(is_file))
    }

    /// The entries of the directory at the path; none if there is none.
    pub(super) fn entries(&self, path: &[u8]) -> Result<Vec<Found>, StackError> {
        match self.find(path)? {
            Some(found) if found.is_directory() => {
                let entries = self.stack.read_dir(&found)?;
                Ok(entries.into_iter().map(|(_, found)| found).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Opens a regular file.
    pub(super) fn open(&self, found: &Found) -> Result<OpenFile<'_>, RecordError> {
        let content = self.stack.content(found)?;
        let tar = self.tars.get(content.layer);
        let tar = tar.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let budget = &self.budget;
        Ok(OpenFile {
            content,
            tar,
            budget,
        })
    }

    /// All of a regular file.
    pub(super) fn read(&self, found: &Found, most_bytes: u64) -> Result<Vec<u8>, RecordError> {
        let file = self.open(found)?;
        if file.len() > most_bytes {
            return Err(RecordError::TooLong { most_bytes });
        }
        file.read_at(0, file.len())
    }

    /// The start of a regular file, as text.
    pub(super) fn start(&self, found: &Found, most_bytes: u64) -> Result<String, RecordError> {
        let file = self.open(found)?;
        let bytes = file.read_at(0, file.len().min(most_bytes))?;
        Ok(text(bytes))
    }
}

/// Bytes as text; what is no UTF-8 is replaced.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl OpenFile<'_> {
    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.content.size_bytes
    }

    /// Exactly `length` bytes from `offset` on. Whoever asks has bounded the length.
    pub(super) fn read_at(&self, offset: u64, length: u64) -> Result<Vec<u8>, RecordError> {
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > self.len()) {
            return Err(RecordError::Damaged("it ends early"));
        }
        self.budget.take(length)?;
        let length = usize::try_from(length).map_err(|_| RecordError::Damaged("its length"))?;
        let mut bytes = vec![0; length];
        let mut reader = self.content.reader_at(self.tar, offset);
        reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Budget {
    fn take(&self, bytes: u64) -> Result<(), RecordError> {
        let left = self.left_bytes.get().checked_sub(bytes);
        self.left_bytes.set(left.unwrap_or(0));
        left.map(drop).ok_or(RecordError::TooMuch {
            most_bytes: self.most_bytes,
        })
    }
}

/// A little-endian number in bytes.
pub(super) fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A little-endian number in bytes.
pub(super) fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A big-endian number in bytes.
pub(super) fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A big-endian number in bytes.
pub(super) fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
