//! The bytes of a file of an image, known by their hash. Reads a tar and nothing else.

use std::fs::File;
use std::io::{self, Read as _};

use shiplap_layer::stack::Content;

/// Bytes that are read at once: few enough to stay in a core's cache.
const BUFFER: usize = 128 << 10;

/// The hash of the first `most` bytes of a file; `tar` is that of its layer.
pub(crate) fn hash(content: &Content, tar: &File, most: u64) -> io::Result<blake3::Hash> {
    let mut reader = content.reader(tar).take(most);
    let wanted = content.size_bytes.min(most).min(BUFFER as u64);
    let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(BUFFER).max(1)];
    let mut hasher = blake3::Hasher::new();
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}
