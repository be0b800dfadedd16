//! Searching repositories: full text over name, description, labels and README.
//!
//! The one place whose SQL is a database's own (SQLite's FTS5).

use super::repositories::VISIBLE;
use crate::authorization::User;
use crate::database::{DatabaseError, Tx};
use crate::values;

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its whole name.
    pub name: String,
    /// The line on it.
    pub description: String,
    /// How many users like it.
    pub stars: u64,
    /// How often it was pulled.
    pub pulls: u64,
    /// Whether only some see it.
    pub is_private: bool,
    /// When it changed last.
    pub updated_us: i64,
}

/// Puts what a repository says of itself into the index anew.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn renew(tx: &dyn Tx, repository: i64) -> Result<(), DatabaseError> {
    tx.execute("DELETE FROM search WHERE rowid = ?1", values![repository])?;
    let sql = "INSERT INTO search (rowid, name, description, labels, readme)
      SELECT id, replace(name, '/', ' '), description, labels, readme FROM repositories
      WHERE id = ?1";
    tx.execute(sql, values![repository]).map(|_| ())
}

/// What was found on one page, and how much there is in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The page's, best first.
    pub found: Vec<Found>,
    /// All that a user may see.
    pub count: u64,
}

/// Most results that are counted and ranked; a term that fits more is no use to anybody.
const RANKED: u64 = 10_000;

/// Finds repositories that `user` may see; every one of them if `text` has no word in it.
///
/// # Errors
/// As [`renew`].
pub fn find(
    tx: &dyn Tx,
    user: Option<&User>,
    text: &str,
    skip: u64,
    most: u64,
) -> Result<Page, DatabaseError> {
    let visible = if user.is_some_and(|user| user.is_admin) {
        "(1 = 1 OR ?1 = ?2)"
    } else {
        VISIBLE
    };
    let (id, name) = (
        user.map(|user| user.id),
        user.map(|user| user.name.as_str()),
    );
    let (from, order) = match expression(text) {
        // Names count most, then descriptions. Official images and liked ones come first among
        // those that fit as well: ranks are rounded for that.
        Some(_) => (
            "(SELECT rowid, bm25(search, 20.0, 4.0, 2.0, 1.0) AS rank FROM search
                WHERE search MATCH ?3 ORDER BY rank LIMIT ?6) s
              JOIN repositories r ON r.id = s.rowid",
            "(r.name = 'library/' || ?7 OR r.name = ?7) DESC, round(s.rank),
              (r.namespace = 'library') DESC, r.stars DESC, r.pulls DESC, r.name",
        ),
        None => (
            "repositories r",
            "(r.namespace = 'library') DESC, r.stars DESC, r.pulls DESC, r.name",
        ),
    };
    let words = expression(text);
    let page = format!(
        "SELECT r.name, r.description, r.stars, r.pulls, r.is_private, r.updated_us
          FROM {from} WHERE {visible} AND (?3 = ?3 OR ?6 = ?6 OR ?7 = ?7)
          ORDER BY {order} LIMIT ?4 OFFSET ?5"
    );
    let count = format!(
        "SELECT count(*) FROM {from}
          WHERE {visible} AND (?3 = ?3 OR ?6 = ?6 OR ?4 = ?5 OR ?7 = ?7)"
    );
    let values = values![
        id,
        name,
        words.unwrap_or_default(),
        most,
        skip,
        RANKED,
        text.trim()
    ];
    let rows = tx.rows(&page, values)?;
    let found = rows.iter().map(|row| {
        Ok(Found {
            name: row.text(0)?,
            description: row.text(1)?,
            stars: row.size(2)?,
            pulls: row.size(3)?,
            is_private: row.flag(4)?,
            updated_us: row.integer(5)?,
        })
    });
    Ok(Page {
        found: found.collect::<Result<_, DatabaseError>>()?,
        count: tx.number(&count, values)?,
    })
}

/// The text as FTS5 takes it: each word quoted, the beginning of a word will do. None if it has
/// no word.
fn expression(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .take(16)
        .map(|word| format!("\"{word}\"*"))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}
