//! Owner, mode, times and extended attributes of what was made; devices, links and the end of
//! directories. Order matters: a change of owner clears setuid and capabilities, a mode may
//! forbid attributes, and times come last.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::{End, Ended, Form, Rights, UnpackError, Unpacker, file_error, layer_error};
use crate::root::split_last;
use crate::stack::{Facts, Inode, Type, is_overlay_xattr};

impl Unpacker<'_> {
    /// Makes anything but directories and regular files.
    pub(super) fn special(
        &mut self,
        dir: &OwnedFd,
        path: &[u8],
        inode: Inode,
        facts: Facts,
    ) -> Result<(), UnpackError> {
        let name = split_last(path).1;
        let made = match facts.kind {
            Type::Symlink => {
                let target = self.layer.read_link(inode).map_err(layer_error(path))?;
                rustix::fs::symlinkat(target, dir, name)
            }
            Type::Fifo => rustix::fs::mkfifoat(dir, name, Mode::RUSR | Mode::WUSR),
            Type::Whiteout => {
                return device(dir, name, FileType::CharacterDevice, 0, 0)
                    .map_err(file_error("create whiteout", path));
            }
            Type::CharDevice { .. } | Type::BlockDevice { .. }
                if self.options.rights != Rights::Full =>
            {
                self.report.devices_left_out += 1;
                return Ok(());
            }
            Type::CharDevice { major, minor } => {
                device(dir, name, FileType::CharacterDevice, major, minor)
            }
            Type::BlockDevice { major, minor } => {
                device(dir, name, FileType::BlockDevice, major, minor)
            }
            Type::File { .. } | Type::Directory { .. } => Ok(()),
        };
        made.map_err(file_error("create", path))?;
        self.own(dir, name, path, facts)?;
        self.report.xattrs_left_out += self.set_xattrs(path, inode, |xattr, value| {
            // No call takes a handle of a link or device; the last name is not followed.
            let mut file = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
            file.extend_from_slice(name);
            rustix::fs::lsetxattr(file, xattr, value, XattrFlags::empty())
        })?;
        if facts.kind != Type::Symlink {
            rustix::fs::chmodat(dir, name, mode(facts), AtFlags::empty())
                .map_err(file_error("set mode of", path))?;
        }
        rustix::fs::utimensat(dir, name, &times(facts), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(file_error("set times of", path))
    }

    /// All attributes of a file or directory that is open; says how many xattrs were left out.
    pub(super) fn set_all(
        &self,
        fd: &OwnedFd,
        path: &[u8],
        inode: Inode,
        facts: Facts,
    ) -> Result<u64, UnpackError> {
        if self.options.rights != Rights::Caller {
            rustix::fs::fchown(
                fd,
                Some(Uid::from_raw(facts.uid)),
                Some(Gid::from_raw(facts.gid)),
            )
            .map_err(file_error("set owner of", path))?;
        }
        let left_out = self.set_xattrs(path, inode, |name, value| {
            rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty())
        })?;
        rustix::fs::fchmod(fd, mode(facts)).map_err(file_error("set mode of", path))?;
        rustix::fs::futimens(fd, &times(facts)).map_err(file_error("set times of", path))?;
        Ok(left_out)
    }

    /// What a directory gets when all in it is made.
    pub(super) fn end_directory(&mut self, ended: &Ended) -> Result<(), UnpackError> {
        let Ended { dir, path, end } = ended;
        match end {
            End::Set(inode, facts) => {
                self.clear_xattrs(dir, path, *inode)?;
                if let Form::Layer(marks) = self.options.form
                    && matches!(facts.kind, Type::Directory { opaque: true, .. })
                {
                    let name = marks.name("opaque");
                    rustix::fs::fsetxattr(dir, name, b"y", XattrFlags::empty())
                        .map_err(file_error("mark opaque", path))?;
                }
                self.report.xattrs_left_out += self.set_all(dir, path, *inode, *facts)?;
            }
            End::Restore(stat) => {
                if self.options.rights == Rights::Caller {
                    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
                    rustix::fs::fchmod(dir, mode).map_err(file_error("set mode of", path))?;
                }
                let mtime = Timespec {
                    tv_sec: stat.st_mtime,
                    tv_nsec: stat.st_mtime_nsec as _,
                };
                let atime = Timespec {
                    tv_sec: stat.st_atime,
                    tv_nsec: stat.st_atime_nsec as _,
                };
                let times = Timestamps {
                    last_access: atime,
                    last_modification: mtime,
                };
                rustix::fs::futimens(dir, &times).map_err(file_error("set times of", path))?;
            }
        }
        Ok(())
    }

    fn own(
        &self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        facts: Facts,
    ) -> Result<(), UnpackError> {
        if self.options.rights == Rights::Caller {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(facts.uid), Gid::from_raw(facts.gid));
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(file_error("set owner of", path))
    }

    /// Sets through `set` what may pass; says how many were left out.
    fn set_xattrs(
        &self,
        path: &[u8],
        inode: Inode,
        set: impl Fn(&[u8], &[u8]) -> Result<(), Errno>,
    ) -> Result<u64, UnpackError> {
        let mut left_out = 0;
        for (name, value) in self.layer.xattrs(inode).map_err(layer_error(path))? {
            let may = match self.options.rights {
                Rights::Full => true,
                Rights::Namespace => !name.starts_with(b"trusted."),
                Rights::Caller => name.starts_with(b"user."),
            };
            if !may || is_overlay_xattr(&name) {
                left_out += 1;
                continue;
            }
            match set(&name, &value) {
                // The file system doesn't know it, or not on this kind of file.
                Err(Errno::OPNOTSUPP | Errno::PERM) => left_out += 1,
                other => other.map_err(file_error("set attributes of", path))?,
            }
        }
        Ok(left_out)
    }

    /// An entry for a directory that was there replaces its attributes too.
    fn clear_xattrs(&self, dir: &OwnedFd, path: &[u8], inode: Inode) -> Result<(), UnpackError> {
        if self.options.form != Form::Applied {
            return Ok(());
        }
        let keep = self.layer.xattrs(inode).map_err(layer_error(path))?;
        for name in crate::root::xattr_names(dir).map_err(file_error("read attributes of", path))? {
            // Labels are the host's, marks the overlay's whose upper directory this may be.
            let is_foreign = name == b"security.selinux" || is_overlay_xattr(&name);
            if !keep.contains_key(&name) && !is_foreign {
                match rustix::fs::fremovexattr(dir, name.as_slice()) {
                    Ok(()) | Err(Errno::PERM | Errno::NODATA | Errno::OPNOTSUPP) => {}
                    Err(error) => return Err(file_error("set attributes of", path)(error)),
                }
            }
        }
        Ok(())
    }
}

fn device(dir: &OwnedFd, name: &[u8], kind: FileType, major: u32, minor: u32) -> Result<(), Errno> {
    let number = rustix::fs::makedev(major, minor);
    rustix::fs::mknodat(dir, name, kind, Mode::RUSR | Mode::WUSR, number)
}

fn mode(facts: Facts) -> Mode {
    Mode::from_raw_mode(u32::from(facts.mode))
}

/// The modification time; the access time stays as it is.
fn times(facts: Facts) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: facts.mtime_secs,
            tv_nsec: facts.mtime_nanos.into(),
        },
    }
}
