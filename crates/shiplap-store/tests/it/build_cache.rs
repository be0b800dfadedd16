//! What builds keep: steps, mounts, the builds themselves, and what prunes take.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use shiplap_model::{DiffId, Digest};
use shiplap_store::{
    BuildEnd, BuildStatus, CacheKind, CachePrune, CacheSharing, Lease, NewCachedStep,
    RemoveOptions, Resolved, StoreError,
};

use crate::fixture::{Fixture, Sample, put_layer};

fn key(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// A step called `name` that left `layer`.
fn put_step(lease: &Lease, name: &str, layer: &str) -> DiffId {
    put_layer(lease, layer.as_bytes()).unwrap();
    let diff_id: DiffId = Digest::of(layer.as_bytes()).into();
    lease
        .put_cached_step(&NewCachedStep {
            key: &key(name),
            layer: &diff_id,
            newest_secs: Some(5),
            place: &key("place"),
            description: &format!("RUN {name}"),
            inputs: name.as_bytes(),
        })
        .unwrap();
    diff_id
}

#[test]
fn steps_keep_their_layers() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    let layer = put_step(&lease, "make", "made");
    drop(lease);
    assert_eq!(store.collect().unwrap().layers, 0);
    let cached = store.cached_layer(&key("make")).unwrap().unwrap();
    assert_eq!(
        (cached.layer.diff_id, cached.newest_secs),
        (layer.clone(), Some(5))
    );
    assert!(store.cached_layer(&key("else")).unwrap().is_none());
    let lease = store.lease().unwrap();
    let held = lease.use_cached_steps(&[key("make"), key("else")]).unwrap();
    assert_eq!(held[0].as_ref().unwrap().diff_id, layer);
    assert!(held[1].is_none());
    // What is in use stays.
    let all = CachePrune {
        all: true,
        ..CachePrune::default()
    };
    assert!(store.prune_build_cache(&all).unwrap().objects.is_empty());
    drop(lease);
    let step = store.cached_steps().unwrap().remove(0);
    assert_eq!(
        (step.uses, step.is_shared, step.is_in_use),
        (1, false, false)
    );
    let pruned = store.prune_build_cache(&all).unwrap();
    assert_eq!(pruned.objects.len(), 1);
    assert!(pruned.freed_bytes > 0);
    drop(pruned);
    assert!(fixture.files().is_empty());
    assert!(fixture.check(false).is_sound());
}

#[test]
fn an_alias_means_a_record() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let layer = put_step(&lease, "make", "made");
    let alias = key("at a glance");
    lease.put_cached_alias(&alias, &key("absent")).unwrap();
    assert_eq!(fixture.store.cached_layer(&alias).unwrap(), None);
    lease.put_cached_alias(&alias, &key("make")).unwrap();
    let held = lease
        .use_cached_steps(std::slice::from_ref(&alias))
        .unwrap();
    assert_eq!(held[0].as_ref().unwrap().diff_id, layer);
    assert_eq!(fixture.store.cached_steps().unwrap()[0].uses, 1);
    drop(lease);
    let all = CachePrune {
        all: true,
        ..CachePrune::default()
    };
    drop(fixture.store.prune_build_cache(&all).unwrap());
    assert_eq!(fixture.store.cached_layer(&alias).unwrap(), None);
}

#[test]
fn a_step_whose_tar_is_gone_is_no_hit() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let layer = put_step(&lease, "make", "made");
    std::fs::remove_file(fixture.blob(layer.digest())).unwrap();
    assert_eq!(lease.use_cached_steps(&[key("make")]).unwrap(), [None]);
    assert!(fixture.store.cached_layer(&key("make")).unwrap().is_none());
}

#[test]
fn a_step_needs_its_layer_and_bounded_inputs() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let mut new = NewCachedStep {
        key: &key("make"),
        layer: &key("absent").into(),
        newest_secs: None,
        place: &key("place"),
        description: "RUN make",
        inputs: &[],
    };
    let missing = lease.put_cached_step(&new);
    assert!(matches!(missing, Err(StoreError::LayerMissing { .. })));
    let bytes = vec![0; (16 << 20) + 1];
    new.inputs = &bytes;
    let too_long = lease.put_cached_step(&new);
    assert!(matches!(too_long, Err(StoreError::CacheInputs { .. })));
}

#[test]
fn the_last_inputs_of_a_place_explain() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    for round in 0..10 {
        put_step(&lease, &format!("make {round}"), "made");
    }
    let store = &fixture.store;
    let inputs = |place: &str| store.cached_inputs(&key(place)).unwrap();
    assert_eq!(
        inputs("place"),
        Some(("RUN make 9".to_owned(), b"make 9".to_vec()))
    );
    assert_eq!(inputs("elsewhere"), None);
    // The one used last is the last one.
    lease.use_cached_steps(&[key("make 8")]).unwrap();
    assert_eq!(inputs("place").unwrap().1, b"make 8");
    // Those of long ago are not kept.
    lease.use_cached_steps(&[key("make 1")]).unwrap();
    assert_eq!(inputs("place").unwrap().1, b"make 8");
}

#[test]
fn images_and_steps_share_layers() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    put_step(&lease, "make", "made");
    put_step(&lease, "again", "made");
    put_step(&lease, "more", "more");
    let id = Sample::of(&["made"]).put(&lease).unwrap();
    drop(lease);
    let pruned = store.prune_build_cache(&CachePrune::default()).unwrap();
    assert_eq!(pruned.objects.len(), 1);
    assert_eq!(pruned.objects[0].description, "RUN more");
    drop(pruned);
    assert_eq!(store.usage().unwrap().cache_objects, 2);
    assert_eq!(store.usage().unwrap().cache_bytes, 0);
    let freed = store.freed_by(std::slice::from_ref(&id)).unwrap();
    assert_eq!(freed, 0);
    drop(
        store
            .remove_image(&Resolved::by_id(id), RemoveOptions::default())
            .unwrap(),
    );
    assert!(store.cached_layer(&key("make")).unwrap().is_some());
    assert_eq!(store.usage().unwrap().cache_bytes, 4);
    assert_eq!(store.usage().unwrap().reclaimable_cache_bytes, 4);
    let all = CachePrune {
        all: true,
        ..CachePrune::default()
    };
    drop(store.prune_build_cache(&all).unwrap());
    assert!(fixture.files().is_empty());
}

#[test]
fn prunes_choose() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let lease = store.lease().unwrap();
    for name in ["a", "b", "c"] {
        put_step(&lease, name, &name.repeat(100));
    }
    drop(lease);
    let check = |prune: CachePrune, expected: &[&str]| {
        let dry_run = CachePrune {
            dry_run: true,
            ..prune
        };
        let pruned = store.prune_build_cache(&dry_run).unwrap();
        let gone: Vec<_> = pruned
            .objects
            .iter()
            .map(|object| object.description.as_str())
            .collect();
        assert_eq!(gone, expected);
        assert_eq!(pruned.freed_bytes, 100 * expected.len() as u64);
    };
    let with = |change: fn(&mut CachePrune)| {
        let mut prune = CachePrune::default();
        change(&mut prune);
        prune
    };
    check(with(|_| {}), &["RUN a", "RUN b", "RUN c"]);
    check(with(|p| p.keep_bytes = Some(250)), &["RUN a"]);
    check(with(|p| p.keep_bytes = Some(300)), &[]);
    check(with(|p| p.descriptions = vec!["RUN c".into()]), &["RUN c"]);
    check(with(|p| p.kinds = vec![CacheKind::Mount]), &[]);
    check(
        with(|p| p.ids = vec![key("b").encoded()[..8].to_owned()]),
        &["RUN b"],
    );
    check(
        with(|p| p.unused_since = Some(jiff::Timestamp::UNIX_EPOCH)),
        &[],
    );
    assert_eq!(store.build_cache_bytes().unwrap(), 300);
}

fn fill(path: &Path) -> Result<(), StoreError> {
    std::fs::write(path.join("filled"), "once").unwrap();
    Ok(())
}

#[test]
fn mounts_keep_what_is_written_to_them() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let filled = AtomicU32::new(0);
    let count = |path: &Path| {
        filled.fetch_add(1, Ordering::Relaxed);
        fill(path)
    };
    for _ in 0..2 {
        let mount = store
            .cache_mount("pip", CacheSharing::Shared, count, || false)
            .unwrap()
            .unwrap();
        assert!(mount.path().join("filled").exists());
        std::fs::write(mount.path().join("wheel"), vec![1; 100_000]).unwrap();
    }
    assert_eq!(filled.into_inner(), 1);
    let object = store.build_cache().unwrap().remove(0);
    assert_eq!(object.kind, CacheKind::Mount);
    assert_eq!((object.description.as_str(), object.uses), ("pip", 2));
    assert!(object.size_bytes >= 100_000);
    let pruned = store.prune_build_cache(&CachePrune::default()).unwrap();
    assert!(pruned.freed_bytes >= 100_000);
    drop(pruned);
    assert!(store.build_cache().unwrap().is_empty());
    assert_eq!(
        std::fs::read_dir(fixture.root.join("caches"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn sharing_holds() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let get = |sharing| store.cache_mount("apt", sharing, fill, || false).unwrap();
    let first = get(CacheSharing::Shared).unwrap();
    let second = get(CacheSharing::Shared).unwrap();
    assert_eq!(first.path(), second.path());
    assert!(get(CacheSharing::Locked).is_none());
    let private = get(CacheSharing::Private).unwrap();
    assert_ne!(private.path(), first.path());
    // What a step has mounted stays.
    let prune = CachePrune::default();
    assert!(store.prune_build_cache(&prune).unwrap().objects.is_empty());
    drop((first, second));
    let locked = get(CacheSharing::Locked).unwrap();
    assert!(get(CacheSharing::Shared).is_none());
    // Whoever waits gets it in the end.
    let waited = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| store.cache_mount("apt", CacheSharing::Locked, fill, || true));
        drop(locked);
        waiter.join().unwrap().unwrap()
    });
    assert!(waited.is_some());
}

#[test]
fn what_could_not_be_filled_is_not_there() {
    let fixture = Fixture::new();
    let failing = |path: &Path| {
        std::fs::write(path.join("half"), "").unwrap();
        Err(StoreError::ReadOnly {
            root: path.to_owned(),
        })
    };
    let result = fixture
        .store
        .cache_mount("pip", CacheSharing::Shared, failing, || false);
    assert!(result.is_err());
    let mount = fixture
        .store
        .cache_mount("pip", CacheSharing::Shared, fill, || false)
        .unwrap()
        .unwrap();
    assert!(!mount.path().join("half").exists());
}

#[test]
fn builds_are_remembered() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    assert!(store.begin_build("../etc", "evil").is_err());
    let first = store.begin_build("aa11", "app").unwrap();
    std::fs::write(first.directory().join("log"), "hello").unwrap();
    let second = store.begin_build("bb22", "other").unwrap();
    let statuses = || -> Vec<_> {
        let builds = store.builds().unwrap();
        builds.iter().map(|build| build.status).collect()
    };
    assert_eq!(statuses(), [BuildStatus::Running, BuildStatus::Running]);
    drop(second);
    first
        .end(&BuildEnd {
            status: BuildStatus::Completed,
            image: None,
            steps: 5,
            cached: 3,
        })
        .unwrap();
    assert_eq!(statuses(), [BuildStatus::Canceled, BuildStatus::Completed]);
    assert_eq!(
        std::fs::read_to_string(store.build_path("aa11").unwrap().join("log")).unwrap(),
        "hello"
    );
    // Whoever made it may be about to tell more.
    assert_eq!(store.remove_builds(&["aa11".to_owned()]).unwrap(), 0);
    drop(first);
    assert_eq!(store.remove_builds(&["aa11".to_owned()]).unwrap(), 1);
    assert!(!store.build_path("aa11").unwrap().exists());
    assert_eq!(store.builds().unwrap().len(), 1);
}

#[test]
fn old_builds_go() {
    let fixture = Fixture::new();
    for number in 0..205 {
        drop(
            fixture
                .store
                .begin_build(&format!("{number:04x}"), "app")
                .unwrap(),
        );
    }
    let builds = fixture.store.builds().unwrap();
    assert_eq!(builds.len(), 200);
    assert!(!fixture.store.build_path("0000").unwrap().exists());
    assert!(fixture.store.build_path("0005").unwrap().exists());
}
