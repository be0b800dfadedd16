//! Takes a layer in: compressed bytes come, the uncompressed tar, its DiffID and its index go
//! out, in one pass over scoped threads with a few recycled buffers between them:
//!
//! source (read, verify) → inflate → hash, write, find entries → index
//!
//! Five layers of together 1.0 GB (0.38 GB as gzip), digests of both forms and indexes included,
//! two at once on two cores: 3.2 s CPU in user space (two thirds of it inflating) and 0.6 to 0.9 in
//! the kernel; at most 15 MB of memory for the process, 17 with three at once. Inflating into
//! buffers of 64 KiB costs a tenth more; larger ones than these gain nothing.
//!
//! It judges the bytes of the tar only: whether the source is what a manifest names is for the
//! source to say, by an error at its end. No byte is skipped: the source is read to its end.

mod made;
mod out;
mod pipe;

use std::fs::File;
use std::io::{self, BufRead as _, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use shiplap_model::digest::{DiffId, Hasher};
use shiplap_model::limits;

use crate::compress::{Format, decoder, trailing_data};
use crate::erofs;
use crate::tar::{Contents, TarError, TreeBuilder};
pub use made::{MadeError, ingest_made};
use out::TarOut;
use pipe::{Chunk, Inlet, Outlet, OutletReader, pipe};

/// Size and number of buffers between source and inflating.
const SOURCE_BUFFERS: (usize, usize) = (256 << 10, 4);
/// Size and number of buffers between inflating and hashing.
const TAR_BUFFERS: (usize, usize) = (512 << 10, 4);

/// What is known of a layer once it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFacts {
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Length of the uncompressed tar, in bytes.
    pub tar_bytes: u64,
    /// Sizes of the regular files together, in bytes, as Docker counts a layer.
    pub content_bytes: u64,
    /// Entries of the tar.
    pub entries: u64,
}

/// Why a layer can't be taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The source failed, perhaps by finding its bytes not to be what they should.
    #[error("read layer: {0}")]
    Source(#[source] io::Error),
    /// The compressed form is damaged.
    #[error("decompress layer ({format}): {source}")]
    Decompress {
        /// Its form.
        format: Format,
        /// What is wrong.
        source: io::Error,
    },
    /// It inflates beyond all reason.
    #[error(
        "decompress layer: {compressed_bytes} bytes became more than {inflated_bytes}, as no honest layer does"
    )]
    Inflation {
        /// Compressed bytes read by then.
        compressed_bytes: u64,
        /// What they gave.
        inflated_bytes: u64,
    },
    /// The tar is too long.
    #[error("read layer: its tar is longer than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The bytes are no tar of a layer.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The tar can't be written.
    #[error("write layer tar: {0}")]
    Write(#[source] io::Error),
    /// The stored tar can't be read.
    #[error("read layer tar: {0}")]
    Read(#[source] io::Error),
    /// The index can't be made.
    #[error(transparent)]
    Index(#[from] erofs::WriteError),
}

/// Reads a layer from `source` (plain, gzip, zstd, xz or bzip2, told by its first bytes) and
/// writes its tar to `tar_out` (open for reading too) and its index to `index_out`, both empty.
/// `progress` is told how many bytes of the source have been read so far. Syncs nothing.
///
/// # Errors
/// Any [`IngestError`]; what the files then hold is of no use. If the content is bad, the source
/// is still read to its end, and what it then says of its bytes comes first.
pub fn ingest(
    source: impl Read + Send,
    tar_out: &File,
    index_out: &File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<LayerFacts, IngestError> {
    let (diff_id, contents) = receive(source, Some(tar_out), progress)?;
    index(diff_id, &contents, tar_out, index_out)
}

/// Makes the index of a stored tar anew.
///
/// # Errors
/// Any [`IngestError`] but those of decompression: a compressed file is no tar here.
pub fn reindex(tar: &File, index_out: &File) -> Result<LayerFacts, IngestError> {
    let mut sink = Sink {
        hasher: Hasher::default(),
        builder: Some(TreeBuilder::default()),
        out: None,
        bytes: 0,
    };
    read_stored(tar, &mut sink)?;
    let (diff_id, contents) = sink.finish()?;
    index(diff_id, &contents, tar, index_out)
}

/// The DiffID that a stored tar has.
///
/// # Errors
/// [`IngestError::Read`].
pub fn verify(tar: &File) -> Result<DiffId, IngestError> {
    let mut sink = Sink {
        hasher: Hasher::default(),
        builder: None,
        out: None,
        bytes: 0,
    };
    read_stored(tar, &mut sink)?;
    Ok(DiffId::from(sink.hasher.finish()))
}

fn index(
    diff_id: DiffId,
    contents: &Contents,
    tar: &File,
    index_out: &File,
) -> Result<LayerFacts, IngestError> {
    let mut out = io::BufWriter::with_capacity(128 << 10, index_out);
    erofs::write(&contents.tree, contents.tar_bytes, tar, &mut out)?;
    out.flush().map_err(IngestError::Write)?;
    let Contents {
        tar_bytes,
        content_bytes,
        entries,
        ..
    } = *contents;
    Ok(LayerFacts {
        diff_id,
        tar_bytes,
        content_bytes,
        entries,
    })
}

/// Runs the threads of [`ingest`] up to the tree.
fn receive(
    source: impl Read + Send,
    tar_out: Option<&File>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(DiffId, Contents), IngestError> {
    let read_on = &AtomicBool::new(false);
    let (inlet, outlet) = pipe(SOURCE_BUFFERS);
    thread::scope(|scope| {
        let source = scope.spawn(move || read_source(source, inlet, read_on, progress));
        let sink = Sink {
            hasher: Hasher::default(),
            builder: Some(TreeBuilder::default()),
            out: tar_out.map(TarOut::new),
            bytes: 0,
        };
        let mut compressed = OutletReader::new(outlet);
        // A short first buffer holds the whole source.
        let format = Format::of(compressed.fill_buf().unwrap_or_default());
        let outcome = if format == Format::Plain {
            let (first, mut outlet) = compressed.into_parts();
            note_bad_content(sink.drain(first, &mut outlet), read_on)
        } else {
            let (inlet, mut outlet) = pipe(TAR_BUFFERS);
            let inflater = scope.spawn(move || {
                let outcome = inflate(format, &mut compressed, inlet);
                // Before the pipe closes, so that the source knows why.
                note_bad_content(outcome, read_on)
            });
            let outcome = note_bad_content(sink.drain(None, &mut outlet), read_on);
            drop(outlet);
            // A damaged stream makes a truncated tar: the former is the reason.
            join(inflater).and(outcome)
        };
        join(source).and(outcome)
    })
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Bad content may only be the sign of bad transport, which the source knows at its end.
fn note_bad_content<T>(
    outcome: Result<T, IngestError>,
    read_on: &AtomicBool,
) -> Result<T, IngestError> {
    if matches!(
        outcome,
        Err(IngestError::Tar(_) | IngestError::Decompress { .. })
    ) {
        read_on.store(true, Ordering::SeqCst);
    }
    outcome
}

/// Reads the source to its end; stops early only if nobody wants the bytes for another reason
/// than their content.
fn read_source(
    mut source: impl Read,
    mut inlet: Inlet,
    read_on: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), IngestError> {
    let mut total = 0;
    while let Some(mut chunk) = inlet.buffer() {
        let filled = chunk.fill(|buffer| {
            let count = source.read(buffer)?;
            total += count as u64;
            progress(total);
            Ok(count)
        });
        filled.map_err(IngestError::Source)?;
        if chunk.is_empty() {
            return Ok(());
        }
        inlet.send(chunk);
    }
    if read_on.load(Ordering::SeqCst) {
        io::copy(&mut source, &mut io::sink()).map_err(IngestError::Source)?;
    }
    Ok(())
}

fn inflate(
    format: Format,
    compressed: &mut OutletReader,
    mut inlet: Inlet,
) -> Result<(), IngestError> {
    let failed = |source| IngestError::Decompress { format, source };
    let consumed = compressed.consumed();
    let mut decoder = decoder(format, &mut *compressed).map_err(failed)?;
    let mut inflated_bytes = 0;
    loop {
        // Nobody wants more: the sink knows why.
        let Some(mut chunk) = inlet.buffer() else {
            return Ok(());
        };
        chunk.fill(|buffer| decoder.read(buffer)).map_err(failed)?;
        if chunk.is_empty() {
            break;
        }
        inflated_bytes += chunk.len() as u64;
        let compressed_bytes = consumed.load(Ordering::Relaxed);
        let allowed = compressed_bytes
            .saturating_mul(limits::INFLATION_RATIO)
            .max(limits::INFLATION_FREE_BYTES);
        if inflated_bytes > allowed {
            return Err(IngestError::Inflation {
                compressed_bytes,
                inflated_bytes,
            });
        }
        inlet.send(chunk);
    }
    drop(decoder);
    if compressed.fill_buf().map_err(failed)?.is_empty() {
        return Ok(());
    }
    Err(failed(trailing_data(format)))
}

/// Where the bytes of a tar end up.
struct Sink<'a> {
    hasher: Hasher,
    builder: Option<TreeBuilder>,
    out: Option<TarOut<'a>>,
    bytes: u64,
}

impl Sink<'_> {
    /// Takes `first` and all that comes out.
    fn drain(
        mut self,
        first: Option<Chunk>,
        outlet: &mut Outlet,
    ) -> Result<(DiffId, Contents), IngestError> {
        let mut next = first;
        while let Some(chunk) = next.take().or_else(|| outlet.next()) {
            self.take(&chunk)?;
            outlet.recycle(chunk);
        }
        self.finish()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > limits::LAYER_BYTES {
            return Err(IngestError::TooLarge {
                limit: limits::LAYER_BYTES,
            });
        }
        if let Some(builder) = &mut self.builder {
            builder.push(bytes)?;
        }
        if let Some(out) = &mut self.out {
            out.write(bytes).map_err(IngestError::Write)?;
        }
        self.hasher.update(bytes);
        Ok(())
    }

    fn finish(self) -> Result<(DiffId, Contents), IngestError> {
        let contents = self.builder.unwrap_or_default().finish()?;
        Ok((DiffId::from(self.hasher.finish()), contents))
    }
}

/// Gives the sink all bytes of a stored tar, whatever the file's position.
fn read_stored(tar: &File, sink: &mut Sink<'_>) -> Result<(), IngestError> {
    let mut buffer = Chunk::new(TAR_BUFFERS.0);
    let mut position = 0;
    loop {
        buffer.clear();
        buffer
            .fill(|part| {
                let count = tar.read_at(part, position)?;
                position += count as u64;
                Ok(count)
            })
            .map_err(IngestError::Read)?;
        if buffer.is_empty() {
            return Ok(());
        }
        sink.take(&buffer)?;
    }
}

#[cfg(test)]
mod tests;
