//! The one connection of a process to the store's database, and transactions on it whose failures
//! are [`StoreError`]s. No table is known here.
//!
//! Durable transactions are on disk when they return. Fleeting ones (claims, which die with their
//! process anyway) are only sure to survive the process.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, Transaction, TransactionBehavior};

use crate::error::StoreError;

/// The connection, shared by the threads of this process.
pub(crate) struct Database {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// Whether a transaction is on disk when it returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is.
    Durable,
    /// It survives the process, maybe not the machine.
    Fleeting,
}

impl Database {
    pub(crate) fn new(path: PathBuf, connection: Connection) -> Self {
        Self {
            path,
            connection: Mutex::new(connection),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction of a panicked thread was rolled back when it was dropped.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one read transaction: a single state of the records.
    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.connection();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(StoreError::db(action, &self.path))?;
        work(&Tx {
            transaction,
            action,
            path: &self.path,
        })
    }

    /// Runs `work` alone among all processes; commits if it ends well, else leaves no trace.
    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        action: &'static str,
        durability: Durability,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.connection();
        let fail = StoreError::db(action, &self.path);
        let level = if durability == Durability::Durable {
            "full"
        } else {
            "normal"
        };
        connection
            .pragma_update(None, "synchronous", level)
            .map_err(&fail)?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&fail)?;
        let tx = Tx {
            transaction,
            action,
            path: &self.path,
        };
        let value = work(&tx)?;
        tx.transaction.commit().map_err(&fail)?;
        Ok(value)
    }

    /// What SQLite finds wrong with the file; empty if nothing.
    pub(crate) fn integrity(&self) -> Result<Vec<String>, StoreError> {
        self.read("check", |tx| {
            let lines: Vec<String> =
                tx.rows("PRAGMA integrity_check(20)", [], |cells| cells.text(0))?;
            let broken: Vec<String> = tx.rows("PRAGMA foreign_key_check", [], |cells| {
                Ok(format!(
                    "a row of {} refers to a missing row of {}",
                    cells.text(0)?,
                    cells.text(2)?
                ))
            })?;
            Ok(lines
                .into_iter()
                .filter(|line| line != "ok")
                .chain(broken)
                .collect())
        })
    }

    /// Folds the write-ahead log into the file.
    pub(crate) fn fold_log(&self) -> Result<(), StoreError> {
        self.connection()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(StoreError::db("checkpoint", &self.path))
    }
}

/// One transaction.
pub(crate) struct Tx<'c> {
    transaction: Transaction<'c>,
    action: &'static str,
    path: &'c Path,
}

impl Tx<'_> {
    fn fail(&self) -> impl Fn(rusqlite::Error) -> StoreError {
        StoreError::db(self.action, self.path)
    }

    /// Runs one statement; how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        let mut statement = self.transaction.prepare_cached(sql).map_err(self.fail())?;
        statement.execute(params).map_err(self.fail())
    }

    /// All rows of a query.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl Fn(&Cells<'_, '_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, params, |cells| {
            found.push(map(cells)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Visits every row of a query.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut visit: impl FnMut(&Cells<'_, '_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare_cached(sql).map_err(self.fail())?;
        let mut rows = statement.query(params).map_err(self.fail())?;
        while let Some(row) = rows.next().map_err(self.fail())? {
            visit(&Cells {
                row,
                action: self.action,
                path: self.path,
            })?;
        }
        Ok(())
    }

    /// The first row of a query, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl Fn(&Cells<'_, '_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(sql, params, map)?.into_iter().next())
    }

    /// The number that a query yields; 0 where it yields none.
    pub(crate) fn number(&self, sql: &str, params: impl Params) -> Result<u64, StoreError> {
        Ok(self.row(sql, params, |cells| cells.size(0))?.unwrap_or(0))
    }
}

/// The columns of one row.
pub(crate) struct Cells<'r, 's> {
    row: &'r Row<'s>,
    action: &'static str,
    path: &'r Path,
}

impl Cells<'_, '_> {
    fn get<T: rusqlite::types::FromSql>(&self, column: usize) -> Result<T, StoreError> {
        self.row
            .get(column)
            .map_err(StoreError::db(self.action, self.path))
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, StoreError> {
        Ok(self.borrowed(column)?.to_owned())
    }

    /// Text where SQLite keeps it.
    pub(crate) fn borrowed(&self, column: usize) -> Result<&str, StoreError> {
        self.row
            .get_ref(column)
            .and_then(|value| Ok(value.as_str()?))
            .map_err(StoreError::db(self.action, self.path))
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.get(column)
    }

    pub(crate) fn maybe_integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    pub(crate) fn integer(&self, column: usize) -> Result<i64, StoreError> {
        self.get(column)
    }

    /// A number of bytes or things; one that is below zero is none of ours.
    pub(crate) fn size(&self, column: usize) -> Result<u64, StoreError> {
        let number: Option<i64> = self.get(column)?;
        let number = number.unwrap_or(0);
        u64::try_from(number).map_err(|_| StoreError::Record {
            record: "a size or count",
            value: number.to_string(),
        })
    }

    /// A column that holds the text form of something.
    pub(crate) fn parsed<T: FromStr>(
        &self,
        column: usize,
        record: &'static str,
    ) -> Result<T, StoreError> {
        parse(self.borrowed(column)?, record)
    }

    /// The same, where the column may be empty.
    pub(crate) fn maybe_parsed<T: FromStr>(
        &self,
        column: usize,
        record: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.maybe_text(column)?
            .map(|text| parse(&text, record))
            .transpose()
    }

    /// A time, kept as microseconds since 1970.
    pub(crate) fn time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        let us: Option<i64> = self.get(column)?;
        us.map(|us| {
            Timestamp::from_microsecond(us).map_err(|_| StoreError::Record {
                record: "a time",
                value: us.to_string(),
            })
        })
        .transpose()
    }
}

pub(crate) fn parse<T: FromStr>(text: &str, record: &'static str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Record {
        record,
        value: text.to_owned(),
    })
}

/// SQLite's integers are signed; no size of ours comes near.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
