//! One more layer for [`Paths`]: a walk of its index, which notes what it has and ends what it
//! replaces.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU64;

use shiplap_layer::stack::{Inode, Layer, Type};
use shiplap_model::limits;

use super::{End, Entry, EntryId, PathId, Paths, ROOT};

/// One layer while it is read.
pub(super) struct Reading<'a> {
    pub(super) number: u16,
    pub(super) paths: &'a mut Paths,
    pub(super) layer: &'a dyn Layer,
    /// The first entry of each file that has several names.
    pub(super) files: HashMap<Inode, EntryId>,
}

impl Reading<'_> {
    /// Reads it; `false` if there is more than is looked at.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        let root = self.layer.root();
        let mut open = vec![self.directory(root, ROOT)?.into_iter()];
        while let Some(entries) = open.last_mut() {
            let Some((inode, path)) = entries.next() else {
                open.pop();
                continue;
            };
            if self.paths.entries.len() >= limits::ANALYZED_ENTRIES {
                return Ok(false);
            }
            let facts = self.layer.facts(inode)?;
            if facts.kind.is_directory() {
                // Deeper than any path may be: a directory that lies in itself.
                if open.len() > limits::PATH_BYTES {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                open.push(self.directory(inode, path)?.into_iter());
            } else {
                self.file(inode, path)?;
            }
        }
        for link in self.layer.links_below()? {
            self.link_below(&link.path, &link.target);
        }
        Ok(true)
    }

    /// Notes a directory; what lies in it.
    fn directory(&mut self, inode: Inode, path: PathId) -> io::Result<Vec<(Inode, PathId)>> {
        let facts = self.layer.facts(inode)?;
        let entries = self.layer.read_dir(inode)?;
        let by = self.number;
        let old = self.paths.live(path).map(|id| self.paths.entry(id));
        let old = old.filter(|old| old.kind.is_directory());
        let (mut mode, mut uid, mut gid) = (facts.mode, facts.uid, facts.gid);
        if let (Some(old), Type::Directory { implied, opaque }) = (old, facts.kind) {
            if implied {
                (mode, uid, gid) = (old.mode, old.uid, old.gid);
            }
            if opaque {
                for child in self.paths.children(path).to_vec() {
                    self.paths.end(child, End::Deleted { by });
                }
            }
        }
        let before = self.replace(path, Replaced::Directory);
        self.paths.push(Entry {
            path,
            layer: self.number,
            kind: facts.kind,
            mode,
            uid,
            gid,
            own_bytes: 0,
            before,
            end: End::Live,
            previous: None,
            first: None,
            data_at: None,
            is_bare: entries.is_empty(),
        });
        let paths = self.paths.paths_in(path, &entries);
        let inodes = entries.into_iter().map(|(_, inode)| inode);
        Ok(inodes.zip(paths).collect())
    }

    /// Notes anything but a directory.
    fn file(&mut self, inode: Inode, path: PathId) -> io::Result<()> {
        let facts = self.layer.facts(inode)?;
        let first = self.files.get(&inode).copied();
        let mut extents = match facts.kind {
            Type::File { size_bytes } if size_bytes > 0 && first.is_none() => {
                self.layer.extents(inode)?
            }
            _ => Vec::new(),
        };
        let own_bytes = match facts.kind {
            Type::File { size_bytes } if first.is_none() => size_bytes,
            _ => 0,
        };
        let data_at = match extents.as_slice() {
            [one] if one.file_offset == 0 && one.length == own_bytes => {
                NonZeroU64::new(one.tar_offset)
            }
            _ => None,
        };
        if data_at.is_some() {
            extents.clear();
        }
        let before = match facts.kind {
            Type::Whiteout => self.replace(path, Replaced::Nothing),
            _ => self.replace(path, Replaced::File),
        };
        let id = self.paths.push(Entry {
            path,
            layer: self.number,
            kind: facts.kind,
            mode: facts.mode,
            uid: facts.uid,
            gid: facts.gid,
            own_bytes,
            before,
            end: End::Live,
            previous: None,
            first,
            data_at,
            is_bare: false,
        });
        if !extents.is_empty() {
            self.paths.scattered.insert(id, extents);
        }
        if facts.kind == Type::Symlink {
            let target = self.layer.read_link(inode)?;
            self.paths.targets.insert(id, target.into());
        }
        if facts.nlink > 1 && matches!(facts.kind, Type::File { .. }) {
            let first = *self.files.entry(inode).or_insert(id);
            self.paths.names_of.entry(first).or_default().push(id);
        }
        Ok(())
    }

    /// Notes a further name of a file in a lower layer; nothing if there is none.
    fn link_below(&mut self, path: &[u8], target: &[u8]) {
        let Some(target) = self.paths.find(target).and_then(|at| self.shown_below(at)) else {
            return;
        };
        let first = self.paths.first(target);
        let mut here = ROOT;
        let names = path.split(|byte| *byte == b'/').filter(|n| !n.is_empty());
        for name in names.filter(|name| name.len() <= limits::NAME_BYTES) {
            let found = self.paths.paths_in(here, &[(name.to_vec(), Inode(0))]);
            here = found.first().copied().unwrap_or(here);
        }
        if here == ROOT || !self.paths.entry(first).is_file() {
            return;
        }
        let before = self.replace(here, Replaced::File);
        let id = self.paths.push(Entry {
            path: here,
            layer: self.number,
            own_bytes: 0,
            before,
            end: End::Live,
            first: Some(first),
            data_at: None,
            ..*self.paths.entry(first)
        });
        let names = self.paths.names_of.entry(first).or_insert(vec![first]);
        names.push(id);
    }

    /// What the layers below show at a path, though this one may have removed or replaced it already.
    fn shown_below(&self, path: PathId) -> Option<EntryId> {
        let by = self.number;
        let newest = self.paths.newest(path)?;
        let mut chain = std::iter::once(newest).chain(self.paths.older(newest));
        let below = chain.find(|id| self.paths.entry(*id).layer < by)?;
        let entry = self.paths.entry(below);
        let is_shown = entry.is_live()
            || matches!(entry.end, End::Deleted { by: end } | End::Overwritten { by: end } if end == by);
        is_shown.then_some(below)
    }

    /// Ends what a path had until this layer; what that was.
    fn replace(&mut self, path: PathId, replaced: Replaced) -> Option<EntryId> {
        let by = self.number;
        let before = self.paths.newest(path)?;
        let old = self.paths.entry(before);
        if old.is_live() {
            // Directories of two layers are one.
            if !(replaced == Replaced::Directory && old.kind.is_directory()) {
                self.paths.end(path, End::Deleted { by });
            }
        } else if old.end != (End::Deleted { by }) {
            return None;
        }
        let end = match replaced {
            Replaced::Nothing => End::Deleted { by },
            Replaced::File | Replaced::Directory => End::Overwritten { by },
        };
        self.paths.entries[before.number()].end = end;
        Some(before)
    }
}

/// What takes a path's place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaced {
    Nothing,
    File,
    Directory,
}
