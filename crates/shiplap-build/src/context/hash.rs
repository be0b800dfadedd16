//! Fills a tree with the digests of its files: remembered ones where a file is the one it was,
//! computed ones for the rest, on all cores.

use std::fs::File;
use std::io::{self, Read as _};

use rayon::prelude::*;
use rustix::io::Errno;
use shiplap_layer::root::Root;

use super::digest::ContentDigest;
use super::entry::{Content, Entry, Kind, Stamp, Tree, join, modified};
use super::error::FilesError;
use super::memory::{Known, StatMemory};
use super::read::open_file;
use super::settle::Clock;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 3;
/// What is read at once.
const BUFFER_BYTES: usize = 128 << 10;
/// From here on one file is hashed by all cores; below, each core has files of its own.
const LARGE_BYTES: u64 = 64 << 20;
/// What is read at once of a large file.
const LARGE_BUFFER_BYTES: usize = 4 << 20;
/// Longest `security.capability`: 24 bytes are in use.
const CAPABILITY_BYTES: usize = 64;

/// Fills `tree`.
pub(super) fn fill(
    root: &Root,
    tree: &mut Tree,
    memory: &StatMemory,
    clock: Clock,
) -> Result<(), FilesError> {
    let base = std::mem::take(&mut tree.base);
    let unknown: Vec<&mut Entry> = tree
        .entries
        .par_iter_mut()
        .with_min_len(256)
        .filter_map(|entry| recall(entry, memory))
        .collect();
    let filled =
        unknown
            .into_par_iter()
            .with_max_len(16)
            .try_for_each_init(Vec::new, |buffer, entry| {
                let path = join(&base, &entry.path);
                hash_entry(root, &path, entry, memory, clock, buffer)
            });
    tree.base = base;
    filled?;
    copy_to_links(tree);
    Ok(())
}

/// Takes what is remembered of a file; gives the entry back if nothing is.
fn recall<'e>(entry: &'e mut Entry, memory: &StatMemory) -> Option<&'e mut Entry> {
    if entry.hard_link.is_some() {
        return None;
    }
    let Kind::File(content) = &mut entry.kind else {
        return None;
    };
    match memory.recall(&entry.stamp) {
        Some(known) => {
            content.digest = known.digest;
            content.capability = known.capability;
            None
        }
        None => Some(entry),
    }
}

/// Further names have what the first one has.
fn copy_to_links(tree: &mut Tree) {
    for index in 0..tree.entries.len() {
        let Some(first) = tree.entries[index].hard_link else {
            continue;
        };
        let kind = tree.entries[first].kind.clone();
        tree.entries[index].kind = kind;
    }
}

fn hash_entry(
    root: &Root,
    path: &[u8],
    entry: &mut Entry,
    memory: &StatMemory,
    clock: Clock,
    buffer: &mut Vec<u8>,
) -> Result<(), FilesError> {
    let mut attempt = 1;
    let known = loop {
        match hash_file(root, path, &entry.stamp, buffer) {
            Err(FilesError::Changed { .. }) if attempt < ATTEMPTS => {
                attempt += 1;
                look_again(root, path, entry, clock)?;
            }
            result => break result?,
        }
    };
    if entry.stamp.is_settled {
        memory.keep(&entry.stamp, &known);
    }
    entry.kind = Kind::File(Content {
        size_bytes: entry.stamp.size_bytes,
        digest: known.digest,
        capability: known.capability,
    });
    Ok(())
}

/// Takes the facts of a file that changed since the walk.
fn look_again(root: &Root, path: &[u8], entry: &mut Entry, clock: Clock) -> Result<(), FilesError> {
    let clock = clock.again();
    let stat = super::walk::stat_exact(root, path).map_err(FilesError::file("look at", path))?;
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
        let path = path.to_vec();
        return Err(FilesError::Changed { path });
    }
    entry.mode = stat.st_mode & 0o7777;
    entry.mtime = modified(&stat);
    entry.stamp = clock.stamp(&stat);
    Ok(())
}

fn hash_file(
    root: &Root,
    path: &[u8],
    stamp: &Stamp,
    buffer: &mut Vec<u8>,
) -> Result<Known, FilesError> {
    let file = open_file(root, path, stamp)?;
    let digest = if stamp.size_bytes < LARGE_BYTES {
        hash_small(&file, buffer)
    } else {
        hash_large(&file)
    };
    let digest = digest.map_err(FilesError::file("read", path))?;
    let capability = capability(&file).map_err(FilesError::file("read attributes of", path))?;
    let after = rustix::fs::fstat(&file).map_err(FilesError::file("look at", path))?;
    if !Stamp::of(&after).is_same(stamp) {
        let path = path.to_vec();
        return Err(FilesError::Changed { path });
    }
    Ok(Known { digest, capability })
}

fn hash_small(mut file: &File, buffer: &mut Vec<u8>) -> io::Result<ContentDigest> {
    buffer.resize(BUFFER_BYTES, 0);
    let mut hasher = blake3::Hasher::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(ContentDigest(*hasher.finalize().as_bytes())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}

fn hash_large(mut file: &File) -> io::Result<ContentDigest> {
    let mut buffer = vec![0; LARGE_BUFFER_BYTES];
    let mut hasher = blake3::Hasher::new();
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        hasher.update_rayon(&buffer[..filled]);
        if filled < buffer.len() {
            return Ok(ContentDigest(*hasher.finalize().as_bytes()));
        }
    }
}

fn capability(file: &File) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = [0; CAPABILITY_BYTES];
    match rustix::fs::fgetxattr(file, "security.capability", &mut value) {
        Ok(length) => Ok(value.get(..length).map(<[u8]>::to_vec)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}
