//! `diff A B`: what differs between two images: sizes, configs, packages, files. Read from the layer indexes;
//! of content only what may be alike is read.
//!
//! It compares the images as they run: what their layers hide counts for sizes only. Times and
//! extended attributes are not compared: each build has its own of the former.

mod config;
mod gather;
mod packages;

use std::io;

use serde::Serialize;
use shiplap_layer::stack::{Stack, StackError, Type};
use shiplap_model::{DiffId, Platform};

pub use self::config::ConfigChange;
pub use self::gather::{Gathered, gather};
pub use self::packages::PackageChange;
use crate::analyze::content;
use crate::analyze::opened::{self, OpenError, OpenedImage};
use crate::analyze::paths::{Change, EntryId, PathId, Paths, PathsError};
use crate::context::Context;
use crate::packages::{Inventory, Unread};
use crate::parallel;
use crate::progress::Progress;

/// The name of the schema of `diff A B --json`.
pub const SCHEMA: &str = "shiplap-diff/1";

/// What differs between two images.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The first image.
    pub before: Side,
    /// The second.
    pub after: Side,
    /// Layers of the second that the first has, too, wherever: a store has them once.
    pub shared_layers: usize,
    /// What differs in the configs, by name.
    pub config: Vec<ConfigChange>,
    /// Packages that differ, by ecosystem and name.
    pub packages: Vec<PackageChange>,
    /// Records of packages that can't be read, as `IMAGE: PATH: REASON`; theirs may differ, too.
    pub unread: Vec<String>,
    /// What differs in the trees, by path.
    pub files: Vec<FileChange>,
}

/// One of the images.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// What it was called.
    pub image: String,
    /// Digest of its config.
    pub id: String,
    /// How many layers it has.
    pub layers: usize,
    /// Sizes of all files of all layers, in bytes.
    pub size_bytes: u64,
    /// Sizes of the files as it runs, in bytes.
    pub shown_bytes: u64,
    /// Files, directories and links as it runs.
    pub paths: u64,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Which, with leading slash.
    pub path: String,
    /// Whether the second image has it anew, otherwise, or no more.
    pub change: Change,
    /// What the first image has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FileSide>,
    /// What the second has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<FileSide>,
}

/// A path of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSide {
    /// Kind and mode, as `ls -l` shows them.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size of a file in bytes, else 0.
    pub size_bytes: u64,
    /// Target of a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Why two images can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tree of one can't be read.
    #[error("look into {image}: {source}")]
    Stack {
        /// Which.
        image: String,
        /// Why.
        source: StackError,
    },
    /// The layers of one can't be read.
    #[error("look into {image}: {source}")]
    Paths {
        /// Which.
        image: String,
        /// Why.
        source: PathsError,
    },
    /// A file can't be read.
    #[error("read {path} of {image}: {source}")]
    Read {
        /// The image.
        image: String,
        /// The file, with leading slash.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// An image, open, with its paths.
struct Looked {
    image: OpenedImage,
    paths: Paths,
}

/// Compares two images.
///
/// # Errors
/// [`CompareError`].
pub fn compare(
    context: &Context,
    images: [&str; 2],
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Comparison, CompareError> {
    let look = |name: &str| {
        let image = opened::open(context, name, platform, progress)?;
        let paths = read(&image)?;
        Ok::<_, CompareError>(Looked { image, paths })
    };
    let (before, after) = (look(images[0])?, look(images[1])?);
    let pair = Pair {
        before: &before,
        after: &after,
        layers: [before.layers(), after.layers()],
    };
    let [of_before, of_after] = &pair.layers;
    let is_shared = |layer: &&DiffId| of_before.contains(layer);
    let shared_layers = of_after.iter().filter(is_shared).count();
    let inventories = (inventory(&before.image)?, inventory(&after.image)?);
    let unread = |looked: &Looked, inventory: &Inventory| -> Vec<String> {
        let tell =
            |unread: &Unread| format!("{}: {}: {}", looked.image.name, unread.path, unread.reason);
        inventory.unread.iter().map(tell).collect()
    };
    Ok(Comparison {
        packages: packages::changes(&inventories.0, &inventories.1),
        unread: [
            unread(&before, &inventories.0),
            unread(&after, &inventories.1),
        ]
        .concat(),
        schema: SCHEMA,
        config: config::changes(&before.image.config, &after.image.config),
        files: pair.changes()?,
        before: before.side(),
        after: after.side(),
        shared_layers,
    })
}

fn read(image: &OpenedImage) -> Result<Paths, CompareError> {
    let mut paths = Paths::new();
    for layer in &image.layers {
        paths.add(&image.index(layer)?).map_err(|source| {
            let image = image.name.clone();
            CompareError::Paths { image, source }
        })?;
    }
    Ok(paths)
}

/// The packages that an image holds.
fn inventory(image: &OpenedImage) -> Result<Inventory, CompareError> {
    let failed = |source| CompareError::Stack {
        image: image.name.clone(),
        source,
    };
    let stack = Stack::new(image.indexes()?).map_err(failed)?;
    crate::packages::read(&stack, &image.tars()).map_err(failed)
}

impl Looked {
    fn layers(&self) -> Vec<DiffId> {
        let layers = self.image.layers.iter();
        layers.map(|layer| layer.record.diff_id.clone()).collect()
    }

    fn side(&self) -> Side {
        let entries = || self.paths.entries().map(|(_, entry)| entry);
        let sum = |bytes: u64, own: u64| bytes.saturating_add(own);
        Side {
            image: self.image.name.clone(),
            id: self.image.id.to_string(),
            layers: self.image.layers.len(),
            size_bytes: entries().map(|entry| entry.own_bytes).fold(0, sum),
            shown_bytes: (entries().filter(|entry| entry.is_live()))
                .map(|entry| entry.own_bytes)
                .fold(0, sum),
            paths: entries().filter(|entry| entry.is_live()).count() as u64,
        }
    }

    fn file(&self, id: EntryId) -> FileSide {
        let entry = self.paths.entry(id);
        let target = self.paths.target(id);
        FileSide {
            mode: entry.mode_text(),
            uid: entry.uid,
            gid: entry.gid,
            size_bytes: entry.size_bytes(),
            target: target.map(|target| String::from_utf8_lossy(target).into_owned()),
        }
    }

    fn hash(&self, id: EntryId) -> Result<blake3::Hash, CompareError> {
        let content = self.paths.content(id);
        let layer = self.image.layers.get(content.layer);
        let hash = match layer {
            Some(layer) => content::hash(&content, &layer.tar, u64::MAX),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        hash.map_err(|source| CompareError::Read {
            image: self.image.name.clone(),
            path: shown(&self.paths.full(self.paths.entry(id).path)),
            source,
        })
    }
}

/// Two images side by side.
struct Pair<'a> {
    before: &'a Looked,
    after: &'a Looked,
    /// The layers of each.
    layers: [Vec<DiffId>; 2],
}

/// What the two have at a path.
type Sides = (Option<EntryId>, Option<EntryId>);

impl Pair<'_> {
    fn changes(&self) -> Result<Vec<FileChange>, CompareError> {
        let (mut different, mut alike) = (Vec::new(), Vec::new());
        self.walk(&mut |sides| match self.differ(sides) {
            Some(true) => different.push(sides),
            Some(false) => {}
            None => alike.push(sides),
        });
        let same = parallel::map(&alike, parallel::workers(), |sides| match *sides {
            (Some(one), Some(other)) => {
                Ok::<_, CompareError>(self.before.hash(one)? == self.after.hash(other)?)
            }
            _ => Ok(false),
        })?;
        let others = alike.into_iter().zip(same).filter(|(_, is_same)| !is_same);
        different.extend(others.map(|(sides, _)| sides));
        let mut changes: Vec<_> = different
            .into_iter()
            .map(|sides| self.change(sides))
            .collect();
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// Calls `take` for each path that one of the images has.
    fn walk(&self, take: &mut dyn FnMut(Sides)) {
        let (one, other) = (&self.before.paths, &self.after.paths);
        let mut open: Vec<(Option<PathId>, Option<PathId>)> =
            vec![(Some(one.root()), Some(other.root()))];
        while let Some((a, b)) = open.pop() {
            let sides = (
                a.and_then(|path| one.live(path)),
                b.and_then(|path| other.live(path)),
            );
            if sides == (None, None) {
                continue;
            }
            take(sides);
            let children = |paths: &Paths, path: Option<PathId>, is_there: bool| {
                let children = path
                    .filter(|_| is_there)
                    .map(|path| paths.children(path).to_vec());
                children.unwrap_or_default()
            };
            let mut left = children(one, a, sides.0.is_some()).into_iter().peekable();
            let mut right = children(other, b, sides.1.is_some()).into_iter().peekable();
            loop {
                let order = match (left.peek(), right.peek()) {
                    (None, None) => break,
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (Some(a), Some(b)) => one.name(*a).cmp(other.name(*b)),
                };
                open.push(match order {
                    std::cmp::Ordering::Less => (left.next(), None),
                    std::cmp::Ordering::Greater => (None, right.next()),
                    std::cmp::Ordering::Equal => (left.next(), right.next()),
                });
            }
        }
    }

    /// Whether a path differs; `None` if only its content can tell.
    fn differ(&self, sides: Sides) -> Option<bool> {
        let (Some(one), Some(other)) = sides else {
            return Some(true);
        };
        let (a, b) = (self.before.paths.entry(one), self.after.paths.entry(other));
        let is_same_kind = match (a.kind, b.kind) {
            (Type::Directory { .. }, Type::Directory { .. }) => true,
            (a, b) => a == b,
        };
        let is_same_owner = (a.uid, a.gid, a.mode) == (b.uid, b.gid, b.mode);
        if !is_same_kind || !is_same_owner {
            return Some(true);
        }
        match a.kind {
            Type::Symlink => Some(self.before.paths.target(one) != self.after.paths.target(other)),
            Type::File { size_bytes } if size_bytes > 0 => {
                // The same place of the same layer holds the same bytes.
                let one = self.before.paths.content(one);
                let other = self.after.paths.content(other);
                let [before, after] = &self.layers;
                let layers = before.get(one.layer).zip(after.get(other.layer));
                let is_shared =
                    layers.is_some_and(|(one, other)| one == other) && one.extents == other.extents;
                if is_shared { Some(false) } else { None }
            }
            _ => Some(false),
        }
    }

    fn change(&self, sides: Sides) -> FileChange {
        let (one, other) = sides;
        let path =
            |looked: &Looked, id: EntryId| shown(&looked.paths.full(looked.paths.entry(id).path));
        let path = match (one, other) {
            (Some(one), _) => path(self.before, one),
            (None, Some(other)) => path(self.after, other),
            (None, None) => String::new(),
        };
        FileChange {
            path,
            change: match sides {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                _ => Change::Changed,
            },
            before: one.map(|id| self.before.file(id)),
            after: other.map(|id| self.after.file(id)),
        }
    }
}

fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
