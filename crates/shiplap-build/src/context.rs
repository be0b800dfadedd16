//! Build contexts: the files that `COPY`, `ADD` and bind mounts of a build see.
//!
//! A context is a directory, held by a handle: its own files are read where they are, those of an
//! archive or a repository are first unpacked into a directory of the build's. Every path from a
//! Dockerfile is resolved beneath that handle, with the ignore file applied:
//!
//! ```text
//! source ─▶ resolve ─▶ Match ─▶ select ─▶ Tree ─▶ digest (for the key)
//!                                            ├──▶ read (for the layer)
//!                                            └──▶ place (for a bind mount)
//! ```
//!
//! A walk opens directories only, so FIFOs and devices never make it wait; files are opened to be
//! hashed or copied, after a look at what they are. Nothing is ever written to a context.

mod archive;
mod digest;
mod dockerfile;
mod entry;
mod error;
mod git;
mod hash;
mod load;
mod memory;
mod place;
mod read;
mod remote;
mod repository;
mod resolve;
mod settle;
mod source;
pub mod survey;
#[cfg(test)]
mod tests;
mod walk;
mod web_memory;

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use shiplap_layer::root::Root;
use shiplap_model::ignore::Patterns;
use shiplap_model::path;
use shiplap_store::StagedDirectory;

pub use archive::ArchiveError;
pub use digest::{ContentDigest, Counting};
pub use dockerfile::{Dockerfile, DockerfileError, beside};
pub use entry::{Content, Entry, Kind, Time, Tree};
pub use error::FilesError;
pub use git::GitError;
pub use load::{LoadError, Loaded, Surroundings, load, load_named};
pub use memory::{StatMemory, prune_memories};
pub use read::FileReader;
pub use remote::{GitFiles, Recall, RemoteError, WebSource, fetch_git, fetch_url};
pub use resolve::Match;
pub use source::{ContextSource, SourceError};

use settle::Clock;
use walk::Filter;

/// A build context.
#[derive(Debug)]
pub struct Context {
    root: Root,
    directory: PathBuf,
    ignore: Patterns,
    memory: StatMemory,
    keeps_owners: bool,
    commit_time: Option<i64>,
    /// Keeps what was unpacked for it.
    _staged: Option<StagedDirectory>,
}

/// What is known of a context beside its files.
#[derive(Debug, Default)]
pub struct Facts {
    /// What is hidden.
    pub ignore: Patterns,
    /// What is remembered of its files.
    pub memory: StatMemory,
    /// Owners of files count (an archive's); else they are root's.
    pub keeps_owners: bool,
    /// When the commit was made that its files are of, if it is of a repository, in seconds since 1970.
    pub commit_time: Option<i64>,
    /// The directory of a lease that its files were put into: gone with the context.
    pub staged: Option<StagedDirectory>,
}

impl Context {
    /// A directory of the host as context.
    ///
    /// # Errors
    /// [`FilesError::File`] if it can't be opened as a directory.
    pub fn open(directory: &Path, facts: Facts) -> Result<Self, FilesError> {
        let root = Root::open(directory).map_err(FilesError::file("open", b""))?;
        Ok(Self::new(root, directory.to_owned(), facts))
    }

    fn new(root: Root, directory: PathBuf, facts: Facts) -> Self {
        Self {
            root,
            directory,
            ignore: facts.ignore,
            memory: facts.memory,
            keeps_owners: facts.keeps_owners,
            commit_time: facts.commit_time,
            _staged: facts.staged,
        }
    }

    /// Where it is on the host, for mounts; hidden files are there, too.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The handle beneath which all of it is.
    #[must_use]
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.root.handle()
    }

    /// What is hidden.
    #[must_use]
    pub fn ignore(&self) -> &Patterns {
        &self.ignore
    }

    /// What is remembered of its files: to be saved at the end of a build.
    #[must_use]
    pub fn memory(&self) -> &StatMemory {
        &self.memory
    }

    /// Whether owners of files count; else they are root's.
    #[must_use]
    pub fn keeps_owners(&self) -> bool {
        self.keeps_owners
    }

    /// When the commit was made that its files are of, in seconds since 1970.
    #[must_use]
    pub fn commit_time(&self) -> Option<i64> {
        self.commit_time
    }

    /// Everything that a match brings, with digests, but for `excludes`: these count from the
    /// directory that is copied; of a file that a wildcard found, they are asked about its name.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn select(&self, found: &Match, excludes: &Patterns) -> Result<Tree, FilesError> {
        let clock = self.clock();
        let filter = Filter {
            ignore: &self.ignore,
            exclude: excludes,
            include: found.include.as_ref(),
            keeps_owners: self.keeps_owners,
        };
        let mut tree = if found.is_directory {
            walk::walk(&self.root, &found.path, filter, clock)?
        } else {
            self.single(found, excludes, clock)?
        };
        if let Some((required, written)) = &found.required
            && !tree.entries.iter().any(|entry| entry.path == *required)
        {
            return Err(FilesError::NotFound {
                path: written.clone(),
                ignored: self.ignore.excludes(&entry::join(&found.path, required)),
            });
        }
        hash::fill(&self.root, &mut tree, &self.memory, clock)?;
        Ok(tree)
    }

    /// Opens a file of a tree; `None` if the entry is no file.
    ///
    /// # Errors
    /// [`FilesError::Changed`] if it is no more what its digest was computed from.
    pub fn read(&self, tree: &Tree, entry: &Entry) -> Result<Option<FileReader>, FilesError> {
        FileReader::open(&self.root, tree, entry)
    }

    /// Puts the files of a tree into the empty directory `target`, as they were digested: for a
    /// command that is to see these and nothing that is hidden, whatever becomes of the context
    /// meanwhile. What is a file by itself gets the name `name` in it.
    ///
    /// # Errors
    /// [`FilesError`]; what was put there until then stays.
    pub fn place(&self, tree: &Tree, name: &[u8], target: &Path) -> Result<(), FilesError> {
        place::place(self, tree, name, target)
    }

    fn single(&self, found: &Match, excludes: &Patterns, clock: Clock) -> Result<Tree, FilesError> {
        let error = |step| FilesError::file(step, &found.path);
        let mut tree = Tree {
            base: found.path.clone(),
            entries: Vec::new(),
        };
        if found.is_found && excludes.excludes(&found.name) {
            return Ok(tree);
        }
        let (parent, name) = path::split(&found.path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let parent = self.root.open_exact(parent, flags).map_err(error("open"))?;
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statat(&parent, name, flags).map_err(error("look at"))?;
        let parent = std::os::fd::AsFd::as_fd(&parent);
        let kind = walk::kind_of(parent, name, &stat).map_err(error("look at"))?;
        // It was a file when it was found: a directory or a link by now is somebody's doing.
        match kind {
            Some(Kind::Directory | Kind::Link(_)) => Err(FilesError::Changed {
                path: found.path.clone(),
            }),
            Some(kind) => {
                let owners = self.keeps_owners;
                let entry = walk::entry(Vec::new(), kind, &stat, owners, clock);
                tree.entries.push(entry);
                Ok(tree)
            }
            None => Err(FilesError::NotFound {
                path: found.path.clone(),
                ignored: false,
            }),
        }
    }

    fn clock(&self) -> Clock {
        Clock::of(self.root.handle())
    }
}
