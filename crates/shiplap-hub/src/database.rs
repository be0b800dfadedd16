//! The database: the port to it, and the one way transactions run.
//!
//! [`Tx`] is all that records need of a database: statements in plain SQL with `?1`, `?2` …, so
//! that another database is another implementation of it. Which statements there are is told in
//! [`crate::records`]; nothing here knows a table but `tables`, which makes them.
//!
//! Reads run beside each other. Writes stand in one queue: whatever waits while the disk is
//! written goes into the next transaction together, each within a savepoint of its own, so many
//! clients share one fsync. A write's answer comes after the commit. SQLite has one writer;
//! PostgreSQL's transactions are serializable, so records never think of other replicas. Either way
//! work may be run again from its beginning, and must do nothing but ask its [`Tx`].

mod postgres;
mod queue;
mod sqlite;
mod tables;
mod value;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

pub use self::postgres::{Address, AddressError};
pub use self::value::{Row, Value};

/// Why the database did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// The database's own words.
    #[error("{action} in the database {place}: {message}")]
    Sql {
        /// What was to be done.
        action: &'static str,
        /// Which database.
        place: String,
        /// What it says.
        message: String,
    },
    /// No room on the disk.
    #[error("write to the database {place}: there is no room left")]
    Full {
        /// Which database.
        place: String,
    },
    /// It can't be reached, or is too busy; it may be later.
    #[error("reach the database {place}: {message}")]
    Unavailable {
        /// Which database.
        place: String,
        /// Why.
        message: String,
    },
    /// A newer program made it.
    #[error("open the database {place}: its version is {found}, newer than {known}")]
    Newer {
        /// Which database.
        place: String,
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// A row that no program of ours wrote.
    #[error("read the database: column {column} holds {found}, not {want}")]
    Column {
        /// Its number, from 0.
        column: usize,
        /// What it should hold.
        want: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The program is ending.
    #[error("use the database: it is closed")]
    Closed,
}

/// Whose SQL is understood, where it must be one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

/// A transaction, or a part of one that goes or stays as a whole.
pub trait Tx {
    /// Whose SQL it is.
    fn dialect(&self) -> Dialect;

    /// Runs a statement; how many rows it changed.
    ///
    /// # Errors
    /// [`DatabaseError`].
    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, DatabaseError>;

    /// Runs a query; all its rows.
    ///
    /// # Errors
    /// [`DatabaseError`].
    fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, DatabaseError>;
}

impl dyn Tx + '_ {
    /// The first row of a query.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn row(&self, sql: &str, values: &[Value]) -> Result<Option<Row>, DatabaseError> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// The number that a query yields; 0 where it yields none.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn number(&self, sql: &str, values: &[Value]) -> Result<u64, DatabaseError> {
        self.row(sql, values)?.map_or(Ok(0), |row| row.size(0))
    }
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it survives a power cut.
    Durable,
    /// Once it survives the end of this process: for what can be done again.
    Lazy,
}

/// A database that is open. Clones share it.
#[derive(Clone)]
pub struct Database(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<postgres::Postgres>),
}

impl Database {
    /// Opens the SQLite database at `path`, and makes it if there is none.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let sqlite = sqlite::Sqlite::open(path)?;
        Ok(Self(Kind::Sqlite(Arc::new(sqlite))))
    }

    /// Opens the PostgreSQL database at `address`, and makes the tables if there are none. Waits.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn connect(address: &Address) -> Result<Self, DatabaseError> {
        // On a thread of its own: a caller may be a task.
        let opened = std::thread::scope(|scope| {
            let opening = scope.spawn(|| postgres::Postgres::open(address));
            opening.join().unwrap_or(Err(DatabaseError::Closed))
        });
        let postgres = opened?;
        Ok(Self(Kind::Postgres(Arc::new(postgres))))
    }

    /// Whether other machines may have it, too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Kind::Postgres(_))
    }

    /// Reads beside everybody else; sees one state of things.
    ///
    /// # Errors
    /// The database's, or those of `work`.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let database = self.clone();
        let reading = tokio::task::spawn_blocking(move || database.read_now(work));
        reading
            .await
            .unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }

    /// Writes in the queue; an error of `work` leaves no trace of it.
    ///
    /// # Errors
    /// The database's, or those of `work`.
    pub async fn write<T, E>(
        &self,
        durability: Durability,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        self.enqueue(durability, work, move |done| {
            // Whoever asked may be gone: the write stands all the same.
            let _gone = answer.send(done);
        })?;
        waiting
            .await
            .unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }

    /// [`Self::read`] for threads that may wait.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_now<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Clone,
    ) -> Result<T, E> {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.read(work),
            Kind::Postgres(postgres) => postgres.read(work),
        }
    }

    /// [`Self::write`], durable, for threads that may wait.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_now<T, E>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (answer, waiting) = std::sync::mpsc::sync_channel(1);
        self.enqueue(Durability::Durable, work, move |done| {
            let _gone = answer.send(done);
        })?;
        waiting
            .recv()
            .unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }

    fn enqueue<T, E>(
        &self,
        durability: Durability,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Clone + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> Result<(), DatabaseError>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let job = queue::job(work, done);
        let writer = match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.writer(),
            Kind::Postgres(postgres) => postgres.writer(),
        };
        writer.enqueue(durability, job)
    }

    /// What the database finds wrong with itself; empty if nothing.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn integrity(&self) -> Result<Vec<String>, DatabaseError> {
        self.read(|tx| match tx.dialect() {
            Dialect::Sqlite => sqlite::integrity(tx),
            Dialect::Postgres => postgres::integrity(tx),
        })
        .await
    }
}

#[cfg(test)]
mod tests;
