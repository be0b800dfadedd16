//! A layer that is made here: its tar is hashed, stored and indexed while it is being written.

use std::fs::File;
use std::io::{self, Write};
use std::thread;

use shiplap_model::digest::Hasher;

use super::pipe::{Chunk, Inlet, pipe};
use super::{IngestError, LayerFacts, Sink, TAR_BUFFERS, index};
use crate::tar::TreeBuilder;

/// Why a layer that is made here can't be taken in.
#[derive(Debug, thiserror::Error)]
pub enum MadeError<E> {
    /// Whoever makes it failed.
    #[error(transparent)]
    Make(E),
    /// What was made can't be taken.
    #[error(transparent)]
    Ingest(IngestError),
}

/// Lets `make` write a plain tar, on this thread, and writes it to `tar_out` (open for reading too)
/// and its index to `index_out`, both empty. Syncs nothing.
///
/// # Errors
/// [`MadeError`]; what the files then hold is of no use.
pub fn ingest_made<E>(
    make: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    tar_out: &File,
    index_out: &File,
) -> Result<LayerFacts, MadeError<E>> {
    let (inlet, mut outlet) = pipe(TAR_BUFFERS);
    let (made, taken) = thread::scope(|scope| {
        let sink = Sink {
            hasher: Hasher::default(),
            builder: Some(TreeBuilder::default()),
            out: Some(tar_out),
            bytes: 0,
        };
        let sink = scope.spawn(move || sink.drain(None, &mut outlet));
        let mut writer = InletWriter {
            inlet,
            chunk: None,
            is_refused: false,
        };
        let made = make(&mut writer);
        let is_refused = writer.is_refused;
        writer.send();
        drop(writer);
        // If nobody took the bytes, that is the reason; else a tar broken off has one before it.
        let made = made.or_else(|error| if is_refused { Ok(()) } else { Err(error) });
        (made, super::join(sink))
    });
    made.map_err(MadeError::Make)?;
    let (diff_id, contents) = taken.map_err(MadeError::Ingest)?;
    index(diff_id, &contents, tar_out, index_out).map_err(MadeError::Ingest)
}

/// Fills the buffers of a pipe.
struct InletWriter {
    inlet: Inlet,
    chunk: Option<Chunk>,
    /// Nobody takes any more.
    is_refused: bool,
}

impl InletWriter {
    fn send(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            self.inlet.send(chunk);
        }
    }
}

impl Write for InletWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(mut chunk) = self.chunk.take().or_else(|| self.inlet.buffer()) else {
            self.is_refused = true;
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let taken = chunk.extend(bytes);
        if chunk.is_full() {
            self.inlet.send(chunk);
        } else {
            self.chunk = Some(chunk);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
