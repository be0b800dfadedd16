//! Applies the entries of a layer's tar, in order, to an empty [`Tree`], as container tools apply
//! them to an empty directory.
//!
//! A name is cleaned by its text first (`a/l/../b` is `a/b`, `../x` is `x`), as Go's tools do.
//! Then its parents are followed within the layer: a symlink among them leads on from the
//! layer's root, never above it, so that through `localetc -> /etc` the entry `localetc/passwd`
//! becomes `etc/passwd`. Parents that have no entry are made and marked as implied; what is no
//! directory makes room for one, as in umoci (others refuse the layer). A symlink in
//! a lower layer can't be known here: the entry stays under its literal path.
//!
//! Whiteouts apply to lower layers only, wherever in the tar they stand: a whiteout of something
//! that this layer has too makes a directory opaque and says nothing of anything else. AUFS's own
//! `.wh..wh.*` files are dropped; a hard link into `.wh..wh.plnk` becomes the file it means.
//!
//! A later entry replaces an earlier one of the same name, but a directory over a directory only
//! gives it new metadata. A directory that comes in place of something else hides lower ones, as
//! it would after unpacking.

use std::collections::{BTreeMap, HashMap};

use shiplap_model::limits;

use super::{Entry, EntryKind, Scanner, TarError, printable};
use crate::tree::{Directory, Kind, LinkBelow, Node, NodeId, Tree};

const ROOT: NodeId = NodeId(0);
const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS_LINKS: &[u8] = b".wh..wh.plnk";

/// Symlinks followed for one name: containerd's bound.
const SYMLINKS: u32 = 255;

/// Makes a [`Tree`] of a tar that flows by.
#[derive(Debug, Default)]
pub struct TreeBuilder {
    scanner: Scanner,
    layer: Layer,
}

/// What a whole tar holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The layer.
    pub tree: Tree,
    /// Length of the tar, in bytes.
    pub tar_bytes: u64,
    /// Sizes of all regular files together, in bytes, as Docker counts a layer: files that a later
    /// entry replaces count, hard links don't.
    pub content_bytes: u64,
    /// How many entries the tar has.
    pub entries: u64,
}

impl TreeBuilder {
    /// Takes the next bytes of the tar.
    ///
    /// # Errors
    /// What is wrong with it. The builder is of no use after that.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        self.scanner.push(bytes, |entry| self.layer.add(entry))
    }

    /// Ends the tar.
    ///
    /// # Errors
    /// [`TarError::Truncated`] if it stops within an entry.
    pub fn finish(self) -> Result<Contents, TarError> {
        let tar_bytes = self.scanner.finish()?;
        let Layer {
            mut tree,
            links_below,
            content_bytes,
            entries,
            ..
        } = self.layer;
        let below = links_below
            .into_iter()
            .map(|(path, target)| LinkBelow { path, target });
        tree.links_below = below.collect();
        Ok(Contents {
            tree,
            tar_bytes,
            content_bytes,
            entries,
        })
    }
}

#[derive(Debug)]
struct Layer {
    tree: Tree,
    /// Links to what this layer lacks, by path.
    links_below: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Files of AUFS's directory of link targets, by name.
    aufs_links: HashMap<Vec<u8>, NodeId>,
    /// The parent of the last entry, as written and where it led, while no entry was replaced.
    last_parent: Option<(Vec<u8>, Place)>,
    content_bytes: u64,
    entries: u64,
}

/// A directory of the tree: the nodes from below the root down to it, with their names.
#[derive(Debug, Clone, Default)]
struct Place(Vec<(Vec<u8>, NodeId)>);

impl Place {
    fn directory(&self) -> NodeId {
        self.0.last().map_or(ROOT, |(_, node)| *node)
    }

    /// Path of `name` in it, from the root, without leading slash.
    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::new();
        for (parent, _) in &self.0 {
            path.extend_from_slice(parent);
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

/// What [`Layer::walk`] does where a path leads to nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Imply,
    Stop,
}

impl Default for Layer {
    fn default() -> Self {
        let tree = Tree {
            nodes: vec![implied_directory()],
            links_below: Vec::new(),
        };
        Self {
            tree,
            links_below: BTreeMap::new(),
            aufs_links: HashMap::new(),
            last_parent: None,
            content_bytes: 0,
            entries: 0,
        }
    }
}

impl Layer {
    fn add(&mut self, entry: Entry) -> Result<(), TarError> {
        self.entries += 1;
        if self.entries > limits::LAYER_ENTRIES {
            return Err(TarError::Entries {
                limit: limits::LAYER_ENTRIES,
            });
        }
        if let EntryKind::File(file) = &entry.kind {
            self.content_bytes = self.content_bytes.saturating_add(file.size_bytes);
        }
        let cleaned = clean(&entry.path);
        check_names(&entry.path, &cleaned)?;
        let (parent, name) = split(&cleaned);
        if name.is_empty() {
            return self.root(entry);
        }
        let top = cleaned.split(|b| *b == b'/').next().unwrap_or_default();
        if top.starts_with(WHITEOUT_META) && cleaned != OPAQUE {
            if let (AUFS_LINKS, EntryKind::File(file)) = (parent, &entry.kind) {
                let kind = Kind::File(file.clone());
                let node = self.add_node(node_of(entry, kind))?;
                self.aufs_links.insert(name.to_vec(), node);
            }
            return Ok(());
        }
        if name.starts_with(WHITEOUT_META) && name != OPAQUE {
            return Ok(());
        }
        let place = self.parent_of(&entry.path, parent)?;
        if name == OPAQUE {
            self.directory_mut(place.directory()).opaque = true;
            return Ok(());
        }
        match name.strip_prefix(WHITEOUT) {
            Some(b"" | b"." | b"..") => {
                let problem = "it is a whiteout of no name";
                Err(TarError::Path {
                    path: printable(&entry.path),
                    problem,
                })
            }
            Some(hidden) => self.whiteout(&place, hidden),
            None => match kind_of(&entry.kind) {
                Ok(kind) => self.put(&place, name, entry, kind),
                Err(target) => self.link(&place, name, &entry.path, target),
            },
        }
    }

    fn root(&mut self, entry: Entry) -> Result<(), TarError> {
        if entry.kind != EntryKind::Directory {
            let problem = "it takes the place of the root directory";
            return Err(TarError::Path {
                path: printable(&entry.path),
                problem,
            });
        }
        self.describe(ROOT, entry);
        Ok(())
    }

    /// Gives a directory the metadata of its entry.
    fn describe(&mut self, id: NodeId, entry: Entry) {
        let node = self.node_mut(id);
        node.mode = entry.mode;
        node.uid = entry.uid;
        node.gid = entry.gid;
        node.mtime_secs = entry.mtime_secs;
        node.mtime_nanos = entry.mtime_nanos;
        node.xattrs = entry.xattrs;
        self.directory_mut(id).implied = false;
    }

    fn whiteout(&mut self, place: &Place, hidden: &[u8]) -> Result<(), TarError> {
        let directory = place.directory();
        match self.child(directory, hidden) {
            Some(id) => {
                if let Kind::Directory(there) = &mut self.node_mut(id).kind {
                    there.opaque = true;
                    // What it would stand for is gone.
                    there.implied = false;
                }
            }
            None if self.links_below.contains_key(&place.path_of(hidden)) => {}
            None => {
                let id = self.add_node(bare(Kind::Whiteout, 0))?;
                self.directory_mut(directory)
                    .children
                    .insert(hidden.to_vec(), id);
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        place: &Place,
        name: &[u8],
        entry: Entry,
        mut kind: Kind,
    ) -> Result<(), TarError> {
        let there = self.child(place.directory(), name);
        let was_link =
            !self.links_below.is_empty() && self.links_below.remove(&place.path_of(name)).is_some();
        if let Kind::Directory(new) = &mut kind {
            if let Some(id) =
                there.filter(|id| matches!(self.node_ref(*id).kind, Kind::Directory(_)))
            {
                self.describe(id, entry);
                return Ok(());
            }
            new.opaque = there.is_some() || was_link;
        }
        let id = self.add_node(node_of(entry, kind))?;
        self.replace(place, name, id);
        Ok(())
    }

    /// Puts a node in the place of whatever has the name.
    fn replace(&mut self, place: &Place, name: &[u8], id: NodeId) {
        let replaced = self
            .directory_mut(place.directory())
            .children
            .insert(name.to_vec(), id);
        if replaced.is_some() {
            self.forget_below(place, name);
        }
    }

    /// After something under `name` went: links within it are gone, and where the last parent led
    /// must be found anew.
    fn forget_below(&mut self, place: &Place, name: &[u8]) {
        self.last_parent = None;
        if !self.links_below.is_empty() {
            let prefix = place.path_of(&[name, b"/"].concat());
            self.links_below
                .retain(|path, _| !path.starts_with(&prefix));
        }
    }

    fn link(
        &mut self,
        place: &Place,
        name: &[u8],
        path: &[u8],
        target: &[u8],
    ) -> Result<(), TarError> {
        let refused = || TarError::HardLink {
            path: printable(path),
            target: printable(target),
        };
        let cleaned = clean(target);
        let (parent, base) = split(&cleaned);
        if base.is_empty() {
            return Err(refused());
        }
        if parent == AUFS_LINKS {
            let id = *self.aufs_links.get(base).ok_or_else(refused)?;
            self.replace(place, name, id);
            return Ok(());
        }
        let found = self.walk(path, Place::default(), parent, &mut 0, Missing::Stop)?;
        let target = found
            .as_ref()
            .map_or_else(|| cleaned.clone(), |found| found.path_of(base));
        let node = found.and_then(|found| self.child(found.directory(), base));
        let own_path = place.path_of(name);
        match node.map(|id| (id, &self.node_ref(id).kind)) {
            Some((_, Kind::Directory(_))) => Err(refused()),
            Some((id, kind)) if *kind != Kind::Whiteout => {
                self.links_below.remove(&own_path);
                self.replace(place, name, id);
                Ok(())
            }
            _ => {
                let target = self.links_below.get(&target).cloned().unwrap_or(target);
                if self
                    .directory_mut(place.directory())
                    .children
                    .remove(name)
                    .is_some()
                {
                    self.forget_below(place, name);
                }
                self.links_below.insert(own_path, target);
                Ok(())
            }
        }
    }

    /// The directory that an entry's cleaned parent path leads to, made where it is missing.
    fn parent_of(&mut self, path: &[u8], parent: &[u8]) -> Result<Place, TarError> {
        if let Some((last, place)) = &self.last_parent
            && last == parent
        {
            return Ok(place.clone());
        }
        let place = self.walk(path, Place::default(), parent, &mut 0, Missing::Imply)?;
        let place = place.unwrap_or_default();
        self.last_parent = Some((parent.to_vec(), place.clone()));
        Ok(place)
    }

    /// Follows `way` from `place`. `None` if it leads to nothing or to no directory and nothing
    /// may be made.
    fn walk(
        &mut self,
        path: &[u8],
        mut place: Place,
        way: &[u8],
        links: &mut u32,
        missing: Missing,
    ) -> Result<Option<Place>, TarError> {
        let refused = |problem| TarError::Path {
            path: printable(path),
            problem,
        };
        let mut rest = way;
        // Names passed that don't exist: `..` takes them back, as a clean path would.
        let mut lost = 0_usize;
        while !rest.is_empty() {
            let (name, after) = match rest.iter().position(|b| *b == b'/') {
                Some(slash) => (&rest[..slash], &rest[slash + 1..]),
                None => (rest, &[][..]),
            };
            rest = after;
            match name {
                b"" | b"." => continue,
                b".." if lost > 0 => {
                    lost -= 1;
                    continue;
                }
                b".." => {
                    place.0.pop();
                    continue;
                }
                _ if name.len() > limits::NAME_BYTES => {
                    return Err(refused("a symlink on its way holds too long a name"));
                }
                _ => {}
            }
            if lost > 0 {
                lost += 1;
                continue;
            }
            let child = self.child(place.directory(), name);
            match child.map(|id| (id, &self.node_ref(id).kind)) {
                Some((id, Kind::Directory(_))) => place.0.push((name.to_vec(), id)),
                Some((_, Kind::Symlink(target))) => {
                    *links += 1;
                    let way = [target, &b"/"[..], rest].concat();
                    if *links > SYMLINKS || way.len() > 2 * limits::PATH_BYTES {
                        return Err(refused("too many symlinks on its way"));
                    }
                    let start = if target.starts_with(b"/") {
                        Place::default()
                    } else {
                        place
                    };
                    return self.walk(path, start, &way, links, missing);
                }
                _ if missing == Missing::Stop => lost = 1,
                _ => {
                    let below = self.links_below.remove(&place.path_of(name)).is_some();
                    let id = self.imply(&mut place, name)?;
                    if child.is_some() || below {
                        let new = self.directory_mut(id);
                        (new.opaque, new.implied) = (true, false);
                    }
                }
            }
        }
        Ok((lost == 0).then_some(place))
    }

    /// Makes a directory without an entry and steps into it.
    fn imply(&mut self, place: &mut Place, name: &[u8]) -> Result<NodeId, TarError> {
        let id = self.add_node(implied_directory())?;
        self.directory_mut(place.directory())
            .children
            .insert(name.to_vec(), id);
        place.0.push((name.to_vec(), id));
        Ok(id)
    }

    fn add_node(&mut self, node: Node) -> Result<NodeId, TarError> {
        let next = self.tree.nodes.len();
        let id = u32::try_from(next)
            .ok()
            .filter(|_| (next as u64) < limits::LAYER_ENTRIES);
        let id = id.ok_or(TarError::Entries {
            limit: limits::LAYER_ENTRIES,
        })?;
        self.tree.nodes.push(node);
        Ok(NodeId(id))
    }

    fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        match &self.node_ref(directory).kind {
            Kind::Directory(directory) => directory.children.get(name).copied(),
            _ => None,
        }
    }

    fn node_ref(&self, id: NodeId) -> &Node {
        &self.tree.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.tree.nodes[id.0 as usize]
    }

    fn directory_mut(&mut self, id: NodeId) -> &mut Directory {
        match &mut self.node_mut(id).kind {
            Kind::Directory(directory) => directory,
            _ => unreachable!("a place holds directories only"),
        }
    }
}

fn implied_directory() -> Node {
    let kind = Kind::Directory(Directory {
        implied: true,
        ..Directory::default()
    });
    bare(kind, 0o755)
}

fn bare(kind: Kind, mode: u16) -> Node {
    Node {
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime_secs: 0,
        mtime_nanos: 0,
        xattrs: BTreeMap::new(),
    }
}

fn node_of(entry: Entry, kind: Kind) -> Node {
    let Entry {
        mode,
        uid,
        gid,
        mtime_secs,
        mtime_nanos,
        xattrs,
        ..
    } = entry;
    Node {
        kind,
        mode,
        uid,
        gid,
        mtime_secs,
        mtime_nanos,
        xattrs,
    }
}

/// The kind of node an entry makes; of a hard link, which makes none, its target.
fn kind_of(kind: &EntryKind) -> Result<Kind, &[u8]> {
    Ok(match kind {
        EntryKind::HardLink(target) => return Err(target),
        EntryKind::Directory => Kind::Directory(Directory::default()),
        EntryKind::File(file) => Kind::File(file.clone()),
        EntryKind::Symlink(target) => Kind::Symlink(target.clone()),
        // overlayfs takes it for a whiteout, wherever it comes from.
        EntryKind::CharDevice { major: 0, minor: 0 } => Kind::Whiteout,
        EntryKind::CharDevice { major, minor } => Kind::CharDevice {
            major: *major,
            minor: *minor,
        },
        EntryKind::BlockDevice { major, minor } => Kind::BlockDevice {
            major: *major,
            minor: *minor,
        },
        EntryKind::Fifo => Kind::Fifo,
    })
}

/// The path without empty, `.` and `..` parts, from the root, without slashes at its ends.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// Parent and last name of a cleaned path.
fn split(cleaned: &[u8]) -> (&[u8], &[u8]) {
    match cleaned.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&cleaned[..slash], &cleaned[slash + 1..]),
        None => (b"", cleaned),
    }
}

fn check_names(path: &[u8], cleaned: &[u8]) -> Result<(), TarError> {
    let (parent, name) = split(cleaned);
    let name = name.strip_prefix(WHITEOUT).unwrap_or(name);
    if parent
        .split(|b| *b == b'/')
        .chain([name])
        .any(|name| name.len() > limits::NAME_BYTES)
    {
        let problem = "a part of its name is too long";
        return Err(TarError::Path {
            path: printable(path),
            problem,
        });
    }
    Ok(())
}
