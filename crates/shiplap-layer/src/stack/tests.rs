#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use super::{CountedTree, Found, Layer, Stack, StackError, Type};
use crate::erofs::LayerIndex;
use crate::tar::{Contents, Metadata, TreeBuilder, Writer};

/// One layer: its tar on disk and its tree.
pub(crate) struct TestLayer {
    pub(crate) tar: File,
    pub(crate) tree: Arc<CountedTree>,
    pub(crate) contents: Contents,
}

impl TestLayer {
    pub(crate) fn of_tar(tar: &[u8]) -> Self {
        let mut builder = TreeBuilder::default();
        builder.push(tar).unwrap();
        let contents = builder.finish().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(tar).unwrap();
        let tree = Arc::new(CountedTree::new(contents.tree.clone()));
        Self {
            tar: file,
            tree,
            contents,
        }
    }

    pub(crate) fn index(&self) -> LayerIndex {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let Contents {
            tree, tar_bytes, ..
        } = &self.contents;
        crate::erofs::write(tree, *tar_bytes, &self.tar, &mut bytes).unwrap();
        LayerIndex::from_bytes(bytes.into_inner()).unwrap()
    }

    /// From lines: `d PATH [MODE]`, `D PATH` (0700, uid 7), `f PATH CONTENT`, `l PATH TARGET`
    /// (symbolic), `h PATH TARGET` (hard), `w PATH`, `o PATH` (opaque).
    pub(crate) fn of_lines(lines: &str) -> Self {
        let mut tar = Writer::new(Vec::new());
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            let (kind, path) = (words.next().unwrap(), words.next().unwrap().as_bytes());
            let rest = words.next().unwrap_or("").as_bytes();
            let plain = Metadata {
                mode: 0o755,
                mtime_secs: 1_000,
                ..Metadata::default()
            };
            match kind {
                "d" => tar.directory(path, &plain),
                "D" => tar.directory(
                    path,
                    &Metadata {
                        mode: 0o700,
                        uid: 7,
                        ..plain
                    },
                ),
                "f" => tar.file(path, &plain, rest.len() as u64, &mut &*rest),
                "l" => tar.symlink(path, &plain, rest),
                "h" => tar.hard_link(path, &plain, rest),
                "w" => tar.whiteout(path),
                "o" => tar.opaque(path),
                other => panic!("{other}"),
            }
            .unwrap();
        }
        Self::of_tar(&tar.finish().unwrap())
    }
}

pub(crate) struct TestStack {
    pub(crate) layers: Vec<TestLayer>,
    pub(crate) stack: Stack,
}

impl TestStack {
    pub(crate) fn new(layers: Vec<TestLayer>) -> Self {
        let trees = layers
            .iter()
            .map(|layer| Arc::clone(&layer.tree) as Arc<dyn Layer>);
        let stack = Stack::new(trees.collect()).unwrap();
        Self { layers, stack }
    }

    /// Layers, the base first, separated by lines of `---`.
    pub(crate) fn of_lines(lines: &str) -> Self {
        Self::new(lines.split("---").map(TestLayer::of_lines).collect())
    }

    /// The same stack, answered from layer indexes instead of trees.
    pub(crate) fn indexed(mut self) -> Self {
        let indexes = self
            .layers
            .iter()
            .map(|layer| Arc::new(layer.index()) as Arc<dyn Layer>);
        self.stack = Stack::new(indexes.collect()).unwrap();
        self
    }

    pub(crate) fn tars(&self) -> Vec<&File> {
        self.layers.iter().map(|layer| &layer.tar).collect()
    }

    pub(crate) fn read(&self, found: &Found) -> Vec<u8> {
        let content = self.stack.content(found).unwrap();
        let mut bytes = Vec::new();
        content
            .reader(&self.layers[content.layer].tar)
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    /// Each entry but the root in one word: path, with `/` for directories, `=content`, `@target`.
    pub(crate) fn list(&self) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut list = Vec::new();
        for found in self.stack.walk(self.stack.root().unwrap()).skip(1) {
            let found = found.unwrap();
            let path = text(&found.path);
            list.push(match found.facts.kind {
                Type::Directory { .. } => format!("{path}/"),
                Type::File { .. } => format!("{path}={}", text(&self.read(&found))),
                Type::Symlink => format!("{path}@{}", text(&self.stack.read_link(&found).unwrap())),
                other => format!("{path} {other:?}"),
            });
        }
        list
    }
}

#[track_caller]
fn check(lines: &str, expected: &str) {
    check_stack(&TestStack::of_lines(lines), expected);
    check_stack(&TestStack::of_lines(lines).indexed(), expected);
}

#[track_caller]
fn check_stack(stack: &TestStack, expected: &str) {
    let list = stack.list();
    assert_eq!(list.join(" "), expected);
    // Whatever the walk shows, a look-up finds, and in the same place.
    for found in stack.stack.walk(stack.stack.root().unwrap()) {
        let found = found.unwrap();
        let again = stack.stack.resolve(&found.path, false).unwrap();
        assert_eq!((again.layer, again.inode), (found.layer, found.inode));
        assert_eq!(again.facts, found.facts);
        assert_eq!(again.parts, found.parts);
    }
}

#[test]
fn layers_merge_as_overlayfs_merges_them() {
    check("d a\n f a/x 1", "a/ a/x=1");
    check(
        "d a\n f a/x 1\n f a/y 1 --- d a\n f a/y 2\n f a/z 2",
        "a/ a/x=1 a/y=2 a/z=2",
    );
    check("d a\n f a/x 1 --- w a", "");
    check("d a\n f a/x 1 --- w a/x", "a/");
    check("d a\n f a/x 1 --- w a --- d a\n f a/y 3", "a/ a/y=3");
    check("d a\n f a/x 1 --- f a file", "a=file");
    check("d a\n f a/x 1 --- l a b", "a@b");
    check("f a 1 --- d a\n f a/y 2", "a/ a/y=2");
    check("d a\n f a/x 1 --- f a 2 --- d a\n f a/y 3", "a/ a/y=3");
    check(
        "d a\n d a/b\n f a/b/x 1 --- d a\n o a\n f a/y 2",
        "a/ a/y=2",
    );
    check("d a\n d a/b\n f a/b/x 1 --- o a/b", "a/ a/b/");
    check("d a\n f a/x 1 --- o .", "");
    // The order of names is that of bytes within each directory.
    check("d a\n f a/x 1\n f a-b 1\n f a.c 1", "a/ a/x=1 a-b=1 a.c=1");
    // Whiteouts of nothing, hard links within a layer and to lower ones.
    check("f a 1 --- w b", "a=1");
    check("f a 1\n h b a", "a=1 b=1");
    check("f a 1 --- h b a --- w a", "b=1");
    check(
        "d d\n f d/a 1\n l e d --- h d/b e/a --- h c d/b",
        "c=1 d/ d/a=1 d/b=1 e@d",
    );
    check("f a 1 --- h b a\n f a 2", "a=2 b=1");
}

#[test]
fn implied_directories_keep_the_attributes_of_lower_layers() {
    let mode_of = |lines: &str, path: &str| {
        let stack = TestStack::of_lines(lines);
        let found = stack.stack.resolve(path.as_bytes(), false).unwrap();
        let indexed = stack
            .indexed()
            .stack
            .resolve(path.as_bytes(), false)
            .unwrap();
        assert_eq!(indexed.facts, found.facts);
        (found.facts.mode, found.facts.uid)
    };
    assert_eq!(mode_of("D a\n f a/x 1 --- f a/y 2", "a"), (0o700, 7));
    assert_eq!(
        mode_of("D a --- d a\n f a/y 2 --- f a/z 3", "a"),
        (0o755, 0)
    );
    assert_eq!(mode_of("D a --- o a\n f a/y 2", "a"), (0o700, 7));
    assert_eq!(mode_of("D a --- w a --- f a/y 2", "a"), (0o755, 0));
    assert_eq!(mode_of("D a --- f a file --- f a/y 2", "a"), (0o755, 0));
}

#[test]
fn paths_resolve_inside_the_image() {
    let stack = TestStack::of_lines(
        "d usr\n d usr/lib\n f usr/lib/x 1\n l lib usr/lib\n l up ../../../usr\n l loop loop
         l abs /lib/x\n f file 1\n l dangling nowhere
         --- d usr\n l usr/back ..\n d etc",
    );
    let place = |path: &str, follow| match stack.stack.resolve(path.as_bytes(), follow) {
        Ok(found) => format!("/{}", String::from_utf8_lossy(&found.path)),
        Err(StackError::NotFound { .. }) => "not found".into(),
        Err(StackError::NotADirectory { .. }) => "not a directory".into(),
        Err(StackError::Loop(_)) => "loop".into(),
        Err(other) => panic!("{other}"),
    };
    let cases = [
        ("", true, "/"),
        ("/", true, "/"),
        ("..", true, "/"),
        ("lib/x", false, "/usr/lib/x"),
        ("/lib", false, "/lib"),
        ("/lib", true, "/usr/lib"),
        ("/lib/", false, "/usr/lib"),
        ("lib/../back/etc", true, "/etc"),
        ("up/lib/./x", false, "/usr/lib/x"),
        ("abs", true, "/usr/lib/x"),
        ("loop", true, "loop"),
        ("loop", false, "/loop"),
        ("loop/x", false, "loop"),
        ("file/x", false, "not a directory"),
        ("file/..", false, "not a directory"),
        ("file/", false, "not a directory"),
        ("dangling", true, "not found"),
        ("none/x", true, "not found"),
    ];
    for (path, follow, expected) in cases {
        assert_eq!(place(path, follow), expected, "{path}");
    }
    let place =
        |path: &str| String::from_utf8(stack.stack.place(path.as_bytes()).unwrap()).unwrap();
    assert_eq!(place("up/new/dir"), "usr/new/dir");
    assert_eq!(place("dangling"), "nowhere");
    assert_eq!(place("lib/../x"), "usr/x");
}

#[test]
fn links_that_lead_nowhere_are_errors() {
    for lines in ["d a --- h b c", "d a --- h b a", "f c 1 --- w c --- h b c"] {
        let stack = TestStack::of_lines(lines);
        let error = stack.stack.resolve(b"b", false).unwrap_err();
        assert!(
            matches!(error, StackError::LinkTarget { .. }),
            "{lines}: {error}"
        );
        assert!(
            stack
                .stack
                .walk(stack.stack.root().unwrap())
                .any(|found| found.is_err())
        );
    }
}

#[test]
fn corrections_name_what_an_overlay_shows_wrongly() {
    let corrections = |stack: TestStack| {
        let found = stack.stack.corrections().unwrap();
        let path = |found: Found| format!("/{}", String::from_utf8(found.path).unwrap());
        found.into_iter().map(path).collect::<Vec<_>>().join(" ")
    };
    let cases = [
        ("d a\n f a/x 1 --- d a\n f a/y 2", ""),
        ("d a\n D a/b\n f a/b/x 1 --- f a/b/y 2", "/ /a /a/b"),
        // A third layer says what the directory is: nothing is wrong.
        ("D a\n f a/x 1 --- f a/y 2 --- d a", ""),
        ("D a --- f a/y 2 --- w a", ""),
        ("f a/b/x 1", ""),
        ("d d\n f d/a 1 --- d d\n h d/b d/a", "/ /d /d/a /d/b"),
        ("d d\n f d/a 1 --- d d\n h d/b d/a\n w d/a", "/ /d /d/b"),
        ("d d\n f d/a 1 --- d d\n h d/b d/a --- d d\n w d/b", ""),
    ];
    for (lines, expected) in cases {
        assert_eq!(corrections(TestStack::of_lines(lines)), expected, "{lines}");
        assert_eq!(
            corrections(TestStack::of_lines(lines).indexed()),
            expected,
            "{lines}"
        );
    }
}

#[test]
fn content_is_read_with_its_holes() {
    let mut tar = tempfile::tempfile().unwrap();
    tar.write_all(b"....abc.......defg").unwrap();
    let extent = |file_offset, tar_offset, length| crate::tree::Extent {
        file_offset,
        tar_offset,
        length,
    };
    let content = |extents, size_bytes| super::Content {
        layer: 0,
        size_bytes,
        extents,
    };
    let read = |content: &super::Content| {
        let mut bytes = Vec::new();
        content.reader(&tar).read_to_end(&mut bytes).map(|_| bytes)
    };
    let cases: BTreeMap<&[u8], _> = [
        (&b"abc"[..], content(vec![extent(0, 4, 3)], 3)),
        (
            b"\0\0abc\0defg\0",
            content(vec![extent(2, 4, 3), extent(6, 14, 4)], 11),
        ),
        (b"\0\0\0", content(vec![], 3)),
        (b"", content(vec![], 0)),
    ]
    .into();
    for (expected, content) in cases {
        assert_eq!(read(&content).unwrap(), expected);
    }
    // A tar that is too short is an error, not zeros.
    assert!(read(&content(vec![extent(0, 16, 3)], 3)).is_err());
    assert!(read(&content(vec![extent(0, u64::MAX, 3)], 3)).is_err());
}
