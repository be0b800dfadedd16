//! A layer, from its index (or tree) and its tar, made into real files beneath a directory handle.
//!
//! Two forms: [`Form::Layer`] makes one layer a lower directory of overlayfs, with whiteouts and
//! opaque marks; [`Form::Applied`] changes an existing root as `tar` would, but deletes what
//! whiteouts and opaque directories hide. It never touches anything outside the root, follows a
//! symbolic link only inside it (where a layer writes through a link that a lower one made), and
//! doesn't clean up after an error: the caller throws its staging directory away.

mod attributes;
mod file;
mod remove;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::vec::IntoIter;

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::root::{Root, join, open_child_dir, split_last, stat_child};
use crate::stack::{Facts, Inode, Layer, Type};

/// Files whose content is written together, in parallel.
const BATCH_FILES: usize = 1024;
/// Directories that wait for the content of their files; each holds a file descriptor.
const BATCH_DIRECTORIES: usize = 128;
/// Where links to lower files wait for their place. No entry of a layer can be called so.
const STASH: &[u8] = b".wh..shiplap-links";

/// What the files are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One layer for overlayfs, into an empty directory. What only the layers below know is
    /// missing, see [`crate::stack::Stack::corrections`].
    Layer(Marks),
    /// On top of what the root holds.
    Applied,
}

/// Under which names overlayfs looks for its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `trusted.overlay.*`.
    Trusted,
    /// `user.overlay.*`, for mounts with the option `userxattr`.
    User,
}

impl Marks {
    /// The full name of the mark.
    #[must_use]
    pub fn name(self, mark: &str) -> String {
        match self {
            Self::Trusted => format!("trusted.overlay.{mark}"),
            Self::User => format!("user.overlay.{mark}"),
        }
    }
}

/// What the process may do; the rest is left out and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Everything: root of the host.
    Full,
    /// Root of a user namespace: no devices, no `trusted.*` attributes.
    Namespace,
    /// A plain user: no devices, no owners, no attributes but `user.*`.
    Caller,
}

/// How to unpack.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What for.
    pub form: Form,
    /// What is possible.
    pub rights: Rights,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Directory entries of the layer, whiteouts included, the root not.
    pub entries: u64,
    /// Bytes of file content written, holes not counted.
    pub content_bytes: u64,
    /// Devices that were left out.
    pub devices_left_out: u64,
    /// Attributes that were left out: not permitted, not known to the file system, or marks of
    /// overlayfs that the image brought.
    pub xattrs_left_out: u64,
    /// Hard links to files of lower layers, left out of [`Form::Layer`].
    pub links_left_out: u64,
}

/// Why a layer can't be unpacked; paths are those of the image.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// The layer can't be read.
    #[error("read layer entry /{}: {source}", String::from_utf8_lossy(path))]
    Layer {
        /// Path in the layer.
        path: Vec<u8>,
        /// What reading said.
        source: io::Error,
    },
    /// A step on the file system failed.
    #[error("{step} /{}: {source}", String::from_utf8_lossy(path))]
    File {
        /// What was done: `create`, `write`, `link`, ….
        step: &'static str,
        /// Path in the layer.
        path: Vec<u8>,
        /// What the system said.
        source: io::Error,
    },
    /// A hard link to something that isn't in the root, or to a directory.
    #[error(
        "link /{} to /{}: no such file in the layers below",
        String::from_utf8_lossy(path),
        String::from_utf8_lossy(target)
    )]
    LinkTarget {
        /// Path of the link.
        path: Vec<u8>,
        /// Path of its target.
        target: Vec<u8>,
    },
}

/// Unpacks `layer`, whose file content is in `tar`, beneath `root`.
///
/// # Errors
/// The first thing that fails; what was unpacked until then stays.
pub fn unpack(
    layer: &dyn Layer,
    tar: &File,
    root: &Root,
    options: Options,
) -> Result<Report, UnpackError> {
    let mut unpacker = Unpacker {
        layer,
        tar,
        root,
        options,
        report: Report::default(),
        open: Vec::new(),
        files: Vec::new(),
        links: Vec::new(),
        ended: Vec::new(),
        first_names: HashMap::new(),
        stashed: BTreeMap::new(),
    };
    unpacker.run()?;
    Ok(unpacker.report)
}

struct Unpacker<'a> {
    layer: &'a dyn Layer,
    tar: &'a File,
    root: &'a Root,
    options: Options,
    report: Report,
    /// The directories on the way to where we are.
    open: Vec<Open>,
    files: Vec<FileJob>,
    links: Vec<LinkJob>,
    ended: Vec<Ended>,
    /// Of inodes with several names: the path that was made first.
    first_names: HashMap<Inode, Vec<u8>>,
    /// Directory -> name -> number of the link in the stash.
    stashed: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, usize>>,
}

struct Open {
    dir: Arc<OwnedFd>,
    path: Vec<u8>,
    entries: IntoIter<(Vec<u8>, Inode)>,
    end: End,
    through_link: bool,
}

/// What a directory gets when all in it is done.
enum End {
    /// The facts and attributes of its entry.
    Set(Inode, Facts),
    /// What it had.
    Restore(rustix::fs::Stat),
}

struct Ended {
    dir: Arc<OwnedFd>,
    path: Vec<u8>,
    end: End,
}

struct FileJob {
    dir: Arc<OwnedFd>,
    path: Vec<u8>,
    inode: Inode,
    facts: Facts,
}

struct LinkJob {
    dir: Arc<OwnedFd>,
    path: Vec<u8>,
    target: Vec<u8>,
}

impl Unpacker<'_> {
    fn run(&mut self) -> Result<(), UnpackError> {
        let inode = self.layer.root();
        let facts = self.layer.facts(inode).map_err(layer_error(b""))?;
        let dir = self.root.open_dir(b"").map_err(file_error("open", b""))?;
        let stat = rustix::fs::fstat(&dir).map_err(file_error("open", b""))?;
        self.stash_links()?;
        let existing = self.applied().then_some(stat);
        self.enter(dir, Vec::new(), inode, facts, existing, false)?;
        while let Some(directory) = self.open.last_mut() {
            match directory.entries.next() {
                Some((name, inode)) => self.entry(&name, inode)?,
                None => self.leave()?,
            }
            if self.files.len() >= BATCH_FILES || self.ended.len() >= BATCH_DIRECTORIES {
                self.flush()?;
            }
        }
        if let Some((directory, names)) = self.stashed.pop_first() {
            let name = names.into_keys().next().unwrap_or_default();
            let source = io::ErrorKind::NotFound.into();
            return Err(UnpackError::File {
                step: "link",
                path: join(&directory, &name),
                source,
            });
        }
        self.flush()
    }

    fn applied(&self) -> bool {
        self.options.form == Form::Applied
    }

    /// Links the files of lower layers that this one links to into a directory aside, before
    /// anything of them is replaced or deleted.
    fn stash_links(&mut self) -> Result<(), UnpackError> {
        let links = self.layer.links_below().map_err(layer_error(b""))?;
        if !self.applied() {
            self.report.links_left_out = links.len() as u64;
            return Ok(());
        }
        if links.is_empty() {
            return Ok(());
        }
        let root = self.root.handle();
        rustix::fs::mkdirat(root, STASH, Mode::RWXU).map_err(file_error("create", STASH))?;
        let stash = open_child_dir(root, STASH).map_err(file_error("open", STASH))?;
        for (number, link) in links.into_iter().enumerate() {
            let made = self.link_at(&link.target, &stash, number.to_string().as_bytes());
            made.map_err(|_| UnpackError::LinkTarget {
                path: link.path.clone(),
                target: link.target.clone(),
            })?;
            let (directory, name) = split_last(&link.path);
            let names = self.stashed.entry(directory.to_vec()).or_default();
            names.insert(name.to_vec(), number);
        }
        Ok(())
    }

    /// Makes the file at `target`, itself if it is a symbolic link, known as `name` in `dir` too.
    fn link_at(&self, target: &[u8], dir: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        let (parent, file) = split_last(target);
        let parent = self
            .root
            .open_at(parent, OFlags::PATH | OFlags::DIRECTORY)?;
        rustix::fs::linkat(parent, file, dir, name, AtFlags::empty())
    }

    /// Begins a directory that is open now; `existing` are its facts if it was there before.
    fn enter(
        &mut self,
        dir: OwnedFd,
        path: Vec<u8>,
        inode: Inode,
        facts: Facts,
        existing: Option<rustix::fs::Stat>,
        through_link: bool,
    ) -> Result<(), UnpackError> {
        let Type::Directory { opaque, implied } = facts.kind else {
            let source = io::ErrorKind::NotADirectory.into();
            return Err(UnpackError::Layer { path, source });
        };
        let end = match existing {
            Some(stat) if implied => End::Restore(stat),
            _ => End::Set(inode, facts),
        };
        if let Some(stat) = existing {
            if self.options.rights == Rights::Caller && stat.st_mode & 0o700 != 0o700 {
                let mode = Mode::from_raw_mode(stat.st_mode & 0o7777 | 0o700);
                rustix::fs::fchmod(&dir, mode).map_err(file_error("enter", &path))?;
            }
            if opaque {
                remove::clear(&dir, STASH).map_err(file_error("clear", &path))?;
            }
        }
        for (name, number) in self.stashed.remove(&path).unwrap_or_default() {
            let at = join(&path, &name);
            remove::remove(&dir, &name).map_err(file_error("replace", &at))?;
            let stash = open_child_dir(self.root.handle(), STASH);
            let stash = stash.map_err(file_error("open", STASH))?;
            rustix::fs::renameat(&stash, number.to_string(), &dir, name.as_slice())
                .map_err(file_error("link", &at))?;
            self.report.entries += 1;
        }
        let entries = self
            .layer
            .read_dir(inode)
            .map_err(layer_error(&path))?
            .into_iter();
        self.open.push(Open {
            dir: Arc::new(dir),
            path,
            entries,
            end,
            through_link,
        });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), UnpackError> {
        let Some(Open {
            dir,
            path,
            end,
            through_link,
            ..
        }) = self.open.pop()
        else {
            return Ok(());
        };
        if path.is_empty() && self.applied() {
            remove::remove(&dir, STASH).map_err(file_error("remove", STASH))?;
        }
        self.ended.push(Ended { dir, path, end });
        if through_link { self.flush() } else { Ok(()) }
    }

    fn entry(&mut self, name: &[u8], inode: Inode) -> Result<(), UnpackError> {
        let Some(parent) = self.open.last() else {
            return Ok(());
        };
        let path = join(&parent.path, name);
        let dir = Arc::clone(&parent.dir);
        let facts = self.layer.facts(inode).map_err(layer_error(&path))?;
        self.report.entries += 1;
        if facts.kind.is_directory() {
            return self.directory(&dir, name, path, inode, facts);
        }
        if self.applied() {
            remove::remove(&dir, name).map_err(file_error("replace", &path))?;
        }
        if facts.nlink > 1 {
            if let Some(target) = self.first_names.get(&inode) {
                self.links.push(LinkJob {
                    dir,
                    path,
                    target: target.clone(),
                });
                return Ok(());
            }
            if facts.kind != Type::Whiteout {
                self.first_names.insert(inode, path.clone());
            }
        }
        match facts.kind {
            Type::File { .. } => self.files.push(FileJob {
                dir,
                path,
                inode,
                facts,
            }),
            Type::Whiteout if self.applied() => {}
            _ => self.special(&dir, &path, inode, facts)?,
        }
        Ok(())
    }

    fn directory(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: Vec<u8>,
        inode: Inode,
        facts: Facts,
    ) -> Result<(), UnpackError> {
        let implied = matches!(facts.kind, Type::Directory { implied: true, .. });
        if self.applied()
            && let Some(stat) = stat_child(parent, name).map_err(file_error("open", &path))?
        {
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind.is_dir() {
                let dir = open_child_dir(parent, name).map_err(file_error("open", &path))?;
                return self.enter(dir, path, inode, facts, Some(stat), false);
            }
            if kind.is_symlink() && implied {
                // What lies behind the link may be part of this layer too: keep the order.
                self.flush()?;
                match self.root.make_dirs(&path) {
                    Ok(dir) => {
                        let stat = rustix::fs::fstat(&dir).map_err(file_error("open", &path))?;
                        return self.enter(dir, path, inode, facts, Some(stat), true);
                    }
                    Err(Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(file_error("open", &path)(error)),
                }
            }
            remove::remove(parent, name).map_err(file_error("replace", &path))?;
        }
        rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(file_error("create", &path))?;
        let dir = open_child_dir(parent, name).map_err(file_error("open", &path))?;
        self.enter(dir, path, inode, facts, None, false)
    }

    /// Writes what was put off: content first, then links to it, then the directories' facts.
    fn flush(&mut self) -> Result<(), UnpackError> {
        let files = std::mem::take(&mut self.files);
        let this: &Self = self;
        let reports = files
            .par_iter()
            .with_min_len(8)
            .map(|job| this.write_file(job));
        let written = reports.try_reduce(Report::default, |a, b| Ok(a.plus(b)))?;
        self.report = self.report.plus(written);
        for job in std::mem::take(&mut self.links) {
            let name = split_last(&job.path).1;
            match self.link_at(&job.target, &job.dir, name) {
                // A device that was left out has no further names either.
                Err(Errno::NOENT) if self.options.rights != Rights::Full => {
                    self.report.devices_left_out += 1;
                }
                other => other.map_err(file_error("link", &job.path))?,
            }
        }
        for ended in std::mem::take(&mut self.ended) {
            self.end_directory(&ended)?;
        }
        Ok(())
    }
}

impl Report {
    fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            content_bytes: self.content_bytes + other.content_bytes,
            devices_left_out: self.devices_left_out + other.devices_left_out,
            xattrs_left_out: self.xattrs_left_out + other.xattrs_left_out,
            links_left_out: self.links_left_out + other.links_left_out,
        }
    }
}

fn layer_error(path: &[u8]) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.to_vec();
    move |source| UnpackError::Layer { path, source }
}

fn file_error<'a, E: Into<io::Error>>(
    step: &'static str,
    path: &'a [u8],
) -> impl FnOnce(E) -> UnpackError + use<'a, E> {
    move |source| UnpackError::File {
        step,
        path: path.to_vec(),
        source: source.into(),
    }
}
