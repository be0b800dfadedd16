//! Uploads to a store of objects, whose unfinished uploads nobody can look at: how far each is, which
//! parts it has, and the state of its hash, so that any replica goes on with it.
//!
//! Every change names the version that it was made from; of two, one finds that it came too late.

use super::now_us;
use crate::database::{DatabaseError, Row, Tx};
use crate::storage::UploadId;
use crate::values;

/// How far an upload is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Counts changes; 0 before the first.
    pub version: u64,
    /// Bytes that are stored: of all parts, and the tail.
    pub offset: u64,
    /// The state of their hash.
    pub hash: Vec<u8>,
    /// What the store calls it, once it has parts.
    pub multipart: Option<String>,
    /// What the store calls each part, in their order.
    pub parts: Vec<String>,
    /// Bytes behind the last part, which lie in an object of their own.
    pub tail_bytes: u64,
}

/// An upload; as it begins, if nothing is stored of it.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn find(tx: &dyn Tx, upload: &UploadId) -> Result<Transfer, DatabaseError> {
    let sql = "SELECT version, offset_bytes, hash, multipart, tail_bytes FROM transfers
      WHERE upload = ?1";
    let Some(row) = tx.row(sql, values![upload.as_str()])? else {
        return Ok(Transfer::default());
    };
    let mut transfer = transfer(row)?;
    let sql = "SELECT etag FROM transfer_parts WHERE upload = ?1 ORDER BY number";
    let parts = tx.rows(sql, values![upload.as_str()])?;
    let parts = parts.iter().map(|row| row.text(0));
    transfer.parts = parts.collect::<Result<_, _>>()?;
    Ok(transfer)
}

fn transfer(mut row: Row) -> Result<Transfer, DatabaseError> {
    Ok(Transfer {
        version: row.size(0)?,
        offset: row.size(1)?,
        hash: row.take_bytes(2)?,
        multipart: row.maybe_text(3)?,
        parts: Vec::new(),
        tail_bytes: row.size(4)?,
    })
}

/// Notes how far an upload is now, `to` having the version after the one it was made from; and a part
/// that is new. False if somebody else changed it meanwhile.
///
/// # Errors
/// As [`find`].
pub fn advance(
    tx: &dyn Tx,
    upload: &UploadId,
    to: &Transfer,
    part: Option<&str>,
) -> Result<bool, DatabaseError> {
    let values = values![
        upload.as_str(),
        to.version,
        to.offset,
        to.hash.clone(),
        to.multipart.as_deref(),
        to.tail_bytes,
        now_us(),
    ];
    let sql = if to.version == 1 {
        "INSERT INTO transfers (upload, version, offset_bytes, hash, multipart, tail_bytes, touched_us)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE transfers SET version = ?2, offset_bytes = ?3, hash = ?4, multipart = ?5,
          tail_bytes = ?6, touched_us = ?7 WHERE upload = ?1 AND version = ?2 - 1"
    };
    if tx.execute(sql, values)? == 0 {
        return Ok(false);
    }
    if let Some(part) = part {
        let sql = "INSERT INTO transfer_parts (upload, number, etag) VALUES (?1, ?2, ?3)";
        let number = to.parts.len() as u64;
        tx.execute(sql, values![upload.as_str(), number, part])?;
    }
    Ok(true)
}

/// Forgets an upload.
///
/// # Errors
/// As [`find`].
pub fn remove(tx: &dyn Tx, upload: &UploadId) -> Result<(), DatabaseError> {
    let sql = "DELETE FROM transfers WHERE upload = ?1";
    tx.execute(sql, values![upload.as_str()]).map(|_| ())
}

/// Some uploads of which nothing was heard since `before_us`.
///
/// # Errors
/// As [`find`].
pub fn idle(tx: &dyn Tx, before_us: i64, most: u64) -> Result<Vec<UploadId>, DatabaseError> {
    let sql = "SELECT upload FROM transfers WHERE touched_us <= ?1 ORDER BY touched_us LIMIT ?2";
    let rows = tx.rows(sql, values![before_us, most])?;
    rows.iter().map(|row| row.parsed(0, "an upload")).collect()
}
