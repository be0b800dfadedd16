//! Which tags and manifests a repository keeps, where its owner made rules.
//!
//! A tag goes only if every rule lets it; a manifest without a tag goes only if no index needs it and
//! what it is about is gone. So no index ever loses a part. Blobs follow by the review queues.

use serde::{Deserialize, Serialize};
use shiplap_model::Digest;

use crate::database::{DatabaseError, Tx};
use crate::records::manifests::{self, Removed};
use crate::records::tags;
use crate::values;

const DAY_US: i64 = 24 * 3600 * 1_000_000;

/// A repository's rules. What is not said keeps everything that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Tags that were pushed within so many days are kept; without it, tags are kept.
    pub keep_days: Option<u32>,
    /// So many of the newest tags are kept, however old.
    pub keep_newest: u32,
    /// Tags that one of these fits are kept; `*` stands for any characters.
    pub keep_matching: Vec<String>,
    /// Manifests without a tag are kept for so many days; without it, for good.
    pub keep_untagged_days: Option<u32>,
}

/// What rules took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
}

impl Rules {
    /// What is kept of other registries' images: what was asked for within a month.
    #[must_use]
    pub fn of_mirror() -> Self {
        const DAYS: u32 = 30;
        Self {
            keep_days: Some(DAYS),
            keep_untagged_days: Some(DAYS),
            ..Self::default()
        }
    }

    /// Whether they keep everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keep_days.is_none() && self.keep_untagged_days.is_none()
    }

    /// Takes from a repository what they let go.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn apply(&self, tx: &dyn Tx, repository: i64, now_us: i64) -> Result<Taken, DatabaseError> {
        Ok(Taken {
            tags: self.tags(tx, repository, now_us)?,
            manifests: self.untagged(tx, repository, now_us)?,
        })
    }

    fn tags(&self, tx: &dyn Tx, repository: i64, now_us: i64) -> Result<u64, DatabaseError> {
        let Some(days) = self.keep_days else {
            return Ok(0);
        };
        let before = now_us - i64::from(days) * DAY_US;
        let sql = "SELECT name FROM tags WHERE repository = ?1 AND pushed_us < ?2
          AND name NOT IN (SELECT name FROM tags WHERE repository = ?1
            ORDER BY pushed_us DESC, name LIMIT ?3)";
        let newest = u64::from(self.keep_newest);
        let mut taken = 0;
        for row in tx.rows(sql, values![repository, before, newest])? {
            let name = row.text(0)?;
            if !self
                .keep_matching
                .iter()
                .any(|pattern| fits(pattern, &name))
                && tags::remove(tx, repository, &name)?
            {
                taken += 1;
            }
        }
        Ok(taken)
    }

    fn untagged(&self, tx: &dyn Tx, repository: i64, now_us: i64) -> Result<u64, DatabaseError> {
        let Some(days) = self.keep_untagged_days else {
            return Ok(0);
        };
        let before = now_us - i64::from(days) * DAY_US;
        let sql = "SELECT digest FROM manifests m WHERE repository = ?1 AND pushed_us < ?2
          AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository = ?1 AND t.digest = m.digest)
          AND NOT EXISTS (SELECT 1 FROM manifest_parts p
            WHERE p.repository = ?1 AND p.digest = m.digest AND p.is_manifest = 1)
          AND NOT EXISTS (SELECT 1 FROM manifests s
            WHERE s.repository = ?1 AND s.digest = m.subject)";
        let mut taken = 0;
        // What an index needed needs nobody once it is gone.
        loop {
            let rows = tx.rows(sql, values![repository, before])?;
            let digests = rows.iter().map(|row| row.parsed(0, "a digest"));
            let digests: Vec<Digest> = digests.collect::<Result<_, _>>()?;
            let before = taken;
            for digest in &digests {
                if let Removed::Gone(_) = manifests::remove(tx, repository, digest)? {
                    taken += 1;
                }
            }
            if taken == before {
                return Ok(taken);
            }
        }
    }
}

/// Whether a pattern with `*` fits all of a name.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests;
