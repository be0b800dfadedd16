#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use serde_json::Value;

use super::{Change, ChangeKind, DiffError, Times, directories, upper, write};
use crate::root::Root;
use crate::stack::tests::{TestLayer, TestStack};
use crate::tar::Writer;
use crate::tree::{Kind, NodeId, Tree};
use crate::unpack::Marks;
use crate::unpack::tests::apply;
use crate::unpack::tests::disk::{ops, snapshot};

fn table() -> Vec<Value> {
    let table = include_str!("../../../../testdata/layer-apply-diff.json");
    let table: Value = serde_json::from_str(table).unwrap();
    table["cases"].as_array().unwrap().clone()
}

fn layer_of(changes: &[Change], root: &Root) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    write(changes, root, Times::Kept, &mut tar).unwrap();
    tar.finish().unwrap()
}

/// A copy with all times, owners and links.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp")
        .arg("-aT")
        .args([from, to])
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn layers_made_of_steps_lead_to_the_same_trees() {
    let mut seen = 0;
    for case in table() {
        if case["op"] == "diff_apply_roundtrip" {
            roundtrip(&case);
            seen += 1;
        }
    }
    assert_eq!(seen, 13);
}

fn roundtrip(case: &Value) {
    let id = case["id"].as_str().unwrap();
    let temp = tempfile::tempdir().unwrap();
    let [before, now, copied] = ["before", "now", "copied"].map(|name| temp.path().join(name));
    for dir in [&before, &now, &copied] {
        fs::create_dir(dir).unwrap();
    }
    for step in case["steps"].as_array().unwrap() {
        ops(&now, step);
        let root = Root::open(&now).unwrap();
        let changes = directories(&Root::open(&before).unwrap(), &root).unwrap();
        let tar = layer_of(&changes, &root);
        assert!(tar == layer_of(&changes, &root), "{id}");
        apply(&TestLayer::of_tar(&tar), &copied).unwrap();
        assert_eq!(snapshot(&copied), snapshot(&now), "{id}");
        // Nothing is left to tell.
        assert_eq!(
            directories(&Root::open(&copied).unwrap(), &root).unwrap(),
            [],
            "{id}"
        );
        fs::remove_dir_all(&before).unwrap();
        copy(&now, &before);
    }
}

/// Entries of a layer: type, content and mode by path; hard links as sets of names.
type Entries = (BTreeMap<String, String>, Vec<Vec<String>>);

fn normalised(list: &[(String, String, String)]) -> Entries {
    let mut entries = BTreeMap::new();
    let mut links: Vec<Vec<String>> = Vec::new();
    for (path, what, target) in list {
        if what == "hardlink" {
            match links.iter_mut().find(|names| names.contains(target)) {
                Some(names) => names.push(path.clone()),
                None => links.push(vec![target.clone(), path.clone()]),
            }
        }
        entries.insert(path.clone(), what.clone());
    }
    for names in &mut links {
        names.sort();
        let mut content = names.iter().map(|name| entries[name].clone());
        let content = content.find(|what| what != "hardlink").unwrap();
        for name in names {
            entries.insert(name.clone(), content.clone());
        }
    }
    links.sort();
    (entries, links)
}

fn expected_entries(case: &Value) -> Entries {
    let list = case["expect"]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or("").to_owned();
            let what = match entry["type"].as_str().unwrap() {
                "hardlink" => "hardlink".to_owned(),
                _ if entry["whiteout"] == true => "whiteout".to_owned(),
                kind => format!("{kind} {} {}", text("mode"), text("content")),
            };
            (
                text("name").trim_end_matches('/').replace(".wh.", ""),
                what,
                text("linkname"),
            )
        });
    normalised(&list.collect::<Vec<_>>())
}

fn entries_of(tar: &[u8]) -> Entries {
    let layer = TestLayer::of_tar(tar);
    let mut list = Vec::new();
    let mut first: BTreeMap<NodeId, String> = BTreeMap::new();
    fn walk(tree: &Tree, id: NodeId, path: &str, each: &mut dyn FnMut(&str, NodeId)) {
        if let Kind::Directory(dir) = &tree.nodes[id.0 as usize].kind {
            for (name, child) in &dir.children {
                let name = String::from_utf8(name.clone()).unwrap();
                let path = if path.is_empty() {
                    name
                } else {
                    format!("{path}/{name}")
                };
                each(&path, *child);
                walk(tree, *child, &path, each);
            }
        }
    }
    let tree = layer.tree.tree();
    walk(tree, NodeId(0), "", &mut |path, id| {
        let node = &tree.nodes[id.0 as usize];
        let mode = format!("0o{:o}", node.mode);
        let what = match &node.kind {
            Kind::Whiteout => "whiteout".to_owned(),
            Kind::Directory(dir) => {
                assert!(!dir.implied, "{path}");
                format!("dir {mode} ")
            }
            Kind::File(data) => {
                let at = data.extents[0].tar_offset as usize;
                let content = &tar[at..at + data.size_bytes as usize];
                format!("file {mode} {}", std::str::from_utf8(content).unwrap())
            }
            other => panic!("{other:?}"),
        };
        match first.get(&id) {
            Some(target) => list.push((path.to_owned(), "hardlink".to_owned(), target.clone())),
            None => list.push((path.to_owned(), what, String::new())),
        }
        first.entry(id).or_insert_with(|| path.to_owned());
    });
    normalised(&list)
}

#[test]
fn layers_hold_the_entries_of_the_table() {
    let mut seen = 0;
    for case in table() {
        if case["op"] != "diff_entries" {
            continue;
        }
        seen += 1;
        let temp = tempfile::tempdir().unwrap();
        let [base, changed] = ["base", "changed"].map(|name| temp.path().join(name));
        fs::create_dir(&base).unwrap();
        ops(&base, &case["base"]);
        copy(&base, &changed);
        ops(&changed, &case["change"]);
        let root = Root::open(&changed).unwrap();
        let changes = directories(&Root::open(&base).unwrap(), &root).unwrap();
        let entries = entries_of(&layer_of(&changes, &root));
        assert_eq!(entries, expected_entries(&case), "{}", case["id"]);
    }
    assert_eq!(seen, 6);
}

#[test]
fn a_touch_is_a_change_and_equal_times_hide_no_content() {
    let temp = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| temp.path().join(name));
    for dir in [&a, &b] {
        fs::create_dir(dir).unwrap();
        for (name, content) in [
            ("same", "1"),
            ("content", dir.to_str().unwrap()),
            ("touched", ""),
        ] {
            fs::write(dir.join(name), content).unwrap();
            let file = fs::File::options()
                .write(true)
                .open(dir.join(name))
                .unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        symlink("x", dir.join("link")).unwrap();
    }
    let touched = fs::File::options()
        .write(true)
        .open(b.join("touched"))
        .unwrap();
    touched
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1))
        .unwrap();
    let mut touch = Command::new("touch");
    let done = touch
        .args(["-h", "-r"])
        .args([a.join("link"), b.join("link")])
        .status();
    assert!(done.unwrap().success());
    let changes = directories(&Root::open(&a).unwrap(), &Root::open(&b).unwrap()).unwrap();
    let list: Vec<_> = changes
        .iter()
        .map(|c| format!("{} {}", c.kind, String::from_utf8_lossy(&c.path)))
        .collect();
    assert_eq!(list, ["C content", "C touched"]);
}

fn mark(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story")]
fn upper_directories_tell_what_changed() {
    let below = TestStack::of_lines(
        "d a\n f a/x 1\n f a/gone 1\n d b\n f b/y 1\n f file 1\n d marked\n f marked/z 1",
    );
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    for dir in ["a", "b", "new", "marked"] {
        fs::create_dir(root.join(dir)).unwrap();
    }
    fs::write(root.join("a/x"), "2").unwrap();
    fs::write(root.join("b/added"), "3").unwrap();
    fs::write(root.join("new/n"), "4").unwrap();
    symlink("a", root.join("file")).unwrap();
    for name in ["a/gone", "a/never-was", "marked/z"] {
        if rustix::process::geteuid().is_root() || name != "marked/z" {
            rustix::fs::mknodat(
                CWD,
                root.join(name),
                FileType::CharacterDevice,
                Mode::empty(),
                0,
            )
            .unwrap();
        }
    }
    fs::remove_file(root.join("marked/z")).unwrap();
    fs::write(root.join("marked/z"), "").unwrap();
    mark(&root.join("marked/z"), "user.overlay.whiteout", b"y");
    mark(&root.join("marked"), "user.overlay.opaque", b"x");
    mark(&root.join("b"), "user.overlay.opaque", b"y");
    mark(&root.join("new"), "user.overlay.opaque", b"y");
    mark(&root.join("new"), "user.overlay.origin", b"?");
    mark(&root.join("new"), "user.mine", b"kept");
    let upper_root = Root::open(root).unwrap();
    let changes = upper(&upper_root, Marks::User, &below.stack).unwrap();
    let list = changes.iter().map(|change| {
        let opaque = if change.opaque { " opaque" } else { "" };
        format!(
            "{} {}{opaque}",
            change.kind,
            String::from_utf8_lossy(&change.path)
        )
    });
    let expected = [
        "C a",
        "D a/gone",
        "C a/x",
        "C b opaque",
        "A b/added",
        "C file",
        "C marked",
        "D marked/z",
        "A new",
        "A new/n",
    ];
    assert_eq!(list.collect::<Vec<_>>(), expected);

    let mut layers = below.layers;
    layers.push(TestLayer::of_tar(&layer_of(&changes, &upper_root)));
    let merged = TestStack::new(layers);
    let expected = [
        "a/",
        "a/x=2",
        "b/",
        "b/added=3",
        "file@a",
        "marked/",
        "new/",
        "new/n=4",
    ];
    assert_eq!(merged.list(), expected);
    let new = merged.stack.resolve(b"new", false).unwrap();
    let xattrs = merged.stack.xattrs(&new).unwrap();
    assert_eq!(xattrs.into_keys().collect::<Vec<_>>(), [b"user.mine"]);

    mark(&root.join("new"), "user.overlay.redirect", b"/a");
    let error = upper(&upper_root, Marks::User, &merged.stack).unwrap_err();
    assert!(matches!(error, DiffError::Mark { .. }), "{error}");
    // An ordinary attribute, if the overlay goes by the other names.
    let changes = upper(&upper_root, Marks::Trusted, &merged.stack).unwrap();
    assert!(changes.iter().all(|change| !change.opaque));
}

#[test]
fn times_later_than_wanted_are_cut() {
    let temp = tempfile::tempdir().unwrap();
    let times = [
        ("old", 5, 7),
        ("edge", 9, 0),
        ("late", 9, 1),
        ("new", 77, 3),
    ];
    let mut changes = Vec::new();
    for (name, tv_sec, tv_nsec) in times {
        let file = fs::File::create(temp.path().join(name)).unwrap();
        let time = rustix::fs::Timespec { tv_sec, tv_nsec };
        let both = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(&file, &both).unwrap();
        changes.push(Change {
            path: name.into(),
            kind: ChangeKind::Added,
            is_directory: false,
            opaque: false,
        });
    }
    let root = Root::open(temp.path()).unwrap();
    let read = |times| {
        let mut tar = Writer::new(Vec::new());
        write(&changes, &root, times, &mut tar).unwrap();
        let stack = TestStack::new(vec![TestLayer::of_tar(&tar.finish().unwrap())]);
        ["old", "edge", "late", "new"].map(|name| {
            let facts = stack.stack.resolve(name.as_bytes(), false).unwrap().facts;
            (facts.mtime_secs, facts.mtime_nanos)
        })
    };
    assert_eq!(read(Times::Kept), [(5, 7), (9, 0), (9, 1), (77, 3)]);
    assert_eq!(read(Times::AtMost(9)), [(5, 7), (9, 0), (9, 0), (9, 0)]);
}
