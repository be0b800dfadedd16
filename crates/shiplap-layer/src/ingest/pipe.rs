//! A bounded pipe between two threads whose buffers go round: memory stays at their number, and
//! no buffer is allocated or cleared twice.

use std::io::{self, BufRead, Read};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What a buffer's address is a multiple of: a page, as writing past the page cache wants it.
pub(super) const ALIGNMENT_BYTES: usize = 4096;

/// A buffer and how much of it is filled.
#[derive(Debug)]
pub(super) struct Chunk {
    buffer: Box<[u8]>,
    /// Where in it the first aligned byte is.
    start: usize,
    size: usize,
    filled: usize,
}

/// The end that buffers are filled at. Dropping it ends the stream.
pub(super) struct Inlet {
    full: SyncSender<Chunk>,
    empty: Receiver<Chunk>,
    /// Size of a buffer, and how many may still be made.
    size: usize,
    unmade: usize,
}

/// The end that filled buffers come out of, in order.
pub(super) struct Outlet {
    full: Receiver<Chunk>,
    empty: SyncSender<Chunk>,
}

/// A pipe of at most `count` buffers of `size` bytes, made when first needed.
pub(super) fn pipe((size, count): (usize, usize)) -> (Inlet, Outlet) {
    let (full, full_out) = sync_channel(count);
    let (empty, empty_out) = sync_channel(count);
    let inlet = Inlet {
        full,
        empty: empty_out,
        size,
        unmade: count,
    };
    (
        inlet,
        Outlet {
            full: full_out,
            empty,
        },
    )
}

impl Chunk {
    pub(super) fn new(size: usize) -> Self {
        let buffer = vec![0; size + ALIGNMENT_BYTES].into_boxed_slice();
        Self {
            start: buffer.as_ptr().align_offset(ALIGNMENT_BYTES),
            buffer,
            size,
            filled: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    /// Takes as much of `bytes` as there is room for; says how much that was.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.size
    }

    /// What is not filled yet.
    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start + self.filled..self.start + self.size]
    }

    /// Fills the rest by `read` until it is full or `read` gives nothing more.
    pub(super) fn fill(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        while !self.is_full() {
            match read(self.room()) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.filled]
    }
}

impl Inlet {
    /// An empty buffer, waited for; `None` once the outlet is gone.
    pub(super) fn buffer(&mut self) -> Option<Chunk> {
        if let Ok(chunk) = self.empty.try_recv() {
            return Some(chunk);
        }
        if self.unmade > 0 {
            self.unmade -= 1;
            return Some(Chunk::new(self.size));
        }
        self.empty.recv().ok()
    }

    /// Passes a buffer on. If the outlet is gone, the next [`Inlet::buffer`] may tell.
    pub(super) fn send(&mut self, chunk: Chunk) {
        if self.full.send(chunk).is_err() {
            self.unmade = 0;
        }
    }
}

impl Outlet {
    /// The next filled buffer, waited for; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Chunk> {
        self.full.recv().ok()
    }

    /// Gives a buffer back.
    pub(super) fn recycle(&mut self, mut chunk: Chunk) {
        chunk.clear();
        // Nobody fills it any more: let it go.
        let _ = self.empty.send(chunk);
    }
}

/// An outlet as a buffered reader that counts what was consumed.
pub(super) struct OutletReader {
    outlet: Outlet,
    chunk: Option<Chunk>,
    position: usize,
    consumed: Arc<AtomicU64>,
}

impl OutletReader {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            chunk: None,
            position: 0,
            consumed: Arc::default(),
        }
    }

    /// What was peeked at, and the outlet behind it.
    pub(super) fn into_parts(self) -> (Option<Chunk>, Outlet) {
        (self.chunk, self.outlet)
    }

    /// The count of bytes consumed, kept up to date.
    pub(super) fn consumed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.consumed)
    }
}

impl BufRead for OutletReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self
            .chunk
            .as_ref()
            .is_none_or(|chunk| self.position == chunk.len())
        {
            if let Some(used) = self.chunk.take() {
                self.outlet.recycle(used);
            }
            self.position = 0;
            self.chunk = self.outlet.next();
        }
        Ok(self
            .chunk
            .as_ref()
            .map_or(&[], |chunk| &chunk[self.position..]))
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Read for OutletReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
