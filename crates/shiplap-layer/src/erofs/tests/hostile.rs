//! Trees that can't be written, and indexes that were damaged: errors, never a panic or a loop.

use proptest::prelude::*;

use super::super::{InodeKind, ReadError};
use super::*;

#[test]
fn impossible_trees_are_refused() {
    type Change = fn(&mut Layer);
    let cases: &[(&str, Change)] = &[
        ("no root directory", |layer| layer.tree.nodes.clear()),
        ("no root directory", |layer| {
            layer.tree.nodes[0].kind = Kind::Fifo;
        }),
        ("illegal name", |layer| layer.tree_link(b"..")),
        ("illegal name", |layer| layer.tree_link(b"")),
        ("illegal name", |layer| layer.tree_link(b"a/b")),
        ("illegal name", |layer| layer.tree_link(b"a\0b")),
        ("illegal name", |layer| layer.tree_link(&[b'n'; 256])),
        ("\"d/missing\": the tree lacks", |layer| {
            layer.link("d/missing", NodeId(99));
        }),
        ("\"d/again\": a directory can't", |layer| {
            layer.link("d/again", NodeId(1));
        }),
        ("\"root\": a directory can't", |layer| {
            layer.link("root", NodeId(0));
        }),
        ("link target of 0 bytes", |layer| symlink(layer, b"")),
        ("link target of 4096 bytes", |layer| {
            symlink(layer, &[b't'; 4096]);
        }),
        ("illegal link target", |layer| symlink(layer, b"a\0b")),
        ("no device number 4096:0", |layer| device(layer, 4096, 0)),
        ("no device number 0:1048576", |layer| {
            device(layer, 0, 1 << 20);
        }),
        ("xattr \"\" has an illegal name", |layer| {
            set_xattr(layer, "", 1, 1);
        }),
        ("has an illegal name", |layer| {
            set_xattr(layer, &"n".repeat(256), 1, 1);
        }),
        ("has an illegal name or is too long", |layer| {
            set_xattr(layer, "user.v", 65_536, 1);
        }),
        ("bytes of xattrs are too many", |layer| {
            set_xattr(layer, "user.v", 65_535, 5);
        }),
        ("outside the file or the tar", |layer| {
            extents(layer, 10, &[(0, 0, 11)]);
        }),
        ("outside the file or the tar", |layer| {
            extents(layer, 5000, &[(0, 512, 4999)]);
        }),
        ("outside the file or the tar", |layer| {
            extents(layer, 99, &[(5, 0, 9), (4, 0, 1)]);
        }),
        ("outside the file or the tar", |layer| {
            extents(layer, 99, &[(u64::MAX, 0, 9)]);
        }),
        ("outside the file or the tar", |layer| {
            extents(layer, u64::MAX, &[]);
        }),
        ("sparse files would take over", |layer| {
            let scattered: Vec<_> = (0..64).map(|n| (n << 56, 1, 1)).collect();
            extents(layer, i64::MAX as u64, &scattered);
        }),
    ];
    for (expected, change) in cases {
        let mut layer = Layer::new();
        layer.directory("d");
        change(&mut layer);
        let error = index_of(&layer.tree, &layer.tar).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
}

impl Layer {
    fn tree_link(&mut self, name: &[u8]) {
        let id = self.file("plain", b"");
        if let Kind::Directory(directory) = &mut self.tree.nodes[1].kind {
            directory.children.insert(name.to_vec(), id);
        }
    }
}

fn symlink(layer: &mut Layer, target: &[u8]) {
    layer.add("d/l", node(Kind::Symlink(target.to_vec())));
}

fn device(layer: &mut Layer, major: u32, minor: u32) {
    layer.add("d/b", node(Kind::BlockDevice { major, minor }));
}

fn set_xattr(layer: &mut Layer, name: &str, length: usize, count: usize) {
    for number in 0..count {
        let name = if number == 0 {
            name.to_owned()
        } else {
            format!("{name}{number}")
        };
        layer.tree.nodes[1]
            .xattrs
            .insert(name.into_bytes(), vec![0; length]);
    }
}

fn extents(layer: &mut Layer, size_bytes: u64, list: &[(u64, u64, u64)]) {
    let extents = (list.iter())
        .map(|&(file_offset, tar_offset, length)| Extent {
            file_offset,
            tar_offset,
            length,
        })
        .collect();
    layer.add(
        "d/f",
        node(Kind::File(FileData {
            size_bytes,
            extents,
        })),
    );
}

#[test]
fn nothing_but_an_index_is_opened() {
    let good = sample().index();
    let mut cases = vec![
        Vec::new(),
        vec![0; 1 << 20],
        good[..good.len() - 512].to_vec(),
    ];
    cases.push([good.as_slice(), &[0; 512]].concat());
    for at in (1024..1536).step_by(3) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        cases.push(bytes);
    }
    for bytes in cases {
        assert!(matches!(
            LayerIndex::from_bytes(bytes),
            Err(ReadError::NotAnIndex)
        ));
    }
}

#[test]
fn every_change_is_found_by_verify() {
    let good = Layer::new().index();
    for at in 1536..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let result = LayerIndex::from_bytes(bytes).and_then(|index| index.verify());
        assert!(result.is_err(), "byte {at}");
    }
}

#[test]
fn wrong_questions_are_errors() {
    let layer = sample();
    let index = LayerIndex::from_bytes(layer.index()).unwrap();
    let bin = index.lookup(index.root(), b"bin").unwrap().unwrap();
    let hello = index.lookup(bin, b"hello").unwrap().unwrap();
    assert!(matches!(
        index.lookup(hello, b"x"),
        Err(ReadError::Kind { .. })
    ));
    assert!(matches!(
        index.read_dir(hello).err(),
        Some(ReadError::Kind { .. })
    ));
    assert!(matches!(
        index.read_link(hello),
        Err(ReadError::Kind { .. })
    ));
    assert!(matches!(index.extents(bin), Err(ReadError::Kind { .. })));
    assert_eq!(index.node(hello).unwrap().links, 3);
    assert_eq!(index.node(hello).unwrap().kind, InodeKind::File);
}

/// Asks everything there is to ask.
fn exhaust(bytes: Vec<u8>) {
    let Ok(index) = LayerIndex::from_bytes(bytes) else {
        return;
    };
    let _ = index.verify();
    if let Ok(tree) = index.to_tree() {
        assert!(tree.nodes.len() as u64 <= index.index_bytes() / 32);
    }
    let entries = index.read_dir(index.root()).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        let _ = index.lookup(index.root(), &entry.name);
        let _ = index.is_opaque(entry.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_is_survived(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..80),
    ) {
        let mut bytes = small().index();
        for (place, value) in damage {
            let at = 1536 + place.index(bytes.len() - 1536);
            bytes[at] = value;
        }
        exhaust(bytes);
    }

    /// Fields of inodes and entries changed to values that are likely to hurt.
    #[test]
    fn aimed_damage_is_survived(
        damage in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(vec![0u64, 1, 48, 50, 52, 0xff, u64::MAX])),
            1..12,
        ),
    ) {
        let mut bytes = small().index();
        for (place, value) in damage {
            let words = (bytes.len() - 1536) / 4 - 1;
            let at = 1536 + 4 * place.index(words);
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        exhaust(bytes);
    }
}

fn small() -> Layer {
    let mut layer = Layer::new();
    for path in ["a", "a/b", "a/b/c", "d"] {
        layer.directory(path);
    }
    for number in 0..40 {
        layer.file(&format!("a/file-{number}"), b"content");
    }
    layer.add("l", node(Kind::Symlink(vec![b'x'; 600])));
    layer.tree.nodes[1].xattrs = xattrs(&[("user.a", b"value"), ("trusted.overlay.b", b"")]);
    layer.sparse("s", 100_000, 0, &[(512, &[1; 512]), (70_000, &[2; 5])]);
    layer
}
