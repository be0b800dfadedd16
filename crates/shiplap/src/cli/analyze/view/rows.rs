//! The lines of the tree pane: which paths are shown, open or closed, and filtered.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use shiplap_ops::analyze::paths::{Change, PathId, Paths};
use shiplap_ops::analyze::tree::{Shown, Tree};

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) path: PathId,
    /// Directories above it, the root apart.
    pub(super) depth: u16,
    /// A directory with something in it that may be shown.
    pub(super) has_children: bool,
    pub(super) is_open: bool,
}

/// What of the tree is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    /// Kinds of change that are hidden: added, changed, removed, none.
    pub(super) hidden: [bool; 4],
    /// Part of the path that is looked for; empty shows all.
    pub(super) filter: String,
    /// Directories that the user opened or closed.
    pub(super) opened: HashMap<PathId, bool>,
    /// All others: open, closed, or as it is useful.
    pub(super) all_open: Option<bool>,
    /// What lies in a directory in the order of sizes, not of names.
    pub(super) largest_first: bool,
}

/// The number of a kind of change in [`Choice::hidden`].
pub(super) fn kind(shown: &Shown) -> usize {
    match shown.change {
        Some(Change::Added) => 0,
        Some(Change::Changed) => 1,
        Some(Change::Removed) => 2,
        // A directory counts as changed with what is in it.
        None if shown.is_touched => 1,
        None => 3,
    }
}

/// The lines, a directory before what lies in it.
pub(super) fn rows(paths: &Paths, tree: &Tree, choice: &Choice, is_base: bool) -> Vec<Row> {
    let found = Found::of(paths, tree, choice);
    let mut rows = Vec::new();
    let mut open: Vec<(PathId, u16)> = Vec::new();
    let roots = ordered(paths.children(paths.root()), tree, choice);
    open.extend(roots.iter().rev().map(|path| (*path, 0)));
    while let Some((path, depth)) = open.pop() {
        let Some(shown) = tree.at(path) else {
            continue;
        };
        if !found.has(path) || !is_wanted(choice, shown) {
            continue;
        }
        let children = paths.children(path);
        let has_children = children.iter().any(|child| {
            let shown = tree.at(*child);
            shown.is_some_and(|shown| is_wanted(choice, shown)) && found.has(*child)
        });
        let useful = match choice.filter.is_empty() {
            true => shown.is_touched && !is_base,
            false => true,
        };
        let is_open = choice.opened.get(&path).copied();
        let is_open = has_children && is_open.or(choice.all_open).unwrap_or(useful);
        rows.push(Row {
            path,
            depth,
            has_children,
            is_open,
        });
        if is_open {
            let children = ordered(children, tree, choice);
            open.extend(children.iter().rev().map(|child| (*child, depth + 1)));
        }
    }
    rows
}

/// What lies in a directory, in the order that is wanted.
fn ordered<'p>(children: &'p [PathId], tree: &Tree, choice: &Choice) -> Cow<'p, [PathId]> {
    if !choice.largest_first {
        return children.into();
    }
    let mut children = children.to_vec();
    children.sort_by_key(|child| Reverse(tree.at(*child).map_or(0, |shown| shown.bytes)));
    children.into()
}

fn is_wanted(choice: &Choice, shown: &Shown) -> bool {
    let is_hidden = choice.hidden[kind(shown)];
    // A directory stays for what is in it.
    !is_hidden || (shown.is_touched && shown.change != Some(Change::Removed))
}

/// The paths that a filter finds, with the directories that lead there.
enum Found {
    All,
    Some(Vec<bool>),
}

impl Found {
    fn of(paths: &Paths, tree: &Tree, choice: &Choice) -> Self {
        if choice.filter.is_empty() {
            return Self::All;
        }
        let wanted = choice.filter.to_lowercase();
        let mut found = vec![false; paths.len()];
        let mut open: Vec<(PathId, String)> = vec![(paths.root(), String::new())];
        while let Some((path, full)) = open.pop() {
            for child in paths.children(path) {
                if tree.at(*child).is_none() {
                    continue;
                }
                let name = String::from_utf8_lossy(paths.name(*child)).to_lowercase();
                let full = format!("{full}/{name}");
                if full.contains(&wanted) {
                    let mut here = *child;
                    while !found[here.number()] {
                        found[here.number()] = true;
                        here = paths.parent(here);
                    }
                }
                if !paths.children(*child).is_empty() {
                    open.push((*child, full));
                }
            }
        }
        Self::Some(found)
    }

    fn has(&self, path: PathId) -> bool {
        match self {
            Self::All => true,
            Self::Some(found) => found.get(path.number()).copied().unwrap_or(false),
        }
    }
}
