//! What is to be looked at again, and when: the queues by which space comes back.
//!
//! Whatever takes something away, or adds what nothing may come to need, leaves an entry; the
//! collector works through the entries that are due. So nothing is ever searched as a whole, and
//! nobody waits.

use shiplap_model::Digest;

use crate::database::{DatabaseError, Tx};
use crate::storage::Object;
use crate::values;

/// How long what nothing needs is left alone: a client sends blobs before the manifest that needs
/// them, and may take its time.
pub const GRACE_US: i64 = 3600 * 1_000_000;

/// Wants a repository looked at, at `due_us` unless it is wanted already.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn of_repository(tx: &dyn Tx, repository: i64, due_us: i64) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO repository_reviews (repository, due_us) VALUES (?1, ?2)
      ON CONFLICT DO NOTHING";
    tx.execute(sql, values![repository, due_us]).map(|_| ())
}

/// Wants a blob looked at, at `due_us` unless it is wanted already.
///
/// # Errors
/// As [`of_repository`].
pub fn of_blob(tx: &dyn Tx, digest: &Digest, due_us: i64) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO blob_reviews (digest, due_us) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    tx.execute(sql, values![digest, due_us]).map(|_| ())
}

/// Repositories whose time has come.
///
/// # Errors
/// As [`of_repository`].
pub fn due_repositories(tx: &dyn Tx, now_us: i64, most: u64) -> Result<Vec<i64>, DatabaseError> {
    let sql = "SELECT repository FROM repository_reviews WHERE due_us <= ?1
      ORDER BY due_us LIMIT ?2";
    let rows = tx.rows(sql, values![now_us, most])?;
    rows.iter().map(|row| row.integer(0)).collect()
}

/// What a look at a repository did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Blobs that the repository lost.
    pub unlinked: u64,
}

/// Takes from a repository the blobs that no manifest of it needs, and that are there longer than
/// the grace; wants it looked at again if there are younger ones.
///
/// # Errors
/// As [`of_repository`].
pub fn look_at_repository(
    tx: &dyn Tx,
    repository: i64,
    now_us: i64,
    grace_us: i64,
) -> Result<Looked, DatabaseError> {
    const UNNEEDED: &str = "repository = ?1 AND NOT EXISTS (SELECT 1 FROM manifest_parts p
      WHERE p.repository = ?1 AND p.digest = repository_blobs.digest AND p.is_manifest = 0)";
    let before = now_us - grace_us;
    tx.execute(
        "DELETE FROM repository_reviews WHERE repository = ?1",
        values![repository],
    )?;
    tx.execute(
        &format!(
            "INSERT INTO blob_reviews (digest, due_us) SELECT digest, ?3 FROM repository_blobs
              WHERE {UNNEEDED} AND linked_us <= ?2 ON CONFLICT DO NOTHING"
        ),
        values![repository, before, now_us],
    )?;
    let sql = format!("DELETE FROM repository_blobs WHERE {UNNEEDED} AND linked_us <= ?2");
    let unlinked = tx.execute(&sql, values![repository, before])?;
    if unlinked > 0 {
        let sql = "UPDATE repositories SET used_bytes = (SELECT CAST(coalesce(sum(b.size_bytes), 0) AS BIGINT)
          FROM repository_blobs l JOIN blobs b ON b.digest = l.digest WHERE l.repository = ?1)
          WHERE id = ?1";
        tx.execute(sql, values![repository])?;
    }
    let sql = format!("SELECT min(linked_us) FROM repository_blobs WHERE {UNNEEDED}");
    let youngest = tx.row(&sql, values![repository])?;
    if let Some(linked_us) = youngest
        .map(|row| row.maybe_integer(0))
        .transpose()?
        .flatten()
    {
        of_repository(tx, repository, linked_us + grace_us)?;
    }
    Ok(Looked { unlinked })
}

/// Blobs whose time has come.
///
/// # Errors
/// As [`of_repository`].
pub fn due_blobs(tx: &dyn Tx, now_us: i64, most: u64) -> Result<Vec<Digest>, DatabaseError> {
    let sql = "SELECT digest FROM blob_reviews WHERE due_us <= ?1 ORDER BY due_us LIMIT ?2";
    let rows = tx.rows(sql, values![now_us, most])?;
    rows.iter().map(|row| row.parsed(0, "a digest")).collect()
}

/// Forgets a blob that no repository has: its record goes, and its object is to be removed.
///
/// # Errors
/// As [`of_repository`].
pub fn look_at_blob(tx: &dyn Tx, digest: &Digest) -> Result<bool, DatabaseError> {
    tx.execute(
        "DELETE FROM blob_reviews WHERE digest = ?1",
        values![digest],
    )?;
    let sql = "DELETE FROM blobs WHERE digest = ?1
      AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE digest = ?1) RETURNING object";
    let Some(row) = tx.row(sql, values![digest])? else {
        return Ok(false);
    };
    discard(tx, &row.parsed(0, "an object")?)?;
    Ok(true)
}

/// Wants an object removed, unless a record names it.
///
/// # Errors
/// As [`of_repository`].
pub fn discard(tx: &dyn Tx, object: &Object) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO discarded_objects (object) SELECT ?1
      WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE object = ?1) ON CONFLICT DO NOTHING";
    tx.execute(sql, values![object.as_str()]).map(|_| ())
}

/// Objects to be removed.
///
/// # Errors
/// As [`of_repository`].
pub fn discarded(tx: &dyn Tx, most: u64) -> Result<Vec<Object>, DatabaseError> {
    let sql = "SELECT object FROM discarded_objects LIMIT ?1";
    let rows = tx.rows(sql, values![most])?;
    rows.iter().map(|row| row.parsed(0, "an object")).collect()
}

/// Notes that an object is removed.
///
/// # Errors
/// As [`of_repository`].
pub fn removed(tx: &dyn Tx, object: &Object) -> Result<(), DatabaseError> {
    let sql = "DELETE FROM discarded_objects WHERE object = ?1";
    tx.execute(sql, values![object.as_str()]).map(|_| ())
}
