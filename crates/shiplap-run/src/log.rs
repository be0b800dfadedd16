//! A container's log: Docker's json-file format, an object a line
//! (`{"log":"text\n","stream":"stdout","time":"…"}`), so that tools that read Docker's read these.
//!
//! What is written is never changed afterwards; a line that a crash cut is passed over by readers. A
//! file that is full gets a number behind its name (1 is the newest of the old ones), the oldest
//! goes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shiplap_model::container::log::{LogDriver, LogOptions};

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

/// Writes a log, or nothing at all if none is wanted.
#[derive(Debug)]
pub struct LogWriter(Option<Mutex<Writing>>);

/// The file in work.
#[derive(Debug)]
struct Writing {
    path: PathBuf,
    options: LogOptions,
    file: File,
    bytes: u64,
}

impl LogWriter {
    /// Goes on writing the log at `path`.
    ///
    /// # Errors
    /// Of opening it.
    pub fn open(path: &Path, options: LogOptions) -> io::Result<Self> {
        if options.driver == LogDriver::None {
            return Ok(Self(None));
        }
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Some(Mutex::new(Writing {
            path: path.to_owned(),
            options,
            bytes: file.metadata()?.len(),
            file,
        }))))
    }

    fn put(&self, text: &[u8], stream: Stream) -> io::Result<()> {
        let Some(writing) = &self.0 else {
            return Ok(());
        };
        let entry = Entry {
            log: String::from_utf8_lossy(text).into_owned(),
            stream,
            time: Timestamp::now(),
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let mut writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.put(&line)
    }
}

impl Writing {
    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes = self.bytes + line.len() as u64;
        let most = self.options.max_file_bytes;
        if most > 0 && self.bytes > 0 && bytes > most {
            self.turn_over()?;
        }
        self.bytes += line.len() as u64;
        self.file.write_all(line)
    }

    /// Gives the full file a number, and begins a new one.
    fn turn_over(&mut self) -> io::Result<()> {
        let unless_absent = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let old = self.options.max_files.saturating_sub(1);
        for number in (1..old).rev() {
            let (from, to) = (
                numbered(&self.path, number),
                numbered(&self.path, number + 1),
            );
            unless_absent(std::fs::rename(from, to))?;
        }
        unless_absent(match old {
            0 => std::fs::remove_file(&self.path),
            _ => std::fs::rename(&self.path, numbered(&self.path, 1)),
        })?;
        self.file = File::options().create(true).append(true).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

/// The files of the log at `path`, the oldest first; none if it was never written. Its writer may
/// be at work.
///
/// # Errors
/// Of opening them.
pub fn files(path: &Path) -> io::Result<Vec<File>> {
    // From the newest on: one that is given its number meanwhile comes twice, none is missed.
    let paths = std::iter::once(path.to_owned()).chain((1..).map(|n| numbered(path, n)));
    let mut found: Vec<(u64, File)> = Vec::new();
    for path in paths {
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            file => file?,
        };
        let inode = file.metadata()?.ino();
        if found.iter().all(|(known, _)| *known != inode) {
            found.push((inode, file));
        }
    }
    Ok(found.into_iter().rev().map(|(_, file)| file).collect())
}

/// Files of the log at `path` that were begun after this one, the oldest first.
///
/// # Errors
/// Of opening them.
pub fn files_after(path: &Path, file: &File) -> io::Result<Vec<File>> {
    let inode = file.metadata()?.ino();
    if std::fs::metadata(path).is_ok_and(|newest| newest.ino() == inode) {
        return Ok(Vec::new());
    }
    let mut files = files(path)?;
    let is_it = |file: &File| file.metadata().is_ok_and(|found| found.ino() == inode);
    // One that is gone was older than all that are there.
    let older = files.iter().position(is_it).map_or(0, |place| place + 1);
    Ok(files.split_off(older))
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
