//! Tags: names of manifests in a repository.

use shiplap_model::Digest;

use super::{now_us, repositories, reviews};
use crate::database::{DatabaseError, Row, Tx};
use crate::values;

/// Names of tags after `last`, sorted bytewise.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn names(
    tx: &dyn Tx,
    repository: i64,
    last: &str,
    most: u64,
) -> Result<Vec<String>, DatabaseError> {
    let sql = "SELECT name FROM tags WHERE repository = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    let rows = tx.rows(sql, values![repository, last, most])?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// A tag with what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// What it names.
    pub digest: Digest,
    /// When it was pushed last.
    pub pushed_us: i64,
    /// The manifest's media type.
    pub media_type: String,
    /// The manifest's bytes.
    pub content: Vec<u8>,
    /// Bytes of the image that it names; 0 for an index.
    pub image_bytes: u64,
    /// What that image runs on, as `linux/arm64/v8`.
    pub platform: Option<String>,
}

fn tag(mut row: Row) -> Result<Tag, DatabaseError> {
    Ok(Tag {
        name: row.text(0)?,
        digest: row.parsed(1, "a digest")?,
        pushed_us: row.integer(2)?,
        media_type: row.text(3)?,
        image_bytes: row.size(4)?,
        content: row.take_bytes(5)?,
        platform: row.maybe_text(6)?,
    })
}

const COLUMNS: &str =
    "t.name, t.digest, t.pushed_us, m.media_type, m.image_bytes, m.content, m.platform";
const TABLES: &str =
    "tags t JOIN manifests m ON m.repository = t.repository AND m.digest = t.digest";

/// Tags whose name has `part` in it, the newest first.
///
/// # Errors
/// As [`names`].
pub fn newest(
    tx: &dyn Tx,
    repository: i64,
    part: &str,
    skip: u64,
    most: u64,
) -> Result<Vec<Tag>, DatabaseError> {
    // Skipped tags are skipped in the index of times, which has their names and nothing else. A cross
    // join keeps SQLite from looking at all tags for those few names.
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT name AS wanted FROM tags
            WHERE repository = ?1 AND (?2 = '' OR lower(name) LIKE lower(?2) ESCAPE '\\')
            ORDER BY pushed_us DESC, name DESC LIMIT ?4 OFFSET ?3) w
          CROSS JOIN tags t
          JOIN manifests m ON m.repository = t.repository AND m.digest = t.digest
          WHERE t.repository = ?1 AND t.name = w.wanted
          ORDER BY t.pushed_us DESC, t.name DESC"
    );
    let rows = tx.rows(&sql, values![repository, like(part), skip, most])?;
    rows.into_iter().map(tag).collect()
}

/// A pattern for text that has `part` in it; nothing for all text.
fn like(part: &str) -> String {
    if part.is_empty() {
        return String::new();
    }
    let escaped = part
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{escaped}%")
}

/// How many tags have `part` in their name.
///
/// # Errors
/// As [`names`].
pub fn count(tx: &dyn Tx, repository: i64, part: &str) -> Result<u64, DatabaseError> {
    let sql = "SELECT count(*) FROM tags t WHERE t.repository = ?1
      AND (?2 = '' OR lower(t.name) LIKE lower(?2) ESCAPE '\\')";
    tx.number(sql, values![repository, like(part)])
}

/// One tag.
///
/// # Errors
/// As [`names`].
pub fn find(tx: &dyn Tx, repository: i64, name: &str) -> Result<Option<Tag>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE t.repository = ?1 AND t.name = ?2");
    let row = tx.row(&sql, values![repository, name])?;
    row.map(tag).transpose()
}

/// Takes a tag away, not what it names; false if it was not there.
///
/// # Errors
/// As [`names`].
pub fn remove(tx: &dyn Tx, repository: i64, name: &str) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM tags WHERE repository = ?1 AND name = ?2";
    if tx.execute(sql, values![repository, name])? == 0 {
        return Ok(false);
    }
    repositories::touch(tx, repository)?;
    reviews::of_repository(tx, repository, now_us() + reviews::GRACE_US)?;
    Ok(true)
}

/// The bytes of images that an index's entries are, by digest.
///
/// # Errors
/// As [`names`].
pub fn image_bytes(
    tx: &dyn Tx,
    repository: i64,
    digest: &Digest,
) -> Result<Option<u64>, DatabaseError> {
    let sql = "SELECT image_bytes FROM manifests WHERE repository = ?1 AND digest = ?2";
    let row = tx.row(sql, values![repository, digest])?;
    row.map(|row| row.size(0)).transpose()
}
