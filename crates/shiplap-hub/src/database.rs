//! The database: the port to it, and the one way transactions run.
//!
//! [`Tx`] is all that records need of a database: statements in plain SQL with `?1`, `?2` …, so
//! that another database is another implementation of it. Which statements there are is told in
//! [`crate::records`]; nothing here knows a table but `sqlite`, which makes them.
//!
//! Reads run beside each other. Writes stand in one queue: whatever waits while the disk is
//! written goes into the next transaction together, each within a savepoint of its own, so many
//! clients share one fsync. A write's answer comes after the commit.

mod sqlite;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

pub use self::value::{Row, Value};

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database's own words.
    #[error("{action} in the database {path}: {message}")]
    Sql {
        /// What was to be done.
        action: &'static str,
        /// Which database.
        path: PathBuf,
        /// What it says.
        message: String,
    },
    /// No room on the disk.
    #[error("write to the database {path}: there is no room left")]
    Full {
        /// Which database.
        path: PathBuf,
    },
    /// A newer program made it.
    #[error("open the database {path}: its version is {found}, newer than {known}")]
    Newer {
        /// Which database.
        path: PathBuf,
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

/// A transaction, or a part of one that goes or stays as a whole.
pub trait Tx {
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
pub struct Database {
    sqlite: Arc<sqlite::Sqlite>,
}

impl Database {
    /// Opens the SQLite database at `path`, and makes it if there is none.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self {
            sqlite: Arc::new(sqlite::Sqlite::open(path)?),
        })
    }

    /// Reads beside everybody else; sees one state of things.
    ///
    /// # Errors
    /// The database's, or those of `work`.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let sqlite = Arc::clone(&self.sqlite);
        let reading = tokio::task::spawn_blocking(move || sqlite.read(work));
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
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        self.sqlite.enqueue(durability, work, move |done| {
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
        work: impl FnOnce(&dyn Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        self.sqlite.read(work)
    }

    /// [`Self::write`], durable, for threads that may wait.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_now<T, E>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (answer, waiting) = std::sync::mpsc::sync_channel(1);
        self.sqlite
            .enqueue(Durability::Durable, work, move |done| {
                let _gone = answer.send(done);
            })?;
        waiting
            .recv()
            .unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }

    /// What the database finds wrong with itself; empty if nothing.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn integrity(&self) -> Result<Vec<String>, DatabaseError> {
        self.sqlite.integrity()
    }
}

#[cfg(test)]
mod tests;
