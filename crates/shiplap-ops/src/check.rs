//! `system check`: every digest, record and index of the store proved, or put right.

use std::fs::File;
use std::io::{self, BufReader, Read as _};

use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::ingest;
use shiplap_store::{LayerFacts, LayerPort, PortError, StoreError};

use crate::context::Context;

pub use shiplap_store::{CheckReport, Fault, Finding};

/// Checks the store; with `repair`, rebuilds the database and the indexes from the blobs, and
/// takes away what can't be saved. `progress` gets the bytes read so far and those to read.
///
/// # Errors
/// [`StoreError`] if the store can't be checked; what is wrong with it is in the report.
pub fn check(
    context: &Context,
    repair: bool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CheckReport, StoreError> {
    match shiplap_store::check(&context.settings().root, repair, &Layers, progress) {
        // Where nothing was stored yet, nothing can be wrong.
        Err(StoreError::NoStore { .. }) => Ok(CheckReport::default()),
        result => result,
    }
}

struct Layers;

impl LayerPort for Layers {
    /// An index is a function of its tar: a sound one is, byte for byte, what would be made now.
    fn verify_index(&self, tar: &File, index: &File) -> Result<LayerFacts, PortError> {
        LayerIndex::open(index.try_clone()?)?.verify()?;
        let fresh = tempfile::tempfile()?;
        let facts = ingest::reindex(tar, &fresh)?;
        if !is_same(index, &fresh)? {
            return Err("it is not the index of its tar".into());
        }
        Ok(LayerFacts {
            content_bytes: facts.content_bytes,
            entries: facts.entries,
        })
    }

    fn build_index(&self, tar: &File, index: &File) -> Result<LayerFacts, PortError> {
        let facts = ingest::reindex(tar, index)?;
        Ok(LayerFacts {
            content_bytes: facts.content_bytes,
            entries: facts.entries,
        })
    }
}

fn is_same(left: &File, right: &File) -> io::Result<bool> {
    let length = left.metadata()?.len();
    if length != right.metadata()?.len() {
        return Ok(false);
    }
    let mut left = BufReader::with_capacity(256 << 10, Positioned(left, 0));
    let mut right = BufReader::with_capacity(256 << 10, Positioned(right, 0));
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut rest = length;
    while rest > 0 {
        let count = usize::try_from(rest).unwrap_or(usize::MAX).min(a.len());
        let (a, b) = (&mut a[..count], &mut b[..count]);
        left.read_exact(a)?;
        right.read_exact(b)?;
        if a != b {
            return Ok(false);
        }
        rest -= count as u64;
    }
    Ok(true)
}

/// Reads a file from a position of its own, whoever else reads it.
struct Positioned<'f>(&'f File, u64);

impl io::Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = std::os::unix::fs::FileExt::read_at(self.0, buffer, self.1)?;
        self.1 += count as u64;
        Ok(count)
    }
}
