//! Leases: what one replica alone should do for now, until it says that it is done or is not heard of
//! for a while.
//!
//! They keep replicas from doing the same thing twice; that nothing breaks if two do, is seen to
//! elsewhere. The time is the database's own, so that clocks of replicas may differ.

use super::now_us;
use crate::database::{DatabaseError, Dialect, Tx};
use crate::values;

/// Takes or renews a lease for so long; false if somebody else has it.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn take(tx: &dyn Tx, name: &str, holder: &str, us: i64) -> Result<bool, DatabaseError> {
    let now = clock_us(tx)?;
    let sql = "INSERT INTO leases (name, holder, until_us) VALUES (?1, ?2, ?3)
      ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_us = excluded.until_us
      WHERE leases.holder = ?2 OR leases.until_us <= ?4";
    let taken = tx.execute(sql, values![name, holder, now + us, now])?;
    Ok(taken > 0)
}

/// Gives a lease back.
///
/// # Errors
/// As [`take`].
pub fn give_back(tx: &dyn Tx, name: &str, holder: &str) -> Result<(), DatabaseError> {
    let sql = "DELETE FROM leases WHERE name = ?1 AND holder = ?2";
    tx.execute(sql, values![name, holder]).map(|_| ())
}

/// Forgets leases that nobody holds any longer.
///
/// # Errors
/// As [`take`].
pub fn forget_old(tx: &dyn Tx) -> Result<(), DatabaseError> {
    let now = clock_us(tx)?;
    tx.execute("DELETE FROM leases WHERE until_us <= ?1", values![now])
        .map(|_| ())
}

/// The database's clock, in microseconds since 1970; SQLite's is that of this machine.
fn clock_us(tx: &dyn Tx) -> Result<i64, DatabaseError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(now_us());
    }
    let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
    tx.row(sql, &[])?.map_or(Ok(0), |row| row.integer(0))
}
