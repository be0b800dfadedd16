//! `image ls`, `image cat` and `image cp`: files straight out of an image, found by the layer
//! indexes and read from the layers' tars. No mount, no rights, nothing unpacked that isn't asked
//! for.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::export::{self, ExportError};
use shiplap_layer::ingest;
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Found, Stack, StackError, Type};
use shiplap_layer::tar::Writer;
use shiplap_layer::unpack::{self, Form, Options, Rights, UnpackError};
use shiplap_model::DiffId;
use shiplap_store::StoreError;

use crate::context::Context;
use crate::snapshot::{self, OpenImage, SnapshotError};

/// Why files can't be had out of an image.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The image can't be opened.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The path can't be followed.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something other than a regular file has no content to show.
    #[error("read {} of {image}: it is {kind}", String::from_utf8_lossy(path))]
    NotAFile {
        /// The image.
        image: String,
        /// The path in it.
        path: Vec<u8>,
        /// What it is.
        kind: &'static str,
    },
    /// The content can't be read, or not be written where it goes.
    #[error("read {} of {image}: {source}", String::from_utf8_lossy(path))]
    Read {
        /// The image.
        image: String,
        /// The path in it.
        path: Vec<u8>,
        /// What went wrong.
        source: io::Error,
    },
    /// The files can't be taken together.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The files can't be written.
    #[error("copy to {}: {source}", path.display())]
    Unpack {
        /// Where they go.
        path: PathBuf,
        /// What went wrong.
        source: UnpackError,
    },
    /// The place they go can't be used.
    #[error("{action} {}: {source}", path.display())]
    Destination {
        /// What was done.
        action: &'static str,
        /// Where they go.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// One entry of an image's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedFile {
    /// Path from the root, with leading slash.
    pub path: String,
    /// As `ls -l` shows it, `-rwsr-xr-x`.
    pub mode: String,
    /// Names it has.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size of a file in bytes, of a device its major and minor number, else 0.
    pub size_bytes: u64,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// Modification time, seconds since 1970.
    pub mtime_secs: i64,
    /// Target of a symbolic link.
    pub target: Option<String>,
    /// The layer that it comes from.
    pub layer: Option<DiffId>,
}

/// Lists the entry at `path` of the image, or what is in it if it is a directory; with
/// `recursive` all that is below it.
///
/// # Errors
/// [`FilesError`].
pub fn list(
    context: &Context,
    image: &str,
    path: &Path,
    recursive: bool,
) -> Result<Vec<ListedFile>, FilesError> {
    let open = snapshot::open(context, image)?;
    let layers = context.store()?.image_layers(&open.id)?;
    let describe = |found: &Found| describe(&open, found, &layers);
    let here = open.stack.resolve(path.as_os_str().as_bytes(), true)?;
    if !here.is_directory() {
        return Ok(vec![describe(&here)?]);
    }
    if recursive {
        return open
            .stack
            .walk(here)
            .skip(1)
            .map(|found| describe(&found?))
            .collect();
    }
    open.stack
        .read_dir(&here)?
        .iter()
        .map(|(_, found)| describe(found))
        .collect()
}

fn describe(
    open: &OpenImage,
    found: &Found,
    layers: &[shiplap_store::LayerRecord],
) -> Result<ListedFile, FilesError> {
    let facts = &found.facts;
    let (kind, size_bytes, device) = match facts.kind {
        Type::Directory { .. } => ('d', 0, None),
        Type::File { size_bytes } => ('-', size_bytes, None),
        Type::Symlink => ('l', 0, None),
        Type::CharDevice { major, minor } => ('c', 0, Some((major, minor))),
        Type::BlockDevice { major, minor } => ('b', 0, Some((major, minor))),
        Type::Fifo => ('p', 0, None),
        Type::Whiteout => ('c', 0, Some((0, 0))),
    };
    let target = match facts.kind {
        Type::Symlink => Some(String::from_utf8_lossy(&open.stack.read_link(found)?).into_owned()),
        _ => None,
    };
    Ok(ListedFile {
        path: format!("/{}", String::from_utf8_lossy(&found.path)),
        mode: format!("{kind}{}", permissions(facts.mode)),
        links: found.nlink(),
        uid: facts.uid,
        gid: facts.gid,
        size_bytes,
        device,
        mtime_secs: facts.mtime_secs,
        target,
        layer: layers
            .get(found.top_layer())
            .map(|layer| layer.diff_id.clone()),
    })
}

/// `rwxr-xr-t`, as `ls -l` shows the low 12 bits of a mode.
pub(crate) fn permissions(mode: u16) -> String {
    let class = |shift: u16, special: u16, marks: [char; 2]| {
        let bits = mode >> shift;
        let read = if bits & 4 != 0 { 'r' } else { '-' };
        let write = if bits & 2 != 0 { 'w' } else { '-' };
        let execute = match (mode & special != 0, bits & 1 != 0) {
            (true, true) => marks[0],
            (true, false) => marks[1],
            (false, true) => 'x',
            (false, false) => '-',
        };
        [read, write, execute]
    };
    let owner = class(6, 0o4000, ['s', 'S']);
    let group = class(3, 0o2000, ['s', 'S']);
    let other = class(0, 0o1000, ['t', 'T']);
    owner.into_iter().chain(group).chain(other).collect()
}

/// Writes the content of the file at `path` of the image to `out`.
///
/// # Errors
/// [`FilesError`].
pub fn cat(
    context: &Context,
    image: &str,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(), FilesError> {
    let open = snapshot::open(context, image)?;
    let path = path.as_os_str().as_bytes();
    let found = open.stack.resolve(path, true)?;
    let kind = match found.facts.kind {
        Type::File { .. } => None,
        Type::Directory { .. } => Some("a directory"),
        Type::Fifo => Some("a named pipe"),
        _ => Some("a device"),
    };
    if let Some(kind) = kind {
        return Err(FilesError::NotAFile {
            image: image.to_owned(),
            path: path.to_owned(),
            kind,
        });
    }
    let content = open.stack.content(&found)?;
    let read_error = |source| FilesError::Read {
        image: image.to_owned(),
        path: path.to_owned(),
        source,
    };
    let tar = open.tars.get(content.layer);
    let tar = tar.ok_or_else(|| read_error(io::ErrorKind::NotFound.into()))?;
    let mut reader = io::BufReader::with_capacity(256 << 10, content.reader(tar));
    io::copy(&mut reader.by_ref(), out)
        .map(drop)
        .map_err(read_error)
}

/// Where copied files go.
pub enum CopyTo<'a> {
    /// Into this directory if it is one, else under this name.
    Path(PathBuf),
    /// As a tar.
    Stream(&'a mut dyn Write),
}

/// Copies the entry at `path` of the image, with all that is below it, to `to`. Files belong to
/// the caller; modes and times stay; devices are left out. A symbolic link is copied as one.
///
/// # Errors
/// [`FilesError`].
pub fn copy(context: &Context, image: &str, path: &Path, to: CopyTo<'_>) -> Result<(), FilesError> {
    let open = snapshot::open(context, image)?;
    let found = open.stack.resolve(path.as_os_str().as_bytes(), false)?;
    match to {
        CopyTo::Stream(stream) => {
            let name = base_name(&found).to_vec();
            Ok(take_out(&open.stack, &open.tars, found, &name, stream)?)
        }
        CopyTo::Path(destination) => copy_to_path(context, &open, found, &destination),
    }
}

fn copy_to_path(
    context: &Context,
    open: &OpenImage,
    found: Found,
    destination: &Path,
) -> Result<(), FilesError> {
    let name = base_name(&found).to_vec();
    let (directory, name) = if destination.is_dir() {
        (destination.to_owned(), name)
    } else {
        let parent = destination
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let name = destination
            .file_name()
            .unwrap_or(OsStr::new(""))
            .as_bytes()
            .to_vec();
        (parent.unwrap_or(Path::new(".")).to_owned(), name)
    };
    place(context, open, found, &name, &directory, Rights::Caller)
}

/// Puts all files of the image into `directory`, over what is there. They belong to the caller;
/// modes and times stay; devices are left out.
///
/// # Errors
/// [`FilesError`].
pub fn copy_all(context: &Context, image: &str, directory: &Path) -> Result<(), FilesError> {
    let open = snapshot::open(context, image)?;
    let root = open.stack.root()?;
    place(context, &open, root, b"", directory, Rights::Caller)
}

/// Fills the empty directory `directory` with what the image has in its directory `path`, owners
/// and all; with nothing if there is no such directory.
pub(crate) fn fill(
    context: &Context,
    open: &OpenImage,
    path: &[u8],
    directory: &Path,
) -> Result<(), FilesError> {
    match open.stack.resolve(path, true) {
        Ok(found) if found.is_directory() => {
            place(context, open, found, b"", directory, snapshot::rights())
        }
        Ok(_) | Err(StackError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Puts an entry of the image and all below it into `directory`, called `name`.
fn place(
    context: &Context,
    open: &OpenImage,
    found: Found,
    name: &[u8],
    directory: &Path,
    rights: Rights,
) -> Result<(), FilesError> {
    let failed = |action| {
        let path = directory.to_owned();
        move |source| FilesError::Destination {
            action,
            path,
            source,
        }
    };
    fs::metadata(directory).map_err(failed("open"))?;
    let root = Root::open(directory).map_err(|errno| failed("open")(errno.into()))?;
    let lease = context.store()?.lease()?;
    let (tar, index) = (lease.file()?, lease.file()?);
    let out = BufWriter::new(tar.file());
    take_out(&open.stack, &open.tars, found, name, out)?;
    let made = |error: ingest::IngestError| failed("prepare the copy to")(io::Error::other(error));
    ingest::reindex(tar.file(), index.file()).map_err(made)?;
    let reopened = fs::File::open(index.path()).map_err(failed("prepare the copy to"))?;
    let index = LayerIndex::open(reopened)
        .map_err(|error| failed("prepare the copy to")(io::Error::other(error)))?;
    let options = Options {
        form: Form::Applied,
        rights,
    };
    unpack::unpack(&index, tar.file(), &root, options)
        .map(drop)
        .map_err(|source| FilesError::Unpack {
            path: directory.to_owned(),
            source,
        })
}

/// The last name of a path; nothing for the root.
fn base_name(found: &Found) -> &[u8] {
    found.path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// Writes the entry of a tree and all below it as a tar in which the entry is called `name`; a
/// directory without name is the tar's root. The layers of `stack` have the tars `tars`.
pub(crate) fn take_out(
    stack: &Stack,
    tars: &[fs::File],
    found: Found,
    name: &[u8],
    out: impl Write,
) -> Result<(), ExportError> {
    let prefix_len = found.path.len();
    let rename = |found: Result<Found, StackError>| {
        found.map(|mut found| {
            let below = found.path.get(prefix_len..).unwrap_or_default();
            let below = below.strip_prefix(b"/").unwrap_or(below);
            let slash: &[u8] = if name.is_empty() || below.is_empty() {
                b""
            } else {
                b"/"
            };
            found.path = [name, slash, below].concat();
            found
        })
    };
    let entries: Box<dyn Iterator<Item = _>> = if found.is_directory() {
        Box::new(stack.walk(found))
    } else {
        Box::new(std::iter::once(Ok(found)))
    };
    let tars: Vec<_> = tars.iter().collect();
    let mut writer = Writer::new(out);
    export::write(stack, &tars, entries.map(rename), &mut writer)?;
    writer.finish().map(drop).map_err(ExportError::from)
}

#[cfg(test)]
mod tests {
    use super::permissions;

    #[test]
    fn modes_as_ls_shows_them() {
        let check = |mode: u16, expected: &str| assert_eq!(permissions(mode), expected, "{mode:o}");
        check(0o755, "rwxr-xr-x");
        check(0o644, "rw-r--r--");
        check(0o4755, "rwsr-xr-x");
        check(0o4644, "rwSr--r--");
        check(0o2755, "rwxr-sr-x");
        check(0o1777, "rwxrwxrwt");
        check(0o1776, "rwxrwxrwT");
        check(0, "---------");
    }
}
