//! Looks whether all is as it should be: the database's own integrity, every object against its
//! record, every record against its object.
//!
//! Runs beside a hub. Repair takes away what no record names and the records of what is not there or
//! is not what its digest says; then whoever pushes such a blob again makes it whole. It never
//! changes a tag or manifest.

use std::collections::HashMap;
use std::time::Duration;

use http_body_util::BodyExt as _;
use shiplap_model::Digest;

use crate::database::{Database, DatabaseError, Durability};
use crate::hub::{HubError, Place};
use crate::records::now_us;
use crate::records::reviews;
use crate::storage::{Object, Storage, StorageError};
use crate::values;

/// Younger objects may have a record coming.
const YOUNG: Duration = Duration::from_secs(3600);

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The database's own words.
    Database(String),
    /// A record's object is not there.
    Missing {
        /// The blob.
        digest: Digest,
        /// Repositories that have it.
        repositories: Vec<String>,
    },
    /// An object is not what its digest says.
    Corrupt {
        /// The blob.
        digest: Digest,
        /// Repositories that have it.
        repositories: Vec<String>,
    },
    /// An object that no record names.
    Orphan {
        /// Its name.
        object: String,
        /// Its length.
        size_bytes: u64,
    },
    /// A file that is no object's.
    Strange {
        /// Its name.
        file: String,
    },
    /// A repository's size is not the sum of its blobs'.
    Usage {
        /// The repository.
        repository: String,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let those = |repositories: &[String]| repositories.join(", ");
        match self {
            Self::Database(words) => write!(f, "the database: {words}"),
            Self::Missing {
                digest,
                repositories,
            } => write!(
                f,
                "{digest} is not there (needed by {})",
                those(repositories)
            ),
            Self::Corrupt {
                digest,
                repositories,
            } => write!(f, "{digest} is damaged (needed by {})", those(repositories)),
            Self::Orphan { object, size_bytes } => {
                write!(f, "{object} ({size_bytes} bytes) is no blob's")
            }
            Self::Strange { file } => write!(f, "{file} is not a file of the hub"),
            Self::Usage { repository } => write!(f, "the size of {repository} is wrong"),
        }
    }
}

/// What a check saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Blobs that were looked at.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was wrong.
    pub findings: Vec<Finding>,
}

/// Checks the hub of a place; `repair` sets right what can be.
///
/// # Errors
/// [`HubError`], if it can't be looked at.
pub fn check(place: &Place, repair: bool) -> Result<Report, HubError> {
    let database = place.open_database()?;
    let storage = place.storage_beside(&database)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| HubError::Threads { source })?;
    runtime.block_on(look(&database, storage.as_ref(), repair))
}

struct Recorded {
    digest: Digest,
    size_bytes: u64,
}

async fn look(
    database: &Database,
    storage: &dyn Storage,
    repair: bool,
) -> Result<Report, HubError> {
    let mut report = Report::default();
    let words = database.integrity().await?;
    report
        .findings
        .extend(words.into_iter().map(Finding::Database));
    // Objects first: a record that comes meanwhile has an object that was not listed yet.
    let mut recorded = recorded(database).await?;
    let (listed, strange) = storage.list().await?;
    for listed in listed {
        let Some(record) = recorded.remove(listed.object.as_str()) else {
            if listed.age > YOUNG && !is_recorded(database, &listed.object).await? {
                orphan(database, storage, &listed.object, repair).await?;
                report.findings.push(Finding::Orphan {
                    object: listed.object.to_string(),
                    size_bytes: listed.size_bytes,
                });
            }
            continue;
        };
        report.blobs += 1;
        report.bytes += listed.size_bytes;
        let is_whole = listed.size_bytes == record.size_bytes
            && is_right(storage, &listed.object, &record).await?;
        if !is_whole {
            let repositories = holders(database, &record.digest).await?;
            if repair {
                forget(database, &record.digest, &listed.object).await?;
                orphan(database, storage, &listed.object, repair).await?;
            }
            report.findings.push(Finding::Corrupt {
                digest: record.digest,
                repositories,
            });
        }
    }
    for (name, record) in recorded {
        let Ok(object) = name.parse::<Object>() else {
            continue;
        };
        // It may have been collected since.
        if !is_recorded(database, &object).await? {
            continue;
        }
        let repositories = holders(database, &record.digest).await?;
        if repair {
            forget(database, &record.digest, &object).await?;
        }
        report.findings.push(Finding::Missing {
            digest: record.digest,
            repositories,
        });
    }
    report
        .findings
        .extend(strange.into_iter().map(|file| Finding::Strange { file }));
    report.findings.extend(usage(database, repair).await?);
    Ok(report)
}

async fn recorded(database: &Database) -> Result<HashMap<String, Recorded>, DatabaseError> {
    let read = database.read(|tx| {
        let rows = tx.rows("SELECT object, digest, size_bytes FROM blobs", &[])?;
        let record = |row: &crate::database::Row| {
            let record = Recorded {
                digest: row.parsed(1, "a digest")?,
                size_bytes: row.size(2)?,
            };
            Ok((row.text(0)?, record))
        };
        rows.iter().map(record).collect()
    });
    read.await
}

async fn is_recorded(database: &Database, object: &Object) -> Result<bool, DatabaseError> {
    let object = object.clone();
    let read = database.read(move |tx| {
        let sql = "SELECT count(*) FROM blobs WHERE object = ?1";
        Ok(tx.number(sql, values![object.as_str()])? > 0)
    });
    read.await
}

async fn holders(database: &Database, digest: &Digest) -> Result<Vec<String>, DatabaseError> {
    let digest = digest.clone();
    let read = database.read(move |tx| crate::records::blobs::holders(tx, &digest, 100));
    read.await
}

async fn is_right(
    storage: &dyn Storage,
    object: &Object,
    record: &Recorded,
) -> Result<bool, StorageError> {
    let Ok(mut hasher) = record.digest.hasher() else {
        return Ok(false);
    };
    let mut body = storage.read(object, 0, record.size_bytes).await?;
    while let Some(frame) = body.frame().await {
        // A file that can't be read to its end is no whole blob.
        let Ok(frame) = frame else { return Ok(false) };
        if let Ok(piece) = frame.into_data() {
            hasher.update(&piece);
        }
    }
    Ok(hasher.expect(&record.digest).is_ok())
}

async fn orphan(
    database: &Database,
    storage: &dyn Storage,
    object: &Object,
    repair: bool,
) -> Result<(), HubError> {
    if repair {
        storage.remove(object).await?;
        let object = object.clone();
        let write = database.write(Durability::Durable, move |tx| reviews::removed(tx, &object));
        write.await?;
    }
    Ok(())
}

/// Takes away the records of a blob whose bytes are lost.
async fn forget(
    database: &Database,
    digest: &Digest,
    object: &Object,
) -> Result<(), DatabaseError> {
    let (digest, object) = (digest.clone(), object.clone());
    let write = database.write(Durability::Durable, move |tx| {
        let sql = "SELECT count(*) FROM blobs WHERE digest = ?1 AND object = ?2";
        // Somebody may have pushed it anew.
        if tx.number(sql, values![&digest, object.as_str()])? == 0 {
            return Ok(());
        }
        for sql in [
            "DELETE FROM repository_blobs WHERE digest = ?1",
            "DELETE FROM blobs WHERE digest = ?1",
            "DELETE FROM blob_reviews WHERE digest = ?1",
        ] {
            tx.execute(sql, values![&digest])?;
        }
        Ok(())
    });
    write.await
}

async fn usage(database: &Database, repair: bool) -> Result<Vec<Finding>, DatabaseError> {
    const SUM: &str = "(SELECT CAST(coalesce(sum(b.size_bytes), 0) AS BIGINT)
      FROM repository_blobs l
      JOIN blobs b ON b.digest = l.digest WHERE l.repository = repositories.id)";
    let write = database.write(Durability::Durable, move |tx| {
        let sql = format!("SELECT name FROM repositories WHERE used_bytes <> {SUM}");
        let rows = tx.rows(&sql, &[])?;
        if repair && !rows.is_empty() {
            let sql = format!(
                "UPDATE repositories SET used_bytes = {SUM}, updated_us = ?1
              WHERE used_bytes <> {SUM}"
            );
            tx.execute(&sql, values![now_us()])?;
        }
        let finding = |row: &crate::database::Row| {
            Ok(Finding::Usage {
                repository: row.text(0)?,
            })
        };
        rows.iter().map(finding).collect()
    });
    write.await
}
