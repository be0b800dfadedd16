//! What a source of `COPY` or `ADD` selects, wherever it lies: entries in order, what tells their
//! content, and where their bytes are. A context selects from its directory; here is how layers do
//! the same, by the same rules.
//!
//! The rules are BuildKit's: links that are named are followed inside the tree, those that a
//! directory brings are not; a pattern's `**` is no more than `*`, but for `--parents`.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::sync::Arc;

use rayon::prelude::*;
use shiplap_layer::stack::{Found, StackError, Type, Xattrs};
use shiplap_model::glob::Glob;
use shiplap_model::ignore::{Above, Patterns};
use shiplap_model::{limits, path};

use super::copy::CopyError;
use super::files::{Bytes, Files};
use crate::context::{Content, ContentDigest, Context, Entry, FileReader, Kind, Match, Time, Tree};

/// Bytes of a layer's file that are hashed at once.
const HASH_BUFFER_BYTES: usize = 256 << 10;

/// One thing that a source selects: a file, or a directory whose content is meant.
pub struct Selected {
    /// The last name of its path, as written or matched: what a file is called in a directory.
    pub name: Vec<u8>,
    /// It is a directory.
    pub is_directory: bool,
    /// It, and what is below; nothing if it is excluded.
    pub tree: Tree,
    origin: Origin,
}

/// Where the bytes are.
enum Origin {
    Context(Arc<Context>),
    /// In layers: what each entry is there.
    Layers(Arc<Files>, Vec<Found>),
}

/// Which entries below a source are meant.
struct Filter<'a> {
    files: &'a Files,
    /// `--parents`: only these.
    includes: Option<Patterns>,
    excludes: &'a Patterns,
}

/// What is known of a directory's entries before they are looked at.
#[derive(Default)]
struct Entered {
    included: Above,
    excluded: Above,
}

/// A file's bytes and attributes.
pub struct Opened<'a> {
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// Its bytes.
    pub bytes: OpenedBytes<'a>,
}

/// Where a file's bytes are read from.
pub enum OpenedBytes<'a> {
    /// A context.
    Context(FileReader),
    /// A layer.
    Layer(Bytes<'a>),
}

impl OpenedBytes<'_> {
    /// A reader of them, from the beginning.
    pub fn reader(&mut self) -> Box<dyn Read + '_> {
        match self {
            Self::Context(reader) => Box::new(reader),
            Self::Layer(bytes) => bytes.reader(),
        }
    }
}

/// What `source`, a path or pattern, selects in a context.
///
/// # Errors
/// [`CopyError::NotFound`], and contexts that can't be read.
pub fn of_context(
    context: &Arc<Context>,
    source: &str,
    excludes: &Patterns,
    parents: bool,
) -> Result<Vec<Selected>, CopyError> {
    let matches = if parents {
        context.resolve_parents(source)?
    } else {
        context.resolve(source)?
    };
    let selected = matches.into_iter().map(|found: Match| {
        Ok(Selected {
            tree: context.select(&found, excludes)?,
            name: found.name,
            is_directory: found.is_directory,
            origin: Origin::Context(Arc::clone(context)),
        })
    });
    selected.collect()
}

/// What `source`, a path or pattern, selects in layers. Digests of content are left out.
///
/// # Errors
/// [`CopyError::NotFound`], and layers that can't be read.
pub fn of_layers(
    files: &Arc<Files>,
    source: &str,
    excludes: &Patterns,
    parents: bool,
) -> Result<Vec<Selected>, CopyError> {
    let mut filter = Filter {
        files,
        includes: None,
        excludes,
    };
    let mut source = source;
    if parents {
        let (pivot, below) = source.split_once("/./").unwrap_or(("/", source));
        let below = path::beneath(below.as_bytes());
        require(files, pivot.as_bytes(), &below)?;
        source = pivot;
        if !below.is_empty() {
            filter.includes = Some(Patterns::new([&below]).map_err(CopyError::Pattern)?);
        }
    }
    let source = path::beneath(source.as_bytes());
    let is_pattern = Glob::has_wildcards(&source);
    let mut selected = Vec::new();
    for (source, found) in expand(files, &source)? {
        let name = path::split(&source).1.to_vec();
        let is_directory = found.is_directory();
        // Below a file there is nothing to be asked for.
        if filter.includes.is_some() && !is_directory {
            continue;
        }
        let is_excluded = !is_directory && is_pattern && excludes.excludes(&name);
        let (tree, found) = filter.tree(&found, is_excluded)?;
        selected.push(Selected {
            name,
            is_directory,
            tree,
            origin: Origin::Layers(Arc::clone(files), found),
        });
    }
    Ok(selected)
}

/// With `--parents` a path without wildcards must exist, as any source.
fn require(files: &Files, pivot: &[u8], below: &[u8]) -> Result<(), CopyError> {
    if Glob::has_wildcards(pivot) || Glob::has_wildcards(below) {
        return Ok(());
    }
    let path = path::beneath(&[pivot, b"/", below].concat());
    match files.find(&path)? {
        Some(_) => Ok(()),
        None => Err(CopyError::NotFound { path }),
    }
}

/// The paths that a source means, with what is there, links followed.
fn expand(files: &Files, source: &[u8]) -> Result<Vec<(Vec<u8>, Found)>, CopyError> {
    let find = |path: &[u8]| {
        files.find(path)?.ok_or_else(|| CopyError::NotFound {
            path: path.to_vec(),
        })
    };
    let names: Vec<&[u8]> = source.split(|byte| *byte == b'/').collect();
    let Some(first) = names.iter().position(|name| Glob::has_wildcards(name)) else {
        return Ok(vec![(source.to_vec(), find(source)?)]);
    };
    let (fixed, patterns) = names.split_at(first);
    let mut level = vec![find(&fixed.join(&b'/'))?];
    for pattern in patterns {
        let pattern = Glob::parse(pattern).map_err(CopyError::Glob)?;
        let directories = level.into_iter().filter(Found::is_directory);
        let mut next = Vec::new();
        for directory in directories.collect::<Vec<_>>() {
            let entries = files.stack.read_dir(&directory)?;
            let matching = entries
                .into_iter()
                .filter(|(name, _)| pattern.matches(name));
            next.extend(matching.map(|(_, found)| found));
        }
        level = next;
    }
    let matches = level.into_iter().map(|found| {
        let followed = match found.facts.kind {
            Type::Symlink => find(&found.path)?,
            _ => found.clone(),
        };
        Ok((found.path, followed))
    });
    matches.collect()
}

/// Entries as they are found.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    found: Vec<Found>,
    /// Of files with several names: the first.
    first_names: HashMap<(usize, u64), usize>,
}

impl Gathered {
    fn push(&mut self, files: &Files, path: Vec<u8>, found: Found) -> Result<(), CopyError> {
        if self.entries.len() as u64 >= limits::LAYER_ENTRIES {
            return Err(CopyError::TooMany { path: found.path });
        }
        let mut entry = entry(files, path, &found)?;
        if matches!(entry.kind, Kind::File(_)) && found.nlink() > 1 {
            let inode = (found.layer, found.inode.0);
            match self.first_names.get(&inode) {
                Some(first) => entry.hard_link = Some(*first),
                None => {
                    self.first_names.insert(inode, self.entries.len());
                }
            }
        }
        self.entries.push(entry);
        self.found.push(found);
        Ok(())
    }
}

fn entry(files: &Files, path: Vec<u8>, found: &Found) -> Result<Entry, StackError> {
    let facts = found.facts;
    let kind = match facts.kind {
        // A merged tree shows no whiteout.
        Type::Directory { .. } | Type::Whiteout => Kind::Directory,
        Type::File { size_bytes } => Kind::File(Content {
            size_bytes,
            digest: ContentDigest::default(),
            capability: None,
        }),
        Type::Symlink => Kind::Link(files.stack.read_link(found)?),
        Type::CharDevice { major, minor } => Kind::CharDevice(major, minor),
        Type::BlockDevice { major, minor } => Kind::BlockDevice(major, minor),
        Type::Fifo => Kind::Fifo,
    };
    let mtime = Time {
        seconds: facts.mtime_secs,
        nanoseconds: facts.mtime_nanos,
    };
    let owner = (facts.uid, facts.gid);
    Ok(Entry::new(path, kind, u32::from(facts.mode), owner, mtime))
}

impl Filter<'_> {
    /// A source with what is meant below.
    fn tree(&self, found: &Found, is_excluded: bool) -> Result<(Tree, Vec<Found>), CopyError> {
        let mut gathered = Gathered::default();
        if !is_excluded {
            gathered.push(self.files, Vec::new(), found.clone())?;
        }
        if found.is_directory() {
            self.entries(found, b"", &Entered::default(), &mut gathered)?;
        }
        Ok((Tree::new(gathered.entries), gathered.found))
    }

    fn entries(
        &self,
        directory: &Found,
        prefix: &[u8],
        entered: &Entered,
        gathered: &mut Gathered,
    ) -> Result<(), CopyError> {
        for (name, found) in self.files.stack.read_dir(directory)? {
            let path = super::copy::join(prefix, &name);
            self.entry(found, path, entered, gathered)?;
        }
        Ok(())
    }

    fn entry(
        &self,
        found: Found,
        path: Vec<u8>,
        entered: &Entered,
        gathered: &mut Gathered,
    ) -> Result<(), CopyError> {
        let is_excluded = self.excludes.excludes_in(&entered.excluded, &path);
        let is_included = self
            .includes
            .as_ref()
            .is_none_or(|includes| includes.excludes_in(&entered.included, &path));
        let is_wanted = is_included && !is_excluded;
        if !found.is_directory() {
            return if is_wanted {
                gathered.push(self.files, path, found)
            } else {
                Ok(())
            };
        }
        if is_excluded && !self.excludes.has_exceptions() {
            return Ok(());
        }
        let includes = self.includes.as_ref();
        let inside = Entered {
            included: includes.map_or_else(Above::default, |includes| {
                includes.enter(&entered.included, &path)
            }),
            excluded: self.excludes.enter(&entered.excluded, &path),
        };
        // Its place comes first, and is given up if nothing in it is meant.
        let place = gathered.entries.len();
        gathered.push(self.files, path.clone(), found.clone())?;
        if let Some(entry) = gathered.entries.last_mut() {
            entry.is_wanted = is_wanted;
        }
        self.entries(&found, &path, &inside, gathered)?;
        if !is_wanted && gathered.entries.len() == place + 1 {
            gathered.entries.pop();
            gathered.found.pop();
        }
        Ok(())
    }
}

impl Selected {
    /// The bytes of a file by its number in the tree; `None` if it is none.
    ///
    /// # Errors
    /// Files that can't be read, or have changed.
    pub fn open(&self, number: usize) -> Result<Option<Opened<'_>>, CopyError> {
        let Some(entry) = self.tree.entries.get(number) else {
            return Ok(None);
        };
        match &self.origin {
            Origin::Context(context) => {
                let Some(reader) = context.read(&self.tree, entry)? else {
                    return Ok(None);
                };
                let xattrs = reader.xattrs();
                let xattrs = xattrs.map_err(|source| CopyError::Read {
                    path: self.tree.path_of(entry),
                    source,
                })?;
                Ok(Some(Opened {
                    xattrs,
                    bytes: OpenedBytes::Context(reader),
                }))
            }
            Origin::Layers(files, found) => match found.get(number) {
                Some(found) if matches!(found.facts.kind, Type::File { .. }) => Ok(Some(Opened {
                    xattrs: files.stack.xattrs(found)?,
                    bytes: OpenedBytes::Layer(files.bytes(found)?),
                })),
                _ => Ok(None),
            },
        }
    }

    /// Extended attributes of what is no file.
    ///
    /// # Errors
    /// Layers that can't be read.
    pub fn xattrs(&self, number: usize) -> Result<Xattrs, CopyError> {
        match &self.origin {
            Origin::Context(_) => Ok(BTreeMap::new()),
            Origin::Layers(files, found) => match found.get(number) {
                Some(found) => Ok(files.stack.xattrs(found)?),
                None => Ok(BTreeMap::new()),
            },
        }
    }

    /// Fills in the digests of files that lie in layers; those of a context are there.
    ///
    /// # Errors
    /// Layers that can't be read.
    pub fn fill_digests(&mut self) -> Result<(), CopyError> {
        let Origin::Layers(files, found) = &self.origin else {
            return Ok(());
        };
        let hashed = self
            .tree
            .entries
            .par_iter_mut()
            .zip(found)
            .with_max_len(16)
            .try_for_each_init(
                || vec![0; HASH_BUFFER_BYTES],
                |buffer, (entry, found)| match &mut entry.kind {
                    Kind::File(content) if entry.hard_link.is_none() => {
                        content.digest = hash(files, found, buffer)?;
                        let mut xattrs = files.stack.xattrs(found)?;
                        content.capability = xattrs.remove(&b"security.capability"[..]);
                        Ok(())
                    }
                    _ => Ok(()),
                },
            );
        hashed.map_err(|error: StackError| error.into())
    }
}

fn hash(files: &Files, found: &Found, buffer: &mut [u8]) -> Result<ContentDigest, StackError> {
    let failed = |source: io::Error| StackError::Layer {
        layer: found.layer,
        path: found.path.clone(),
        source,
    };
    let mut bytes = files.bytes(found)?;
    let mut reader = bytes.reader();
    let mut hasher = blake3::Hasher::new();
    loop {
        match reader.read(buffer) {
            Ok(0) => return Ok(ContentDigest(*hasher.finalize().as_bytes())),
            Ok(count) => {
                hasher.update(buffer.get(..count).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
