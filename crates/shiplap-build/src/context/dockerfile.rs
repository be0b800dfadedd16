//! Finds the Dockerfile of a build and the ignore file that belongs to it: `Dockerfile` (or
//! `dockerfile`) in the context, what `--file` names, standard input, an address of the web; beside it
//! `<Dockerfile>.dockerignore`, which comes before the context's `.dockerignore`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use shiplap_layer::root::Root;
use shiplap_model::ignore::{IgnoreError, Patterns};
use shiplap_model::limits;
use shiplap_ops::RegistryFailure;
use shiplap_ops::fetch::{self, fetch};

use super::source::is_url;

/// What a context's Dockerfile is called.
const DEFAULT_NAME: &str = "Dockerfile";
/// What an ignore file is called, and what follows a Dockerfile's name in that of its own.
const IGNORE_NAME: &str = ".dockerignore";

/// A Dockerfile, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its name, for people.
    pub name: String,
    /// What is in it.
    pub text: Vec<u8>,
    /// The ignore file that holds for its context, by name, and what is in it.
    pub ignore_file: Option<(String, Vec<u8>)>,
}

/// Why there is no Dockerfile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerfileError {
    /// It can't be opened or read.
    #[error("read dockerfile: {step} {name}: {}", words(source))]
    Read {
        /// `open` or `read`.
        step: &'static str,
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// It is longer than any.
    #[error(
        "read dockerfile: {name} is longer than {} bytes",
        limits::DOCKERFILE_BYTES
    )]
    TooLong {
        /// Its name.
        name: String,
    },
    /// The ignore file can't be read.
    #[error("read {name}: {}", words(source))]
    Ignore {
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The ignore file has what is no pattern.
    #[error("read {name}: {source}")]
    Patterns {
        /// Its name.
        name: String,
        /// What is wrong.
        source: IgnoreError,
    },
    /// It can't be fetched.
    #[error("read dockerfile: {0}")]
    Download(#[from] RegistryFailure),
}

impl Dockerfile {
    /// One that came on standard input (or was fetched), for the context `root`.
    pub(super) fn given(
        text: Vec<u8>,
        name: &str,
        root: Option<&Root>,
    ) -> Result<Self, DockerfileError> {
        Ok(Self {
            name: name.to_owned(),
            text,
            ignore_file: root.map(general_ignore).transpose()?.flatten(),
        })
    }

    /// The one of a context, at `path` in it.
    pub(super) fn within(root: &Root, path: Option<&str>) -> Result<Self, DockerfileError> {
        let wanted = path.unwrap_or(DEFAULT_NAME);
        let mut found = Err(error(wanted, "open", Errno::NOENT));
        for candidate in spellings(wanted) {
            found = read_within(root, &candidate, wanted, limits::DOCKERFILE_BYTES);
            if !matches!(&found, Err(DockerfileError::Read { source, .. }) if is_missing(source)) {
                break;
            }
        }
        let own = format!("{wanted}{IGNORE_NAME}");
        let ignore_file = match ignore_within(root, &own)? {
            Some(text) => Some((own, text)),
            None => general_ignore(root)?,
        };
        Ok(Self {
            text: found?,
            name: wanted.to_owned(),
            ignore_file,
        })
    }

    /// The one at a path of the user's, for the context `root`.
    pub(super) fn at(path: &Path, root: &Root) -> Result<Self, DockerfileError> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let failed = |step| {
            let name = name.clone();
            move |source| DockerfileError::Read { step, name, source }
        };
        let file = File::open(path).map_err(failed("open"))?;
        let text = read_all(file, &name)?;
        let mut own = path.as_os_str().to_owned();
        own.push(IGNORE_NAME);
        let own_name = format!("{name}{IGNORE_NAME}");
        let ignore_file = match read_ignore(Path::new(&own), &own_name)? {
            Some(text) => Some((own_name, text)),
            None => general_ignore(root)?,
        };
        Ok(Self {
            name,
            text,
            ignore_file,
        })
    }

    /// The one at an address of the web.
    pub(super) fn fetched(
        address: &str,
        ops: &shiplap_ops::Context,
        root: &Root,
    ) -> Result<Self, DockerfileError> {
        let file = fetch(ops, address, limits::DOCKERFILE_BYTES as u64)?;
        let name = file.address().to_owned();
        let text = read_all(file, &name)?;
        Self::given(text, &name, Some(root))
    }

    /// The patterns that hold for its context.
    pub(super) fn ignore(&self) -> Result<Patterns, DockerfileError> {
        let Some((name, text)) = &self.ignore_file else {
            return Ok(Patterns::default());
        };
        Patterns::read(text).map_err(|source| DockerfileError::Patterns {
            name: name.clone(),
            source,
        })
    }
}

/// A Dockerfile by its path, as text, and what the directory that it lies in leaves out of a context.
///
/// # Errors
/// [`DockerfileError`].
pub fn beside(path: &Path) -> Result<(Vec<u8>, Patterns), DockerfileError> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let name = path.display().to_string();
    let root = Root::open(directory.unwrap_or(Path::new(".")))
        .map_err(|errno| error(&name, "open", errno))?;
    let file = Dockerfile::at(path, &root)?;
    let ignored = file.ignore()?;
    Ok((file.text, ignored))
}

/// Finds a Dockerfile for a directory of the user's: `path` counts from where the user is; if it is
/// not there, from the context.
pub(super) fn find(
    path: Option<&str>,
    root: &Root,
    ops: &shiplap_ops::Context,
) -> Result<Dockerfile, DockerfileError> {
    let Some(path) = path else {
        return Dockerfile::within(root, None);
    };
    if is_url(path) {
        return Dockerfile::fetched(path, ops, root);
    }
    match Dockerfile::at(Path::new(path), root) {
        Err(DockerfileError::Read {
            step: "open",
            source,
            name,
        }) if is_missing(&source) && Path::new(path).is_relative() => {
            match Dockerfile::within(root, Some(path)) {
                Err(DockerfileError::Read { source: inner, .. }) if is_missing(&inner) => {
                    let step = "open";
                    Err(DockerfileError::Read { step, name, source })
                }
                found => found,
            }
        }
        found => found,
    }
}

/// All of a Dockerfile, of whatever kind its file is: a pipe, a terminal.
pub(super) fn read_all(source: impl Read, name: &str) -> Result<Vec<u8>, DockerfileError> {
    let mut text = Vec::new();
    let limit = limits::DOCKERFILE_BYTES as u64;
    match source.take(limit + 1).read_to_end(&mut text) {
        Ok(_) if text.len() > limits::DOCKERFILE_BYTES => Err(DockerfileError::TooLong {
            name: name.to_owned(),
        }),
        Ok(_) => Ok(text),
        Err(source) => match fetch::failure(source) {
            Ok(failure) => Err(failure.into()),
            Err(source) => Err(DockerfileError::Read {
                step: "read",
                name: name.to_owned(),
                source,
            }),
        },
    }
}

/// As it is written, and `dockerfile` for `Dockerfile`.
fn spellings(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    if let Some(directory) = path.strip_suffix(DEFAULT_NAME)
        && (directory.is_empty() || directory.ends_with('/'))
    {
        all.push(format!("{directory}{}", DEFAULT_NAME.to_lowercase()));
    }
    all
}

fn general_ignore(root: &Root) -> Result<Option<(String, Vec<u8>)>, DockerfileError> {
    let text = ignore_within(root, IGNORE_NAME)?;
    Ok(text.map(|text| (IGNORE_NAME.to_owned(), text)))
}

fn ignore_within(root: &Root, path: &str) -> Result<Option<Vec<u8>>, DockerfileError> {
    match read_within(root, path, path, limits::IGNORE_FILE_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(DockerfileError::Read { source, .. }) if is_missing(&source) => Ok(None),
        Err(DockerfileError::Read { name, source, .. }) => {
            Err(DockerfileError::Ignore { name, source })
        }
        Err(DockerfileError::TooLong { name }) => Err(DockerfileError::Patterns {
            name,
            source: IgnoreError::TooLarge,
        }),
        Err(other) => Err(other),
    }
}

/// An ignore file beside a Dockerfile of the user's.
fn read_ignore(path: &Path, name: &str) -> Result<Option<Vec<u8>>, DockerfileError> {
    let failed = |source| DockerfileError::Ignore {
        name: name.to_owned(),
        source,
    };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
        Ok(fd) => {
            let text = read_regular(File::from(fd), limits::IGNORE_FILE_BYTES).map_err(failed)?;
            text.map(Some).ok_or_else(|| DockerfileError::Patterns {
                name: name.to_owned(),
                source: IgnoreError::TooLarge,
            })
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

/// A file of the context, links followed inside it.
fn read_within(
    root: &Root,
    path: &str,
    name: &str,
    limit: usize,
) -> Result<Vec<u8>, DockerfileError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = root.open_at(path.as_bytes(), flags);
    let fd = fd.map_err(|errno| error(name, "open", errno))?;
    let text = read_regular(File::from(fd), limit);
    let text = text.map_err(|source| DockerfileError::Read {
        step: "read",
        name: name.to_owned(),
        source,
    })?;
    text.ok_or_else(|| DockerfileError::TooLong {
        name: name.to_owned(),
    })
}

/// `None` if it is longer than `limit`.
fn read_regular(file: File, limit: usize) -> io::Result<Option<Vec<u8>>> {
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR.into()),
        _ => return Err(io::Error::other("it is no regular file")),
    }
    let mut text = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut text)?;
    Ok((text.len() <= limit).then_some(text))
}

fn error(name: &str, step: &'static str, errno: Errno) -> DockerfileError {
    DockerfileError::Read {
        step,
        name: name.to_owned(),
        source: errno.into(),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The kernel's reasons in the words of Docker, which has them in lower case and without a number.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) if error.kind() == io::ErrorKind::NotFound => {
            "no such file or directory".to_owned()
        }
        Some(_) if error.kind() == io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        Some(_) if error.kind() == io::ErrorKind::PermissionDenied => {
            "permission denied".to_owned()
        }
        _ => error.to_string(),
    }
}
