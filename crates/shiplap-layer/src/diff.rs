//! What changed in a tree of real files, and the layer that says so: from the upper directory of
//! an overlay, or by comparing two directories.
//!
//! Changes come in a fixed order: a directory before its entries, those in the order of their
//! names' bytes. Sockets are passed over, they mean nothing without their process; so is the
//! root directory itself, whose attributes no tool puts into a layer. Nothing here writes to the
//! directories, and a container may be at work in an upper directory while it is read.

mod directories;
mod layer;
mod stacked;
#[cfg(test)]
mod tests;
mod upper;

pub use directories::directories;
pub(crate) use layer::Exactly;
pub use layer::{Owner, Times, write, write_tree};
pub use stacked::UpperLayer;
pub use upper::upper;

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::Stat;
use rustix::io::Errno;
use thiserror::Error;

use crate::stack::StackError;
use crate::tar::WriteError;

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the root, without leading slash.
    pub path: Vec<u8>,
    /// What happened to it.
    pub kind: ChangeKind,
    /// It is a directory now.
    pub is_directory: bool,
    /// A directory that hides all that the layers below have in it.
    pub opaque: bool,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It was there and is different, or holds something that is.
    Modified,
    /// It is gone.
    Deleted,
}

impl fmt::Display for ChangeKind {
    /// The letter of `docker diff`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "A",
            Self::Modified => "C",
            Self::Deleted => "D",
        })
    }
}

/// Why changes can't be told or written.
#[derive(Debug, Error)]
pub enum DiffError {
    /// A file can't be read.
    #[error("{step} /{}: {source}", String::from_utf8_lossy(path))]
    File {
        /// What was done: `open`, `read`, ….
        step: &'static str,
        /// Path within the directory.
        path: Vec<u8>,
        /// What the system said.
        source: Errno,
    },
    /// The overlay was mounted so that its upper directory does not hold the whole change.
    #[error(
        "read changes at /{}: overlay mark {mark} is not supported",
        String::from_utf8_lossy(path)
    )]
    Mark {
        /// Path within the upper directory.
        path: Vec<u8>,
        /// Full name of the attribute.
        mark: String,
    },
    /// A name that a layer takes for a whiteout.
    #[error(
        "write /{}: no layer can hold a name that begins with .wh.",
        String::from_utf8_lossy(path)
    )]
    Name {
        /// Path within the directory.
        path: Vec<u8>,
    },
    /// The layers below can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A tar entry can't be written, or its content not be read.
    #[error(transparent)]
    Tar(#[from] WriteError),
}

fn file_error<'a>(step: &'static str, path: &'a [u8]) -> impl FnOnce(Errno) -> DiffError + use<'a> {
    move |source| DiffError::File {
        step,
        path: path.to_vec(),
        source,
    }
}

/// Extended attributes of an entry, itself if it is a symbolic link.
fn xattrs(dir: &OwnedFd, name: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
    // No call takes a directory handle; the last name is not followed.
    let mut file = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    file.extend_from_slice(name);
    read_xattrs(
        |_| true,
        |buffer| rustix::fs::llistxattr(&*file, buffer),
        |name, buffer| rustix::fs::lgetxattr(&*file, name, buffer),
    )
}

/// The attributes whose names are wanted, by the calls that list them and read one.
fn read_xattrs(
    is_wanted: impl Fn(&[u8]) -> bool,
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
    let names = read_all(list)?;
    let mut xattrs = BTreeMap::new();
    for name in names.split(|b| *b == 0) {
        if name.is_empty() || !is_wanted(name) {
            continue;
        }
        match read_all(|buffer| get(name, buffer)) {
            Ok(value) => drop(xattrs.insert(name.to_vec(), value)),
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(xattrs)
}

/// Calls `read` with a buffer that is large enough; empty where there are no attributes at all.
fn read_all(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            // A list or value is 64 KiB at most.
            Err(Errno::RANGE) if buffer.len() <= 64 << 10 => buffer.resize(buffer.len() * 4, 0),
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
}

/// Whether an attribute belongs to the file rather than to the machine it lies on.
fn is_portable(name: &[u8]) -> bool {
    if crate::stack::is_overlay_xattr(name) {
        return false;
    }
    !name.starts_with(b"security.") || name == b"security.capability"
}

fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == rustix::fs::FileType::CharacterDevice && stat.st_rdev == 0
}

fn file_type(stat: &Stat) -> rustix::fs::FileType {
    rustix::fs::FileType::from_raw_mode(stat.st_mode)
}
