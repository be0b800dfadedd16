//! PAX extended headers: `LENGTH KEY=VALUE\n` records.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use shiplap_model::limits;

use super::{TarError, header, printable};

/// What the records of one header say, as far as it matters to a layer.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: Sparse,
}

/// The `GNU.sparse.*` records.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub(super) version: Version,
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Offset and length of each run of data.
    pub(super) map: Option<Vec<(u64, u64)>>,
    offset: Option<u64>,
}

/// The number of a sparse format.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) major: Option<Vec<u8>>,
    pub(super) minor: Option<Vec<u8>>,
}

/// Padding is what writers differ in.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Pax {
    /// Parses the data of the extended header at `offset`.
    pub(super) fn parse(data: &[u8], offset: u64) -> Result<Self, TarError> {
        let mut pax = Self::default();
        let mut libarchive = BTreeMap::new();
        let mut rest = data;
        while !rest.is_empty() {
            let bad = |rest| TarError::Record {
                offset,
                record: printable(rest),
            };
            let (key, value, after) = record(rest).ok_or_else(|| bad(rest))?;
            pax.take(key, value, &mut libarchive)
                .ok_or_else(|| bad(rest))?;
            rest = after;
        }
        for (name, value) in libarchive {
            pax.xattrs.entry(name).or_insert(value);
        }
        let too_long = |name: &Vec<u8>| name.is_empty() || name.len() > limits::NAME_BYTES;
        let total: usize = pax
            .xattrs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if pax.xattrs.keys().any(too_long) || total > limits::XATTR_BYTES {
            return Err(TarError::Field {
                offset,
                field: "extended attributes",
            });
        }
        Ok(pax)
    }

    /// Takes one record; `None` if it is malformed. An empty value stands for the header's own.
    fn take(
        &mut self,
        key: &[u8],
        value: &[u8],
        libarchive: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Option<()> {
        if key.contains(&0) {
            return None;
        }
        let set = !value.is_empty();
        match key {
            b"path" | b"linkpath" | b"GNU.sparse.name" => {
                if value.contains(&0) {
                    return None;
                }
                let text = set.then(|| value.to_vec());
                match key {
                    b"path" => self.path = text,
                    b"linkpath" => self.link = text,
                    _ => self.sparse.name = text,
                }
            }
            b"size" if set => self.size = Some(decimal(value)?),
            b"uid" if set => self.uid = Some(header::owner(signed(value)?)?),
            b"gid" if set => self.gid = Some(header::owner(signed(value)?)?),
            b"mtime" if set => self.mtime = Some(time(value)?),
            b"size" => self.size = None,
            b"uid" => self.uid = None,
            b"gid" => self.gid = None,
            b"mtime" => self.mtime = None,
            _ if key.starts_with(b"GNU.sparse.") => self.sparse.take(&key[11..], value)?,
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                    libarchive.insert(percent_decoded(name)?, BASE64.decode(value).ok()?);
                }
            }
        }
        Some(())
    }
}

impl Sparse {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.version.major = Some(value.to_vec()),
            b"minor" => self.version.minor = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"offset" => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let run = (self.offset.take()?, decimal(value)?);
                self.map.get_or_insert_default().push(run);
            }
            b"map" => {
                let numbers: Vec<u64> = value
                    .split(|b| *b == b',')
                    .map(decimal)
                    .collect::<Option<_>>()?;
                if !numbers.len().is_multiple_of(2) {
                    return None;
                }
                self.map = Some(
                    numbers
                        .chunks_exact(2)
                        .map(|run| (run[0], run[1]))
                        .collect(),
                );
            }
            _ => {}
        }
        Some(())
    }
}

/// The first record: key, value and what follows it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(21).position(|b| *b == b' ')?;
    let length = usize::try_from(decimal(&data[..space])?).ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    if equals == 0 {
        return None;
    }
    Some((&body[..equals], &body[equals + 1..], &data[length..]))
}

/// Decimal digits and nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => 0_i64.checked_sub_unsigned(decimal(digits)?),
        None => i64::try_from(decimal(text)?).ok(),
    }
}

/// Seconds with a fraction, cut to nanoseconds; before the epoch the fraction counts downwards.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let dot = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let seconds = signed(&text[..dot])?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction
        .iter()
        .map(|b| u32::from(b - b'0'))
        .chain(std::iter::repeat(0));
    let nanos = digits.take(9).fold(0, |nanos, digit| nanos * 10 + digit);
    if text.first() == Some(&b'-') && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}

/// libarchive writes bytes of attribute names that are not plain text as `%XX`.
fn percent_decoded(name: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let mut digit = || char::from(*bytes.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            decoded.push(u8::try_from(value).ok().filter(|b| *b != 0)?);
        } else {
            decoded.push(*byte);
        }
    }
    Some(decoded)
}
