//! Compressed forms of a layer: written for transport ([`gzip`], [`zstd()`]), read back from
//! wherever they come ([`open`]).
//!
//! Both writers cut the input into blocks, compress them on all cores and write each as a member
//! (gzip) or frame (zstd) of its own. Both formats allow that, and their readers all take it
//! (`gzip`, `zstd`, Go's and Python's; seekable layers have been such for years). The bytes depend
//! on input and level alone, never on the number of threads; gzip headers have no name and no time.
//!
//! Why libdeflate, in blocks of 1 MiB: one core of a busy machine, a tar of 180 MB of programs that
//! skopeo (Go's parallel gzip, default level) packs to 68.0 MB:
//!
//! | | MB/s | MB |
//! |---|---|---|
//! | libdeflate 1 | 122 | 69.0 |
//! | libdeflate 2 | 81 | 66.3 |
//! | libdeflate 6 | 55 | 63.9 |
//! | zlib-rs 3 | 61 | 67.9 |
//! | zlib-rs 6 | 47 | 66.2 |
//!
//! Blocks of 4 MiB make it 0.1 % smaller. Level 2 is the default: six layers of 1.0 GB take 10.4 s
//! CPU and 373 MB, skopeo's compression of them 24.9 s and 382 MB. zstd 3 takes 9.9 s and 327 MB.

mod gunzip;
mod parallel;

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::num::NonZeroUsize;

use shiplap_model::digest::Digest;
use shiplap_model::limits;

use gunzip::Gunzip;
use parallel::{BlockCompressor, compress_blocks};

/// The form of a layer or archive, as its first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// None that is known: not compressed.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// zstd (RFC 8878).
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
}

/// What a compressed form turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressed {
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Length of the compressed form, in bytes.
    pub size_bytes: u64,
    /// Bytes that went in.
    pub source_bytes: u64,
}

/// Why compressing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// What to compress can't be read.
    #[error("read data to compress: {0}")]
    Read(#[source] io::Error),
    /// The compressor refuses.
    #[error("compress data as {format}: {reason}")]
    Encode {
        /// The form asked for.
        format: Format,
        /// Its words.
        reason: String,
    },
    /// The compressed form can't be written.
    #[error("write compressed data: {0}")]
    Write(#[source] io::Error),
}

/// How hard [`gzip`] tries: 1 (fastest) to 12, the numbers up to 9 as gzip's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GzipLevel(u8);

/// How hard [`zstd()`] tries: 1 (fastest) to 22.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZstdLevel(u8);

impl GzipLevel {
    /// `None` for a level there isn't.
    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (1..=12).contains(&level).then_some(Self(level))
    }
}

impl Default for GzipLevel {
    fn default() -> Self {
        Self(2)
    }
}

impl ZstdLevel {
    /// `None` for a level there isn't.
    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (1..=22).contains(&level).then_some(Self(level))
    }
}

impl Default for ZstdLevel {
    fn default() -> Self {
        Self(3)
    }
}

/// Compresses `source` as gzip to `out`. Takes about 2 MiB of memory for each thread twice over.
///
/// # Errors
/// [`CompressError`].
pub fn gzip(
    source: impl Read,
    out: impl Write + Send,
    level: GzipLevel,
    threads: NonZeroUsize,
) -> Result<Compressed, CompressError> {
    let level = libdeflater::CompressionLvl::new(i32::from(level.0)).unwrap_or_default();
    let make = || Ok(GzipBlocks(libdeflater::Compressor::new(level)));
    compress_blocks(source, out, make, 1 << 20, threads)
}

/// Compresses `source` as zstd, with checksums, to `out`. Takes about 8 MiB of memory for each
/// thread twice over, beside the compressors' own (large for levels beyond 15).
///
/// # Errors
/// [`CompressError`].
pub fn zstd(
    source: impl Read,
    out: impl Write + Send,
    level: ZstdLevel,
    threads: NonZeroUsize,
) -> Result<Compressed, CompressError> {
    let make = || {
        let mut compressor =
            zstd::bulk::Compressor::new(i32::from(level.0)).map_err(zstd_refused)?;
        compressor.include_checksum(true).map_err(zstd_refused)?;
        Ok(ZstdBlocks(compressor))
    };
    compress_blocks(source, out, make, 4 << 20, threads)
}

struct GzipBlocks(libdeflater::Compressor);

impl BlockCompressor for GzipBlocks {
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.resize(self.0.gzip_compress_bound(block.len()), 0);
        let length = self.0.gzip_compress(block, out);
        let refused = |reason: libdeflater::CompressionError| CompressError::Encode {
            format: Format::Gzip,
            reason: reason.to_string(),
        };
        out.truncate(length.map_err(refused)?);
        Ok(())
    }
}

struct ZstdBlocks(zstd::bulk::Compressor<'static>);

impl BlockCompressor for ZstdBlocks {
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.resize(zstd::zstd_safe::compress_bound(block.len()), 0);
        let length = self
            .0
            .compress_to_buffer(block, &mut out[..])
            .map_err(zstd_refused)?;
        out.truncate(length);
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn zstd_refused(error: io::Error) -> CompressError {
    CompressError::Encode {
        format: Format::Zstd,
        reason: error.to_string(),
    }
}

/// Bytes that tell the longest mark apart.
const MARK_BYTES: usize = 10;

impl Format {
    /// Tells the form of data by its first ten bytes (or all, if it is shorter).
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // A first block, or the end of an empty stream.
            [
                b'B',
                b'Z',
                b'h',
                b'1'..=b'9',
                0x31,
                0x41,
                0x59,
                0x26,
                0x53,
                0x59,
                ..,
            ]
            | [
                b'B',
                b'Z',
                b'h',
                b'1'..=b'9',
                0x17,
                0x72,
                0x45,
                0x38,
                0x50,
                0x90,
                ..,
            ] => Self::Bzip2,
            _ => Self::Plain,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        })
    }
}

/// A reader of what `reader` holds, decompressed if its first bytes say so, with the form found.
/// It knows no bound on how much comes out: the caller must.
///
/// # Errors
/// Those of reading the first bytes. Later ones, from reading, are of kind `InvalidData` or
/// `UnexpectedEof` if the data is bad.
pub fn open<'a>(mut reader: impl BufRead + 'a) -> io::Result<(Format, Box<dyn Read + 'a>)> {
    let mut start = Vec::with_capacity(MARK_BYTES);
    reader
        .by_ref()
        .take(MARK_BYTES as u64)
        .read_to_end(&mut start)?;
    let format = Format::of(&start);
    Ok((
        format,
        decoder(format, io::Cursor::new(start).chain(reader))?,
    ))
}

/// A decoder of all members, frames or streams that `reader` holds.
pub(crate) fn decoder<'a>(
    format: Format,
    reader: impl BufRead + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match format {
        Format::Plain => Box::new(reader),
        Format::Gzip => Box::new(Gunzip::new(reader)),
        Format::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            decoder.window_log_max(limits::DECODER_MEMORY_BYTES.ilog2())?;
            Box::new(decoder)
        }
        Format::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream =
                liblzma::stream::Stream::new_stream_decoder(limits::DECODER_MEMORY_BYTES, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
        Format::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
    })
}

/// What follows the end of compressed data and is none.
pub(crate) fn trailing_data(format: Format) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("garbage after the end of the {format} data"),
    )
}

#[cfg(test)]
mod tests;
