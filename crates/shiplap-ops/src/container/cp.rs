//! `cp`: files out of a container and into it, by the rules of Docker's `cp` (reference of `docker
//! container cp`; `pkg/archive/copy.go`).
//!
//! What is copied goes through a tar, checked as a whole before anything of it is written. Paths
//! of the container are followed beneath a handle of its root, or in its layers: no link in it
//! leads outside. A directory is never replaced by something else, nor something else by one.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use shiplap_layer::diff::{DiffError, Owner};
use shiplap_layer::erofs::{LayerIndex, ReadError};
use shiplap_layer::export::ExportError;
use shiplap_layer::ingest::{self, IngestError, LayerFacts, MadeError};
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Layer, StackError, Type};
use shiplap_layer::tar::WriteError;
use shiplap_layer::unpack::{self, Form, Options, Rights, UnpackError};
use shiplap_model::container::MountSource;
use shiplap_store::{Lease, StagedFile, StoreError};

use super::changes::{ContainerTree, TreeError};
use super::volume::{self, VolumeError};
use super::{Container, ContainerError};
use crate::context::Context;
pub use crate::files::CopyTo;
pub use crate::load::Input;
use crate::snapshot;

mod path;
#[cfg(test)]
mod tests;
mod upper;
mod view;

use path::{ContainerPath, HostPath};
use view::{Kind, View};

/// How a container's files are reached.
pub enum RootAccess {
    /// It runs: its root directory, as `/proc/PID/root`.
    Live(OwnedFd),
    /// It doesn't.
    Stopped {
        /// Its files.
        tree: ContainerTree,
        /// What it has mounted when it runs: where in the container, and the directory of the host.
        /// What isn't a directory is passed over; so is what is mounted below a directory that is
        /// copied out.
        mounts: Vec<(String, PathBuf)>,
        /// Keeps it from being started meanwhile.
        lock: Option<File>,
    },
}

impl RootAccess {
    /// How the files of a container are reached now.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn of(context: &Context, container: &Container) -> Result<Self, CopyError> {
        let lock = container.lock()?;
        let state = container.state()?;
        if let (true, Some(pid)) = (state.status.is_live(), state.pid) {
            let path = format!("/proc/{pid}/root");
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::open(&path, flags, Mode::empty());
            let root = root.map_err(failed("open", path.as_bytes()))?;
            // Now that it is open: the number may have been given to another process since.
            if container.process(&state).is_some() {
                return Ok(Self::Live(root));
            }
        }
        let binds = container.facts.options.storage.mounts.iter();
        let binds = binds.filter_map(|mount| match &mount.source {
            MountSource::Bind { path, .. } => Some((mount.target.clone(), PathBuf::from(path))),
            _ => None,
        });
        let mut mounts: Vec<_> = binds.filter(|(_, host)| host.is_absolute()).collect();
        mounts.extend(volume::of_container(context, &container.facts)?);
        Ok(Self::Stopped {
            tree: container.tree(),
            mounts,
            lock: Some(lock),
        })
    }
}

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions {
    /// Owners stay; else they are root in the container, and the caller outside.
    pub archive: bool,
    /// A symbolic link that is named is copied as what it points to.
    pub follow_link: bool,
}

/// Why nothing, or not everything, was copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The container's record can't be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A volume of it can't be found.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The container's files can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A path can't be followed, or what is there not be read or made.
    #[error("{step} {path}: {source}")]
    Path {
        /// What was done.
        step: &'static str,
        /// The path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing is there.
    #[error("copy {path}: no such file or directory")]
    NotFound {
        /// The source.
        path: String,
    },
    /// A trailing slash says that it is a directory.
    #[error("copy {path}: not a directory")]
    NotADirectory {
        /// Source or destination.
        path: String,
    },
    /// A file is where a directory is to go.
    #[error("copy to {path}: cannot copy a directory to a file")]
    DirectoryToFile {
        /// The destination.
        path: String,
    },
    /// A destination that is not there and can't be made by copying.
    #[error("copy to {path}: no such directory")]
    NoDirectory {
        /// The destination.
        path: String,
    },
    /// A tar goes into directories only.
    #[error("copy to {path}: a tar needs a directory to go to")]
    StreamToFile {
        /// The destination.
        path: String,
    },
    /// A directory and something else have the same name.
    #[error("copy to {path}: cannot overwrite {there} with {new}")]
    Conflict {
        /// Path at the destination.
        path: String,
        /// What is there.
        there: &'static str,
        /// What is copied.
        new: &'static str,
    },
    /// A name that stands for something else in layers.
    #[error("copy to {path}: names that begin with .wh. and devices 0:0 can't be copied")]
    Reserved {
        /// Path at the destination.
        path: String,
    },
    /// The source can't be read.
    #[error(transparent)]
    Read(#[from] DiffError),
    /// The source can't be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The tar can't be written.
    #[error("write the copy: {0}")]
    Write(#[from] WriteError),
    /// What came can't be taken.
    #[error("read the copy: {0}")]
    Ingest(#[source] IngestError),
    /// What was taken can't be read again.
    #[error("read the copy: {0}")]
    Index(#[from] ReadError),
    /// It can't be written where it goes.
    #[error("copy to {path}: {source}")]
    Unpack {
        /// The destination.
        path: String,
        /// Why.
        source: UnpackError,
    },
}

impl From<StackError> for CopyError {
    fn from(error: StackError) -> Self {
        Self::Tree(error.into())
    }
}

fn failed<E: Into<io::Error>>(
    step: &'static str,
    path: &[u8],
) -> impl FnOnce(E) -> CopyError + use<E> {
    let path = shown(path);
    move |source| CopyError::Path {
        step,
        path,
        source: source.into(),
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Copies `path` of the container, with all that is below it; says how long the tar of it is, in
/// bytes. To a stream it is written as that tar.
///
/// # Errors
/// [`CopyError`].
pub fn copy_out(
    context: &Context,
    root: &RootAccess,
    path: &str,
    to: CopyTo<'_>,
    options: CopyOptions,
) -> Result<u64, CopyError> {
    let store = context.store()?;
    let wanted = ContainerPath::parse(path.as_bytes());
    let is_followed = wanted.is_directory || options.follow_link;
    let (view, place) = View::open(root, store)?.reach(root, &wanted.path, is_followed)?;
    let kind = view.kind(&place)?;
    let kind = kind.ok_or_else(|| CopyError::NotFound {
        path: path.to_owned(),
    })?;
    if wanted.is_directory && kind != Kind::Directory {
        return Err(CopyError::NotADirectory {
            path: path.to_owned(),
        });
    }
    let destination = match to {
        CopyTo::Stream(stream) => {
            let mut out = Counted {
                out: stream,
                bytes: 0,
            };
            view.write(&place, wanted.name(), &mut out)?;
            out.flush().map_err(WriteError::from)?;
            return Ok(out.bytes);
        }
        CopyTo::Path(destination) => HostPath::destination(&destination)?,
    };
    let plan = Plan::of(wanted.name(), kind, destination.target())?;
    let lease = store.lease()?;
    let staged = Staged::made(&lease, |out| view.write(&place, &plan.name, out))?;
    let directory = Path::new(OsStr::from_bytes(&plan.directory));
    let target = Root::open(directory).map_err(failed("open", &plan.directory))?;
    staged.check(&plan.directory, |path| view::kind_in(&target, path))?;
    let rights = if options.archive {
        rights()
    } else {
        Rights::Caller
    };
    staged.unpack(&target, &plan.directory, rights)?;
    Ok(staged.facts.tar_bytes)
}

/// Copies a path of the host, or the content of a tar, to `path` of the container; says how long the
/// tar of it is, in bytes.
///
/// # Errors
/// [`CopyError`]; what was written until then stays.
pub fn copy_in(
    context: &Context,
    from: Input<'_>,
    root: &RootAccess,
    path: &str,
    options: CopyOptions,
) -> Result<u64, CopyError> {
    let store = context.store()?;
    let wanted = ContainerPath::parse(path.as_bytes());
    let (view, place) = View::open(root, store)?.reach(root, &wanted.path, true)?;
    let target = Target {
        kind: view.kind(&place)?,
        path: place,
        is_directory: wanted.is_directory,
        shown: path.to_owned(),
    };
    let lease = store.lease()?;
    let (staged, directory) = match from {
        Input::Stream(stream) => {
            if target.kind != Some(Kind::Directory) {
                return Err(CopyError::StreamToFile {
                    path: path.to_owned(),
                });
            }
            (Staged::taken(&lease, stream)?, target.path)
        }
        Input::File(source) => {
            let source = HostPath::source(&source, options.follow_link)?;
            let plan = Plan::of(&source.name, source.kind()?, target)?;
            let owner = if options.archive {
                Owner::Kept
            } else {
                Owner::Root
            };
            let write = |out: &mut dyn Write| source.write(&plan.name, owner, out);
            (Staged::made(&lease, write)?, plan.directory)
        }
    };
    if view.kind(&directory)? != Some(Kind::Directory) {
        return Err(CopyError::NoDirectory {
            path: path.to_owned(),
        });
    }
    staged.check(&directory, |path| view.kind(&join(&directory, path)))?;
    let target = view.writable(&directory, &staged.index)?;
    staged.unpack(&target, &directory, rights())?;
    Ok(staged.facts.tar_bytes)
}

/// Where something is to go.
struct Target {
    path: Vec<u8>,
    kind: Option<Kind>,
    /// A trailing slash says that it is a directory.
    is_directory: bool,
    shown: String,
}

/// A directory, and what the entry is to be called in it; nothing if it is its content that counts.
struct Plan {
    directory: Vec<u8>,
    name: Vec<u8>,
}

impl Plan {
    /// Docker's table of what `cp` does, by what source and destination are.
    fn of(name: &[u8], source: Kind, target: Target) -> Result<Self, CopyError> {
        let path = target.shown;
        let is_directory = source == Kind::Directory;
        match target.kind {
            Some(Kind::Directory) => {
                return Ok(Self {
                    directory: target.path,
                    name: name.to_vec(),
                });
            }
            Some(_) if is_directory => return Err(CopyError::DirectoryToFile { path }),
            Some(_) if target.is_directory => return Err(CopyError::NotADirectory { path }),
            None if target.is_directory && !is_directory => {
                return Err(CopyError::NoDirectory { path });
            }
            Some(_) | None => {}
        }
        let (directory, name) = split_last(&target.path);
        Ok(Self {
            directory: directory.to_vec(),
            name: name.to_vec(),
        })
    }
}

/// What is copied, as a tar and its index.
struct Staged {
    tar: StagedFile,
    _index: StagedFile,
    index: LayerIndex,
    facts: LayerFacts,
}

impl Staged {
    /// What `make` writes.
    fn made(
        lease: &Lease,
        make: impl FnOnce(&mut dyn Write) -> Result<(), CopyError>,
    ) -> Result<Self, CopyError> {
        let (tar, index) = (lease.file()?, lease.file()?);
        let facts = ingest::ingest_made(make, tar.file(), index.file());
        let facts = facts.map_err(|error| match error {
            MadeError::Make(error) => error,
            MadeError::Ingest(error) => CopyError::Ingest(error),
        })?;
        Self::open(tar, index, facts)
    }

    /// What a tar that comes from outside holds.
    fn taken(lease: &Lease, stream: &mut (dyn io::Read + Send)) -> Result<Self, CopyError> {
        let (tar, index) = (lease.file()?, lease.file()?);
        let facts = ingest::ingest(stream, tar.file(), index.file(), &|_| {});
        Self::open(tar, index, facts.map_err(CopyError::Ingest)?)
    }

    fn open(tar: StagedFile, index: StagedFile, facts: LayerFacts) -> Result<Self, CopyError> {
        let path = index.path();
        let file = File::open(path).map_err(failed("open", path.as_os_str().as_bytes()))?;
        Ok(Self {
            index: LayerIndex::open(file)?,
            tar,
            _index: index,
            facts,
        })
    }

    /// Refuses what would replace a directory by something else or the reverse; `there` says what
    /// a path below `directory` is.
    fn check(
        &self,
        directory: &[u8],
        there: impl Fn(&[u8]) -> Result<Option<Kind>, CopyError>,
    ) -> Result<(), CopyError> {
        let read = |path: &[u8]| failed("read", path);
        let root = Layer::root(&self.index);
        // Directories to go into, and whether they are there already.
        let mut open = vec![(Vec::new(), root, true)];
        let facts = Layer::facts(&self.index, root).map_err(read(b""))?;
        refuse_marks(facts.kind, directory)?;
        while let Some((here, inode, is_there)) = open.pop() {
            let entries = Layer::read_dir(&self.index, inode).map_err(read(&here))?;
            for (name, inode) in entries {
                let path = join(&here, &name);
                let kind = Layer::facts(&self.index, inode).map_err(read(&path))?.kind;
                let full = join(directory, &path);
                refuse_marks(kind, &full)?;
                let old = if is_there { there(&path)? } else { None };
                let is_directory = kind.is_directory();
                let words = |is_directory| {
                    if is_directory {
                        "directory"
                    } else {
                        "non-directory"
                    }
                };
                if old.is_some_and(|old| (old == Kind::Directory) != is_directory) {
                    return Err(CopyError::Conflict {
                        path: shown(&full),
                        there: words(!is_directory),
                        new: words(is_directory),
                    });
                }
                if is_directory {
                    open.push((path, inode, old.is_some()));
                }
            }
        }
        Ok(())
    }

    fn unpack(&self, target: &Root, path: &[u8], rights: Rights) -> Result<(), CopyError> {
        let options = Options {
            form: Form::Applied,
            rights,
        };
        unpack::unpack(&self.index, self.tar.file(), target, options)
            .map(drop)
            .map_err(|source| CopyError::Unpack {
                path: shown(path),
                source,
            })
    }
}

/// What this process may do with files.
fn rights() -> Rights {
    if !rustix::process::geteuid().is_root() {
        return Rights::Caller;
    }
    snapshot::rights()
}

/// Refuses what would delete something instead of copying.
fn refuse_marks(kind: Type, path: &[u8]) -> Result<(), CopyError> {
    match kind {
        Type::Whiteout | Type::Directory { opaque: true, .. } => {
            Err(CopyError::Reserved { path: shown(path) })
        }
        _ => Ok(()),
    }
}

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() || directory.ends_with(b"/") || name.is_empty() {
        b""
    } else {
        b"/"
    };
    [directory, slash, name].concat()
}

fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        // The root of the host keeps its slash.
        Some(0) => path.split_at(1),
        Some(slash) => (
            path.get(..slash).unwrap_or_default(),
            path.get(slash + 1..).unwrap_or_default(),
        ),
        None => (b"", path),
    }
}
