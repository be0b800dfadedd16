//! Writes a tar past the page cache. A layer is written once and then read in small parts, if at
//! all; a gigabyte of it in the cache would push out what is in use, and taking that many fresh
//! pages costs more than hashing them. Short tars, and what a file system refuses to take so, go
//! through the cache.
//!
//! 1 GB written and synced: 0.5 s past the cache, 1.0 to 3.3 s through it, as fresh as its pages
//! are.

use std::fs::File;
use std::io::{self, Write as _};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::pipe::ALIGNMENT_BYTES;

/// How much of a tar goes through the cache before the rest goes past it.
const CACHED_BYTES: u64 = 16 << 20;

/// A tar that is being written.
pub(super) struct TarOut<'a> {
    file: &'a File,
    written_bytes: u64,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Through the cache, as long as the tar is short.
    Short,
    /// Past the cache.
    Direct,
    /// Through the cache to its end.
    Cached,
}

impl<'a> TarOut<'a> {
    /// Into an empty file.
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file,
            written_bytes: 0,
            mode: Mode::Short,
        }
    }

    /// Appends. Only buffers of a pipe that are full can go past the cache.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.mode == Mode::Short && self.written_bytes >= CACHED_BYTES {
            self.set_mode(Mode::Direct);
        }
        if self.mode == Mode::Direct {
            let is_aligned = bytes.len().is_multiple_of(ALIGNMENT_BYTES)
                && bytes.as_ptr().align_offset(ALIGNMENT_BYTES) == 0;
            if is_aligned {
                return self.write_direct(bytes);
            }
            self.set_mode(Mode::Cached);
        }
        self.append(bytes)
    }

    fn write_direct(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written_bytes += count as u64;
                    rest = &rest[count..];
                    // After a short write the rest may begin anywhere.
                    if !rest.is_empty() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
                Err(error) => return Err(error),
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        self.set_mode(Mode::Cached);
        self.append(rest)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file;
        file.write_all(bytes)?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// A file system that knows no way past its cache is left alone.
    fn set_mode(&mut self, mode: Mode) {
        let was_direct = self.mode == Mode::Direct;
        self.mode = mode;
        if was_direct == (mode == Mode::Direct) {
            return;
        }
        let set = fcntl_getfl(self.file)
            .and_then(|flags| fcntl_setfl(self.file, flags.symmetric_difference(OFlags::DIRECT)));
        if set.is_err() {
            self.mode = Mode::Cached;
        }
    }
}

impl Drop for TarOut<'_> {
    /// Leaves the file as it was opened: whoever reads it next need not know how it was written.
    fn drop(&mut self) {
        self.set_mode(Mode::Cached);
    }
}
