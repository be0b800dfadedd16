//! One regular file: made, filled from the tar with its holes kept, and given its attributes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{FileJob, Report, UnpackError, Unpacker, file_error, layer_error};
use crate::root::split_last;
use crate::stack::Type;
use crate::tree::Extent;

/// Up to here a file is copied through memory with two calls; above, within the kernel.
const BUFFER_BYTES: u64 = 128 << 10;

impl Unpacker<'_> {
    pub(super) fn write_file(&self, job: &FileJob) -> Result<Report, UnpackError> {
        let FileJob {
            dir,
            path,
            inode,
            facts,
        } = job;
        let name = split_last(path).1;
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(file_error("create", path))?;
        let extents = self.layer.extents(*inode).map_err(layer_error(path))?;
        let Type::File { size_bytes } = facts.kind else {
            return Err(layer_error(path)(io::ErrorKind::InvalidData.into()));
        };
        let file = File::from(fd);
        let mut content_bytes = 0;
        for extent in &extents {
            copy(self.tar, &file, *extent).map_err(file_error("write", path))?;
            content_bytes += extent.length;
        }
        if content_bytes != size_bytes {
            file.set_len(size_bytes)
                .map_err(file_error("write", path))?;
        }
        let fd = OwnedFd::from(file);
        let xattrs_left_out = self.set_all(&fd, path, *inode, *facts)?;
        Ok(Report {
            content_bytes,
            xattrs_left_out,
            ..Report::default()
        })
    }
}

/// Copies one run of bytes from the tar to its place in the file.
fn copy(tar: &File, file: &File, extent: Extent) -> io::Result<()> {
    let Extent {
        file_offset,
        tar_offset,
        length,
    } = extent;
    file_offset
        .checked_add(length)
        .ok_or(io::ErrorKind::InvalidData)?;
    let (mut from, mut to, mut left) = (tar_offset, file_offset, length);
    while left > BUFFER_BYTES {
        let want = usize::try_from(left.min(1 << 30)).map_err(|_| io::ErrorKind::InvalidData)?;
        match rustix::fs::copy_file_range(tar, Some(&mut from), file, Some(&mut to), want) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => left -= (copied as u64).min(left),
            Err(Errno::INTR) => {}
            // Not between these file systems.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let mut buffer = Vec::new();
    while left > 0 {
        let want = left.min(BUFFER_BYTES);
        buffer.resize(
            usize::try_from(want).map_err(|_| io::ErrorKind::InvalidData)?,
            0,
        );
        tar.read_exact_at(&mut buffer, from)?;
        file.write_all_at(&buffer, to)?;
        (from, to, left) = (from + want, to + want, left - want);
    }
    Ok(())
}
