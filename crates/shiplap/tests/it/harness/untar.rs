//! Images read back from what `save` writes, by a reader of our own: layers merged to one tree, without
//! mounts and without the product's crates.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::image::hex;

/// One entry of a tar, as it says itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raw {
    pub(crate) path: String,
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: i64,
    pub(crate) link: String,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    pub(crate) content: Vec<u8>,
}

/// What a path of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) mtime: i64,
    /// Of a symlink.
    pub(crate) target: Option<String>,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// Of a file.
    pub(crate) size: usize,
    pub(crate) content: Option<String>,
    /// The path under which a file with several names came first; its own otherwise.
    pub(crate) first_name: String,
}

/// Paths without a slash at either end, the root left out.
pub(crate) type Tree = BTreeMap<String, Node>;

/// An image read back.
pub(crate) struct Saved {
    pub(crate) config: Value,
    pub(crate) layers: Vec<Vec<Raw>>,
}

impl Saved {
    /// Reads an archive as `docker save` writes it.
    pub(crate) fn read(archive: &Path) -> Self {
        let bytes = std::fs::read(archive).unwrap();
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut links = Vec::new();
        for entry in entries(&bytes) {
            match entry.kind {
                b'1' | b'2' => links.push((entry.path, entry.link)),
                _ => {
                    files.insert(entry.path, entry.content);
                }
            }
        }
        let resolve = |name: &str| {
            let link = links.iter().find(|(path, _)| path == name);
            let name = link.map_or(name, |(_, target)| target);
            files[name.trim_start_matches("../")].clone()
        };
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let image = &manifest[0];
        let config = resolve(image["Config"].as_str().unwrap());
        let layers = image["Layers"].as_array().unwrap();
        let layers = layers
            .iter()
            .map(|name| entries(&resolve(name.as_str().unwrap())));
        Self {
            config: serde_json::from_slice(&config).unwrap(),
            layers: layers.collect(),
        }
    }

    /// The tree that its layers come to.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for layer in &self.layers {
            apply(&mut tree, layer);
        }
        tree
    }
}

/// Puts a layer on a tree, as the image specification says.
pub(crate) fn apply(tree: &mut Tree, layer: &[Raw]) {
    let below = tree.clone();
    for entry in layer {
        let (folder, name) = match entry.path.rsplit_once('/') {
            Some((folder, name)) => (format!("{folder}/"), name),
            None => (String::new(), entry.path.as_str()),
        };
        let Some(gone) = name.strip_prefix(".wh.") else {
            continue;
        };
        for path in below.keys() {
            let is_gone = match gone {
                ".wh..opq" => path.starts_with(&folder),
                gone => {
                    let gone = format!("{folder}{gone}");
                    *path == gone || path.starts_with(&format!("{gone}/"))
                }
            };
            if is_gone {
                tree.remove(path);
            }
        }
    }
    for entry in layer {
        let name = entry.path.rsplit('/').next().unwrap();
        if entry.path.is_empty() || name.starts_with(".wh.") {
            continue;
        }
        let node = node(entry, tree, &below);
        if node.kind != "dir" {
            let within = format!("{}/", entry.path);
            tree.retain(|path, _| !path.starts_with(&within));
        }
        tree.insert(entry.path.clone(), node);
    }
}

/// What an entry is; a link may lead to a file of the layers `below` that its own layer removes.
fn node(entry: &Raw, tree: &Tree, below: &Tree) -> Node {
    if entry.kind == b'1' {
        let first = tree.get(&entry.link).or_else(|| below.get(&entry.link));
        return first.unwrap().clone();
    }
    let kind = match entry.kind {
        b'5' => "dir",
        b'2' => "symlink",
        b'3' => "char",
        b'4' => "block",
        b'6' => "fifo",
        _ => "file",
    };
    let is_file = kind == "file";
    Node {
        kind,
        mode: entry.mode & 0o7777,
        owner: (entry.uid, entry.gid),
        mtime: entry.mtime,
        target: (kind == "symlink").then(|| entry.link.clone()),
        xattrs: entry.xattrs.clone(),
        size: entry.content.len(),
        content: is_file.then(|| hex(&entry.content)),
        first_name: entry.path.clone(),
    }
}

/// All entries of a tar.
pub(crate) fn entries(tar: &[u8]) -> Vec<Raw> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut next = Raw::default();
    let mut size_said = None;
    while let Some(header) = tar.get(at..at + 512).filter(|header| header[0] != 0) {
        let size = size_said
            .take()
            .unwrap_or_else(|| number(&header[124..136]));
        let size = usize::try_from(size).unwrap();
        let content = tar[at + 512..at + 512 + size].to_vec();
        at += 512 + size.next_multiple_of(512);
        match header[156] {
            b'x' | b'g' => size_said = extend(&mut next, &content),
            b'L' => next.path = text(&content),
            b'K' => next.link = text(&content),
            kind => {
                let mut entry = std::mem::take(&mut next);
                if entry.path.is_empty() {
                    entry.path = text(&header[..100]);
                    if &header[257..263] == b"ustar\0" && header[345] != 0 {
                        entry.path = format!("{}/{}", text(&header[345..500]), entry.path);
                    }
                }
                if entry.link.is_empty() {
                    entry.link = text(&header[157..257]);
                }
                entry.kind = kind;
                entry.mode = u32::try_from(number(&header[100..108])).unwrap();
                if entry.uid == 0 {
                    entry.uid = number(&header[108..116]);
                }
                if entry.gid == 0 {
                    entry.gid = number(&header[116..124]);
                }
                if entry.mtime == 0 {
                    entry.mtime = i64::try_from(number(&header[136..148])).unwrap();
                }
                if kind == b'1' {
                    entry.link = clean(&entry.link);
                }
                entry.path = clean(&entry.path);
                entry.content = content;
                found.push(entry);
            }
        }
    }
    found
}

/// Takes PAX records; the size they say, if any.
fn extend(entry: &mut Raw, mut records: &[u8]) -> Option<u64> {
    let mut size = None;
    while let Some(blank) = records.iter().position(|byte| *byte == b' ') {
        let length: usize = text(&records[..blank]).parse().unwrap();
        let record = &records[blank + 1..length - 1];
        records = &records[length..];
        let equals = record.iter().position(|byte| *byte == b'=').unwrap();
        let (key, value) = (text(&record[..equals]), &record[equals + 1..]);
        match key.as_str() {
            "path" => entry.path = text(value),
            "linkpath" => entry.link = text(value),
            "size" => size = Some(text(value).parse().unwrap()),
            "uid" => entry.uid = text(value).parse().unwrap(),
            "gid" => entry.gid = text(value).parse().unwrap(),
            "mtime" => {
                let seconds: f64 = text(value).parse().unwrap();
                entry.mtime = seconds.floor() as i64;
            }
            key => {
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    entry.xattrs.insert(name.to_owned(), value.to_vec());
                }
            }
        }
    }
    size
}

fn number(field: &[u8]) -> u64 {
    if field[0] & 0x80 != 0 {
        let bytes = field[1..].iter();
        return bytes.fold(0, |number, byte| number << 8 | u64::from(*byte));
    }
    let digits = text(field);
    u64::from_str_radix(digits.trim(), 8).unwrap_or(0)
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    let field = &field[..end.unwrap_or(field.len())];
    String::from_utf8_lossy(field).into_owned()
}

fn clean(path: &str) -> String {
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}
