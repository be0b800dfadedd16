//! Bringing the tables up to date.
//!
//! `user_version` is the schema's version; a newer one is refused, older ones are brought up step by
//! step in one transaction.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{DatabaseError, failure};
use crate::database::tables::STEPS;

/// Makes or renews the tables.
pub(super) fn bring_up(connection: &mut Connection, path: &Path) -> Result<(), DatabaseError> {
    let fail = failure("make tables", path);
    // Can't be changed within a transaction.
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(&fail)?;
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(&fail)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&fail)?;
    let found: i64 = transaction
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(&fail)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(DatabaseError::Newer {
            place: path.display().to_string(),
            found,
            known,
        });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(&step.sqlite()).map_err(&fail)?;
    }
    transaction
        .pragma_update(None, "user_version", known)
        .map_err(&fail)?;
    transaction.commit().map_err(&fail)
}
