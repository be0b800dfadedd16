//! One 512-byte header block: its checksum, its dialect and its fields.

use super::{BLOCK_BYTES, TarError};

pub(super) type Block = [u8; BLOCK_BYTES];

/// Which fields beyond the old ones a header has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V7,
    /// POSIX, so PAX too.
    Ustar,
    /// Schilling's star: a shorter prefix.
    Star,
    Gnu,
}

/// A header block whose checksum is right.
pub(super) struct Header<'a> {
    block: &'a Block,
    offset: u64,
    dialect: Dialect,
}

impl<'a> Header<'a> {
    /// Takes the block found at `offset`.
    pub(super) fn new(block: &'a Block, offset: u64) -> Result<Self, TarError> {
        let wrong = TarError::Checksum { offset };
        let stored = octal(&block[148..156]).ok_or_else(|| wrong.clone())?;
        let byte = |(i, b): (usize, &u8)| if (148..156).contains(&i) { b' ' } else { *b };
        let unsigned: i64 = block.iter().enumerate().map(|b| i64::from(byte(b))).sum();
        let signed: i64 = block
            .iter()
            .enumerate()
            .map(|b| i64::from(byte(b).cast_signed()))
            .sum();
        if stored != unsigned && stored != signed {
            return Err(wrong);
        }
        let dialect = match (&block[257..263], &block[263..265]) {
            (b"ustar\0", _) if &block[508..512] == b"tar\0" => Dialect::Star,
            (b"ustar\0", _) => Dialect::Ustar,
            (b"ustar ", b" \0") => Dialect::Gnu,
            _ => Dialect::V7,
        };
        Ok(Self {
            block,
            offset,
            dialect,
        })
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.block[156]
    }

    pub(super) fn is_gnu(&self) -> bool {
        self.dialect == Dialect::Gnu
    }

    pub(super) fn block(&self) -> &'a Block {
        self.block
    }

    /// The name with the prefix of its dialect.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = text(&self.block[..100]);
        let prefix: &[u8] = match self.dialect {
            Dialect::Ustar => text(&self.block[345..500]),
            Dialect::Star => text(&self.block[345..476]),
            Dialect::Gnu => self.go_prefix(),
            Dialect::V7 => b"",
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    /// Go before 1.8 wrote a POSIX prefix into GNU headers, over the access and change times; its
    /// later readers take the field for one where it is no time.
    fn go_prefix(&self) -> &'a [u8] {
        let is_time = |field: &[u8]| field[0] == 0 || number(field).is_some();
        let prefix = text(&self.block[345..500]);
        if (is_time(&self.block[345..357]) && is_time(&self.block[357..369])) || !prefix.is_ascii()
        {
            return b"";
        }
        prefix
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.block[157..257]).to_vec()
    }

    pub(super) fn mode(&self) -> Result<u16, TarError> {
        let mode = self.number("mode", 100..108)?;
        u16::try_from(mode & 0o7777).map_err(|_| self.bad("mode"))
    }

    pub(super) fn uid(&self) -> Result<u32, TarError> {
        owner(self.number("uid", 108..116)?).ok_or_else(|| self.bad("uid"))
    }

    pub(super) fn gid(&self) -> Result<u32, TarError> {
        owner(self.number("gid", 116..124)?).ok_or_else(|| self.bad("gid"))
    }

    pub(super) fn size(&self) -> Result<u64, TarError> {
        u64::try_from(self.number("size", 124..136)?).map_err(|_| self.bad("size"))
    }

    pub(super) fn mtime(&self) -> Result<i64, TarError> {
        self.number("modification time", 136..148)
    }

    /// Major and minor number.
    pub(super) fn device(&self) -> Result<(u32, u32), TarError> {
        if self.dialect == Dialect::V7 {
            return Ok((0, 0));
        }
        let part = |range| {
            let number = self.number("device number", range)?;
            u32::try_from(number).map_err(|_| self.bad("device number"))
        };
        Ok((part(329..337)?, part(337..345)?))
    }

    pub(super) fn bad(&self, field: &'static str) -> TarError {
        TarError::Field {
            offset: self.offset,
            field,
        }
    }

    fn number(&self, field: &'static str, range: std::ops::Range<usize>) -> Result<i64, TarError> {
        number(&self.block[range]).ok_or_else(|| self.bad(field))
    }
}

/// A user or group number; negative ones (`nobody` of old systems) wrap as `uid_t` does.
pub(super) fn owner(number: i64) -> Option<u32> {
    u32::try_from(number)
        .ok()
        .or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
}

/// The field up to its first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field
        .iter()
        .position(|b| *b == 0)
        .map_or(field, |end| &field[..end])
}

/// A numeric field: octal text, or GNU's big-endian two's complement with the top bit set.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    let invert = if first & 0x40 == 0 { 0 } else { 0xff };
    let mut value: u64 = 0;
    for (i, byte) in field.iter().enumerate() {
        let byte = (byte ^ invert) & if i == 0 { 0x7f } else { 0xff };
        if value >> 55 != 0 {
            return None;
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if invert == 0 { value } else { !value })
}

/// Octal digits between blanks and NULs; nothing at all is zero.
fn octal(field: &[u8]) -> Option<i64> {
    let blank = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let end = field
        .iter()
        .rposition(|b| !blank(b))
        .map_or(start, |last| last + 1);
    let digits = text(&field[start..end]);
    digits.iter().try_fold(0_i64, |value, b| match b {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(b - b'0')),
        _ => None,
    })
}
