//! What collection takes and what it leaves.

use shiplap_model::Digest;

use crate::fixture::{Fixture, Sample, put_layer};

#[test]
fn a_live_lease_keeps_what_it_committed_or_holds() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    put_layer(&lease, b"layer").unwrap();
    lease.put_blob(&Digest::of(b"{}"), b"{}").unwrap();
    let staged = lease.file().unwrap();
    fixture.store.collect().unwrap();
    assert!(staged.path().exists());
    let other = fixture.store.lease().unwrap();
    assert!(
        other
            .hold_layer(&Digest::of(b"layer").into())
            .unwrap()
            .is_some()
    );
    assert!(!other.hold_blob(&Digest::of(b"absent")).unwrap());
    drop((staged, lease));
    fixture.store.collect().unwrap();
    assert!(
        fixture
            .store
            .layer(&Digest::of(b"layer").into())
            .unwrap()
            .is_some()
    );
    assert!(!fixture.store.has_blob(&Digest::of(b"{}")));
    drop(other);
    assert_eq!(fixture.store.collect().unwrap().layers, 1);
    assert!(fixture.files().is_empty());
}

#[test]
fn removal_leaves_layers_that_a_lease_holds() {
    let fixture = Fixture::new();
    let sample = Sample::of(&["layer"]).tagged(&["a"]);
    let id = fixture.put(&sample);
    let lease = fixture.store.lease().unwrap();
    lease.hold_layer(&sample.diff_id(0)).unwrap().unwrap();
    let target = fixture.store.resolve("a").unwrap();
    drop(
        fixture
            .store
            .remove_image(&target, shiplap_store::RemoveOptions::default())
            .unwrap(),
    );
    assert_eq!(fixture.put(&sample), id);
    assert!(fixture.check(false).findings.is_empty());
    drop(lease);
    fixture.store.collect().unwrap();
    assert_eq!(fixture.store.image_layers(&id).unwrap().len(), 1);
}

#[test]
fn remains_of_the_dead_go() {
    let fixture = Fixture::new();
    fixture.put(&Sample::of(&["layer"]));
    let sound = fixture.files();
    let hex = "ab".repeat(32);
    std::fs::create_dir_all(fixture.root.join("staging/1-2-3/0")).unwrap();
    std::fs::write(fixture.root.join("staging/1-2-3/1"), "cut short").unwrap();
    std::fs::write(fixture.root.join("locks").join(&hex), "").unwrap();
    std::fs::write(fixture.root.join("blobs/sha256").join(&hex), "nobody's").unwrap();
    std::fs::write(
        fixture.root.join("layers").join(format!("{hex}.erofs")),
        "nobody's",
    )
    .unwrap();
    std::fs::create_dir_all(fixture.root.join("trees").join(&hex).join("usr/bin")).unwrap();
    assert!(fixture.store.collect().unwrap().freed_bytes > 0);
    assert_eq!(fixture.files(), sound);
    // What no store makes stays, and is told.
    std::fs::write(fixture.root.join("layers/README"), "mine").unwrap();
    fixture.store.collect().unwrap();
    assert!(fixture.root.join("layers/README").exists());
    assert!(fixture.check(false).is_sound());
}

#[test]
fn trees_belong_to_layers() {
    let fixture = Fixture::new();
    let sample = Sample::of(&["layer"]);
    let diff_id = sample.diff_id(0);
    let lease = fixture.store.lease().unwrap();
    let early = lease.directory().unwrap();
    assert!(lease.commit_tree(early, &diff_id).is_err());
    let id = fixture.put(&sample);
    let tree = lease.directory().unwrap();
    std::fs::create_dir(tree.path().join("etc")).unwrap();
    let path = lease.commit_tree(tree, &diff_id).unwrap();
    assert_eq!(
        fixture.store.tree_path(&diff_id).unwrap(),
        Some(path.clone())
    );
    // The second one to unpack finds the first one's tree.
    assert_eq!(
        lease
            .commit_tree(lease.directory().unwrap(), &diff_id)
            .unwrap(),
        path
    );
    assert!(path.join("etc").is_dir());
    drop(lease);
    fixture.store.collect().unwrap();
    assert!(path.exists());
    let target = shiplap_store::Resolved::by_id(id);
    drop(
        fixture
            .store
            .remove_image(&target, shiplap_store::RemoveOptions::default())
            .unwrap(),
    );
    assert!(fixture.files().is_empty());
}
