//! Objects of a git repository: commits and trees, loose or in packs. They are read where they lie; what
//! is damaged, or in a form of another time, is not there.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::bufread::ZlibDecoder;
use shiplap_model::limits;

use super::open;

/// How many directories of objects are looked into.
const DIRECTORIES: usize = 32;
/// How many changes may lie between an object in a pack and what is whole: git writes 50 at most, unless it
/// is told otherwise.
const DELTAS: usize = 512;
/// Where the first number of a pack's index is, and how many there are: how many objects begin with a byte or
/// less.
const FANOUT: (u64, u64) = (8, 256);

/// Name of an object: SHA-1 or SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectId(Vec<u8>);

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
}

impl ObjectId {
    /// Reads hex digits.
    pub(super) fn parse(hex: &[u8]) -> Option<Self> {
        if !matches!(hex.len(), 40 | 64) {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = hex.chunks_exact(2);
        let bytes = pairs.map(|pair| {
            let byte = digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?;
            u8::try_from(byte).ok()
        });
        bytes.collect::<Option<_>>().map(Self)
    }

    /// Its place among loose objects.
    fn path(&self) -> PathBuf {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let (directory, name) = hex.split_at(2);
        Path::new(directory).join(name)
    }
}

impl Kind {
    fn of_word(word: &[u8]) -> Option<Self> {
        match word {
            b"commit" => Some(Self::Commit),
            b"tree" => Some(Self::Tree),
            _ => None,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Commit),
            2 => Some(Self::Tree),
            _ => None,
        }
    }
}

/// Where a repository's objects are.
pub(super) struct Objects {
    /// Its own, and those it borrows from.
    directories: Vec<PathBuf>,
}

impl Objects {
    pub(super) fn open(directory: &Path) -> Self {
        let mut directories = vec![directory.to_owned()];
        let mut next = 0;
        while let Some(directory) = directories.get(next).cloned() {
            next += 1;
            for path in alternates(&directory) {
                if directories.len() < DIRECTORIES && !directories.contains(&path) {
                    directories.push(path);
                }
            }
        }
        Self { directories }
    }

    /// The content of an object of this kind.
    pub(super) fn read(&self, id: &ObjectId, kind: Kind) -> Option<Vec<u8>> {
        let (found, content) = self.loose(id).or_else(|| self.packed(id))?;
        (found == kind).then_some(content)
    }

    /// Whether the tree has a directory at `path`.
    pub(super) fn has_directory(&self, tree: &ObjectId, path: &Path) -> bool {
        let mut here = tree.clone();
        for part in path.components() {
            let Component::Normal(name) = part else {
                return false;
            };
            let below = self.read(&here, Kind::Tree);
            match below.and_then(|content| entry(&content, name.as_bytes(), here.0.len())) {
                Some(next) => here = next,
                None => return false,
            }
        }
        true
    }

    fn loose(&self, id: &ObjectId) -> Option<(Kind, Vec<u8>)> {
        let mut places = self.directories.iter();
        places.find_map(|directory| loose(directory, id))
    }

    /// An object in a pack: changes are collected until something is whole, then made.
    fn packed(&self, id: &ObjectId) -> Option<(Kind, Vec<u8>)> {
        let (mut pack, mut offset) = self.place(id)?;
        let mut deltas: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        let (kind, mut content) = loop {
            let packed = Packed::read(&pack, offset, id.0.len())?;
            bytes += packed.content.len() as u64;
            if bytes > limits::GIT_OBJECT_BYTES || deltas.len() >= DELTAS {
                return None;
            }
            match packed.base {
                Base::Whole(kind) => break (kind, packed.content),
                Base::Before(distance) => offset = offset.checked_sub(distance)?,
                Base::Named(base) => match self.loose(&base) {
                    Some(whole) => {
                        deltas.push(packed.content);
                        break whole;
                    }
                    None => (pack, offset) = self.place(&base)?,
                },
            }
            deltas.push(packed.content);
        };
        for delta in deltas.iter().rev() {
            content = changed(&content, delta)?;
        }
        Some((kind, content))
    }

    /// The pack that has an object, and where in it.
    fn place(&self, id: &ObjectId) -> Option<(File, u64)> {
        let mut places = self.directories.iter();
        places.find_map(|directory| place_among(&directory.join("pack"), id))
    }
}

fn place_among(packs: &Path, id: &ObjectId) -> Option<(File, u64)> {
    let names = fs::read_dir(packs).ok()?;
    let indexes = names.flatten().map(|name| name.path());
    let mut indexes = indexes.filter(|path| path.extension() == Some(OsStr::new("idx")));
    indexes.find_map(|path| {
        let offset = Index {
            file: open(&path)?,
            id,
        }
        .offset()?;
        Some((open(&path.with_extension("pack"))?, offset))
    })
}

/// Directories of objects that one borrows from.
fn alternates(directory: &Path) -> Vec<PathBuf> {
    let mut text = Vec::new();
    let list = open(&directory.join("info/alternates"));
    let read = list.map(|list| list.take(limits::GIT_OBJECT_BYTES).read_to_end(&mut text));
    if !matches!(read, Some(Ok(_))) {
        return Vec::new();
    }
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    lines
        .map(|line| directory.join(OsStr::from_bytes(line)))
        .collect()
}

/// An object in a file of its own.
fn loose(directory: &Path, id: &ObjectId) -> Option<(Kind, Vec<u8>)> {
    let file = open(&directory.join(id.path()))?;
    let content = inflated(BufReader::new(file))?;
    // `commit 123`, a zero byte, the content.
    let end = content.iter().position(|byte| *byte == 0)?;
    let (head, rest) = content.split_at(end);
    let kind = Kind::of_word(head.split(|byte| *byte == b' ').next()?)?;
    Some((kind, rest.get(1..)?.to_vec()))
}

fn inflated(source: impl io::BufRead) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut decoder = ZlibDecoder::new(source).take(limits::GIT_OBJECT_BYTES + 1);
    decoder.read_to_end(&mut content).ok()?;
    (content.len() as u64 <= limits::GIT_OBJECT_BYTES).then_some(content)
}

/// The directory `name` of a tree: mode, a blank, name, a zero byte, ID, for each entry.
fn entry(tree: &[u8], name: &[u8], id_bytes: usize) -> Option<ObjectId> {
    let mut rest = tree;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (head, tail) = rest.split_at(end);
        let (id, next) = tail.get(1..)?.split_at_checked(id_bytes)?;
        let blank = head.iter().position(|byte| *byte == b' ')?;
        let (mode, own) = head.split_at(blank);
        if own.get(1..) == Some(name) {
            return (mode == b"40000").then(|| ObjectId(id.to_vec()));
        }
        rest = next;
    }
    None
}

/// The index of a pack, of version 2, in which one object is looked for.
struct Index<'i> {
    file: File,
    id: &'i ObjectId,
}

impl Index<'_> {
    fn number(&self, at: u64) -> Option<u64> {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(u64::from(u32::from_be_bytes(bytes)))
    }

    /// Where the object is in the pack.
    fn offset(&self) -> Option<u64> {
        let mut magic = [0; 8];
        self.file.read_exact_at(&mut magic, 0).ok()?;
        if &magic != b"\xfftOc\0\0\0\x02" {
            return None;
        }
        let (start, numbers) = FANOUT;
        let count_to = |byte: u64| self.number(start + 4 * byte);
        let first = u64::from(*self.id.0.first()?);
        let mut low = match first {
            0 => 0,
            _ => count_to(first - 1)?,
        };
        let mut high = count_to(first)?;
        let total = count_to(numbers - 1)?;
        let names = start + 4 * numbers;
        let id_bytes = self.id.0.len() as u64;
        let mut name = vec![0; self.id.0.len()];
        while low < high {
            let middle = low + (high - low) / 2;
            self.file
                .read_exact_at(&mut name, names + middle * id_bytes)
                .ok()?;
            match name.as_slice().cmp(&self.id.0) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    // Behind the names are checksums, then offsets, then those that are long.
                    let offsets = names + total * (id_bytes + 4);
                    let short = self.number(offsets + 4 * middle)?;
                    if short & 1 << 31 == 0 {
                        return Some(short);
                    }
                    let mut long = [0; 8];
                    let at = offsets + 4 * total + 8 * (short & !(1 << 31));
                    self.file.read_exact_at(&mut long, at).ok()?;
                    return Some(u64::from_be_bytes(long));
                }
            }
        }
        None
    }
}

/// An object as a pack has it.
struct Packed {
    base: Base,
    content: Vec<u8>,
}

/// What its content is to be applied to.
enum Base {
    /// Nothing: it is whole.
    Whole(Kind),
    /// What is so many bytes before it.
    Before(u64),
    /// Another object.
    Named(ObjectId),
}

impl Packed {
    fn read(pack: &File, offset: u64, id_bytes: usize) -> Option<Self> {
        let mut reader = BufReader::new(At { file: pack, offset });
        let head = byte(&mut reader)?;
        // What its length is, nobody asks: it ends by itself.
        let mut more = head;
        while more & 0x80 != 0 {
            more = byte(&mut reader)?;
        }
        let base = match head >> 4 & 7 {
            6 => Base::Before(distance(&mut reader)?),
            7 => {
                let mut id = vec![0; id_bytes];
                reader.read_exact(&mut id).ok()?;
                Base::Named(ObjectId(id))
            }
            number => Base::Whole(Kind::of_number(number)?),
        };
        let content = inflated(reader)?;
        Some(Self { base, content })
    }
}

/// A file from some place on.
struct At<'f> {
    file: &'f File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

fn byte(reader: &mut impl Read) -> Option<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte).ok()?;
    Some(byte[0])
}

/// How far back a base is: seven bits a byte, the highest first, and one more for each byte that follows.
fn distance(reader: &mut impl Read) -> Option<u64> {
    let mut next = byte(reader)?;
    let mut value = u64::from(next & 0x7f);
    while next & 0x80 != 0 {
        next = byte(reader)?;
        value = value.checked_add(1)?.checked_mul(128)? | u64::from(next & 0x7f);
    }
    Some(value)
}

/// What a change makes of `base`: the lengths before and after, then pieces that are copied or new.
fn changed(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut delta = delta;
    let before = length(&mut delta)?;
    let after = length(&mut delta)?;
    if before != base.len() as u64 || after > limits::GIT_OBJECT_BYTES {
        return None;
    }
    let mut content = Vec::new();
    while let Some((code, rest)) = delta.split_first() {
        delta = rest;
        let piece = match code {
            0 => return None,
            code if code & 0x80 == 0 => {
                let (new, rest) = delta.split_at_checked(usize::from(*code))?;
                delta = rest;
                new
            }
            code => {
                let start = sparse(&mut delta, code & 0x0f, 4)?;
                let count = match sparse(&mut delta, code >> 4 & 7, 3)? {
                    0 => 0x10000,
                    count => count,
                };
                base.get(start..start.checked_add(count)?)?
            }
        };
        content.extend_from_slice(piece);
        if content.len() as u64 > after {
            return None;
        }
    }
    (content.len() as u64 == after).then_some(content)
}

/// Seven bits a byte, the lowest first.
fn length(delta: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let (byte, rest) = delta.split_first()?;
        *delta = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}

/// A number of `bytes` bytes, the lowest first, of which those are there that `mask` names.
fn sparse(delta: &mut &[u8], mask: u8, bytes: u32) -> Option<usize> {
    let mut value = 0;
    for place in 0..bytes {
        if mask & 1 << place != 0 {
            let (byte, rest) = delta.split_first()?;
            *delta = rest;
            value |= usize::from(*byte) << (8 * place);
        }
    }
    Some(value)
}
