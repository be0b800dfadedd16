//! The merged tree of a stack as one tar, in a fixed order: what `export` and squashing want.
//! File bytes come from the layers' own tars; nothing is mounted or unpacked.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;

use thiserror::Error;

use crate::diff::Exactly;
use crate::stack::{Found, Inode, Stack, StackError, Type};
use crate::tar::{Metadata, WriteError, Writer};

/// Why a tar of a stack can't be made.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The stack can't be read.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A tar entry can't be written, or its content not be read.
    #[error(transparent)]
    Tar(#[from] WriteError),
    /// No tar was given for a layer.
    #[error("export /{}: no tar for layer {layer}", String::from_utf8_lossy(path))]
    NoTar {
        /// Path in the image.
        path: Vec<u8>,
        /// Number of the layer; 0 is the base.
        layer: usize,
    },
}

/// Writes everything that is in `stack`; `tars` are those of its layers, the base first (a layer of
/// real files on top needs none). The root
/// has an entry only if a layer gives it one.
///
/// # Errors
/// Any [`ExportError`].
pub fn export<W: Write>(
    stack: &Stack,
    tars: &[&File],
    out: &mut Writer<W>,
) -> Result<(), ExportError> {
    export_under(stack, tars, b"", out)
}

/// The same, with all of it in the directory `top` of the tar, which has an entry of its own in any case.
///
/// # Errors
/// Any [`ExportError`].
pub fn export_under<W: Write>(
    stack: &Stack,
    tars: &[&File],
    top: &[u8],
    out: &mut Writer<W>,
) -> Result<(), ExportError> {
    let root = stack.root()?;
    let implied = matches!(root.facts.kind, Type::Directory { implied: true, .. });
    let implied = implied && top.is_empty();
    let entries = stack.walk(root).skip(usize::from(implied));
    write_under(stack, tars, entries, top, out)
}

/// Writes `entries` of `stack` in the order given; a file that came before under another name
/// becomes a hard link to it. What a layer of real files has no more is left out.
///
/// # Errors
/// Any [`ExportError`], also those of `entries`.
pub fn write<W: Write>(
    stack: &Stack,
    tars: &[&File],
    entries: impl IntoIterator<Item = Result<Found, StackError>>,
    out: &mut Writer<W>,
) -> Result<(), ExportError> {
    write_under(stack, tars, entries, b"", out)
}

fn write_under<W: Write>(
    stack: &Stack,
    tars: &[&File],
    entries: impl IntoIterator<Item = Result<Found, StackError>>,
    top: &[u8],
    out: &mut Writer<W>,
) -> Result<(), ExportError> {
    let mut first_names: HashMap<(usize, Inode), Vec<u8>> = HashMap::new();
    for found in entries {
        let found = found?;
        let path = match (top.is_empty(), found.path.is_empty()) {
            (true, _) => found.path.clone(),
            (false, true) => top.to_vec(),
            (false, false) => [top, b"/", &found.path].concat(),
        };
        let metadata = metadata(stack, &found)?;
        let is_shared = !found.is_directory() && (found.nlink() > 1 || stack.links_layers());
        let inode = (found.layer, found.inode);
        if is_shared && let Some(target) = first_names.get(&inode) {
            out.hard_link(&path, &metadata, target)?;
            continue;
        }
        match entry(stack, tars, (&found, &path), &metadata, out) {
            Err(ExportError::Stack(error)) if error.is_gone() => continue,
            result => result?,
        }
        if is_shared {
            first_names.insert(inode, path);
        }
    }
    Ok(())
}

fn metadata(stack: &Stack, found: &Found) -> Result<Metadata, StackError> {
    let facts = found.facts;
    Ok(Metadata {
        mode: facts.mode,
        uid: facts.uid,
        gid: facts.gid,
        mtime_secs: facts.mtime_secs,
        mtime_nanos: facts.mtime_nanos,
        xattrs: stack.xattrs(found)?,
    })
}

fn entry<W: Write>(
    stack: &Stack,
    tars: &[&File],
    (found, path): (&Found, &[u8]),
    metadata: &Metadata,
    out: &mut Writer<W>,
) -> Result<(), ExportError> {
    match found.facts.kind {
        Type::Directory { .. } if path.is_empty() => out.directory(b".", metadata)?,
        Type::Directory { .. } => out.directory(path, metadata)?,
        Type::File { size_bytes } => {
            if let Some(file) = stack.file(found)? {
                out.file(
                    path,
                    metadata,
                    size_bytes,
                    &mut Exactly::new(file, size_bytes),
                )?;
                return Ok(());
            }
            let content = stack.content(found)?;
            let layer = content.layer;
            let tar = tars.get(layer).ok_or_else(|| ExportError::NoTar {
                path: found.path.clone(),
                layer,
            })?;
            out.file(path, metadata, size_bytes, &mut content.reader(tar))?;
        }
        Type::Symlink => out.symlink(path, metadata, &stack.read_link(found)?)?,
        Type::CharDevice { major, minor } => out.char_device(path, metadata, major, minor)?,
        Type::BlockDevice { major, minor } => out.block_device(path, metadata, major, minor)?,
        Type::Fifo => out.fifo(path, metadata)?,
        // A merged tree shows none.
        Type::Whiteout => {}
    }
    Ok(())
}
