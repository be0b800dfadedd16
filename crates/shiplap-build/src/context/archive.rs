//! A context that comes as an archive: told by its first bytes, unpacked into a directory of the
//! build's lease, as any layer is: beneath a handle, with the bounds that hold for layers.

use std::fs::File;
use std::io::{self, Read};

use shiplap_layer::compress::Format;
use shiplap_layer::erofs::{LayerIndex, ReadError};
use shiplap_layer::ingest::{self, IngestError};
use shiplap_layer::root::Root;
use shiplap_layer::stack::{Layer, Type};
use shiplap_layer::tar::{BLOCK_BYTES, Scanner};
use shiplap_layer::unpack::{self, Form, Options, Rights, UnpackError};
use shiplap_store::{Lease, StagedDirectory, StoreError};

/// Bytes that tell an archive from other things.
pub(super) const START_BYTES: usize = BLOCK_BYTES;

/// Why an archive can't be a context.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It can't be read, or is damaged, or a bomb.
    #[error("unpack context: {0}")]
    Read(#[from] IngestError),
    /// What was made of it can't be read.
    #[error("unpack context: {0}")]
    Index(#[from] ReadError),
    /// What was made of it can't be read.
    #[error("unpack context: read its entries: {0}")]
    Entries(#[source] io::Error),
    /// It can't be written.
    #[error("unpack context: {0}")]
    Unpack(#[from] UnpackError),
    /// A name by which layers delete.
    #[error(
        "unpack context: it deletes /{}, as only a layer of an image may (a name that begins with .wh.)",
        String::from_utf8_lossy(path)
    )]
    Whiteout {
        /// What it deletes.
        path: Vec<u8>,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory for it can't be opened.
    #[error("open directory for context: {0}")]
    Directory(#[source] io::Error),
}

/// Whether `start`, the first [`START_BYTES`] (or all there are), begin an archive: compressed data
/// of any known form, or a tar's first header.
pub(super) fn is_archive(start: &[u8]) -> bool {
    if Format::of(start) != Format::Plain {
        return true;
    }
    let Some(block) = start.get(..BLOCK_BYTES) else {
        return false;
    };
    let is_header = Scanner::default().push(block, |_| Ok(())).is_ok();
    is_header && block.iter().any(|byte| *byte != 0)
}

/// Unpacks all that `source` gives. Owners are kept if the process may set them.
pub(super) fn unpack(
    source: impl Read + Send,
    lease: &Lease,
    rights: Rights,
) -> Result<StagedDirectory, ArchiveError> {
    let (tar, index) = (lease.file()?, lease.file()?);
    ingest::ingest(source, tar.file(), index.file(), &|_| ())?;
    let reopened = File::open(index.path()).map_err(ArchiveError::Directory)?;
    let layer = LayerIndex::open(reopened)?;
    let staged = lease.directory()?;
    let root = Root::open(staged.path());
    let root = root.map_err(|error| ArchiveError::Directory(error.into()))?;
    let options = Options {
        form: Form::Applied,
        rights,
    };
    refuse_whiteouts(&layer)?;
    unpack::unpack(&layer, tar.file(), &root, options)?;
    Ok(staged)
}

/// What deletes has no meaning here, and would be lost without a word.
fn refuse_whiteouts(layer: &dyn Layer) -> Result<(), ArchiveError> {
    let mut open = vec![(Vec::new(), layer.root())];
    while let Some((path, directory)) = open.pop() {
        for (name, inode) in layer.read_dir(directory).map_err(ArchiveError::Entries)? {
            let path = super::entry::join(&path, &name);
            match layer.facts(inode).map_err(ArchiveError::Entries)?.kind {
                Type::Whiteout | Type::Directory { opaque: true, .. } => {
                    return Err(ArchiveError::Whiteout { path });
                }
                Type::Directory { .. } => open.push((path, inode)),
                _ => {}
            }
        }
    }
    Ok(())
}
