//! rpm's database in its own form, ndb (`Packages.db`, SUSE's): pages of slots, each with the place of one
//! header (rpm's `lib/backend/ndb/rpmpkg.c`).

use shiplap_model::limits;

use super::{OpenFile, RecordError, Sink};
use crate::packages::files::u32_le;

const MAGIC: &[u8] = b"RpmP";
const SLOT_MAGIC: &[u8] = b"Slot";
const BLOB_MAGIC: &[u8] = b"BlbS";
const PAGE_BYTES: u64 = 4096;
const SLOT_BYTES: u64 = 16;
/// The database's own header takes the place of two slots.
const HEADER_BYTES: u64 = 32;
/// Unit of places, in bytes.
const BLOCK_BYTES: u64 = 16;
/// What is before a header: magic, its number, a generation, its length.
const BLOB_HEADER_BYTES: u64 = 16;

pub(super) fn read(
    file: &OpenFile<'_>,
    _log: Option<&OpenFile<'_>>,
    take: &mut Sink<'_>,
) -> Result<(), RecordError> {
    let head = file.read_at(0, HEADER_BYTES)?;
    if !head.starts_with(MAGIC) {
        return Err(RecordError::Damaged("it is no database of rpm's"));
    }
    let damaged = || RecordError::Damaged("its slots");
    let pages = u64::from(u32_le(&head, 12).ok_or_else(damaged)?);
    let end = pages * PAGE_BYTES;
    if end > file.len() || end < HEADER_BYTES {
        return Err(damaged());
    }
    let mut records = 0;
    let mut at = HEADER_BYTES;
    while at < end {
        // A page at a time; the first one is shorter.
        let length = PAGE_BYTES - at % PAGE_BYTES;
        let slots = file.read_at(at, length)?;
        at += length;
        for slot in slots.chunks_exact(SLOT_BYTES as usize) {
            let (number, place) = (u32_le(slot, 4), u32_le(slot, 8));
            let (Some(number), Some(place)) = (number, place) else {
                return Err(damaged());
            };
            if !slot.starts_with(SLOT_MAGIC) {
                return Err(damaged());
            }
            if number == 0 {
                continue;
            }
            records += 1;
            if records > limits::RPM_RECORDS {
                return Err(RecordError::TooMany {
                    most: limits::RPM_RECORDS,
                });
            }
            take(&blob(file, u64::from(place) * BLOCK_BYTES, number)?);
        }
    }
    Ok(())
}

fn blob(file: &OpenFile<'_>, at: u64, number: u32) -> Result<Vec<u8>, RecordError> {
    let head = file.read_at(at, BLOB_HEADER_BYTES)?;
    if !head.starts_with(BLOB_MAGIC) || u32_le(&head, 4) != Some(number) {
        return Err(RecordError::Damaged("the place of a package"));
    }
    let length = u32_le(&head, 12).map_or(0, u64::from);
    let most_bytes = limits::RPM_HEADER_BYTES;
    if length > most_bytes {
        return Err(RecordError::TooLong { most_bytes });
    }
    file.read_at(at + BLOB_HEADER_BYTES, length)
}
