//! The efficiency score, by dive's formula, so that numbers compare.
//!
//! dive counts, for each path that is a leaf of some layer's tree (no directory with something in
//! it), the size each layer has there: that of a file as its tar header says it, so 0 for links
//! and empty directories; for a removed file 0, for a removed directory all that was below it. The
//! score is the sum of each path's least size by the sum of all its sizes. Wasted is the sum of all
//! sizes of paths that two layers or more speak of.
//!
//! Opaque directories hide nothing there, a file in a directory's place leaves what was below, and a
//! directory that a layer only passes through is none afterwards: that is kept. Where dive stops
//! counting a layer because it removes what is not there, this counts on.

use std::collections::BTreeMap;

use serde::Serialize;
use shiplap_layer::stack::Type;

use super::paths::{Entry, EntryId, PathId, Paths};

/// How well an image's layers use their bytes, in dive's terms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// 0 to 1; 1 wastes nothing.
    pub efficiency: f64,
    /// Sizes of all files of all layers, in bytes.
    pub size_bytes: u64,
    /// The same without the first layer.
    pub user_size_bytes: u64,
    /// Sizes of paths that several layers have, in bytes.
    pub wasted_bytes: u64,
    /// Wasted bytes by user bytes; 0 if there are none of the latter.
    pub wasted_user_ratio: f64,
    /// What is wasted, the largest first.
    #[serde(skip)]
    pub inefficient: Vec<Inefficient>,
}

/// A path that several layers have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inefficient {
    /// Which.
    pub path: PathId,
    /// How many layers have it.
    pub layers: u32,
    /// Its sizes together, in bytes.
    pub bytes: u64,
}

/// What is counted of a path that several layers have.
#[derive(Clone, Copy)]
struct Counted {
    layers: u32,
    bytes: u64,
    least: u64,
}

/// Scores the layers.
#[must_use]
pub fn score(paths: &Paths) -> Score {
    // Most paths are of one layer: they are summed up without being remembered.
    let (mut least, mut all) = (0_u64, 0_u64);
    let mut counted: BTreeMap<PathId, Counted> = BTreeMap::new();
    // What dive's stack of the layers so far has at each path.
    let mut stacked: Vec<Option<EntryId>> = vec![None; paths.len()];
    for layer in 0..paths.layers() {
        for (id, entry) in paths.layer_entries(layer) {
            if entry.path == paths.root() || !is_leaf(entry) {
                continue;
            }
            let bytes = match entry.kind {
                Type::Whiteout => below(paths, &stacked, entry.path),
                _ => entry.own_bytes,
            };
            let is_alone = paths.newest(entry.path) == Some(id) && paths.older(id).next().is_none();
            if is_alone {
                least = least.saturating_add(bytes);
                all = all.saturating_add(bytes);
                continue;
            }
            let count = counted.entry(entry.path).or_insert(Counted {
                layers: 0,
                bytes: 0,
                least: bytes,
            });
            count.least = count.least.min(bytes);
            count.layers += 1;
            count.bytes = count.bytes.saturating_add(bytes);
        }
        for (id, entry) in paths.layer_entries(layer) {
            stack(paths, &mut stacked, id, entry);
        }
    }
    for count in counted.values() {
        least = least.saturating_add(count.least);
        all = all.saturating_add(count.bytes);
    }
    let several = counted.into_iter().filter(|(_, count)| count.layers > 1);
    let mut inefficient: Vec<_> = several
        .map(|(path, count)| Inefficient {
            path,
            layers: count.layers,
            bytes: count.bytes,
        })
        .collect();
    inefficient.sort_by_key(|one| (std::cmp::Reverse(one.bytes), one.path));
    let (size_bytes, first_bytes) = sizes(paths);
    let user_size_bytes = size_bytes - first_bytes;
    let wasted_bytes = (inefficient.iter().map(|one| one.bytes)).fold(0, u64::saturating_add);
    Score {
        efficiency: ratio(least, all).unwrap_or(1.0),
        size_bytes,
        user_size_bytes,
        wasted_bytes,
        wasted_user_ratio: ratio(wasted_bytes, user_size_bytes).unwrap_or(0.0),
        inefficient,
    }
}

fn is_leaf(entry: &Entry) -> bool {
    !entry.kind.is_directory() || entry.is_bare
}

/// The sizes of all layers, and of the first, in bytes.
fn sizes(paths: &Paths) -> (u64, u64) {
    let size = |layer| {
        let own = paths.layer_entries(layer).map(|(_, entry)| entry.own_bytes);
        own.fold(0, u64::saturating_add)
    };
    let all = (0..paths.layers()).map(size).fold(0, u64::saturating_add);
    (all, size(0))
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What a whiteout at `path` costs: all that is below a directory.
fn below(paths: &Paths, stacked: &[Option<EntryId>], path: PathId) -> u64 {
    let removed = stacked[path.number()].map(|id| paths.entry(id).kind);
    if !matches!(removed, Some(Type::Directory { implied: false, .. })) {
        return 0;
    }
    let mut bytes: u64 = 0;
    let mut open = vec![path];
    while let Some(path) = open.pop() {
        if let Some(here) = stacked[path.number()] {
            bytes = bytes.saturating_add(paths.entry(here).own_bytes);
            open.extend(paths.children(path));
        }
    }
    bytes
}

fn stack(paths: &Paths, stacked: &mut [Option<EntryId>], id: EntryId, entry: &Entry) {
    if entry.kind == Type::Whiteout {
        let mut open = vec![entry.path];
        while let Some(path) = open.pop() {
            if stacked[path.number()].take().is_some() {
                open.extend(paths.children(path));
            }
        }
        return;
    }
    stacked[entry.path.number()] = Some(id);
}

#[cfg(test)]
mod tests;
