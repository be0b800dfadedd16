#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "tests, as tables"
)]

mod judges;
mod layers;
mod raw;
mod reading;

use super::*;
use crate::tree::{Kind, NodeId, Tree};

/// Reads a whole tar, in pieces of `step` bytes.
fn read_by(tar: &[u8], step: usize) -> Result<Contents, TarError> {
    let mut builder = TreeBuilder::default();
    for piece in tar.chunks(step) {
        builder.push(piece)?;
    }
    builder.finish()
}

fn read(tar: &[u8]) -> Result<Contents, TarError> {
    read_by(tar, usize::MAX >> 1)
}

fn find(tree: &Tree, path: &str) -> Option<NodeId> {
    path.split('/')
        .filter(|part| !part.is_empty())
        .try_fold(NodeId(0), |id, part| {
            match &tree.nodes[id.0 as usize].kind {
                Kind::Directory(directory) => directory.children.get(part.as_bytes()).copied(),
                _ => None,
            }
        })
}

/// Content of the file at `id`, holes filled.
fn content(tree: &Tree, id: NodeId, tar: &[u8]) -> Vec<u8> {
    let Kind::File(file) = &tree.nodes[id.0 as usize].kind else {
        panic!("no file")
    };
    let at = |n: u64| usize::try_from(n).unwrap();
    let mut bytes = vec![0; at(file.size_bytes)];
    for extent in &file.extents {
        let stored = &tar[at(extent.tar_offset)..at(extent.tar_offset + extent.length)];
        bytes[at(extent.file_offset)..][..stored.len()].copy_from_slice(stored);
    }
    bytes
}

/// One line for each name: mark, path and what there is to say, in order of path.
fn listing(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    list(tree, NodeId(0), "", &mut lines);
    lines.extend(tree.links_below.iter().map(|link| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("below {} => {}", text(&link.path), text(&link.target))
    }));
    lines
}

fn list(tree: &Tree, id: NodeId, path: &str, lines: &mut Vec<String>) {
    let node = &tree.nodes[id.0 as usize];
    let path_or_root = if path.is_empty() { "." } else { path };
    lines.push(match &node.kind {
        Kind::Directory(directory) => {
            let implied = if directory.implied { " implied" } else { "" };
            let opaque = if directory.opaque { " opaque" } else { "" };
            format!("dir {path_or_root} {:o}{implied}{opaque}", node.mode)
        }
        Kind::File(file) => format!("file {path} {}", file.size_bytes),
        Kind::Symlink(target) => format!("symlink {path} -> {}", String::from_utf8_lossy(target)),
        Kind::CharDevice { major, minor } => format!("char {path} {major}:{minor}"),
        Kind::BlockDevice { major, minor } => format!("block {path} {major}:{minor}"),
        Kind::Fifo => format!("fifo {path}"),
        Kind::Whiteout => format!("whiteout {path}"),
    });
    if let Kind::Directory(directory) = &node.kind {
        for (name, child) in &directory.children {
            let name = String::from_utf8_lossy(name);
            let path = if path.is_empty() {
                name.into_owned()
            } else {
                format!("{path}/{name}")
            };
            list(tree, *child, &path, lines);
        }
    }
}
