#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

pub(crate) mod disk;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use serde_json::Value;

use self::disk::{ops, raw_tar, snapshot};
use super::{Form, Marks, Options, Report, Rights, UnpackError, unpack};
use crate::root::Root;
use crate::stack::tests::TestLayer;
use crate::tar::{Metadata, TreeBuilder, Writer};

pub(crate) fn rights() -> Rights {
    if rustix::process::geteuid().is_root() {
        Rights::Full
    } else {
        Rights::Caller
    }
}

pub(crate) fn apply(layer: &TestLayer, root: &Path) -> Result<Report, UnpackError> {
    let options = Options {
        form: Form::Applied,
        rights: rights(),
    };
    unpack(
        &*layer.tree,
        &layer.tar,
        &Root::open(root).unwrap(),
        options,
    )
}

/// Reads and applies a tar; the error's text if either refuses it.
fn apply_tar(tar: &[u8], root: &Path, form: Form) -> Result<(), String> {
    let mut builder = TreeBuilder::default();
    builder.push(tar).map_err(|e| e.to_string())?;
    builder.finish().map_err(|e| e.to_string())?;
    let layer = TestLayer::of_tar(tar);
    let options = Options {
        form,
        rights: rights(),
    };
    unpack(
        &*layer.tree,
        &layer.tar,
        &Root::open(root).unwrap(),
        options,
    )
    .map(drop)
    .map_err(|e| e.to_string())
}

#[test]
fn no_archive_breaks_out() {
    let table = include_str!("../../../../testdata/tar-breakout.json");
    let table: Value =
        serde_json::from_str(&table.replace("UNIQUE", &std::process::id().to_string())).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 49);
    for case in cases {
        breakout(case);
    }
}

fn breakout(case: &Value) {
    let id = format!("{} {}", case["id"], case["name"]);
    let tar = raw_tar(case["entries"].as_array().unwrap());
    for form in [Form::Applied, Form::Layer(Marks::Trusted)] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        fs::create_dir(&root).unwrap();
        for file in case["outside"].as_array().into_iter().flatten() {
            let path = root.join(file["path"].as_str().unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file["content"].as_str().unwrap()).unwrap();
        }
        if form == Form::Applied {
            ops(&root, &case["pre"]);
        }
        let outside = |_: ()| {
            let mut outside = snapshot(temp.path());
            outside.retain(|path, _| !path.starts_with("root/"));
            // Its times change with its entries.
            outside.get_mut("root").unwrap().mtime = (0, 0);
            outside
        };
        let before = outside(());
        let result = apply_tar(&tar, &root, form);
        assert_eq!(outside(()), before, "{id}");
        if form == Form::Applied {
            verify(&id, &case["expect"], &root, &result);
        }
    }
}

fn verify(id: &str, expect: &Value, root: &Path, result: &Result<(), String>) {
    if expect.get("error").is_some() {
        assert!(result.is_err(), "{id}");
        return;
    }
    if expect["may_error"] != true {
        assert_eq!(*result, Ok(()), "{id}");
    }
    let inside = Root::open(root).unwrap();
    let open = |path: &Value, flags| inside.open_at(path.as_str().unwrap().as_bytes(), flags);
    let read = |path: &Value| {
        let file = open(path, OFlags::RDONLY).unwrap();
        std::io::read_to_string(fs::File::from(file)).unwrap()
    };
    let inode = |path: &Value| {
        let stat = rustix::fs::fstat(open(path, OFlags::PATH).unwrap()).unwrap();
        (stat.st_dev, stat.st_ino)
    };
    let kind = |path: &Value| {
        let stat = rustix::fs::fstat(open(path, OFlags::PATH | OFlags::NOFOLLOW).unwrap()).unwrap();
        rustix::fs::FileType::from_raw_mode(stat.st_mode)
    };
    for check in expect["checks"].as_array().into_iter().flatten() {
        let path = &check["path"];
        let pair = &check["paths"];
        match check["check"].as_str().unwrap() {
            "content" => assert_eq!(read(path), check["content"].as_str().unwrap(), "{id}"),
            "absent" => assert!(open(path, OFlags::PATH | OFlags::NOFOLLOW).is_err(), "{id}"),
            "same_inode" => assert_eq!(inode(&pair[0]), inode(&pair[1]), "{id}"),
            "different_inodes" => assert_ne!(inode(&pair[0]), inode(&pair[1]), "{id}"),
            "both_symlinks_same_target" => {
                let target = |path: &Value| {
                    let path = path.as_str().unwrap().trim_start_matches('/');
                    fs::read_link(root.join(path)).unwrap()
                };
                assert_eq!(target(&pair[0]), target(&pair[1]), "{id}");
            }
            "is_dir" => assert!(kind(path).is_dir(), "{id}"),
            "is_file" => assert!(kind(path).is_file(), "{id}"),
            "absent_or_other_outside" => {
                let content = fs::read_to_string(path.as_str().unwrap()).unwrap_or_default();
                assert_ne!(content, check["content"].as_str().unwrap(), "{id}");
            }
            // Compared for every case, byte by byte.
            "outside_unchanged" => {}
            "no_file_inside_has_content" => {
                let secret = check["content"].as_str().unwrap().as_bytes();
                for (path, entry) in snapshot(root) {
                    assert_ne!(entry.content, secret, "{id}: {path}");
                }
            }
            other => panic!("{id}: {other}"),
        }
    }
}

#[test]
fn layers_apply_as_the_table_says() {
    let table = include_str!("../../../../testdata/layer-apply-diff.json");
    let table: Value = serde_json::from_str(table).unwrap();
    let mut seen = 0;
    for case in table["cases"].as_array().unwrap() {
        let op = case["op"].as_str().unwrap();
        if op.starts_with("apply") {
            applied(case, op);
            seen += 1;
        }
    }
    assert_eq!(seen, 16);
}

fn applied(case: &Value, op: &str) {
    let id = case["id"].as_str().unwrap();
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let expect = &case["expect"];
    if op == "apply_layer" {
        ops(root, &case["pre"]);
        let before = snapshot(root);
        let tar = raw_tar(case["entries"].as_array().unwrap());
        let result = apply_tar(&tar, root, Form::Applied);
        assert_eq!(
            result.is_err(),
            expect.get("error").is_some(),
            "{id}: {result:?}"
        );
        if expect["parent_times_unchanged"] == true {
            for (path, entry) in snapshot(root) {
                assert_eq!(entry.mtime, before[&path].mtime, "{id}: {path}");
            }
        }
    } else {
        for layer in case["layers"].as_array().unwrap() {
            let tar = raw_tar(layer.as_array().unwrap());
            assert_eq!(apply_tar(&tar, root, Form::Applied), Ok(()), "{id}");
        }
    }
    let there = |path: &Value| fs::symlink_metadata(root.join(path.as_str().unwrap()));
    for path in expect["absent"].as_array().into_iter().flatten() {
        assert!(there(path).is_err(), "{id}: {path}");
    }
    for path in expect["present"].as_array().into_iter().flatten() {
        assert!(there(path).is_ok(), "{id}: {path}");
    }
    for path in expect["dirs"].as_array().into_iter().flatten() {
        assert!(there(path).unwrap().is_dir(), "{id}: {path}");
    }
    if expect["opaque_dir_remains"] == true {
        assert!(root.join("opaque").is_dir(), "{id}");
    }
    if let Some(paths) = expect["paths"].as_array() {
        let mut paths: Vec<_> = paths
            .iter()
            .map(|p| p.as_str().unwrap().trim_end_matches('/').to_owned())
            .collect();
        paths.sort();
        assert_eq!(
            snapshot(root).into_keys().collect::<Vec<_>>(),
            paths,
            "{id}"
        );
    }
}

/// A layer with every kind of thing.
#[allow(clippy::too_many_lines, reason = "a list")]
pub(crate) fn everything() -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    let plain = Metadata {
        mode: 0o644,
        mtime_secs: 1_700_000_000,
        ..Metadata::default()
    };
    let dir = Metadata {
        mode: 0o755,
        mtime_nanos: 123_456_789,
        ..plain.clone()
    };
    tar.directory(b"bin", &dir).unwrap();
    let capability = vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut program = Metadata {
        mode: 0o4755,
        uid: 3,
        gid: 4,
        mtime_nanos: 5,
        ..plain.clone()
    };
    program
        .xattrs
        .insert(b"user.note".to_vec(), b"v\0x".to_vec());
    program
        .xattrs
        .insert(b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec());
    if rights() == Rights::Full {
        program
            .xattrs
            .insert(b"security.capability".to_vec(), capability);
    }
    tar.file(b"bin/su", &program, 3, &mut &b"elf"[..]).unwrap();
    tar.hard_link(b"bin/sudo", &program, b"bin/su").unwrap();
    tar.directory(
        b"locked",
        &Metadata {
            mode: 0o1555,
            uid: 9,
            ..dir.clone()
        },
    )
    .unwrap();
    let content = vec![7; 300_000];
    tar.file(b"locked/big", &plain, 300_000, &mut &content[..])
        .unwrap();
    tar.symlink(
        b"link",
        &Metadata {
            uid: 5,
            ..dir.clone()
        },
        b"../../etc",
    )
    .unwrap();
    tar.fifo(
        b"fifo",
        &Metadata {
            mode: 0o622,
            ..plain.clone()
        },
    )
    .unwrap();
    if rights() == Rights::Full {
        tar.char_device(
            b"null",
            &Metadata {
                mode: 0o666,
                ..plain.clone()
            },
            1,
            3,
        )
        .unwrap();
        tar.block_device(
            b"disk",
            &Metadata {
                gid: 6,
                ..plain.clone()
            },
            8,
            300,
        )
        .unwrap();
        tar.hard_link(b"disk2", &plain, b"disk").unwrap();
    }
    tar.file(
        b"old",
        &Metadata {
            mtime_secs: -3,
            ..plain
        },
        0,
        &mut &b""[..],
    )
    .unwrap();
    tar.finish().unwrap()
}

#[test]
fn everything_a_layer_holds_is_restored() {
    for form in [Form::Applied, Form::Layer(Marks::Trusted)] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let layer = TestLayer::of_tar(&everything());
        let options = Options {
            form,
            rights: rights(),
        };
        let report = unpack(
            &*layer.tree,
            &layer.tar,
            &Root::open(root).unwrap(),
            options,
        )
        .unwrap();
        assert_eq!(report.content_bytes, 300_003);
        assert_eq!(report.entries, layer.contents.entries);
        let tree = snapshot(root);
        assert_eq!(tree["bin"].mtime, (1_700_000_000, 123_456_789));
        assert_eq!(tree["bin/su"].mode & 0o7777, 0o4755);
        assert_eq!(tree["bin/su"].mtime, (1_700_000_000, 5));
        assert_eq!(tree["bin/su"].nlink, 2);
        assert_eq!(tree["bin/sudo"].inode, tree["bin/su"].inode);
        assert_eq!(tree["bin/su"].xattrs[&b"user.note"[..]], b"v\0x");
        assert!(
            !tree["bin/su"]
                .xattrs
                .contains_key(&b"trusted.overlay.redirect"[..])
        );
        assert_eq!(tree["locked"].mode & 0o7777, 0o1555);
        assert_eq!(tree["locked/big"].content, vec![7; 300_000]);
        assert_eq!(tree["link"].content, b"../../etc");
        assert_eq!(tree["link"].mtime, (1_700_000_000, 123_456_789));
        assert_eq!(tree["fifo"].mode & 0o7777, 0o622);
        assert_eq!(tree["old"].mtime, (-3, 0));
        if rights() == Rights::Full {
            assert_eq!(tree["bin/su"].xattrs[&b"security.capability"[..]].len(), 20);
            assert_eq!((tree["bin/su"].uid, tree["bin/su"].gid), (3, 4));
            assert_eq!(tree["link"].uid, 5);
            assert_eq!(tree["locked"].uid, 9);
            assert_eq!(tree["null"].device, rustix::fs::makedev(1, 3));
            assert_eq!(tree["disk"].device, rustix::fs::makedev(8, 300));
            assert_eq!(tree["disk2"].inode, tree["disk"].inode);
            assert_eq!(tree["null"].mode & 0o7777, 0o666);
        }
        // Locked directories must not keep the temporary directory from going.
        fs::set_permissions(root.join("locked"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn without_rights_devices_and_owners_are_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let mut tar = Writer::new(Vec::new());
    let mut meta = Metadata {
        mode: 0o600,
        uid: 7,
        gid: 8,
        ..Metadata::default()
    };
    meta.xattrs.insert(b"user.a".to_vec(), b"1".to_vec());
    meta.xattrs.insert(b"trusted.b".to_vec(), b"2".to_vec());
    tar.file(b"f", &meta, 1, &mut &b"x"[..]).unwrap();
    tar.char_device(b"null", &Metadata::default(), 1, 3)
        .unwrap();
    tar.hard_link(b"zero", &Metadata::default(), b"null")
        .unwrap();
    let layer = TestLayer::of_tar(&tar.finish().unwrap());
    let options = Options {
        form: Form::Applied,
        rights: Rights::Caller,
    };
    let root = Root::open(temp.path()).unwrap();
    let report = unpack(&*layer.tree, &layer.tar, &root, options).unwrap();
    assert_eq!(report.devices_left_out, 2);
    assert_eq!(report.xattrs_left_out, 1);
    let tree = snapshot(temp.path());
    assert_eq!(tree.keys().collect::<Vec<_>>(), ["f"]);
    assert_eq!(tree["f"].uid, rustix::process::geteuid().as_raw());
    assert_eq!(tree["f"].xattrs[&b"user.a"[..]], b"1");
}

#[test]
fn holes_stay_holes() {
    use crate::stack::CountedTree;
    use crate::tree::{Extent, FileData, Kind};
    let mut layer = TestLayer::of_lines("f sparse 0123456789");
    let mut tree = layer.contents.tree.clone();
    let node = tree
        .nodes
        .iter_mut()
        .find(|n| matches!(n.kind, Kind::File(_)))
        .unwrap();
    let Kind::File(data) = &node.kind else {
        panic!("not a file")
    };
    let extents = vec![Extent {
        file_offset: 50 << 20,
        ..data.extents[0]
    }];
    node.kind = Kind::File(FileData {
        size_bytes: 100 << 20,
        extents,
    });
    layer.tree = CountedTree::new(tree).into();
    let temp = tempfile::tempdir().unwrap();
    assert_eq!(apply(&layer, temp.path()).unwrap().content_bytes, 10);
    let meta = fs::metadata(temp.path().join("sparse")).unwrap();
    assert_eq!(meta.len(), 100 << 20);
    assert!(meta.blocks() * 512 < 1 << 20, "{} blocks", meta.blocks());
    // Content that the tar doesn't have is an error that names the file.
    let mut tree = layer.tree.tree().clone();
    let node = tree
        .nodes
        .iter_mut()
        .find(|n| matches!(n.kind, Kind::File(_)))
        .unwrap();
    let extents = vec![Extent {
        file_offset: 0,
        tar_offset: 1 << 30,
        length: 1 << 40,
    }];
    node.kind = Kind::File(FileData {
        size_bytes: 1 << 40,
        extents,
    });
    layer.tree = CountedTree::new(tree).into();
    let error = apply(&layer, temp.path()).unwrap_err().to_string();
    assert!(error.starts_with("write /sparse: "), "{error}");
}

#[test]
fn layer_form_has_the_marks_of_overlayfs() {
    let temp = tempfile::tempdir().unwrap();
    let layer = TestLayer::of_lines("d a\n o a\n f a/x 1\n w gone\n o implied");
    for marks in [Marks::Trusted, Marks::User] {
        if marks == Marks::Trusted && rights() != Rights::Full {
            eprintln!("skipped: trusted attributes need root");
            continue;
        }
        let root = temp.path().join(marks.name("x"));
        fs::create_dir(&root).unwrap();
        let options = Options {
            form: Form::Layer(marks),
            rights: rights(),
        };
        unpack(
            &*layer.tree,
            &layer.tar,
            &Root::open(&root).unwrap(),
            options,
        )
        .unwrap();
        let tree = snapshot(&root);
        assert_eq!(tree["a"].xattrs[marks.name("opaque").as_bytes()], b"y");
        assert_eq!(
            tree["implied"].xattrs[marks.name("opaque").as_bytes()],
            b"y"
        );
        assert_eq!(tree["gone"].mode & 0o170_000, 0o020_000);
        assert_eq!(tree["gone"].device, 0);
        assert_eq!(tree.len(), 4);
    }
}

#[test]
fn links_to_lower_files_survive_what_the_layer_does_to_them() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    apply(&TestLayer::of_lines("f a 1\n f b 2\n d d\n f d/c 3"), root).unwrap();
    let upper = "h a2 a\n w a\n h d/b2 b\n f b new\n h new/c2 d/c\n w d/c\n o d\n h d/b2 b";
    apply(
        &TestLayer::of_lines(&upper.replace("\n h d/b2 b\n f b", "\n f b")),
        root,
    )
    .unwrap();
    let tree = snapshot(root);
    let text = |path: &str| String::from_utf8(tree[path].content.clone()).unwrap();
    assert_eq!(
        tree.keys().collect::<Vec<_>>(),
        ["a2", "b", "d", "d/b2", "new", "new/c2"]
    );
    assert_eq!(
        (text("a2"), text("b"), text("new/c2")),
        ("1".into(), "new".into(), "3".into())
    );
    assert_eq!(tree["d/b2"].inode, tree["b"].inode);
    let error = apply(&TestLayer::of_lines("h x nowhere"), root).unwrap_err();
    assert!(matches!(error, UnpackError::LinkTarget { .. }), "{error}");
}
