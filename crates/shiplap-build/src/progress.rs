//! How a build tells what it is doing while it does it. The face decides how that looks.

use std::time::Duration;

pub use shiplap_run::log::Stream;

/// Receives events from all threads of a build.
pub trait BuildProgress: Sync {
    /// Takes one event; must return quickly.
    fn event(&self, event: Event<'_>);
}

/// Which vertex of the build an event is about: they are numbered from 1 in the order in which
/// they were first told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VertexId(pub u32);

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A vertex will be worked on: a step, an internal work, an export. `name` is as BuildKit shows
    /// it: `[internal] load build definition from Dockerfile`, `[builder 2/5] RUN make`.
    Started {
        /// Which.
        vertex: VertexId,
        /// Its name.
        name: &'a str,
    },
    /// A line of talk below the vertex: `transferring context: 2.1MB`. It stands for all that
    /// were told of the vertex before with the same words up to the first `: `, so that what
    /// grows may be told as often as it does.
    Status {
        /// Which.
        vertex: VertexId,
        /// The line.
        text: &'a str,
    },
    /// Output of its command.
    Log {
        /// Which.
        vertex: VertexId,
        /// Which stream.
        stream: Stream,
        /// As it came, not cut at lines.
        bytes: &'a [u8],
    },
    /// It was in the cache.
    Cached {
        /// Which.
        vertex: VertexId,
        /// Its name.
        name: &'a str,
    },
    /// Why it was not in the cache, in one line.
    Missed {
        /// Which.
        vertex: VertexId,
        /// As `COPY . .: changed src/app.py`.
        reason: &'a str,
    },
    /// All the reasons, one after another: for those who want to know.
    Explained {
        /// Which.
        vertex: VertexId,
        /// `changed src/app.py`
        detail: &'a str,
    },
    /// It is done.
    Done {
        /// Which.
        vertex: VertexId,
        /// How long it took.
        took: Duration,
    },
    /// It failed.
    Failed {
        /// Which.
        vertex: VertexId,
        /// Why, in one line.
        reason: &'a str,
    },
    /// It was given up because another one failed.
    Canceled {
        /// Which.
        vertex: VertexId,
    },
    /// The terminal is a shell's from now on, in the root of a step that failed; until the build
    /// ends nothing more is told.
    Shell {
        /// The step's name.
        name: &'a str,
    },
    /// What the user should know though the build goes on.
    Warning(&'a str),
}
