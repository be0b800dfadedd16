//! What `ADD` brings from elsewhere: a file of the web, files of a git repository. Both are verified
//! against a checksum, if one is given, before anybody sees them.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::time::SystemTime;

use shiplap_model::digest::{Algorithm, DigestError, Hasher};
use shiplap_model::git_reference::GitReference;
use shiplap_model::{Digest, limits, path};
use shiplap_ops::RegistryFailure;
use shiplap_ops::fetch::{self, WebFile, fetch};
use shiplap_store::{StagedFile, StoreError};

use super::digest::ContentDigest;
use super::git::{self, GitError};
use super::load::{Surroundings, needs};
use super::web_memory::{KnownFile, WebMemory};
use super::{Context, Facts};

/// What is read at once.
const BUFFER_BYTES: usize = 128 << 10;
/// What a file is called whose address has no name.
const UNNAMED: &str = "__unnamed__";

/// A file of the web.
#[derive(Debug)]
pub struct WebSource {
    /// Its name: the last one of the address's path.
    pub name: String,
    /// Length, in bytes.
    pub size_bytes: u64,
    /// When it last changed, in seconds since 1970, if the server says.
    pub modified: Option<i64>,
    /// SHA-256 of it.
    pub sha256: Digest,
    /// Digest of its content, for keys.
    pub content: ContentDigest,
    /// None: it is as it was, so nobody fetched it.
    staged: Option<StagedFile>,
}

/// Whether what is known of a file is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// If it is as it was its bytes need not come.
    Enough,
    /// Its bytes are needed.
    Never,
}

/// Files of a repository.
#[derive(Debug)]
pub struct GitFiles {
    /// They.
    pub context: Context,
    /// Full ID of the commit.
    pub commit: String,
}

/// Why it can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It can't be fetched.
    #[error(transparent)]
    Download(#[from] RegistryFailure),
    /// It is not what it must be.
    #[error("fetch {address}: digest mismatch {found}: {expected}")]
    Checksum {
        /// Its address, without query.
        address: String,
        /// What came.
        found: Digest,
        /// What it must be.
        expected: Digest,
    },
    /// A checksum that is none.
    #[error("fetch {address}: {source}")]
    NoChecksum {
        /// Its address, as written.
        address: String,
        /// What is wrong.
        source: DigestError,
    },
    /// It was as it had been, and then it was not.
    #[error("fetch {address}: it changed while it was asked for; build again")]
    Changed {
        /// Its address, without query.
        address: String,
    },
    /// It can't be kept.
    #[error("keep {address}: {source}")]
    Write {
        /// Its address, without query.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The repository can't be had.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WebSource {
    /// The file, open at its beginning; `None` if it was not fetched.
    ///
    /// # Errors
    /// I/O failures.
    pub fn open(&self) -> io::Result<Option<File>> {
        let staged = self.staged.as_ref();
        let opened = staged.map(|staged| File::open(staged.path()));
        opened.transpose()
    }

    fn known(address: &str, known: KnownFile) -> Self {
        let KnownFile {
            validators: _,
            size_bytes,
            modified,
            sha256,
            content,
        } = known;
        Self {
            name: name_of(address),
            size_bytes,
            modified,
            sha256,
            content: ContentDigest(content),
            staged: None,
        }
    }
}

/// Fetches the file at `address`, if it has to be; `checksum` is what `--checksum` says.
///
/// # Errors
/// [`RemoteError`].
pub fn fetch_url(
    address: &str,
    checksum: Option<&str>,
    recall: Recall,
    around: Surroundings<'_>,
) -> Result<WebSource, RemoteError> {
    let no_checksum = |source| RemoteError::NoChecksum {
        address: address.to_owned(),
        source,
    };
    let expected: Option<Digest> = checksum.map(str::parse).transpose().map_err(no_checksum)?;
    let asked = expected.as_ref().map(Digest::hasher).transpose();
    let mut asked = asked.map_err(no_checksum)?;
    let memory = WebMemory::of(around.memories, address);
    let fits = |known: &KnownFile| {
        let expected = expected.as_ref();
        recall == Recall::Enough && expected.is_none_or(|expected| *expected == known.sha256)
    };
    let mut download = match ask(address, memory.recall().filter(fits), around)? {
        Asked::Known(known) => return Ok(WebSource::known(address, known)),
        Asked::Changed(download) => download,
    };
    let validators = download.validators();
    let shown = download.address().to_owned();
    let modified = download.last_modified().map(seconds);
    let staged = around.lease.file()?;
    let failed = |source: io::Error| match fetch::failure(source) {
        Ok(failure) => failure.into(),
        Err(source) => RemoteError::Write {
            address: shown.clone(),
            source,
        },
    };
    let mut sha256 = Hasher::new(Algorithm::Sha256);
    let mut content = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size_bytes = 0;
    loop {
        let count = download.read(&mut buffer).map_err(failed)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
            break;
        };
        staged.file().write_all(piece).map_err(failed)?;
        sha256.update(piece);
        if let Some(asked) = &mut asked {
            asked.update(piece);
        }
        content.update(piece);
        size_bytes += count as u64;
    }
    let sha256 = sha256.finish();
    if let (Some(expected), Some(asked)) = (expected, asked) {
        let found = asked.finish();
        if found != expected {
            return Err(RemoteError::Checksum {
                address: shown,
                found,
                expected,
            });
        }
    }
    let known = KnownFile {
        validators,
        size_bytes,
        modified,
        sha256,
        content: *content.finalize().as_bytes(),
    };
    // What can't be remembered is fetched again.
    if let Err(error) = memory.remember(&known) {
        tracing::warn!(%error, "a file of the web is not remembered");
    }
    Ok(WebSource {
        staged: Some(staged),
        ..WebSource::known(address, known)
    })
}

/// What a server says to who knows a file.
enum Asked {
    /// It is as it was.
    Known(KnownFile),
    /// It is not, or nobody knew.
    Changed(Box<WebFile>),
}

fn ask(
    address: &str,
    known: Option<KnownFile>,
    around: Surroundings<'_>,
) -> Result<Asked, RegistryFailure> {
    let limit_bytes = limits::LAYER_BYTES;
    let Some(known) = known else {
        let file = fetch(around.ops, address, limit_bytes)?;
        return Ok(Asked::Changed(Box::new(file)));
    };
    let changed = fetch::fetch_if_changed(around.ops, address, &known.validators, limit_bytes)?;
    Ok(changed.map_or(Asked::Known(known), |file| Asked::Changed(Box::new(file))))
}

/// Fetches the files of `reference`. `checksum` and `keep_git_dir` are what flags of `ADD` say,
/// beside what the reference has.
///
/// # Errors
/// [`RemoteError`].
pub fn fetch_git(
    reference: &GitReference,
    checksum: Option<&str>,
    keep_git_dir: bool,
    around: Surroundings<'_>,
) -> Result<GitFiles, RemoteError> {
    let mut reference = reference.clone();
    if let Some(checksum) = checksum {
        reference.checksum = Some(checksum.to_owned());
    }
    let keeps = keep_git_dir || reference.keep_git_dir == Some(true);
    let checkout = git::check_out(&reference, needs(around, keeps))?;
    let facts = Facts {
        commit_time: Some(checkout.commit_time),
        staged: Some(checkout.staged),
        ..Facts::default()
    };
    Ok(GitFiles {
        context: Context::new(checkout.root, checkout.directory, facts),
        commit: checkout.commit,
    })
}

fn seconds(time: SystemTime) -> i64 {
    let after = time.duration_since(SystemTime::UNIX_EPOCH);
    after.map_or(0, |after| i64::try_from(after.as_secs()).unwrap_or(0))
}

/// The last name of an address's path, without escapes.
fn name_of(address: &str) -> String {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let decoded = path::beneath(&unescape(path));
    match path::split(&decoded).1 {
        b"" => UNNAMED.to_owned(),
        name if name.len() > limits::NAME_BYTES || name.contains(&0) => UNNAMED.to_owned(),
        name => String::from_utf8_lossy(name).into_owned(),
    }
}

/// What is no whole escape stands for itself.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                // Two digits are one byte.
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_by_their_addresses() {
        fn check(address: &str, wanted: &str) {
            assert_eq!(name_of(address), wanted, "{address}");
        }
        check("https://h/a/b.tar.gz?x=/y#z", "b.tar.gz");
        check("https://h/a/b/", "b");
        check("https://h/", UNNAMED);
        check("https://h", UNNAMED);
        check("https://h/..", UNNAMED);
        check("https://h/a%2Fb", "b");
        check("https://h/a%20b%", "a b%");
        check("https://h/%2e%2e/%2e%2e", UNNAMED);
    }
}
