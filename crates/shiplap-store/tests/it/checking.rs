//! Corrupt everything once: `check` sees it, `repair` puts it right or says what is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use shiplap_store::{Access, Fault, Store, StoreError, check};

use crate::fixture::{FakePort, Fixture, Sample};

fn base() -> Sample {
    Sample::of(&["base layer"])
        .tagged(&["base"])
        .known_as(&["base"])
}

fn app() -> Sample {
    Sample::of(&["base layer", "app layer"]).tagged(&["app", "app:1"])
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The variant's name.
fn kind(fault: &Fault) -> String {
    let text = format!("{fault:?}");
    text.split([' ', '{']).next().unwrap().to_owned()
}

/// Does damage to a store with two images; checks what is found, that a repair leaves a sound
/// store, and which tags are left.
fn case(damage: impl Fn(&Path), expected: &[&str], tags_left: &[&str]) {
    let fixture = Fixture::new();
    fixture.put(&base());
    fixture.put(&app());
    let (root, _directory) = fixture.close();
    damage(&root);
    let found = check(&root, false, &FakePort, &|_, _| {}).unwrap();
    let mut kinds: Vec<String> = found
        .findings
        .iter()
        .map(|finding| kind(&finding.fault))
        .collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, expected);
    let repaired = check(&root, true, &FakePort, &|_, _| {}).unwrap();
    assert!(repaired.is_sound(), "{:?}", repaired.findings);
    let after = check(&root, false, &FakePort, &|_, _| {}).unwrap();
    assert!(after.findings.is_empty(), "{:?}", after.findings);
    let store = Store::open(&root, Access::Write).unwrap();
    let tags: Vec<String> = store
        .images()
        .unwrap()
        .iter()
        .flat_map(|image| &image.tags)
        .map(shiplap_model::Reference::familiar)
        .collect();
    let mut tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    assert_eq!(tags, tags_left);
    if tags.contains(&"base:latest") {
        let image = store.image(&base().id()).unwrap().unwrap();
        assert_eq!((image.content_bytes, image.repo_digests.len()), (5, 1));
    }
}

const ALL: &[&str] = &["app:1", "app:latest", "base:latest"];

fn blob(root: &Path, digest: &shiplap_model::Digest) -> std::path::PathBuf {
    root.join("blobs/sha256").join(digest.encoded())
}

fn index(root: &Path) -> std::path::PathBuf {
    root.join("layers")
        .join(format!("{}.erofs", app().diff_id(1).hex()))
}

fn remove_database(root: &Path) {
    for file in ["shiplap.db", "shiplap.db-wal", "shiplap.db-shm"] {
        drop(fs::remove_file(root.join(file)));
    }
}

fn sql(root: &Path, statement: &str) {
    let database = rusqlite::Connection::open(root.join("shiplap.db")).unwrap();
    database.execute_batch(statement).unwrap();
}

#[test]
fn a_sound_store_is_sound() {
    case(|_| {}, &[], ALL);
}

#[test]
fn damaged_blobs() {
    let lost = ["BlobCorrupt", "ImageLost"];
    case(
        |root| overwrite(&blob(root, app().diff_id(1).digest()), b"app lAyer"),
        &lost,
        &["base:latest"],
    );
    case(
        |root| overwrite(&blob(root, app().diff_id(0).digest()), b""),
        &lost,
        &[],
    );
    case(
        |root| overwrite(&blob(root, app().id().digest()), b"{}"),
        &lost,
        &["base:latest"],
    );
    case(
        |root| overwrite(&blob(root, &app().manifest_digest()), b"{}"),
        &lost,
        &["base:latest"],
    );
    let gone = ["BlobMissing", "ImageLost"];
    case(
        |root| fs::remove_file(blob(root, app().diff_id(1).digest())).unwrap(),
        &gone,
        &["base:latest"],
    );
    case(
        |root| fs::remove_file(blob(root, &app().manifest_digest())).unwrap(),
        &gone,
        &["base:latest"],
    );
}

#[test]
fn damaged_indexes() {
    case(
        |root| overwrite(&index(root), b"index of something else"),
        &["IndexCorrupt"],
        ALL,
    );
    case(
        |root| fs::remove_file(index(root)).unwrap(),
        &["IndexMissing"],
        ALL,
    );
}

#[test]
fn wrong_records_and_names() {
    case(
        |root| sql(root, "UPDATE layers SET content_bytes = 7, entries = 0"),
        &["LayerRecordWrong"],
        ALL,
    );
    case(
        |root| fs::write(root.join("tags.json"), "{").unwrap(),
        &["NamesStale"],
        ALL,
    );
    case(
        |root| fs::remove_file(root.join("tags.json")).unwrap(),
        &["NamesStale"],
        ALL,
    );
    case(
        |root| fs::write(root.join("blobs/sha256").join("0".repeat(64)), "x").unwrap(),
        &["BlobCorrupt"],
        ALL,
    );
}

#[test]
fn lost_and_damaged_databases() {
    case(remove_database, &["DatabaseLost"], ALL);
    case(
        |root| {
            remove_database(root);
            fs::write(root.join("shiplap.db"), vec![0xa5; 9000]).unwrap();
        },
        &["DatabaseDamaged"],
        ALL,
    );
    // Cut short, with its log folded in first.
    case(
        |root| {
            sql(root, "PRAGMA wal_checkpoint(TRUNCATE)");
            let database = fs::OpenOptions::new()
                .write(true)
                .open(root.join("shiplap.db"))
                .unwrap();
            database.set_len(8192).unwrap();
        },
        &["DatabaseDamaged"],
        ALL,
    );
    // Everything at once: no database, an index gone, a layer rotten.
    case(
        |root| {
            remove_database(root);
            fs::remove_file(index(root)).unwrap();
            overwrite(&blob(root, base().diff_id(0).digest()), b"rotten");
        },
        &["BlobCorrupt", "DatabaseLost"],
        &[],
    );
}

#[test]
fn without_saved_names_images_come_back_untagged() {
    let fixture = Fixture::new();
    let id = fixture.put(&base());
    let (root, _directory) = fixture.close();
    remove_database(&root);
    fs::remove_file(root.join("tags.json")).unwrap();
    assert!(
        check(&root, true, &FakePort, &|_, _| {})
            .unwrap()
            .is_sound()
    );
    let image = Store::open(&root, Access::Write)
        .unwrap()
        .image(&id)
        .unwrap()
        .unwrap();
    assert!(image.is_dangling());
}

#[test]
fn repair_wants_the_store_alone() {
    let fixture = Fixture::new();
    let beside = check(&fixture.root, true, &FakePort, &|_, _| {});
    assert!(matches!(beside, Err(StoreError::InUse { .. })));
    assert!(fixture.check(false).is_sound());
}

#[test]
fn only_verified_bytes_are_read() {
    let fixture = Fixture::new();
    let sample = base();
    fixture.put(&sample);
    let digest = sample.manifest_digest();
    assert_eq!(fixture.store.read_blob(&digest).unwrap(), sample.manifest());
    overwrite(&fixture.blob(&digest), b"{}");
    assert!(matches!(
        fixture.store.read_blob(&digest),
        Err(StoreError::Corrupt { .. })
    ));
    let (mut reader, size_bytes) = fixture.store.open_blob(&digest).unwrap();
    assert_eq!(size_bytes, 2);
    assert!(std::io::copy(&mut reader, &mut std::io::sink()).is_err());
    // Putting it again heals it.
    fixture.put(&sample);
    assert_eq!(fixture.store.read_blob(&digest).unwrap(), sample.manifest());
}
