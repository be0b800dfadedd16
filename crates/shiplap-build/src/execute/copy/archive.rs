//! `ADD` of an archive: its entries put into the destination as Docker unpacks them.
//!
//! Links of the archive count from the destination, which nothing leads out of. An entry takes
//! the place of whatever is there, but for a directory in the place of a directory. Whether a file
//! is an archive is told by its bytes, never by its name.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::sync::Arc;

use shiplap_layer::compress::{self, Format};
use shiplap_layer::stack::{self, Type};
use shiplap_layer::tar::{BLOCK_BYTES, Entry, EntryKind, Metadata, Scanner, TarError, scan_file};
use shiplap_model::{limits, path};
use shiplap_ops::step::Cancel;
use shiplap_store::Lease;

use super::target::{
    Content, Directory, Leaf, LeafKind, Node, Seen, Target, child_directory, join, metadata_of,
    see_child,
};
use super::{Attributes, CopyError};
use crate::context::Time;

/// Bytes inflated at once.
const BUFFER_BYTES: usize = 256 << 10;

/// An archive as a plain tar.
pub(super) struct Archive {
    tar: Arc<File>,
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads `file` if it is an archive, plain or compressed, whose first header is sound, into a
    /// file of `lease`.
    pub(super) fn open(
        file: &mut dyn Read,
        (lease, cancel): (&Lease, &Cancel),
        name: &[u8],
    ) -> Result<Option<Self>, CopyError> {
        let unreadable = |source| CopyError::Archive {
            path: name.to_vec(),
            source,
        };
        let taken = Cell::new(0);
        let mut file = Counted {
            reader: file,
            taken: &taken,
        };
        let mut start = vec![0; BLOCK_BYTES];
        let count = fill(&mut file, &mut start).map_err(unreadable)?;
        start.truncate(count);
        let copying = Copying {
            lease,
            cancel,
            name,
            taken: &taken,
        };
        let tar = if Format::of(&start) != Format::Plain {
            copying.inflate(BufReader::new(start.chain(&mut file)))?
        } else if is_tar(&start) {
            Some(copying.copy(&mut start.chain(&mut file))?)
        } else {
            None
        };
        let Some(tar) = tar else {
            return Ok(None);
        };
        // Only at its end a file tells that it changed meanwhile.
        io::copy(&mut file, &mut io::sink()).map_err(unreadable)?;
        let mut entries = Vec::new();
        scan_file(&tar, |entry| {
            if entries.len() as u64 >= limits::LAYER_ENTRIES {
                return Err(TarError::Entries {
                    limit: limits::LAYER_ENTRIES,
                });
            }
            entries.push(entry);
            Ok(())
        })
        .map_err(unreadable)?;
        Ok(Some(Self {
            tar: Arc::new(tar),
            entries,
        }))
    }

    /// Puts all entries into `destination`, a directory of the target, resolved.
    pub(super) fn unpack(
        self,
        target: &mut Target<'_>,
        destination: &[u8],
        attributes: &Attributes<'_>,
    ) -> Result<(), CopyError> {
        let number = target.begin_copy();
        let mut unpacking = Unpacking {
            tar: self.tar,
            target,
            root: destination,
            attributes,
            number,
            files: 0,
        };
        for entry in self.entries {
            unpacking.entry(entry)?;
        }
        Ok(())
    }
}

fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether these are the first bytes of a tar with an entry.
fn is_tar(start: &[u8]) -> bool {
    start.len() == BLOCK_BYTES
        && start.iter().any(|byte| *byte != 0)
        && Scanner::default().push(start, |_| Ok(())).is_ok()
}

/// Counts what is read.
struct Counted<'c, R> {
    reader: R,
    taken: &'c Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

/// Makes a plain tar of an archive, in a file without a name.
struct Copying<'c> {
    lease: &'c Lease,
    cancel: &'c Cancel,
    name: &'c [u8],
    /// Bytes of the archive that were read.
    taken: &'c Cell<u64>,
}

impl Copying<'_> {
    /// The tar in compressed bytes; nothing if there is none in them.
    fn inflate(&self, compressed: BufReader<impl Read>) -> Result<Option<File>, CopyError> {
        let Ok((_, mut reader)) = compress::open(compressed) else {
            return Ok(None);
        };
        let mut start = vec![0; BLOCK_BYTES];
        match fill(&mut reader, &mut start) {
            Ok(count) if is_tar(start.get(..count).unwrap_or_default()) => {}
            _ => return Ok(None),
        }
        self.copy(&mut start.chain(reader)).map(Some)
    }

    fn copy(&self, reader: &mut dyn Read) -> Result<File, CopyError> {
        let unreadable = |source| CopyError::Archive {
            path: self.name.to_vec(),
            source,
        };
        let staged = self.lease.file()?;
        let mut out = staged.file();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut total: u64 = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(CopyError::Canceled);
            }
            let count = fill(reader, &mut buffer).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            total += count as u64;
            let taken = self.taken.get();
            let allowed = taken
                .saturating_mul(limits::INFLATION_RATIO)
                .clamp(limits::INFLATION_FREE_BYTES, limits::LAYER_BYTES);
            if total > allowed {
                return Err(CopyError::Inflation {
                    path: self.name.to_vec(),
                    compressed_bytes: taken,
                    inflated_bytes: total,
                });
            }
            out.write_all(buffer.get(..count).unwrap_or_default())
                .map_err(CopyError::Stage)?;
        }
        // The name goes with the staged file; the open file stays.
        staged.file().try_clone().map_err(CopyError::Stage)
    }
}

struct Unpacking<'u, 'a> {
    tar: Arc<File>,
    target: &'u mut Target<'a>,
    /// Where the archive's root is.
    root: &'u [u8],
    attributes: &'u Attributes<'u>,
    number: usize,
    /// Files so far: they number those that may get hard links.
    files: usize,
}

impl Unpacking<'_, '_> {
    fn entry(&mut self, entry: Entry) -> Result<(), CopyError> {
        let relative = path::beneath(&entry.path);
        let (parent, name) = path::split(&relative);
        if name.is_empty() {
            // The archive's own root: the destination stays as it is.
            return Ok(());
        }
        if name.starts_with(b".wh.") {
            return Err(CopyError::Whiteout { path: relative });
        }
        let parent = self.target.place_beneath(self.root, parent)?;
        let implied = self.attributes.implied_directory();
        self.target.make_directories(&parent, Some(&implied))?;
        let place = join(&parent, name);
        let metadata = self.metadata(&entry);
        let kind = match entry.kind {
            EntryKind::Directory => return self.directory(&parent, name, &place, metadata),
            EntryKind::HardLink(target) => return self.hard_link(&parent, name, &place, &target),
            EntryKind::File(data) => {
                self.files += 1;
                LeafKind::File {
                    content: Content::Part(
                        Arc::clone(&self.tar),
                        stack::Content {
                            layer: 0,
                            size_bytes: data.size_bytes,
                            extents: data.extents,
                        },
                    ),
                    link: Some((self.number, self.files)),
                }
            }
            EntryKind::Symlink(target) => LeafKind::Symlink(target),
            EntryKind::CharDevice { major, minor } => LeafKind::CharDevice(major, minor),
            EntryKind::BlockDevice { major, minor } => LeafKind::BlockDevice(major, minor),
            EntryKind::Fifo => LeafKind::Fifo,
        };
        self.put(&parent, name, Leaf { metadata, kind })
    }

    fn metadata(&self, entry: &Entry) -> Metadata {
        let owner = self.attributes.owner;
        let (mtime_secs, mtime_nanos) = self.attributes.time(Time {
            seconds: entry.mtime_secs,
            nanoseconds: entry.mtime_nanos,
        });
        Metadata {
            mode: entry.mode,
            uid: owner.map_or(entry.uid, |owner| owner.uid),
            gid: owner.map_or(entry.gid, |owner| owner.gid),
            mtime_secs,
            mtime_nanos,
            xattrs: entry.xattrs.clone(),
        }
    }

    fn directory(
        &mut self,
        parent: &[u8],
        name: &[u8],
        place: &[u8],
        metadata: Metadata,
    ) -> Result<(), CopyError> {
        let below = self.target.below();
        let directory = self.target.directory_mut(parent)?;
        if see_child(directory, name, below)?.is_directory() {
            child_directory(directory, name, place, below)?.metadata = Some(metadata);
            return Ok(());
        }
        let mut new = Directory::new(metadata);
        // A file of this layer may have taken the place of a directory below.
        new.opaque = match &directory.below {
            Some(found) => below
                .lookup(found, name)?
                .is_some_and(|found| found.is_directory()),
            None => false,
        };
        directory
            .children
            .insert(name.to_vec(), Node::Directory(new));
        Ok(())
    }

    /// Another name of what is there already, whether the archive brought it or not.
    fn hard_link(
        &mut self,
        parent: &[u8],
        name: &[u8],
        place: &[u8],
        target: &[u8],
    ) -> Result<(), CopyError> {
        let missing = || CopyError::HardLink {
            path: place.to_vec(),
            target: target.to_vec(),
        };
        let relative = path::beneath(target);
        let (directory, last) = path::split(&relative);
        let directory = self.target.place_beneath(self.root, directory)?;
        let leaf = match self.target.see(&join(&directory, last))? {
            Seen::Ours(Node::Leaf(leaf)) => leaf.clone(),
            Seen::Below(found) => self.of_below(&found)?.ok_or_else(missing)?,
            Seen::Ours(Node::Directory(_)) | Seen::Nothing => return Err(missing()),
        };
        self.put(parent, name, leaf)
    }

    /// A copy of a file of the layers below: a layer's links stay within it.
    fn of_below(&self, found: &stack::Found) -> Result<Option<Leaf>, CopyError> {
        let below = self.target.below();
        let kind = match found.facts.kind {
            Type::File { .. } => LeafKind::File {
                content: self.attributes.content_below(found),
                link: None,
            },
            Type::Symlink => LeafKind::Symlink(below.read_link(found)?),
            _ => return Ok(None),
        };
        Ok(Some(Leaf {
            metadata: metadata_of(found, below)?,
            kind,
        }))
    }

    fn put(&mut self, parent: &[u8], name: &[u8], leaf: Leaf) -> Result<(), CopyError> {
        let directory = self.target.directory_mut(parent)?;
        directory.children.insert(name.to_vec(), Node::Leaf(leaf));
        Ok(())
    }
}
