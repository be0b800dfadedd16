//! Repositories: who sees them, what their owners say of them, how much they hold.

use shiplap_model::limits;
use shiplap_model::reference::Problem;
use shiplap_model::reference::grammar::{self};

use super::namespaces::{self, Kind, OFFICIAL};
use super::{now_us, reviews, search};
use crate::authorization::{Place, User};
use crate::database::{DatabaseError, Row, Tx};
use crate::retention::Rules;
use crate::values;

/// The whole name of a repository: two components or more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name; one without a slash is an official image's, as on Docker Hub.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let whole = if text.contains('/') {
            text.to_owned()
        } else {
            format!("{OFFICIAL}/{text}")
        };
        grammar::check_path(&whole)?;
        Ok(Self(whole))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first slash.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(first, _)| first)
    }

    /// What stands behind it.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }
}

/// A repository's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its number.
    pub id: i64,
    /// Its whole name.
    pub name: String,
    /// Whether only those with a role see it.
    pub is_private: bool,
    /// What its owner says of it, in a line.
    pub description: String,
    /// What its owner says of it, in Markdown.
    pub readme: String,
    /// Which tags are kept, as JSON; all, if nothing is said.
    pub retention: Option<String>,
    /// How many users like it.
    pub stars: u64,
    /// How often a manifest of it was got.
    pub pulls: u64,
    /// Bytes of its blobs.
    pub used_bytes: u64,
    /// Since when it is there.
    pub created_us: i64,
    /// When it was pushed to or changed last.
    pub updated_us: i64,
}

const COLUMNS: &str = "r.id, r.name, r.is_private, r.description, r.readme, r.retention, r.stars,
  r.pulls, r.used_bytes, r.created_us, r.updated_us";

fn repository(row: &Row) -> Result<Repository, DatabaseError> {
    Ok(Repository {
        id: row.integer(0)?,
        name: row.text(1)?,
        is_private: row.flag(2)?,
        description: row.text(3)?,
        readme: row.text(4)?,
        retention: row.maybe_text(5)?,
        stars: row.size(6)?,
        pulls: row.size(7)?,
        used_bytes: row.size(8)?,
        created_us: row.integer(9)?,
        updated_us: row.integer(10)?,
    })
}

/// What authorisation needs to know of a name for this user.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn place(tx: &dyn Tx, name: &Name, user: Option<&User>) -> Result<Place, DatabaseError> {
    let sql = "SELECT n.kind, r.id, r.is_private, m.role FROM namespaces n
      LEFT JOIN repositories r ON r.name = ?1
      LEFT JOIN members m ON m.organisation = n.name AND m.user_id = ?3
      WHERE n.name = ?2";
    let namespace = name.namespace();
    let row = tx.row(
        sql,
        values![name.as_str(), namespace, user.map(|user| user.id)],
    )?;
    let Some(row) = row else {
        return Ok(Place {
            name: name.as_str().to_owned(),
            repository: None,
            is_private: false,
            role: None,
            has_namespace: false,
            is_mirror: false,
        });
    };
    let kind: Kind = row.parsed(0, "a kind of namespace")?;
    let given = row.maybe_text(3)?.map(|_| row.parsed(3, "a role"));
    let role = namespaces::role(kind, namespace, given.transpose()?, user);
    Ok(Place {
        name: name.as_str().to_owned(),
        repository: row.maybe_integer(1)?,
        is_private: row.maybe_integer(2)? == Some(1),
        role,
        has_namespace: true,
        is_mirror: kind == Kind::Mirror,
    })
}

/// The number of a repository, made if it is not there. Its namespace must be.
///
/// # Errors
/// As [`place`].
pub fn ensure(tx: &dyn Tx, name: &Name, is_private: bool) -> Result<i64, DatabaseError> {
    let sql = "SELECT id FROM repositories WHERE name = ?1";
    if let Some(row) = tx.row(sql, values![name.as_str()])? {
        return row.integer(0);
    }
    let sql = "INSERT INTO repositories (name, namespace, is_private, created_us, updated_us)
      VALUES (?1, ?2, ?3, ?4, ?4) RETURNING id";
    let made = values![name.as_str(), name.namespace(), is_private, now_us()];
    let id = tx.row(sql, made)?.map_or(Ok(0), |row| row.integer(0))?;
    search::renew(tx, id)?;
    Ok(id)
}

/// A repository by name.
///
/// # Errors
/// As [`place`].
pub fn by_name(tx: &dyn Tx, name: &Name) -> Result<Option<Repository>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM repositories r WHERE r.name = ?1");
    tx.row(&sql, values![name.as_str()])?
        .map(|row| repository(&row))
        .transpose()
}

/// A condition on `r` that holds for what `user` (`?1`, `?2` being number and name) may see.
pub(crate) const VISIBLE: &str = "(r.is_private = 0 OR r.namespace = ?2 OR EXISTS
  (SELECT 1 FROM members m WHERE m.organisation = r.namespace AND m.user_id = ?1))";

/// Repositories after `last` that a user may see, by name; all of them for one who runs the hub.
///
/// # Errors
/// As [`place`].
pub fn visible(
    tx: &dyn Tx,
    user: Option<&User>,
    namespace: Option<&str>,
    last: &str,
    most: u64,
) -> Result<Vec<Repository>, DatabaseError> {
    let condition = if user.is_some_and(|user| user.is_admin) {
        "(?1 = ?1 OR ?2 = ?2 OR 1 = 1)"
    } else {
        VISIBLE
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM repositories r WHERE {condition} AND r.name > ?3
          AND (r.namespace = ?5 OR ?5 IS NULL) ORDER BY r.name LIMIT ?4"
    );
    let (id, name) = (
        user.map(|user| user.id),
        user.map(|user| user.name.as_str()),
    );
    let rows = tx.rows(&sql, values![id, name, last, most, namespace])?;
    rows.iter().map(repository).collect()
}

/// Every repository, by name.
///
/// # Errors
/// As [`place`].
pub fn all(tx: &dyn Tx) -> Result<Vec<Repository>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM repositories r ORDER BY r.name");
    tx.rows(&sql, &[])?.iter().map(repository).collect()
}

/// What is to be changed of a repository; what is not said stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether only those with a role see it.
    pub is_private: Option<bool>,
    /// The line on it.
    pub description: Option<String>,
    /// The README.
    pub readme: Option<String>,
    /// Which tags are kept; rules that say nothing keep all.
    pub retention: Option<Rules>,
}

/// Changes a repository. Texts beyond their bounds are the caller's to refuse.
///
/// # Errors
/// As [`place`].
pub fn change(tx: &dyn Tx, id: i64, change: &Change) -> Result<(), DatabaseError> {
    let set = |sql: &str, value: crate::database::Value| tx.execute(sql, &[id.into(), value]);
    if let Some(is_private) = change.is_private {
        set(
            "UPDATE repositories SET is_private = ?2 WHERE id = ?1",
            is_private.into(),
        )?;
    }
    if let Some(text) = &change.description {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        debug_assert!(text.len() <= limits::DESCRIPTION_BYTES);
        set(
            "UPDATE repositories SET description = ?2 WHERE id = ?1",
            text.into(),
        )?;
    }
    if let Some(text) = &change.readme {
        set(
            "UPDATE repositories SET readme = ?2 WHERE id = ?1",
            text.into(),
        )?;
    }
    if let Some(rules) = &change.retention {
        let text = serde_json::to_string(rules).ok();
        set(
            "UPDATE repositories SET retention = ?2 WHERE id = ?1",
            text.filter(|_| !rules.is_empty()).into(),
        )?;
        reviews::of_repository(tx, id, now_us())?;
    }
    touch(tx, id)?;
    search::renew(tx, id)
}

/// The rules by which a repository keeps tags, if it has some.
///
/// # Errors
/// As [`place`].
pub fn retention(tx: &dyn Tx, id: i64) -> Result<Option<Rules>, DatabaseError> {
    let sql = "SELECT r.retention, n.kind FROM repositories r
      JOIN namespaces n ON n.name = r.namespace WHERE r.id = ?1";
    let Some(row) = tx.row(sql, values![id])? else {
        return Ok(None);
    };
    let is_mirror = row.parsed::<Kind>(1, "a kind of namespace")? == Kind::Mirror;
    // Rules that can't be read keep everything.
    let rules = match row.maybe_text(0)? {
        None => is_mirror.then(Rules::of_mirror),
        Some(text) => serde_json::from_str(&text).ok(),
    };
    Ok(rules.filter(|rules: &Rules| !rules.is_empty()))
}

/// Notes that something about a repository is new.
///
/// # Errors
/// As [`place`].
pub fn touch(tx: &dyn Tx, id: i64) -> Result<(), DatabaseError> {
    let sql = "UPDATE repositories SET updated_us = ?2 WHERE id = ?1";
    tx.execute(sql, values![id, now_us()]).map(|_| ())
}

/// Sets the labels that are searched.
///
/// # Errors
/// As [`place`].
pub fn set_labels(tx: &dyn Tx, id: i64, labels: &str) -> Result<(), DatabaseError> {
    let sql = "UPDATE repositories SET labels = ?2 WHERE id = ?1 AND labels <> ?2";
    if tx.execute(sql, values![id, labels])? > 0 {
        search::renew(tx, id)?;
    }
    Ok(())
}

/// Adds to the number of pulls.
///
/// # Errors
/// As [`place`].
pub fn add_pulls(tx: &dyn Tx, id: i64, count: u64) -> Result<(), DatabaseError> {
    let sql = "UPDATE repositories SET pulls = pulls + ?2 WHERE id = ?1";
    tx.execute(sql, values![id, count]).map(|_| ())
}

/// Marks a repository as liked by a user, or no longer.
///
/// # Errors
/// As [`place`].
pub fn star(tx: &dyn Tx, id: i64, user: i64, likes: bool) -> Result<(), DatabaseError> {
    let changed = if likes {
        let sql = "INSERT INTO stars (repository, user_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        tx.execute(sql, values![id, user])?
    } else {
        let sql = "DELETE FROM stars WHERE repository = ?1 AND user_id = ?2";
        tx.execute(sql, values![id, user])?
    };
    if changed > 0 {
        let sql = "UPDATE repositories SET stars =
          (SELECT count(*) FROM stars WHERE repository = ?1) WHERE id = ?1";
        tx.execute(sql, values![id])?;
    }
    Ok(())
}

/// Whether a user likes a repository.
///
/// # Errors
/// As [`place`].
pub fn is_starred(tx: &dyn Tx, id: i64, user: i64) -> Result<bool, DatabaseError> {
    let sql = "SELECT count(*) FROM stars WHERE repository = ?1 AND user_id = ?2";
    Ok(tx.number(sql, values![id, user])? > 0)
}

/// Removes a repository with all that is in it; its blobs are looked at again later.
///
/// # Errors
/// As [`place`].
pub fn remove(tx: &dyn Tx, id: i64) -> Result<(), DatabaseError> {
    let due = now_us();
    tx.execute(
        "INSERT INTO blob_reviews (digest, due_us)
          SELECT digest, ?2 FROM repository_blobs WHERE repository = ?1 ON CONFLICT DO NOTHING",
        values![id, due],
    )?;
    search::forget(tx, id)?;
    for sql in [
        "DELETE FROM tags WHERE repository = ?1",
        "DELETE FROM manifests WHERE repository = ?1",
        "DELETE FROM repository_blobs WHERE repository = ?1",
        "DELETE FROM repository_reviews WHERE repository = ?1",
        "DELETE FROM repositories WHERE id = ?1",
    ] {
        tx.execute(sql, values![id])?;
    }
    Ok(())
}

/// Makes sure that the namespace of official images is there.
///
/// # Errors
/// As [`place`].
pub fn ensure_official(tx: &dyn Tx) -> Result<(), DatabaseError> {
    namespaces::add(tx, OFFICIAL, Kind::Official).map(|_| ())
}
