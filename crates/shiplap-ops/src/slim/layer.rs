//! One layer written anew: what the image shows of it and is to stay, in the order of a walk. Marks of
//! removal stay where the new layers below still have what they remove.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::vec::IntoIter;

use shiplap_layer::stack::{Content, Facts, Found, Inode, Layer, Stack, Type, Xattrs};
use shiplap_layer::tar::{Metadata, Writer};

use super::{SlimError, Work};
use crate::analyze::paths::{EntryId, PathId};

/// Attributes by which overlayfs marks its layers; an image that brings its own would direct it.
const OVERLAY_XATTRS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// What was written of a layer.
#[derive(Default)]
pub(super) struct Written {
    /// Directories that are below as they are but for their time: paths without leading slash.
    pub(super) retimed: Vec<Vec<u8>>,
    /// Whether anything else was. If not, there need be no layer: such a directory changed only because of what
    /// was removed from it.
    pub(super) is_worth: bool,
}

/// Writes layer `number` of the image over the new layers `below`.
pub(super) fn write(
    work: &Work<'_>,
    number: usize,
    below: &Stack,
    out: &mut dyn Write,
) -> Result<Written, SlimError> {
    let (Some(layer), Some(tar)) = (
        work.open.stack.layers().get(number),
        work.open.tars.get(number),
    ) else {
        return Ok(Written::default());
    };
    let mut rewriting = Rewriting {
        work,
        number,
        layer,
        tar,
        below,
        out: Writer::new(out),
        first_names: HashMap::new(),
        open: Vec::new(),
        written: Written::default(),
    };
    rewriting.all()?;
    rewriting.links_below()?;
    let written = rewriting.written;
    let finished = rewriting.out.finish();
    finished.map_err(|source| SlimError::Write {
        diff_id: work.records[number].diff_id.clone(),
        source,
    })?;
    Ok(written)
}

struct Rewriting<'a> {
    work: &'a Work<'a>,
    number: usize,
    layer: &'a Arc<dyn Layer>,
    tar: &'a File,
    below: &'a Stack,
    out: Writer<&'a mut dyn Write>,
    /// Where each file was written first.
    first_names: HashMap<EntryId, Vec<u8>>,
    /// The directories that are being walked, the root first.
    open: Vec<Directory>,
    written: Written,
}

/// A directory that is being walked.
struct Directory {
    path: PathId,
    full: Vec<u8>,
    rest: IntoIter<(Vec<u8>, Inode)>,
    /// What the new layers below have at its path, if that is a directory.
    below: Option<Found>,
    /// Whether what they have in it is hidden.
    is_opaque: bool,
    /// Its own entry, if it has one that is not written yet.
    unwritten: Option<Metadata>,
    /// What to write if nothing in it was: no layer has an entry for it, but the image shows it.
    otherwise: Option<Metadata>,
}

impl Rewriting<'_> {
    fn all(&mut self) -> Result<(), SlimError> {
        let below = match self.below.layers() {
            [] => None,
            _ => Some(self.below.root()?),
        };
        let root = self.work.paths.root();
        self.directory(self.layer.root(), root, Vec::new(), below)?;
        while let Some(here) = self.open.last_mut() {
            if let Some((name, inode)) = here.rest.next() {
                self.entry(&name, inode)?;
                continue;
            }
            if here.otherwise.is_some() {
                here.unwritten = here.otherwise.take();
                self.write_directories()?;
            }
            self.open.pop();
        }
        Ok(())
    }

    /// An entry of the innermost directory.
    fn entry(&mut self, name: &[u8], inode: Inode) -> Result<(), SlimError> {
        let Some(here) = self.open.last() else {
            return Ok(());
        };
        let full = joined(&here.full, name);
        let below = match &here.below {
            Some(directory) if !here.is_opaque => self.below.lookup(directory, name)?,
            _ => None,
        };
        let Some(path) = self.work.paths.child(here.path, name) else {
            return Ok(());
        };
        let facts = self.layer.facts(inode).map_err(|e| self.unread(e))?;
        if facts.kind == Type::Whiteout {
            return self.whiteout(&full, below.is_some());
        }
        if facts.kind.is_directory() {
            let is_part = self.entry_at(path).is_some_and(|id| self.is_part(path, id));
            if self.work.plan.is_gone_directory(path) && is_part {
                return self.whiteout(&full, below.is_some());
            }
            let below = below.filter(Found::is_directory);
            return match is_part {
                true => self.directory(inode, path, full, below),
                false => Ok(()),
            };
        }
        let Some(id) = self.entry_at(path) else {
            return Ok(());
        };
        let is_live = self.work.paths.entry(id).is_live();
        if is_live && !self.work.plan.is_gone(id) {
            return self.file(inode, id, &full, &facts);
        }
        // What a file hid must not show through because the file is not there any more.
        let is_directory = |id: EntryId| self.work.paths.entry(id).kind.is_directory();
        let shows = below.as_ref().is_some_and(Found::is_directory)
            && self.work.paths.live(path).is_some_and(is_directory);
        self.whiteout(&full, shows || is_live && below.is_some())
    }

    fn directory(
        &mut self,
        inode: Inode,
        path: PathId,
        full: Vec<u8>,
        below: Option<Found>,
    ) -> Result<(), SlimError> {
        let facts = self.layer.facts(inode).map_err(|e| self.unread(e))?;
        let Type::Directory { opaque, implied } = facts.kind else {
            return Ok(());
        };
        let entries = self.layer.read_dir(inode).map_err(|e| self.unread(e))?;
        let metadata = self.metadata(inode, &facts)?;
        let id = self.entry_at(path);
        let is_root = full.is_empty();
        let must = id.is_some_and(|id| self.defines(path, id, implied));
        let (own, otherwise) = match implied {
            false => (Some(metadata), None),
            true => (None, Some(metadata).filter(|_| must && !is_root)),
        };
        self.open.push(Directory {
            path,
            full,
            rest: entries.into_iter(),
            below,
            is_opaque: false,
            unwritten: own,
            otherwise,
        });
        if must && !implied {
            self.write_directories()?;
        }
        if opaque {
            self.opaque()?;
        }
        Ok(())
    }

    /// Marks the innermost directory as hiding what is below it, if anything is.
    fn opaque(&mut self) -> Result<(), SlimError> {
        let Some(here) = self.open.last_mut() else {
            return Ok(());
        };
        here.is_opaque = true;
        let Some(below) = here.below.clone() else {
            return Ok(());
        };
        if self.below.read_dir(&below)?.is_empty() {
            return Ok(());
        }
        self.write_directories()?;
        let full = self.open.last().map(|here| here.full.clone());
        self.written.is_worth = true;
        let done = self.out.opaque(&full.unwrap_or_default());
        done.map_err(|e| self.unwritten(e))
    }

    /// Whether the entry of this layer is the one that says what the directory is like; where no layer has an
    /// entry for it, the topmost that implies it is.
    fn defines(&self, path: PathId, id: EntryId, implied: bool) -> bool {
        let paths = &self.work.paths;
        let has_own = |id: &EntryId| {
            matches!(
                paths.entry(*id).kind,
                Type::Directory { implied: false, .. }
            )
        };
        let Some(newest) = paths.newest(path) else {
            return false;
        };
        let mut chain = std::iter::once(newest).chain(paths.older(newest));
        if implied {
            return newest == id && !chain.any(|id| has_own(&id));
        }
        chain.find(has_own) == Some(id)
    }

    /// What this layer has at a path.
    fn entry_at(&self, path: PathId) -> Option<EntryId> {
        let paths = &self.work.paths;
        let newest = paths.newest(path)?;
        std::iter::once(newest)
            .chain(paths.older(newest))
            .find(|id| usize::from(paths.entry(*id).layer) == self.number)
    }

    /// Whether the directory of this layer is part of the one that the image shows.
    fn is_part(&self, path: PathId, id: EntryId) -> bool {
        let paths = &self.work.paths;
        let Some(newest) = paths.live(path) else {
            return false;
        };
        for over in std::iter::once(newest).chain(paths.older(newest)) {
            match paths.entry(over).kind {
                Type::Directory { .. } if over == id => return true,
                Type::Directory { opaque: false, .. } => {}
                _ => return false,
            }
        }
        false
    }

    /// Writes the entries of the directories on the way that have one.
    fn write_directories(&mut self) -> Result<(), SlimError> {
        for at in 0..self.open.len() {
            let Some(here) = self.open.get_mut(at) else {
                break;
            };
            here.otherwise = None;
            if let Some(metadata) = here.unwritten.take() {
                let full = if here.full.is_empty() {
                    b".".to_vec()
                } else {
                    here.full.clone()
                };
                match &here.below {
                    Some(below) if is_retimed(self.below, below, &metadata)? => {
                        self.written.retimed.push(here.full.clone());
                    }
                    _ => self.written.is_worth = true,
                }
                let done = self.out.directory(&full, &metadata);
                done.map_err(|e| self.unwritten(e))?;
            }
        }
        Ok(())
    }

    fn whiteout(&mut self, full: &[u8], is_needed: bool) -> Result<(), SlimError> {
        if !is_needed {
            return Ok(());
        }
        self.write_directories()?;
        self.written.is_worth = true;
        let done = self.out.whiteout(full);
        done.map_err(|e| self.unwritten(e))
    }

    fn file(
        &mut self,
        inode: Inode,
        id: EntryId,
        full: &[u8],
        facts: &Facts,
    ) -> Result<(), SlimError> {
        self.write_directories()?;
        self.written.is_worth = true;
        let metadata = self.metadata(inode, facts)?;
        let is_file = matches!(facts.kind, Type::File { .. });
        let file = self.work.plan.one_of(self.work.paths.first(id));
        if is_file && let Some(first) = self.first_names.get(&file) {
            let done = self.out.hard_link(full, &metadata, first);
            return done.map_err(|e| self.unwritten(e));
        }
        let out = &mut self.out;
        let done = match facts.kind {
            Type::File { size_bytes } => {
                let extents = self.layer.extents(inode);
                let content = Content {
                    layer: self.number,
                    size_bytes,
                    extents: extents.map_err(|e| self.unread(e))?,
                };
                self.first_names.insert(file, full.to_vec());
                self.out
                    .file(full, &metadata, size_bytes, &mut content.reader(self.tar))
            }
            Type::Symlink => {
                let target = self.layer.read_link(inode);
                let target = target.map_err(|e| self.unread(e))?;
                self.out.symlink(full, &metadata, &target)
            }
            Type::CharDevice { major, minor } => out.char_device(full, &metadata, major, minor),
            Type::BlockDevice { major, minor } => out.block_device(full, &metadata, major, minor),
            Type::Fifo => out.fifo(full, &metadata),
            Type::Directory { .. } | Type::Whiteout => Ok(()),
        };
        done.map_err(|e| self.unwritten(e))
    }

    /// Hard links to files of lower layers: to a name that stays there, else with the bytes.
    fn links_below(&mut self) -> Result<(), SlimError> {
        let paths = &self.work.paths;
        let links = self.layer.links_below().map_err(|e| self.unread(e))?;
        for link in links {
            let id = paths.find(&link.path).and_then(|path| self.entry_at(path));
            let Some(id) = id.filter(|id| paths.entry(*id).is_live()) else {
                continue;
            };
            if self.work.plan.is_gone(id) {
                continue;
            }
            let stack = &self.work.open.stack;
            let found = stack.resolve(&link.path, false)?;
            let metadata = Metadata {
                xattrs: stack.xattrs(&found)?,
                ..of_facts(&found.facts)
            };
            let staying = paths.names_of(id).find(|name| {
                let entry = paths.entry(*name);
                usize::from(entry.layer) < self.number
                    && entry.is_live()
                    && !self.work.plan.is_gone(*name)
            });
            let target = match staying {
                Some(name) => Some(paths.full(paths.entry(name).path)),
                None if self.is_below(&link.target, paths.first(id))? => Some(link.target),
                None => None,
            };
            self.written.is_worth = true;
            let done = match target {
                Some(target) => self.out.hard_link(&link.path, &metadata, &target),
                None => {
                    let content = stack.content(&found)?;
                    let tar = self.work.open.tars.get(content.layer);
                    let mut reader = content.reader(tar.unwrap_or(self.tar));
                    let size_bytes = content.size_bytes;
                    self.out
                        .file(&link.path, &metadata, size_bytes, &mut reader)
                }
            };
            done.map_err(|e| self.unwritten(e))?;
        }
        Ok(())
    }

    /// Whether the new layers below have the file at the path, though the image doesn't show it there: its layer
    /// stays as it is, and no other takes it away.
    fn is_below(&self, path: &[u8], file: EntryId) -> Result<bool, SlimError> {
        let entry = self.work.paths.entry(file);
        let kept = self.work.kept.get(usize::from(entry.layer));
        if kept.is_none_or(Option::is_none) {
            return Ok(false);
        }
        match self.below.resolve(path, false) {
            Ok(found) => Ok(found.facts.kind == entry.kind && found.path == path),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn metadata(&self, inode: Inode, facts: &Facts) -> Result<Metadata, SlimError> {
        let mut xattrs: Xattrs = self.layer.xattrs(inode).map_err(|e| self.unread(e))?;
        xattrs.retain(|name, _| !OVERLAY_XATTRS.iter().any(|own| name.starts_with(own)));
        Ok(Metadata {
            xattrs,
            ..of_facts(facts)
        })
    }

    fn unread(&self, source: std::io::Error) -> SlimError {
        SlimError::Read {
            diff_id: self.work.records[self.number].diff_id.clone(),
            source,
        }
    }

    fn unwritten(&self, source: shiplap_layer::tar::WriteError) -> SlimError {
        SlimError::Write {
            diff_id: self.work.records[self.number].diff_id.clone(),
            source,
        }
    }
}

/// Whether a directory is what the layers below have, but for its time.
fn is_retimed(stack: &Stack, below: &Found, metadata: &Metadata) -> Result<bool, SlimError> {
    let Facts { mode, uid, gid, .. } = below.facts;
    Ok(
        (mode, uid, gid) == (metadata.mode, metadata.uid, metadata.gid)
            && stack.xattrs(below)? == metadata.xattrs,
    )
}

fn of_facts(facts: &Facts) -> Metadata {
    Metadata {
        mode: facts.mode,
        uid: facts.uid,
        gid: facts.gid,
        mtime_secs: facts.mtime_secs,
        mtime_nanos: facts.mtime_nanos,
        xattrs: Xattrs::new(),
    }
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        [] => name.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}
