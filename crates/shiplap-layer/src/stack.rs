//! The layers of an image as one tree, the way a mounted overlay shows them: looked up lazily,
//! in user space, without mounting or unpacking anything.
//!
//! The view is better than a plain overlay of the layers in two points, see
//! [`Stack::corrections`]: directories that a layer only implies keep the attributes that the
//! layers below gave them, and hard links to files of lower layers lead there.
//! It never writes, and reads no file content itself.

mod content;
mod corrections;
mod index;
mod layer;
#[cfg(test)]
pub(crate) mod tests;
mod walk;

pub use content::{Content, ContentReader};
pub use layer::{CountedTree, Facts, Inode, Layer, Type, Xattrs};
pub use walk::Walk;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use thiserror::Error;

use crate::root::{Loop, SYMLINKS, join};
use crate::tree::Extent;

/// Prefixes of the attributes by which overlayfs marks its layers. An image that brings its own
/// would direct the overlay, so they never pass.
pub(crate) const OVERLAY_XATTRS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Hard links of one directory to lower layers: name -> target.
type Links = BTreeMap<Vec<u8>, Vec<u8>>;

/// Layers, the base first.
#[derive(Clone)]
pub struct Stack {
    layers: Vec<Arc<dyn Layer>>,
    /// Per layer, by the path of the directory.
    links: Vec<BTreeMap<Vec<u8>, Links>>,
}

/// An entry of the merged tree.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its path from the root, without leading slash; empty for the root.
    pub path: Vec<u8>,
    /// Number of the layer its facts and content come from; 0 is the base.
    pub layer: usize,
    /// Its inode there. Two files with one layer and inode are hard links.
    pub inode: Inode,
    /// Its facts there.
    pub facts: Facts,
    /// What a directory is merged from, the topmost layer first; empty for anything else.
    parts: Vec<(usize, Inode)>,
}

impl Found {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.facts.kind.is_directory()
    }

    /// The link count that a mounted overlay shows: a file's names within its layer, 1 for a
    /// directory that several layers make up.
    #[must_use]
    pub fn nlink(&self) -> u32 {
        if self.parts.len() > 1 {
            1
        } else {
            self.facts.nlink
        }
    }

    /// The topmost layer that has this path.
    #[must_use]
    pub fn top_layer(&self) -> usize {
        self.parts.first().map_or(self.layer, |part| part.0)
    }
}

/// Why an entry of the merged tree can't be had.
#[derive(Debug, Error)]
pub enum StackError {
    /// The layer can't be read.
    #[error("read layer {layer} at /{}: {source}", String::from_utf8_lossy(path))]
    Layer {
        /// Number of the layer; 0 is the base.
        layer: usize,
        /// Path in the image.
        path: Vec<u8>,
        /// What reading said.
        source: io::Error,
    },
    /// Nothing is there.
    #[error("find /{}: no such file or directory", String::from_utf8_lossy(path))]
    NotFound {
        /// Path in the image.
        path: Vec<u8>,
    },
    /// A directory is wanted and this is none.
    #[error("enter /{}: not a directory", String::from_utf8_lossy(path))]
    NotADirectory {
        /// Path in the image.
        path: Vec<u8>,
    },
    /// Symbolic links in a circle.
    #[error(transparent)]
    Loop(#[from] Loop),
    /// A hard link to something that no lower layer has, or to a directory.
    #[error(
        "follow hard link /{} of layer {layer}: no file /{} in the layers below",
        String::from_utf8_lossy(path),
        String::from_utf8_lossy(target)
    )]
    LinkTarget {
        /// Number of the layer that holds the link.
        layer: usize,
        /// Path of the link.
        path: Vec<u8>,
        /// Path of its target.
        target: Vec<u8>,
    },
}

impl StackError {
    /// Whether it says that nothing is at the path.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NotADirectory { .. })
    }

    /// Whether it says that a layer of real files has an entry no more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Layer { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl Stack {
    /// Stacks `layers`, the base first.
    ///
    /// # Errors
    /// A layer whose notes can't be read.
    pub fn new(layers: Vec<Arc<dyn Layer>>) -> Result<Self, StackError> {
        let mut links = Vec::with_capacity(layers.len());
        for (number, layer) in layers.iter().enumerate() {
            let mut by_directory: BTreeMap<_, Links> = BTreeMap::new();
            let below = layer.links_below().map_err(|source| StackError::Layer {
                layer: number,
                path: Vec::new(),
                source,
            })?;
            for link in below {
                let (directory, name) = crate::root::split_last(&link.path);
                let names = by_directory.entry(directory.to_vec()).or_default();
                names.insert(name.to_vec(), link.target);
            }
            links.push(by_directory);
        }
        Ok(Self { layers, links })
    }

    /// The layers, the base first.
    #[must_use]
    pub fn layers(&self) -> &[Arc<dyn Layer>] {
        &self.layers
    }

    /// The root directory.
    ///
    /// # Errors
    /// A layer that can't be read.
    pub fn root(&self) -> Result<Found, StackError> {
        self.root_below(self.layers.len())
    }

    /// What is at `path`, symbolic links on the way followed inside the image as chroot would;
    /// the last one too if `follow`, or if the path ends in a slash.
    ///
    /// # Errors
    /// [`StackError::NotFound`], [`StackError::NotADirectory`], [`StackError::Loop`].
    pub fn resolve(&self, path: &[u8], follow: bool) -> Result<Found, StackError> {
        self.resolve_below(self.layers.len(), path, follow)
    }

    /// Where `path` leads, symbolic links followed inside the image, parts that don't exist kept
    /// as written: what a new file at this path would be called.
    ///
    /// # Errors
    /// [`StackError::Loop`], or a layer that can't be read.
    pub fn place(&self, path: &[u8]) -> Result<Vec<u8>, StackError> {
        let place = crate::root::resolve_in_root(path, |part| match self.resolve(part, false) {
            Ok(found) if found.facts.kind == Type::Symlink => self.read_link(&found).map(Some),
            Ok(_) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        })??;
        Ok(place)
    }

    /// The entry `name` of a directory, itself if it is a symbolic link.
    ///
    /// # Errors
    /// A layer that can't be read, a hard link that leads nowhere.
    pub fn lookup(&self, directory: &Found, name: &[u8]) -> Result<Option<Found>, StackError> {
        let path = join(&directory.path, name);
        let mut merge = Merge::default();
        for (layer, inode) in &directory.parts {
            if let Some(target) = self.link_target(*layer, &directory.path, name) {
                merge.link(&self.follow_link(*layer, &path, target)?);
            } else if let Some(inode) = self.layers[*layer]
                .lookup(*inode, name)
                .map_err(at(*layer, &path))?
            {
                self.merge_inode(&mut merge, *layer, inode, &path)?;
            }
            if merge.done {
                break;
            }
        }
        Ok(merge.found(path))
    }

    /// The entries of a directory with their names, in the order of the names' bytes.
    ///
    /// # Errors
    /// [`StackError::NotADirectory`], or as [`Stack::lookup`].
    pub fn read_dir(&self, directory: &Found) -> Result<Vec<(Vec<u8>, Found)>, StackError> {
        if !directory.is_directory() {
            return Err(StackError::NotADirectory {
                path: directory.path.clone(),
            });
        }
        let mut names: BTreeMap<Vec<u8>, Merge> = BTreeMap::new();
        for (layer, inode) in &directory.parts {
            let links = self.links[*layer].get(&directory.path);
            for (name, target) in links.into_iter().flatten() {
                let merge = names.entry(name.clone()).or_default();
                if !merge.done {
                    let path = join(&directory.path, name);
                    merge.link(&self.follow_link(*layer, &path, target)?);
                }
            }
            let entries = self.layers[*layer].read_dir(*inode);
            for (name, inode) in entries.map_err(at(*layer, &directory.path))? {
                if links.is_some_and(|links| links.contains_key(&name)) {
                    continue;
                }
                let merge = names.entry(name).or_default();
                if !merge.done {
                    self.merge_inode(merge, *layer, inode, &directory.path)?;
                }
            }
        }
        let found = names.into_iter().filter_map(|(name, merge)| {
            let path = join(&directory.path, &name);
            merge.found(path).map(|found| (name, found))
        });
        Ok(found.collect())
    }

    /// The target of a symbolic link, as written.
    ///
    /// # Errors
    /// A layer that can't be read; `InvalidInput` within it if it is no symbolic link.
    pub fn read_link(&self, found: &Found) -> Result<Vec<u8>, StackError> {
        self.layers[found.layer]
            .read_link(found.inode)
            .map_err(at(found.layer, &found.path))
    }

    /// Extended attributes, without those by which overlayfs marks its layers.
    ///
    /// # Errors
    /// A layer that can't be read.
    pub fn xattrs(&self, found: &Found) -> Result<Xattrs, StackError> {
        let xattrs = self.layers[found.layer].xattrs(found.inode);
        let mut xattrs = xattrs.map_err(at(found.layer, &found.path))?;
        xattrs.retain(|name, _| !is_overlay_xattr(name));
        Ok(xattrs)
    }

    /// Where the bytes of a regular file are.
    ///
    /// # Errors
    /// A layer that can't be read; `InvalidInput` within it if it is no regular file.
    pub fn content(&self, found: &Found) -> Result<Content, StackError> {
        let at = at(found.layer, &found.path);
        let Type::File { size_bytes } = found.facts.kind else {
            return Err(at(io::ErrorKind::InvalidInput.into()));
        };
        let extents: Vec<Extent> = self.layers[found.layer].extents(found.inode).map_err(at)?;
        Ok(Content {
            layer: found.layer,
            size_bytes,
            extents,
        })
    }

    /// A regular file itself, open, if its layer is real files and has no tar.
    ///
    /// # Errors
    /// A layer that can't be read.
    pub fn file(&self, found: &Found) -> Result<Option<File>, StackError> {
        self.layers[found.layer]
            .file(found.inode)
            .map_err(at(found.layer, &found.path))
    }

    /// `from` and everything below it: a directory before its entries, those in the order of
    /// their names' bytes.
    #[must_use]
    pub fn walk(&self, from: Found) -> Walk<'_> {
        Walk::new(self, from)
    }

    /// Whether any layer holds hard links to files of lower ones.
    pub(crate) fn links_layers(&self) -> bool {
        self.links.iter().any(|links| !links.is_empty())
    }

    fn root_below(&self, layers: usize) -> Result<Found, StackError> {
        let mut merge = Merge::default();
        for (number, layer) in self.layers.iter().enumerate().take(layers).rev() {
            self.merge_inode(&mut merge, number, layer.root(), b"")?;
            if merge.done {
                break;
            }
        }
        merge
            .found(Vec::new())
            .ok_or_else(|| StackError::NotFound { path: Vec::new() })
    }

    fn resolve_below(&self, layers: usize, path: &[u8], follow: bool) -> Result<Found, StackError> {
        let follow = follow || path.last() == Some(&b'/');
        let mut here = self.root_below(layers)?;
        let mut above: Vec<Found> = Vec::new();
        let mut rest: Vec<Vec<u8>> = crate::root::names_reversed(path);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if !here.is_directory() {
                return Err(StackError::NotADirectory { path: here.path });
            }
            if name == b".." {
                here = above.pop().unwrap_or(here);
                continue;
            }
            let Some(found) = self.lookup(&here, &name)? else {
                return Err(StackError::NotFound {
                    path: join(&here.path, &name),
                });
            };
            if found.facts.kind == Type::Symlink && (follow || !rest.is_empty()) {
                links += 1;
                if links > SYMLINKS {
                    return Err(Loop {
                        path: path.to_vec(),
                    }
                    .into());
                }
                let target = self.read_link(&found)?;
                if target.first() == Some(&b'/') {
                    above.truncate(1);
                    here = above.pop().unwrap_or(here);
                }
                rest.extend(crate::root::names_reversed(&target));
                continue;
            }
            above.push(std::mem::replace(&mut here, found));
        }
        if path.last() == Some(&b'/') && !here.is_directory() {
            return Err(StackError::NotADirectory { path: here.path });
        }
        Ok(here)
    }

    fn link_target(&self, layer: usize, directory: &[u8], name: &[u8]) -> Option<&[u8]> {
        Some(self.links[layer].get(directory)?.get(name)?)
    }

    /// The file of a lower layer that the hard link `path` of `layer` is.
    fn follow_link(&self, layer: usize, path: &[u8], target: &[u8]) -> Result<Found, StackError> {
        match self.resolve_below(layer, target, false) {
            Ok(found) if !found.is_directory() => Ok(found),
            Err(error) if !error.is_not_found() => Err(error),
            _ => Err(StackError::LinkTarget {
                layer,
                path: path.to_vec(),
                target: target.to_vec(),
            }),
        }
    }

    fn merge_inode(
        &self,
        merge: &mut Merge,
        layer: usize,
        inode: Inode,
        path: &[u8],
    ) -> Result<(), StackError> {
        let facts = self.layers[layer].facts(inode).map_err(at(layer, path))?;
        merge.add(layer, inode, facts);
        Ok(())
    }
}

/// Turns an error of reading a layer into one that says where.
fn at(layer: usize, path: &[u8]) -> impl FnOnce(io::Error) -> StackError {
    let path = path.to_vec();
    move |source| StackError::Layer {
        layer,
        path,
        source,
    }
}

/// Whether overlayfs itself would act on the attribute.
pub(crate) fn is_overlay_xattr(name: &[u8]) -> bool {
    OVERLAY_XATTRS.iter().any(|prefix| name.starts_with(prefix))
}

/// What one name is, seen from the topmost layer down.
#[derive(Default)]
struct Merge {
    /// No lower layer can change the result.
    done: bool,
    /// A directory of a higher layer hides the content of those below.
    hidden: bool,
    parts: Vec<(usize, Inode)>,
    /// Whose facts count; of a directory that is only implied so far, provisional.
    shown: Option<(usize, Inode, Facts)>,
    settled: bool,
}

impl Merge {
    fn add(&mut self, layer: usize, inode: Inode, facts: Facts) {
        let Type::Directory { opaque, implied } = facts.kind else {
            if self.shown.is_none() && facts.kind != Type::Whiteout {
                self.shown = Some((layer, inode, facts));
            }
            self.done = true;
            return;
        };
        if !self.hidden {
            self.parts.push((layer, inode));
        }
        if self.shown.is_none() || (!self.settled && !implied) {
            self.shown = Some((layer, inode, facts));
        }
        self.settled |= !implied;
        self.hidden |= opaque;
        // An implied directory that hides the lower content still has the lower attributes.
        self.done = self.hidden && self.settled;
    }

    fn link(&mut self, found: &Found) {
        if self.shown.is_none() {
            self.shown = Some((found.layer, found.inode, found.facts));
        }
        self.done = true;
    }

    fn found(self, path: Vec<u8>) -> Option<Found> {
        let (layer, inode, facts) = self.shown?;
        Some(Found {
            path,
            layer,
            inode,
            facts,
            parts: self.parts,
        })
    }
}
