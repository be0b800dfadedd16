//! Sections of ELF files by name ("System V ABI, Object Files"): a header, a table of sections and a table
//! of names are read, each within a bound; nothing is followed that leads outside the file.

use shiplap_model::limits;

use super::files::{OpenFile, RecordError, u16_be, u16_le, u32_be, u32_le};

/// Length of the header of a 64-bit file; that of a 32-bit one is shorter.
const HEADER_BYTES: u64 = 64;

/// Longest table of section names, in bytes: real ones have some hundred.
const NAMES_BYTES: u64 = 1 << 20;

/// A file's table of sections.
pub(super) struct Elf<'a> {
    file: &'a OpenFile<'a>,
    form: Form,
    table: Vec<u8>,
    names: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Form {
    is_64: bool,
    is_big: bool,
    entry_bytes: usize,
}

impl<'a> Elf<'a> {
    /// Reads the tables; `None` if it is no ELF file or has no sections.
    pub(super) fn open(file: &'a OpenFile<'a>) -> Result<Option<Self>, RecordError> {
        let head = file.read_at(0, HEADER_BYTES.min(file.len()))?;
        let (is_64, is_big) = match head.get(..6) {
            Some([0x7f, b'E', b'L', b'F', class @ (1 | 2), order @ (1 | 2)]) => {
                (*class == 2, *order == 2)
            }
            _ => return Ok(None),
        };
        let entry_bytes = if is_64 { 64 } else { 40 };
        let form = Form {
            is_64,
            is_big,
            entry_bytes,
        };
        let table_at = form.address(&head, if is_64 { 40 } else { 32 });
        let at = if is_64 { 58 } else { 46 };
        let facts = (
            form.short(&head, at),
            form.short(&head, at + 2),
            form.short(&head, at + 4),
        );
        let (Some(table_at), (Some(entry), Some(count), Some(names_in))) = (table_at, facts) else {
            return Ok(None);
        };
        if table_at == 0 || count == 0 || u64::from(count) > limits::ELF_SECTIONS {
            return Ok(None);
        }
        if usize::from(entry) != entry_bytes {
            return Err(RecordError::Damaged("the size of its section headers"));
        }
        let table = file.read_at(table_at, u64::from(count) * u64::from(entry))?;
        let mut elf = Self {
            file,
            form,
            table,
            names: Vec::new(),
        };
        let names = elf.place(usize::from(names_in));
        let (at, length) = names.ok_or(RecordError::Damaged("the names of its sections"))?;
        elf.names = file.read_at(at, length.min(NAMES_BYTES))?;
        Ok(Some(elf))
    }

    /// The bytes of the section of that name; `None` if there is none.
    pub(super) fn section(
        &self,
        name: &[u8],
        most_bytes: u64,
    ) -> Result<Option<Vec<u8>>, RecordError> {
        let count = self.table.len() / self.form.entry_bytes;
        let Some(number) = (0..count).find(|number| self.name(*number) == Some(name)) else {
            return Ok(None);
        };
        let Some((at, length)) = self.place(number) else {
            return Ok(None);
        };
        if length > most_bytes {
            return Err(RecordError::TooLong { most_bytes });
        }
        self.file.read_at(at, length).map(Some)
    }

    fn entry(&self, number: usize) -> Option<&[u8]> {
        let at = number.checked_mul(self.form.entry_bytes)?;
        self.table.get(at..at.checked_add(self.form.entry_bytes)?)
    }

    fn name(&self, number: usize) -> Option<&[u8]> {
        let at = self.form.word(self.entry(number)?, 0)?;
        let rest = self.names.get(usize::try_from(at).ok()?..)?;
        rest.split(|byte| *byte == 0).next()
    }

    /// Offset and length of a section in the file.
    fn place(&self, number: usize) -> Option<(u64, u64)> {
        let entry = self.entry(number)?;
        let (at, length) = if self.form.is_64 { (24, 32) } else { (16, 20) };
        Some((
            self.form.address(entry, at)?,
            self.form.address(entry, length)?,
        ))
    }
}

impl Form {
    fn short(self, bytes: &[u8], at: usize) -> Option<u16> {
        if self.is_big {
            u16_be(bytes, at)
        } else {
            u16_le(bytes, at)
        }
    }

    fn word(self, bytes: &[u8], at: usize) -> Option<u32> {
        if self.is_big {
            u32_be(bytes, at)
        } else {
            u32_le(bytes, at)
        }
    }

    /// An address or a length: as wide as the file's class.
    fn address(self, bytes: &[u8], at: usize) -> Option<u64> {
        if !self.is_64 {
            return self.word(bytes, at).map(u64::from);
        }
        let (first, second) = (self.word(bytes, at)?, self.word(bytes, at + 4)?);
        let (high, low) = if self.is_big {
            (first, second)
        } else {
            (second, first)
        };
        Some(u64::from(high) << 32 | u64::from(low))
    }
}
