//! A step's changes written as the tar of a layer, in the order of the names' bytes, a directory
//! before what is in it. Directories that are there already and hold something new are written
//! with the attributes they have, since not every tool looks below for them.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use shiplap_layer::stack::{Found, Stack, Type};
use shiplap_layer::tar::{Metadata, WriteError, Writer};
use shiplap_ops::step::Cancel;

use super::CopyError;
use super::target::{
    Content, Directory, Leaf, LeafKind, LinkNumber, Node, Target, join, metadata_of,
};
use crate::execute::selection::Selected;

/// Writes all that the layer has.
pub(super) fn write<W: Write>(
    target: &Target<'_>,
    out: &mut Writer<W>,
    cancel: &Cancel,
) -> Result<(), CopyError> {
    let mut entries = Entries {
        below: target.below(),
        out,
        first_names: HashMap::new(),
        cancel,
    };
    // The root itself has no entry: no tool puts its attributes into a layer.
    entries.children(target.root(), b"")
}

struct Entries<'e, W> {
    below: &'e Stack,
    out: &'e mut Writer<W>,
    /// Of hard links: what the first was called.
    first_names: HashMap<LinkNumber, Vec<u8>>,
    cancel: &'e Cancel,
}

impl<W: Write> Entries<'_, W> {
    fn children(&mut self, directory: &Directory, path: &[u8]) -> Result<(), CopyError> {
        for (name, node) in &directory.children {
            let path = join(path, name);
            match node {
                Node::Directory(directory) => self.directory(directory, &path)?,
                Node::Leaf(leaf) => self.leaf(leaf, &path)?,
            }
        }
        Ok(())
    }

    fn directory(&mut self, directory: &Directory, path: &[u8]) -> Result<(), CopyError> {
        match (&directory.metadata, &directory.below) {
            (Some(metadata), _) => self.out.directory(path, metadata)?,
            (None, Some(found)) if !directory.children.is_empty() => {
                let metadata = metadata_of(found, self.below)?;
                self.out.directory(path, &metadata)?;
            }
            // Nothing is new in it, or whoever looks is to look below for its attributes.
            (None, _) => {}
        }
        if directory.opaque {
            self.out.opaque(path)?;
        }
        self.children(directory, path)
    }

    fn leaf(&mut self, leaf: &Leaf, path: &[u8]) -> Result<(), CopyError> {
        let metadata = &leaf.metadata;
        match &leaf.kind {
            LeafKind::File { content, link } => {
                if let Some(link) = link {
                    if let Some(first) = self.first_names.get(link) {
                        self.out.hard_link(path, metadata, first)?;
                        return Ok(());
                    }
                    self.first_names.insert(*link, path.to_vec());
                }
                self.file(content, metadata, path)?;
            }
            LeafKind::Symlink(target) => self.out.symlink(path, metadata, target)?,
            LeafKind::CharDevice(major, minor) => {
                self.out.char_device(path, metadata, *major, *minor)?;
            }
            LeafKind::BlockDevice(major, minor) => {
                self.out.block_device(path, metadata, *major, *minor)?;
            }
            LeafKind::Fifo => self.out.fifo(path, metadata)?,
        }
        Ok(())
    }

    fn file(
        &mut self,
        content: &Content,
        metadata: &Metadata,
        path: &[u8],
    ) -> Result<(), CopyError> {
        if self.cancel.is_cancelled() {
            return Err(CopyError::Canceled);
        }
        let written = match content {
            Content::Inline(bytes) => {
                self.out
                    .file(path, metadata, bytes.len() as u64, &mut &bytes[..])
            }
            Content::Part(tar, content) => {
                let mut reader = content.reader(tar);
                self.out
                    .file(path, metadata, content.size_bytes, &mut reader)
            }
            Content::Below(files, found) => {
                let mut bytes = files.bytes(found)?;
                let size_bytes = size_of(found);
                self.watched(path, metadata, size_bytes, bytes.reader())
            }
            Content::Selected(selected, number) => {
                return self.selected(selected, *number, metadata, path);
            }
        };
        self.outcome(written)
    }

    fn selected(
        &mut self,
        selected: &Selected,
        number: usize,
        metadata: &Metadata,
        path: &[u8],
    ) -> Result<(), CopyError> {
        let opened = selected.open(number)?;
        let Some(mut opened) = opened else {
            return Ok(());
        };
        let metadata = Metadata {
            xattrs: opened.xattrs,
            ..metadata.clone()
        };
        let size_bytes = selected.tree.entries[number].size_bytes();
        let written = self.watched(path, &metadata, size_bytes, opened.bytes.reader());
        self.outcome(written)
    }

    fn watched(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        size_bytes: u64,
        reader: Box<dyn Read + '_>,
    ) -> Result<(), WriteError> {
        let mut reader = Watched {
            reader,
            cancel: self.cancel,
        };
        self.out.file(path, metadata, size_bytes, &mut reader)
    }

    fn outcome(&self, written: Result<(), WriteError>) -> Result<(), CopyError> {
        match written {
            Err(_) if self.cancel.is_cancelled() => Err(CopyError::Canceled),
            result => Ok(result?),
        }
    }
}

fn size_of(found: &Found) -> u64 {
    match found.facts.kind {
        Type::File { size_bytes } => size_bytes,
        _ => 0,
    }
}

/// A long read that ends when nobody wants it any more.
struct Watched<'a> {
    reader: Box<dyn Read + 'a>,
    cancel: &'a Cancel,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.reader.read(buffer)
    }
}
