//! Users. A user's name is a namespace, too.

use super::namespaces::{self, Kind};
use super::{now_us, sessions};
use crate::authorization::{Level, User};
use crate::database::{DatabaseError, Row, Tx};
use crate::values;

/// A user's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The hash of its password.
    pub password: String,
    /// Whether it runs the hub.
    pub is_admin: bool,
    /// Whether it may not sign in.
    pub is_disabled: bool,
    /// Since when it is there.
    pub created_us: i64,
}

impl Account {
    /// The user with a credential of this level.
    #[must_use]
    pub fn user(self, level: Level) -> User {
        User {
            id: self.id,
            name: self.name,
            is_admin: self.is_admin,
            level,
        }
    }
}

const COLUMNS: &str = "id, name, password, is_admin, is_disabled, created_us";

fn account(row: &Row) -> Result<Account, DatabaseError> {
    Ok(Account {
        id: row.integer(0)?,
        name: row.text(1)?,
        password: row.text(2)?,
        is_admin: row.flag(3)?,
        is_disabled: row.flag(4)?,
        created_us: row.integer(5)?,
    })
}

/// Adds a user with a hashed password; none if the name is taken.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn add(
    tx: &dyn Tx,
    name: &str,
    password: &str,
    is_admin: bool,
) -> Result<Option<i64>, DatabaseError> {
    if !namespaces::add(tx, name, Kind::User)? {
        return Ok(None);
    }
    let sql = "INSERT INTO users (name, password, is_admin, is_disabled, created_us)
      VALUES (?1, ?2, ?3, 0, ?4) RETURNING id";
    let row = tx.row(sql, values![name, password, is_admin, now_us()])?;
    row.map(|row| row.integer(0)).transpose()
}

/// A user by name.
///
/// # Errors
/// As [`add`].
pub fn by_name(tx: &dyn Tx, name: &str) -> Result<Option<Account>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE name = ?1");
    tx.row(&sql, values![name])?
        .map(|row| account(&row))
        .transpose()
}

/// A user by number.
///
/// # Errors
/// As [`add`].
pub fn by_id(tx: &dyn Tx, id: i64) -> Result<Option<Account>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
    tx.row(&sql, values![id])?
        .map(|row| account(&row))
        .transpose()
}

/// Every user, by name.
///
/// # Errors
/// As [`add`].
pub fn all(tx: &dyn Tx) -> Result<Vec<Account>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM users ORDER BY name");
    tx.rows(&sql, &[])?.iter().map(account).collect()
}

/// Sets the hash of a user's password, and signs the user's browsers out; tokens that were made with
/// the old one are good until they end.
///
/// # Errors
/// As [`add`].
pub fn set_password(tx: &dyn Tx, name: &str, password: &str) -> Result<bool, DatabaseError> {
    sessions::remove_all(tx, name)?;
    let sql = "UPDATE users SET password = ?2 WHERE name = ?1";
    Ok(tx.execute(sql, values![name, password])? > 0)
}

/// Makes a user one who runs the hub, or no longer.
///
/// # Errors
/// As [`add`].
pub fn set_admin(tx: &dyn Tx, name: &str, is_admin: bool) -> Result<bool, DatabaseError> {
    let sql = "UPDATE users SET is_admin = ?2 WHERE name = ?1";
    Ok(tx.execute(sql, values![name, is_admin])? > 0)
}

/// Keeps a user out, or lets the user in again.
///
/// # Errors
/// As [`add`].
pub fn set_disabled(tx: &dyn Tx, name: &str, is_disabled: bool) -> Result<bool, DatabaseError> {
    let sql = "UPDATE users SET is_disabled = ?2 WHERE name = ?1";
    Ok(tx.execute(sql, values![name, is_disabled])? > 0)
}

/// Removes a user who has no repositories; false if there are some, or no such user.
///
/// # Errors
/// As [`add`].
pub fn remove(tx: &dyn Tx, name: &str) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM users WHERE name = ?1
      AND NOT EXISTS (SELECT 1 FROM repositories WHERE namespace = ?1)";
    if tx.execute(sql, values![name])? == 0 {
        return Ok(false);
    }
    tx.execute("DELETE FROM namespaces WHERE name = ?1", values![name])?;
    Ok(true)
}
