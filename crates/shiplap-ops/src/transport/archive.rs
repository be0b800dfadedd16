//! A tar archive of files, as images are saved in: its members by name, read in place.
//!
//! Nothing is unpacked: names are only looked up, so a name can't lead anywhere. A compressed
//! archive, or one that comes through a pipe, is first written, inflated, to a temporary file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use shiplap_layer::compress::{self, Format};
use shiplap_layer::stack::Content;
use shiplap_layer::tar::{self, EntryKind, TarError};
use shiplap_model::limits;

use super::TransportError;

/// An archive, open for reading.
pub struct Archive {
    path: PathBuf,
    tar: File,
    members: BTreeMap<String, Member>,
}

enum Member {
    File(Content),
    /// The name of another member.
    Link(String),
}

/// How many links may lead from one member to the next.
const LINK_DEPTH: usize = 8;

impl Archive {
    /// Opens the archive at `path`. `scratch` is a directory for what has to be inflated.
    ///
    /// # Errors
    /// Failures of reading, and what is no tar.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, TransportError> {
        let file = File::open(path).map_err(TransportError::io("open", path))?;
        let meta = file.metadata().map_err(TransportError::io("read", path))?;
        if meta.is_dir() {
            let source = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(TransportError::io("read", path)(source));
        }
        if meta.is_file() {
            let mut start = [0; 16];
            let count = file
                .read_at(&mut start, 0)
                .map_err(TransportError::io("read", path))?;
            if Format::of(start.get(..count).unwrap_or_default()) == Format::Plain {
                return Self::of_tar(path, file);
            }
        }
        Self::spool(path, file, scratch)
    }

    /// Reads the archive that comes out of `reader`; `path` is what it is called in messages.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn spool(path: &Path, reader: impl Read, scratch: &Path) -> Result<Self, TransportError> {
        let reader = BufReader::with_capacity(256 << 10, reader);
        let (_, mut plain) = compress::open(reader).map_err(TransportError::io("read", path))?;
        let mut file = tempfile::tempfile_in(scratch)
            .map_err(TransportError::io("make a file in", scratch))?;
        let bounded = &mut plain.by_ref().take(limits::LAYER_BYTES);
        io::copy(bounded, &mut file).map_err(TransportError::io("read", path))?;
        drop(plain);
        Self::of_tar(path, file)
    }

    fn of_tar(path: &Path, mut tar: File) -> Result<Self, TransportError> {
        tar.seek(SeekFrom::Start(0))
            .map_err(TransportError::io("read", path))?;
        let mut members = BTreeMap::new();
        tar::scan_file(&tar, |entry| {
            if members.len() as u64 >= limits::ARCHIVE_MEMBERS {
                return Err(TarError::Entries {
                    limit: limits::ARCHIVE_MEMBERS,
                });
            }
            let name = clean("", &entry.path);
            let member = match entry.kind {
                EntryKind::File(data) => Member::File(Content {
                    layer: 0,
                    size_bytes: data.size_bytes,
                    extents: data.extents,
                }),
                EntryKind::HardLink(target) => Member::Link(clean("", &target)),
                EntryKind::Symlink(target) => {
                    let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                    Member::Link(clean(directory, &target))
                }
                _ => return Ok(()),
            };
            members.insert(name, member);
            Ok(())
        })
        .map_err(TransportError::io("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            tar,
            members,
        })
    }

    /// What it is called in messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a member of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.content(name).is_some()
    }

    fn content(&self, name: &str) -> Option<&Content> {
        let mut name = clean("", name.as_bytes());
        for _ in 0..LINK_DEPTH {
            match self.members.get(&name)? {
                Member::File(content) => return Some(content),
                Member::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    fn missing(&self, name: &str) -> TransportError {
        TransportError::Missing {
            path: self.path.clone(),
            member: name.to_owned(),
        }
    }

    /// A member's bytes from `offset` on, and its whole length in bytes.
    ///
    /// # Errors
    /// [`TransportError::Missing`].
    pub fn open_member(
        &self,
        name: &str,
        offset: u64,
    ) -> Result<(impl Read + Send + '_, u64), TransportError> {
        let content = self.content(name).ok_or_else(|| self.missing(name))?;
        Ok((content.reader_at(&self.tar, offset), content.size_bytes))
    }

    /// A member of at most `limit_bytes`, whole.
    ///
    /// # Errors
    /// [`TransportError::Missing`] and failures of reading.
    pub fn read_member(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, TransportError> {
        let (reader, size_bytes) = self.open_member(name, 0)?;
        if size_bytes > limit_bytes {
            return Err(TransportError::Shape {
                path: self.path.clone(),
                problem: format!("its {name} has {size_bytes} bytes, more than {limit_bytes}"),
            });
        }
        let mut bytes = Vec::new();
        reader
            .take(limit_bytes)
            .read_to_end(&mut bytes)
            .map_err(TransportError::io("read", &self.path))?;
        Ok(bytes)
    }
}

/// The name that `path` has in the archive, seen from `directory`, without `.`, `..` and doubled
/// slashes. What would lead out of the archive ends at its top.
fn clean(directory: &str, path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let start = if path.starts_with('/') { "" } else { directory };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn names_are_cleaned() {
        let check = |directory: &str, path: &str, expected: &str| {
            assert_eq!(
                clean(directory, path.as_bytes()),
                expected,
                "{path} in {directory:?}"
            );
        };
        check("", "./a//b", "a/b");
        check("", "/a", "a");
        check("", "../../etc/passwd", "etc/passwd");
        check("x", "../y/layer.tar", "y/layer.tar");
        check("x", "/y/layer.tar", "y/layer.tar");
        check("x", "../../../y", "y");
        check("", "", "");
    }
}
