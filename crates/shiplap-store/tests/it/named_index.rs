//! Tags that name an index of images for several platforms.

use serde_json::json;
use shiplap_model::{Digest, ImageId, Platform, Repository};
use shiplap_store::{NewImage, Removal, RemoveError, RemoveOptions, Removed, RepoDigest};

use crate::fixture::{Fixture, Sample};

const GENTLE: RemoveOptions = RemoveOptions {
    force: false,
    all_names: false,
};
const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    all_names: false,
};

fn own() -> Sample {
    Sample::of(&["shared", "amd64"])
}

fn other() -> Sample {
    Sample {
        architecture: Some("arm64"),
        ..Sample::of(&["shared", "arm64"])
    }
}

/// Puts both images, as those of an index that these tags name; its digest.
fn put(fixture: &Fixture, tags: &[&str]) -> Digest {
    let lease = fixture.store.lease().unwrap();
    let samples = [other(), own()];
    let manifests: Vec<_> = samples
        .iter()
        .map(|sample| {
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json",
                   "digest": sample.manifest_digest(), "size": sample.manifest().len()})
        })
        .collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    let index = serde_json::to_vec(&index).unwrap();
    let digest = Digest::of(&index);
    lease.put_blob(&digest, &index).unwrap();
    let tags: Vec<_> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    for (sample, tags) in samples.iter().zip([&[][..], &tags[..]]) {
        sample.put(&lease).unwrap();
        let manifest = sample.manifest_digest();
        let new = NewImage {
            indexes: std::slice::from_ref(&digest),
            tags,
            named_index: Some(&digest),
            ..NewImage::of(&manifest)
        };
        lease.put_image(&new).unwrap();
    }
    digest
}

fn remove(fixture: &Fixture, name: &str, options: RemoveOptions) -> Result<Removed, RemoveError> {
    let target = fixture.store.resolve(name).unwrap();
    fixture.store.remove_image(&target, options)
}

fn deleted(removed: &Removed) -> Vec<&ImageId> {
    let images = removed.steps.iter().filter_map(|step| match step {
        Removal::Image(id) => Some(id),
        _ => None,
    });
    images.collect()
}

#[test]
fn a_tag_means_the_image_of_the_platform() {
    let fixture = Fixture::new();
    let index = put(&fixture, &["app"]);
    let store = &fixture.store;
    let tag = "app".parse().unwrap();
    assert_eq!(store.named_index(&tag).unwrap(), Some(index.clone()));
    let resolve = |architecture: &str| {
        let platform = Platform::new("linux", architecture);
        store
            .resolve_for("app", Some(&platform))
            .map(|found| found.id)
    };
    assert_eq!(store.resolve("app").unwrap().id, own().id());
    assert_eq!(resolve("amd64").unwrap(), own().id());
    assert_eq!(resolve("arm64").unwrap(), other().id());
    assert!(resolve("s390x").is_err());
    for image in store.images().unwrap() {
        assert_eq!(image.is_part, image.id == other().id());
        assert!(!image.is_dangling());
    }
    let lines = store.image_lines(false).unwrap();
    assert_eq!(lines.iter().filter(|line| line.is_part).count(), 1);

    // Another tag for the image alone, and one for all of it.
    let (alone, all) = ("alone".parse().unwrap(), "all".parse().unwrap());
    store.tag(&own().id(), &alone).unwrap();
    store.tag_index(&own().id(), Some(&index), &all).unwrap();
    assert_eq!(store.named_index(&alone).unwrap(), None);
    assert_eq!(store.named_index(&all).unwrap(), Some(index));
    assert!(fixture.check(false).findings.is_empty());
}

#[test]
fn parts_go_with_the_last_name() {
    let fixture = Fixture::new();
    put(&fixture, &["app", "app:2"]);
    let removed = remove(&fixture, "app", GENTLE).unwrap();
    assert!(deleted(&removed).is_empty());
    let removed = remove(&fixture, "app:2", GENTLE).unwrap();
    assert_eq!(deleted(&removed), [&own().id(), &other().id()]);
    drop(removed);
    assert!(fixture.files().is_empty(), "{:?}", fixture.files());
    assert!(fixture.check(false).findings.is_empty());
}

#[test]
fn what_has_a_name_of_its_own_stays() {
    let fixture = Fixture::new();
    put(&fixture, &["app"]);
    fixture
        .store
        .tag(&other().id(), &"arm".parse().unwrap())
        .unwrap();
    let repository: Repository = "app".parse().unwrap();
    for sample in [own(), other()] {
        let digest = Digest::of(b"index");
        let known = RepoDigest {
            repository: repository.clone(),
            digest,
        };
        fixture.store.add_repo_digest(&sample.id(), &known).unwrap();
    }
    let removed = remove(&fixture, "app", GENTLE).unwrap();
    assert_eq!(deleted(&removed), [&own().id()]);
    let left = fixture.store.image(&other().id()).unwrap().unwrap();
    assert!(left.repo_digests.is_empty() && !left.is_part);
    let removed = remove(&fixture, "arm", GENTLE).unwrap();
    assert_eq!(deleted(&removed), [&other().id()]);
}

#[test]
fn a_part_is_not_taken_away_alone() {
    let fixture = Fixture::new();
    put(&fixture, &["app"]);
    let id = other().id();
    match remove(&fixture, id.hex(), GENTLE) {
        Err(RemoveError::Part { tags, .. }) => assert_eq!(tags[0].familiar(), "app:latest"),
        Err(error) => panic!("{error}"),
        Ok(removed) => panic!("{:?}", removed.steps),
    }
    let removed = remove(&fixture, id.hex(), FORCE).unwrap();
    assert_eq!(deleted(&removed), [&id]);
    assert_eq!(
        fixture.store.named_index(&"app".parse().unwrap()).unwrap(),
        None
    );
    assert_eq!(fixture.store.resolve("app").unwrap().id, own().id());
}

#[test]
fn a_tag_that_moves_away_leaves_parts_without_a_name() {
    let fixture = Fixture::new();
    put(&fixture, &["app"]);
    fixture.put(&Sample::of(&["new"]).tagged(&["app"]));
    assert_eq!(
        fixture.store.named_index(&"app".parse().unwrap()).unwrap(),
        None
    );
    let images = fixture.store.images().unwrap();
    assert_eq!(images.iter().filter(|image| image.is_dangling()).count(), 2);
}

#[test]
fn names_of_indexes_survive_the_database() {
    let fixture = Fixture::new();
    let index = put(&fixture, &["app"]);
    let (root, _directory) = fixture.close();
    std::fs::remove_file(root.join("shiplap.db")).unwrap();
    let _ = std::fs::remove_file(root.join("shiplap.db-wal"));
    shiplap_store::check(&root, true, &crate::fixture::FakePort, &|_, _| {}).unwrap();
    let store = shiplap_store::Store::open(&root, shiplap_store::Access::Read).unwrap();
    assert_eq!(
        store.named_index(&"app".parse().unwrap()).unwrap(),
        Some(index)
    );
    assert_eq!(store.resolve("app").unwrap().id, own().id());
}
