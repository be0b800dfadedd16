//! Puts what was selected of a context into a directory of its own. It writes beneath a handle of that
//! directory, reads with the same check as a layer's writer, and removes nothing.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use shiplap_layer::root::Root;
use shiplap_layer::unpack::Rights;
use shiplap_model::path;
use shiplap_ops::snapshot::rights;

use super::Context;
use super::entry::{Content, Entry, Kind, Tree};
use super::error::FilesError;

/// Where entries go.
struct Placing<'a> {
    context: &'a Context,
    tree: &'a Tree,
    /// What an entry without a path is called: a file that was selected by itself.
    name: &'a [u8],
    root: Root,
    sets_owners: bool,
}

/// Places all entries of `tree` in `target`.
pub(super) fn place(
    context: &Context,
    tree: &Tree,
    name: &[u8],
    target: &Path,
) -> Result<(), FilesError> {
    let placing = Placing {
        context,
        tree,
        name,
        root: Root::open(target).map_err(FilesError::file("open", b""))?,
        sets_owners: rights() != Rights::Caller,
    };
    let is_file = |entry: &&Entry| matches!(entry.kind, Kind::File(_)) && entry.hard_link.is_none();
    for entry in tree
        .entries
        .iter()
        .filter(|entry| !is_file(entry) && entry.hard_link.is_none())
    {
        placing
            .make(entry)
            .map_err(FilesError::file("place", &entry.path))?;
    }
    let files = tree.entries.par_iter().filter(is_file);
    files.try_for_each(|entry| placing.write(entry))?;
    for entry in &tree.entries {
        placing
            .link(entry)
            .map_err(FilesError::file("link", &entry.path))?;
    }
    // Directories last, the deepest first: what is done in one changes its time.
    for entry in tree.entries.iter().rev() {
        placing
            .finish(entry)
            .map_err(FilesError::file("place", &entry.path))?;
    }
    Ok(())
}

impl Placing<'_> {
    fn path<'e>(&'e self, entry: &'e Entry) -> &'e [u8] {
        if entry.path.is_empty() && entry.kind != Kind::Directory {
            self.name
        } else {
            &entry.path
        }
    }

    /// The open directory that an entry goes into, and its name there.
    fn place_of<'e>(&'e self, entry: &'e Entry) -> Result<(OwnedFd, &'e [u8]), Errno> {
        let (parent, name) = path::split(self.path(entry));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Ok((self.root.open_exact(parent, flags)?, name))
    }

    /// Makes what is no file. A directory is the owner's alone until it is complete.
    fn make(&self, entry: &Entry) -> Result<(), Errno> {
        if entry.path.is_empty() && entry.kind == Kind::Directory {
            return Ok(());
        }
        let (directory, name) = self.place_of(entry)?;
        let device = |kind, major, minor| {
            let number = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(&directory, name, kind, Mode::RUSR, number)
        };
        match &entry.kind {
            Kind::Directory => return rustix::fs::mkdirat(&directory, name, Mode::RWXU),
            Kind::File(_) => return Ok(()),
            Kind::Link(target) => rustix::fs::symlinkat(target.as_slice(), &directory, name)?,
            Kind::Fifo => device(FileType::Fifo, 0, 0)?,
            Kind::CharDevice(major, minor) => device(FileType::CharacterDevice, *major, *minor)?,
            Kind::BlockDevice(major, minor) => device(FileType::BlockDevice, *major, *minor)?,
        }
        if self.sets_owners {
            let (uid, gid) = owner(entry);
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(&directory, name, Some(uid), Some(gid), flags)?;
        }
        if !matches!(entry.kind, Kind::Link(_)) {
            let mode = Mode::from_raw_mode(entry.mode);
            rustix::fs::chmodat(&directory, name, mode, AtFlags::empty())?;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(&directory, name, &times(entry), flags)
    }

    fn write(&self, entry: &Entry) -> Result<(), FilesError> {
        let Some(mut reader) = self.context.read(self.tree, entry)? else {
            return Ok(());
        };
        let failed = |source: io::Error| match source.downcast::<FilesError>() {
            Ok(changed) => changed,
            Err(source) => FilesError::file("place", &entry.path)(source),
        };
        let make = || {
            let (directory, name) = self.place_of(entry)?;
            let flags =
                OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            Ok(File::from(rustix::fs::openat(
                directory, name, flags, mode,
            )?))
        };
        let mut file = make().map_err(failed)?;
        io::copy(&mut reader, &mut file).map_err(failed)?;
        self.attributes(&file, entry)
            .map_err(|error| failed(error.into()))
    }

    fn attributes(&self, file: &File, entry: &Entry) -> Result<(), Errno> {
        if self.sets_owners {
            let (uid, gid) = owner(entry);
            rustix::fs::fchown(file, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
        if let Kind::File(Content {
            capability: Some(capability),
            ..
        }) = &entry.kind
            && self.sets_owners
        {
            let name = "security.capability";
            rustix::fs::fsetxattr(file, name, capability, XattrFlags::empty())?;
        }
        rustix::fs::futimens(file, &times(entry))
    }

    /// Makes a further name of a file.
    fn link(&self, entry: &Entry) -> Result<(), Errno> {
        let Some(first) = entry
            .hard_link
            .and_then(|first| self.tree.entries.get(first))
        else {
            return Ok(());
        };
        let (from, old) = self.place_of(first)?;
        let (to, new) = self.place_of(entry)?;
        rustix::fs::linkat(from, old, to, new, AtFlags::empty())
    }

    /// Gives a directory what it has.
    fn finish(&self, entry: &Entry) -> Result<(), Errno> {
        if entry.kind != Kind::Directory {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = self.root.open_exact(&entry.path, flags)?;
        if self.sets_owners {
            let (uid, gid) = owner(entry);
            rustix::fs::fchown(&directory, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(directory.as_fd(), Mode::from_raw_mode(entry.mode))?;
        rustix::fs::futimens(&directory, &times(entry))
    }
}

fn owner(entry: &Entry) -> (Uid, Gid) {
    (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid))
}

fn times(entry: &Entry) -> Timestamps {
    let moment = Timespec {
        tv_sec: entry.mtime.seconds,
        tv_nsec: entry.mtime.nanoseconds.into(),
    };
    Timestamps {
        last_access: moment,
        last_modification: moment,
    }
}
