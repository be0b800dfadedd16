//! Writes that wait for their turn, the same for every database: what waits is done together, each
//! within a part of a transaction that goes or stays as a whole.
//!
//! Knows no connection and no SQL.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::{DatabaseError, Durability, Tx};
use crate::lock::lock;

/// Most writes that share a transaction: bounds how long the first of them waits.
const BATCH: usize = 256;

/// The one thread of a hub that writes to its database, and what waits for it.
pub(super) struct Writer {
    queue: Mutex<Option<Sender<Boxed>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Begins; `write` runs a batch in one transaction.
    pub(super) fn start(
        write: impl FnMut(&mut [Boxed]) -> Result<(), DatabaseError> + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let thread = std::thread::Builder::new()
            .name("hub-database".to_owned())
            .spawn(move || write_all(write, &jobs))?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Puts a job at the end.
    pub(super) fn enqueue(
        &self,
        durability: Durability,
        job: Box<dyn Job>,
    ) -> Result<(), DatabaseError> {
        lock(&self.queue)
            .as_ref()
            .and_then(|queue| queue.send((durability, job)).ok())
            .ok_or(DatabaseError::Closed)
    }

    /// Ends the queue, and waits for what stands in it.
    pub(super) fn end(&self) {
        lock(&self.queue).take();
        if let Some(thread) = lock(&self.thread).take() {
            // A writer that panicked has told nobody; there is nothing to add here.
            let _ended = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The writer's life: takes what waits, runs it in one transaction, tells everybody.
fn write_all(
    mut write: impl FnMut(&mut [Boxed]) -> Result<(), DatabaseError>,
    jobs: &Receiver<Boxed>,
) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            let Ok(next) = jobs.try_recv() else { break };
            batch.push(next);
        }
        let ended = write(&mut batch);
        for (_, job) in batch {
            job.tell(ended.clone());
        }
    }
}

/// A write that waits for its turn.
pub(super) trait Job: Send {
    /// Does it; whether it is to stay. `once` tells that it will not be done again.
    fn run(&mut self, tx: &dyn Tx, once: bool) -> bool;
    /// Tells whoever waits how the transaction ended.
    fn tell(self: Box<Self>, committed: Result<(), DatabaseError>);
}

/// A job, and when its answer may be given.
pub(super) type Boxed = (Durability, Box<dyn Job>);

/// Whether a batch must survive a power cut.
pub(super) fn is_durable(batch: &[Boxed]) -> bool {
    batch
        .iter()
        .any(|(durability, _)| *durability == Durability::Durable)
}

/// A job made of a closure that does it, and one that is told.
pub(super) fn job<T, E>(
    work: impl FnOnce(&dyn Tx) -> Result<T, E> + Clone + Send + 'static,
    done: impl FnOnce(Result<T, E>) + Send + 'static,
) -> Box<dyn Job>
where
    T: Send + 'static,
    E: From<DatabaseError> + Send + 'static,
{
    Box::new(Queued {
        work: Some(work),
        outcome: None,
        done,
    })
}

struct Queued<W, T, E, D> {
    work: Option<W>,
    outcome: Option<Result<T, E>>,
    done: D,
}

impl<W, T, E, D> Job for Queued<W, T, E, D>
where
    W: FnOnce(&dyn Tx) -> Result<T, E> + Clone + Send,
    T: Send,
    E: From<DatabaseError> + Send,
    D: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, tx: &dyn Tx, once: bool) -> bool {
        let work = if once {
            self.work.take()
        } else {
            self.work.clone()
        };
        let Some(work) = work else {
            return false;
        };
        let outcome = work(tx);
        let stays = outcome.is_ok();
        self.outcome = Some(outcome);
        stays
    }

    fn tell(self: Box<Self>, committed: Result<(), DatabaseError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(error)) => Err(error.into()),
            (Some(Err(error)), Ok(())) => Err(error),
            (None, Ok(())) => Err(DatabaseError::Closed.into()),
        };
        (self.done)(outcome);
    }
}
