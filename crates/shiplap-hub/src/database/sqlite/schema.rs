//! The tables, as SQLite makes them. No verb's SQL lives here.
//!
//! `user_version` is the schema's version; a newer one is refused, older ones are brought up step by
//! step in one transaction. Digests are text in full, times microseconds since 1970.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{DatabaseError, failure};

/// What brings a database from each version to the next.
const STEPS: &[&str] = &[STEP_1];

const STEP_1: &str = "
CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE namespaces (
  name TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  quota_bytes INTEGER,
  created_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE REFERENCES namespaces(name),
  password TEXT NOT NULL,
  is_admin INTEGER NOT NULL,
  is_disabled INTEGER NOT NULL,
  created_us INTEGER NOT NULL
);
CREATE TABLE members (
  organisation TEXT NOT NULL REFERENCES namespaces(name) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  PRIMARY KEY (organisation, user_id)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members(user_id);
CREATE TABLE access_tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  secret TEXT NOT NULL UNIQUE,
  level TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  expires_us INTEGER,
  used_us INTEGER
);
CREATE INDEX access_tokens_by_user ON access_tokens(user_id);
CREATE TABLE repositories (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  namespace TEXT NOT NULL REFERENCES namespaces(name),
  is_private INTEGER NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  readme TEXT NOT NULL DEFAULT '',
  labels TEXT NOT NULL DEFAULT '',
  retention TEXT,
  stars INTEGER NOT NULL DEFAULT 0,
  pulls INTEGER NOT NULL DEFAULT 0,
  used_bytes INTEGER NOT NULL DEFAULT 0,
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL
);
CREATE INDEX repositories_by_namespace ON repositories(namespace);
CREATE INDEX repositories_by_fame
  ON repositories((namespace = 'library') DESC, stars DESC, pulls DESC, name);
CREATE TABLE stars (
  repository INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  PRIMARY KEY (repository, user_id)
) WITHOUT ROWID;
CREATE INDEX stars_by_user ON stars(user_id);
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  object TEXT NOT NULL UNIQUE,
  stored_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE repository_blobs (
  repository INTEGER NOT NULL REFERENCES repositories(id),
  digest TEXT NOT NULL REFERENCES blobs(digest),
  linked_us INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX repository_blobs_by_digest ON repository_blobs(digest);
CREATE TABLE manifests (
  repository INTEGER NOT NULL REFERENCES repositories(id),
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  artifact_type TEXT,
  subject TEXT,
  platform TEXT,
  image_bytes INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  content BLOB NOT NULL,
  pushed_us INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
);
CREATE INDEX manifests_by_subject ON manifests(repository, subject) WHERE subject IS NOT NULL;
CREATE TABLE manifest_parts (
  repository INTEGER NOT NULL,
  manifest TEXT NOT NULL,
  digest TEXT NOT NULL,
  is_manifest INTEGER NOT NULL,
  PRIMARY KEY (repository, manifest, digest, is_manifest),
  FOREIGN KEY (repository, manifest) REFERENCES manifests(repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX manifest_parts_by_digest ON manifest_parts(repository, digest);
CREATE TABLE tags (
  repository INTEGER NOT NULL,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  pushed_us INTEGER NOT NULL,
  PRIMARY KEY (repository, name),
  FOREIGN KEY (repository, digest) REFERENCES manifests(repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX tags_by_digest ON tags(repository, digest);
CREATE INDEX tags_by_time ON tags(repository, pushed_us);
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  repository TEXT NOT NULL,
  user_id INTEGER,
  algorithm TEXT NOT NULL,
  started_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_by_start ON uploads(started_us);
CREATE TABLE blob_reviews (
  digest TEXT PRIMARY KEY,
  due_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX blob_reviews_by_time ON blob_reviews(due_us);
CREATE TABLE repository_reviews (
  repository INTEGER PRIMARY KEY REFERENCES repositories(id) ON DELETE CASCADE,
  due_us INTEGER NOT NULL
);
CREATE INDEX repository_reviews_by_time ON repository_reviews(due_us);
CREATE TABLE discarded_objects (
  object TEXT PRIMARY KEY
) WITHOUT ROWID;
CREATE TABLE webhooks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace TEXT NOT NULL REFERENCES namespaces(name) ON DELETE CASCADE,
  url TEXT NOT NULL,
  secret TEXT NOT NULL,
  created_us INTEGER NOT NULL
);
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook INTEGER NOT NULL REFERENCES webhooks(id) ON DELETE CASCADE,
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_us INTEGER NOT NULL
);
CREATE INDEX deliveries_by_time ON deliveries(due_us);
CREATE VIRTUAL TABLE search USING fts5(
  name, description, labels, readme, tokenize = \"unicode61 remove_diacritics 2\", prefix = '2 3'
);
";

/// Makes or renews the tables.
pub(super) fn bring_up(connection: &mut Connection, path: &Path) -> Result<(), DatabaseError> {
    let fail = failure("make tables", path);
    // Can't be changed within a transaction.
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(&fail)?;
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(&fail)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&fail)?;
    let found: i64 = transaction
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(&fail)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(DatabaseError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(&fail)?;
    }
    transaction
        .pragma_update(None, "user_version", known)
        .map_err(&fail)?;
    transaction.commit().map_err(&fail)
}
