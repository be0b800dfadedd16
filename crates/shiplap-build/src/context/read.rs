//! The bytes of a context's file, which must be those that its digest was computed from: a file
//! that was written meanwhile is an error, never a layer that its key doesn't describe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;
use shiplap_layer::root::Root;

use super::digest::ContentDigest;
use super::entry::{Entry, Kind, Stamp, Tree};
use super::error::FilesError;

/// Longest list of a file's attributes, and longest attribute: Linux's own bound.
const XATTR_BYTES: usize = 64 << 10;

/// Reads one file to its end, and fails there if it is not what it was.
#[derive(Debug)]
pub struct FileReader {
    file: File,
    path: Vec<u8>,
    stamp: Stamp,
    left_bytes: u64,
    digest: ContentDigest,
    /// Only where the file's times wouldn't tell of a change.
    hasher: Option<Box<blake3::Hasher>>,
    is_checked: bool,
}

impl FileReader {
    /// Opens a file of a tree; `None` if the entry is none.
    pub(super) fn open(
        root: &Root,
        tree: &Tree,
        entry: &Entry,
    ) -> Result<Option<Self>, FilesError> {
        let Kind::File(content) = &entry.kind else {
            return Ok(None);
        };
        let path = tree.path_of(entry);
        let file = open_file(root, &path, &entry.stamp)?;
        Ok(Some(Self {
            file,
            stamp: entry.stamp,
            left_bytes: content.size_bytes,
            digest: content.digest,
            hasher: (!entry.stamp.is_settled).then(Box::default),
            path,
            is_checked: false,
        }))
    }

    /// Attributes that belong to the file: the user's, and what a program may do.
    ///
    /// # Errors
    /// What the system says.
    pub fn xattrs(&self) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut names = Vec::with_capacity(XATTR_BYTES);
        let listed = rustix::fs::flistxattr(&self.file, spare_capacity(&mut names));
        match listed {
            Err(rustix::io::Errno::OPNOTSUPP) => return Ok(BTreeMap::new()),
            listed => listed?,
        };
        let mut xattrs = BTreeMap::new();
        for name in names.split(|byte| *byte == 0) {
            let is_own = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
            if !is_own && name != b"security.capability" {
                continue;
            }
            let mut value = Vec::with_capacity(XATTR_BYTES);
            match rustix::fs::fgetxattr(&self.file, name, spare_capacity(&mut value)) {
                // It is gone meanwhile, which the check at the end tells.
                Err(rustix::io::Errno::NODATA) => {}
                got => {
                    got?;
                    xattrs.insert(name.to_vec(), value);
                }
            }
        }
        Ok(xattrs)
    }

    fn changed(&self) -> io::Error {
        io::Error::other(FilesError::Changed {
            path: self.path.clone(),
        })
    }

    fn check(&mut self) -> io::Result<()> {
        if self.is_checked {
            return Ok(());
        }
        let now = Stamp::of(&rustix::fs::fstat(&self.file)?);
        let digest = self
            .hasher
            .as_ref()
            .map(|hasher| *hasher.finalize().as_bytes());
        if !now.is_same(&self.stamp) || digest.is_some_and(|digest| digest != self.digest.0) {
            return Err(self.changed());
        }
        self.is_checked = true;
        Ok(())
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left_bytes == 0 {
            self.check()?;
            return Ok(0);
        }
        let room =
            usize::try_from(self.left_bytes).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(self.changed());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        self.left_bytes -= count as u64;
        if self.left_bytes == 0 {
            // Whoever reads exactly the size must hear of it, too.
            self.check()?;
        }
        Ok(count)
    }
}

/// Opens what `stamp` was taken of.
pub(super) fn open_file(root: &Root, path: &[u8], stamp: &Stamp) -> Result<File, FilesError> {
    let changed = || FilesError::Changed {
        path: path.to_vec(),
    };
    let fd = match root.open_exact(path, OFlags::RDONLY | OFlags::NOCTTY) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            return Err(changed());
        }
        Err(error) => return Err(FilesError::file("open", path)(error)),
    };
    let stat = rustix::fs::fstat(&fd).map_err(FilesError::file("open", path))?;
    if Stamp::of(&stat).is_same(stamp) {
        Ok(File::from(fd))
    } else {
        Err(changed())
    }
}
