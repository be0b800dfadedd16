use std::sync::Arc;

use shiplap_layer::tar::{Metadata, Writer};
use shiplap_model::ignore::Patterns;
use shiplap_store::{Access, Lease, Store, StoreError};

use super::*;
use crate::execute::layer::make_layer;
use crate::execute::selection::of_layers as select;

/// Words: `dir/`, `file`, `link->target`.
fn files(lease: &Lease, entries: &str) -> Arc<Files> {
    let layer = make_layer::<StoreError>(lease, |out| {
        let mut writer = Writer::new(out);
        let metadata = Metadata {
            mode: 0o755,
            mtime_secs: 7,
            ..Metadata::default()
        };
        for entry in entries.split_whitespace() {
            let path = entry.as_bytes();
            if let Some((link, target)) = entry.split_once("->") {
                writer
                    .symlink(link.as_bytes(), &metadata, target.as_bytes())
                    .unwrap();
            } else if entry.ends_with('/') {
                writer.directory(path, &metadata).unwrap();
            } else {
                writer.file(path, &metadata, 0, &mut &b""[..]).unwrap();
            }
        }
        writer.finish().unwrap();
        Ok(())
    });
    Files::of_layers(lease.store(), &[layer.unwrap().diff_id]).unwrap()
}

fn check(root: &str, source: &str, command: &str, expected: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("store"), Access::Write).unwrap();
    let lease = store.lease().unwrap();
    let (root_files, source_files) = (files(&lease, root), files(&lease, source));
    let (path, destination) = command.split_once(' ').unwrap();
    let excludes = Patterns::default();
    let (path, parents) = match path.strip_prefix("--parents=") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let selected = select(&source_files, path, &excludes, parents).unwrap();
    let given = [Given::Selected {
        selected: selected.into_iter().map(Arc::new).collect(),
        unpacks: false,
    }];
    let facts = of_copy(&root_files, &[], destination, given.iter().collect()).unwrap();
    let found: Vec<_> = facts
        .iter()
        .map(|(path, words)| format!("{path}: {words}"))
        .collect();
    assert_eq!(found, expected, "{command} of {source:?} to {root:?}");
}

const DIR: &str = "dir 0755 0:0 7.000000000";

#[test]
fn only_what_is_in_the_way_counts() {
    let dir = |path: &str| format!("{path}: {DIR}");
    let source = "a d/ d/b d/c/ d/c/e d/f/ d/f/g";
    check("", source, "a /x", &[]);
    check("y/ y/z", source, "a /x", &[]);
    check("x/ x/other", source, "a /x/", &[&dir("x")]);
    check("x/ x/a", source, "a /x/", &[&dir("x")]);
    check("x/ x/a/", source, "a /x/", &[&dir("x"), "x/a: dir"]);
    check("x", source, "a /x", &["x: file"]);
    check(
        "x->y/z y/ y/z/",
        source,
        "a /x",
        &["x: link y/z", &dir("y"), &dir("y/z")],
    );
    check("b/", source, "d /", &["b: dir"]);
    check("c", source, "d /", &["c: file"]);
    check("c/", source, "d /", &[]);
    check("c/ c/e/ f/ f/g/", source, "d /", &["c/e: dir", "f/g: dir"]);
    check("f/ f/g/", source, "d /", &["f/g: dir"]);
    check(
        "d/ d/c/",
        source,
        "--parents=d/c/e /",
        &[&dir("d"), &dir("d/c")],
    );
}
