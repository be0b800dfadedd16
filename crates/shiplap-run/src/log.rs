//! A container's log: Docker's json-file format, an object a line
//! (`{"log":"text\n","stream":"stdout","time":"…"}`), so that tools that read Docker's read these.
//!
//! What is written is never changed afterwards; a line that a crash cut is passed over by readers.

use std::fs::File;
use std::io::{self, BufRead, Read as _, Write};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest part of a line that is written as one.
const LINE_BYTES: usize = 16 << 10;

/// Longest line of the file: each byte of [`LINE_BYTES`], and of what came with it, may become six.
const ENTRY_BYTES: usize = 1 << 20;

/// Which stream a piece comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Text, with its newline if it had one. Bytes that are no UTF-8 are replaced.
    pub log: String,
    /// Where it came from.
    pub stream: Stream,
    /// When.
    pub time: Timestamp,
}

/// Writes a log.
#[derive(Debug)]
pub struct LogWriter(Mutex<File>);

impl LogWriter {
    /// Goes on writing a file opened for appending.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(Mutex::new(file))
    }

    fn put(&self, text: &[u8], stream: Stream) -> io::Result<()> {
        let entry = Entry {
            log: String::from_utf8_lossy(text).into_owned(),
            stream,
            time: Timestamp::now(),
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)
    }
}

/// Cuts one stream into lines for the log.
#[derive(Debug)]
pub struct LineCutter<'l> {
    log: &'l LogWriter,
    stream: Stream,
    rest: Vec<u8>,
}

impl<'l> LineCutter<'l> {
    /// Cuts for `log`.
    #[must_use]
    pub fn new(log: &'l LogWriter, stream: Stream) -> Self {
        Self {
            log,
            stream,
            rest: Vec::new(),
        }
    }

    /// Takes what came.
    ///
    /// # Errors
    /// Of writing the log.
    pub fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = bytes.split_at(end + 1);
            self.rest.extend_from_slice(line);
            bytes = after;
            self.finish()?;
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() >= LINE_BYTES {
            self.finish()?;
        }
        Ok(())
    }

    /// Writes what is left without a newline.
    ///
    /// # Errors
    /// Of writing the log.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.rest);
        self.log.put(&line, self.stream)
    }
}

/// Reads the next whole entry; `None` at the end, or where only part of a line is there yet: then
/// `from` has not been consumed beyond the line before.
///
/// # Errors
/// Of reading.
pub fn read_entry(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<Entry>> {
    loop {
        let room = ENTRY_BYTES.saturating_sub(line.len());
        from.by_ref().take(room as u64).read_until(b'\n', line)?;
        if line.len() >= ENTRY_BYTES {
            // No writer of ours makes such a line: what is left of it is passed over.
            line.clear();
            from.skip_until(b'\n')?;
            continue;
        }
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let entry = serde_json::from_slice(line);
        line.clear();
        if let Ok(entry) = entry {
            return Ok(Some(entry));
        }
    }
}

#[cfg(test)]
mod tests;
