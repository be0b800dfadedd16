//! Passes on what others tell: the caller's wish to end, and the talk of verbs.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use shiplap_ops::progress::{Event, LayerState, Progress};
use shiplap_ops::step::Cancel;

use crate::report::{Reporter, Vertex};

/// Lets `work` be canceled by `outer`, and by a `Cancel` of its own, which ends nothing else.
pub(super) fn with_cancel<T>(outer: &Cancel, work: impl FnOnce(&Cancel) -> T) -> io::Result<T> {
    let inner = Cancel::new()?;
    let done = Cancel::new()?;
    Ok(std::thread::scope(|scope| {
        let watcher = std::thread::Builder::new().spawn_scoped(scope, || {
            let fds = [outer.as_fd(), done.as_fd()];
            let mut waits = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            // Interrupted by a signal, it looks again.
            while poll(&mut waits, None).is_err() {}
            if outer.is_cancelled() {
                inner.cancel();
            }
        });
        let result = work(&inner);
        done.cancel();
        drop(watcher);
        result
    }))
}

/// Shows what a verb tells as one vertex, which begins with the first word.
pub(super) struct Talk<'t, 'a> {
    reporter: &'t Reporter<'a>,
    name: String,
    vertex: Mutex<Option<Vertex<'t, 'a>>>,
}

impl<'t, 'a> Talk<'t, 'a> {
    pub(super) fn new(reporter: &'t Reporter<'a>, name: String) -> Self {
        Self {
            reporter,
            name,
            vertex: Mutex::new(None),
        }
    }

    /// Ends it, well or not.
    pub(super) fn end(self, failure: Option<&str>) {
        let vertex = self.vertex.into_inner();
        let vertex = vertex.unwrap_or_else(PoisonError::into_inner);
        match (vertex, failure) {
            (Some(vertex), None) => vertex.done(),
            (Some(vertex), Some(reason)) => vertex.failed(reason),
            (None, Some(reason)) => self.reporter.start(&self.name).failed(reason),
            (None, None) => {}
        }
    }

    fn status(&self, text: &str) {
        let mut vertex = self.vertex.lock().unwrap_or_else(PoisonError::into_inner);
        let vertex = vertex.get_or_insert_with(|| self.reporter.start(&self.name));
        vertex.status(text);
    }
}

impl Progress for Talk<'_, '_> {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Status(line) => self.status(line),
            Event::Warning(text) => self.reporter.warn(text),
            Event::Layer { id, state } => {
                if let Some(words) = words(state) {
                    self.status(&format!("{id}: {words}"));
                }
            }
        }
    }
}

fn words(state: LayerState<'_>) -> Option<String> {
    let size = shiplap_model::units::human_size;
    Some(match state {
        LayerState::Queued | LayerState::Exists => return None,
        LayerState::Waiting => "waiting for another process".to_owned(),
        LayerState::Downloading { .. }
        | LayerState::Pushing { .. }
        | LayerState::Loading { .. } => {
            let (done, total) = state.transfer()?;
            format!("{} / {}", size(done), size(total))
        }
        LayerState::Pulled => "pulled".to_owned(),
        LayerState::Pushed => "pushed".to_owned(),
        LayerState::Present => "there already".to_owned(),
        LayerState::Mounted { from } => format!("mounted from {from}"),
        LayerState::Loaded => "loaded".to_owned(),
    })
}
