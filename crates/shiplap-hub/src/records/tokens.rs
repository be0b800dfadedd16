//! Access tokens: passwords for programs, each of a level, kept as hashes.
//!
//! A token is 160 random bits, so one round of SHA-256 keeps it: nobody guesses it, and it can be
//! looked up.

use sha2::{Digest as _, Sha256};

use super::now_us;
use crate::authorization::Level;
use crate::database::{DatabaseError, Tx};
use crate::random;
use crate::values;

/// What every token begins with, so that people and scanners know one.
pub const PREFIX: &str = "slp_";

/// What is told of a token after it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its number.
    pub id: i64,
    /// What its user calls it.
    pub name: String,
    /// What it may do at most.
    pub level: Level,
    /// Since when it is there.
    pub created_us: i64,
    /// When it ends.
    pub expires_us: Option<i64>,
    /// When it was used last, to within some minutes.
    pub used_us: Option<i64>,
}

/// How exactly the last use is kept.
const USED_GRAIN_US: i64 = 10 * 60 * 1_000_000;

/// When a token ends that is good for so many days from now on; one without a number never does.
#[must_use]
pub fn expiry_us(days: Option<u32>) -> Option<i64> {
    const DAY_US: i64 = 24 * 3600 * 1_000_000;
    days.map(|days| now_us() + i64::from(days) * DAY_US)
}

fn secret(token: &str) -> String {
    random::hex(&Sha256::digest(token))
}

/// Makes a token; its text is told this once.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn add(
    tx: &dyn Tx,
    user: i64,
    name: &str,
    level: Level,
    expires_us: Option<i64>,
) -> Result<(i64, String), DatabaseError> {
    let token = format!("{PREFIX}{}", random::hex(&random::bytes::<20>()));
    let sql = "INSERT INTO access_tokens (user_id, name, secret, level, created_us, expires_us)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";
    let row = tx.row(
        sql,
        values![
            user,
            name,
            secret(&token),
            level.to_string(),
            now_us(),
            expires_us
        ],
    )?;
    let id = row.map_or(Ok(0), |row| row.integer(0))?;
    Ok((id, token))
}

/// A token that is still good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub user: i64,
    /// What it may do at most.
    pub level: Level,
    /// Whether its last use should be noted again.
    pub is_stale: bool,
}

/// What a token's text means, if it is still good.
///
/// # Errors
/// As [`add`].
pub fn find(tx: &dyn Tx, token: &str) -> Result<Option<Known>, DatabaseError> {
    let now = now_us();
    let sql = "SELECT id, user_id, level, coalesce(used_us, 0) FROM access_tokens
      WHERE secret = ?1 AND (expires_us IS NULL OR expires_us > ?2)";
    let row = tx.row(sql, values![secret(token), now])?;
    row.map(|row| {
        Ok(Known {
            id: row.integer(0)?,
            user: row.integer(1)?,
            level: row.parsed(2, "a level")?,
            is_stale: row.integer(3)? < now - USED_GRAIN_US,
        })
    })
    .transpose()
}

/// Notes that a token was used.
///
/// # Errors
/// As [`add`].
pub fn note_use(tx: &dyn Tx, id: i64) -> Result<(), DatabaseError> {
    let sql = "UPDATE access_tokens SET used_us = ?2 WHERE id = ?1";
    tx.execute(sql, values![id, now_us()]).map(|_| ())
}

/// A user's tokens, the oldest first; browsers that are signed in are none.
///
/// # Errors
/// As [`add`].
pub fn of_user(tx: &dyn Tx, user: i64) -> Result<Vec<AccessToken>, DatabaseError> {
    let sql = "SELECT id, name, level, created_us, expires_us, used_us FROM access_tokens
      WHERE user_id = ?1 AND secret NOT LIKE 'session:%' ORDER BY id";
    let rows = tx.rows(sql, values![user])?;
    rows.iter()
        .map(|row| {
            Ok(AccessToken {
                id: row.integer(0)?,
                name: row.text(1)?,
                level: row.parsed(2, "a level")?,
                created_us: row.integer(3)?,
                expires_us: row.maybe_integer(4)?,
                used_us: row.maybe_integer(5)?,
            })
        })
        .collect()
}

/// Removes a user's token; false if there is none of that number.
///
/// # Errors
/// As [`add`].
pub fn remove(tx: &dyn Tx, user: i64, id: i64) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM access_tokens WHERE id = ?1 AND user_id = ?2";
    Ok(tx.execute(sql, values![id, user])? > 0)
}
