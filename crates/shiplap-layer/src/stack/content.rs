//! The bytes of a file of the stack, read from its layer's tar.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use crate::tree::Extent;

/// Where the bytes of a regular file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Number of the layer in whose tar they are; 0 is the base.
    pub layer: usize,
    /// Apparent size in bytes.
    pub size_bytes: u64,
    /// The runs of bytes, ascending; what none covers is zeros.
    pub extents: Vec<Extent>,
}

/// Reads a file from the tar of its layer, holes as zeros. Fails with `UnexpectedEof` if the tar is
/// shorter than the extents say.
#[derive(Debug)]
pub struct ContentReader<'a> {
    tar: &'a File,
    content: &'a Content,
    position: u64,
    extent: usize,
}

impl Content {
    /// A reader of the file; `tar` is that of layer [`Content::layer`].
    #[must_use]
    pub fn reader<'a>(&'a self, tar: &'a File) -> ContentReader<'a> {
        self.reader_at(tar, 0)
    }

    /// The same from byte `position` of the file on; nothing if that is past its end.
    #[must_use]
    pub fn reader_at<'a>(&'a self, tar: &'a File, position: u64) -> ContentReader<'a> {
        ContentReader {
            tar,
            content: self,
            position,
            extent: 0,
        }
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.content.size_bytes.saturating_sub(self.position);
        let extents = &self.content.extents;
        while extents
            .get(self.extent)
            .is_some_and(|e| end(e) <= self.position)
        {
            self.extent += 1;
        }
        let next = extents.get(self.extent);
        let start = next.map_or(u64::MAX, |extent| extent.file_offset);
        let want = if start > self.position {
            left.min(start - self.position)
        } else {
            left.min(next.map_or(0, end) - self.position)
        };
        let want = usize::try_from(want)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let buffer = &mut buffer[..want];
        match next {
            Some(extent) if start <= self.position => {
                let offset = extent.tar_offset.checked_add(self.position - start);
                let offset = offset.ok_or(io::ErrorKind::InvalidData)?;
                self.tar.read_exact_at(buffer, offset)?;
            }
            _ => buffer.fill(0),
        }
        self.position += want as u64;
        Ok(want)
    }
}

fn end(extent: &Extent) -> u64 {
    extent.file_offset.saturating_add(extent.length)
}
