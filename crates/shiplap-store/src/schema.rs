//! The database's tables and how a connection to it is opened. No verb's SQL lives here.
//!
//! `user_version` holds the schema's version; a newer one is refused, older ones are brought up
//! step by step in one transaction. Digests are kept as text, in full, so that `sqlite3` shows
//! what the command line shows.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::StoreError;

/// The newest schema known.
pub(crate) const VERSION: i64 = 3;

/// How long a writer waits for another's transaction. Transactions take milliseconds; the
/// longest, on a slow disk with many removals, seconds.
const BUSY: Duration = Duration::from_secs(60);

/// Pages of write-ahead log (4 KiB each) after which it is folded into the database: small, since
/// the first opener reads the whole log.
const CHECKPOINT_PAGES: u32 = 256;

const SCHEMA_1: &str = "
CREATE TABLE layers (
  diff_id TEXT PRIMARY KEY,
  tar_bytes INTEGER NOT NULL,
  content_bytes INTEGER NOT NULL,
  entries INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE images (
  id TEXT PRIMARY KEY,
  created_us INTEGER,
  os TEXT NOT NULL,
  architecture TEXT NOT NULL,
  variant TEXT,
  labels TEXT NOT NULL,
  content_bytes INTEGER NOT NULL,
  parent TEXT,
  stored_us INTEGER NOT NULL,
  last_tagged_us INTEGER
) WITHOUT ROWID;
CREATE INDEX images_by_parent ON images(parent) WHERE parent IS NOT NULL;
CREATE TABLE image_layers (
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  diff_id TEXT NOT NULL REFERENCES layers(diff_id),
  PRIMARY KEY (image, position)
) WITHOUT ROWID;
CREATE INDEX image_layers_by_layer ON image_layers(diff_id);
CREATE TABLE image_blobs (
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  digest TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  stored_us INTEGER NOT NULL,
  PRIMARY KEY (image, role, digest)
) WITHOUT ROWID;
CREATE INDEX image_blobs_by_digest ON image_blobs(digest);
CREATE TABLE tags (
  reference TEXT PRIMARY KEY,
  image TEXT NOT NULL REFERENCES images(id)
) WITHOUT ROWID;
CREATE INDEX tags_by_image ON tags(image);
CREATE TABLE repo_digests (
  repository TEXT NOT NULL,
  digest TEXT NOT NULL,
  image TEXT NOT NULL REFERENCES images(id),
  PRIMARY KEY (repository, digest, image)
) WITHOUT ROWID;
CREATE INDEX repo_digests_by_image ON repo_digests(image);
CREATE TABLE compressed (
  diff_id TEXT NOT NULL REFERENCES layers(diff_id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  kept INTEGER NOT NULL,
  PRIMARY KEY (diff_id, digest)
) WITHOUT ROWID;
CREATE INDEX compressed_by_digest ON compressed(digest);
CREATE TABLE locations (
  digest TEXT NOT NULL,
  repository TEXT NOT NULL,
  seen_us INTEGER NOT NULL,
  PRIMARY KEY (digest, repository)
) WITHOUT ROWID;
CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  image TEXT NOT NULL,
  state TEXT NOT NULL,
  created_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX containers_by_image ON containers(image);
CREATE TABLE claims (
  digest TEXT NOT NULL,
  lease TEXT NOT NULL,
  PRIMARY KEY (digest, lease)
) WITHOUT ROWID;
CREATE INDEX claims_by_lease ON claims(lease);
";

/// Steps of builds and what they left, mounts that builds keep, and the builds themselves.
const SCHEMA_2: &str = "
CREATE TABLE cached_steps (
  key TEXT PRIMARY KEY,
  diff_id TEXT NOT NULL REFERENCES layers(diff_id) ON DELETE CASCADE,
  newest_secs INTEGER,
  place TEXT NOT NULL,
  description TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  used_us INTEGER NOT NULL,
  uses INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX cached_steps_by_layer ON cached_steps(diff_id);
CREATE INDEX cached_steps_by_place ON cached_steps(place, used_us);
CREATE TABLE cached_inputs (
  key TEXT PRIMARY KEY REFERENCES cached_steps(key) ON DELETE CASCADE,
  inputs BLOB NOT NULL
);
CREATE TABLE cached_aliases (
  alias TEXT PRIMARY KEY,
  key TEXT NOT NULL REFERENCES cached_steps(key) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX cached_aliases_by_key ON cached_aliases(key);
CREATE TABLE cache_mounts (
  id TEXT PRIMARY KEY,
  description TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  measured_us INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  used_us INTEGER NOT NULL,
  uses INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE builds (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  started_us INTEGER NOT NULL,
  ended_us INTEGER,
  image TEXT,
  steps INTEGER NOT NULL,
  cached INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX builds_by_start ON builds(started_us);
";

/// Tags that name an index, with an image of it that is meant where one is wanted.
const SCHEMA_3: &str = "
ALTER TABLE tags ADD COLUMN index_digest TEXT;
CREATE INDEX tags_by_index ON tags(index_digest) WHERE index_digest IS NOT NULL;
";

/// What is read in the place of a table of tags that knows no indexes, and can't be changed now.
const TAGS_BEFORE_3: &str =
    "CREATE TEMP VIEW tags AS SELECT reference, image, NULL AS index_digest FROM main.tags";

/// Opens for reading and writing, and brings the schema up to date.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let fail = StoreError::db("open", path);
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(&fail)?;
    connection.busy_timeout(BUSY).map_err(&fail)?;
    let version = version(&connection, path)?;
    if version == 0 {
        // Before the first table, since it can't change within a transaction.
        connection
            .pragma_update(None, "journal_mode", "wal")
            .map_err(&fail)?;
    }
    settle(&connection).map_err(&fail)?;
    if version < VERSION {
        upgrade(&mut connection, path)?;
    }
    Ok(connection)
}

/// Opens for reading. Where the write-ahead log's side files can't be made (a store one may only
/// read, with no writer active) the file is read as it lies, if no log waits beside it. What a
/// process that died over its first pages began is rolled back.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let fail = StoreError::db("open", path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let plain = Connection::open_with_flags(path, flags).map_err(&fail)?;
    plain.busy_timeout(BUSY).map_err(&fail)?;
    let can_not_open = Some(rusqlite::ErrorCode::CannotOpen);
    let must_roll_back = Some(rusqlite::ErrorCode::ReadOnly);
    let connection = match look(&plain) {
        Err(error) if error.sqlite_error_code() == must_roll_back => {
            roll_back(path).map_err(&fail)?;
            look(&plain).map_err(&fail)?;
            plain
        }
        Err(error) if error.sqlite_error_code() == can_not_open && !log_waits(path) => {
            let uri = format!("file:{}?immutable=1", uri_path(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI).map_err(&fail)?
        }
        result => {
            result.map_err(&fail)?;
            plain
        }
    };
    settle(&connection).map_err(&fail)?;
    match version(&connection, path)? {
        0 => {
            // Whoever made it died before the tables: nothing was ever kept.
            let root = path.parent().unwrap_or(path).to_owned();
            return Err(StoreError::NoStore { root });
        }
        1 | 2 => connection.execute_batch(TAGS_BEFORE_3).map_err(&fail)?,
        _ => {}
    }
    Ok(connection)
}

/// Reads the file's first pages.
fn look(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Has SQLite undo what a dead process left half done, as whoever may write does.
fn roll_back(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    look(&connection)
}

/// The schema's version, if it is one that is known.
fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(StoreError::db("open", path))?;
    if found > VERSION {
        return Err(StoreError::SchemaNewer {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    Ok(found)
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    // Folding the log into the database on every close would cost each verb two fsyncs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)
}

fn upgrade(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let fail = StoreError::db("create tables", path);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&fail)?;
    // Another process may have done it while this one waited.
    let version = version(&transaction, path)?;
    for (step, schema) in (1..).zip([SCHEMA_1, SCHEMA_2, SCHEMA_3]) {
        if version < step {
            transaction.execute_batch(schema).map_err(&fail)?;
        }
    }
    transaction
        .pragma_update(None, "user_version", VERSION)
        .map_err(&fail)?;
    transaction.commit().map_err(&fail)?;
    // A new database has its first pages at once, so that a full disk can't keep the log from
    // being folded into them. Others may be reading: then it is done later.
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(&fail)
}

fn log_waits(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|meta| meta.len() > 0)
}

/// A path as SQLite's URIs want it.
fn uri_path(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            write!(uri, "%{byte:02x}").expect("because writing to a String can't fail");
        }
    }
    uri
}
