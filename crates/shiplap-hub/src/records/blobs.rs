//! Blobs: which object holds the bytes of a digest, and which repositories have it.

use shiplap_model::Digest;

use super::{now_us, reviews};
use crate::database::{DatabaseError, Tx};
use crate::storage::Object;
use crate::values;

/// A blob that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its length.
    pub size_bytes: u64,
    /// Where its bytes are.
    pub object: Object,
}

/// A blob of a repository.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn find(tx: &dyn Tx, repository: i64, digest: &Digest) -> Result<Option<Blob>, DatabaseError> {
    let sql = "SELECT b.size_bytes, b.object FROM repository_blobs l
      JOIN blobs b ON b.digest = l.digest WHERE l.repository = ?1 AND l.digest = ?2";
    let row = tx.row(sql, values![repository, digest])?;
    row.map(|row| {
        Ok(Blob {
            size_bytes: row.size(0)?,
            object: row.parsed(1, "an object")?,
        })
    })
    .transpose()
}

/// Whether any repository's blob has this digest.
///
/// # Errors
/// As [`find`].
pub fn is_stored(tx: &dyn Tx, digest: &Digest) -> Result<bool, DatabaseError> {
    let sql = "SELECT count(*) FROM blobs WHERE digest = ?1";
    Ok(tx.number(sql, values![digest])? > 0)
}

/// Notes that `object` holds a blob; false if another one does already.
///
/// # Errors
/// As [`find`].
pub fn add(tx: &dyn Tx, digest: &Digest, blob: &Blob) -> Result<bool, DatabaseError> {
    let sql = "INSERT INTO blobs (digest, size_bytes, object, stored_us) VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT (digest) DO NOTHING";
    let object = blob.object.as_str();
    let added = tx.execute(sql, values![digest, blob.size_bytes, object, now_us()])?;
    Ok(added > 0)
}

/// Gives a repository a blob that is stored; false if it isn't.
///
/// # Errors
/// As [`find`].
pub fn link(tx: &dyn Tx, repository: i64, digest: &Digest) -> Result<bool, DatabaseError> {
    let sql = "SELECT size_bytes FROM blobs WHERE digest = ?1";
    let Some(row) = tx.row(sql, values![digest])? else {
        return Ok(false);
    };
    let size = row.size(0)?;
    let now = now_us();
    let sql = "INSERT INTO repository_blobs (repository, digest, linked_us) VALUES (?1, ?2, ?3)
      ON CONFLICT DO NOTHING";
    if tx.execute(sql, values![repository, digest, now])? > 0 {
        let sql = "UPDATE repositories SET used_bytes = used_bytes + ?2 WHERE id = ?1";
        tx.execute(sql, values![repository, size])?;
    } else {
        // Whoever sent it again counts on it from now on.
        let sql = "UPDATE repository_blobs SET linked_us = ?3
          WHERE repository = ?1 AND digest = ?2";
        tx.execute(sql, values![repository, digest, now])?;
    }
    reviews::of_repository(tx, repository, now + reviews::GRACE_US)?;
    Ok(true)
}

/// How taking a blob from a repository ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlinked {
    /// It is gone.
    Gone,
    /// It was not there.
    Absent,
    /// A manifest of the repository needs it.
    Needed,
}

/// Takes a blob from a repository, unless a manifest there needs it.
///
/// # Errors
/// As [`find`].
pub fn unlink(tx: &dyn Tx, repository: i64, digest: &Digest) -> Result<Unlinked, DatabaseError> {
    let Some(blob) = find(tx, repository, digest)? else {
        return Ok(Unlinked::Absent);
    };
    let sql = "SELECT count(*) FROM manifest_parts WHERE repository = ?1 AND digest = ?2
      AND is_manifest = 0";
    if tx.number(sql, values![repository, digest])? > 0 {
        return Ok(Unlinked::Needed);
    }
    let sql = "DELETE FROM repository_blobs WHERE repository = ?1 AND digest = ?2";
    tx.execute(sql, values![repository, digest])?;
    let sql = "UPDATE repositories SET used_bytes = used_bytes - ?2 WHERE id = ?1";
    tx.execute(sql, values![repository, blob.size_bytes])?;
    reviews::of_blob(tx, digest, now_us() + reviews::GRACE_US)?;
    Ok(Unlinked::Gone)
}

/// Names of some repositories that have a blob.
///
/// # Errors
/// As [`find`].
pub fn holders(tx: &dyn Tx, digest: &Digest, most: u64) -> Result<Vec<String>, DatabaseError> {
    let sql = "SELECT r.name FROM repository_blobs l JOIN repositories r ON r.id = l.repository
      WHERE l.digest = ?1 LIMIT ?2";
    let rows = tx.rows(sql, values![digest, most])?;
    rows.iter().map(|row| row.text(0)).collect()
}
