//! Uploads under way: whose they are, and for which repository.
//!
//! How far one has come is the storage's to say.

use shiplap_model::digest::Algorithm;

use super::now_us;
use super::repositories::Name;
use crate::database::{DatabaseError, Tx};
use crate::storage::UploadId;
use crate::values;

/// An upload's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// For which repository.
    pub repository: String,
    /// Who began it.
    pub user: Option<i64>,
    /// What is computed of it as it comes.
    pub algorithm: Algorithm,
}

/// Begins one.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn add(
    tx: &dyn Tx,
    id: &UploadId,
    repository: &Name,
    user: Option<i64>,
    algorithm: Algorithm,
) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO uploads (id, repository, user_id, algorithm, started_us)
      VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = values![
        id.as_str(),
        repository.as_str(),
        user,
        algorithm.name(),
        now_us()
    ];
    tx.execute(sql, values).map(|_| ())
}

/// One that is under way.
///
/// # Errors
/// As [`add`].
pub fn find(tx: &dyn Tx, id: &UploadId) -> Result<Option<Upload>, DatabaseError> {
    let sql = "SELECT repository, user_id, algorithm FROM uploads WHERE id = ?1";
    let row = tx.row(sql, values![id.as_str()])?;
    row.map(|row| {
        let name = row.text(2)?;
        let all = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
        Ok(Upload {
            repository: row.text(0)?,
            user: row.maybe_integer(1)?,
            algorithm: all
                .into_iter()
                .find(|algorithm| algorithm.name() == name)
                .unwrap_or(Algorithm::Sha256),
        })
    })
    .transpose()
}

/// Ends one; false if it was not under way.
///
/// # Errors
/// As [`add`].
pub fn remove(tx: &dyn Tx, id: &UploadId) -> Result<bool, DatabaseError> {
    let sql = "DELETE FROM uploads WHERE id = ?1";
    Ok(tx.execute(sql, values![id.as_str()])? > 0)
}

/// Some that began before `before_us`, the oldest first.
///
/// # Errors
/// As [`add`].
pub fn begun_before(
    tx: &dyn Tx,
    before_us: i64,
    most: u64,
) -> Result<Vec<UploadId>, DatabaseError> {
    let sql = "SELECT id FROM uploads WHERE started_us < ?1 ORDER BY started_us LIMIT ?2";
    let rows = tx.rows(sql, values![before_us, most])?;
    rows.iter().map(|row| row.parsed(0, "an upload")).collect()
}

/// How many are under way.
///
/// # Errors
/// As [`add`].
pub fn count(tx: &dyn Tx) -> Result<u64, DatabaseError> {
    tx.number("SELECT count(*) FROM uploads", &[])
}
