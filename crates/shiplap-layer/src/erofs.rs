//! The layer index: an EROFS image that holds the names and facts of one layer and whose file
//! data points into the layer's uncompressed tar. The kernel mounts the pair, and
//! [`LayerIndex`] reads it without a mount. It never holds the data of plain files, never reads
//! a clock, and the same [`Tree`](crate::tree::Tree) always gives the same bytes.
//!
//! # Form on disk
//!
//! EROFS as Linux has it since 5.16 (extra devices), in blocks of 512 bytes, the tar's unit:
//!
//! | bytes | what |
//! |---|---|
//! | 0..1024 | zeros |
//! | 1024..1152 | superblock; its UUID is the body's digest, see below |
//! | 1152..1280 | device slot 1: the tar, mapped behind the index's own blocks |
//! | 1280..1536 | Shiplap's own header: version, checksum of the head, sizes, where the notes are |
//! | 1536.. | inodes, all of the extended form, each with its xattrs and inline data |
//! | then | data area: directory blocks, long link targets, copied chunks |
//! | then | notes; zeros up to the block's end |
//!
//! - A plain file is one flat inode: its start block lies in the tar's range of the unified
//!   address space, so it costs 64 bytes and no chunk index.
//! - A sparse file is chunk-based. A chunk that lies in the tar whole and on a 512-byte boundary
//!   points there; another one with data is copied into the data area; the rest are holes.
//! - A whiteout is a character device 0:0, an opaque directory has `trusted.overlay.opaque=y`:
//!   overlayfs understands both. Any other `trusted.overlay.*` comes from the image and is
//!   stored as `trusted.overlay.overlay.*`, which overlayfs shows under the original name and
//!   never obeys: an image can't smuggle in a redirect or a metacopy.
//! - An xattr whose name no EROFS prefix covers is stored under prefix 0, which the kernel skips.
//! - The notes hold what a mount must not show: implied directories, hard links into lower
//!   layers, the exact extents of sparse files.
//! - The UUID is the start of the SHA-256 of everything behind the superblock's block, so that
//!   overlayfs can tell layers apart and damage can be found ([`LayerIndex::verify`]).

mod format;
mod layout;
mod notes;
mod read;
mod sparse;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use read::{DirEntry, Facts, InodeId, InodeKind, LayerIndex, ReadDir, ReadError};
pub use write::{IndexSummary, ReadAt, WriteError, write};
