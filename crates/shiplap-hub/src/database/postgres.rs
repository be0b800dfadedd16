//! PostgreSQL behind the port: connections, and the queue of this replica's writes.
//!
//! Every write is serializable. It is tried beside those of other replicas first; if another
//! transaction is in its way it is tried again alone, under a lock that everybody's first tries
//! share, so that it goes through. A connection that breaks is made anew, for some seconds, and what
//! was going on begins again; where it broke during a commit, the server is asked whether the
//! transaction came to be. So a database that is started again is a pause, and what can't be had
//! after that is [`DatabaseError::Unavailable`], never a guess.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime as PoolRuntime,
    TimeoutType,
};
use tokio::runtime::{Handle, Runtime};

use self::trouble::{Trouble, is_refused, told};
use self::within::Within;
use super::queue::{Boxed, Job, Writer, is_durable};
use super::{DatabaseError, Tx, Value};

mod address;
mod cover;
mod migration;
mod trouble;
mod within;

pub use self::address::{Address, AddressError};

/// Connections of one hub: enough for its processors, few enough for some replicas below the hundred
/// that PostgreSQL takes by default.
const CONNECTIONS: usize = 16;

/// How long a database that can't be reached is tried anew for one piece of work. Longer than one
/// takes to start again, shorter than clients wait.
const PATIENCE: Duration = Duration::from_secs(8);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a write is tried alone.
const ALONE: usize = 5;

/// The lock of writes, which first tries share and what met a conflict holds alone: taken before the
/// transaction, whose view of things is to begin when nobody else is at it.
const SHARED: [&str; 2] = [
    "SELECT pg_advisory_lock_shared(7341820277002)",
    "SELECT pg_advisory_unlock_shared(7341820277002)",
];
const EXCLUSIVE: [&str; 2] = [
    "SELECT pg_advisory_lock(7341820277002)",
    "SELECT pg_advisory_unlock(7341820277002)",
];

const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// What reads and writes have in common.
struct Reach {
    place: String,
    pool: Pool,
    handle: Handle,
    /// Whether nobody could reach it the last time: then nobody waits for it long.
    is_down: AtomicBool,
}

impl Reach {
    fn unavailable(&self, message: String) -> DatabaseError {
        DatabaseError::Unavailable {
            place: self.place.clone(),
            message,
        }
    }

    /// A connection; waits for a database that can't be reached, unless it is known to be down.
    fn client(&self) -> Result<Object, DatabaseError> {
        let begun = Instant::now();
        loop {
            let failed = match self.handle.block_on(self.pool.get()) {
                Ok(client) => {
                    self.is_down.store(false, Ordering::Relaxed);
                    return Ok(client);
                }
                Err(PoolError::Backend(error)) if is_refused(&error) => {
                    return Err(told(&self.place, "open a connection", &error));
                }
                // It is there, but this hub asks too much of it.
                Err(PoolError::Timeout(TimeoutType::Wait)) => {
                    return Err(self.unavailable("all connections are in use".to_owned()));
                }
                Err(PoolError::Backend(error)) => address::with_causes(&error),
                Err(error) => error.to_string(),
            };
            if self.is_down.load(Ordering::Relaxed) || begun.elapsed() > PATIENCE {
                self.is_down.store(true, Ordering::Relaxed);
                return Err(self.unavailable(failed));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// An open PostgreSQL database.
pub(super) struct Postgres {
    reach: Arc<Reach>,
    /// Drives the connections, whoever waits for them; taken when it ends.
    runtime: Option<Runtime>,
    writer: Writer,
}

impl Postgres {
    /// Connects and makes the tables. Not from within asynchronous code.
    pub(super) fn open(address: &Address) -> Result<Self, DatabaseError> {
        let place = address.place().to_owned();
        let sql = |action, message| DatabaseError::Sql {
            action,
            place: place.clone(),
            message,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("hub-postgres")
            .build()
            .map_err(|error| sql("start threads", error.to_string()))?;
        let connector = cover::connector(&address.cover);
        let connector = connector.map_err(|message| sql("read certificates", message))?;
        let config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(address.config.clone(), connector, config);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(PoolRuntime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| sql("open", error.to_string()))?;
        let reach = Arc::new(Reach {
            place: place.clone(),
            pool,
            handle: runtime.handle().clone(),
            is_down: AtomicBool::new(false),
        });
        let client = reach.client()?;
        runtime.block_on(migration::bring_up(&reach, &client))?;
        drop(client);
        let of_writer = Arc::clone(&reach);
        let writer = Writer::start(move |batch| write(&of_writer, batch))
            .map_err(|error| sql("start a thread", error.to_string()))?;
        Ok(Self {
            reach,
            runtime: Some(runtime),
            writer,
        })
    }

    /// Reads within a transaction of its own; begins again if the connection breaks.
    pub(super) fn read<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Clone,
    ) -> Result<T, E> {
        let begun = Instant::now();
        loop {
            let within = Within::new(&self.reach, self.reach.client()?, Some(READ));
            let outcome = work.clone()(&within);
            let trouble = within.take_trouble();
            let (has_begun, client) = (within.has_begun(), within.into_client());
            if trouble == Some(Trouble::Lost) {
                discard(client);
                if begun.elapsed() < PATIENCE {
                    continue;
                }
            } else if has_begun {
                // Nobody waits for the end of what has changed nothing.
                self.reach.handle.spawn(async move {
                    if client.batch_execute("COMMIT").await.is_err() {
                        discard(client);
                    }
                });
            }
            return outcome;
        }
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.writer.end();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ends a connection that nobody should use again.
fn discard(client: Object) {
    drop(Object::take(client));
}

/// What PostgreSQL finds wrong.
pub(super) fn integrity(tx: &dyn Tx) -> Result<Vec<String>, DatabaseError> {
    let sql = "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database
      WHERE datname = current_database()";
    let failures = tx.number(sql, &[])?;
    let line = format!("{failures} pages failed their checksum");
    Ok((failures > 0).then_some(line).into_iter().collect())
}

/// Why a transaction did not come to be.
enum Ended {
    /// It may be tried again.
    Again(Trouble, DatabaseError),
    /// It was not, or nobody knows.
    Failed(DatabaseError),
}

impl Ended {
    fn of(within: &Within<'_>, error: DatabaseError) -> Self {
        match within.take_trouble() {
            Some(Trouble::Final) | None => Self::Failed(error),
            Some(trouble) => Self::Again(trouble, error),
        }
    }
}

/// Runs a batch until it is committed, or won't be.
fn write(reach: &Reach, batch: &mut [Boxed]) -> Result<(), DatabaseError> {
    let begun = Instant::now();
    let mut tries_alone = 0;
    loop {
        let client = reach.client()?;
        let within = Within::new(reach, client, None);
        let ended = transaction(&within, batch, tries_alone > 0);
        match ended {
            Ok(()) => return Ok(()),
            Err(Ended::Failed(error)) => {
                discard(within.into_client());
                return Err(error);
            }
            Err(Ended::Again(Trouble::Lost, error)) => {
                discard(within.into_client());
                if begun.elapsed() > PATIENCE {
                    return Err(error);
                }
            }
            Err(Ended::Again(_, error)) => {
                // Its locks go with it.
                discard(within.into_client());
                tries_alone += 1;
                if tries_alone > ALONE {
                    return Err(error);
                }
            }
        }
    }
}

/// Runs a batch in one transaction, once.
fn transaction(within: &Within<'_>, batch: &mut [Boxed], alone: bool) -> Result<(), Ended> {
    let fail = |error| Ended::of(within, error);
    let [lock, unlock] = if alone { EXCLUSIVE } else { SHARED };
    let begin = if is_durable(batch) {
        "BEGIN ISOLATION LEVEL SERIALIZABLE"
    } else {
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL synchronous_commit TO off"
    };
    let number = within.begin(lock, begin).map_err(fail)?;
    let end = match batch {
        [(_, job)] => {
            let stays = run(within, job.as_mut(), alone)?;
            if stays { "COMMIT" } else { "ROLLBACK" }
        }
        jobs => {
            for (_, job) in jobs {
                within.command("SAVEPOINT one").map_err(fail)?;
                let end = if run(within, job.as_mut(), alone)? {
                    "RELEASE SAVEPOINT one"
                } else {
                    "ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one"
                };
                within.command(end).map_err(fail)?;
            }
            "COMMIT"
        }
    };
    let Err(error) = within.commands(end, unlock) else {
        return Ok(());
    };
    match within.take_trouble() {
        Some(Trouble::Lost) => resolve(within.reach(), number, error),
        Some(Trouble::Conflict | Trouble::Constraint) => {
            Err(Ended::Again(Trouble::Conflict, error))
        }
        Some(Trouble::Final) | None => Err(Ended::Failed(error)),
    }
}

/// Runs a job; whether what it did is to stay.
fn run(within: &Within<'_>, job: &mut dyn Job, alone: bool) -> Result<bool, Ended> {
    let stays = job.run(within, false);
    let trouble = match within.take_trouble() {
        None => return Ok(stays),
        // With nobody else at it, a row in the way is the job's own fault.
        Some(Trouble::Constraint) if alone && !stays => return Ok(false),
        Some(Trouble::Final) if !stays => return Ok(false),
        Some(Trouble::Constraint) => Trouble::Conflict,
        Some(trouble) => trouble,
    };
    let error = within.reach().unavailable("it is too busy".to_owned());
    Err(Ended::Again(trouble, error))
}

/// Finds out whether a transaction came to be whose commit was not answered.
fn resolve(reach: &Reach, number: i64, error: DatabaseError) -> Result<(), Ended> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let client = reach.client().map_err(Ended::Failed)?;
        let within = Within::new(reach, client, None);
        let asked = within.rows("SELECT txid_status(?1)", &[Value::Integer(number)]);
        let status = asked.and_then(|rows| match rows.first() {
            Some(row) => row.maybe_text(0),
            None => Ok(None),
        });
        match status.as_ref().map(Option::as_deref) {
            Ok(Some("committed")) => return Ok(()),
            Ok(Some("aborted")) => return Err(Ended::Again(Trouble::Lost, error)),
            Ok(Some(_)) => std::thread::sleep(PAUSE),
            Ok(None) => return Err(Ended::Failed(error)),
            Err(_) => discard(within.into_client()),
        }
    }
    Err(Ended::Failed(error))
}

#[cfg(test)]
mod tests;
