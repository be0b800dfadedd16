//! `slim`: the new image shows what the old one showed but for what was to go, by a reader of our own and by
//! the peers; what goes is told to the byte; a check that fails leaves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{
    Ran, Store, base,
    container::{Containers, IMAGE, until},
    image::{Image, docker_archive, noise, recipe},
    judge::{self, Podman},
    tar::{self, Entry},
    untar::{self, Saved, Tree, entries},
};

/// Loads images by name into the store.
fn load(store: &Store, images: &[(&Image, &[&str])]) {
    let archive = store.path("images.tar");
    fs::write(&archive, docker_archive(images)).unwrap();
    store.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
}

fn saved(store: &Store, name: &str) -> Saved {
    let archive = store.path("saved.tar");
    store.ok(&["save", "-o", archive.to_str().unwrap(), name]);
    Saved::read(&archive)
}

/// `slim --json` of one name to another.
#[track_caller]
fn slim(store: &Store, from: &str, to: &str, flags: &[&str]) -> Value {
    let all = [
        &["slim", "--json", "--no-network", "-t", to],
        flags,
        &[from],
    ]
    .concat();
    store.json(&all)
}

/// What is seen: without which name of a file came first, which is not the tree's.
fn seen(tree: Tree) -> Tree {
    let same = |(path, mut node): (String, untar::Node)| {
        node.first_name = String::new();
        (path, node)
    };
    tree.into_iter().map(same).collect()
}

/// Paths of the tree, one a word.
fn paths(tree: &Tree) -> Vec<&str> {
    tree.keys().map(String::as_str).collect()
}

/// Sizes of a layer's files.
fn bytes(saved: &Saved) -> Vec<usize> {
    let layers = saved.layers.iter();
    layers
        .map(|layer| layer.iter().map(|entry| entry.content.len()).sum())
        .collect()
}

#[test]
fn what_nobody_sees_goes_and_the_tree_stays() {
    let store = Store::new();
    let big = |seed: u64| noise(seed, 50_000);
    let image = recipe(&[
        &[
            Entry::directory("etc"),
            Entry::file("etc/kept", &big(1))
                .owner(3, 4)
                .xattr("user.a", b"b"),
            Entry::file("etc/changed", &big(2)),
            Entry::file("etc/gone", &big(3)),
            Entry::directory("old"),
            Entry::file("old/a", &big(4)),
            Entry::directory("kind"),
            Entry::file("kind/x", &big(5)),
        ],
        &[
            Entry::directory("etc").mode(0o700),
            Entry::file("etc/changed", &big(6)).mode(0o600),
            Entry::whiteout("etc", "gone"),
            Entry::directory("old"),
            Entry::opaque("old"),
            Entry::file("old/b", &big(7)),
            Entry::file("kind", &big(8)),
        ],
        &[
            Entry::whiteout("", "kind"),
            Entry::directory("kind"),
            Entry::file("kind/y", &big(9)),
        ],
    ])
    .make();
    load(&store, &[(&image, &["app:1"])]);
    let before = saved(&store, "app:1");
    let report = slim(&store, "app:1", "app:slim", &[]);
    let after = saved(&store, "app:slim");
    assert_eq!(seen(after.tree()), seen(before.tree()));
    assert_eq!(bytes(&before), [250_000, 150_000, 50_000]);
    assert_eq!(bytes(&after), [50_000, 100_000, 50_000]);
    // Nothing is left that marks of removal could remove; the last layer stayed as it was.
    let marks = |entry: &&untar::Raw| entry.path.contains(".wh.");
    assert_eq!(after.layers[..2].iter().flatten().filter(marks).count(), 0);
    assert_eq!(report["before_bytes"], 450_000);
    assert_eq!(report["after_bytes"], 200_000);
    let saved = report["saved"].as_array().unwrap();
    let total: u64 = saved
        .iter()
        .map(|kind| kind["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(total, 250_000);
    for (name, key) in [("app:1", "before_bytes"), ("app:slim", "after_bytes")] {
        let size: u64 = store.field(name, "{{.Size}}").parse().unwrap();
        assert_eq!(size, report[key].as_u64().unwrap(), "{name}");
    }
    // The same image and the same wishes: the same new image, with the image's own times.
    let again = slim(&store, "app:1", "app:again", &[]);
    assert_eq!(again["id"], report["id"]);
    let other = Store::new();
    load(&other, &[(&image, &["other:name"])]);
    assert_eq!(slim(&other, "other:name", "x:y", &[])["id"], report["id"]);
    assert_eq!(after.config["created"], before.config["created"]);
    let last = after.config["history"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(last["created_by"], "shiplap slim");
    assert_eq!(last["empty_layer"], true);
    assert_eq!(after.config["config"], before.config["config"]);
    // And nothing more to be had.
    let twice = slim(&store, "app:slim", "app:twice", &[]);
    assert_eq!(twice["id"], report["id"]);
    store.assert_sound();
    store.assert_prunes_to_nothing();
}

/// A table of layers over each other: what is in each new one, marks and all.
#[test]
fn layers_that_stay_are_shared_and_still_hidden() {
    let store = Store::new();
    let clean = noise(11, 400_000);
    let waste = noise(12, 100_000);
    let image = recipe(&[
        &[
            Entry::directory("base"),
            Entry::file("base/kept", &clean),
            Entry::file("base/small", b"tiny"),
            Entry::directory("base/dir"),
            Entry::file("base/dir/x", b"x"),
        ],
        &[
            Entry::directory("tmp"),
            Entry::file("tmp/left", &waste),
            Entry::file("more", &clean),
            Entry::whiteout("base", "small"),
            Entry::file("base/dir", b"a file now"),
        ],
        &[
            Entry::whiteout("base", "dir"),
            Entry::directory("base/dir"),
            Entry::file("base/dir/y", b"y"),
            Entry::file("top", &clean[..200_000]),
        ],
    ])
    .make();
    load(&store, &[(&image, &["app:1"])]);
    let before = saved(&store, "app:1");
    let report = slim(&store, "app:1", "app:slim", &[]);
    let after = saved(&store, "app:slim");
    let mut expected = seen(before.tree());
    expected.remove("tmp/left");
    assert_eq!(seen(after.tree()), expected);
    assert!(!paths(&after.tree()).contains(&"base/dir/x"));
    let kept: Vec<_> = report["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| (layer["kept"].clone(), layer["from"] == layer["diff_id"]))
        .collect();
    // Some bytes of the first and the third are waste, too few to give up that they are shared.
    let expected = [
        (json!("clean"), true),
        (json!(null), false),
        (json!("clean"), true),
    ];
    assert_eq!(kept, expected);
}

#[test]
fn caches_logs_and_copies_go_and_what_is_asked_for() {
    let store = Store::new();
    let big = |seed: u64| noise(seed, 20_000);
    let twin = big(1);
    let image = recipe(&[&[
        Entry::directory("var/lib/apt/lists/partial"),
        Entry::file("var/lib/apt/lists/deb_main", &big(2)),
        Entry::file("var/log/dpkg.log", &big(3)),
        Entry::directory("var/log/nginx"),
        Entry::symlink("var/log/nginx/access.log", "/dev/stdout"),
        Entry::directory("root/.cache"),
        Entry::directory("root/.cache/pip"),
        Entry::directory("root/.cache/pip/http"),
        Entry::file("root/.cache/pip/http/a", &big(4)),
        Entry::symlink("root/.cache/pip/link", "http"),
        Entry::directory("srv/.git"),
        Entry::file("srv/.git/HEAD", b"ref: refs/heads/main\n"),
        Entry::file("srv/.git/pack", &big(5)),
        Entry::file("srv/a", &twin),
        Entry::file("srv/b", &twin),
        Entry::file("srv/c", &twin).mode(0o600),
        Entry::file("srv/d.py", &twin),
        Entry::file("srv/e.py", &twin).mtime(5),
        Entry::directory("usr/share/doc/pkg"),
        Entry::file("usr/share/doc/pkg/copyright", &big(6)),
        Entry::file("usr/share/doc/pkg/changelog.gz", &big(7)),
        Entry::directory("usr/share/locale/de"),
        Entry::file("usr/share/locale/de/x.mo", &big(8)),
        Entry::file("usr/share/locale/locale.alias", b"a"),
        Entry::file("srv/data.bin", &big(9)),
        Entry::directory("tmp").mode(0o1777),
        Entry::file("tmp/left", &big(10)),
    ]])
    .make();
    load(&store, &[(&image, &["app:1"])]);
    let whole = saved(&store, "app:1").tree();
    let check = |flags: &[&str], gone: &[&str]| {
        slim(&store, "app:1", "app:slim", flags);
        let after = saved(&store, "app:slim").tree();
        let left = paths(&after);
        let missing: Vec<_> = whole
            .keys()
            .filter(|path| !left.contains(&path.as_str()))
            .collect();
        assert_eq!(missing, gone, "{flags:?}");
        after
    };
    let always = [
        "root/.cache/pip",
        "root/.cache/pip/http",
        "root/.cache/pip/http/a",
        "root/.cache/pip/link",
        "srv/.git",
        "srv/.git/HEAD",
        "srv/.git/pack",
        "tmp/left",
        "var/lib/apt/lists/deb_main",
        "var/lib/apt/lists/partial",
        "var/log/dpkg.log",
    ];
    // A directory that is the whole of what a rule means goes with its content, unless programs look for it.
    let always: Vec<&str> = always
        .into_iter()
        .filter(|path| *path != "root/.cache/pip")
        .collect();
    let after = check(&[], &always);
    assert_eq!(after["srv/b"].first_name, "srv/a");
    assert_eq!(after["srv/c"].first_name, "srv/c");
    assert_eq!(after["srv/e.py"].first_name, "srv/e.py");
    assert_eq!(after["tmp"].mode, 0o1777);
    let with = |more: &[&'static str], but: &[&str]| {
        let mut gone = always.clone();
        gone.extend(more);
        gone.retain(|path| !but.contains(path));
        gone.sort_unstable();
        gone
    };
    check(
        &["--drop", "docs", "--drop", "locales"],
        &with(
            &[
                "usr/share/doc/pkg/changelog.gz",
                "usr/share/locale/de",
                "usr/share/locale/de/x.mo",
            ],
            &[],
        ),
    );
    check(
        &["--drop", "/srv/*.bin", "--keep", "log", "--keep", "**/.git"],
        &with(
            &["srv/data.bin"],
            &[
                "var/log/dpkg.log",
                "srv/.git",
                "srv/.git/HEAD",
                "srv/.git/pack",
            ],
        ),
    );
    let after = check(&["--keep", "duplicate"], &always);
    assert_eq!(after["srv/b"].first_name, "srv/b");
    // A dry run says what the others did, and makes nothing.
    let names = store.names();
    let dry = store.json(&["slim", "--json", "--no-network", "--dry-run", "app:1"]);
    assert_eq!(names, store.names());
    let real = slim(&store, "app:1", "app:real", &[]);
    assert_eq!(dry["after_bytes"], real["after_bytes"]);
    assert_eq!(dry["saved"], real["saved"]);
    assert_eq!(dry["id"], Value::Null);
}

/// What layers are made of at random: a small world of names, so that they meet.
fn random_layer(state: &mut u64, below: &Tree, number: u64) -> Vec<Entry> {
    let mut next = |most: u64| {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % most
    };
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut files: Vec<String> = Vec::new();
    let mut own: Vec<String> = Vec::new();
    let mut links: BTreeMap<String, String> = BTreeMap::new();
    let lower = below.iter().filter(|(_, node)| node.kind == "file");
    let lower: Vec<String> = lower.map(|(path, _)| path.clone()).collect();
    let mut targets = lower.clone();
    for count in 0..next(12) + 1 {
        let depth = next(3);
        let mut path = String::new();
        let mut is_free = true;
        for _ in 0..depth {
            path.push_str(["a", "b", "c"][next(3) as usize]);
            is_free &= entries.get(&path).is_none_or(|_| !files.contains(&path));
            let mode = [0o755, 0o700][next(2) as usize];
            if is_free && !entries.contains_key(&format!("{path}/")) {
                entries.insert(
                    format!("{path}/"),
                    Entry::directory(&path).mode(mode).mtime(100 + next(3)),
                );
            }
            path.push('/');
        }
        if !is_free {
            continue;
        }
        let name = ["a", "b", "c", "d"][next(4) as usize];
        let full = format!("{path}{name}");
        let folder = path.trim_end_matches('/').to_owned();
        let taken = entries.contains_key(&full)
            || entries.contains_key(&format!("{full}/"))
            || entries.contains_key(&format!("{path}.wh.{name}"));
        match next(10) {
            0 if number > 0 && !taken => {
                entries.insert(format!("{path}.wh.{name}"), Entry::whiteout(&folder, name));
            }
            1 if number > 0 && depth > 0 => {
                entries.insert(format!("{path}.wh..wh..opq"), Entry::opaque(&folder));
            }
            2 if !taken => {
                entries.insert(full, Entry::symlink(&format!("{path}{name}"), "a/b"));
            }
            3 if !taken && !targets.is_empty() => {
                let target = targets[next(targets.len() as u64) as usize].clone();
                links.insert(full.clone(), target);
                entries.insert(full.clone(), Entry::directory("unused"));
                files.push(full);
            }
            _ if !taken => {
                let content = noise(next(6) + 1, 2000 + 500 * next(3) as usize);
                targets.push(full.clone());
                own.push(full.clone());
                files.push(full.clone());
                entries.insert(
                    full.clone(),
                    Entry::file(&full, &content).mtime(200 + count),
                );
            }
            _ => {}
        }
    }
    // The links' places were only taken. A link means the layer's own file at its target if there is one, else
    // that of the layers below, which the layer may remove, but has nothing else there.
    entries.retain(|key, _| !links.contains_key(key));
    let is_meant = |target: &str| {
        let is_other = |path: &str| entries.contains_key(path) || links.contains_key(path);
        let mut above = target.match_indices('/').map(|(at, _)| &target[..at]);
        let is_below = lower.iter().any(|path| path == target);
        own.iter().any(|path| path == target)
            || is_below
                && !is_other(target)
                && !is_other(&format!("{target}/"))
                && !above.any(is_other)
    };
    let links = links.iter().filter(|(_, target)| is_meant(target));
    let links: Vec<Entry> = links
        .map(|(path, target)| Entry::hard_link(path, target))
        .collect();
    entries.into_values().chain(links).collect()
}

/// Marks of removal, by layer and path, that hide nothing of the layers below.
fn idle_marks(saved: &Saved) -> Vec<(usize, String)> {
    let mut tree = Tree::new();
    let mut idle = Vec::new();
    for (number, layer) in saved.layers.iter().enumerate() {
        for entry in layer {
            let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            let Some(gone) = name.strip_prefix(".wh.") else {
                continue;
            };
            let hidden = match (gone, folder) {
                (".wh..opq", folder) => format!("{folder}/"),
                (gone, "") => gone.to_owned(),
                (gone, folder) => format!("{folder}/{gone}"),
            };
            let within = format!("{}/", hidden.trim_end_matches('/'));
            let is_hidden = |path: &String| *path == hidden || path.starts_with(&within);
            if !tree.keys().any(is_hidden) {
                idle.push((number, entry.path.clone()));
            }
        }
        untar::apply(&mut tree, layer);
    }
    idle
}

#[test]
fn any_layers_come_to_the_same_tree() {
    let store = Store::new();
    let mut state = 20_261_128;
    let images: Vec<Image> = (0..80)
        .map(|image| {
            let mut tree = Tree::new();
            let mut layers: Vec<Vec<Entry>> = Vec::new();
            for number in 0..5 {
                // Every other image has no links from one layer to another.
                let below = if image % 2 == 0 { &Tree::new() } else { &tree };
                let layer = random_layer(&mut state, below, number);
                untar::apply(&mut tree, &entries(&tar::tar(&layer)));
                layers.push(layer);
            }
            let layers: Vec<&[Entry]> = layers.iter().map(Vec::as_slice).collect();
            recipe(&layers).make()
        })
        .collect();
    let names: Vec<String> = (0..images.len()).map(|n| format!("random:{n}")).collect();
    let tags: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let all: Vec<(&Image, &[&str])> = images.iter().zip(&tags).map(|(i, t)| (i, &t[..])).collect();
    load(&store, &all);
    let mut rewritten = 0;
    for (number, name) in names.iter().enumerate() {
        let before = saved(&store, name);
        let report = slim(&store, name, "random:slim", &[]);
        let after = saved(&store, "random:slim");
        let differing = || format!("{name}\n{:#?}\n{:#?}", before.layers, after.layers);
        let (was, is) = (sizes_of(before.tree()), sizes_of(after.tree()));
        assert_eq!(is, was, "{}", differing());
        let size: u64 = bytes(&after).iter().map(|bytes| *bytes as u64).sum();
        assert_eq!(report["after_bytes"], size, "{}", differing());
        rewritten += usize::from(report["id"] != report["from"]);
        // A layer that holds a link to another may have to stay; else only marks that never hid anything do.
        if number % 2 == 0 {
            let was = idle_marks(&before);
            let layers = report["layers"].as_array().unwrap();
            let left = layers.iter().enumerate();
            let left: Vec<_> = left
                .filter(|(_, layer)| !layer["diff_id"].is_null())
                .collect();
            for (at, path) in idle_marks(&after) {
                let (old, layer) = left[at];
                assert_eq!(layer["kept"], "clean", "{path} {}", differing());
                assert!(was.contains(&(old, path.clone())), "{path} {}", differing());
            }
        }
    }
    assert!(rewritten > 30, "{rewritten}");
    store.assert_sound();
}

/// The tree without the times of links, which have that of the file's first name.
fn sizes_of(tree: Tree) -> Tree {
    let plain = |(path, mut node): (String, untar::Node)| {
        if node.kind == "file" {
            node.mtime = 0;
        }
        (path, node)
    };
    seen(tree).into_iter().map(plain).collect()
}

/// What a layer removed is not there any more: neither are its marks, nor the layer if it has nothing else.
#[test]
fn marks_go_with_what_they_removed() {
    let store = Store::new();
    let big = |seed: u64| noise(seed, 50_000);
    let folder = |mtime: u64| Entry::directory("usr").mtime(mtime);
    let layers: [&[Entry]; 6] = [
        &[
            folder(1),
            Entry::file("usr/kept", &big(1)),
            Entry::file("usr/gone", &big(2)),
            Entry::directory("usr/old"),
            Entry::file("usr/old/x", &big(3)),
        ],
        // Only removes: nothing is left of it.
        &[folder(2), Entry::whiteout("usr", "gone")],
        // As builders leave it: it never hid anything, so the layer is no other for it.
        &[
            Entry::directory("srv"),
            Entry::opaque("srv"),
            Entry::file("srv/a", &big(4)),
        ],
        // Nothing of it is waste, but it removes what its base has not any more.
        &[
            Entry::directory("usr/old"),
            Entry::opaque("usr/old"),
            Entry::file("usr/old/y", &big(5)),
        ],
        // It gives the directory other rights, so it is worth something.
        &[
            Entry::whiteout("srv", "a"),
            Entry::directory("srv").mode(0o700),
        ],
        &[Entry::file("top", &big(6))],
    ];
    load(&store, &[(&recipe(&layers).make(), &["app:1"])]);
    let before = saved(&store, "app:1");
    let report = slim(&store, "app:1", "app:slim", &[]);
    let after = saved(&store, "app:slim");
    let kept: Vec<_> = report["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| (layer["kept"].clone(), layer["diff_id"].is_null()))
        .collect();
    let expected = [
        (json!(null), false),
        (json!(null), true),
        (json!(null), true),
        (json!(null), false),
        (json!(null), false),
        (json!("clean"), false),
    ];
    assert_eq!(kept, expected);
    assert_eq!(idle_marks(&after), []);
    assert!(!idle_marks(&before).is_empty());
    // The directory has the time from before the removal.
    let mut expected = seen(before.tree());
    expected.get_mut("usr").unwrap().mtime = 1;
    assert_eq!(seen(after.tree()), expected);
    let history = after.config["history"].as_array().unwrap();
    let made = history.iter().filter(|line| line["empty_layer"] != true);
    assert_eq!(made.count(), after.layers.len());
    store.assert_sound();
}

/// A file that is asked for goes though it has no bytes; what is not there is told.
#[test]
fn what_has_no_bytes_can_be_asked_for() {
    let store = Store::new();
    let image = recipe(&[&[
        Entry::file("srv/big", &noise(1, 400_000)),
        Entry::symlink("srv/link", "big"),
        Entry::file("srv/empty", b""),
        Entry::directory("srv/folder"),
        Entry::directory("srv/folder/inner"),
    ]])
    .make();
    load(&store, &[(&image, &["app:1"])]);
    let whole = saved(&store, "app:1").tree();
    let check = |pattern: &str, gone: &[&str]| {
        let report = slim(&store, "app:1", "app:slim", &["--drop", pattern]);
        let left = saved(&store, "app:slim").tree();
        let missing: Vec<_> = whole
            .keys()
            .filter(|path| !left.contains_key(*path))
            .collect();
        assert_eq!(missing, gone, "{pattern}");
        let idle = report["idle"].as_array().unwrap().len();
        assert_eq!(idle == 0, !gone.is_empty(), "{pattern} {report:#}");
    };
    check("/srv/link", &["srv/link"]);
    check("srv/empty", &["srv/empty"]);
    check("/srv/folder/", &["srv/folder", "srv/folder/inner"]);
    check("/srv/nothing", &[]);
    let ran = store.run(&[
        "slim",
        "--no-network",
        "--dry-run",
        "--drop",
        "/srv/nothing",
        "app:1",
    ]);
    ran.assert_ok();
    ran.assert_says(&["--drop /srv/nothing: the image has nothing there to drop"]);
    assert!(
        store
            .ok(&["slim", "--no-network", "--dry-run", "app:1"])
            .contains("nothing to drop")
    );
}

/// Files become one only where nobody can tell, but for their number; all of the same rights if that is wanted.
#[test]
fn files_that_are_the_same_become_one() {
    let store = Store::new();
    let twin = noise(1, 50_000);
    let file = |path: &str| Entry::file(path, &twin);
    let image = recipe(&[
        &[
            file("usr/a"),
            file("usr/b"),
            file("usr/later").mtime(5),
            file("usr/other.py").mtime(6),
            file("usr/owned").owner(1, 1),
            file("usr/mode").mode(0o755),
            file("usr/attribute").xattr("user.a", b"b"),
            file("etc/a"),
            file("etc/b"),
        ],
        &[file("usr/above")],
    ])
    .make();
    load(&store, &[(&image, &["app:1"])]);
    let check = |flags: &[&str], linked: &[&str]| {
        slim(&store, "app:1", "app:slim", flags);
        let tree = saved(&store, "app:slim").tree();
        let one = tree.iter().filter(|(path, node)| **path != node.first_name);
        let one: Vec<_> = one.map(|(path, _)| path.as_str()).collect();
        assert_eq!(one, linked, "{flags:?}");
    };
    check(&[], &["usr/b"]);
    check(
        &["--drop", "duplicate"],
        &["etc/b", "usr/a", "usr/b", "usr/later"],
    );
    check(&["--keep", "duplicate"], &[]);
}

#[test]
fn a_base_stays_as_it_is_if_that_is_wanted() {
    let store = Store::new();
    let base_layer: &[Entry] = &[
        Entry::file("var/lib/apt/lists/x", &noise(1, 90_000)),
        Entry::file("bin/tool", &noise(2, 50_000)),
    ];
    let base = recipe(&[base_layer]).make();
    let app = recipe(&[
        base_layer,
        &[
            Entry::whiteout("bin", "tool"),
            Entry::directory("var"),
            Entry::directory("var/log"),
            Entry::file("var/log/x.log", &noise(3, 90_000)),
            Entry::file("app", &noise(4, 50_000)),
        ],
    ])
    .make();
    load(&store, &[(&base, &["base:1"]), (&app, &["app:1"])]);
    let report = slim(&store, "app:1", "app:slim", &["--keep-base", "base:1"]);
    assert_eq!(report["layers"][0]["kept"], "base");
    assert_eq!(report["layers"][0]["diff_id"], json!(base.diff_ids()[0]));
    let tree = saved(&store, "app:slim").tree();
    assert_eq!(
        seen(tree.clone()),
        seen({
            let mut expected = saved(&store, "app:1").tree();
            expected.remove("var/log/x.log");
            expected
        })
    );
    assert!(!tree.contains_key("bin/tool"));
    let ran = store.run(&[
        "slim",
        "--no-network",
        "-t",
        "x",
        "--keep-base",
        "app:1",
        "base:1",
    ]);
    ran.assert_refused();
    ran.assert_says(&["app:1 is no base of it"]);
}

#[test]
fn a_check_decides() {
    let Some(containers) = Containers::new() else {
        return;
    };
    let store = &containers.store;
    let app = store.path("app");
    fs::create_dir(&app).unwrap();
    fs::write(app.join("Dockerfile"), "FROM box\nRUN mkdir -p /var/log /srv && head -c 300000 /dev/urandom > /var/log/a.log && echo data > /srv/data\n").unwrap();
    store.ok(&[
        "build",
        "--network",
        "none",
        "-t",
        "app:1",
        app.to_str().unwrap(),
    ]);
    let files = store.kept_files();
    let red = store.run(&[
        "slim",
        "--no-network",
        "-t",
        "app:red",
        "--drop",
        "/srv/data",
        "--check",
        "cat /srv/data; echo it ends; exit 3",
        "app:1",
    ]);
    red.assert_refused();
    red.assert_says(&["ended with 3; no image was made", "it ends"]);
    assert!(!store.names().contains(&"app:red".to_owned()));
    assert_eq!(store.kept_files(), files, "a red check leaves nothing");
    let green = store.json(&[
        "slim",
        "--json",
        "--no-network",
        "-t",
        "app:green",
        "--check",
        "cat /srv/data && ! test -e /var/log/a.log",
        "app:1",
    ]);
    assert_eq!(green["check"]["exit_code"], 0);
    assert_eq!(green["check"]["output"], "data\n");
    assert!(store.names().contains(&"app:green".to_owned()));
    assert_eq!(
        store.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "app:green",
            "cat",
            "/srv/data"
        ]),
        "data\n"
    );
    // No program of that name is as red.
    let ran = store.run(&[
        "slim",
        "--no-network",
        "-t",
        "app:none",
        "--check",
        "no-such-program",
        "app:1",
    ]);
    ran.assert_refused();
    ran.assert_says(&["ended with 127"]);
    // Where nothing can be run, that is what is told.
    let words = [
        "slim",
        "--no-network",
        "-t",
        "app:none",
        "--check",
        "true",
        "app:1",
    ];
    let mut command = store.command(&words);
    command.env("SHIPLAP_RUNTIME", "/nowhere/crun");
    let ran = Ran::new(&words, &command.output().unwrap());
    ran.assert_refused();
    ran.assert_says(&[
        "failed to run the check",
        "/nowhere/crun",
        "no image was made",
    ]);
    assert!(!store.names().contains(&"app:none".to_owned()));
    containers.assert_nothing_left();
    store.assert_sound();
}

#[test]
fn a_check_that_is_interrupted_leaves_nothing() {
    let Some(containers) = Containers::new() else {
        return;
    };
    let store = &containers.store;
    let folder = store.path("app");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("left"), noise(1, 300_000)).unwrap();
    fs::write(
        folder.join("Dockerfile"),
        format!("FROM {IMAGE}\nCOPY left /tmp/left\n"),
    )
    .unwrap();
    store.ok(&["build", "-t", "app:1", folder.to_str().unwrap()]);
    let files = store.kept_files();
    let mut child = store
        .command(&[
            "slim",
            "--no-network",
            "-t",
            "app:slim",
            "--check",
            "sleep 100",
            "app:1",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the check runs", || !store.ok(&["ps", "-q"]).is_empty());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("interrupted; no image was made"), "{said}");
    assert_eq!(store.kept_files(), files);
    containers.assert_nothing_left();
}

/// The peers take what was made, and find it as large as it says.
#[test]
fn the_peers_take_it() {
    let Some(store) = base::store() else { return };
    let folder = store.path("app");
    fs::create_dir(&folder).unwrap();
    let dockerfile = "FROM busybox\nRUN mkdir -p /data /var/lib/apt/lists && head -c 400000 /dev/zero | tr '\\0' x > /data/a && echo l > /var/lib/apt/lists/x\nRUN cp /data/a /data/b && chmod 600 /data/a\nRUN rm /data/b && ln -s a /data/c\n";
    fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    store.ok(&[
        "build",
        "--network",
        "none",
        "-t",
        "app:1",
        folder.to_str().unwrap(),
    ]);
    let report = slim(&store, "app:1", "app:slim", &["--check", "test -s /data/c"]);
    assert!(
        report["after_bytes"].as_u64() < report["before_bytes"].as_u64(),
        "{report:#}"
    );
    let layout = store.path("layout");
    let place = format!("oci:{}:slim", layout.display());
    let archive = store.path("slim.tar");
    store.ok(&["save", "-o", archive.to_str().unwrap(), "app:slim"]);
    if let Some(mut skopeo) = judge::skopeo() {
        skopeo.args([
            "copy",
            &format!("docker-archive:{}", archive.display()),
            &place,
        ]);
        judge::ask(&mut skopeo);
        let root = judge::umoci_unpack(&layout, "slim", &store.path("bundle"));
        if let Some(root) = root {
            assert_eq!(fs::metadata(root.join("data/c")).unwrap().len(), 400_000);
            assert!(!root.join("data/b").exists());
            assert!(!root.join("var/lib/apt/lists/x").exists());
        }
    }
    let Some(podman) = Podman::new() else { return };
    for name in ["app:1", "app:slim"] {
        let archive = store.path("judged.tar");
        store.ok(&["save", "-o", archive.to_str().unwrap(), name]);
        podman.ask(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
        let theirs = podman.ask(&["image", "inspect", "--format", "{{.Size}}", name]);
        // podman counts the layers' tars, and its own documents beside them.
        let documents = theirs.trim().parse::<u64>().unwrap() - tar_bytes(&archive);
        assert!(documents < 16_000, "{name}: {documents}");
    }
}

/// What umoci unpacks of an image, a line for each entry: what can be said of it, times to the nanosecond.
fn unpacked(store: &Store, name: &str) -> Option<Vec<String>> {
    let mut skopeo = judge::skopeo()?;
    let bare = name.replace(':', "-");
    let (archive, layout) = (store.path("umoci.tar"), store.path(&bare));
    store.ok(&["save", "-o", archive.to_str().unwrap(), name]);
    let place = format!("oci:{}:it", layout.display());
    skopeo.args([
        "copy",
        &format!("docker-archive:{}", archive.display()),
        &place,
    ]);
    judge::ask(&mut skopeo);
    let root = judge::umoci_unpack(&layout, "it", &store.path(&format!("bundle-{bare}")))?;
    let mut find = Command::new("find");
    find.current_dir(root).args(["-mindepth", "1"]);
    find.args(["-type", "d", "-printf", "%P %y %m %U %G %T@\\n", "-o"]);
    find.args(["-printf", "%P %y %m %U %G %T@ %s %n %l %i\\n"]);
    let listed = judge::ask(&mut find);
    let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    Some(lines)
}

/// Entries of all kinds, with what tars can say of them, are what they were, as umoci shows it.
#[test]
fn odd_entries_stay_what_they_are() {
    if !judge::is_root() {
        return judge::skip("devices need root");
    }
    let store = Store::new();
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let long = format!("long/{}", "n".repeat(255));
    let image = recipe(&[
        &[
            Entry::directory("dev"),
            Entry::character_device("dev/null", 1, 3).mode(0o666),
            Entry::block_device("dev/disk", 259, 70_000),
            Entry::fifo("pipe").owner(7, 8),
            Entry::directory("bin"),
            Entry::file("bin/su", b"su").mode(0o4755),
            Entry::file("bin/wall", b"wall").mode(0o2755).owner(0, 5),
            Entry::file("bin/ping", b"ping").xattr("security.capability", capability),
            Entry::file("far", b"x").owner(3_000_000_000, 2_500_000),
            Entry::file("exact", b"x").pax("mtime", b"1700000000.123456789"),
            Entry::file("before", b"x").pax("mtime", b"-86400.5"),
            Entry::directory("long"),
            Entry::file(&long, b"x"),
            Entry::symlink("dangling", &format!("/nowhere/{}", "x".repeat(200))),
            Entry::file("file", b"x"),
            Entry::directory("folder").mode(0o1777),
            Entry::file("folder/x", b"x"),
            Entry::directory("tmp"),
            Entry::file("tmp/left", &noise(1, 300_000)),
            Entry::file("one", b"several names"),
            Entry::hard_link("other", "one"),
        ],
        &[
            Entry::directory("file"),
            Entry::file("file/x", b"x"),
            Entry::file("folder", b"x"),
            Entry::hard_link("third", "one"),
            Entry::whiteout("", "one"),
            Entry::directory("tmp"),
            Entry::file("tmp/more", &noise(2, 300_000)),
        ],
    ])
    .make();
    load(&store, &[(&image, &["odd:1"])]);
    slim(&store, "odd:1", "odd:slim", &[]);
    let (before, after) = (
        saved(&store, "odd:1").tree(),
        saved(&store, "odd:slim").tree(),
    );
    let mut expected = seen(before);
    expected.retain(|path, _| !path.starts_with("tmp/"));
    assert_eq!(seen(after), expected);
    let (Some(was), Some(is)) = (unpacked(&store, "odd:1"), unpacked(&store, "odd:slim")) else {
        return;
    };
    // Inode numbers only say which names are one file.
    let bare = |lines: &[String]| -> Vec<String> {
        let mut inodes: Vec<String> = Vec::new();
        let lines = lines.iter().filter(|line| !line.starts_with("tmp/"));
        lines
            .map(|line| {
                let (rest, inode) = line.rsplit_once(' ').unwrap();
                let known = inodes.iter().position(|known| known == inode);
                let number = known.unwrap_or_else(|| {
                    inodes.push(inode.to_owned());
                    inodes.len() - 1
                });
                let is_directory = rest.split(' ').nth(1) == Some("d");
                if is_directory {
                    line.clone()
                } else {
                    format!("{rest} {number}")
                }
            })
            .collect()
    };
    assert!(was.len() > 20, "{was:#?}");
    assert_eq!(bare(&is), bare(&was));
}

/// Sizes of the layers' tars in an archive.
fn tar_bytes(archive: &Path) -> u64 {
    let entries = entries(&fs::read(archive).unwrap());
    let content = |path: &str| {
        &entries
            .iter()
            .find(|entry| entry.path == path)
            .unwrap()
            .content
    };
    let manifest: Value = serde_json::from_slice(content("manifest.json")).unwrap();
    let layers = manifest[0]["Layers"].as_array().unwrap();
    let sizes = layers
        .iter()
        .map(|layer| content(layer.as_str().unwrap()).len());
    sizes.map(|size| size as u64).sum()
}

#[test]
fn wrong_words_and_odd_images() {
    let store = Store::new();
    let odd = recipe(&[&[
        Entry::file("var/log/\u{1b}[2Jx", &noise(1, 30_000)),
        Entry::symlink("loop", "loop"),
        Entry::symlink("var/lib", "../../../../etc"),
        Entry::hard_link("link", "var/log/\u{1b}[2Jx"),
        Entry::fifo("pipe"),
        Entry::character_device("null", 1, 3),
    ]])
    .make();
    let empty = recipe(&[]).make();
    load(&store, &[(&odd, &["odd:1"]), (&empty, &["empty:1"])]);
    let said = store.ok(&["slim", "--no-network", "-t", "odd:slim", "odd:1"]);
    assert!(!said.contains('\u{1b}'));
    // Another name of the log keeps its bytes.
    let tree = saved(&store, "odd:slim").tree();
    assert!(tree.contains_key("link"), "{tree:#?}");
    let said = store.ok(&["slim", "--no-network", "-t", "empty:slim", "empty:1"]);
    assert!(said.contains("nothing to drop"), "{said}");
    for (words, says) in [
        (
            &["slim", "odd:1"][..],
            "a name for the new image is missing",
        ),
        (&["slim", "-t", "x", "nothing:here"], "nothing:here"),
        (
            &["slim", "-t", "x", "--drop", "docz", "odd:1"],
            "there are package-lists",
        ),
        (&["slim", "-t", "x", "--keep", "a/[", "odd:1"], "a/["),
        (&["slim", "-t", "UPPER", "odd:1"], "UPPER"),
    ] {
        let ran = store.run(words);
        ran.assert_refused();
        ran.assert_says(&[says]);
    }
}
