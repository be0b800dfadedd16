//! The two paths of a `cp`, as they are written.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use shiplap_layer::diff::{self, Owner};
use shiplap_layer::root::Root;
use shiplap_layer::tar::Writer;

use super::view::{self, Kind};
use super::{CopyError, Target, failed, shown, split_last};

/// How often the target of a dangling link may be a link itself.
const LINKS: usize = 10;

/// A path in a container, relative to its root wherever it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContainerPath {
    /// Without `.`, `..` and empty names; no link was followed.
    pub(super) path: Vec<u8>,
    /// It ends in a slash, or in `/.`.
    pub(super) is_directory: bool,
    /// It ends in `/.`: the content counts, not the directory.
    pub(super) is_content: bool,
}

impl ContainerPath {
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut names: Vec<&[u8]> = Vec::new();
        for name in text.split(|byte| *byte == b'/') {
            match name {
                b"" | b"." => {}
                b".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        let is_content = names.is_empty() || text.ends_with(b"/.");
        Self {
            path: names.join(&b'/'),
            is_directory: is_content || text.ends_with(b"/"),
            is_content,
        }
    }

    /// What it is called where it is copied to; nothing if its content is meant.
    pub(super) fn name(&self) -> &[u8] {
        if self.is_content {
            b""
        } else {
            split_last(&self.path).1
        }
    }
}

/// A path of the host.
pub(super) struct HostPath {
    /// Absolute.
    path: PathBuf,
    /// What it is called where it is copied to; nothing if its content is meant.
    pub(super) name: Vec<u8>,
    is_directory: bool,
    shown: String,
}

impl HostPath {
    /// Something to copy. It ends in what is copied itself: no link, unless a link is copied.
    pub(super) fn source(text: &Path, follow_link: bool) -> Result<Self, CopyError> {
        let bytes = text.as_os_str().as_bytes();
        let written = ContainerPath::parse(bytes);
        let is_directory = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
        let open = || failed("copy", bytes);
        let meta = if follow_link || is_directory {
            fs::metadata(text)
        } else {
            fs::symlink_metadata(text)
        };
        let meta = meta.map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => CopyError::NotFound { path: shown(bytes) },
            io::ErrorKind::NotADirectory => CopyError::NotADirectory { path: shown(bytes) },
            _ => open()(error),
        })?;
        if is_directory && !meta.is_dir() {
            return Err(CopyError::NotADirectory { path: shown(bytes) });
        }
        let path = if meta.is_symlink() {
            let parent = text.parent().filter(|parent| *parent != Path::new(""));
            let parent = fs::canonicalize(parent.unwrap_or(Path::new("."))).map_err(open())?;
            parent.join(text.file_name().unwrap_or_default())
        } else {
            fs::canonicalize(text).map_err(open())?
        };
        let is_content = bytes == b"." || bytes.ends_with(b"/.");
        let name = if is_content || path == Path::new("/") {
            Vec::new()
        } else if bytes.ends_with(b"..") || written.path.is_empty() {
            split_last(path.as_os_str().as_bytes()).1.to_vec()
        } else {
            split_last(&written.path).1.to_vec()
        };
        Ok(Self {
            path,
            name,
            is_directory,
            shown: shown(bytes),
        })
    }

    /// Somewhere to copy to: a link that leads nowhere stands for where it would lead.
    pub(super) fn destination(text: &Path) -> Result<Self, CopyError> {
        let bytes = text.as_os_str().as_bytes();
        let mut path = text.to_owned();
        for _ in 0..LINKS {
            match fs::canonicalize(&path) {
                Ok(found) => {
                    path = found;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("copy to", bytes)(error)),
            }
            let Ok(target) = fs::read_link(&path) else {
                break;
            };
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        if !path.is_absolute() {
            path = Path::new(".").join(path);
        }
        Ok(Self {
            path,
            name: Vec::new(),
            is_directory: bytes.ends_with(b"/") || bytes.ends_with(b"/."),
            shown: shown(bytes),
        })
    }

    pub(super) fn target(self) -> Target {
        let kind = fs::metadata(&self.path).ok().map(|meta| {
            if meta.is_dir() {
                Kind::Directory
            } else {
                Kind::Other
            }
        });
        let mut path = self.path.into_os_string().into_vec();
        while path.len() > 1 && (path.ends_with(b"/") || path.ends_with(b"/.")) {
            path.pop();
        }
        Target {
            path,
            kind,
            is_directory: self.is_directory,
            shown: self.shown,
        }
    }

    pub(super) fn kind(&self) -> Result<Kind, CopyError> {
        let (root, name) = self.opened()?;
        view::kind_in(&root, &name)?.ok_or_else(|| CopyError::NotFound {
            path: self.shown.clone(),
        })
    }

    /// Writes it as a tar, under another name.
    pub(super) fn write(
        &self,
        name: &[u8],
        owner: Owner,
        out: &mut dyn Write,
    ) -> Result<(), CopyError> {
        let (root, path) = self.opened()?;
        let name = if name.is_empty() { b"." } else { name };
        let mut writer = Writer::new(out);
        diff::write_tree(&root, &path, name, owner, &mut writer)?;
        writer.finish()?;
        Ok(())
    }

    /// The directory that it is in, and its name.
    fn opened(&self) -> Result<(Root, Vec<u8>), CopyError> {
        let (directory, name) = split_last(self.path.as_os_str().as_bytes());
        let root = Root::open(Path::new(OsStr::from_bytes(directory)));
        Ok((root.map_err(failed("open", directory))?, name.to_vec()))
    }
}
