//! What files of the web were when they came last, and what their servers called that: one that did not
//! change since is not fetched again as long as nobody needs its bytes.
//!
//! A memory is one file for each address, in the directory of the stat memories: `web-` and the beginning
//! of the address's digest, since an address may hold a secret. In it are the BLAKE3 of what follows in
//! hex digits, a line feed, and [`KnownFile`] as JSON. What is damaged or missing is not known.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shiplap_model::{Digest, limits};
use shiplap_ops::fetch::Validators;

use super::digest::ContentDigest;
use super::memory::replace;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownFile {
    /// What the server called its state.
    pub(super) validators: Validators,
    /// Length, in bytes.
    pub(super) size_bytes: u64,
    /// When it last changed, in seconds since 1970.
    pub(super) modified: Option<i64>,
    /// SHA-256 of it.
    pub(super) sha256: Digest,
    /// Its content's digest.
    pub(super) content: [u8; 32],
}

/// What names of memories of files of the web begin with.
pub(super) const WEB_PREFIX: &str = "web-";

/// The memory of one address.
#[derive(Debug)]
pub(super) struct WebMemory(Option<PathBuf>);

impl WebMemory {
    /// That of `address`, among those in `directory`; without one it forgets.
    pub(super) fn of(directory: Option<&Path>, address: &str) -> Self {
        let name = ContentDigest::of(address.as_bytes()).to_string();
        let file = |directory: &Path| directory.join(format!("{WEB_PREFIX}{}", &name[..32]));
        Self(directory.map(file))
    }

    /// What is known.
    pub(super) fn recall(&self) -> Option<KnownFile> {
        let file = std::fs::File::open(self.0.as_ref()?).ok()?;
        let mut text = String::new();
        let mut bounded = file.take(limits::WEB_MEMORY_BYTES);
        bounded.read_to_string(&mut text).ok()?;
        let (sum, json) = text.split_once('\n')?;
        let is_whole = sum == ContentDigest::of(json.as_bytes()).to_string();
        serde_json::from_str(json).ok().filter(|_| is_whole)
    }

    /// Remembers; what no server can be asked by is not worth it.
    pub(super) fn remember(&self, known: &KnownFile) -> io::Result<()> {
        let Some(file) = self.0.as_ref().filter(|_| !known.validators.is_empty()) else {
            return Ok(());
        };
        let json = serde_json::to_string(known)?;
        let sum = ContentDigest::of(json.as_bytes());
        replace(file, format!("{sum}\n{json}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(etag: &str) -> KnownFile {
        KnownFile {
            validators: Validators {
                etag: Some(etag.to_owned()),
                last_modified: None,
            },
            size_bytes: 3,
            modified: Some(7),
            sha256: Digest::of(b"abc"),
            content: ContentDigest::of(b"abc").0,
        }
    }

    #[test]
    fn remembers_each_address_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = |address: &str| WebMemory::of(Some(folder.path()), address);
        assert_eq!(memory("http://a/x?secret").recall(), None);
        let put = memory("http://a/x?secret").remember(&known("1"));
        put.expect("it can be written");
        assert_eq!(memory("http://a/x?secret").recall(), Some(known("1")));
        assert_eq!(memory("http://a/x").recall(), None);
        assert_eq!(WebMemory::of(None, "http://a/x?secret").recall(), None);
        let files = std::fs::read_dir(folder.path())
            .expect("a folder")
            .flatten();
        let file = files.map(|file| file.path()).next().expect("one file");
        let text = std::fs::read_to_string(&file).expect("a text");
        assert!(!text.contains("secret"), "{text}");
        for damaged in [&text[..text.len() - 1], &text.replace('7', "8"), ""] {
            std::fs::write(&file, damaged).expect("it can be written");
            assert_eq!(memory("http://a/x?secret").recall(), None, "{damaged}");
        }
    }
}
