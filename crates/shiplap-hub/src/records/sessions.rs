//! Browsers that are signed in: each has a secret, kept as a hash, that ends by itself.
//!
//! They lie beside access tokens, with a mark before the hash, so that neither is ever taken for the
//! other: a session is no password, and a token no cookie.

use sha2::{Digest as _, Sha256};

use super::now_us;
use crate::authorization::Level;
use crate::database::{DatabaseError, Tx};
use crate::random;
use crate::values;

/// What every session's secret begins with.
pub const PREFIX: &str = "sls_";

/// Most browsers that a user is signed in with; the oldest is signed out.
const MOST: u64 = 50;

fn kept(secret: &str) -> String {
    format!("session:{}", random::hex(&Sha256::digest(secret)))
}

/// Signs a browser in; the secret that its cookie holds.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn add(
    tx: &dyn Tx,
    user: i64,
    level: Level,
    browser: &str,
    expires_us: i64,
) -> Result<String, DatabaseError> {
    let now = now_us();
    let sql = "DELETE FROM access_tokens WHERE user_id = ?1 AND secret LIKE 'session:%'
      AND (expires_us <= ?2 OR id NOT IN (SELECT id FROM access_tokens
        WHERE user_id = ?1 AND secret LIKE 'session:%' ORDER BY id DESC LIMIT ?3))";
    tx.execute(sql, values![user, now, MOST - 1])?;
    let secret = format!("{PREFIX}{}", random::hex(&random::bytes::<20>()));
    let sql = "INSERT INTO access_tokens (user_id, name, secret, level, created_us, expires_us)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = values![
        user,
        browser,
        kept(&secret),
        level.to_string(),
        now,
        expires_us
    ];
    tx.execute(sql, values)?;
    Ok(secret)
}

/// A session that is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Whose it is.
    pub user: i64,
    /// What it may do at most.
    pub level: Level,
}

/// What a cookie's secret means, if it is still good.
///
/// # Errors
/// As [`add`].
pub fn find(tx: &dyn Tx, secret: &str) -> Result<Option<Known>, DatabaseError> {
    let sql = "SELECT user_id, level FROM access_tokens WHERE secret = ?1 AND expires_us > ?2";
    let row = tx.row(sql, values![kept(secret), now_us()])?;
    row.map(|row| {
        Ok(Known {
            user: row.integer(0)?,
            level: row.parsed(1, "a level")?,
        })
    })
    .transpose()
}

/// Signs a browser out; false if it wasn't signed in.
///
/// # Errors
/// As [`add`].
pub fn remove(tx: &dyn Tx, secret: &str) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM access_tokens WHERE secret = ?1";
    Ok(tx.execute(sql, values![kept(secret)])? > 0)
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number, by which it is signed out as an access token is revoked.
    pub id: i64,
    /// What it says that it is.
    pub browser: String,
    /// Since when it is signed in.
    pub created_us: i64,
    /// Whether its secret is the one that was given.
    pub is_this: bool,
}

/// A user's browsers, the newest first.
///
/// # Errors
/// As [`add`].
pub fn of_user(tx: &dyn Tx, user: i64, secret: &str) -> Result<Vec<Session>, DatabaseError> {
    let sql = "SELECT id, name, created_us, secret FROM access_tokens
      WHERE user_id = ?1 AND secret LIKE 'session:%' AND expires_us > ?2 ORDER BY id DESC";
    let this = kept(secret);
    let rows = tx.rows(sql, values![user, now_us()])?;
    rows.iter()
        .map(|row| {
            Ok(Session {
                id: row.integer(0)?,
                browser: row.text(1)?,
                created_us: row.integer(2)?,
                is_this: row.text(3)? == this,
            })
        })
        .collect()
}

/// Signs all browsers of a user out: the password changed.
///
/// # Errors
/// As [`add`].
pub fn remove_all(tx: &dyn Tx, user: &str) -> Result<(), DatabaseError> {
    let sql = "DELETE FROM access_tokens WHERE secret LIKE 'session:%'
      AND user_id IN (SELECT id FROM users WHERE name = ?1)";
    tx.execute(sql, values![user]).map(|_| ())
}
