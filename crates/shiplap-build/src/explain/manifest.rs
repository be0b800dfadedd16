//! What a copy copied: a short digest for each path, so that a miss can name the file that changed.
//! It decides nothing; two files that look alike here cost an explanation, never a wrong layer.

use crate::context::ContentDigest;

/// Bytes of a file's digest that are kept: one change in four billion goes unnamed.
const SHORT: usize = 4;

/// Longest encoded manifest, in bytes (8 MiB): names and short digests of about half a million
/// files. Of more, nothing is kept.
const ENCODED_BYTES: usize = 8 << 20;

/// Paths and short digests, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// `None`: there were too many.
    entries: Option<Vec<(Vec<u8>, [u8; SHORT])>>,
}

/// How two manifests differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Paths that only the new one has.
    pub added: Vec<String>,
    /// Paths that only the old one has.
    pub removed: Vec<String>,
    /// Paths with another content.
    pub changed: Vec<String>,
}

impl Manifest {
    /// That of these paths, in any order.
    #[must_use]
    pub fn new<'p>(entries: impl IntoIterator<Item = (&'p [u8], &'p ContentDigest)>) -> Self {
        let short = |digest: &ContentDigest| {
            let [first, second, third, fourth, ..] = digest.0;
            [first, second, third, fourth]
        };
        let mut entries: Vec<_> = entries
            .into_iter()
            .map(|(path, digest)| (path.to_vec(), short(digest)))
            .collect();
        entries.sort();
        entries.dedup_by(|later, earlier| later.0 == earlier.0);
        Self {
            entries: Some(entries),
        }
    }

    /// What `self`, the newer one, differs in; `None` if one of them is not known.
    #[must_use]
    pub fn difference(&self, old: &Self) -> Option<Difference> {
        let (mut new, mut old) = (
            self.entries.as_ref()?.iter().peekable(),
            old.entries.as_ref()?.iter().peekable(),
        );
        let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let mut difference = Difference::default();
        loop {
            match (new.peek(), old.peek()) {
                (None, None) => return Some(difference),
                (Some((path, _)), None) => {
                    difference.added.push(text(path));
                    new.next();
                }
                (None, Some((path, _))) => {
                    difference.removed.push(text(path));
                    old.next();
                }
                (Some((path, digest)), Some((old_path, old_digest))) => match path.cmp(old_path) {
                    std::cmp::Ordering::Less => {
                        difference.added.push(text(path));
                        new.next();
                    }
                    std::cmp::Ordering::Greater => {
                        difference.removed.push(text(old_path));
                        old.next();
                    }
                    std::cmp::Ordering::Equal => {
                        if digest != old_digest {
                            difference.changed.push(text(path));
                        }
                        new.next();
                        old.next();
                    }
                },
            }
        }
    }

    /// Each path as how much of it the one before has, and the rest. Empty for one that is not
    /// known, or too long.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut before: &[u8] = b"";
        for (path, digest) in self.entries.iter().flatten() {
            let pairs = path.iter().zip(before);
            let shared = pairs.take_while(|(one, other)| one == other).count();
            put_number(&mut bytes, shared);
            put_number(&mut bytes, path.len() - shared);
            bytes.extend_from_slice(path.get(shared..).unwrap_or_default());
            bytes.extend_from_slice(digest);
            if bytes.len() > ENCODED_BYTES {
                return Vec::new();
            }
            before = path;
        }
        // One that is known but empty differs from one that is not.
        bytes.insert(0, u8::from(self.entries.is_some()));
        bytes
    }

    /// Reads what [`Self::encode`] wrote; what can't be read is not known.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let Some((1, mut rest)) = bytes.split_first() else {
            return Self::default();
        };
        let mut entries: Vec<(Vec<u8>, [u8; SHORT])> = Vec::new();
        while !rest.is_empty() {
            let before = entries.last().map_or(&[][..], |(path, _)| path);
            let Some((entry, after)) = take_entry(rest, before) else {
                return Self::default();
            };
            entries.push(entry);
            rest = after;
        }
        Self {
            entries: Some(entries),
        }
    }
}

type Entry = (Vec<u8>, [u8; SHORT]);

fn take_entry<'b>(bytes: &'b [u8], before: &[u8]) -> Option<(Entry, &'b [u8])> {
    let (shared, bytes) = take_number(bytes)?;
    let (own, bytes) = take_number(bytes)?;
    let (own, bytes) = bytes.split_at_checked(own)?;
    let (digest, bytes) = bytes.split_first_chunk()?;
    let path = [before.get(..shared)?, own].concat();
    Some(((path, *digest), bytes))
}

/// Seven bits a byte, low ones first; the eighth says that more follow.
fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (position, byte) in bytes.iter().enumerate().take(4) {
        number |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(position + 1..)?));
        }
    }
    None
}
