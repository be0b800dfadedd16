//! Opening: versions, lost databases, readers, many at once.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use shiplap_store::{Access, Store, StoreError};

use crate::fixture::{Fixture, Sample};
use crate::processes::child;

#[test]
fn readers_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent");
    assert!(matches!(
        Store::open(&absent, Access::Read),
        Err(StoreError::NoStore { .. })
    ));
    assert!(!absent.exists());
    let fixture = Fixture::new();
    let id = fixture.put(&Sample::of(&["1"]).tagged(&["app"]));
    let reader = Store::open(&fixture.root, Access::Read).unwrap();
    assert_eq!(reader.resolve("app").unwrap().id, id);
    assert!(matches!(reader.lease(), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(reader.collect(), Err(StoreError::ReadOnly { .. })));
}

/// Whoever died over a database's first pages left a journal that only a writer may undo.
#[test]
fn a_reader_undoes_what_a_dead_maker_began() {
    let (root, _directory) = Fixture::new().close();
    let path = root.join("shiplap.db");
    let aside = root.join("aside");
    let maker = rusqlite::Connection::open(&aside).unwrap();
    maker
        .execute_batch(
            "PRAGMA cache_size = 1; CREATE TABLE first (bytes); BEGIN;
             INSERT INTO first VALUES (zeroblob(1000000)); INSERT INTO first SELECT bytes FROM first;",
        )
        .unwrap();
    // As a kill leaves them: pages of an open transaction in the file, its journal beside it.
    for side in ["-wal", "-shm"] {
        std::fs::remove_file(root.join(format!("shiplap.db{side}"))).ok();
    }
    std::fs::copy(&aside, &path).unwrap();
    std::fs::copy(root.join("aside-journal"), root.join("shiplap.db-journal")).unwrap();
    assert!(matches!(
        Store::open(&root, Access::Read),
        Err(StoreError::NoStore { .. })
    ));
    assert!(!root.join("shiplap.db-journal").exists());
}

#[test]
fn the_root_is_its_owners_alone() {
    let fixture = Fixture::new();
    assert_eq!(
        std::fs::metadata(&fixture.root)
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
}

/// A store that its owner has opened to readers serves them, with and without a waiting log.
#[test]
fn another_user_reads_an_opened_store() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root to become somebody else");
        return;
    }
    let fixture = Fixture::new();
    fixture.put(&Sample::of(&["1"]).tagged(&["app"]));
    let (root, directory) = fixture.close();
    for path in [directory.path(), &root] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let status = child("list", &root).uid(65534).gid(65534).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_newer_schema_is_refused() {
    let (root, _directory) = Fixture::new().close();
    let database = rusqlite::Connection::open(root.join("shiplap.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    for access in [Access::Read, Access::Write] {
        let error = Store::open(&root, access).err().unwrap();
        assert!(
            matches!(error, StoreError::SchemaNewer { found: 99, .. }),
            "{error}"
        );
    }
}

/// Blobs beside no database must not become garbage.
#[test]
fn a_lost_database_is_not_replaced() {
    for keep_names in [false, true] {
        let fixture = Fixture::new();
        fixture.put(&Sample::of(&["1"]).tagged(&["app"]));
        let (root, _directory) = fixture.close();
        for file in ["shiplap.db", "shiplap.db-wal", "shiplap.db-shm"] {
            drop(std::fs::remove_file(root.join(file)));
        }
        if !keep_names {
            std::fs::remove_file(root.join("tags.json")).unwrap();
        }
        for access in [Access::Read, Access::Write] {
            assert!(matches!(
                Store::open(&root, access),
                Err(StoreError::DatabaseLost { .. })
            ));
        }
    }
}

#[test]
fn many_make_one_store_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    let children: Vec<_> = (0..6)
        .map(|_| child("put", &root).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        Store::open(&root, Access::Write)
            .unwrap()
            .images()
            .unwrap()
            .len(),
        6
    );
}

/// A store of the first schema is brought up to date, and keeps what it has.
#[test]
fn an_older_schema_is_brought_up_to_date() {
    let fixture = Fixture::new();
    let id = fixture.put(&Sample::of(&["1"]).tagged(&["app"]));
    let (root, _directory) = fixture.close();
    let database = rusqlite::Connection::open(root.join("shiplap.db")).unwrap();
    database
        .execute_batch(
            "DROP TABLE cached_inputs; DROP TABLE cached_aliases; DROP TABLE cached_steps; DROP TABLE cache_mounts;
             DROP TABLE builds; DROP INDEX tags_by_index; ALTER TABLE tags DROP COLUMN index_digest;
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(database);
    let reader = Store::open(&root, Access::Read).unwrap();
    assert_eq!(reader.resolve("app").unwrap().id, id);
    assert_eq!(reader.images().unwrap().len(), 1);
    drop(reader);
    let store = Store::open(&root, Access::Write).unwrap();
    assert_eq!(store.resolve("app").unwrap().id, id);
    assert!(store.build_cache().unwrap().is_empty());
    assert!(store.builds().unwrap().is_empty());
}
