//! rpm's database as Berkeley DB's hash (`Packages`, until rpm 4.16: Red Hat 8 and before): pages of pairs
//! of key and value, long values in chains of pages of their own. All pages are gone through in order, so
//! the hash itself is not needed.

use shiplap_model::limits;

use super::{OpenFile, RecordError, Sink, header};
use crate::packages::files::{u16_le, u32_le};

/// What says at byte 12 of the first page that it is a hash.
const MAGIC: u32 = 0x0006_1561;
const PAGE_HEADER_BYTES: usize = 26;
/// Kinds of page.
const OVERFLOW: u8 = 7;
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
/// Kinds of entry.
const INLINE: u8 = 1;
const ELSEWHERE: u8 = 3;

pub(super) fn read(
    file: &OpenFile<'_>,
    _log: Option<&OpenFile<'_>>,
    take: &mut Sink<'_>,
) -> Result<(), RecordError> {
    let head = file.read_at(0, 512)?;
    if u32_le(&head, 12) != Some(MAGIC) {
        return Err(RecordError::Form(
            "a Berkeley DB that is no hash, or has the other byte order,",
        ));
    }
    let page_bytes = match u32_le(&head, 20) {
        Some(bytes) if (512..=65_536).contains(&bytes) && bytes.is_power_of_two() => bytes,
        _ => return Err(RecordError::Damaged("its page size")),
    };
    if head.get(24).is_some_and(|algorithm| *algorithm != 0) {
        return Err(RecordError::Form("an encrypted database"));
    }
    let pages = Pages {
        file,
        page_bytes: u64::from(page_bytes),
        count: file.len() / u64::from(page_bytes),
    };
    let last = u32_le(&head, 32).map_or(0, u64::from);
    let mut records = 0;
    for number in 1..pages.count {
        let page = pages.page(number)?;
        if !matches!(page.get(25), Some(&HASH | &HASH_UNSORTED)) {
            continue;
        }
        for value in values(&page)? {
            records += 1;
            if records > limits::RPM_RECORDS {
                return Err(RecordError::TooMany {
                    most: limits::RPM_RECORDS,
                });
            }
            let value = match value {
                Value::Here(bytes) => bytes.to_vec(),
                Value::Chain { first, length } => pages.chain(first, length)?,
            };
            // The record of key 0 is the highest number that was given.
            if header::may_be(&value) {
                take(&value);
            }
        }
    }
    // The packages that are there are told all the same.
    match last < pages.count {
        true => Ok(()),
        false => Err(RecordError::Damaged("it ends early")),
    }
}

fn damaged() -> RecordError {
    RecordError::Damaged("its pages")
}

enum Value<'a> {
    Here(&'a [u8]),
    Chain { first: u32, length: u64 },
}

/// The values of a page: every second entry. Entries grow from the page's end towards its start.
fn values(page: &[u8]) -> Result<Vec<Value<'_>>, RecordError> {
    let count = usize::from(u16_le(page, 20).ok_or_else(damaged)?);
    let place = |number: usize| u16_le(page, PAGE_HEADER_BYTES + 2 * number).map(usize::from);
    let mut values = Vec::new();
    for number in (1..count).step_by(2) {
        let (at, end) = (place(number), place(number - 1));
        let entry = at.zip(end).and_then(|(at, end)| page.get(at..end));
        let entry = entry.ok_or_else(damaged)?;
        match entry.first() {
            Some(&INLINE) => values.push(Value::Here(entry.get(1..).unwrap_or_default())),
            Some(&ELSEWHERE) => values.push(Value::Chain {
                first: u32_le(entry, 4).ok_or_else(damaged)?,
                length: u64::from(u32_le(entry, 8).ok_or_else(damaged)?),
            }),
            _ => {}
        }
    }
    Ok(values)
}

struct Pages<'a> {
    file: &'a OpenFile<'a>,
    page_bytes: u64,
    count: u64,
}

impl Pages<'_> {
    fn page(&self, number: u64) -> Result<Vec<u8>, RecordError> {
        if number >= self.count {
            return Err(damaged());
        }
        self.file.read_at(number * self.page_bytes, self.page_bytes)
    }

    fn chain(&self, first: u32, length: u64) -> Result<Vec<u8>, RecordError> {
        let most_bytes = limits::RPM_HEADER_BYTES;
        if length > most_bytes {
            return Err(RecordError::TooLong { most_bytes });
        }
        let mut value = Vec::new();
        let mut next = first;
        while (value.len() as u64) < length {
            let page = self.page(u64::from(next))?;
            let here = usize::from(u16_le(&page, 22).ok_or_else(damaged)?);
            // Each page of a chain holds something, so it ends.
            if page.get(25) != Some(&OVERFLOW) || here == 0 {
                return Err(damaged());
            }
            let bytes = page.get(PAGE_HEADER_BYTES..PAGE_HEADER_BYTES + here);
            value.extend_from_slice(bytes.ok_or_else(damaged)?);
            next = u32_le(&page, 16).ok_or_else(damaged)?;
        }
        value.truncate(usize::try_from(length).map_err(|_| damaged())?);
        Ok(value)
    }
}
