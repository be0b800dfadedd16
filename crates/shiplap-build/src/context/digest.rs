//! Digests of what is selected of a context: by content alone, so that a laptop and a build
//! machine agree, and a context that was cloned again is the one it was.
//!
//! The digest of a tree is BLAKE3 of
//!
//! ```text
//! "shiplap tree 1", flags
//! for each entry, in the order of the tree:
//!     length of its path (u32), path, leaf
//! ```
//!
//! and a leaf is BLAKE3 of
//!
//! | what | bytes |
//! |---|---|
//! | kind | one letter: `d`irectory, `f`ile, `l`ink, `p`ipe, `c`haracter or `b`lock device, `h`ard link |
//! | mode (not of a symbolic link) | u32, if modes count |
//! | owner and group | u32 each, if owners count |
//! | of a file | BLAKE3 of its content, its `security.capability` |
//! | of a symbolic link | its target |
//! | of a device | major and minor number, u32 each |
//! | of a hard link | path of the first name in this tree |
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
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"shiplap tree 1");
        hasher.update(&[u8::from(counting.modes), u8::from(counting.owners)]);
        for entry in &self.entries {
            put_bytes(&mut hasher, &entry.path);
            hasher.update(&self.leaf(entry, counting).0);
        }
        ContentDigest(*hasher.finalize().as_bytes())
    }

    /// The digest of one entry without its name and without what is below it: two that differ are
    /// what a changed key is explained by.
    #[must_use]
    pub fn leaf(&self, entry: &Entry, counting: Counting) -> ContentDigest {
        let mut hasher = blake3::Hasher::new();
        let first = entry.hard_link.and_then(|first| self.entries.get(first));
        if let Some(first) = first {
            hasher.update(b"h");
            put_bytes(&mut hasher, &first.path);
            return ContentDigest(*hasher.finalize().as_bytes());
        }
        let letter = match &entry.kind {
            Kind::Directory => b"d",
            Kind::File(_) => b"f",
            Kind::Link(_) => b"l",
            Kind::Fifo => b"p",
            Kind::CharDevice(..) => b"c",
            Kind::BlockDevice(..) => b"b",
        };
        hasher.update(letter);
        if counting.modes && !matches!(entry.kind, Kind::Link(_)) {
            hasher.update(&entry.mode.to_le_bytes());
        }
        if counting.owners {
            hasher.update(&entry.uid.to_le_bytes());
            hasher.update(&entry.gid.to_le_bytes());
        }
        match &entry.kind {
            Kind::Directory | Kind::Fifo => {}
            Kind::File(content) => {
                hasher.update(&content.digest.0);
                hasher.update(content.capability.as_deref().unwrap_or_default());
            }
            Kind::Link(target) => {
                hasher.update(target);
            }
            Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
                hasher.update(&major.to_le_bytes());
                hasher.update(&minor.to_le_bytes());
            }
        }
        ContentDigest(*hasher.finalize().as_bytes())
    }
}

fn put_bytes(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    // Paths are bounded by limits::PATH_BYTES.
    hasher.update(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    hasher.update(bytes);
}
