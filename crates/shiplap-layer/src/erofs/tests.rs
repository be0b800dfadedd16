//! Indexes of hand-made trees: read back, damaged, judged by other tools and by the kernel.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod hostile;
mod judges;
mod mount;
mod round_trip;

use std::collections::BTreeMap;
use std::io::Cursor;

use super::{IndexSummary, LayerIndex, WriteError, write};
use crate::tree::{Directory, Extent, FileData, Kind, LinkBelow, Node, NodeId, Tree};

/// A layer being made: the tree and what stands for its tar.
pub(super) struct Layer {
    pub(super) tree: Tree,
    pub(super) tar: Vec<u8>,
}

pub(super) fn node(kind: Kind) -> Node {
    Node {
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime_secs: 1_700_000_000,
        mtime_nanos: 0,
        xattrs: BTreeMap::new(),
    }
}

impl Layer {
    pub(super) fn new() -> Self {
        let root = node(Kind::Directory(Directory::default()));
        Self {
            tree: Tree {
                nodes: vec![root],
                links_below: Vec::new(),
            },
            tar: vec![b'#'; 512],
        }
    }

    /// Adds a node under a name; parents must exist.
    pub(super) fn add(&mut self, path: &str, node: Node) -> NodeId {
        let id = NodeId(self.tree.nodes.len() as u32);
        self.tree.nodes.push(node);
        self.link(path, id);
        id
    }

    pub(super) fn link(&mut self, path: &str, id: NodeId) {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.find(parent);
        match &mut self.tree.nodes[parent.0 as usize].kind {
            Kind::Directory(directory) => directory.children.insert(name.into(), id),
            _ => panic!("{path}: parent is no directory"),
        };
    }

    pub(super) fn find(&self, path: &str) -> NodeId {
        path.split('/')
            .filter(|name| !name.is_empty())
            .fold(NodeId(0), |id, name| {
                match &self.tree.nodes[id.0 as usize].kind {
                    Kind::Directory(directory) => directory.children[name.as_bytes()],
                    _ => panic!("{path}: {name} lies in no directory"),
                }
            })
    }

    pub(super) fn directory(&mut self, path: &str) -> NodeId {
        self.add(path, node(Kind::Directory(Directory::default())))
    }

    /// A file whose content lies in the tar as one aligned run.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) -> NodeId {
        let extents = match content.len() as u64 {
            0 => Vec::new(),
            length => vec![Extent {
                file_offset: 0,
                tar_offset: self.append(content),
                length,
            }],
        };
        let data = FileData {
            size_bytes: content.len() as u64,
            extents,
        };
        self.add(path, node(Kind::File(data)))
    }

    /// A file of pieces `(offset in the file, bytes)`; the pieces follow each other in the tar,
    /// `shift` bytes behind a block boundary.
    pub(super) fn sparse(&mut self, path: &str, size: u64, shift: usize, pieces: &[(u64, &[u8])]) {
        let start = self.append(b"") + shift as u64;
        self.tar.resize(start as usize, 0xee);
        let mut extents = Vec::new();
        for &(file_offset, bytes) in pieces {
            let tar_offset = self.tar.len() as u64;
            self.tar.extend(bytes);
            extents.push(Extent {
                file_offset,
                tar_offset,
                length: bytes.len() as u64,
            });
        }
        self.add(
            path,
            node(Kind::File(FileData {
                size_bytes: size,
                extents,
            })),
        );
    }

    fn append(&mut self, content: &[u8]) -> u64 {
        let start = self.tar.len().next_multiple_of(512);
        self.tar.resize(start, b'#');
        self.tar.extend(content);
        start as u64
    }

    pub(super) fn index(&self) -> Vec<u8> {
        index_of(&self.tree, &self.tar).unwrap().1
    }

    /// The bytes of a file, as the tree has them.
    pub(super) fn content(&self, data: &FileData) -> Vec<u8> {
        let mut bytes = vec![0; data.size_bytes as usize];
        for extent in &data.extents {
            let from = extent.tar_offset as usize..(extent.tar_offset + extent.length) as usize;
            bytes[extent.file_offset as usize..][..from.len()].copy_from_slice(&self.tar[from]);
        }
        bytes
    }
}

pub(super) fn index_of(tree: &Tree, tar: &[u8]) -> Result<(IndexSummary, Vec<u8>), WriteError> {
    let mut out = Cursor::new(Vec::new());
    let summary = write(tree, tar.len() as u64, tar, &mut out)?;
    Ok((summary, out.into_inner()))
}

/// What [`LayerIndex::to_tree`] gives for a tree: reachable nodes only, in its order, as written.
pub(super) fn canonical(tree: &Tree) -> Tree {
    let mut order = vec![NodeId(0)];
    let mut numbers = BTreeMap::from([(NodeId(0), NodeId(0))]);
    let mut nodes: Vec<Node> = Vec::new();
    while let Some(id) = order.get(nodes.len()) {
        let mut node = tree.nodes[id.0 as usize].clone();
        match &mut node.kind {
            Kind::Directory(directory) => {
                for child in directory.children.values_mut() {
                    let next = NodeId(order.len() as u32);
                    let number = *numbers.entry(*child).or_insert(next);
                    if number == next {
                        order.push(*child);
                    }
                    *child = number;
                }
            }
            Kind::File(data) => data.extents = super::sparse::merged(data),
            Kind::CharDevice { major: 0, minor: 0 } => node.kind = Kind::Whiteout,
            Kind::Symlink(_) => node.mode = 0o777,
            _ => {}
        }
        nodes.push(node);
    }
    Tree {
        nodes,
        links_below: tree.links_below.clone(),
    }
}

/// Something of everything a layer may hold.
pub(super) fn sample() -> Layer {
    let mut layer = Layer::new();
    layer.tree.nodes[0].mode = 0o1777;
    layer.tree.nodes[0].xattrs = xattrs(&[("user.root", b"yes")]);
    for path in [
        "bin",
        "etc",
        "etc/deep",
        "etc/deep/er",
        "many",
        "sparse",
        "links",
        "odd",
    ] {
        layer.directory(path);
    }
    let hello = layer.file("bin/hello", b"hello, world\n");
    layer.tree.nodes[hello.0 as usize].mode = 0o6755;
    layer.tree.nodes[hello.0 as usize].xattrs = xattrs(&[
        (
            "security.capability",
            b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ),
        ("trusted.mine", b""),
        ("trusted.overlay.redirect", b"/etc/shadow"),
        ("trusted.overlay.overlay.opaque", b"y"),
        ("user.a", b"\0\xff"),
        ("user.b", &[7; 3000]),
        ("com.apple.quarantine", b"no prefix of EROFS"),
        ("user.", b"no name"),
    ]);
    layer.link("etc/deep/hello-again", hello);
    layer.link("bin/.hello", hello);
    layer.file("bin/empty", b"");
    layer.file("bin/block", &[b'x'; 512]);
    layer.file(
        "bin/large",
        &(0..200_000u32)
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<u8>>(),
    );
    let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    let guarded = layer.file("etc/guarded", b"acl");
    layer.tree.nodes[guarded.0 as usize].mode = 0o644;
    layer.tree.nodes[guarded.0 as usize].xattrs = xattrs(&[("system.posix_acl_access", acl)]);
    layer.tree.nodes[2].xattrs = xattrs(&[("system.posix_acl_default", acl), ("user.x", b"1")]);
    for number in 0..1500 {
        layer.file(
            &format!("many/name-{number:x}"),
            format!("{number}").as_bytes(),
        );
    }
    layer.file(&format!("many/{}", "n".repeat(255)), b"255");
    layer.file(
        &format!("many/!{}", "n".repeat(254)),
        b"sorts before the dots",
    );
    for length in [1, 60, 448, 449, 511, 512, 513, 1024, 4095] {
        let target = "t/".repeat(length).as_bytes()[..length].to_vec();
        layer.add(&format!("links/{length}"), node(Kind::Symlink(target)));
    }
    odd(&mut layer);
    sparse(&mut layer);
    layer.tree.links_below = vec![LinkBelow {
        path: b"etc/link".to_vec(),
        target: b"usr/\xff/below".to_vec(),
    }];
    layer
}

fn odd(layer: &mut Layer) {
    layer.add("odd/null", node(Kind::CharDevice { major: 1, minor: 3 }));
    layer.add(
        "odd/big",
        node(Kind::CharDevice {
            major: 4095,
            minor: 1_048_575,
        }),
    );
    layer.add(
        "odd/disk",
        node(Kind::BlockDevice {
            major: 259,
            minor: 300,
        }),
    );
    layer.add("odd/pipe", node(Kind::Fifo));
    layer.add(
        "odd/gone",
        Node {
            mode: 0,
            ..node(Kind::Whiteout)
        },
    );
    let opaque = Directory {
        opaque: true,
        ..Directory::default()
    };
    layer.add("odd/opaque", node(Kind::Directory(opaque)));
    let implied = Directory {
        implied: true,
        ..Directory::default()
    };
    layer.add("odd/implied", node(Kind::Directory(implied)));
    for (name, uid, gid, secs, nanos) in [
        ("new", 4_000_000_000, 65_536, 1, 999_999_999),
        ("old", 1, 2, -1, 5),
        ("older", 70_000, 70_001, i64::MIN, 1),
        ("last", u32::MAX - 1, 0, i64::MAX, 0),
    ] {
        let id = layer.file(&format!("odd/{name}"), name.as_bytes());
        let node = &mut layer.tree.nodes[id.0 as usize];
        (node.uid, node.gid, node.mtime_secs, node.mtime_nanos) = (uid, gid, secs, nanos);
    }
}

fn sparse(layer: &mut Layer) {
    let page = [b'p'; 4096];
    layer.sparse("sparse/hole", 1 << 20, 0, &[]);
    layer.sparse("sparse/end", 1 << 20, 0, &[((1 << 20) - 4096, &page)]);
    layer.sparse(
        "sparse/aligned",
        1_000_000,
        0,
        &[(8192, &page), (40_960, &page), (49_152, &page)],
    );
    layer.sparse(
        "sparse/short",
        20_000,
        0,
        &[(0, &page), (8192, &page[..100])],
    );
    layer.sparse(
        "sparse/odd",
        300_000,
        0,
        &[(5, b"five"), (700, &page), (250_001, b"end")],
    );
    layer.sparse("sparse/shifted", 9000, 100, &[(0, &page), (4608, &page)]);
    layer.sparse("sparse/unaligned", 4096, 7, &[(0, &page)]);
    layer.sparse("sparse/byte", 1, 0, &[]);
    layer.file("sparse/last", b"the tar ends within this block");
}

pub(super) fn xattrs(list: &[(&str, &[u8])]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    list.iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
        .collect()
}
