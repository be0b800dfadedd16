//! `logs`: what a container said, and goes on saying.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::mem::MaybeUninit;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use shiplap_model::container::log::LogDriver;
use shiplap_run::log::{self, read_entry};
pub use shiplap_run::log::{Entry, Stream};

use super::{Container, ContainerError, State};

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct LogsOptions {
    /// Go on until the container ends.
    pub follow: bool,
    /// Only the last so many.
    pub tail: Option<usize>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// Only until then.
    pub until: Option<Timestamp>,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogsError {
    /// Its files can't be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Its output is not kept.
    #[error("read the log of {name}: configured logging driver does not support reading")]
    NotKept {
        /// Its name.
        name: String,
    },
}

/// Gives `take` every line that is wanted; an error of `take` ends it.
///
/// # Errors
/// [`LogsError`].
pub fn logs(
    container: &Container,
    options: &LogsOptions,
    take: &mut dyn FnMut(&Entry) -> io::Result<()>,
) -> Result<(), LogsError> {
    if container.facts.options.log.driver == LogDriver::None {
        return Err(LogsError::NotKept {
            name: container.name.clone(),
        });
    }
    let path = container.path("log.json");
    let failed = |source| ContainerError::file("read", &path)(source);
    // Before the first line is read, so that no change is missed.
    let watch = match options.follow {
        true => Some(Watch::new(container).map_err(failed)?),
        false => None,
    };
    let mut reading = loop {
        match (Reading::open(&path).map_err(failed)?, &watch) {
            (Some(reading), _) => break reading,
            // It was never started.
            (None, None) => return Ok(()),
            (None, Some(watch)) => watch.wait().map_err(failed)?,
        }
    };
    let wants = |entry: &Entry| {
        options.since.is_none_or(|since| entry.time >= since)
            && options.until.is_none_or(|until| entry.time <= until)
    };
    let mut last = VecDeque::new();
    while let Some(entry) = reading.next(&path).map_err(failed)? {
        if !wants(&entry) {
            continue;
        }
        match options.tail {
            Some(count) => {
                last.push_back(entry);
                if last.len() > count {
                    last.pop_front();
                }
            }
            None => take(&entry).map_err(failed)?,
        }
    }
    for entry in last {
        take(&entry).map_err(failed)?;
    }
    let Some(watch) = watch else { return Ok(()) };
    loop {
        // The state is looked at first: what was said before the end is then read.
        let is_live = container.directory.exists() && is_written(&container.state()?);
        while let Some(entry) = reading.next(&path).map_err(failed)? {
            if wants(&entry) {
                take(&entry).map_err(failed)?;
            }
        }
        if !is_live {
            return Ok(());
        }
        watch.wait().map_err(failed)?;
    }
}

/// Whether more may come.
fn is_written(state: &State) -> bool {
    state.status.is_live() && !state.unwatched
}

/// The files of a log, read one after the other.
struct Reading {
    file: BufReader<File>,
    newer: VecDeque<File>,
    line: Vec<u8>,
}

impl Reading {
    /// `None` if nothing was ever written.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut newer: VecDeque<File> = log::files(path)?.into();
        Ok(newer.pop_front().map(|file| Self {
            file: BufReader::new(file),
            newer,
            line: Vec::new(),
        }))
    }

    /// The next entry; `None` where there is none yet.
    fn next(&mut self, path: &Path) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = read_entry(&mut self.file, &mut self.line)? {
                return Ok(Some(entry));
            }
            if self.newer.is_empty() {
                self.newer = log::files_after(path, self.file.get_ref())?.into();
            }
            let Some(newer) = self.newer.pop_front() else {
                return Ok(None);
            };
            // What came into it before the next was begun.
            if let Some(entry) = read_entry(&mut self.file, &mut self.line)? {
                self.newer.push_front(newer);
                return Ok(Some(entry));
            }
            self.file = BufReader::new(newer);
            self.line.clear();
        }
    }
}

/// Waits for changes in a container's directory.
struct Watch(std::os::fd::OwnedFd);

impl Watch {
    fn new(container: &Container) -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC)?;
        let changes = WatchFlags::MODIFY
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::CREATE;
        inotify::add_watch(&watch, &container.directory, changes)?;
        Ok(Self(watch))
    }

    fn wait(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        inotify::Reader::new(&self.0, &mut buffer).next()?;
        Ok(())
    }
}
