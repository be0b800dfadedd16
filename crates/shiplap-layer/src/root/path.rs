//! The rule of resolving a path inside a root, without touching a file system: where the links
//! are read from is the caller's.

use thiserror::Error;

/// Most symbolic links followed while one path is resolved: the kernel's own bound.
pub const SYMLINKS: usize = 40;

/// Too many symbolic links on the way.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "resolve {}: more than {SYMLINKS} symbolic links",
    String::from_utf8_lossy(path)
)]
pub struct Loop {
    /// The path that was to be resolved.
    pub path: Vec<u8>,
}

impl From<Loop> for rustix::io::Errno {
    fn from(_: Loop) -> Self {
        Self::LOOP
    }
}

/// Where `path` leads if `/` is the root that `read_link` knows: without leading slash, free of
/// links, `.` and `..`; empty for the root. Parts that don't exist (or lie in a file) are kept
/// as written. `read_link` gets such a clean path and says the link's target, or `None` for
/// anything that is no symbolic link.
///
/// # Errors
/// The outer one is `read_link`'s own, the inner one tells of a loop.
pub fn resolve_in_root<E>(
    path: &[u8],
    mut read_link: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, E>,
) -> Result<Result<Vec<u8>, Loop>, E> {
    let mut resolved: Vec<u8> = Vec::new();
    let mut rest: Vec<Vec<u8>> = names(path).rev().map(<[u8]>::to_vec).collect();
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == b".." {
            resolved.truncate(super::split_last(&resolved).0.len());
            continue;
        }
        let next = super::join(&resolved, &name);
        let Some(target) = read_link(&next)? else {
            resolved = next;
            continue;
        };
        links += 1;
        if links > SYMLINKS {
            return Ok(Err(Loop {
                path: path.to_vec(),
            }));
        }
        if target.first() == Some(&b'/') {
            resolved.clear();
        }
        rest.extend(names(&target).rev().map(<[u8]>::to_vec));
    }
    Ok(Ok(resolved))
}

/// The names of a path that say something: no empty ones, no `.`.
pub(crate) fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}
