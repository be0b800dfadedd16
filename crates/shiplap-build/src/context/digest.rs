//! Digests of what is selected of a context: by content alone, so that a laptop and a build
//! machine agree, and a context that was cloned again is the one it was.
//!
//! The digest of a tree is BLAKE3 of
//!
//! ```text
//! "shiplap tree 1", flags
//! for each entry, in the order of the tree:
//!     length of its path (u32), path, length of its leaf (u32), leaf
//! ```
//!
//! and a leaf is
//!
//! | what | bytes |
//! |---|---|
//! | kind | one letter: `d`irectory (`w` if it is only on the way to what is selected), `f`ile, `l`ink, `p`ipe, `c`haracter or `b`lock device, `h`ard link |
//! | mode (not of a symbolic link) | u32, if modes count |
//! | owner and group | u32 each, if owners count |
//! | of a file | BLAKE3 of its content, its `security.capability` |
//! | of a symbolic link | its target |
//! | of a device | major and minor number, u32 each |
//! | of a hard link | path of the first name in this tree, and nothing else |
//!
//! Numbers are little-endian. No time, no inode, nothing of the host: all permission bits are in it,
//! since they are in the layer; a caller that overrides them says so by [`Counting`].

use std::fmt;

use super::entry::{Entry, Kind, Tree};

/// BLAKE3 of some content. Never shown as an OCI digest: it stays on this machine and in keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ContentDigest(pub [u8; 32]);

/// Which properties of files a digest covers: those that reach the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting {
    /// Modes count; not if `--chmod` sets all of them.
    pub modes: bool,
    /// Owners count; not if `--chown` sets them.
    pub owners: bool,
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ContentDigest {
    /// Of bytes that are at hand.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl Tree {
    /// The digest of the whole tree.
    #[must_use]
    pub fn digest(&self, counting: Counting) -> ContentDigest {
        let mut bytes = Vec::with_capacity(32 + self.entries.len() * 96);
        bytes.extend(b"shiplap tree 1");
        bytes.extend([u8::from(counting.modes), u8::from(counting.owners)]);
        for entry in &self.entries {
            put_length(&mut bytes, entry.path.len());
            bytes.extend(&entry.path);
            let at = bytes.len();
            put_length(&mut bytes, 0);
            self.put_leaf(&mut bytes, entry, counting);
            let length = bytes.len() - at - 4;
            bytes.splice(at..at + 4, as_u32(length).to_le_bytes());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_rayon(&bytes);
        ContentDigest(*hasher.finalize().as_bytes())
    }

    /// The digest of one entry without its name and without what is below it: two that differ are
    /// what a changed key is explained by.
    #[must_use]
    pub fn leaf(&self, entry: &Entry, counting: Counting) -> ContentDigest {
        let mut bytes = Vec::with_capacity(64);
        self.put_leaf(&mut bytes, entry, counting);
        ContentDigest::of(&bytes)
    }

    fn put_leaf(&self, bytes: &mut Vec<u8>, entry: &Entry, counting: Counting) {
        let first = entry.hard_link.and_then(|first| self.entries.get(first));
        if let Some(first) = first {
            bytes.push(b'h');
            bytes.extend(&first.path);
            return;
        }
        bytes.push(match &entry.kind {
            Kind::Directory if entry.is_wanted => b'd',
            Kind::Directory => b'w',
            Kind::File(_) => b'f',
            Kind::Link(_) => b'l',
            Kind::Fifo => b'p',
            Kind::CharDevice(..) => b'c',
            Kind::BlockDevice(..) => b'b',
        });
        if counting.modes && !matches!(entry.kind, Kind::Link(_)) {
            bytes.extend(entry.mode.to_le_bytes());
        }
        if counting.owners {
            bytes.extend(entry.uid.to_le_bytes());
            bytes.extend(entry.gid.to_le_bytes());
        }
        match &entry.kind {
            Kind::Directory | Kind::Fifo => {}
            Kind::File(content) => {
                bytes.extend(content.digest.0);
                bytes.extend(content.capability.as_deref().unwrap_or_default());
            }
            Kind::Link(target) => bytes.extend(target),
            Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
                bytes.extend(major.to_le_bytes());
                bytes.extend(minor.to_le_bytes());
            }
        }
    }
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend(as_u32(length).to_le_bytes());
}

/// Paths and targets are bounded by the kernel, far below this.
fn as_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
