//! Makes a context, with its Dockerfile and ignore file, of what the user named: opens a directory,
//! unpacks an archive, checks a repository out.
//!
//! The ignore file holds for archives and repositories, too: the same files give the same image
//! whichever way they come.

use std::io::{self, Read};
use std::path::Path;

use shiplap_layer::root::Root;
use shiplap_layer::unpack::Rights;
use shiplap_model::ignore::Patterns;
use shiplap_model::limits;
use shiplap_ops::RegistryFailure;
use shiplap_ops::fetch::{self, fetch};
use shiplap_ops::snapshot::rights;
use shiplap_store::{Lease, StagedDirectory, StoreError};

use super::archive::{self, ArchiveError};
use super::dockerfile::{self, Dockerfile, DockerfileError, read_all};
use super::error::FilesError;
use super::git::{self, GitError, Needs};
use super::memory::StatMemory;
use super::repository;
use super::source::ContextSource;
use super::{Context, Facts};

/// What contexts are made with.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The way to the web, and what the caller decided.
    pub ops: &'a shiplap_ops::Context,
    /// Where unpacked files lie; they go with the context.
    pub lease: &'a Lease,
    /// The directory of the stat memories; `None`: nothing is remembered.
    pub memories: Option<&'a Path>,
    /// Socket of the agent that has keys for repositories.
    pub agent: Option<&'a Path>,
}

/// A build's main context.
#[derive(Debug)]
pub struct Loaded {
    /// Its files.
    pub context: Context,
    /// How it is built.
    pub dockerfile: Dockerfile,
}

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Standard input can't be both.
    #[error("prepare context: can't use stdin for both build context and dockerfile")]
    BothStdin,
    /// Standard input is a Dockerfile, and `--file` names another.
    #[error(
        "prepare context: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"
    )]
    Ambiguous,
    /// Nothing came.
    #[error("prepare context: nothing on {name}, want a Dockerfile or an archive")]
    Empty {
        /// Where it was to come from.
        name: String,
    },
    /// An image is no context with a Dockerfile.
    #[error("prepare context: {name:?} is an image")]
    Image {
        /// As it was written.
        name: String,
    },
    /// It can't be read.
    #[error("read {name}: {source}")]
    Read {
        /// Where it was to come from.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// It can't be fetched.
    #[error(transparent)]
    Download(#[from] RegistryFailure),
    /// There is no Dockerfile.
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    /// The archive is none.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The repository can't be had.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The directory can't be opened.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the main context of a build. `file` is what `--file` says; `stdin` is read only if it is
/// named.
///
/// # Errors
/// [`LoadError`].
pub fn load(
    source: &ContextSource,
    file: Option<&str>,
    stdin: &mut (dyn Read + Send),
    around: Surroundings<'_>,
) -> Result<Loaded, LoadError> {
    match source {
        ContextSource::Stdin if file == Some("-") => Err(LoadError::BothStdin),
        ContextSource::Stdin => of_bytes(stdin, "standard input", file, around),
        ContextSource::Url(address) => {
            let download = fetch(around.ops, address, limits::LAYER_BYTES)?;
            let name = download.address().to_owned();
            match file {
                Some("-") => {
                    let text = read_all(stdin, "stdin")?;
                    let mut download = download;
                    let Opened { archive, .. } = open(&mut download, &name)?;
                    unpacked(archive, Some(text), None, around)
                }
                _ => of_bytes(&mut { download }, &name, file, around),
            }
        }
        ContextSource::Directory(directory) => {
            let root = open_root(directory)?;
            let dockerfile = match file {
                Some("-") => Dockerfile::given(read_all(stdin, "stdin")?, "stdin", Some(&root))?,
                _ => dockerfile::find(file, &root, around.ops)?,
            };
            let context = of_directory(directory, root, dockerfile.ignore()?, around)?;
            Ok(Loaded {
                context,
                dockerfile,
            })
        }
        ContextSource::Git(reference) => {
            let keep_git_dir = reference.keep_git_dir == Some(true);
            let checkout = git::check_out(reference, needs(around, keep_git_dir))?;
            let dockerfile = match file {
                Some("-") => {
                    Dockerfile::given(read_all(stdin, "stdin")?, "stdin", Some(&checkout.root))?
                }
                _ => inside(file, &checkout.root, around)?,
            };
            let facts = Facts {
                ignore: dockerfile.ignore()?,
                commit_time: Some(checkout.commit_time),
                staged: Some(checkout.staged),
                ..Facts::default()
            };
            Ok(Loaded {
                context: Context::new(checkout.root, checkout.directory, facts),
                dockerfile,
            })
        }
        ContextSource::Image(name) | ContextSource::Layout(name) => {
            Err(LoadError::Image { name: name.clone() })
        }
    }
}

/// Makes a context with a name: files only, with the ignore file in it.
///
/// # Errors
/// [`LoadError`]; [`LoadError::Image`] for images, which are the caller's to open.
pub fn load_named(source: &ContextSource, around: Surroundings<'_>) -> Result<Context, LoadError> {
    match source {
        ContextSource::Directory(directory) => {
            let root = open_root(directory)?;
            let ignore = Dockerfile::given(Vec::new(), "", Some(&root))?.ignore()?;
            Ok(of_directory(directory, root, ignore, around)?)
        }
        ContextSource::Git(reference) => {
            let keep_git_dir = reference.keep_git_dir == Some(true);
            let checkout = git::check_out(reference, needs(around, keep_git_dir))?;
            let facts = Facts {
                ignore: Dockerfile::given(Vec::new(), "", Some(&checkout.root))?.ignore()?,
                commit_time: Some(checkout.commit_time),
                staged: Some(checkout.staged),
                ..Facts::default()
            };
            Ok(Context::new(checkout.root, checkout.directory, facts))
        }
        ContextSource::Url(address) => {
            let mut download = fetch(around.ops, address, limits::LAYER_BYTES)?;
            let name = download.address().to_owned();
            let opened = open(&mut download, &name)?;
            if !opened.is_archive {
                let source = io::Error::other("it is no archive");
                return Err(LoadError::Read { name, source });
            }
            let loaded = unpacked(opened.archive, Some(Vec::new()), None, around)?;
            Ok(loaded.context)
        }
        ContextSource::Stdin => Err(LoadError::BothStdin),
        ContextSource::Image(name) | ContextSource::Layout(name) => {
            Err(LoadError::Image { name: name.clone() })
        }
    }
}

pub(super) fn needs<'a>(around: Surroundings<'a>, keep_git_dir: bool) -> Needs<'a> {
    Needs {
        ops: around.ops,
        lease: around.lease,
        agent: around.agent,
        keep_git_dir,
    }
}

fn open_root(directory: &Path) -> Result<Root, FilesError> {
    Root::open(directory).map_err(FilesError::file("open", b""))
}

fn of_directory(
    directory: &Path,
    root: Root,
    ignore: Patterns,
    around: Surroundings<'_>,
) -> Result<Context, FilesError> {
    let absolute = std::fs::canonicalize(directory).map_err(FilesError::file("open", b""))?;
    let memory = match around.memories {
        Some(memories) => StatMemory::open(memories, &absolute),
        None => StatMemory::none(),
    };
    let facts = Facts {
        ignore,
        memory,
        commit_time: repository::commit_time(&absolute),
        ..Facts::default()
    };
    Ok(Context::new(root, absolute, facts))
}

/// The Dockerfile of a context that came from elsewhere: a path counts from its root, unless it is
/// absolute, or an address.
fn inside(
    file: Option<&str>,
    root: &Root,
    around: Surroundings<'_>,
) -> Result<Dockerfile, DockerfileError> {
    match file {
        Some(path) if Path::new(path).is_absolute() => Dockerfile::at(Path::new(path), root),
        Some(address) if super::source::is_url(address) => {
            Dockerfile::fetched(address, around.ops, root)
        }
        path => Dockerfile::within(root, path),
    }
}

/// Bytes of which the first were looked at.
struct Opened<R> {
    is_archive: bool,
    archive: R,
}

fn open<'a>(
    source: &'a mut (dyn Read + Send),
    name: &str,
) -> Result<Opened<impl Read + Send + use<'a>>, LoadError> {
    let mut start = Vec::new();
    let limit = archive::START_BYTES as u64;
    let read = source.take(limit).read_to_end(&mut start);
    read.map_err(|error| unreadable(name, error))?;
    if start.is_empty() {
        return Err(LoadError::Empty {
            name: name.to_owned(),
        });
    }
    Ok(Opened {
        is_archive: archive::is_archive(&start),
        archive: io::Cursor::new(start).chain(source),
    })
}

fn of_bytes(
    source: &mut (dyn Read + Send),
    name: &str,
    file: Option<&str>,
    around: Surroundings<'_>,
) -> Result<Loaded, LoadError> {
    let opened = open(source, name)?;
    if opened.is_archive {
        return unpacked(opened.archive, None, file, around);
    }
    if file.is_some() {
        return Err(LoadError::Ambiguous);
    }
    let text = read_all(opened.archive, name)?;
    let staged = around.lease.directory()?;
    let root = open_root(staged.path())?;
    let directory = staged.path().to_owned();
    let facts = Facts {
        staged: Some(staged),
        ..Facts::default()
    };
    Ok(Loaded {
        context: Context::new(root, directory, facts),
        dockerfile: Dockerfile::given(text, "Dockerfile", None)?,
    })
}

/// An archive as context, with the Dockerfile that was given or one in it.
fn unpacked(
    source: impl Read + Send,
    given: Option<Vec<u8>>,
    file: Option<&str>,
    around: Surroundings<'_>,
) -> Result<Loaded, LoadError> {
    let rights = rights();
    let staged: StagedDirectory = archive::unpack(source, around.lease, rights)?;
    let root = open_root(staged.path())?;
    let dockerfile = match given {
        Some(text) => Dockerfile::given(text, "stdin", Some(&root))?,
        None => inside(file, &root, around)?,
    };
    let directory = staged.path().to_owned();
    let facts = Facts {
        ignore: dockerfile.ignore()?,
        // Who may set no owners has none to keep.
        keeps_owners: rights != Rights::Caller,
        staged: Some(staged),
        ..Facts::default()
    };
    Ok(Loaded {
        context: Context::new(root, directory, facts),
        dockerfile,
    })
}

fn unreadable(name: &str, error: io::Error) -> LoadError {
    match fetch::failure(error) {
        Ok(failure) => failure.into(),
        Err(source) => LoadError::Read {
            name: name.to_owned(),
            source,
        },
    }
}

#[cfg(test)]
mod tests;
