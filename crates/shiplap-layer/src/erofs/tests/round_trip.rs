//! What is written is read: the whole sample, and random trees.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn check(tree: &Tree, tar: &[u8]) {
    let (summary, bytes) = index_of(tree, tar).unwrap();
    assert_eq!(summary.index_bytes, bytes.len() as u64);
    assert_eq!(index_of(tree, tar).unwrap().1, bytes, "not deterministic");
    let expected = canonical(tree);
    let index = LayerIndex::from_bytes(bytes).unwrap();
    index.verify().unwrap();
    let tree = index.to_tree().unwrap();
    assert_eq!(tree, expected);
    assert_eq!(index.inodes(), tree.nodes.len() as u64);
    let again = index_of(&tree, tar).unwrap().1;
    assert_eq!(
        LayerIndex::from_bytes(again).unwrap().to_tree().unwrap(),
        expected
    );
    check_lookups(&index);
}

/// Every name is found, and its neighbours are not.
fn check_lookups(index: &LayerIndex) {
    let mut directories = vec![index.root()];
    while let Some(directory) = directories.pop() {
        for entry in index.read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(
                index.lookup(directory, &entry.name).unwrap(),
                Some(entry.id)
            );
            let after = [entry.name.as_slice(), b"\x01"].concat();
            assert_eq!(index.lookup(directory, &after).unwrap(), None);
            if index.node(entry.id).unwrap().kind == super::super::InodeKind::Directory {
                directories.push(entry.id);
            }
        }
        for name in [b".".as_slice(), b"..", b"", b"\0", &[0xff; 300]] {
            assert_eq!(index.lookup(directory, name).unwrap(), None);
        }
    }
}

#[test]
fn sample_survives() {
    let layer = sample();
    check(&layer.tree, &layer.tar);
}

#[test]
fn empty_layer_is_small() {
    let layer = Layer::new();
    check(&layer.tree, &layer.tar);
    assert_eq!(layer.index().len(), 5 * 512);
}

#[test]
fn file_is_read_by_position() {
    let layer = sample();
    let mut file = tempfile::tempfile().unwrap();
    write(
        &layer.tree,
        layer.tar.len() as u64,
        layer.tar.as_slice(),
        &mut file,
    )
    .unwrap();
    let index = LayerIndex::open(file).unwrap();
    assert_eq!(index.to_tree().unwrap(), canonical(&layer.tree));
    index.verify().unwrap();
}

#[test]
fn large_sizes_survive() {
    let mut layer = Layer::new();
    let tar = 1 << 40;
    for (name, size, extents) in [
        (
            "whole",
            tar - 512,
            vec![Extent {
                file_offset: 0,
                tar_offset: 512,
                length: tar - 512,
            }],
        ),
        ("hole", i64::MAX as u64, Vec::new()),
        (
            "lastlog",
            292 << 30,
            vec![Extent {
                file_offset: (290 << 30) + 512,
                tar_offset: 1024,
                length: 512,
            }],
        ),
    ] {
        layer.add(
            name,
            node(Kind::File(FileData {
                size_bytes: size,
                extents,
            })),
        );
    }
    let mut out = Cursor::new(Vec::new());
    let zeros = vec![0; 4096];
    let summary = write(&layer.tree, tar, zeros.as_slice(), &mut out).unwrap();
    assert!(summary.index_bytes < 100 << 20, "{}", summary.index_bytes);
    let index = LayerIndex::from_bytes(out.into_inner()).unwrap();
    assert_eq!(index.to_tree().unwrap(), canonical(&layer.tree));
}

fn any_node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        5 => (0..9000u64, vec((0..3000u64, 0..60u64, 0..3000u64), 0..4)).prop_map(any_file),
        1 => (0..1u64, 0..100u64).prop_map(|(_, block)| Kind::File(FileData {
            size_bytes: 700,
            extents: vec![Extent { file_offset: 0, tar_offset: block * 512, length: 700 }],
        })),
        5 => (any::<bool>(), any::<bool>()).prop_map(|(opaque, implied)| {
            Kind::Directory(Directory { opaque, implied, ..Directory::default() })
        }),
        2 => vec(1..=255u8, 1..1200).prop_map(Kind::Symlink),
        1 => (0..4096u32, 0..1u32 << 20)
            .prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        1 => (0..4096u32, 0..1u32 << 20)
            .prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
        1 => Just(Kind::Fifo),
        1 => Just(Kind::Whiteout),
    ];
    let name = prop_oneof![
        "(user|trusted|security|system|trusted.overlay).[a-z.]{0,9}",
        "[a-z]{1,9}"
    ];
    let xattrs = btree_map(
        name.prop_map(String::into_bytes),
        vec(any::<u8>(), 0..700),
        0..3,
    );
    let facts = (
        0..0o10000u16,
        any::<u32>(),
        any::<u32>(),
        any::<i64>(),
        0..1_000_000_000u32,
    );
    (kind, facts, xattrs).prop_map(
        |(kind, (mode, uid, gid, mtime_secs, mtime_nanos), xattrs)| Node {
            kind,
            mode,
            uid,
            gid,
            mtime_secs,
            mtime_nanos,
            xattrs,
        },
    )
}

/// Pieces at gaps; offsets and lengths are often multiples of 512.
fn any_file((rest, pieces): (u64, Vec<(u64, u64, u64)>)) -> Kind {
    let round = |value: u64| {
        if value.is_multiple_of(3) {
            value
        } else {
            value / 512 * 512
        }
    };
    let mut size = 0;
    let mut extents = Vec::new();
    for (gap, block, length) in pieces {
        let file_offset = size + round(gap);
        let length = round(length);
        extents.push(Extent {
            file_offset,
            tar_offset: round(block * 511),
            length,
        });
        size = file_offset + length;
    }
    Kind::File(FileData {
        size_bytes: size + round(rest),
        extents,
    })
}

prop_compose! {
    fn any_tree()(
        nodes in vec((any_node(), any::<prop::sample::Index>(), vec(1..=255u8, 1..=255)), 0..60),
        links in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
        below in vec((vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..20)), 0..3),
    ) -> Tree {
        let mut layer = Layer::new();
        let mut directories = vec![0usize];
        let mut others = Vec::new();
        for (node, place, mut name) in nodes {
            name.retain(|&byte| byte != b'/');
            let number = layer.tree.nodes.len();
            let parent = directories[place.index(directories.len())];
            let Kind::Directory(directory) = &mut layer.tree.nodes[parent].kind else { continue };
            if matches!(name.as_slice(), b"" | b"." | b"..") || directory.children.contains_key(&name) {
                continue;
            }
            directory.children.insert(name, NodeId(number as u32));
            match &node.kind {
                Kind::Directory(_) => directories.push(number),
                _ => others.push(number),
            }
            layer.tree.nodes.push(node);
        }
        for (number, (to, place)) in links.iter().enumerate().filter(|_| !others.is_empty()) {
            let target = NodeId(others[to.index(others.len())] as u32);
            let parent = directories[place.index(directories.len())];
            if let Kind::Directory(directory) = &mut layer.tree.nodes[parent].kind {
                directory.children.insert(format!("link{number}").into_bytes(), target);
            }
        }
        layer.tree.links_below = (below.into_iter())
            .map(|(path, target)| LinkBelow { path, target })
            .collect();
        layer.tree
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_trees_survive(tree in any_tree()) {
        check(&tree, &[0x5a; 64 << 10]);
    }
}
