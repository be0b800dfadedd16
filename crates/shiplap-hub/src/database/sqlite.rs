//! SQLite behind the port: connections, the queue of writes, and the tables.
//!
//! WAL mode, so reads never wait for writes. One thread writes; other processes (the command
//! line's verbs) may write, too, and wait for each other by SQLite's own locks.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::queue::{Boxed, Job, Writer, is_durable};
use super::{DatabaseError, Dialect, Row, Tx, Value};
use crate::lock::lock;

mod migration;

/// How long one process waits for another's transaction; ours take milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// Connections for reading that are kept; more are opened when needed, then closed.
const KEPT_READERS: usize = 16;

/// An open SQLite database.
pub(super) struct Sqlite {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    writer: Writer,
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let mut connection = connect(path)?;
        migration::bring_up(&mut connection, path)?;
        let of_writer = path.to_owned();
        let writer = Writer::start(move |batch| transaction(&connection, &of_writer, batch))
            .map_err(|error| DatabaseError::Sql {
                action: "start a thread",
                place: path.display().to_string(),
                message: error.to_string(),
            })?;
        Ok(Self {
            path: path.to_owned(),
            readers: Mutex::new(Vec::new()),
            writer,
        })
    }

    pub(super) fn read<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&dyn Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let kept = lock(&self.readers).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let outcome = match connection.transaction_with_behavior(TransactionBehavior::Deferred) {
            Ok(transaction) => work(&Within {
                connection: &transaction,
                path: &self.path,
            }),
            Err(error) => Err(failure("read", &self.path)(error).into()),
        };
        let mut readers = lock(&self.readers);
        if readers.len() < KEPT_READERS {
            readers.push(connection);
        }
        outcome
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// What SQLite finds wrong.
pub(super) fn integrity(tx: &dyn Tx) -> Result<Vec<String>, DatabaseError> {
    let mut found = Vec::new();
    for row in tx.rows("PRAGMA integrity_check(20)", &[])? {
        found.push(row.text(0)?);
    }
    for row in tx.rows("PRAGMA foreign_key_check", &[])? {
        let (of, to) = (row.text(0)?, row.text(2)?);
        found.push(format!("a row of {of} refers to a missing row of {to}"));
    }
    found.retain(|line| line != "ok");
    Ok(found)
}

fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let fail = failure("open", path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&fail)?;
    connection.busy_timeout(BUSY).map_err(&fail)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(&fail)?;
    Ok(connection)
}

/// Runs a batch in one transaction.
fn transaction(
    connection: &Connection,
    path: &Path,
    batch: &mut [Boxed],
) -> Result<(), DatabaseError> {
    let fail = failure("write", path);
    let level = if is_durable(batch) { "full" } else { "normal" };
    connection
        .pragma_update(None, "synchronous", level)
        .map_err(&fail)?;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(&fail)?;
    let ran = batch
        .iter_mut()
        .try_for_each(|(_, job)| run_one(connection, path, job.as_mut()))
        .and_then(|()| connection.execute_batch("COMMIT").map_err(&fail));
    if ran.is_err() {
        // SQLite may have rolled back by itself: then there is nothing to do.
        let _already = connection.execute_batch("ROLLBACK");
    }
    ran
}

fn run_one(connection: &Connection, path: &Path, job: &mut dyn Job) -> Result<(), DatabaseError> {
    let fail = failure("write", path);
    let statement = |sql| {
        let mut statement = connection.prepare_cached(sql)?;
        statement.execute([])
    };
    statement("SAVEPOINT one").map_err(&fail)?;
    if !job.run(&Within { connection, path }, true) {
        statement("ROLLBACK TO one").map_err(&fail)?;
    }
    statement("RELEASE one").map_err(&fail)?;
    Ok(())
}

fn failure<'p>(
    action: &'static str,
    path: &'p Path,
) -> impl Fn(rusqlite::Error) -> DatabaseError + 'p {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => DatabaseError::Full {
            place: path.display().to_string(),
        },
        _ => DatabaseError::Sql {
            action,
            place: path.display().to_string(),
            message: error.to_string(),
        },
    }
}

/// A connection within a transaction.
struct Within<'c> {
    connection: &'c Connection,
    path: &'c Path,
}

impl Tx for Within<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, DatabaseError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute(rusqlite::params_from_iter(values))
        };
        let changed = run().map_err(failure("write", self.path))?;
        Ok(changed as u64)
    }

    fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let cells = (0..columns).map(|column| row.get_ref(column).map(owned));
                found.push(Row(cells.collect::<Result<_, _>>()?));
            }
            Ok(found)
        };
        run().map_err(failure("read", self.path))
    }
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        // No column of ours holds fractions; ranks of a search are only sorted by.
        #[expect(clippy::cast_possible_truncation, reason = "ranks are small")]
        ValueRef::Real(number) => Value::Integer(number as i64),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
