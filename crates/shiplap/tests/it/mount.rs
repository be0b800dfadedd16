//! `mount`: the kernel's view of an image against what umoci makes of it, by every backend.

use std::path::Path;
use std::process::Command;

use crate::harness::Store;
use crate::harness::double::Double;
use crate::harness::image::{Image, noise, recipe};
use crate::harness::judge;
use crate::harness::listing::{assert_same, list};
use crate::harness::tar::Entry;

/// A mounted image, unmounted when dropped.
struct Mounted<'a> {
    store: &'a Store,
    target: String,
}

impl<'a> Mounted<'a> {
    fn new(store: &'a Store, backend: &str, name: &str) -> Self {
        let target = store.path(&format!("mnt-{backend}"));
        std::fs::create_dir_all(&target).unwrap();
        let target = target.to_str().unwrap().to_owned();
        store.ok(&["--layer-backend", backend, "mount", name, &target]);
        Self { store, target }
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let ran = self.store.run(&["umount", &self.target]);
        if !std::thread::panicking() {
            ran.assert_ok();
        }
    }
}

/// Pulls, mounts with both backends, compares with umoci, and lets fsck.erofs read each index.
#[track_caller]
fn judge_image(image: &Image) {
    if !judge::is_root() {
        judge::skip("mounting needs root");
        return;
    }
    let double = Double::start();
    double.fill("app:1", image);
    let name = double.reference("app:1");
    let store = Store::new();
    store.ok(&["pull", &name]);

    if let Some(fsck) = judge::fsck_erofs() {
        for layer in image.diff_ids() {
            let tar = store.root().join("blobs/sha256").join(&layer[7..]);
            let index = store
                .root()
                .join("layers")
                .join(format!("{}.erofs", &layer[7..]));
            let device = format!("--device={}", tar.display());
            judge::ask(Command::new(&fsck).args(["--extract", &device]).arg(index));
        }
    }
    let layout = store.path("layout");
    image.write_layout(&layout, "1");
    let Some(theirs) = judge::umoci_unpack(&layout, "1", &store.path("bundle")) else {
        return;
    };
    let theirs = list(&theirs);
    for backend in ["erofs", "tree"] {
        let mounted = Mounted::new(&store, backend, &name);
        assert_same(&list(Path::new(&mounted.target)), &theirs);
    }
    store.ok(&["rmi", &name]);
    store.assert_prunes_to_nothing();
}

#[test]
fn everything_a_layer_may_hold() {
    let long = "n".repeat(255);
    let deep = ["d"; 60].join("/");
    let mut entries = vec![
        Entry::directory("").mode(0o755),
        Entry::file("plain", b"plain"),
        Entry::file("empty", b""),
        Entry::file("modes", b"x").mode(0o6711),
        Entry::directory("sticky").mode(0o1777),
        Entry::file("owned", b"x").owner(70_000, 4_000_000_000),
        Entry::file("old", b"x").mtime(1),
        Entry::symlink("link", "plain"),
        Entry::symlink("dangling", "/nowhere/at/all"),
        Entry::symlink("long-link", &"t/".repeat(500)),
        Entry::hard_link("hard", "plain"),
        Entry::directory("other"),
        Entry::hard_link("other/hard", "plain"),
        Entry::character_device("null", 1, 3),
        Entry::block_device("disk", 8, 300),
        Entry::fifo("pipe"),
        Entry::file("with-xattrs", b"x")
            .xattr("user.short", b"value")
            .xattr("user.binary", &[0, 255, 1])
            .xattr("user.long", &[b'v'; 3000])
            .xattr(
                "security.capability",
                &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
        Entry::directory("dir-xattrs").xattr("user.dir", b"d"),
        Entry::file(&long, b"long name"),
        Entry::file("spaces and ünïcödé", "grüße".as_bytes()),
        Entry::file("back\\slash", b"x"),
        Entry::file("unaligned", &noise(5, 5_000_001)),
    ];
    let mut path = String::new();
    for part in deep.split('/') {
        path = format!("{path}{part}/");
        entries.push(Entry::directory(&path));
    }
    entries.push(Entry::file(&format!("{path}bottom"), b"deep"));
    judge_image(&recipe(&[&entries]).make());
}

#[test]
fn big_directories() {
    let mut entries = vec![Entry::directory("big")];
    for number in 0..5000 {
        entries.push(Entry::file(
            &format!("big/file-number-{number:05}"),
            number.to_string().as_bytes(),
        ));
    }
    judge_image(&recipe(&[&entries]).make());
}

#[test]
fn whiteouts_and_opaque_directories() {
    let base = [
        Entry::directory("a"),
        Entry::file("a/keep", b"1"),
        Entry::file("a/gone", b"1"),
        Entry::directory("b"),
        Entry::file("b/hidden", b"1"),
        Entry::directory("b/sub"),
        Entry::directory("c"),
        Entry::file("c/x", b"1"),
        Entry::file("file-to-dir", b"1"),
        Entry::directory("dir-to-file"),
        Entry::file("dir-to-file/x", b"1"),
        Entry::directory("dir-to-link"),
        Entry::file("again", b"1"),
    ];
    let middle = [
        Entry::directory("a"),
        Entry::whiteout("a", "gone"),
        Entry::directory("b"),
        Entry::opaque("b"),
        Entry::file("b/new", b"2"),
        Entry::whiteout("", "c"),
        Entry::directory("file-to-dir"),
        Entry::file("file-to-dir/x", b"2"),
        Entry::file("dir-to-file", b"2"),
        Entry::symlink("dir-to-link", "a"),
        Entry::whiteout("", "again"),
        Entry::whiteout("", "never-was"),
    ];
    let top = [
        Entry::file("again", b"3").mode(0o600),
        Entry::directory("c"),
        Entry::file("c/y", b"3"),
        Entry::directory("a").mode(0o700).owner(5, 5),
        Entry::hard_link("a/linked", "a/keep"),
    ];
    judge_image(&recipe(&[&base, &middle]).make());
    // umoci does not link to lower layers in the same way everywhere, so the top has its own file.
    let top: Vec<Entry> = top[..4].to_vec();
    judge_image(&recipe(&[&base, &middle, &top]).make());
}

#[test]
fn directories_that_no_entry_names() {
    judge_image(
        &recipe(&[
            &[
                Entry::directory("usr").mode(0o700).owner(7, 7),
                Entry::directory("usr/lib").mode(0o711),
            ],
            &[Entry::file("usr/lib/x", b"1")],
        ])
        .make(),
    );
}

#[test]
fn many_layers() {
    let layers: Vec<Vec<Entry>> = (0..60)
        .map(|number| {
            vec![
                Entry::file(&format!("file-{number}"), b"x"),
                Entry::file("same", &[number]),
            ]
        })
        .collect();
    let layers: Vec<&[Entry]> = layers.iter().map(Vec::as_slice).collect();
    judge_image(&recipe(&layers).make());
}
