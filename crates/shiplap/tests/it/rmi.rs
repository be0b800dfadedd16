//! `rmi`: names go first, then images, then bytes; never more than was asked for.

use crate::harness::Store;
use crate::harness::image::{noise, recipe, small};
use crate::harness::tar::Entry;
use crate::push::load;

#[test]
fn the_last_name_takes_the_image() {
    let store = Store::new();
    let image = small("x");
    load(&store, "app:1", &image);
    store.ok(&["tag", "app:1", "app:2"]);
    assert_eq!(store.ok(&["rmi", "app:1"]), "Untagged: app:1\n");
    assert_eq!(store.names(), ["app:2"]);
    let said = store.ok(&["rmi", "app:2"]);
    assert!(said.starts_with("Untagged: app:2\n"), "{said}");
    assert!(said.contains(&format!("Deleted: {}", image.id())), "{said}");
    assert_eq!(store.names(), Vec::<String>::new());
    assert_eq!(store.kept_files(), Vec::<std::path::PathBuf>::new());
    store.assert_sound();
}

#[test]
fn by_id_and_twice() {
    let store = Store::new();
    let (one, two) = (small("one"), small("two"));
    load(&store, "one:1", &one);
    load(&store, "two:1", &two);
    store.ok(&["tag", "one:1", "one:2"]);
    // `rmi $(images -q)` names an image once per tag.
    store.ok(&["rmi", &one.short_id(), &one.short_id(), &two.id()]);
    assert_eq!(store.names(), Vec::<String>::new());
    assert_eq!(store.kept_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_id_in_two_repositories_needs_force() {
    let store = Store::new();
    let image = small("x");
    load(&store, "one:1", &image);
    store.ok(&["tag", "one:1", "two:1"]);
    let ran = store.run(&["rmi", &image.short_id()]);
    ran.assert_refused();
    ran.assert_says(&["one:1", "two:1"]);
    store.ok(&["rmi", "-f", &image.short_id()]);
    assert_eq!(store.names(), Vec::<String>::new());
}

#[test]
fn shared_layers_stay() {
    let store = Store::new();
    let base = [Entry::file("base", &noise(4, 10_000))];
    let one = recipe(&[&base, &[Entry::file("one", b"1")]]).make();
    let two = recipe(&[&base, &[Entry::file("two", b"2")]]).make();
    load(&store, "one:1", &one);
    load(&store, "two:1", &two);
    store.ok(&["image", "rm", "one:1"]);
    store.assert_sound();
    assert_eq!(store.ok(&["image", "cat", "two:1", "/two"]), "2");
    assert!(!store.ok(&["image", "cat", "two:1", "/base"]).is_empty());
    let tar = |image: &crate::harness::image::Image, at: usize| {
        store
            .root()
            .join("blobs/sha256")
            .join(&image.diff_ids()[at][7..])
    };
    assert!(!tar(&one, 1).exists(), "the layer only it had");
    assert!(tar(&one, 0).exists(), "the layer both had");
}

#[test]
fn what_is_missing_is_named_and_the_rest_removed() {
    let store = Store::new();
    load(&store, "app:1", &small("x"));
    let ran = store.run(&["rmi", "nothing:1", "app:1"]);
    ran.assert_refused();
    ran.assert_says(&["No such image", "nothing:1", "Untagged: app:1"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(store.names(), Vec::<String>::new());
    store.ok(&["rmi", "-f", "nothing:1"]);
    store.refused(&["rmi"]);
}
