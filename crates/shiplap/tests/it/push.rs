//! `push` and `copy`: what a registry then has is judged by skopeo, podman and the registry itself.

use serde_json::Value;

use crate::harness::Store;
use crate::harness::double::Double;
use crate::harness::image::{Compression, Image, digest, index, noise, recipe, small, usual};
use crate::harness::image::{Family, OCI_INDEX};
use crate::harness::judge::{self, Podman};
use crate::harness::registry::Registry;
use crate::harness::tar::Entry;

/// Loads an image under a name without any registry.
pub(crate) fn load(store: &Store, name: &str, image: &Image) {
    let archive = store.path("loaded.tar");
    std::fs::write(&archive, image.docker_archive(&[name])).unwrap();
    store.ok(&["load", "-i", archive.to_str().unwrap()]);
}

#[test]
fn pushed_images_are_whole() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let image = usual().make();
    let store = Store::new();
    let name = registry.reference("team/usual:1");
    load(&store, &name, &image);
    let ran = store.run(&["push", &name]);
    ran.assert_ok();
    let (manifest, _) = registry.manifest("team/usual", "1");
    ran.assert_says(&[&digest(&manifest)]);

    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["config"]["digest"], image.id());
    assert_eq!(registry.blob("team/usual", &image.id()), image.config);
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = registry.blob("team/usual", layer["digest"].as_str().unwrap());
        assert_eq!(digest(&blob), layer["digest"]);
        assert_eq!(blob.len() as u64, layer["size"]);
    }
    // Whoever pulls it has the same image.
    let other = Store::new();
    other.ok(&["pull", &name]);
    assert_eq!(other.field(&name, "{{.Id}}"), image.id());
}

#[test]
fn peers_take_what_was_pushed() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let image = usual().make();
    for compression in ["gzip", "zstd"] {
        let store = Store::new();
        let repository = format!("team/{compression}");
        let name = registry.reference(&format!("{repository}:1"));
        load(&store, &name, &image);
        store.ok(&["push", "--compression", compression, &name]);
        let (manifest, _) = registry.manifest(&repository, "1");
        let types = String::from_utf8(manifest.clone()).unwrap();
        assert!(types.contains(compression), "{types}");

        if let Some(mut skopeo) = judge::skopeo() {
            let seen = judge::ask(skopeo.args([
                "inspect",
                "--tls-verify=false",
                &format!("docker://{name}"),
            ]));
            let seen: Value = serde_json::from_str(&seen).unwrap();
            assert_eq!(seen["Digest"], digest(&manifest));
        }
        if let Some(podman) = Podman::new() {
            podman.ask(&["pull", "-q", &name]);
            let id = podman.ask(&["inspect", "--format", "{{.Id}}", &name]);
            assert_eq!(id.trim(), &image.id()[7..]);
        }
    }
}

#[test]
fn an_unchanged_push_sends_nothing() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let store = Store::new();
    let name = registry.reference("app:1");
    load(&store, &name, &usual().make());
    store.ok(&["push", &name]);
    let (first, _) = registry.manifest("app", "1");
    let again = store.run(&["push", &name]);
    again.assert_ok();
    again.assert_says(&["already exists", &digest(&first)]);
    assert_eq!(registry.manifest("app", "1").0, first);
}

#[test]
fn a_pulled_image_keeps_its_digest() {
    let (Some(from), Some(to)) = (Registry::start(), Registry::start()) else {
        return;
    };
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        let image = usual().compression(compression).make();
        from.fill("app:1", &image);
        let store = Store::new();
        store.ok(&["pull", &from.reference("app:1")]);
        store.ok(&["tag", &from.reference("app:1"), &to.reference("copy:1")]);
        store.ok(&["push", &to.reference("copy:1")]);
        assert_eq!(
            to.manifest("copy", "1").0,
            image.manifest,
            "{compression:?}"
        );
    }
}

#[test]
fn layers_are_mounted_from_another_repository() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let image = recipe(&[&[Entry::file("big", &noise(3, 300_000))]]).make();
    registry.fill("base:1", &image);
    let store = Store::new();
    store.ok(&["pull", &registry.reference("base:1")]);
    store.ok(&[
        "tag",
        &registry.reference("base:1"),
        &registry.reference("derived:1"),
    ]);
    let ran = store.run(&["push", &registry.reference("derived:1")]);
    ran.assert_ok();
    ran.assert_says(&["Mounted from base"]);
    assert!(registry.has_blob("derived", &digest(&image.blobs[0])));
}

#[test]
fn all_tags_are_pushed() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let store = Store::new();
    for word in ["one", "two"] {
        load(
            &store,
            &registry.reference(&format!("app:{word}")),
            &small(word),
        );
    }
    store.ok(&["push", "--all-tags", &registry.reference("app")]);
    for word in ["one", "two"] {
        let (manifest, _) = registry.manifest("app", word);
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["config"]["digest"], small(word).id());
    }
}

#[test]
fn a_push_is_refused_in_words() {
    let store = Store::new();
    let double = Double::start();
    store.refused(&["push", "never/seen:1"]);
    let name = double.reference("app:1");
    load(&store, &name, &small("x"));
    // The double takes no uploads.
    let ran = store.run(&["push", &name]);
    ran.assert_refused();
    ran.assert_says(&["app"]);
}

#[test]
fn copies_are_digest_exact() {
    let (Some(from), Some(to)) = (Registry::start(), Registry::start()) else {
        return;
    };
    let image = usual().make();
    from.fill("app:1", &image);
    let store = Store::new();
    let layout = format!("oci:{}", store.path("layout").display());
    let archive = format!("oci-archive:{}", store.path("archive.tar").display());
    let steps = [
        (from.reference("app:1"), format!("{layout}:1")),
        (format!("{layout}:1"), format!("{archive}:1")),
        (format!("{archive}:1"), to.reference("copy:1")),
    ];
    for (source, target) in &steps {
        store.ok(&["copy", source, target]);
    }
    assert_eq!(to.manifest("copy", "1").0, image.manifest);
    // Nothing of it went into the store.
    assert_eq!(store.names(), Vec::<String>::new());

    if let Some(mut skopeo) = judge::skopeo() {
        let raw = judge::ask(skopeo.args(["inspect", "--raw", &format!("{layout}:1")]));
        assert_eq!(raw.into_bytes(), image.manifest);
    }
    let docker = format!(
        "docker-archive:{}:app:1",
        store.path("docker.tar").display()
    );
    store.ok(&["copy", &from.reference("app:1"), &docker]);
    store.ok(&["load", "-i", store.path("docker.tar").to_str().unwrap()]);
    assert_eq!(store.field("app:1", "{{.Id}}"), image.id());
}

#[test]
fn all_platforms_are_copied() {
    let (Some(from), Some(to)) = (Registry::start(), Registry::start()) else {
        return;
    };
    let (one, two) = (small("one"), small("two"));
    from.fill("app:one", &one);
    from.fill("app:two", &two);
    let bytes = index(Family::Oci, &[("linux/amd64", &one), ("linux/arm64", &two)]);
    from.put_manifest("app", "all", OCI_INDEX, &bytes);
    let store = Store::new();
    store.ok(&[
        "copy",
        "--all",
        &from.reference("app:all"),
        &to.reference("copy:all"),
    ]);
    assert_eq!(to.manifest("copy", "all").0, bytes);
    for image in [&one, &two] {
        assert_eq!(
            to.manifest("copy", &image.manifest_digest()).0,
            image.manifest
        );
        assert!(to.has_blob("copy", &digest(&image.blobs[0])));
    }
}
