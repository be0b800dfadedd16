//! Manifests and indexes: their bytes as they were pushed, and what they need.
//!
//! They are small, so they lie in the database: a manifest and its tags come and go in one
//! transaction.

use shiplap_model::{Descriptor, Digest, Document, media_type};

use super::{blobs, now_us, repositories, reviews};
use crate::database::{DatabaseError, Row, Tx};
use crate::values;

/// A manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A manifest that is to be stored.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// What it says.
    pub document: Document,
    /// What an image's config says it runs on, as `linux/arm64/v8`.
    pub platform: Option<String>,
}

/// Why a manifest is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It names what the repository does not have.
    Parts(Vec<Digest>),
    /// It says another size than a part has.
    Size {
        /// The part.
        digest: Digest,
        /// What the manifest says, in bytes.
        said: u64,
        /// What the part has, in bytes.
        found: u64,
    },
}

impl Pushed {
    /// What the manifest is about.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        match &self.document {
            Document::Manifest(manifest) => manifest.subject.as_ref(),
            Document::Index(index) => index.subject.as_ref(),
        }
    }

    /// The type by which referrers are told apart.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        let said = match &self.document {
            Document::Manifest(manifest) => manifest.artifact_type.as_deref(),
            Document::Index(index) => index.artifact_type.as_deref(),
        };
        let said = said.filter(|said| !said.is_empty());
        match &self.document {
            Document::Manifest(manifest) => said.or(Some(&manifest.config.media_type)),
            Document::Index(_) => said,
        }
    }

    /// What it needs to be there, and whether that is a manifest.
    fn parts(&self) -> Vec<(&Descriptor, bool)> {
        match &self.document {
            Document::Manifest(manifest) => manifest
                .blobs()
                .filter(|part| !media_type::is_foreign_layer(&part.media_type))
                .map(|part| (part, false))
                .collect(),
            Document::Index(index) => {
                let is_manifest = |part: &Descriptor| {
                    media_type::is_manifest(&part.media_type)
                        || media_type::is_index(&part.media_type)
                };
                let entries = index.manifests.iter();
                entries.map(|part| (part, is_manifest(part))).collect()
            }
        }
    }

    /// Bytes of all that one pulls for it: config and layers, each once.
    fn image_bytes(&self) -> u64 {
        let Document::Manifest(manifest) = &self.document else {
            return 0;
        };
        let mut seen = std::collections::HashSet::new();
        let parts = manifest.blobs().filter(|part| seen.insert(&part.digest));
        parts.map(|part| part.size).fold(0, u64::saturating_add)
    }
}

/// Looks whether all that a manifest needs is in the repository.
///
/// # Errors
/// [`DatabaseError`], as all below.
pub fn missing(
    tx: &dyn Tx,
    repository: i64,
    pushed: &Pushed,
) -> Result<Option<Missing>, DatabaseError> {
    let mut absent = Vec::new();
    for (part, is_manifest) in pushed.parts() {
        let found = if is_manifest {
            let sql = "SELECT size_bytes FROM manifests WHERE repository = ?1 AND digest = ?2";
            let row = tx.row(sql, values![repository, &part.digest])?;
            row.map(|row| row.size(0)).transpose()?
        } else {
            blobs::find(tx, repository, &part.digest)?.map(|blob| blob.size_bytes)
        };
        match found {
            None => absent.push(part.digest.clone()),
            Some(found) if found != part.size => {
                return Ok(Some(Missing::Size {
                    digest: part.digest.clone(),
                    said: part.size,
                    found,
                }));
            }
            Some(_) => {}
        }
    }
    Ok((!absent.is_empty()).then_some(Missing::Parts(absent)))
}

/// Stores a manifest, if it isn't there, and points tags at it. That its parts are there is the
/// caller's to have asked in the same transaction.
///
/// # Errors
/// As [`missing`].
pub fn put(
    tx: &dyn Tx,
    repository: i64,
    pushed: &Pushed,
    tags: &[String],
) -> Result<(), DatabaseError> {
    let now = now_us();
    let sql = "INSERT INTO manifests (repository, digest, media_type, artifact_type, subject,
        image_bytes, size_bytes, content, pushed_us, platform)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
      ON CONFLICT (repository, digest) DO UPDATE
        SET pushed_us = excluded.pushed_us, media_type = excluded.media_type";
    let values = values![
        repository,
        &pushed.digest,
        pushed.media_type.as_str(),
        pushed.artifact_type(),
        pushed.subject().map(|subject| subject.digest.as_str()),
        pushed.image_bytes(),
        pushed.content.len() as u64,
        pushed.content.clone(),
        now,
        pushed.platform.as_deref(),
    ];
    tx.execute(sql, values)?;
    let sql = "INSERT INTO manifest_parts (repository, manifest, digest, is_manifest)
      VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    for (part, is_manifest) in pushed.parts() {
        let values = values![repository, &pushed.digest, &part.digest, is_manifest];
        tx.execute(sql, values)?;
    }
    let sql = "INSERT INTO tags (repository, name, digest, pushed_us) VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT (repository, name) DO UPDATE
        SET digest = excluded.digest, pushed_us = excluded.pushed_us";
    for tag in tags {
        tx.execute(sql, values![repository, tag, &pushed.digest, now])?;
    }
    repositories::touch(tx, repository)?;
    reviews::of_repository(tx, repository, now + reviews::GRACE_US)
}

fn stored(mut row: Row) -> Result<Stored, DatabaseError> {
    Ok(Stored {
        digest: row.parsed(0, "a digest")?,
        media_type: row.text(1)?,
        content: row.take_bytes(2)?,
    })
}

/// A manifest by digest.
///
/// # Errors
/// As [`missing`].
pub fn by_digest(
    tx: &dyn Tx,
    repository: i64,
    digest: &Digest,
) -> Result<Option<Stored>, DatabaseError> {
    let sql = "SELECT digest, media_type, content FROM manifests
      WHERE repository = ?1 AND digest = ?2";
    let row = tx.row(sql, values![repository, digest])?;
    row.map(stored).transpose()
}

/// The manifest that a tag names.
///
/// # Errors
/// As [`missing`].
pub fn by_tag(tx: &dyn Tx, repository: i64, tag: &str) -> Result<Option<Stored>, DatabaseError> {
    let sql = "SELECT m.digest, m.media_type, m.content FROM tags t
      JOIN manifests m ON m.repository = t.repository AND m.digest = t.digest
      WHERE t.repository = ?1 AND t.name = ?2";
    let row = tx.row(sql, values![repository, tag])?;
    row.map(stored).transpose()
}

/// How taking a manifest away ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// It is gone, and these tags with it.
    Gone(Vec<String>),
    /// It was not there.
    Absent,
    /// An index of the repository needs it.
    Needed,
}

/// Takes a manifest from a repository, with its tags, unless an index there needs it.
///
/// # Errors
/// As [`missing`].
pub fn remove(tx: &dyn Tx, repository: i64, digest: &Digest) -> Result<Removed, DatabaseError> {
    let sql = "SELECT count(*) FROM manifest_parts
      WHERE repository = ?1 AND digest = ?2 AND is_manifest = 1";
    if tx.number(sql, values![repository, digest])? > 0 {
        return Ok(Removed::Needed);
    }
    let sql = "SELECT name FROM tags WHERE repository = ?1 AND digest = ?2 ORDER BY name";
    let rows = tx.rows(sql, values![repository, digest])?;
    let tags = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<_, _>>()?;
    let sql = "DELETE FROM manifests WHERE repository = ?1 AND digest = ?2";
    if tx.execute(sql, values![repository, digest])? == 0 {
        return Ok(Removed::Absent);
    }
    repositories::touch(tx, repository)?;
    reviews::of_repository(tx, repository, now_us() + reviews::GRACE_US)?;
    Ok(Removed::Gone(tags))
}

/// A manifest that is about another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest itself.
    pub stored: Stored,
    /// What kind of thing it is.
    pub artifact_type: Option<String>,
}

/// Manifests about `subject`, of one kind if it is said, after the digest `last`.
///
/// # Errors
/// As [`missing`].
pub fn referrers(
    tx: &dyn Tx,
    repository: i64,
    subject: &Digest,
    artifact_type: Option<&str>,
    last: &str,
    most: u64,
) -> Result<Vec<Referrer>, DatabaseError> {
    let sql = "SELECT digest, media_type, content, artifact_type FROM manifests
      WHERE repository = ?1 AND subject = ?2 AND digest > ?4
        AND (artifact_type = ?3 OR ?3 IS NULL) ORDER BY digest LIMIT ?5";
    let values = values![repository, subject, artifact_type, last, most];
    let referrer = |row: Row| {
        Ok(Referrer {
            artifact_type: row.maybe_text(3)?,
            stored: stored(row)?,
        })
    };
    tx.rows(sql, values)?.into_iter().map(referrer).collect()
}
