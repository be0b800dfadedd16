//! Digests of files that were read before, by what `stat` says of them, so that a context that did
//! not change costs one look at each file.
//!
//! A memory is one file for each context directory, in a directory that the caller names:
//!
//! | bytes | |
//! |---|---|
//! | 24 | magic and version |
//! | 8 | number of records |
//! | 4 | number of capabilities |
//! | 4 + n | length of the context's path, the path |
//! | 84 each | records, by device and inode: device, inode, size (8 each), modified, changed (seconds 8, nanoseconds 4 each), digest (32), number of the capability, 0 for none (4) |
//! | 1 + n each | capabilities: length, bytes |
//! | 32 | BLAKE3 of all before |
//!
//! Numbers are little-endian. A file that is damaged, newer or missing is an empty memory: nothing
//! depends on it but time. It is read at once, and replaced by rename; of two builds that save at the same
//! time one wins. Only settled files are kept (see `settle.rs`).

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use shiplap_model::limits;

use super::digest::ContentDigest;
use super::entry::{Stamp, Time};
use super::web_memory::WEB_PREFIX;

const MAGIC: &[u8; 24] = b"shiplap stat memory 1\n\0\0";
const RECORD_BYTES: usize = 84;
const SUM_BYTES: usize = 32;

/// What is remembered of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) digest: ContentDigest,
    pub(super) capability: Option<Vec<u8>>,
}

/// The memory of one context directory.
#[derive(Debug, Default)]
pub struct StatMemory {
    place: Option<Place>,
    /// The file as it lies on disk, and where the records are in it.
    bytes: Vec<u8>,
    records: Range<usize>,
    capabilities: Vec<Vec<u8>>,
    /// One bit for each record that was asked for: the others may be of files that are gone.
    asked: Vec<AtomicU64>,
    new: Mutex<Vec<(Stamp, Known)>>,
}

#[derive(Debug)]
struct Place {
    file: PathBuf,
    context: Vec<u8>,
}

/// Puts a file of a memory into its place, whole; its directory is made if it is missing.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
    }
    let temporary = file.with_extension(format!("new-{}", std::process::id()));
    let write = || {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&temporary)?.write_all(bytes)?;
        std::fs::rename(&temporary, file)
    };
    write().inspect_err(|_| {
        // What is left of it is of no use; that it can't be removed changes nothing.
        let _ = std::fs::remove_file(&temporary);
    })
}

impl StatMemory {
    /// One that forgets: for contexts that are made anew each time.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The memory of the directory `context`, an absolute path, among those in `directory`. What
    /// can't be read is empty.
    #[must_use]
    pub fn open(directory: &Path, context: &Path) -> Self {
        let context = context.as_os_str().as_bytes().to_vec();
        let name = ContentDigest::of(&context).to_string();
        let place = Place {
            file: directory.join(&name[..32]),
            context,
        };
        let mut memory = read(&place.file)
            .and_then(|bytes| parse(bytes, &place.context))
            .unwrap_or_default();
        let words = memory.count().div_ceil(64);
        memory.asked = std::iter::repeat_with(AtomicU64::default)
            .take(words)
            .collect();
        memory.place = Some(place);
        memory
    }

    fn count(&self) -> usize {
        self.records.len() / RECORD_BYTES
    }

    fn record(&self, index: usize) -> Option<&[u8]> {
        let records = self.bytes.get(self.records.clone())?;
        records.get(index * RECORD_BYTES..)?.get(..RECORD_BYTES)
    }

    /// What is known of a file in exactly this state.
    pub(super) fn recall(&self, stamp: &Stamp) -> Option<Known> {
        let wanted = (stamp.device, stamp.inode);
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low.midpoint(high);
            let record = self.record(middle)?;
            let mut numbers = Reader(record);
            match (numbers.u64()?, numbers.u64()?).cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let (found, known, capability) = decode(record)?;
                    if !found.is_same(stamp) {
                        return None;
                    }
                    let word = self.asked.get(middle / 64)?;
                    word.fetch_or(1 << (middle % 64), Ordering::Relaxed);
                    let capability = match capability.checked_sub(1) {
                        Some(index) => Some(self.capabilities.get(index)?.clone()),
                        None => None,
                    };
                    return Some(Known {
                        digest: known,
                        capability,
                    });
                }
            }
        }
        None
    }

    /// Remembers a settled file.
    pub(super) fn keep(&self, stamp: &Stamp, known: &Known) {
        if self.place.is_none() {
            return;
        }
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        if new.len() < limits::STAT_MEMORY_RECORDS {
            new.push((*stamp, known.clone()));
        }
    }

    /// Writes what was learned, if anything was. Of files that were not asked for as many are kept
    /// as of those that were: they are another target's, or gone.
    ///
    /// # Errors
    /// I/O failures; the old memory is as it was then.
    pub fn save(&self) -> io::Result<()> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        let new = std::mem::take(&mut *self.new.lock().unwrap_or_else(PoisonError::into_inner));
        if new.is_empty() {
            return Ok(());
        }
        replace(&place.file, &self.encode(new, &place.context))
    }

    fn encode(&self, new: Vec<(Stamp, Known)>, context: &[u8]) -> Vec<u8> {
        let was_asked = |index: usize| {
            let word = self.asked.get(index / 64);
            word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (index % 64)) != 0)
        };
        let (asked, others): (Vec<usize>, Vec<usize>) =
            (0..self.count()).partition(|index| was_asked(*index));
        let room = asked.len() + new.len();
        let old = asked.into_iter().chain(others.into_iter().take(room));
        let old = old.filter_map(|index| {
            let (stamp, digest, capability) = decode(self.record(index)?)?;
            let capability = capability
                .checked_sub(1)
                .and_then(|at| self.capabilities.get(at));
            let capability = capability.cloned();
            Some((stamp, Known { digest, capability }))
        });
        let mut all: Vec<(Stamp, Known)> = new.into_iter().chain(old).collect();
        // Stable: of one inode the newest record comes first.
        all.sort_by_key(|(stamp, _)| (stamp.device, stamp.inode));
        all.dedup_by_key(|(stamp, _)| (stamp.device, stamp.inode));
        all.truncate(limits::STAT_MEMORY_RECORDS);
        let mut capabilities = Vec::new();
        let mut records = Vec::with_capacity(all.len() * RECORD_BYTES);
        for (stamp, known) in &all {
            let number = match &known.capability {
                Some(capability) => {
                    capabilities.push(capability);
                    capabilities.len()
                }
                None => 0,
            };
            put_record(&mut records, stamp, &known.digest, number);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend((all.len() as u64).to_le_bytes());
        bytes.extend((capabilities.len() as u32).to_le_bytes());
        bytes.extend((context.len() as u32).to_le_bytes());
        bytes.extend(context);
        bytes.extend(records);
        for capability in capabilities {
            // They are far shorter than 256 bytes where they are read.
            bytes.push(capability.len() as u8);
            bytes.extend(capability);
        }
        let sum = ContentDigest::of(&bytes);
        bytes.extend(sum.0);
        bytes
    }
}

/// Removes memories in `directory` of contexts that are gone, with `all` those of all and of files
/// of the web; what is no memory is let be. Says how many bytes that were.
///
/// # Errors
/// I/O failures; no directory is no memory.
pub fn prune_memories(directory: &Path, all: bool) -> io::Result<u64> {
    let list = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        list => list?,
    };
    let mut bytes = 0;
    for entry in list {
        let entry = entry?;
        let is_of_web = entry
            .file_name()
            .as_bytes()
            .starts_with(WEB_PREFIX.as_bytes());
        let context = context_of(&entry.path());
        if context.is_some_and(|context| all || !context.is_dir()) || (all && is_of_web) {
            bytes += entry.metadata()?.len();
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(bytes)
}

/// The context directory whose memory a file is; `None` if it is none.
fn context_of(file: &Path) -> Option<PathBuf> {
    let bytes = read(file)?;
    let mut rest = Reader(bytes.get(..bytes.len().checked_sub(SUM_BYTES)?)?);
    (rest.take(MAGIC.len())? == MAGIC).then_some(())?;
    rest.take(12)?;
    let length = rest.u32()? as usize;
    let path = std::ffi::OsStr::from_bytes(rest.take(length)?);
    Some(PathBuf::from(path))
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let most = (limits::STAT_MEMORY_RECORDS * RECORD_BYTES * 2) as u64;
    if length > most {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?);
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn parse(bytes: Vec<u8>, context: &[u8]) -> Option<StatMemory> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
    (ContentDigest::of(body).0 == sum).then_some(())?;
    let mut rest = Reader(body);
    (rest.take(MAGIC.len())? == MAGIC).then_some(())?;
    let count = usize::try_from(rest.u64()?).ok()?;
    let capability_count = rest.u32()?;
    let length = rest.u32()? as usize;
    (rest.take(length)? == context).then_some(())?;
    let length = count.checked_mul(RECORD_BYTES)?;
    let start = body.len() - rest.0.len();
    rest.take(length)?;
    let mut capabilities = Vec::new();
    for _ in 0..capability_count {
        let length = usize::from(*rest.take(1)?.first()?);
        capabilities.push(rest.take(length)?.to_vec());
    }
    Some(StatMemory {
        records: start..start + length,
        bytes,
        capabilities,
        ..StatMemory::default()
    })
}

/// Numbers in a row.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn time(&mut self) -> Option<Time> {
        Some(Time {
            seconds: self.u64()?.cast_signed(),
            nanoseconds: self.u32()?,
        })
    }
}

fn decode(record: &[u8]) -> Option<(Stamp, ContentDigest, usize)> {
    let mut rest = Reader(record);
    let stamp = Stamp {
        device: rest.u64()?,
        inode: rest.u64()?,
        size_bytes: rest.u64()?,
        modified: rest.time()?,
        changed: rest.time()?,
        is_settled: true,
    };
    let digest = ContentDigest(rest.take(32)?.try_into().ok()?);
    Some((stamp, digest, rest.u32()? as usize))
}

fn put_record(out: &mut Vec<u8>, stamp: &Stamp, digest: &ContentDigest, capability: usize) {
    for number in [stamp.device, stamp.inode, stamp.size_bytes] {
        out.extend(number.to_le_bytes());
    }
    for time in [stamp.modified, stamp.changed] {
        out.extend(time.seconds.to_le_bytes());
        out.extend(time.nanoseconds.to_le_bytes());
    }
    out.extend(digest.0);
    out.extend((capability as u32).to_le_bytes());
}
