//! When the commit was made that a directory's files are of, if the directory is a checkout of a git
//! repository or a part of one.
//!
//! Read from the repository's own files: `HEAD`, references and objects. No program is run and no setting
//! of the repository is read, so nothing in it can make this do anything. A directory in a checkout that
//! the commit knows nothing of is no part of it. What can't be read says nothing: files then have their
//! own times.

mod objects;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use self::objects::{Kind, ObjectId, Objects};

/// How many symbolic references may lead to one another.
const SYMBOLIC_DEPTH: usize = 5;
/// Longest file that names a reference or a directory, in bytes.
const POINTER_BYTES: u64 = 8 << 10;
/// Longest list of packed references that is read, in bytes: a line has some 80.
const REFERENCES_BYTES: u64 = 64 << 20;
/// The last second that a calendar of four digits has.
const LAST_SECOND: i64 = 253_402_300_799;

/// Seconds since 1970; `directory` is absolute, without links.
pub(super) fn commit_time(directory: &Path) -> Option<i64> {
    let repository = Repository::around(directory)?;
    let objects = Objects::open(&repository.common.join("objects"));
    let head = repository.head()?;
    let commit = objects.read(&head, Kind::Commit)?;
    let commit = Commit::parse(&commit)?;
    let part = directory.strip_prefix(&repository.top).ok()?;
    objects
        .has_directory(&commit.tree, part)
        .then_some(commit.committed)
        .filter(|seconds| (0..=LAST_SECOND).contains(seconds))
}

/// Where a repository keeps what concerns one checkout of it.
struct Repository {
    /// The checkout's directory.
    top: PathBuf,
    /// What is this checkout's own.
    own: PathBuf,
    /// What all checkouts share.
    common: PathBuf,
}

impl Repository {
    /// The one whose checkout `directory` is in. As git has it, it must be on the same file system, and
    /// belong to whoever has the directory, to root or to us.
    fn around(directory: &Path) -> Option<Self> {
        let start = directory.metadata().ok()?;
        for top in directory.ancestors() {
            if top.metadata().ok()?.dev() != start.dev() {
                return None;
            }
            let entry = top.join(".git");
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if !is_trusted(&found, &start) {
                return None;
            }
            let own = match found.is_dir() {
                true => Some(entry),
                false => pointer(&entry, "gitdir: ").map(|path| top.join(path)),
            };
            if let Some(repository) = own.and_then(|own| Self::open(top, own)) {
                return Some(repository);
            }
        }
        None
    }

    /// `None` if `own` is no such directory.
    fn open(top: &Path, own: PathBuf) -> Option<Self> {
        let common = match pointer(&own.join("commondir"), "") {
            Some(path) => own.join(path),
            None => own.clone(),
        };
        let is_one = common.join("objects").is_dir() && own.join("HEAD").is_file();
        is_one.then(|| Self {
            top: top.to_owned(),
            own,
            common,
        })
    }

    /// The commit that is checked out.
    fn head(&self) -> Option<ObjectId> {
        let mut text = pointer(&self.own.join("HEAD"), "")?;
        for _ in 0..SYMBOLIC_DEPTH {
            let word = text.as_os_str().as_bytes();
            let Some(name) = word.strip_prefix(b"ref: ") else {
                return ObjectId::parse(word);
            };
            let name = Path::new(OsStr::from_bytes(name));
            let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
            if !name.starts_with("refs") || !name.components().all(is_plain) {
                return None;
            }
            match pointer(&self.common.join(name), "") {
                Some(next) => text = next,
                None => return self.packed(name),
            }
        }
        None
    }

    /// A reference that has no file of its own.
    fn packed(&self, name: &Path) -> Option<ObjectId> {
        let file = open(&self.common.join("packed-refs"))?;
        let mut lines = BufReader::new(file.take(REFERENCES_BYTES));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).ok()? > 0 {
            let mut words = line.trim_ascii_end().splitn(2, |byte| *byte == b' ');
            if let (Some(id), Some(own)) = (words.next(), words.next())
                && own == name.as_os_str().as_bytes()
            {
                return ObjectId::parse(id);
            }
            line.clear();
        }
        None
    }
}

/// Whether what `found` is told of may say something of a directory.
fn is_trusted(found: &Metadata, directory: &Metadata) -> bool {
    let we = rustix::process::geteuid().as_raw();
    [directory.uid(), we, 0].contains(&found.uid())
}

/// What a file of one line says behind `prefix`, as a path.
fn pointer(path: &Path, prefix: &str) -> Option<PathBuf> {
    let mut text = Vec::new();
    let count = open(path)?
        .take(POINTER_BYTES)
        .read_to_end(&mut text)
        .ok()?;
    let word = text.trim_ascii_end().strip_prefix(prefix.as_bytes())?;
    let is_whole = (count as u64) < POINTER_BYTES && !word.contains(&b'\n') && !word.contains(&0);
    is_whole.then(|| PathBuf::from(OsStr::from_bytes(word)))
}

/// A regular file, opened without waiting for anybody.
fn open(path: &Path) -> Option<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).ok()?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// What counts of a commit.
#[derive(Debug, PartialEq, Eq)]
struct Commit {
    tree: ObjectId,
    /// Seconds since 1970.
    committed: i64,
}

impl Commit {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut tree, mut committed) = (None, None);
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                break;
            }
            if let Some(id) = line.strip_prefix(b"tree ") {
                tree = tree.or(ObjectId::parse(id));
            } else if let Some(who) = line.strip_prefix(b"committer ") {
                // `Name <address> seconds zone`
                let end = who.iter().rposition(|byte| *byte == b'>')?;
                let rest = who.get(end + 1..)?.trim_ascii();
                let seconds = rest.split(|byte| *byte == b' ').next()?;
                committed = std::str::from_utf8(seconds).ok()?.parse().ok();
            }
        }
        Some(Self {
            tree: tree?,
            committed: committed?,
        })
    }
}
