//! What lies in a context: files, directories and links as a walk found them.

use super::digest::ContentDigest;

/// What is selected by one source of `COPY` or `ADD`: everything in order, a directory before what
/// is in it, the names of a directory by their bytes.
#[derive(Debug)]
pub struct Tree {
    /// Where it lies, beneath the context's root.
    pub(super) base: Vec<u8>,
    /// The first one is what was selected, its path is empty. No entry at all: everything is
    /// excluded.
    pub entries: Vec<Entry>,
}

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path from what was selected, without leading `/`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, up to `0o7777`.
    pub mode: u32,
    /// Owner; 0 where the context keeps none.
    pub uid: u32,
    /// Group; 0 where the context keeps none.
    pub gid: u32,
    /// When its content last changed.
    pub mtime: Time,
    /// It is selected itself; else it is a directory on the way to something that is.
    pub is_wanted: bool,
    /// The entry before it that is the same file by another name.
    pub hard_link: Option<usize>,
    /// Of a file, its inode and state.
    pub(super) stamp: Stamp,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link with its target.
    Link(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device by its numbers.
    CharDevice(u32, u32),
    /// A block device by its numbers.
    BlockDevice(u32, u32),
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Length, in bytes.
    pub size_bytes: u64,
    /// Digest of its bytes.
    pub digest: ContentDigest,
    /// `security.capability`, if it has any: what a program may do beyond its user.
    pub capability: Option<Vec<u8>>,
}

/// A point in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Below a second.
    pub nanoseconds: u32,
}

/// What tells that a file is the one it was and has not been written since: all that `stat` says
/// of it. The kernel sets `changed` at each write, and no program can set it back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size_bytes: u64,
    pub(super) modified: Time,
    pub(super) changed: Time,
    /// It last changed long enough before it was looked at that a later change would show.
    pub(super) is_settled: bool,
}

impl Stamp {
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified: modified(stat),
            changed: Time {
                seconds: stat.st_ctime,
                nanoseconds: u32::try_from(stat.st_ctime_nsec).unwrap_or(0),
            },
            is_settled: false,
        }
    }

    /// Whether it is the same file in the same state.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let identity = |stamp: &Self| (stamp.device, stamp.inode, stamp.size_bytes);
        identity(self) == identity(other)
            && self.modified == other.modified
            && self.changed == other.changed
    }
}

pub(super) fn modified(stat: &rustix::fs::Stat) -> Time {
    Time {
        seconds: stat.st_mtime,
        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    }
}

impl Tree {
    /// One of entries that lie elsewhere.
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self {
            base: Vec::new(),
            entries,
        }
    }

    /// Where an entry lies, beneath the context's root.
    #[must_use]
    pub fn path_of(&self, entry: &Entry) -> Vec<u8> {
        join(&self.base, &entry.path)
    }

    /// Bytes of all files together, those with several names once.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        let once = self
            .entries
            .iter()
            .filter(|entry| entry.hard_link.is_none());
        once.map(Entry::size_bytes).sum()
    }
}

impl Entry {
    /// One that lies elsewhere.
    pub(crate) fn new(
        path: Vec<u8>,
        kind: Kind,
        mode: u32,
        (uid, gid): (u32, u32),
        mtime: Time,
    ) -> Self {
        Self {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime,
            is_wanted: true,
            hard_link: None,
            stamp: Stamp::default(),
        }
    }

    /// Length of a file, in bytes; 0 of anything else.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.size_bytes,
            _ => 0,
        }
    }
}

/// `name` in `directory`, either of which may be empty.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() || name.is_empty() {
        b""
    } else {
        b"/"
    };
    [directory, slash, name].concat()
}
