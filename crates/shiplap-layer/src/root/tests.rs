#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde_json::Value;

use super::{Root, join, resolve_in_root, split_last};

/// Links of a case by clean path.
fn links(tree: &Value) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut links: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for op in tree.as_array().unwrap() {
        if op["op"] == "symlink" {
            let path = op["path"].as_str().unwrap().as_bytes();
            let (parent, name) = split_last(path);
            let read_link = |path: &[u8]| Ok::<_, Errno>(links.get(path).cloned());
            let parent = resolve_in_root(parent, read_link).unwrap().unwrap();
            let target = op["target"].as_str().unwrap().as_bytes().to_vec();
            links.insert(join(&parent, name), target);
        }
    }
    links
}

#[test]
fn every_case_of_the_table_resolves() {
    let table: Value =
        serde_json::from_str(include_str!("../../../../testdata/path-in-root.json")).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 36);
    for case in cases {
        check(case);
    }
}

/// One case in memory, and on disk through `openat2` and through the walk.
fn check(case: &Value) {
    let id = case["id"].as_str().unwrap();
    let links = links(&case["tree"]);
    let read_link = |path: &[u8]| Ok::<_, Errno>(links.get(path).cloned());
    // A scope is a directory of the tree, itself reached through the tree's links.
    let scope = case["scope"].as_str().unwrap_or("");
    let real_scope = resolve_in_root(scope.as_bytes(), read_link)
        .unwrap()
        .unwrap();
    let path = case["path"].as_str().unwrap();
    let path = path.strip_prefix(scope).unwrap().as_bytes();
    let in_scope = |part: &[u8]| read_link(&join(&real_scope, part));
    let result = resolve_in_root(path, in_scope).unwrap();
    let expected = &case["expect"];
    let is_loop = expected["error"] == "ELOOP" || id.ends_with("0050") || id.ends_with("0051");
    match (&result, expected["path"].as_str()) {
        (Err(_), _) => assert!(is_loop, "{id}: {result:?}"),
        (Ok(got), Some(want)) => {
            let want = want.strip_prefix(scope).unwrap().trim_start_matches('/');
            assert_eq!(String::from_utf8_lossy(got), want, "{id}");
        }
        (Ok(_), None) => assert_eq!(expected["no_error"], true, "{id}"),
    }
    check_on_disk(case, &real_scope, path, result.ok().as_deref());
}

fn check_on_disk(case: &Value, scope: &[u8], path: &[u8], resolved: Option<&[u8]>) {
    let id = case["id"].as_str().unwrap();
    let temp = tempfile::tempdir().unwrap();
    for op in case["tree"].as_array().unwrap() {
        let at = temp.path().join(op["path"].as_str().unwrap());
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        match op["op"].as_str().unwrap() {
            "symlink" => {
                std::os::unix::fs::symlink(op["target"].as_str().unwrap(), &at).unwrap();
            }
            "mkdir_all" => std::fs::create_dir_all(&at).unwrap(),
            "write" => std::fs::write(&at, op["content"].as_str().unwrap()).unwrap(),
            other => panic!("{id}: {other}"),
        }
    }
    let scope = temp.path().join(std::ffi::OsStr::from_bytes(scope));
    std::fs::create_dir_all(&scope).unwrap();
    let root = Root::open(&scope).unwrap();
    // A file in the resolved place must be what both ways of opening find.
    let Some(resolved) = resolved else {
        assert_eq!(
            root.open_at(path, OFlags::RDONLY).unwrap_err(),
            Errno::LOOP,
            "{id}"
        );
        assert_eq!(
            root.walk(path, OFlags::RDONLY).unwrap_err(),
            Errno::LOOP,
            "{id}"
        );
        assert_eq!(root.make_dirs(path).unwrap_err(), Errno::LOOP, "{id}");
        return;
    };
    // The kernel, unlike the pure rule, wants `x` in `x/..` to exist.
    let at = scope.join(Path::new(std::ffi::OsStr::from_bytes(resolved)));
    if path.windows(2).any(|w| w == b"..") || std::fs::symlink_metadata(&at).is_ok() {
        return;
    }
    if std::fs::create_dir_all(at.parent().unwrap()).is_err() {
        assert_eq!(
            root.open_at(path, OFlags::RDONLY).unwrap_err(),
            Errno::NOTDIR,
            "{id}"
        );
        assert_eq!(
            root.walk(path, OFlags::RDONLY).unwrap_err(),
            Errno::NOTDIR,
            "{id}"
        );
        return;
    }
    std::fs::File::create(&at)
        .unwrap()
        .write_all(id.as_bytes())
        .unwrap();
    for fd in [
        root.open_at(path, OFlags::RDONLY),
        root.walk(path, OFlags::RDONLY),
    ] {
        let mut content = String::new();
        std::fs::File::from(fd.unwrap())
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, id);
    }
    std::fs::remove_file(&at).unwrap();
    root.make_dirs(path).unwrap();
    assert!(at.is_dir(), "{id}");
}

#[test]
fn opens_exactly_what_is_named() {
    fn check(path: &str, wanted: Result<(), &[Errno]>) {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join("d/e")).unwrap();
        std::fs::write(temp.path().join("d/e/f"), "").unwrap();
        std::os::unix::fs::symlink("d", temp.path().join("l")).unwrap();
        std::os::unix::fs::symlink("f", temp.path().join("d/e/l")).unwrap();
        let root = Root::open(temp.path()).unwrap();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for found in [
            root.open_exact(path.as_bytes(), OFlags::RDONLY),
            root.walk_exact(path.as_bytes(), flags),
        ] {
            match (found, wanted) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(errors)) => assert!(errors.contains(&error), "{path}: {error}"),
                (found, _) => panic!("{path}: {found:?}"),
            }
        }
    }
    check("d/e/f", Ok(()));
    check("d/e", Ok(()));
    check("l/e/f", Err(&[Errno::LOOP, Errno::NOTDIR]));
    check("d/e/l", Err(&[Errno::LOOP]));
    check("d/none", Err(&[Errno::NOENT]));
    check("../x", Err(&[Errno::XDEV]));
}
