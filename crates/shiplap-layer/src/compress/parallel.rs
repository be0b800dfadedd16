//! Compresses a stream in blocks on several threads and writes them in order.
//!
//! The calling thread reads; each block goes to whichever worker is free and, as a promise of its
//! result, to the writer, which hashes and writes. Buffers go round, two for each worker.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use shiplap_model::digest::Hasher;

use super::{CompressError, Compressed};

/// Compresses blocks independently of one another.
pub(super) trait BlockCompressor: Send {
    /// Replaces `out` by the compressed form of `block`.
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError>;
}

/// The buffers of a block: as read, and compressed.
#[derive(Default)]
struct Block {
    source: Vec<u8>,
    compressed: Vec<u8>,
}

struct Job {
    block: Block,
    done: SyncSender<Result<Block, CompressError>>,
}

type Promise = Receiver<Result<Block, CompressError>>;

/// Reads `source` to its end. Empty input is one empty block.
pub(super) fn compress_blocks<C: BlockCompressor>(
    source: impl Read,
    out: impl Write + Send,
    make: impl Fn() -> Result<C, CompressError>,
    block_bytes: usize,
    threads: NonZeroUsize,
) -> Result<Compressed, CompressError> {
    let workers = (0..threads.get())
        .map(|_| make())
        .collect::<Result<Vec<C>, _>>()?;
    let blocks = 2 * workers.len();
    let (jobs, jobs_out) = sync_channel::<Job>(blocks);
    let (promises, promises_out) = sync_channel::<Promise>(blocks);
    let (used, used_out) = channel::<Block>();
    for _ in 0..blocks {
        let _ = used.send(Block::default());
    }
    let jobs_out = &Mutex::new(jobs_out);
    thread::scope(|scope| {
        for compressor in workers {
            scope.spawn(move || work(jobs_out, compressor));
        }
        let writer = scope.spawn(move || write(out, &promises_out, &used));
        let read = feed(source, block_bytes, &jobs, &promises, &used_out);
        drop((jobs, promises));
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let source_bytes = read.map_err(CompressError::Read)?;
        let (digest, size_bytes) = written?;
        Ok(Compressed {
            digest,
            size_bytes,
            source_bytes,
        })
    })
}

/// Cuts the source into blocks until its end, or until the writer has given up.
fn feed(
    mut source: impl Read,
    block_bytes: usize,
    jobs: &SyncSender<Job>,
    promises: &SyncSender<Promise>,
    used: &Receiver<Block>,
) -> io::Result<u64> {
    let mut total = 0;
    while let Ok(mut block) = used.recv() {
        block.source.clear();
        block.source.reserve_exact(block_bytes);
        let count = source
            .by_ref()
            .take(block_bytes as u64)
            .read_to_end(&mut block.source)?;
        if count == 0 && total > 0 {
            break;
        }
        total += count as u64;
        let (done, promise) = sync_channel(1);
        if promises.send(promise).is_err() || jobs.send(Job { block, done }).is_err() || count == 0
        {
            break;
        }
    }
    Ok(total)
}

fn work(jobs: &Mutex<Receiver<Job>>, mut compressor: impl BlockCompressor) {
    loop {
        let next = match jobs.lock() {
            Ok(jobs) => jobs.recv(),
            Err(_) => return,
        };
        let Ok(Job { mut block, done }) = next else {
            return;
        };
        let outcome = compressor.compress(&block.source, &mut block.compressed);
        // The writer may have given up: then nobody waits for it.
        let _ = done.send(outcome.map(|()| block));
    }
}

fn write(
    mut out: impl Write,
    promises: &Receiver<Promise>,
    used: &Sender<Block>,
) -> Result<(shiplap_model::digest::Digest, u64), CompressError> {
    let mut hasher = Hasher::default();
    let mut size_bytes = 0;
    while let Ok(promise) = promises.recv() {
        // No result: reading ended between promise and job.
        let Ok(result) = promise.recv() else { break };
        let block = result?;
        out.write_all(&block.compressed)
            .map_err(CompressError::Write)?;
        hasher.update(&block.compressed);
        size_bytes += block.compressed.len() as u64;
        let _ = used.send(block);
    }
    out.flush().map_err(CompressError::Write)?;
    Ok((hasher.finish(), size_bytes))
}
