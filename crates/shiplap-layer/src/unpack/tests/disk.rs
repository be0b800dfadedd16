//! Test trees on disk: made by the tables' operations, read back for comparison.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

/// What a path on disk is. Equal entries look the same to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, i64),
    pub(crate) device: u64,
    /// Of a file its bytes, of a symbolic link its target.
    pub(crate) content: Vec<u8>,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Of a directory always 1.
    pub(crate) nlink: u64,
    /// The first path, in order, with this inode.
    pub(crate) inode: String,
}

/// All below `root` by path.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<String, Entry> {
    let mut all = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let entry = read(&path);
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path.clone());
            }
            let ino = path.symlink_metadata().unwrap().ino();
            let first = inodes.entry(ino).or_insert_with(|| name.clone());
            if name < *first {
                first.clone_from(&name);
            }
            all.insert(name, (ino, entry));
        }
    }
    let named = all.into_iter().map(|(path, (ino, entry))| {
        let inode = if entry.nlink == 1 {
            path.clone()
        } else {
            inodes[&ino].clone()
        };
        (path, Entry { inode, ..entry })
    });
    named.collect()
}

fn read(path: &Path) -> Entry {
    let meta = path.symlink_metadata().unwrap();
    let content = if meta.is_file() {
        fs::read(path).unwrap()
    } else if meta.is_symlink() {
        fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec()
    } else {
        Vec::new()
    };
    let mut buffer = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut buffer[..]).unwrap();
    let names = buffer[..length]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty());
    let xattrs = names.map(|name| {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(length);
        (name.to_vec(), value)
    });
    Entry {
        mode: meta.mode(),
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        device: if meta.file_type().is_char_device() || meta.file_type().is_block_device() {
            meta.rdev()
        } else {
            0
        },
        content,
        xattrs: xattrs.collect(),
        nlink: if meta.is_dir() { 1 } else { meta.nlink() },
        inode: String::new(),
    }
}

fn mode(op: &Value) -> Option<u32> {
    let mode = op["mode"].as_str()?;
    Some(u32::from_str_radix(mode.trim_start_matches("0o"), 8).unwrap())
}

fn content(op: &Value) -> Vec<u8> {
    match op["content_bytes"].as_array() {
        Some(bytes) => bytes
            .iter()
            .map(|b| u8::try_from(b.as_u64().unwrap()).unwrap())
            .collect(),
        None => op["content"].as_str().unwrap_or("").as_bytes().to_vec(),
    }
}

/// Carries out a table's operations beneath `root`.
pub(crate) fn ops(root: &Path, ops: &Value) {
    for op in ops.as_array().unwrap() {
        let below = |key: &str| root.join(op[key].as_str().unwrap().trim_start_matches('/'));
        let path = below("path");
        let make_parent = || fs::create_dir_all(path.parent().unwrap()).unwrap();
        match op["op"].as_str().unwrap() {
            "mkdir" | "mkdir_all" => fs::create_dir_all(&path).unwrap(),
            "write" => {
                make_parent();
                fs::write(&path, content(op)).unwrap();
            }
            "symlink" => {
                make_parent();
                symlink(op["target"].as_str().unwrap(), &path).unwrap();
                continue;
            }
            "link" => fs::hard_link(below("target"), &path).unwrap(),
            "chmod" => {}
            "remove" => fs::remove_file(&path).unwrap(),
            "remove_all" => fs::remove_dir_all(&path).unwrap(),
            "socket" => drop(std::os::unix::net::UnixListener::bind(&path).unwrap()),
            other => panic!("{other}"),
        }
        if let Some(mode) = mode(op) {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// A tar by hand, the names raw: neither cleaned nor completed.
pub(crate) fn raw_tar(entries: &[Value]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        let (flag, content) = match entry["type"].as_str().unwrap() {
            "file" => (b'0', content(entry)),
            "hardlink" => (b'1', Vec::new()),
            "symlink" => (b'2', Vec::new()),
            "dir" => (b'5', Vec::new()),
            "fifo" => (b'6', Vec::new()),
            other => panic!("{other}"),
        };
        let default = if flag == b'5' { 0o755 } else { 0o644 };
        let mut block = [0u8; 512];
        let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
        put(0, entry["name"].as_str().unwrap().as_bytes());
        put(
            100,
            format!("{:07o}\0", mode(entry).unwrap_or(default)).as_bytes(),
        );
        put(108, b"0000000\x000000000\0");
        put(
            124,
            format!("{:011o}\0{:011o}\0        ", content.len(), 1_000_000).as_bytes(),
        );
        put(156, &[flag]);
        put(157, entry["linkname"].as_str().unwrap_or("").as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(block);
        tar.extend(&content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}
