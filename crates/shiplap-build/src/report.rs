//! Tells what a build does: to whoever watches, and in full to the build's log file.
//!
//! The log is `builds/<id>/log` in the store, in the form of plain progress. Nothing in it is ever
//! cut; secrets get there only if a command says them.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shiplap_run::log::Stream;

use crate::progress::{BuildProgress, Event, VertexId};

/// The end of a command's output that an error shows, in bytes: some screens.
const TAIL_BYTES: usize = 16 << 10;

/// Longest line of output that is kept together in the log, in bytes.
const LINE_BYTES: usize = 64 << 10;

/// Tells of a build.
pub(crate) struct Reporter<'a> {
    progress: &'a dyn BuildProgress,
    next: AtomicU32,
    log: Mutex<File>,
    path: PathBuf,
    /// The log could not be written; said once.
    is_log_lost: AtomicBool,
}

/// One thing that is done.
pub(crate) struct Vertex<'r, 'a> {
    reporter: &'r Reporter<'a>,
    id: VertexId,
    started: Instant,
    said: Mutex<Said>,
}

/// What a command said.
#[derive(Default)]
struct Said {
    tail: VecDeque<u8>,
    /// The line that is not at its end yet.
    line: Vec<u8>,
}

impl<'a> Reporter<'a> {
    /// Begins the log in `directory`.
    pub(crate) fn new(progress: &'a dyn BuildProgress, directory: &Path) -> io::Result<Self> {
        let path = directory.join("log");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            progress,
            next: AtomicU32::new(1),
            log: Mutex::new(log),
            path,
            is_log_lost: AtomicBool::new(false),
        })
    }

    /// Where the log is.
    pub(crate) fn log_path(&self) -> &Path {
        &self.path
    }

    /// Something begins.
    pub(crate) fn start(&self, name: &str) -> Vertex<'_, 'a> {
        let id = self.number();
        self.progress.event(Event::Started { vertex: id, name });
        self.write(&format!("#{} {name}\n", id.0));
        Vertex {
            reporter: self,
            id,
            started: Instant::now(),
            said: Mutex::default(),
        }
    }

    /// Something was in the cache.
    pub(crate) fn cached(&self, name: &str) {
        let vertex = self.number();
        self.progress.event(Event::Cached { vertex, name });
        self.write(&format!("#{0} {name}\n#{0} CACHED\n", vertex.0));
    }

    /// What the user should know.
    pub(crate) fn warn(&self, text: &str) {
        self.progress.event(Event::Warning(text));
        self.write(&format!("WARNING: {text}\n"));
    }

    /// A shell gets the terminal.
    pub(crate) fn shell(&self, name: &str) {
        self.progress.event(Event::Shell { name });
    }

    fn number(&self) -> VertexId {
        VertexId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn write(&self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    fn write_bytes(&self, bytes: &[u8]) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = log.write_all(bytes)
            && !self.is_log_lost.swap(true, Ordering::Relaxed)
        {
            let text = format!(
                "the build's log {} is not whole: {error}",
                self.path.display()
            );
            self.progress.event(Event::Warning(&text));
        }
    }
}

impl Vertex<'_, '_> {
    /// A line of talk.
    pub(crate) fn status(&self, text: &str) {
        let vertex = self.id;
        self.reporter.progress.event(Event::Status { vertex, text });
        self.reporter.write(&format!("#{} {text}\n", vertex.0));
    }

    /// Why it was not in the cache.
    pub(crate) fn missed(&self, reason: &str) {
        let vertex = self.id;
        self.reporter
            .progress
            .event(Event::Missed { vertex, reason });
        self.reporter
            .write(&format!("#{} not cached: {reason}\n", vertex.0));
    }

    /// One of all the reasons.
    pub(crate) fn explained(&self, detail: &str) {
        let vertex = self.id;
        self.reporter
            .progress
            .event(Event::Explained { vertex, detail });
    }

    /// Output of its command.
    pub(crate) fn log(&self, stream: Stream, bytes: &[u8]) {
        let vertex = self.id;
        self.reporter.progress.event(Event::Log {
            vertex,
            stream,
            bytes,
        });
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.tail.extend(bytes);
        let over = said.tail.len().saturating_sub(TAIL_BYTES);
        drop(said.tail.drain(..over));
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            said.line.extend_from_slice(part);
            if part.ends_with(b"\n") || said.line.len() > LINE_BYTES {
                self.end_line(&mut said.line, &mut lines);
            }
        }
        drop(said);
        self.reporter.write_bytes(&lines);
    }

    fn end_line(&self, line: &mut Vec<u8>, lines: &mut Vec<u8>) {
        if line.is_empty() {
            return;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        lines.extend_from_slice(format!("#{} {seconds:.3} ", self.id.0).as_bytes());
        lines.append(line);
        if !lines.ends_with(b"\n") {
            lines.push(b'\n');
        }
    }

    /// The end of what its command said.
    pub(crate) fn tail(&self) -> Vec<u8> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.tail.iter().copied().collect()
    }

    /// It is done.
    pub(crate) fn done(self) {
        let took = self.started.elapsed();
        self.finish(&format!("DONE {}", seconds(took)), |vertex| Event::Done {
            vertex,
            took,
        });
    }

    /// It failed.
    pub(crate) fn failed(self, reason: &str) {
        self.finish(&format!("ERROR: {reason}"), |vertex| Event::Failed {
            vertex,
            reason,
        });
    }

    /// It was given up.
    pub(crate) fn canceled(self) {
        self.finish("CANCELED", |vertex| Event::Canceled { vertex });
    }

    fn finish<'e>(self, text: &str, event: impl FnOnce(VertexId) -> Event<'e>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        let mut line = std::mem::take(&mut said.line);
        drop(said);
        self.end_line(&mut line, &mut lines);
        lines.extend_from_slice(format!("#{} {text}\n", self.id.0).as_bytes());
        self.reporter.write_bytes(&lines);
        self.reporter.progress.event(event(self.id));
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1}s", took.as_secs_f64())
}

#[cfg(test)]
mod tests;
