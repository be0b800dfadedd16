//! Searching repositories: full text over name, description, labels and README.
//!
//! The one place whose SQL is each database's own: SQLite's FTS5, PostgreSQL's text search. Both take
//! the same words, and find what has words that begin with them.

use super::repositories::VISIBLE;
use crate::authorization::User;
use crate::database::{DatabaseError, Dialect, Row, Tx};
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

/// A repository from the first six columns of a row: name, description, stars, pulls, whether it is
/// private, and when it changed.
pub(crate) fn found(row: &Row) -> Result<Found, DatabaseError> {
    Ok(Found {
        name: row.text(0)?,
        description: row.text(1)?,
        stars: row.size(2)?,
        pulls: row.size(3)?,
        is_private: row.flag(4)?,
        updated_us: row.integer(5)?,
    })
}

/// What a database calls the same thing.
struct Words {
    /// A condition on `s`, a row of the index, that holds for what fits `?3`.
    fits: &'static str,
    /// The column of `s` that tells the repository.
    id: &'static str,
    /// How well a row fits, the smaller the better.
    rank: &'static str,
}

/// Names count most, then descriptions. FTS5 takes its table's name for the whole row, and wants no
/// other name for it.
const SQLITE: Words = Words {
    fits: "search MATCH ?3",
    id: "rowid",
    rank: "round(bm25(search, 20.0, 4.0, 2.0, 1.0))",
};
const POSTGRES: Words = Words {
    fits: "words @@ to_tsquery('simple', ?3)",
    id: "repository",
    rank: "round(-10 * ts_rank('{0.05, 0.1, 0.2, 1.0}', words, to_tsquery('simple', ?3)))",
};

fn words(tx: &dyn Tx) -> &'static Words {
    match tx.dialect() {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    }
}

/// Puts what a repository says of itself into the index anew.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn renew(tx: &dyn Tx, repository: i64) -> Result<(), DatabaseError> {
    forget(tx, repository)?;
    if tx.dialect() == Dialect::Sqlite {
        let sql = "INSERT INTO search (rowid, name, description, labels, readme)
          SELECT id, replace(name, '/', ' '), description, labels, readme FROM repositories
          WHERE id = ?1";
        return tx.execute(sql, values![repository]).map(|_| ());
    }
    let sql = "SELECT name, description, labels, readme FROM repositories WHERE id = ?1";
    let Some(row) = tx.row(sql, values![repository])? else {
        return Ok(());
    };
    let column = |at: usize| row.text(at).map(|text| split(&text).join(" "));
    let sql = "INSERT INTO search (repository, words) VALUES (?1,
      setweight(to_tsvector('simple', ?2), 'A') || setweight(to_tsvector('simple', ?3), 'B') ||
      setweight(to_tsvector('simple', ?4), 'C') || setweight(to_tsvector('simple', ?5), 'D'))";
    let values = values![repository, column(0)?, column(1)?, column(2)?, column(3)?];
    tx.execute(sql, values).map(|_| ())
}

/// Takes a repository from the index.
///
/// # Errors
/// As [`renew`].
pub fn forget(tx: &dyn Tx, repository: i64) -> Result<(), DatabaseError> {
    let sql = format!("DELETE FROM search WHERE {} = ?1", words(tx).id);
    tx.execute(&sql, values![repository]).map(|_| ())
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
        "(1 = 1 OR ?1 = ?1 OR ?2 = ?2)"
    } else {
        VISIBLE
    };
    let Words { fits, id, rank } = words(tx);
    let expression = expression(tx.dialect(), text);
    let is_narrow = match &expression {
        None => false,
        Some(expression) => {
            let fits = fits.replace("?3", "?1");
            let sql =
                format!("SELECT count(*) FROM (SELECT 1 FROM search WHERE {fits} LIMIT ?2) few");
            tx.number(&sql, values![expression, RANKED + 1])? <= RANKED
        }
    };
    // Ranks are rounded, so that among those that fit about as well the best known come first.
    let (from, order) = if is_narrow {
        let exact = "(r.name = 'library/' || ?6 OR r.name = ?6) DESC, s.rank";
        (
            format!(
                "(SELECT {id} AS id, {rank} AS rank FROM search WHERE {fits}) s
                  JOIN repositories r ON r.id = s.id WHERE {visible}"
            ),
            format!("{exact}, {FAME}"),
        )
    } else if expression.is_some() {
        // The plus keeps the order of fame leading: the first that fit are enough.
        let fits = format!("+r.id IN (SELECT {id} FROM search WHERE {fits})");
        (
            format!("repositories r WHERE {visible} AND {fits}"),
            FAME.to_owned(),
        )
    } else {
        let from = format!("repositories r WHERE {visible} AND (1 = 1 OR ?3 = ?3)");
        (from, FAME.to_owned())
    };
    let page = format!(
        "SELECT r.name, r.description, r.stars, r.pulls, r.is_private, r.updated_us FROM {from}
          AND (?6 = ?6 OR 1 = 1) ORDER BY {order} LIMIT ?4 OFFSET ?5"
    );
    let (number, name) = (
        user.map(|user| user.id),
        user.map(|user| user.name.as_str()),
    );
    let wanted = expression.clone().unwrap_or_default();
    let rows = tx.rows(
        &page,
        values![number, name, wanted.as_str(), most, skip, text.trim()],
    )?;
    let found = rows.iter().map(found).collect::<Result<_, _>>()?;
    let count = if expression.is_some() && !is_narrow {
        RANKED
    } else {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT ?4) few");
        tx.number(&sql, values![number, name, wanted, RANKED])?
    };
    Ok(Page { found, count })
}

/// The words of a text.
fn split(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// The text as the database takes it: the beginning of each word will do. None if it has no word.
fn expression(dialect: Dialect, text: &str) -> Option<String> {
    let mut words = split(text);
    words.truncate(16);
    if words.is_empty() {
        return None;
    }
    let each = |word: &String| match dialect {
        Dialect::Sqlite => format!("\"{word}\"*"),
        Dialect::Postgres => format!("'{word}':*"),
    };
    let words: Vec<String> = words.iter().map(each).collect();
    Some(words.join(match dialect {
        Dialect::Sqlite => " ",
        Dialect::Postgres => " & ",
    }))
}
