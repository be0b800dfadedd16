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

/// Most repositories that are ranked by their words. Of more, the best known come first: the words tell
/// nothing apart then, and ranking all of them would take long.
const RANKED: u64 = 5_000;

/// Official images first, then what is liked and pulled most; there is an index of this order.
const FAME: &str = "(r.namespace = 'library') DESC, r.stars DESC, r.pulls DESC, r.name";

/// Finds repositories that `user` may see; every one of them if `text` has no word in it. Beyond
/// some thousand results the count is that bound.
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
    let words = expression(text);
    let is_narrow = match &words {
        None => false,
        Some(words) => {
            let sql = "SELECT count(*) FROM
              (SELECT 1 FROM search WHERE search MATCH ?1 LIMIT ?2)";
            tx.number(sql, values![words, RANKED + 1])? <= RANKED
        }
    };
    let fits = if words.is_some() {
        // The plus keeps the order of fame leading: the first that fit are enough.
        "+r.id IN (SELECT rowid FROM search WHERE search MATCH ?3)"
    } else {
        "(1 = 1 OR ?3 = ?3)"
    };
    // Names count most, then descriptions; ranks are rounded, so that among those that fit about as
    // well the best known come first.
    let (from, order) = if is_narrow {
        let from = "(SELECT rowid, bm25(search, 20.0, 4.0, 2.0, 1.0) AS rank FROM search
            WHERE search MATCH ?3) s JOIN repositories r ON r.id = s.rowid"
            .to_owned();
        let exact = "(r.name = 'library/' || ?6 OR r.name = ?6) DESC, round(s.rank)";
        (
            format!("{from} WHERE {visible}"),
            format!("{exact}, {FAME}"),
        )
    } else {
        let from = format!("repositories r WHERE {visible} AND {fits}");
        (from, FAME.to_owned())
    };
    let page = format!(
        "SELECT r.name, r.description, r.stars, r.pulls, r.is_private, r.updated_us FROM {from}
          AND (?6 = ?6 OR 1 = 1) ORDER BY {order} LIMIT ?4 OFFSET ?5"
    );
    let (id, name) = (
        user.map(|user| user.id),
        user.map(|user| user.name.as_str()),
    );
    let wanted = words.clone().unwrap_or_default();
    let rows = tx.rows(
        &page,
        values![id, name, wanted.as_str(), most, skip, text.trim()],
    )?;
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
    let found = found.collect::<Result<_, DatabaseError>>()?;
    let count = if words.is_some() && !is_narrow {
        RANKED
    } else {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT ?4)");
        tx.number(&sql, values![id, name, wanted, RANKED])?
    };
    Ok(Page { found, count })
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
