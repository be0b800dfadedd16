//! Dockerfiles on disk: finds them, reads them with the ignore file that belongs to them, and puts what
//! was rewritten in their place.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use shiplap_model::ignore::Patterns;
use shiplap_model::limits;

use crate::context::{DockerfileError, beside};

/// A Dockerfile, read.
#[derive(Debug, Clone)]
pub struct Opened {
    /// As it was named.
    pub name: String,
    /// Its text.
    pub text: Vec<u8>,
    /// What its context leaves out; `None`: nobody knows what its context is.
    pub ignored: Option<Patterns>,
}

/// Why a Dockerfile can't be linted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// It, or its ignore file, can't be read.
    #[error("lint {}: {source}", path.display())]
    Dockerfile {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: DockerfileError,
    },
    /// A directory can't be listed.
    #[error("look for Dockerfiles in {}: {source}", path.display())]
    List {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is none in a directory.
    #[error("find a Dockerfile in {}", .0.display())]
    None(PathBuf),
    /// There are more in a directory than anybody wants.
    #[error("look for Dockerfiles in {}: there are more than {}", .0.display(), limits::LINTED_FILES)]
    TooMany(PathBuf),
    /// It can't be written.
    #[error("write {}: {source}", path.display())]
    Write {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Directories in which no Dockerfile of one's own lies.
const FOREIGN: [&str; 5] = [".git", "node_modules", ".venv", "venv", "vendor"];

/// The Dockerfiles that paths name: files themselves, and those in directories, in the order of paths.
///
/// # Errors
/// [`FilesError`] if a directory has none.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FilesError> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        below(path, path, &mut found)?;
        if found.len() == before {
            return Err(FilesError::None(path.clone()));
        }
    }
    Ok(found)
}

fn below(top: &Path, directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let failed = |source| FilesError::List {
        path: directory.to_owned(),
        source,
    };
    let mut names: Vec<fs::DirEntry> = fs::read_dir(directory)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(failed)?;
        // Links to directories may lead in circles; those to files are what they lead to.
        let is_file = || kind.is_file() || kind.is_symlink() && entry.path().is_file();
        if kind.is_dir() && !FOREIGN.contains(&name.as_ref()) {
            below(top, &entry.path(), found)?;
        } else if is_dockerfile(&name) && is_file() {
            if found.len() >= limits::LINTED_FILES {
                return Err(FilesError::TooMany(top.to_owned()));
            }
            // As people write it: not ./Dockerfile of the current directory.
            let path = entry.path();
            found.push(path.strip_prefix("./").map_or(path.clone(), Path::to_owned));
        }
    }
    Ok(())
}

/// `Dockerfile`, `Containerfile`, the same with something behind or before it.
fn is_dockerfile(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_it = |word: &str| {
        lower == word
            || lower
                .strip_prefix(word)
                .is_some_and(|rest| rest.starts_with(['.', '-', '_']))
            || lower
                .strip_suffix(word)
                .is_some_and(|rest| rest.ends_with(['.', '-', '_']))
    };
    (is_it("dockerfile") || is_it("containerfile"))
        && !lower.ends_with("ignore")
        && !lower.ends_with(".md")
        && !lower.ends_with(".orig")
}

/// Reads a Dockerfile, and the ignore file of the directory that it lies in.
///
/// # Errors
/// [`FilesError::Dockerfile`].
pub fn open(path: &Path) -> Result<Opened, FilesError> {
    let read = beside(path).map_err(|source| FilesError::Dockerfile {
        path: path.to_owned(),
        source,
    })?;
    let (text, ignored) = read;
    Ok(Opened {
        name: path.display().to_string(),
        text,
        ignored: Some(ignored),
    })
}

/// The ignore file that belongs to a Dockerfile alone, if there is one that can be read.
#[must_use]
pub fn own_ignore(path: &Path) -> Option<Vec<u8>> {
    let mut own = path.as_os_str().to_owned();
    own.push(".dockerignore");
    fs::read(own).ok()
}

/// Puts a text in the place of a file, at once, with the rights that it had. A link stays one.
///
/// # Errors
/// [`FilesError::Write`].
pub fn replace(path: &Path, text: &[u8]) -> Result<(), FilesError> {
    let failed = |source| FilesError::Write {
        path: path.to_owned(),
        source,
    };
    let place = fs::canonicalize(path).map_err(failed)?;
    let rights = fs::metadata(&place).map_err(failed)?.permissions();
    let directory = place.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(text).map_err(failed)?;
    file.as_file().set_permissions(rights).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&place).map_err(|error| failed(error.error))?;
    Ok(())
}
