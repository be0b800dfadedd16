//! Putting, tagging, listing and finding images.

use shiplap_model::reference::Reference;
use shiplap_model::{Digest, ImageId};
use shiplap_store::{
    CompressedForm, ImageError, NewImage, RepoDigest, ResolveError, Resolved, ResolvedBy,
    StoreError,
};

use crate::fixture::{Fixture, Sample, put_layer};

#[test]
fn what_was_put_is_listed() {
    let fixture = Fixture::new();
    let old = Sample {
        created: Some("2020-01-01T00:00:00Z"),
        ..Sample::of(&["base"])
    };
    let new = Sample {
        created: Some("2024-05-06T07:08:09.5Z"),
        labels: vec![("stage", "test")],
        ..Sample::of(&["base", "on top"])
    };
    fixture.put(&old);
    fixture.put(&new.clone().tagged(&["b", "a:1"]).known_as(&["a"]));
    let images = fixture.store.images().unwrap();
    assert_eq!(
        images
            .iter()
            .map(|image| image.id.clone())
            .collect::<Vec<_>>(),
        [new.id(), old.id()]
    );
    let image = &images[0];
    assert_eq!(
        image
            .tags
            .iter()
            .map(Reference::familiar)
            .collect::<Vec<_>>(),
        ["a:1", "b:latest"]
    );
    assert_eq!(image.repo_digests.len(), 1);
    let manifest = new.manifest_digest();
    let found = fixture.store.image_of_manifest(&manifest).unwrap();
    assert_eq!(found.as_ref(), Some(&image.id));
    assert_eq!(
        fixture.store.image_manifests(&image.id).unwrap(),
        [manifest]
    );
    assert_eq!(
        (
            image.content_bytes,
            image.os.as_str(),
            image.labels["stage"].as_str()
        ),
        (2 + 3, "linux", "test")
    );
    assert!(
        image.last_tagged.is_some() && images[1].last_tagged.is_none() && images[1].is_dangling()
    );
    assert_eq!(
        fixture.store.image(&new.id()).unwrap().as_ref(),
        Some(image)
    );
    let layers = fixture.store.image_layers(&new.id()).unwrap();
    assert_eq!(
        layers
            .iter()
            .map(|layer| layer.tar_bytes)
            .collect::<Vec<_>>(),
        [4, 6]
    );
    assert!(fixture.check(false).findings.is_empty());
}

#[test]
fn tags_move() {
    let fixture = Fixture::new();
    let first = fixture.put(&Sample::of(&["1"]).tagged(&["app"]));
    let second = fixture.put(&Sample::of(&["2"]));
    let app: Reference = "app".parse().unwrap();
    assert_eq!(
        fixture.store.tag(&second, &app).unwrap(),
        Some(first.clone())
    );
    assert_eq!(fixture.store.tag(&second, &app).unwrap(), None);
    assert_eq!(fixture.store.find(&app).unwrap(), Some(second.clone()));
    assert!(fixture.store.image(&first).unwrap().unwrap().is_dangling());
    let absent: ImageId = Digest::of(b"absent").into();
    assert!(matches!(
        fixture.store.tag(&absent, &app),
        Err(ImageError::Store(StoreError::ImageMissing { .. }))
    ));
    let digest = app.with_digest(Digest::of(b"x"));
    assert!(matches!(
        fixture.store.tag(&second, &digest),
        Err(ImageError::TagWithDigest { .. })
    ));
}

/// Nothing of a half-committed image is recorded.
#[test]
fn an_image_needs_all_its_blobs() {
    let sample = Sample::of(&["layer 1", "layer 2"]).tagged(&["app"]);
    let (config, manifest) = (sample.config(), sample.manifest());
    let digest = Digest::of(&manifest);
    for with_layers in [0, 1, 2] {
        for with_config in [false, true] {
            let fixture = Fixture::new();
            let lease = fixture.store.lease().unwrap();
            for layer in &sample.layers[..with_layers] {
                put_layer(&lease, layer).unwrap();
            }
            if with_config {
                lease.put_blob(&Digest::of(&config), &config).unwrap();
            }
            lease.put_blob(&digest, &manifest).unwrap();
            let put = lease.put_image(&NewImage::of(&digest));
            assert_eq!(put.is_ok(), with_config && with_layers == 2, "{put:?}");
            assert_eq!(
                fixture.store.images().unwrap().len(),
                usize::from(put.is_ok())
            );
        }
    }
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    assert!(matches!(
        lease.put_blob(&digest, b"other"),
        Err(StoreError::Digest { .. })
    ));
    assert!(matches!(
        lease.put_image(&NewImage::of(&digest)),
        Err(ImageError::Store(StoreError::BlobMissing { .. }))
    ));
    drop(lease);
    assert!(fixture.files().is_empty(), "{:?}", fixture.files());
}

#[test]
fn names_resolve_as_dockers_do() {
    let fixture = Fixture::new();
    let one = Sample::of(&["1"])
        .tagged(&["python:3.11", "other/app"])
        .known_as(&["python"]);
    let two = Sample::of(&["2"]);
    let (id, id_two) = (fixture.put(&one), fixture.put(&two));
    let manifest = one.manifest_digest();
    let hex = id.hex().to_owned();
    let by_tag = |tag: &str| ResolvedBy::Tag(tag.parse::<Reference>().unwrap().or_latest());
    let check = |name: &str, expected: Option<(&ImageId, ResolvedBy)>| {
        let found = fixture.store.resolve(name);
        match (found, expected) {
            (Ok(found), Some((id, by))) => {
                assert_eq!(found, Resolved { id: id.clone(), by }, "{name}");
            }
            (Err(ResolveError::NotFound { .. }), None) => {}
            (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
        }
    };
    check("python:3.11", Some((&id, by_tag("python:3.11"))));
    check(
        "docker.io/library/python:3.11",
        Some((&id, by_tag("python:3.11"))),
    );
    check("other/app", Some((&id, by_tag("other/app"))));
    check("python", None);
    let digest = RepoDigest {
        repository: "python".parse().unwrap(),
        digest: manifest.clone(),
    };
    check(
        &format!("python@{manifest}"),
        Some((&id, ResolvedBy::RepoDigest(digest.clone()))),
    );
    check(
        &format!("python:3.11@{manifest}"),
        Some((&id, ResolvedBy::RepoDigest(digest))),
    );
    check(&format!("other/app@{manifest}"), None);
    for length in [12, 63, 64] {
        check(&hex[..length], Some((&id, ResolvedBy::Id)));
        check(
            &format!("sha256:{}", &hex[..length]),
            Some((&id, ResolvedBy::Id)),
        );
    }
    check(&format!("sha256:{}", "0".repeat(64)), None);
    assert!(matches!(
        fixture.store.resolve("UPPER"),
        Err(ResolveError::Invalid { .. })
    ));

    // A name wins over the beginning of an ID.
    let short: Reference = hex[..4].parse().unwrap();
    fixture.store.tag(&id_two, &short).unwrap();
    check(
        &hex[..4],
        Some((&id_two, ResolvedBy::Tag(short.or_latest()))),
    );
    // Images enough that some digit begins two IDs.
    for number in 0..40 {
        fixture.put(&Sample::of(&["1"]).by(&number.to_string()));
    }
    let ambiguous = "0123456789abcdef"
        .chars()
        .map(|digit| fixture.store.resolve(&digit.to_string()));
    assert!(ambiguous.into_iter().any(|found| {
        matches!(found, Err(ResolveError::Ambiguous { candidates, .. }) if candidates.len() >= 2)
    }));
}

#[test]
fn indexes_are_kept_with_their_images() {
    let fixture = Fixture::new();
    let sample = Sample::of(&["1"]);
    let lease = fixture.store.lease().unwrap();
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    let digest = Digest::of(index);
    fixture.put(&sample);
    lease.put_blob(&digest, index).unwrap();
    let known = RepoDigest {
        repository: "app".parse().unwrap(),
        digest: digest.clone(),
    };
    let manifest = sample.manifest_digest();
    let new = NewImage {
        indexes: std::slice::from_ref(&digest),
        repo_digests: std::slice::from_ref(&known),
        ..NewImage::of(&manifest)
    };
    assert!(!lease.put_image(&new).unwrap().is_new);
    drop(lease);
    fixture.store.collect().unwrap();
    assert_eq!(
        fixture.store.image_indexes(&sample.id()).unwrap(),
        std::slice::from_ref(&digest)
    );
    assert_eq!(fixture.store.read_blob(&digest).unwrap(), index);
    assert_eq!(
        fixture.store.resolve(&format!("app@{digest}")).unwrap().id,
        sample.id()
    );
}

#[test]
fn compressed_forms_go_with_their_layer() {
    let fixture = Fixture::new();
    let sample = Sample::of(&["1"]);
    let form = CompressedForm {
        digest: Digest::of(b"gzip"),
        size_bytes: 4,
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        kept: false,
        locations: vec!["a".parse().unwrap(), "localhost:5000/b".parse().unwrap()],
    };
    let diff_id = sample.diff_id(0);
    let early = fixture.store.record_compressed(&diff_id, &form);
    assert!(matches!(early, Err(StoreError::LayerMissing { .. })));
    let id = fixture.put(&sample);
    fixture.store.record_compressed(&diff_id, &form).unwrap();
    let found = fixture.store.compressed_forms(&diff_id).unwrap();
    assert_eq!((found.len(), found[0].locations.len()), (1, 2));
    assert_eq!(
        fixture.store.layer_of_compressed(&form.digest).unwrap(),
        Some(diff_id.clone())
    );
    fixture
        .store
        .forget_location(&form.digest, &form.locations[0])
        .unwrap();
    assert_eq!(
        fixture.store.compressed_forms(&diff_id).unwrap()[0].locations,
        form.locations[1..]
    );
    drop(
        fixture
            .store
            .remove_image(
                &Resolved::by_id(id),
                shiplap_store::RemoveOptions::default(),
            )
            .unwrap(),
    );
    assert!(fixture.store.compressed_forms(&diff_id).unwrap().is_empty());
    assert_eq!(
        fixture.store.layer_of_compressed(&form.digest).unwrap(),
        None
    );
}

/// Not timed by an assertion; the numbers are for whoever looks.
#[test]
fn a_thousand_images_are_listed() {
    let fixture = Fixture::new();
    let base = Sample::of(&["a", "b", "c", "d", "e"]);
    fixture.put(&base.clone().tagged(&["base"]));
    let lease = fixture.store.lease().unwrap();
    for number in 1..1000 {
        let sample = base.clone().by(&number.to_string());
        let id = sample.put(&lease).unwrap();
        if number % 10 == 0 {
            fixture
                .store
                .tag(&id, &format!("app:{number}").parse().unwrap())
                .unwrap();
        }
    }
    let timed = |what: &str, work: &dyn Fn()| {
        let start = std::time::Instant::now();
        work();
        eprintln!("1,000 images: {what} in {:?}", start.elapsed());
    };
    timed("list", &|| {
        assert_eq!(fixture.store.images().unwrap().len(), 1000);
    });
    timed("open and list", &|| {
        let store = shiplap_store::Store::open(&fixture.root, shiplap_store::Access::Read).unwrap();
        assert_eq!(store.images().unwrap().len(), 1000);
    });
    timed("open", &|| {
        drop(shiplap_store::Store::open(&fixture.root, shiplap_store::Access::Read).unwrap());
    });
    timed("tag", &|| {
        drop(
            fixture
                .store
                .tag(&base.id(), &"new".parse().unwrap())
                .unwrap(),
        );
    });
    timed("resolve", &|| {
        drop(fixture.store.resolve("app:500").unwrap());
    });
    timed("measure", &|| {
        assert_eq!(fixture.store.usage().unwrap().images.len(), 1000);
    });
}
