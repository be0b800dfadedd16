//! `COPY` and `ADD`: files become a layer. Nothing is mounted and no right is needed: sources and
//! the root are read from indexes and tars (or from the context's files), and the layer is written,
//! hashed and indexed in one pass.
//!
//! What the root looks like afterwards is BuildKit's result, attribute by attribute. The layer
//! depends on the sources, the flags, and what the destination's path is in the root; same input,
//! same bytes.

mod archive;
mod layer;
mod merge;
mod owner;
mod target;
#[cfg(test)]
mod tests;

pub use owner::{Owner, find_owner};
pub(crate) use target::join;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use shiplap_layer::ingest::{IngestError, MadeError};
use shiplap_layer::stack::{Found, StackError, Xattrs};
use shiplap_layer::tar::{Metadata, WriteError, Writer};
use shiplap_layer::tree::Extent;
use shiplap_model::glob::GlobError;
use shiplap_model::ignore::IgnoreError;
use shiplap_model::limits;
use shiplap_ops::step::Cancel;
use shiplap_store::{LayerRecord, Lease, StoreError};

use self::archive::Archive;
use self::merge::{Destination, Merge};
use self::target::{Content, Leaf, LeafKind, Target};
use super::files::{Files, FilesError};
use super::layer::make_layer;
use super::selection::Selected;
use crate::context::{self, Entry, Kind, Time};
use crate::plan::Chmod;

/// What is copied, and how.
pub struct CopyJob<'a> {
    /// The root it is copied to.
    pub root: &'a Arc<Files>,
    /// What, in order.
    pub given: &'a [Given],
    /// Where to, absolute; a directory if it ends with `/` or `/.`.
    pub destination: &'a str,
    /// `--chown`.
    pub owner: Option<Owner>,
    /// `--chmod`.
    pub chmod: Option<&'a Chmod>,
    /// `--link`: nothing of the root counts.
    pub link: bool,
    /// When files are said to be of.
    pub times: CopyTimes,
}

/// One source, found.
pub enum Given {
    /// Files of a tree.
    Selected {
        /// They.
        selected: Vec<Arc<Selected>>,
        /// `ADD`: archives among them are unpacked.
        unpacks: bool,
    },
    /// A file of its own: what a URL gave.
    Fetched {
        /// Its name.
        name: String,
        /// It; none as long as nobody needed its bytes.
        file: Option<Arc<File>>,
        /// Its length in bytes.
        size_bytes: u64,
        /// When it was changed, in seconds since 1970, if that was told.
        modified_secs: Option<i64>,
        /// It is unpacked if it is an archive.
        unpacks: bool,
    },
    /// A file made by the Dockerfile.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        content: Arc<[u8]>,
    },
}

/// When files are said to be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyTimes {
    /// Nothing is later than so many seconds after 1970.
    pub at_most_secs: Option<i64>,
    /// Of what is made and copied from nowhere, in seconds since 1970.
    pub made_secs: i64,
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A source is not there.
    #[error("{:?}: not found", rooted(path))]
    NotFound {
        /// Its path in the source.
        path: Vec<u8>,
    },
    /// A directory is to be where something else is.
    #[error("cannot copy to non-directory: {}", rooted(path))]
    NotADirectory {
        /// Its path in the root.
        path: Vec<u8>,
    },
    /// A file is to be where a directory is.
    #[error("cannot replace to directory {} with file", rooted(path))]
    IsDirectory {
        /// Its path in the root.
        path: Vec<u8>,
    },
    /// A name that a layer takes for a whiteout.
    #[error(
        "copy {}: no layer can hold a name that begins with .wh.",
        rooted(path)
    )]
    Whiteout {
        /// Its path.
        path: Vec<u8>,
    },
    /// A file of the context can't be had.
    #[error(transparent)]
    Context(#[from] context::FilesError),
    /// A file can't be read.
    #[error("read {}: {source}", rooted(path))]
    Read {
        /// Its path.
        path: Vec<u8>,
        /// Why not.
        source: io::Error,
    },
    /// More files than a layer may have.
    #[error(
        "copy {}: it holds more than {} files",
        rooted(path),
        limits::LAYER_ENTRIES
    )]
    TooMany {
        /// Where there are too many.
        path: Vec<u8>,
    },
    /// A hard link in an archive leads nowhere.
    #[error(
        "unpack {}: it is a hard link to {}, which is no file",
        rooted(path),
        String::from_utf8_lossy(target)
    )]
    HardLink {
        /// The link.
        path: Vec<u8>,
        /// Its target, as written.
        target: Vec<u8>,
    },
    /// An archive can't be read.
    #[error("unpack {}: {source}", String::from_utf8_lossy(path))]
    Archive {
        /// Its name.
        path: Vec<u8>,
        /// Why.
        source: io::Error,
    },
    /// An archive inflates beyond all reason.
    #[error(
        "unpack {}: {compressed_bytes} bytes became more than {inflated_bytes}, as those of no honest archive do",
        String::from_utf8_lossy(path)
    )]
    Inflation {
        /// Its name.
        path: Vec<u8>,
        /// Bytes read by then.
        compressed_bytes: u64,
        /// What they gave.
        inflated_bytes: u64,
    },
    /// A file for the meantime can't be written.
    #[error("write a file in the store: {0}")]
    Stage(#[source] io::Error),
    /// A pattern is none.
    #[error(transparent)]
    Glob(GlobError),
    /// A pattern of `--exclude` or `--parents` is none.
    #[error(transparent)]
    Pattern(IgnoreError),
    /// Files can't be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// An entry can't be written.
    #[error(transparent)]
    Tar(#[from] WriteError),
    /// What was written is no layer.
    #[error(transparent)]
    Layer(#[from] IngestError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody wants it any more.
    #[error("copy: canceled")]
    Canceled,
}

impl From<StackError> for CopyError {
    fn from(error: StackError) -> Self {
        Self::Files(error.into())
    }
}

fn rooted(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

/// Copies, and makes a layer of what that changed, held by `lease`.
///
/// # Errors
/// [`CopyError`]; then nothing of it is in the store.
pub fn copy(lease: &Lease, job: &CopyJob<'_>, cancel: &Cancel) -> Result<LayerRecord, CopyError> {
    let empty = Files::of_layers(lease.store(), &[])?;
    let below = if job.link { &empty } else { &**job.root };
    let attributes = Attributes::of_job(job);
    let mut target = Target::new(&below.stack)?;
    let destination = Destination::new(job.destination);
    for given in job.given {
        let mut merge = Merge {
            target: &mut target,
            attributes: &attributes,
        };
        merge.given(given, &destination, (lease, cancel))?;
    }
    make(lease, &target, cancel)
}

/// Makes the directory `path` if it is missing, and a layer of what that changed.
///
/// # Errors
/// [`CopyError`]; then nothing of it is in the store.
pub fn make_directory(
    lease: &Lease,
    root: &Arc<Files>,
    path: &str,
    owner: Option<Owner>,
    times: CopyTimes,
    cancel: &Cancel,
) -> Result<LayerRecord, CopyError> {
    let attributes = Attributes {
        owner,
        chmod: None,
        times,
        root,
        is_linked: false,
    };
    let mut target = Target::new(&root.stack)?;
    let place = target.place(path.as_bytes())?;
    target.make_directories(&place, attributes.made_directory().as_ref())?;
    make(lease, &target, cancel)
}

fn make(lease: &Lease, target: &Target<'_>, cancel: &Cancel) -> Result<LayerRecord, CopyError> {
    make_layer(lease, |out| {
        let mut writer = Writer::new(out);
        layer::write(target, &mut writer, cancel)?;
        writer.finish()?;
        Ok(())
    })
    .map_err(|error| match error {
        MadeError::Make(error) => error,
        MadeError::Ingest(error) => error.into(),
    })
}

impl Merge<'_, '_> {
    fn given(
        &mut self,
        given: &Given,
        destination: &Destination,
        work: (&Lease, &Cancel),
    ) -> Result<(), CopyError> {
        match given {
            Given::Selected { selected, unpacks } => {
                for selected in selected {
                    if !(*unpacks && self.unpack_selected(selected, destination, work)?) {
                        self.tree(selected, destination)?;
                    }
                }
                Ok(())
            }
            Given::Fetched {
                file,
                name,
                unpacks,
                ..
            } => {
                let Some(file) = file else {
                    return Err(CopyError::NotFound {
                        path: name.clone().into_bytes(),
                    });
                };
                if *unpacks
                    && let Some(archive) = Archive::open(&mut &**file, work, name.as_bytes())?
                {
                    return self.unpack(archive, destination);
                }
                let leaf = self.attributes.fetched(given);
                self.file(name.as_bytes(), leaf, destination)
            }
            Given::Inline { name, content } => {
                let leaf = Leaf {
                    metadata: self.attributes.made_file(0o644, None),
                    kind: LeafKind::File {
                        content: Content::Inline(Arc::clone(content)),
                        link: None,
                    },
                };
                self.file(name.as_bytes(), leaf, destination)
            }
        }
    }

    /// Unpacks a file if it is an archive; whether it was.
    fn unpack_selected(
        &mut self,
        selected: &Selected,
        destination: &Destination,
        work: (&Lease, &Cancel),
    ) -> Result<bool, CopyError> {
        let Some(mut opened) = selected.open(0)? else {
            return Ok(false);
        };
        match Archive::open(&mut opened.bytes.reader(), work, &selected.name)? {
            Some(archive) => self.unpack(archive, destination).map(|()| true),
            None => Ok(false),
        }
    }

    fn unpack(&mut self, archive: Archive, destination: &Destination) -> Result<(), CopyError> {
        let place = self.target.place(&destination.path)?;
        let made = self.attributes.made_directory();
        self.target.make_directories(&place, made.as_ref())?;
        archive.unpack(self.target, &place, self.attributes)
    }
}

/// What becomes of the attributes of what is copied.
struct Attributes<'a> {
    owner: Option<Owner>,
    chmod: Option<&'a Chmod>,
    times: CopyTimes,
    root: &'a Arc<Files>,
    is_linked: bool,
}

impl<'a> Attributes<'a> {
    fn of_job(job: &CopyJob<'a>) -> Self {
        let mut times = job.times;
        if times.at_most_secs.is_none() {
            // What is made is as old as the newest of what it is made for.
            let newest = job.given.iter().filter_map(Given::newest).max();
            times.made_secs = newest.unwrap_or(times.made_secs);
        }
        Self {
            owner: job.owner,
            chmod: job.chmod,
            times,
            root: job.root,
            is_linked: job.link,
        }
    }

    /// Of something that is copied.
    fn of(&self, entry: &Entry, xattrs: Xattrs) -> Metadata {
        let mode = match self.chmod {
            Some(chmod) if !matches!(entry.kind, Kind::Link(_)) => {
                chmod.apply(entry.mode, entry.kind == Kind::Directory)
            }
            _ => entry.mode,
        };
        let owner = self.owner.unwrap_or(Owner {
            uid: entry.uid,
            gid: entry.gid,
        });
        let (mtime_secs, mtime_nanos) = self.time(entry.mtime);
        Metadata {
            mode: (mode & 0o7777) as u16,
            uid: owner.uid,
            gid: owner.gid,
            mtime_secs,
            mtime_nanos,
            xattrs,
        }
    }

    fn time(&self, time: Time) -> (i64, u32) {
        match self.times.at_most_secs {
            Some(limit) if time.seconds >= limit => (limit, 0),
            _ => (time.seconds, time.nanoseconds),
        }
    }

    fn made(&self, mode: u16) -> Metadata {
        let owner = self.owner.unwrap_or_default();
        Metadata {
            mode,
            uid: owner.uid,
            gid: owner.gid,
            mtime_secs: self.times.at_most_secs.unwrap_or(self.times.made_secs),
            mtime_nanos: 0,
            xattrs: BTreeMap::new(),
        }
    }

    /// Of a directory that is made because something is copied into it; nothing if it is to have
    /// whatever it has below.
    fn made_directory(&self) -> Option<Metadata> {
        let mode = match self.chmod {
            Some(Chmod::Octal(mode)) => Some((mode & 0o777) as u16),
            _ => None,
        };
        if self.is_linked && mode.is_none() && self.owner.is_none() {
            return None;
        }
        Some(self.made(mode.unwrap_or(0o755)))
    }

    /// Of a directory that an archive leaves out.
    fn implied_directory(&self) -> Metadata {
        Metadata {
            uid: 0,
            gid: 0,
            ..self.made(0o755)
        }
    }

    /// Of a file that was never in a file system.
    fn made_file(&self, mode: u16, modified_secs: Option<i64>) -> Metadata {
        let mode = u32::from(mode);
        let mode = self.chmod.map_or(mode, |chmod| chmod.apply(mode, false));
        let mut metadata = self.made((mode & 0o7777) as u16);
        if let Some(secs) = modified_secs {
            (metadata.mtime_secs, metadata.mtime_nanos) = self.time(Time {
                seconds: secs,
                nanoseconds: 0,
            });
        }
        metadata
    }

    fn fetched(&self, given: &Given) -> Leaf {
        let (content, modified_secs) = match given {
            Given::Fetched {
                file: Some(file),
                size_bytes,
                modified_secs,
                ..
            } => (
                Content::Part(Arc::clone(file), whole(*size_bytes)),
                *modified_secs,
            ),
            _ => (Content::Inline(Arc::from([])), None),
        };
        Leaf {
            metadata: self.made_file(0o600, modified_secs),
            kind: LeafKind::File {
                content,
                link: None,
            },
        }
    }

    /// The content of a file of the root.
    fn content_below(&self, found: &Found) -> Content {
        Content::Below(Arc::clone(self.root), found.clone())
    }
}

/// All of a file.
fn whole(size_bytes: u64) -> shiplap_layer::stack::Content {
    let extent = Extent {
        file_offset: 0,
        tar_offset: 0,
        length: size_bytes,
    };
    shiplap_layer::stack::Content {
        layer: 0,
        size_bytes,
        extents: Vec::from_iter((size_bytes > 0).then_some(extent)),
    }
}

impl Given {
    /// When the newest of it was changed.
    fn newest(&self) -> Option<i64> {
        match self {
            Self::Selected { selected, .. } => {
                let entries = selected.iter().flat_map(|selected| &selected.tree.entries);
                entries.map(|entry| entry.mtime.seconds).max()
            }
            Self::Fetched { modified_secs, .. } => *modified_secs,
            Self::Inline { .. } => None,
        }
    }
}
