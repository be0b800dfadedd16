//! What entries mean to a layer: names, links, whiteouts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::raw::{directory, file, hard_link, header, symlink, tar};
use super::*;

fn check(name: &str, parts: &[Vec<u8>], expected: &[&str]) {
    let contents = read(&tar(parts)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut lines = listing(&contents.tree);
    if !expected
        .first()
        .is_some_and(|line| line.starts_with("dir . "))
    {
        lines.remove(0);
    }
    assert_eq!(lines, expected, "{name}");
}

#[test]
fn names_lead_to_their_place() {
    check("root", &[directory("./")], &["dir . 750"]);
    check(
        "no root",
        &[file("a", b"x")],
        &["dir . 755 implied", "file a 1"],
    );
    check(
        "slashes",
        &[file("/a//./b", b"")],
        &["dir a 755 implied", "file a/b 0"],
    );
    check(
        "above the root",
        &[file("../../a", b""), file("b/../../c", b"")],
        &["file a 0", "file c 0"],
    );
    check(
        "cleaned by text",
        &[symlink("l", "/d/e"), file("l/../f", b"")],
        &["file f 0", "symlink l -> /d/e"],
    );
    check(
        "through a symlink of the layer",
        &[symlink("l", "../../d/e"), file("l/f", b"")],
        &[
            "dir d 755 implied",
            "dir d/e 755 implied",
            "file d/e/f 0",
            "symlink l -> ../../d/e",
        ],
    );
    check(
        "up from where a symlink led",
        &[
            directory("d/e"),
            symlink("l", "d/e"),
            symlink("m", "l/../x"),
            file("m/f", b""),
        ],
        &[
            "dir d 755 implied",
            "dir d/e 750",
            "dir d/x 755 implied",
            "file d/x/f 0",
            "symlink l -> d/e",
            "symlink m -> l/../x",
        ],
    );
    check(
        "file in the way",
        &[file("a", b"1"), file("a/b", b"")],
        &["dir a 755 opaque", "file a/b 0"],
    );
    check(
        "old directory",
        &[header(b"d/", 0, 0, |block| block[257..265].fill(0))],
        &["dir d 644"],
    );
}

#[test]
fn later_entries_replace_earlier_ones() {
    check(
        "file",
        &[file("a", b"1"), file("./a", b"22")],
        &["file a 2"],
    );
    check(
        "directory again",
        &[file("d/f", b""), directory("d/")],
        &["dir d 750", "file d/f 0"],
    );
    check(
        "file for directory",
        &[file("d/f", b""), file("d", b"1")],
        &["file d 1"],
    );
    check(
        "directory for file",
        &[file("d", b"1"), directory("d")],
        &["dir d 750 opaque"],
    );
    check(
        "symlink for directory",
        &[file("d/f", b""), symlink("d", "e"), file("d/g", b"")],
        &["symlink d -> e", "dir e 755 implied", "file e/g 0"],
    );
}

#[test]
fn whiteouts_act_on_lower_layers_only() {
    let whiteout = |path: &str| file(path, b"");
    check(
        "plain",
        &[whiteout("d/.wh.f")],
        &["dir d 755 implied", "whiteout d/f"],
    );
    check(
        "file before",
        &[file("f", b"1"), whiteout(".wh.f")],
        &["file f 1"],
    );
    check(
        "file after",
        &[whiteout(".wh.f"), file("f", b"1")],
        &["file f 1"],
    );
    check(
        "directory before",
        &[file("d/f", b""), whiteout(".wh.d")],
        &["dir d 755 opaque", "file d/f 0"],
    );
    check(
        "directory after",
        &[whiteout(".wh.d"), file("d/f", b"")],
        &["dir d 755 opaque", "file d/f 0"],
    );
    check(
        "entry after",
        &[whiteout(".wh.d"), directory("d")],
        &["dir d 750 opaque"],
    );
    check(
        "opaque first",
        &[whiteout("d/.wh..wh..opq"), file("d/f", b"")],
        &["dir d 755 implied opaque", "file d/f 0"],
    );
    check(
        "opaque last",
        &[directory("d"), whiteout("d/.wh..wh..opq")],
        &["dir d 750 opaque"],
    );
    check(
        "opaque root",
        &[whiteout(".wh..wh..opq")],
        &["dir . 755 implied opaque"],
    );
    check(
        "device",
        &[header(b"f", b'3', 0, |b| b[329..345].fill(b'0'))],
        &["whiteout f"],
    );
    check(
        "AUFS",
        &[
            whiteout(".wh..wh.aufs"),
            directory(".wh..wh.orph"),
            file("d/.wh..wh.x", b""),
        ],
        &[],
    );
    check(
        "AUFS links",
        &[
            file(".wh..wh.plnk/1.2", b"abc"),
            hard_link("f", ".wh..wh.plnk/1.2"),
            hard_link("g", "f"),
        ],
        &["file f 3", "file g 3"],
    );
    let long = "n".repeat(255);
    let name = ["x/.wh.", &long].concat();
    let entry = [raw::pax(&[("path", &name)]), file("x", b"")].concat();
    check(
        "longest name",
        &[entry],
        &["dir x 755 implied", &format!("whiteout x/{long}")],
    );
    for bad in [".wh.", ".wh..", ".wh...", "d/.wh.."] {
        assert!(
            matches!(read(&tar(&[whiteout(bad)])), Err(TarError::Path { .. })),
            "{bad}"
        );
    }
}

#[test]
fn hard_links_share_a_node_or_point_below() {
    let linked = read(&tar(&[
        file("a", b"1"),
        hard_link("d/b", "./a"),
        hard_link("c", "/d/b"),
    ]))
    .unwrap();
    let ids = ["a", "d/b", "c"].map(|path| find(&linked.tree, path).unwrap());
    assert_eq!(ids, [ids[0]; 3]);
    check(
        "to itself",
        &[file("a", b"1"), hard_link("a", "a")],
        &["file a 1"],
    );
    check(
        "below",
        &[hard_link("d/b", "/x/../a")],
        &["dir d 755 implied", "below d/b => a"],
    );
    check(
        "of a link below",
        &[hard_link("b", "a"), hard_link("c", "b")],
        &["below b => a", "below c => a"],
    );
    check(
        "of what is deleted",
        &[file(".wh.a", b""), hard_link("b", "a")],
        &["whiteout a", "below b => a"],
    );
    check(
        "replaced",
        &[hard_link("b", "a"), file("b", b"1")],
        &["file b 1"],
    );
    check(
        "by a directory",
        &[hard_link("b", "a"), directory("b")],
        &["dir b 750 opaque"],
    );
    check(
        "with its directory",
        &[hard_link("d/b", "a"), file("d", b"")],
        &["file d 0"],
    );
    check(
        "in the way",
        &[hard_link("b", "a"), file("b/c", b"")],
        &["dir b 755 opaque", "file b/c 0"],
    );
    check(
        "replacing",
        &[file("b", b"1"), hard_link("b", "a")],
        &["below b => a"],
    );
    for target in ["d", "/", "."] {
        let refused = read(&tar(&[directory("d"), hard_link("b", target)]));
        assert!(
            matches!(refused, Err(TarError::HardLink { .. })),
            "{target}"
        );
    }
}

#[test]
fn hostile_names_are_refused_or_bounded() {
    let refuse = |name: &str, parts: &[Vec<u8>]| {
        assert!(
            matches!(read(&tar(parts)), Err(TarError::Path { .. })),
            "{name}"
        );
    };
    let named = |path: &str| [raw::pax(&[("path", path)]), file("x", b"")].concat();
    refuse("long part", &[named(&"n".repeat(256))]);
    refuse("long path", &[named(&"n/".repeat(2049))]);
    refuse(
        "loop",
        &[symlink("a", "b"), symlink("b", "a"), file("a/f", b"")],
    );
    refuse("growing loop", &[symlink("a", "a/a"), file("a/f", b"")]);
    refuse("file as root", &[file("./", b"")]);
    refuse("empty target", &[symlink("a", "")]);
    let deep = "d/".repeat(2000) + "f";
    let contents = read(&tar(&[named(&deep)])).unwrap();
    assert_eq!(contents.tree.nodes.len(), 2002);
}

/// The peers' cases of archives that try to leave the root. What was there before is put in front
/// of the same tar; what a whiteout does to that is not for one layer to show.
#[test]
fn peers_breakout_cases_stay_inside() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/tar-breakout.json"
    );
    let table: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut ran = 0;
    for case in table["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let before = case["pre"].as_array().unwrap().iter();
        let entries = case["entries"].as_array().unwrap().iter();
        let parts: Vec<Vec<u8>> = before.chain(entries).map(entry_of).collect();
        let bytes = tar(&parts);
        let expect = &case["expect"];
        let contents = match read(&bytes) {
            Ok(contents) => contents,
            Err(error) => {
                assert!(
                    !expect["error"].is_null() || expect["may_error"] == true,
                    "{name}: {error}"
                );
                ran += 1;
                continue;
            }
        };
        assert!(expect["error"].is_null(), "{name}: accepted");
        for check in expect["checks"].as_array().unwrap() {
            check_case(name, check, &contents.tree, &bytes);
        }
        ran += 1;
    }
    assert_eq!(ran, table["cases"].as_array().unwrap().len());
}

fn entry_of(entry: &Value) -> Vec<u8> {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let data = match &entry["content_bytes"] {
        Value::Array(bytes) => bytes
            .iter()
            .map(|b| u8::try_from(b.as_u64().unwrap()).unwrap())
            .collect(),
        _ => text("content").as_bytes().to_vec(),
    };
    match (text("type"), text("op")) {
        ("dir", _) => directory(text("name")),
        ("symlink", _) => symlink(text("name"), text("linkname")),
        ("hardlink", _) => hard_link(text("name"), text("linkname")),
        ("file", _) => file(text("name"), &data),
        (_, "mkdir") => directory(text("path")),
        (_, "write") => file(text("path"), &data),
        (_, "symlink") => symlink(text("path"), text("target")),
        (_, "link") => hard_link(text("path"), text("target")),
        other => panic!("unknown entry {other:?}"),
    }
}

fn check_case(name: &str, check: &Value, tree: &Tree, tar: &[u8]) {
    let path = check["path"].as_str().unwrap_or_default();
    let found = |path: &str| follow(tree, path).unwrap_or_else(|| panic!("{name}: no {path}"));
    let kind = |path: &str| &tree.nodes[found(path).0 as usize].kind;
    let ids = |paths: &Value| -> Vec<NodeId> {
        paths
            .as_array()
            .unwrap()
            .iter()
            .map(|path| found(path.as_str().unwrap()))
            .collect()
    };
    match check["check"].as_str().unwrap() {
        "content" => {
            let expected = check["content"].as_str().unwrap().as_bytes();
            assert_eq!(content(tree, found(path), tar), expected, "{name}: {path}");
        }
        "same_inode" => assert!(
            ids(&check["paths"]).windows(2).all(|w| w[0] == w[1]),
            "{name}"
        ),
        "different_inodes" => assert!(
            ids(&check["paths"]).windows(2).all(|w| w[0] != w[1]),
            "{name}"
        ),
        "is_dir" => assert!(matches!(kind(path), Kind::Directory(_)), "{name}: {path}"),
        "is_file" => assert!(matches!(kind(path), Kind::File(_)), "{name}: {path}"),
        // A tree has no outside, and whiteouts need a lower layer.
        _ => {}
    }
}

/// The node at a path, symlinks followed within the tree.
fn follow(tree: &Tree, path: &str) -> Option<NodeId> {
    let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut way = vec![NodeId(0)];
    for _ in 0..1000 {
        let Some(part) = rest.pop() else {
            return way.last().copied();
        };
        let Kind::Directory(here) = &tree.nodes[way.last()?.0 as usize].kind else {
            return None;
        };
        match part.as_str() {
            "" | "." => continue,
            ".." if way.len() > 1 => drop(way.pop()),
            ".." => {}
            name => {
                let id = *here.children.get(name.as_bytes())?;
                if let Kind::Symlink(target) = &tree.nodes[id.0 as usize].kind {
                    let target = String::from_utf8_lossy(target);
                    if target.starts_with('/') {
                        way.truncate(1);
                    }
                    rest.extend(target.split('/').rev().map(str::to_owned));
                } else {
                    way.push(id);
                }
            }
        }
    }
    None
}

#[test]
fn counts_are_dockers() {
    let parts = [
        file("a", b"12345"),
        file("a", b"123"),
        hard_link("b", "a"),
        directory("d"),
    ];
    let contents = read(&tar(&parts)).unwrap();
    assert_eq!(
        (contents.entries, contents.content_bytes, contents.tar_bytes),
        (4, 8, 4096)
    );
    assert_eq!(contents.tree.nodes[0].xattrs, BTreeMap::new());
}
