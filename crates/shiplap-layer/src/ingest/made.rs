//! A layer that is made here: its tar is stored by the thread that makes it, and hashed and indexed
//! by another meanwhile.

use std::fs::File;
use std::io::{self, Write};
use std::thread;

use shiplap_model::digest::Hasher;

use super::out::TarOut;
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
            out: None,
            bytes: 0,
        };
        let sink = scope.spawn(move || sink.drain(None, &mut outlet));
        let mut writer = InletWriter {
            inlet,
            chunk: None,
            out: TarOut::new(tar_out),
            end: None,
        };
        let made = make(&mut writer);
        let made = made.map_err(MadeError::Make);
        let made = match writer.finish() {
            // That is why it failed then; else a tar broken off has a reason before it.
            Some(End::Unwritable(error)) => Err(MadeError::Ingest(IngestError::Write(error))),
            Some(End::Refused) => Ok(()),
            None => made,
        };
        (made, super::join(sink))
    });
    made?;
    let (diff_id, contents) = taken.map_err(MadeError::Ingest)?;
    index(diff_id, &contents, tar_out, index_out).map_err(MadeError::Ingest)
}

/// Fills the buffers of a pipe, and writes each to the file before it goes on.
struct InletWriter<'a> {
    inlet: Inlet,
    chunk: Option<Chunk>,
    out: TarOut<'a>,
    end: Option<End>,
}

/// Why no more is taken.
enum End {
    /// By the file.
    Unwritable(io::Error),
    /// By the other thread, which knows the reason.
    Refused,
}

impl InletWriter<'_> {
    fn send(&mut self, chunk: Chunk) -> io::Result<()> {
        if let Err(error) = self.out.write(&chunk) {
            self.end = Some(End::Unwritable(error));
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.inlet.send(chunk);
        Ok(())
    }

    fn finish(mut self) -> Option<End> {
        if let Some(chunk) = self.chunk.take()
            && self.end.is_none()
        {
            // What went wrong is kept.
            drop(self.send(chunk));
        }
        self.end
    }
}

impl Write for InletWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(mut chunk) = self.chunk.take().or_else(|| self.inlet.buffer()) else {
            self.end = Some(End::Refused);
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let taken = chunk.extend(bytes);
        if chunk.is_full() {
            self.send(chunk)?;
        } else {
            self.chunk = Some(chunk);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
