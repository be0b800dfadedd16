//! How a verb tells what it is doing while it does it. The face decides how that looks.

/// Receives events from all threads of a verb.
pub trait Progress: Sync {
    /// Takes one event; must return quickly.
    fn event(&self, event: Event<'_>);
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A line of the verb's story, as `python:3.11: Pulling from library/python`.
    Status(&'a str),
    /// What a user should know though the verb goes on: a mirror failed, a digest changes.
    Warning(&'a str),
    /// A layer entered a state, or moved on within it.
    Layer {
        /// The first 12 hex digits of the layer's digest.
        id: &'a str,
        /// What is happening to it.
        state: LayerState<'a>,
    },
}

/// What is happening to one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerState<'a> {
    /// It will be fetched.
    Queued,
    /// Another process fetches it; this one waits for the result.
    Waiting,
    /// It is here.
    Exists,
    /// Bytes come in; they are verified, inflated, written and indexed as they come.
    Downloading {
        /// Compressed bytes so far.
        done_bytes: u64,
        /// Compressed bytes in all.
        total_bytes: u64,
    },
    /// All bytes are here, verified and durable.
    Pulled,
    /// It is being compressed and sent.
    Pushing {
        /// Uncompressed bytes so far.
        done_bytes: u64,
        /// Uncompressed bytes in all.
        total_bytes: u64,
    },
    /// The other side has it now.
    Pushed,
    /// The other side had it.
    Present,
    /// The other side took it from another of its repositories.
    Mounted {
        /// That repository.
        from: &'a str,
    },
    /// It is read from an archive.
    Loading {
        /// Bytes so far.
        done_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// It is in the store.
    Loaded,
}

impl LayerState<'_> {
    /// Bytes so far and in all, of a state that has them.
    #[must_use]
    pub fn transfer(self) -> Option<(u64, u64)> {
        match self {
            Self::Downloading {
                done_bytes,
                total_bytes,
            }
            | Self::Pushing {
                done_bytes,
                total_bytes,
            }
            | Self::Loading {
                done_bytes,
                total_bytes,
            } => Some((done_bytes, total_bytes)),
            _ => None,
        }
    }
}

/// Takes every event and does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
