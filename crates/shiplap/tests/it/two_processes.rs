//! Several processes on one store at once: work is shared, nothing is lost.

use std::time::Duration;

use crate::harness::Store;
use crate::harness::double::Double;
use crate::harness::image::{digest, noise, recipe, small, usual};
use crate::harness::tar::Entry;
use crate::push::load;

#[test]
fn two_pulls_share_one_download() {
    let double = Double::start();
    let image = recipe(&[
        &[Entry::file("a", &noise(11, 400_000))],
        &[Entry::file("b", &noise(12, 400_000))],
    ])
    .make();
    double.fill("app:1", &image);
    for blob in &image.blobs {
        let path = format!("/v2/app/blobs/{}", digest(blob));
        double.put(
            &path,
            double.document(&path).slowly(Duration::from_millis(20)),
        );
    }
    let store = Store::new();
    let name = double.reference("app:1");
    let children: Vec<_> = (0..3).map(|_| store.start(&["pull", &name])).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for blob in &image.blobs {
        assert_eq!(
            double.count("GET", &digest(blob)),
            1,
            "fetched once for all"
        );
    }
    assert_eq!(store.names(), [name]);
    store.assert_sound();
}

#[test]
fn a_pull_outlives_the_death_of_another() {
    let double = Double::start();
    let image = recipe(&[&[Entry::file("a", &noise(13, 600_000))]]).make();
    double.fill("app:1", &image);
    let path = format!("/v2/app/blobs/{}", digest(&image.blobs[0]));
    double.put(
        &path,
        double.document(&path).slowly(Duration::from_millis(20)),
    );
    let store = Store::new();
    let name = double.reference("app:1");
    let mut first = store.start(&["pull", &name]);
    while double.count("GET", &path) == 0 {
        std::thread::yield_now();
    }
    let mut second = store.start(&["pull", &name]);
    std::thread::sleep(Duration::from_millis(100));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(store.field(&name, "{{.Id}}"), image.id());
    store.assert_prunes_to_nothing();
}

#[test]
fn many_writers_lose_nothing() {
    let store = Store::new();
    load(&store, "base:1", &usual().make());
    let archives: Vec<String> = (0..4)
        .map(|number| {
            let file = store.path(&format!("archive-{number}.tar"));
            let name = format!("loaded:{number}");
            let image = small(&name);
            std::fs::write(&file, image.docker_archive(&[&name])).unwrap();
            file.to_str().unwrap().to_owned()
        })
        .collect();
    let mut children = Vec::new();
    for (number, archive) in archives.iter().enumerate() {
        children.push(store.start(&["load", "-i", archive]));
        children.push(store.start(&["tag", "base:1", &format!("tagged:{number}")]));
        children.push(store.start(&["images"]));
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(store.names().len(), 1 + 4 + 4);
    store.assert_sound();
}

#[test]
fn two_that_slim_make_one_image() {
    let store = Store::new();
    let waste = Entry::file("tmp/left", &noise(15, 500_000));
    let image = recipe(&[&[waste, Entry::file("a", &noise(16, 500_000))]]).make();
    load(&store, "app:1", &image);
    let names = ["slim:1", "slim:2", "slim:3"];
    let children = names.map(|name| store.start(&["slim", "--no-network", "-t", name, "app:1"]));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let ids: Vec<_> = names.map(|name| store.field(name, "{{.Id}}")).to_vec();
    assert!(
        ids.iter().all(|id| *id == ids[0] && *id != image.id()),
        "{ids:?}"
    );
    store.assert_prunes_to_nothing();
}

#[test]
fn a_prune_beside_a_pull_takes_nothing_of_it() {
    let double = Double::start();
    let image = recipe(&[&[Entry::file("a", &noise(14, 500_000))]]).make();
    double.fill("app:1", &image);
    let path = format!("/v2/app/blobs/{}", digest(&image.blobs[0]));
    double.put(
        &path,
        double.document(&path).slowly(Duration::from_millis(10)),
    );
    let store = Store::new();
    let name = double.reference("app:1");
    let mut pull = store.start(&["pull", &name]);
    while pull.try_wait().unwrap().is_none() {
        store.ok(&["image", "prune", "--force"]);
    }
    assert!(pull.wait().unwrap().success());
    store.assert_sound();
    assert_eq!(store.field(&name, "{{.Id}}"), image.id());
}
