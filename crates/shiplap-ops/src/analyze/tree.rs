//! The tree of an image as it is after one of its layers, with what the layer, or all layers since
//! another one, did to each path.

use shiplap_layer::stack::Type;

use super::paths::{Change, End, EntryId, PathId, Paths};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The entry; of a removed path what was removed.
    pub entry: EntryId,
    /// What the layers that are looked at did to it; `None` if nothing.
    pub change: Option<Change>,
    /// Of a directory: whether they did something below it.
    pub is_touched: bool,
    /// Sizes of the files at and below it, in bytes; of a removed path what was removed.
    pub bytes: u64,
}

/// A tree of paths.
pub struct Tree {
    shown: Vec<Option<Shown>>,
}

impl Tree {
    /// What is at a path, if anything is, or was until then.
    #[must_use]
    pub fn at(&self, path: PathId) -> Option<&Shown> {
        self.shown.get(path.number())?.as_ref()
    }
}

impl Paths {
    /// The tree after layer `last`, with what layers `first` to `last` did.
    #[must_use]
    pub fn tree(&self, first: usize, last: usize) -> Tree {
        let mut shown = vec![None; self.len()];
        let mut open = vec![self.root()];
        let mut order = Vec::new();
        while let Some(path) = open.pop() {
            let Some(here) = self.shown(path, first, last) else {
                continue;
            };
            shown[path.number()] = Some(here);
            order.push(path);
            open.extend(self.children(path));
        }
        // Each path comes after the directory that it lies in.
        for path in order.into_iter().rev() {
            let Some(here) = shown[path.number()] else {
                continue;
            };
            let is_removed = here.change == Some(Change::Removed);
            if let Some(above) = &mut shown[self.parent(path).number()]
                && path != self.root()
            {
                above.is_touched |= here.change.is_some() || here.is_touched;
                if !is_removed || above.change == Some(Change::Removed) {
                    above.bytes = above.bytes.saturating_add(here.bytes);
                }
            }
        }
        Tree { shown }
    }

    fn shown(&self, path: PathId, first: usize, last: usize) -> Option<Shown> {
        let newest = self.newest(path)?;
        let is_within = |id: &EntryId| usize::from(self.entry(*id).layer) <= last;
        let mut known = std::iter::once(newest).chain(self.older(newest));
        let mut id = known.find(is_within)?;
        let mut removed = match self.entry(id).kind {
            Type::Whiteout => Some(self.entry(id).layer),
            _ => None,
        };
        if removed.is_some() {
            id = self.entry(id).before?;
        } else if let End::Deleted { by } = self.entry(id).end {
            removed = Some(by).filter(|by| usize::from(*by) <= last);
        }
        let entry = self.entry(id);
        let is_new = usize::from(entry.layer) >= first;
        let change = match removed {
            Some(by) if usize::from(by) < first => return None,
            // Neither before nor after is it there.
            Some(_) if is_new && !self.was_there(id, first) => return None,
            Some(_) => Some(Change::Removed),
            None if !is_new => None,
            None if self.was_there(id, first) => self.change(entry).map(|_| Change::Changed),
            None => Some(Change::Added),
        };
        Some(Shown {
            entry: id,
            change,
            is_touched: false,
            bytes: entry.own_bytes,
        })
    }

    /// Whether something was at the path of an entry before layer `first`.
    fn was_there(&self, id: EntryId, first: usize) -> bool {
        self.older(id).any(|older| {
            let older = self.entry(older);
            let ends_later = match older.end {
                End::Live => true,
                End::Overwritten { by } | End::Deleted { by } => usize::from(by) >= first,
            };
            older.kind != Type::Whiteout && usize::from(older.layer) < first && ends_later
        })
    }
}

#[cfg(test)]
mod tests;
