//! What pages list: the best known repositories, those of a namespace, those that a user may push to,
//! those that a user likes. Each in order, a page at a time, without READMEs.

use super::repositories::VISIBLE;
use super::search::{Found, Page, found};
use crate::authorization::{Role, User};
use crate::database::{DatabaseError, Row, Tx};
use crate::values;

/// Columns of [`found`], then those of the query.
const COLUMNS: &str = "r.name, r.description, r.stars, r.pulls, r.is_private, r.updated_us";

/// What `user`, whose number and name are `?1` and `?2`, may see.
fn visible(user: Option<&User>) -> &'static str {
    if user.is_some_and(|user| user.is_admin) {
        "(1 = 1 OR ?1 = 0 OR ?2 = '')"
    } else {
        VISIBLE
    }
}

fn all(rows: &[Row]) -> Result<Vec<Found>, DatabaseError> {
    rows.iter().map(found).collect()
}

/// The best known repositories that `user` may see: official images, or what the users and
/// organisations of this hub have.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn famous(
    tx: &dyn Tx,
    user: Option<&User>,
    is_official: bool,
    most: u64,
) -> Result<Vec<Found>, DatabaseError> {
    let kinds = if is_official {
        "r.namespace = 'library'"
    } else {
        "r.namespace <> 'library' AND r.namespace NOT IN
          (SELECT n.name FROM namespaces n WHERE n.kind = 'mirror')"
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM repositories r WHERE {} AND {kinds}
          ORDER BY (r.namespace = 'library') DESC, r.stars DESC, r.pulls DESC, r.name LIMIT ?3",
        visible(user)
    );
    let (id, name) = (
        user.map(|user| user.id),
        user.map(|user| user.name.as_str()),
    );
    all(&tx.rows(&sql, values![id, name, most])?)
}

/// Repositories of a namespace that `user` may see, the best known first.
///
/// # Errors
/// As [`famous`].
pub fn of_namespace(
    tx: &dyn Tx,
    user: Option<&User>,
    namespace: &str,
    skip: u64,
    most: u64,
) -> Result<Page, DatabaseError> {
    let from = format!(
        "repositories r WHERE {} AND r.namespace = ?3",
        visible(user)
    );
    let sql = format!(
        "SELECT {COLUMNS} FROM {from}
          ORDER BY r.stars DESC, r.pulls DESC, r.name LIMIT ?4 OFFSET ?5"
    );
    let (id, name) = (
        user.map(|user| user.id),
        user.map(|user| user.name.as_str()),
    );
    let found = all(&tx.rows(&sql, values![id, name, namespace, most, skip])?)?;
    let sql = format!("SELECT count(*) FROM {from}");
    let count = tx.number(&sql, values![id, name, namespace])?;
    Ok(Page { found, count })
}

/// Repositories in namespaces where a user has a role, the newest first, each with whether the user
/// owns it; and how many there are.
///
/// # Errors
/// As [`famous`].
pub fn of_user(
    tx: &dyn Tx,
    user: &User,
    skip: u64,
    most: u64,
) -> Result<(Vec<(Found, bool)>, u64), DatabaseError> {
    const FROM: &str = "repositories r WHERE r.namespace IN (
      SELECT n.name FROM namespaces n WHERE n.name = ?2
      UNION SELECT m.organisation FROM members m WHERE m.user_id = ?1)";
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT m.role FROM members m
            WHERE m.organisation = r.namespace AND m.user_id = ?1)
          FROM {FROM} ORDER BY r.updated_us DESC, r.name LIMIT ?3 OFFSET ?4"
    );
    let name = user.name.as_str();
    let rows = tx.rows(&sql, values![user.id, name, most, skip])?;
    let owned = |row: &Row| {
        let is_owner = match row.maybe_text(6)? {
            None => true,
            Some(_) => row.parsed::<Role>(6, "a role")? == Role::Owner,
        };
        Ok((found(row)?, is_owner || user.is_admin))
    };
    let listed = rows
        .iter()
        .map(owned)
        .collect::<Result<_, DatabaseError>>()?;
    let sql = format!("SELECT count(*) FROM {FROM}");
    Ok((listed, tx.number(&sql, values![user.id, name])?))
}

/// Repositories that a user likes, as far as the user may still see them, by name.
///
/// # Errors
/// As [`famous`].
pub fn starred(tx: &dyn Tx, user: &User, skip: u64, most: u64) -> Result<Page, DatabaseError> {
    let from = format!(
        "stars s JOIN repositories r ON r.id = s.repository WHERE s.user_id = ?3 AND {}",
        visible(Some(user))
    );
    let sql = format!("SELECT {COLUMNS} FROM {from} ORDER BY r.name LIMIT ?4 OFFSET ?5");
    let name = user.name.as_str();
    let found = all(&tx.rows(&sql, values![user.id, name, user.id, most, skip])?)?;
    let sql = format!("SELECT count(*) FROM {from}");
    let count = tx.number(&sql, values![user.id, name, user.id])?;
    Ok(Page { found, count })
}

/// Organisations in which a user has a role, by name.
///
/// # Errors
/// As [`famous`].
pub fn organisations(tx: &dyn Tx, user: i64) -> Result<Vec<(String, Role)>, DatabaseError> {
    let sql = "SELECT organisation, role FROM members WHERE user_id = ?1 ORDER BY organisation";
    let rows = tx.rows(sql, values![user])?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.parsed(1, "a role")?)))
        .collect()
}
