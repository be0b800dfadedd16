//! rpm's database as SQLite (since rpm 4.16): the table `Packages`, whose second column is the header
//! ("Database File Format" of SQLite). Only what a table walk needs is read: tables are B-trees of pages.
//! Committed pages of a write-ahead log come before those of the file.

use std::collections::HashMap;

use shiplap_model::limits;

use super::{OpenFile, RecordError, Sink};
use crate::packages::files::{u16_be, u32_be};

const MAGIC: &[u8] = b"SQLite format 3\0";
const FILE_HEADER_BYTES: usize = 100;
const LOG_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;
const LEAF: u8 = 13;
const INTERIOR: u8 = 5;

/// How deep a tree of pages may be: with two cells a page, 2^32 pages are 32 deep; real ones have 3.
const DEPTH: usize = 32;

pub(super) fn read(
    file: &OpenFile<'_>,
    log: Option<&OpenFile<'_>>,
    take: &mut Sink<'_>,
) -> Result<(), RecordError> {
    let pages = Pages::open(file, log)?;
    let mut root = None;
    pages.rows(1, &mut |record| {
        // type, name, tbl_name, rootpage, sql
        let columns = columns(record)?;
        if columns.first() == Some(&Value::Bytes(b"table"))
            && columns.get(1) == Some(&Value::Bytes(b"Packages"))
            && let Some(Value::Number(page)) = columns.get(3)
        {
            root = u32::try_from(*page).ok();
        }
        Some(())
    })?;
    let root = root.ok_or(RecordError::Damaged("it has no table of packages"))?;
    pages.rows(root, &mut |record| {
        if let Some(Value::Bytes(header)) = columns(record)?.get(1) {
            take(header);
        }
        Some(())
    })
}

fn damaged() -> RecordError {
    RecordError::Damaged("its pages")
}

struct Pages<'a> {
    file: &'a OpenFile<'a>,
    log: Option<&'a OpenFile<'a>>,
    /// Where in the log the newest form of a page is.
    logged: HashMap<u32, u64>,
    page_bytes: usize,
    /// Without what is reserved at the end of each.
    usable_bytes: usize,
    count: u32,
}

impl<'a> Pages<'a> {
    fn open(file: &'a OpenFile<'a>, log: Option<&'a OpenFile<'a>>) -> Result<Self, RecordError> {
        let log = log.filter(|log| log.len() > LOG_HEADER_BYTES);
        let head = file.read_at(0, FILE_HEADER_BYTES as u64)?;
        if !head.starts_with(MAGIC) {
            return Err(RecordError::Damaged("it is no SQLite database"));
        }
        let page_bytes = match u16_be(&head, 16) {
            Some(1) => 65_536,
            Some(bytes) if bytes >= 512 && bytes.is_power_of_two() => usize::from(bytes),
            _ => return Err(RecordError::Damaged("its page size")),
        };
        let reserved = head.get(20).copied().map_or(0, usize::from);
        let mut pages = Self {
            file,
            log,
            logged: HashMap::new(),
            page_bytes,
            usable_bytes: page_bytes.saturating_sub(reserved),
            count: u32::try_from(file.len() / page_bytes as u64).map_err(|_| damaged())?,
        };
        if pages.usable_bytes < 480 {
            return Err(RecordError::Damaged("its page size"));
        }
        pages.read_log()?;
        Ok(pages)
    }

    /// Finds the pages of the log's committed transactions.
    fn read_log(&mut self) -> Result<(), RecordError> {
        let Some(log) = self.log else {
            return Ok(());
        };
        let head = log.read_at(0, LOG_HEADER_BYTES)?;
        let is_log = u32_be(&head, 0).is_some_and(|magic| magic & !1 == 0x377f_0682);
        if !is_log || u32_be(&head, 8) != u32::try_from(self.page_bytes).ok() {
            return Err(RecordError::Damaged("its write-ahead log"));
        }
        let frame_bytes = FRAME_HEADER_BYTES + self.page_bytes as u64;
        let frames = (log.len() - LOG_HEADER_BYTES) / frame_bytes;
        let mut pending = Vec::new();
        for frame in 0..frames {
            let at = LOG_HEADER_BYTES + frame * frame_bytes;
            let frame = log.read_at(at, FRAME_HEADER_BYTES)?;
            // What is left of an older log has other salts.
            if frame.get(8..16) != head.get(16..24) {
                break;
            }
            let (page, size) = (u32_be(&frame, 0), u32_be(&frame, 4));
            let (Some(page), Some(size)) = (page, size) else {
                break;
            };
            pending.push((page, at + FRAME_HEADER_BYTES));
            if size > 0 {
                self.count = self.count.max(size);
                self.logged.extend(pending.drain(..));
            }
        }
        Ok(())
    }

    fn page(&self, number: u32) -> Result<Vec<u8>, RecordError> {
        if number == 0 || number > self.count {
            return Err(damaged());
        }
        let length = self.page_bytes as u64;
        match (self.log, self.logged.get(&number)) {
            (Some(log), Some(at)) => log.read_at(*at, length),
            _ => self.file.read_at(u64::from(number - 1) * length, length),
        }
    }

    /// Hands on each record of the table whose tree begins at that page; `None` from `each` says that it
    /// can't be so.
    fn rows(
        &self,
        root: u32,
        each: &mut dyn FnMut(&[u8]) -> Option<()>,
    ) -> Result<(), RecordError> {
        let mut open = vec![(root, 0)];
        let (mut visited, mut records) = (0u32, 0usize);
        while let Some((number, depth)) = open.pop() {
            visited += 1;
            // More visits than pages: the tree is none.
            if visited > self.count || depth > DEPTH {
                return Err(damaged());
            }
            let page = self.page(number)?;
            let start = if number == 1 { FILE_HEADER_BYTES } else { 0 };
            let kind = page.get(start).copied().ok_or_else(damaged)?;
            let cells = u16_be(&page, start + 3).ok_or_else(damaged)?;
            let pointers = start + if kind == INTERIOR { 12 } else { 8 };
            if kind == INTERIOR {
                let right = u32_be(&page, start + 8).ok_or_else(damaged)?;
                open.push((right, depth + 1));
            }
            for cell in (0..usize::from(cells)).rev() {
                let at = u16_be(&page, pointers + 2 * cell).ok_or_else(damaged)?;
                let at = usize::from(at);
                match kind {
                    INTERIOR => {
                        let child = u32_be(&page, at).ok_or_else(damaged)?;
                        open.push((child, depth + 1));
                    }
                    LEAF => {
                        records += 1;
                        if records > limits::RPM_RECORDS {
                            return Err(RecordError::TooMany {
                                most: limits::RPM_RECORDS,
                            });
                        }
                        let record = self.record(page.get(at..).ok_or_else(damaged)?)?;
                        each(&record).ok_or_else(damaged)?;
                    }
                    _ => return Err(damaged()),
                }
            }
        }
        Ok(())
    }

    /// The record of a leaf's cell: what lies in the page, and what lies in pages of its own.
    fn record(&self, cell: &[u8]) -> Result<Vec<u8>, RecordError> {
        let mut rest = cell;
        let length = varint(&mut rest).ok_or_else(damaged)?;
        varint(&mut rest).ok_or_else(damaged)?;
        let most_bytes = limits::RPM_HEADER_BYTES;
        if length > most_bytes {
            return Err(RecordError::TooLong { most_bytes });
        }
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let usable = self.usable_bytes;
        let here = if length <= usable - 35 {
            length
        } else {
            let least = (usable - 12) * 32 / 255 - 23;
            let wanted = least + (length - least) % (usable - 4);
            if wanted <= usable - 35 { wanted } else { least }
        };
        let (start, behind) = rest.split_at_checked(here).ok_or_else(damaged)?;
        let mut record = start.to_vec();
        let mut next = u32_be(behind, 0);
        while record.len() < length {
            let page = self.page(next.ok_or_else(damaged)?)?;
            next = u32_be(&page, 0);
            let part = (length - record.len()).min(usable - 4);
            record.extend_from_slice(page.get(4..4 + part).ok_or_else(damaged)?);
        }
        Ok(record)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    Other,
}

/// The columns of a record.
fn columns(record: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut head = record;
    let head_bytes = usize::try_from(varint(&mut head)?).ok()?;
    let head_at = record.len() - head.len();
    let mut kinds = record.get(head_at..head_bytes)?;
    let mut body = record.get(head_bytes..)?;
    let mut columns = Vec::new();
    while !kinds.is_empty() {
        let kind = varint(&mut kinds)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            text => (text - 12) / 2,
        };
        let (value, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
        body = rest;
        columns.push(match kind {
            1..=6 => Value::Number(number(value)),
            8 => Value::Number(0),
            9 => Value::Number(1),
            12.. => Value::Bytes(value),
            _ => Value::Other,
        });
    }
    Some(columns)
}

/// A signed big-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> i64 {
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if is_negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(start, |number, byte| number << 8 | i64::from(*byte))
}

/// Takes a number of one to nine bytes off the front.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for count in 1..=9 {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        if count == 9 {
            return Some(number << 8 | u64::from(*byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}
