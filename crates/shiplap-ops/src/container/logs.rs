//! `logs`: what a container said, and goes on saying.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::mem::MaybeUninit;

use jiff::Timestamp;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use shiplap_run::log::read_entry;
pub use shiplap_run::log::{Entry, Stream};

use super::{Container, ContainerError};

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

/// Gives `take` every line that is wanted; an error of `take` ends it.
///
/// # Errors
/// [`ContainerError::File`].
pub fn logs(
    container: &Container,
    options: &LogsOptions,
    take: &mut dyn FnMut(&Entry) -> io::Result<()>,
) -> Result<(), ContainerError> {
    let path = container.path("log.json");
    let failed = |source| ContainerError::file("read", &path)(source);
    // Before the first line is read, so that no change is missed.
    let watch = match options.follow {
        true => Some(Watch::new(container).map_err(failed)?),
        false => None,
    };
    let mut file = loop {
        match (File::open(&path), &watch) {
            (Ok(file), _) => break BufReader::new(file),
            // It was never started.
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            (Err(error), Some(watch)) if error.kind() == io::ErrorKind::NotFound => {
                watch.wait().map_err(failed)?;
            }
            (Err(error), _) => return Err(failed(error)),
        }
    };
    let wants = |entry: &Entry| {
        options.since.is_none_or(|since| entry.time >= since)
            && options.until.is_none_or(|until| entry.time <= until)
    };
    let mut line = Vec::new();
    let mut last = VecDeque::new();
    while let Some(entry) = read_entry(&mut file, &mut line).map_err(failed)? {
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
        let is_live = container.directory.exists() && container.state()?.status.is_live();
        while let Some(entry) = read_entry(&mut file, &mut line).map_err(failed)? {
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
