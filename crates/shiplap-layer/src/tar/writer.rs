//! Writes a tar in one fixed form: ustar headers, with PAX records before them for what does not
//! fit (long names and targets, large numbers, fractions of seconds, extended attributes). The
//! same entries give the same bytes; user and group names are left empty.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::BLOCK_BYTES;
use super::header::Block;

/// What every entry has besides its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The low 12 bits of the mode.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since the epoch.
    pub mtime_secs: i64,
    /// Nanoseconds of the modification time.
    pub mtime_nanos: u32,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why an entry can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A name, target or attribute that no tar can hold.
    #[error("write tar entry {path:?}: bad {field}")]
    Field {
        /// The entry.
        path: String,
        /// What can't be held.
        field: &'static str,
    },
    /// Content of another length than announced.
    #[error("write tar entry {path:?}: its content has not the {size_bytes} bytes it should have")]
    Length {
        /// The entry.
        path: String,
        /// Length announced, in bytes.
        size_bytes: u64,
    },
    /// The content can't be read.
    #[error("read content of tar entry {path:?}: {source}")]
    Read {
        /// The entry.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The tar can't be written.
    #[error("write tar: {0}")]
    Write(#[from] io::Error),
}

/// Writes entries to `W`. Without [`Writer::finish`] there is no end mark.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    written: u64,
}

/// Name and target fields of one header.
struct Fields<'a> {
    path: &'a [u8],
    link: &'a [u8],
    type_flag: u8,
    size: u64,
    device: (u32, u32),
}

impl<W: Write> Writer<W> {
    /// Begins a tar.
    pub fn new(out: W) -> Self {
        Self { out, written: 0 }
    }

    /// Bytes written so far.
    pub fn offset(&self) -> u64 {
        self.written
    }

    /// Writes a directory; a slash is added to `path` (relative, `.` for the root).
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn directory(&mut self, path: &[u8], metadata: &Metadata) -> Result<(), WriteError> {
        let mut path = path.to_vec();
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        self.header(metadata, &Fields::of(&path, b'5'))
    }

    /// Writes a regular file with the `size_bytes` that `content` holds.
    ///
    /// # Errors
    /// Any [`WriteError`]; [`WriteError::Length`] if `content` ends early or goes on.
    pub fn file(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        size_bytes: u64,
        content: &mut dyn Read,
    ) -> Result<(), WriteError> {
        self.header(
            metadata,
            &Fields {
                size: size_bytes,
                ..Fields::of(path, b'0')
            },
        )?;
        let mut buffer = vec![0; usize::try_from(size_bytes.clamp(1, 256 << 10)).unwrap_or(1)];
        let mut left = size_bytes;
        loop {
            let count = match content.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(WriteError::Read {
                        path: name(path),
                        source,
                    });
                }
            };
            if count as u64 > left || (count == 0 && left > 0) {
                return Err(WriteError::Length {
                    path: name(path),
                    size_bytes,
                });
            }
            if count == 0 {
                break;
            }
            self.write(&buffer[..count])?;
            left -= count as u64;
        }
        self.pad()
    }

    /// Writes a symbolic link.
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn symlink(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        target: &[u8],
    ) -> Result<(), WriteError> {
        self.header(
            metadata,
            &Fields {
                link: target,
                ..Fields::of(path, b'2')
            },
        )
    }

    /// Writes another name of an entry before it. Readers take the metadata of either, so pass
    /// that of the target.
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn hard_link(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        target: &[u8],
    ) -> Result<(), WriteError> {
        self.header(
            metadata,
            &Fields {
                link: target,
                ..Fields::of(path, b'1')
            },
        )
    }

    /// Writes a character device.
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn char_device(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        major: u32,
        minor: u32,
    ) -> Result<(), WriteError> {
        self.device(path, metadata, b'3', (major, minor))
    }

    /// Writes a block device.
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn block_device(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        major: u32,
        minor: u32,
    ) -> Result<(), WriteError> {
        self.device(path, metadata, b'4', (major, minor))
    }

    fn device(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        kind: u8,
        device: (u32, u32),
    ) -> Result<(), WriteError> {
        let fields = Fields {
            device,
            ..Fields::of(path, kind)
        };
        self.header(metadata, &fields)
    }

    /// Writes a named pipe.
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn fifo(&mut self, path: &[u8], metadata: &Metadata) -> Result<(), WriteError> {
        self.header(metadata, &Fields::of(path, b'6'))
    }

    /// Writes the whiteout of `path`: an empty file `.wh.NAME` beside it.
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn whiteout(&mut self, path: &[u8]) -> Result<(), WriteError> {
        let (parent, base) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => path.split_at(slash + 1),
            None => path.split_at(0),
        };
        if matches!(base, b"" | b"." | b"..") {
            return Err(WriteError::Field {
                path: name(path),
                field: "whiteout",
            });
        }
        self.header(
            &Metadata::default(),
            &Fields::of(&[parent, b".wh.", base].concat(), b'0'),
        )
    }

    /// Marks the directory `path` opaque: an empty file `.wh..wh..opq` in it.
    ///
    /// # Errors
    /// [`WriteError::Field`] or [`WriteError::Write`].
    pub fn opaque(&mut self, path: &[u8]) -> Result<(), WriteError> {
        let mut marker = path.to_vec();
        if !path.is_empty() && !path.ends_with(b"/") {
            marker.push(b'/');
        }
        marker.extend_from_slice(b".wh..wh..opq");
        self.header(&Metadata::default(), &Fields::of(&marker, b'0'))
    }

    /// Writes the end mark and hands back the output, flushed.
    ///
    /// # Errors
    /// [`WriteError::Write`].
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.write(&[0; 2 * BLOCK_BYTES])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn header(&mut self, metadata: &Metadata, fields: &Fields<'_>) -> Result<(), WriteError> {
        let bad = |field| {
            Err(WriteError::Field {
                path: name(fields.path),
                field,
            })
        };
        if fields.path.is_empty() || fields.path.contains(&0) {
            return bad("name");
        }
        if fields.link.contains(&0)
            || (matches!(fields.type_flag, b'1' | b'2') && fields.link.is_empty())
        {
            return bad("target");
        }
        if metadata.mtime_nanos >= 1_000_000_000 {
            return bad("modification time");
        }
        if metadata
            .xattrs
            .keys()
            .any(|key| key.is_empty() || key.contains(&0) || key.contains(&b'='))
        {
            return bad("attribute name");
        }
        let mut block: Block = [0; BLOCK_BYTES];
        let records = fill(&mut block, metadata, fields);
        if !records.is_empty() {
            let mut pax: Block = [0; BLOCK_BYTES];
            let metadata = Metadata {
                mode: 0o644,
                ..Metadata::default()
            };
            fill(
                &mut pax,
                &metadata,
                &Fields {
                    size: records.len() as u64,
                    ..Fields::of(b"PaxHeaders.0/x", b'x')
                },
            );
            self.write(&pax)?;
            self.write(&records)?;
            self.pad()?;
        }
        self.write(&block)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<(), WriteError> {
        let over = self.written % BLOCK_BYTES as u64;
        if over > 0 {
            let padding = BLOCK_BYTES - usize::try_from(over).unwrap_or(0);
            self.write(&[0; BLOCK_BYTES][..padding])?;
        }
        Ok(())
    }
}

impl<'a> Fields<'a> {
    fn of(path: &'a [u8], type_flag: u8) -> Self {
        Self {
            path,
            link: b"",
            type_flag,
            size: 0,
            device: (0, 0),
        }
    }
}

/// Fills a ustar header; returns the PAX records for what does not fit, sorted by key.
fn fill(block: &mut Block, metadata: &Metadata, fields: &Fields<'_>) -> Vec<u8> {
    let mut records: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut text = |key: &str, value: Vec<u8>| records.insert(key.into(), value);
    match name_split(fields.path) {
        Some((prefix, name)) => {
            block[..name.len()].copy_from_slice(name);
            block[345..345 + prefix.len()].copy_from_slice(prefix);
        }
        None => {
            copy_start(&mut block[..100], fields.path);
            text("path", fields.path.to_vec());
        }
    }
    if fields.link.len() > 100 || !fields.link.is_ascii() {
        text("linkpath", fields.link.to_vec());
    }
    copy_start(&mut block[157..257], fields.link);
    octal(&mut block[100..108], u64::from(metadata.mode));
    for (key, range, value) in [
        ("uid", 108..116, u64::from(metadata.uid)),
        ("gid", 116..124, u64::from(metadata.gid)),
        ("size", 124..136, fields.size),
    ] {
        if !octal(&mut block[range], value) {
            text(key, value.to_string().into_bytes());
        }
    }
    let seconds = u64::try_from(metadata.mtime_secs);
    let fits = octal(&mut block[136..148], seconds.unwrap_or(0)) && seconds.is_ok();
    if !fits || metadata.mtime_nanos > 0 {
        text("mtime", time(metadata.mtime_secs, metadata.mtime_nanos));
    }
    for (key, value) in &metadata.xattrs {
        records.insert([b"SCHILY.xattr.", &key[..]].concat(), value.clone());
    }
    block[156] = fields.type_flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    // Numbers beyond 21 bits have no PAX record; GNU's base-256 form is read by all.
    for (range, value) in [(329..337, fields.device.0), (337..345, fields.device.1)] {
        if !octal(&mut block[range.clone()], u64::from(value)) {
            block[range.clone()].fill(0);
            block[range.start] = 0x80;
            block[range.start + 4..range.end].copy_from_slice(&value.to_be_bytes());
        }
    }
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    octal(&mut block[148..155], sum);
    records
        .iter()
        .flat_map(|(key, value)| record(key, value))
        .collect()
}

/// `LENGTH KEY=VALUE\n`, the length counting its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body;
    while body + length.to_string().len() != length {
        length = body + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// Prefix and name of a path that fits ustar's fields. PAX wants text beyond ASCII in records.
fn name_split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let slash = path
        .iter()
        .enumerate()
        .skip(path.len() - 101)
        .find(|(i, b)| **b == b'/' && *i > 0)?
        .0;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (prefix.len() <= 155 && !name.is_empty()).then_some((prefix, name))
}

fn copy_start(field: &mut [u8], text: &[u8]) {
    let length = field.len().min(text.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// Writes octal digits and a NUL; all zeros and `false` if the value is too large.
fn octal(field: &mut [u8], value: u64) -> bool {
    let digits = field.len() - 1;
    let fits = value >> (3 * digits) == 0;
    let mut rest = if fits { value } else { 0 };
    for byte in field[..digits].iter_mut().rev() {
        *byte = b'0' + (rest % 8) as u8;
        rest /= 8;
    }
    field[digits] = 0;
    fits
}

/// Decimal seconds; nanoseconds count upwards, so before the epoch they are turned around.
fn time(seconds: i64, nanos: u32) -> Vec<u8> {
    let (sign, seconds, nanos) = if seconds < 0 && nanos > 0 {
        (
            "-",
            (i128::from(seconds) + 1).unsigned_abs(),
            1_000_000_000 - nanos,
        )
    } else {
        (
            if seconds < 0 { "-" } else { "" },
            i128::from(seconds).unsigned_abs(),
            nanos,
        )
    };
    if nanos == 0 {
        return format!("{sign}{seconds}").into_bytes();
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}", fraction.trim_end_matches('0')).into_bytes()
}

fn name(path: &[u8]) -> String {
    super::printable(path)
}
