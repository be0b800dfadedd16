//! Two trees compared: names, types, modes, owners, times, xattrs, link targets, link counts and
//! content.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

use super::image::hex;

/// What is true of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    device: u64,
    /// Not of directories: file systems count those as they like.
    links: u64,
    /// Not of directories: unpacking into one changes it.
    mtime: i64,
    target: Option<PathBuf>,
    xattrs: BTreeMap<OsString, Vec<u8>>,
    content: Option<String>,
}

/// All paths of a tree, the root being the empty one.
pub(crate) type Listing = BTreeMap<PathBuf, Facts>;

/// Reads a whole tree.
pub(crate) fn list(root: &Path) -> Listing {
    let mut listing = Listing::new();
    walk(root, Path::new(""), &mut listing);
    listing
}

/// Names what differs rather than printing two trees.
#[track_caller]
pub(crate) fn assert_same(ours: &Listing, theirs: &Listing) {
    let differences: Vec<String> = ours
        .keys()
        .chain(theirs.keys())
        .filter(|path| ours.get(*path) != theirs.get(*path))
        .map(|path| {
            format!(
                "/{}\n  ours:   {:?}\n  theirs: {:?}",
                path.display(),
                ours.get(path),
                theirs.get(path)
            )
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn walk(root: &Path, path: &Path, listing: &mut Listing) {
    let full = root.join(path);
    listing.insert(path.to_path_buf(), facts(&full));
    if !full.symlink_metadata().unwrap().is_dir() {
        return;
    }
    for entry in fs::read_dir(&full).unwrap() {
        walk(root, &path.join(entry.unwrap().file_name()), listing);
    }
}

fn facts(path: &Path) -> Facts {
    let metadata = path.symlink_metadata().unwrap();
    let kind = metadata.file_type();
    let named = [
        (kind.is_dir(), "directory"),
        (kind.is_file(), "file"),
        (kind.is_symlink(), "symlink"),
        (kind.is_char_device(), "char device"),
        (kind.is_block_device(), "block device"),
        (kind.is_fifo(), "fifo"),
    ];
    let (_, name) = named
        .into_iter()
        .find(|(is, _)| *is)
        .unwrap_or((true, "other"));
    let directory = kind.is_dir();
    Facts {
        kind: name,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        device: metadata.rdev(),
        links: if directory { 0 } else { metadata.nlink() },
        mtime: if directory { 0 } else { metadata.mtime() },
        target: kind.is_symlink().then(|| fs::read_link(path).unwrap()),
        xattrs: xattrs(path),
        content: kind.is_file().then(|| hex(&fs::read(path).unwrap())),
    }
}

fn xattrs(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let Ok(length) = llistxattr(path, &mut names[..]) else {
        return BTreeMap::new();
    };
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = std::ffi::OsStr::from_bytes(name).to_owned();
            let mut value = vec![0; 64 << 10];
            let length = lgetxattr(path, &name, &mut value[..]).unwrap();
            value.truncate(length);
            (name, value)
        })
        .collect()
}
