//! What an image carries and does not show, or need not carry: each file once, under the kind
//! that explains it best, with the bytes that going without it saves.
//!
//! It reads content only where that decides (duplicates, copies of the same content), and of that
//! as little as does. It judges no Dockerfile; [`super::proposal`] does.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use shiplap_layer::stack::Content;

use super::content;
use super::paths::{End, EntryId, PathId, Paths};
pub use super::rules::WasteKind;
use super::rules::{Class, Rules};
use crate::parallel;

/// A file that the image could do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Why.
    pub kind: WasteKind,
    /// Whose it is, where that is known: `apt`, `pip`, `compilers`, …
    pub tool: Option<&'static str>,
    /// The entry that holds the bytes; of a file with several names the first one.
    pub entry: EntryId,
    /// Number of the layer that holds them.
    pub layer: u16,
    /// Number of the layer that hides it.
    pub by: Option<u16>,
    /// How many they are.
    pub bytes: u64,
    /// The file that has the same content and stays.
    pub twin: Option<EntryId>,
}

/// Why waste can't be found.
#[derive(Debug, thiserror::Error)]
#[error("read layer {layer} at /{}: {source}", String::from_utf8_lossy(path))]
pub struct WasteError {
    /// Number of the layer; 0 is the base.
    pub layer: usize,
    /// The file.
    pub path: Vec<u8>,
    /// What reading its tar said.
    pub source: io::Error,
}

/// Smaller files may be there twice: a link to them costs as much as they do.
const DUPLICATE_BYTES: u64 = 1024;

/// How much of a file is read to tell it from others of its size.
const HEAD_BYTES: u64 = 4 << 10;

/// Finds what the image could do without. `tars` are those of the layers, base first.
///
/// # Errors
/// [`WasteError`] where a tar can't be read.
pub fn find(paths: &Paths, tars: &[&File]) -> Result<Vec<Finding>, WasteError> {
    let contents = Contents { paths, tars };
    let mut findings = hidden(&contents)?;
    findings.extend(named(paths));
    let mut known: Vec<EntryId> = findings.iter().map(|finding| finding.entry).collect();
    known.sort_unstable();
    findings.extend(duplicates(&contents, &known)?);
    findings.sort_by_key(|finding| finding.entry);
    Ok(findings)
}

/// Files of which no name is in the image as it runs.
fn hidden(contents: &Contents<'_>) -> Result<Vec<Finding>, WasteError> {
    let paths = contents.paths;
    let mut successors = HashMap::new();
    for (id, entry) in paths.entries() {
        if let Some(before) = entry.before.filter(|before| paths.entry(*before).is_file()) {
            successors.insert(before, id);
        }
    }
    let mut findings = Vec::new();
    let mut pairs = Vec::new();
    for (id, entry) in paths.entries().filter(|(_, entry)| entry.own_bytes > 0) {
        if paths.names_of(id).any(|name| paths.entry(name).is_live()) {
            continue;
        }
        let ends = paths.names_of(id).map(|name| paths.entry(name).end);
        let Some((by, kind)) = ends.filter_map(ended).max_by_key(|(by, _)| *by) else {
            continue;
        };
        let successor = successors.get(&id).copied();
        let is_same_size = |next: EntryId| paths.entry(next).size_bytes() == entry.own_bytes;
        if let Some(next) = successor.filter(|next| is_same_size(*next)) {
            pairs.push((findings.len(), id, next));
        }
        findings.push(Finding {
            kind,
            tool: None,
            entry: id,
            layer: entry.layer,
            by: Some(by),
            bytes: entry.own_bytes,
            twin: None,
        });
    }
    let same = parallel::map(&pairs, parallel::workers(), |(_, one, other)| {
        contents.is_same(*one, *other)
    })?;
    for ((at, _, next), is_same) in pairs.into_iter().zip(same) {
        if is_same {
            findings[at].kind = WasteKind::Rewritten;
            findings[at].twin = Some(next);
        }
    }
    Ok(findings)
}

fn ended(end: End) -> Option<(u16, WasteKind)> {
    match end {
        End::Live => None,
        End::Overwritten { by } => Some((by, WasteKind::Overwritten)),
        End::Deleted { by } => Some((by, WasteKind::Deleted)),
    }
}

/// Files at paths that tell what they are.
fn named(paths: &Paths) -> Vec<Finding> {
    let classes = classify(paths);
    let mut findings = Vec::new();
    for (id, entry) in paths.entries().filter(|(_, entry)| entry.own_bytes > 0) {
        // One name that is none of these keeps the bytes.
        let live = paths.names_of(id).filter(|at| paths.entry(*at).is_live());
        let mut class = None;
        let mut is_kept = false;
        for name in live {
            match classes.get(&paths.entry(name).path) {
                Some(found) => class = class.or(Some(*found)),
                None => is_kept = true,
            }
        }
        if let Some(class) = class.filter(|_| !is_kept) {
            findings.push(Finding {
                kind: class.kind,
                tool: Some(class.tool),
                entry: id,
                layer: entry.layer,
                by: None,
                bytes: entry.own_bytes,
                twin: None,
            });
        }
    }
    findings
}

/// The classes of all files in the image as it runs that have one.
fn classify(paths: &Paths) -> HashMap<PathId, Class> {
    let rules = Rules::new();
    let mut classes = HashMap::new();
    let mut path = Vec::new();
    let mut open: Vec<(PathId, Option<Class>, usize)> = Vec::new();
    open.extend((paths.children(paths.root()).iter()).map(|child| (*child, None, 0)));
    while let Some((here, inherited, prefix)) = open.pop() {
        let Some(entry) = paths.live(here).map(|id| paths.entry(id)) else {
            continue;
        };
        path.truncate(prefix);
        if prefix > 0 {
            path.push(b'/');
        }
        path.extend(paths.name(here));
        let class = inherited.or_else(|| rules.of(&path));
        let is_meant = |class: &Class| {
            class.kind != WasteKind::VersionControl
                || inherited.is_some()
                || entry.kind.is_directory() && is_repository(paths, here)
        };
        let class = class.filter(is_meant);
        if entry.kind.is_directory() {
            let children = paths.children(here).iter();
            open.extend(children.map(|child| (*child, class, path.len())));
        } else if let Some(class) = class.or_else(|| byte_code(paths, here)) {
            classes.insert(here, class);
        }
    }
    classes
}

/// Whether a directory of that name is one, and not called so by chance.
pub(crate) fn is_repository(paths: &Paths, directory: PathId) -> bool {
    [&b"HEAD"[..], b"entries", b"wc.db", b"store", b"requires"]
        .iter()
        .any(|name| {
            let child = paths.child(directory, name);
            child.is_some_and(|child| paths.live(child).is_some())
        })
}

/// Byte code whose source is there.
fn byte_code(paths: &Paths, file: PathId) -> Option<Class> {
    let stem = paths.name(file).strip_suffix(b".pyc")?;
    let directory = paths.parent(file);
    let (directory, stem) = if paths.name(directory) == b"__pycache__" {
        // `name.cpython-311.pyc`, or `name.cpython-311.opt-1.pyc`.
        let tag = stem.windows(9).position(|at| at == b".cpython-")?;
        (paths.parent(directory), &stem[..tag])
    } else {
        (directory, stem)
    };
    let source = paths.child(directory, &[stem, b".py"].concat())?;
    paths.live(source).map(|_| Class {
        kind: WasteKind::ByteCode,
        tool: "python",
    })
}

/// Files whose contents are compared at once: each takes some hundred bytes of memory meanwhile.
const COMPARED_FILES: usize = 1 << 16;

/// Files that are there more than once; `known` are those that are waste anyhow, in order.
fn duplicates(contents: &Contents<'_>, known: &[EntryId]) -> Result<Vec<Finding>, WasteError> {
    let paths = contents.paths;
    let mut by_size: Vec<(u64, EntryId)> = Vec::new();
    for (id, entry) in paths.entries() {
        let is_shown = || paths.names_of(id).any(|name| paths.entry(name).is_live());
        let is_known = || known.binary_search(&id).is_ok();
        if entry.own_bytes >= DUPLICATE_BYTES && !is_known() && is_shown() {
            by_size.push((entry.own_bytes, id));
        }
    }
    by_size.sort_unstable();
    let mut findings = Vec::new();
    let mut candidates = Vec::new();
    for of_size in by_size.chunk_by(|one, other| one.0 == other.0) {
        if of_size.len() < 2 {
            continue;
        }
        candidates.extend(of_size.iter().map(|(_, id)| *id));
        if candidates.len() >= COMPARED_FILES {
            findings.extend(alike(contents, &std::mem::take(&mut candidates))?);
        }
    }
    findings.extend(alike(contents, &candidates)?);
    Ok(findings)
}

/// Those of the files that have the content of an earlier one among them.
fn alike(contents: &Contents<'_>, candidates: &[EntryId]) -> Result<Vec<Finding>, WasteError> {
    let paths = contents.paths;
    let by_head = contents.hash(candidates, HEAD_BYTES)?;
    // What is no longer than its head is told already.
    let (long, short): (Vec<_>, Vec<_>) = several(by_head)
        .into_iter()
        .partition(|id| paths.entry(*id).own_bytes > HEAD_BYTES);
    let mut same = contents.hash(&long, u64::MAX)?;
    for (hash, ids) in contents.hash(&short, HEAD_BYTES)? {
        same.entry(hash).or_default().extend(ids);
    }
    let mut findings = Vec::new();
    for ids in same.into_values() {
        let Some((kept, others)) = ids.split_first() else {
            continue;
        };
        findings.extend(others.iter().map(|id| Finding {
            kind: WasteKind::Duplicate,
            tool: None,
            entry: *id,
            layer: paths.entry(*id).layer,
            by: None,
            bytes: paths.entry(*id).own_bytes,
            twin: Some(*kept),
        }));
    }
    Ok(findings)
}

/// The members of groups that have more than one, in their order.
fn several<K>(groups: HashMap<K, Vec<EntryId>>) -> Vec<EntryId> {
    let groups = groups.into_values().filter(|ids| ids.len() > 1);
    let mut ids: Vec<_> = groups.flatten().collect();
    ids.sort_unstable();
    ids
}

/// The bytes of files.
struct Contents<'a> {
    paths: &'a Paths,
    tars: &'a [&'a File],
}

impl Contents<'_> {
    /// Groups files by size and the hash of their first bytes; each group in the files' order.
    fn hash(
        &self,
        files: &[EntryId],
        most: u64,
    ) -> Result<HashMap<(u64, blake3::Hash), Vec<EntryId>>, WasteError> {
        let hashes = parallel::map(files, parallel::workers(), |id| self.hash_one(*id, most))?;
        let mut groups: HashMap<_, Vec<EntryId>> = HashMap::new();
        for (id, hash) in files.iter().zip(hashes) {
            let size_bytes = self.paths.entry(*id).own_bytes;
            groups.entry((size_bytes, hash)).or_default().push(*id);
        }
        Ok(groups)
    }

    fn hash_one(&self, id: EntryId, most: u64) -> Result<blake3::Hash, WasteError> {
        self.read(id, |content, tar| content::hash(content, tar, most))
    }

    /// Whether two files of the same size have the same bytes.
    fn is_same(&self, one: EntryId, other: EntryId) -> Result<bool, WasteError> {
        if self.hash_one(one, HEAD_BYTES)? != self.hash_one(other, HEAD_BYTES)? {
            return Ok(false);
        }
        Ok(self.hash_one(one, u64::MAX)? == self.hash_one(other, u64::MAX)?)
    }

    fn read<T>(
        &self,
        id: EntryId,
        work: impl FnOnce(&Content, &File) -> io::Result<T>,
    ) -> Result<T, WasteError> {
        let content = self.paths.content(id);
        let tar = self.tars.get(content.layer);
        let tar = tar.ok_or_else(|| io::ErrorKind::NotFound.into());
        tar.and_then(|tar| work(&content, tar))
            .map_err(|source| WasteError {
                layer: content.layer,
                path: self.paths.full(self.paths.entry(id).path),
                source,
            })
    }
}

#[cfg(test)]
mod tests;
