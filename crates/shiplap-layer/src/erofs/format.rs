//! The numbers and records of EROFS as the index uses them, and Shiplap's header beside the
//! superblock. Pure: bytes in, bytes out.

use shiplap_model::limits;

/// Bytes of a block, the tar's unit.
pub(super) const BLOCK: u64 = 512;
/// Block size as a power of two.
pub(super) const BLOCK_BITS: u8 = 9;
/// Where the superblock is; its block also holds the device slot and Shiplap's header.
pub(super) const SUPERBLOCK_AT: u64 = 1024;
/// Where the first inode (the root directory) is.
pub(super) const INODES_AT: u64 = SUPERBLOCK_AT + BLOCK;
/// Inode numbers count these.
pub(super) const SLOT: u64 = 32;
/// Bytes of an extended inode.
pub(super) const INODE: u64 = 64;
/// Bytes of one directory entry without its name.
pub(super) const DIRENT: usize = 12;
/// Bytes before the xattr entries of an inode.
pub(super) const XATTR_HEADER: usize = 12;
/// Bytes of one chunk index entry.
pub(super) const CHUNK_ENTRY: u64 = 8;
/// A block address that means: no data.
pub(super) const NO_BLOCK: u32 = u32::MAX;
/// Longest target of a symbolic link, in bytes: PATH_MAX less the closing NUL.
pub(super) const SYMLINK_BYTES: usize = limits::PATH_BYTES - 1;

const MAGIC: u32 = 0xE0F5_E1E2;
/// Times are modification times. The superblock's own checksum is left out: with blocks of 512
/// bytes erofs-utils 1.8 computes its length below zero and crashes. Shiplap's header has one.
const COMPAT: u32 = 0x2;
const INCOMPAT: u32 = 0x4 | 0x8; // chunk-based files; device table
const DEVICE_SLOT_AT: usize = 128;
const HEADER_AT: usize = 256;
const HEADER_MAGIC: [u8; 8] = *b"shiplapI";
const HEADER_VERSION: u32 = 1;

/// How an inode's data is stored: EROFS's data layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataLayout {
    /// Consecutive blocks.
    Plain,
    /// Consecutive blocks, the last partial one behind the inode.
    Inline,
    /// A table of chunks behind the inode.
    Chunks,
}

/// The extended inode, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawInode {
    pub(super) layout: DataLayout,
    /// Bytes of the xattr area; 0 or a multiple of 4 from 12 on.
    pub(super) xattr_bytes: u32,
    /// `st_mode`, type included.
    pub(super) mode: u16,
    pub(super) size: u64,
    /// Start block, device number or chunk format.
    pub(super) data: u32,
    /// Serial number, from 1.
    pub(super) serial: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime_secs: i64,
    pub(super) mtime_nanos: u32,
    pub(super) nlink: u32,
}

impl RawInode {
    pub(super) fn encode(&self) -> [u8; INODE as usize] {
        let layout: u16 = match self.layout {
            DataLayout::Plain => 0,
            DataLayout::Inline => 2,
            DataLayout::Chunks => 4,
        };
        let xattr_units = match self.xattr_bytes {
            0 => 0,
            bytes => (bytes - XATTR_HEADER as u32) / 4 + 1,
        };
        let mut bytes = [0; INODE as usize];
        put(&mut bytes, 0, &(1 | layout << 1).to_le_bytes());
        put(&mut bytes, 2, &(xattr_units as u16).to_le_bytes());
        put(&mut bytes, 4, &self.mode.to_le_bytes());
        put(&mut bytes, 8, &self.size.to_le_bytes());
        put(&mut bytes, 16, &self.data.to_le_bytes());
        put(&mut bytes, 20, &self.serial.to_le_bytes());
        put(&mut bytes, 24, &self.uid.to_le_bytes());
        put(&mut bytes, 28, &self.gid.to_le_bytes());
        put(&mut bytes, 32, &self.mtime_secs.to_le_bytes());
        put(&mut bytes, 40, &self.mtime_nanos.to_le_bytes());
        put(&mut bytes, 44, &self.nlink.to_le_bytes());
        bytes
    }

    /// None if the bytes are no extended inode of a form the writer makes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let layout = match u16_at(bytes, 0)? {
            0b0001 => DataLayout::Plain,
            0b0101 => DataLayout::Inline,
            0b1001 => DataLayout::Chunks,
            _ => return None,
        };
        let xattr_bytes = match u16_at(bytes, 2)? {
            0 => 0,
            units => XATTR_HEADER as u32 + 4 * (u32::from(units) - 1),
        };
        Some(Self {
            layout,
            xattr_bytes,
            mode: u16_at(bytes, 4)?,
            size: u64_at(bytes, 8)?,
            data: u32_at(bytes, 16)?,
            serial: u32_at(bytes, 20)?,
            uid: u32_at(bytes, 24)?,
            gid: u32_at(bytes, 28)?,
            mtime_secs: u64_at(bytes, 32)?.cast_signed(),
            mtime_nanos: u32_at(bytes, 40)?,
            nlink: u32_at(bytes, 44)?,
        })
    }
}

/// The superblock's block: what differs between two indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) inodes: u64,
    /// The index's own blocks; the tar's follow in the unified address space.
    pub(super) blocks: u32,
    /// Length of the tar in bytes.
    pub(super) tar_bytes: u64,
    /// Where the notes are, in bytes.
    pub(super) notes_at: u64,
    /// Length of the notes in bytes.
    pub(super) notes_bytes: u64,
    /// Start of the SHA-256 of everything behind the superblock's block.
    pub(super) uuid: [u8; 16],
}

impl Head {
    pub(super) fn index_bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }

    pub(super) fn tar_blocks(&self) -> u64 {
        self.tar_bytes.div_ceil(BLOCK)
    }

    pub(super) fn encode(&self) -> [u8; BLOCK as usize] {
        let mut bytes = [0; BLOCK as usize];
        put(&mut bytes, 0, &MAGIC.to_le_bytes());
        put(&mut bytes, 8, &COMPAT.to_le_bytes());
        put(&mut bytes, 12, &[BLOCK_BITS]);
        put(&mut bytes, 14, &((INODES_AT / SLOT) as u16).to_le_bytes());
        put(&mut bytes, 16, &self.inodes.to_le_bytes());
        put(&mut bytes, 36, &self.blocks.to_le_bytes());
        put(&mut bytes, 48, &self.uuid);
        put(&mut bytes, 80, &INCOMPAT.to_le_bytes());
        put(&mut bytes, 86, &1u16.to_le_bytes());
        put(
            &mut bytes,
            88,
            &((SUPERBLOCK_AT as usize + DEVICE_SLOT_AT) as u16 / 128).to_le_bytes(),
        );
        let tar_blocks = self.tar_blocks() as u32;
        put(&mut bytes, DEVICE_SLOT_AT + 64, &tar_blocks.to_le_bytes());
        put(&mut bytes, DEVICE_SLOT_AT + 68, &self.blocks.to_le_bytes());
        put(&mut bytes, HEADER_AT, &HEADER_MAGIC);
        put(&mut bytes, HEADER_AT + 8, &HEADER_VERSION.to_le_bytes());
        put(&mut bytes, HEADER_AT + 16, &self.tar_bytes.to_le_bytes());
        put(&mut bytes, HEADER_AT + 24, &self.notes_at.to_le_bytes());
        put(&mut bytes, HEADER_AT + 32, &self.notes_bytes.to_le_bytes());
        let checksum = crc32c(&bytes);
        put(&mut bytes, HEADER_AT + 12, &checksum.to_le_bytes());
        bytes
    }

    /// None unless the bytes are exactly what [`Head::encode`] makes of the facts in them.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let head = Self {
            inodes: u64_at(bytes, 16)?,
            blocks: u32_at(bytes, 36)?,
            tar_bytes: u64_at(bytes, HEADER_AT + 16)?,
            notes_at: u64_at(bytes, HEADER_AT + 24)?,
            notes_bytes: u64_at(bytes, HEADER_AT + 32)?,
            uuid: bytes.get(48..64)?.try_into().ok()?,
        };
        let notes_end = head.notes_at.checked_add(head.notes_bytes)?;
        let sound = head.tar_bytes <= limits::LAYER_BYTES
            && head.notes_at >= INODES_AT + INODE
            && notes_end <= head.index_bytes();
        (sound && head.encode() == bytes).then_some(head)
    }
}

/// EROFS's number of an xattr name prefix, and the rest of the name. Names that no prefix
/// covers, or that the kernel would not take, get 0 and stay whole: the kernel skips them.
pub(super) fn split_xattr_name(name: &[u8]) -> (u8, &[u8]) {
    match name {
        b"system.posix_acl_access" => return (2, b""),
        b"system.posix_acl_default" => return (3, b""),
        _ if name.contains(&0) => return (0, name),
        _ => {}
    }
    let prefixes: [(u8, &[u8]); 3] = [(1, b"user."), (4, b"trusted."), (6, b"security.")];
    for (number, prefix) in prefixes {
        match name.strip_prefix(prefix) {
            Some(rest) if !rest.is_empty() => return (number, rest),
            _ => {}
        }
    }
    (0, name)
}

/// The opposite of [`split_xattr_name`].
pub(super) fn join_xattr_name(prefix: u8, rest: &[u8]) -> Option<Vec<u8>> {
    let prefix: &[u8] = match prefix {
        0 => b"",
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        6 => b"security.",
        _ => return None,
    };
    Some([prefix, rest].concat())
}

/// Device number as Linux keeps it on disk (`new_encode_dev`): 12 bits of major, 20 of minor.
pub(super) fn encode_device(major: u32, minor: u32) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20)
        .then_some((minor & 0xff) | major << 8 | (minor & !0xff) << 12)
}

/// Major and minor number of an encoded device.
pub(super) fn decode_device(device: u32) -> (u32, u32) {
    (
        (device >> 8) & 0xfff,
        (device & 0xff) | (device >> 12) & 0xfff00,
    )
}

/// CRC-32C without the final inversion, as EROFS computes its own.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82F6_3B78 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
