//! What a kernel overlay of the layers, each mounted alone, would show wrongly.

use std::collections::BTreeMap;

use super::{Found, Stack, StackError, Type};
use crate::root::split_last;

impl Stack {
    /// The entries that a kernel overlay of the layers would show otherwise than this stack:
    ///
    /// - directories that the topmost layer with that path only implies: the overlay shows that
    ///   layer's made-up attributes instead of those the lower layers gave it;
    /// - hard links to files of lower layers, which a layer alone can't hold, and the file they
    ///   link to where it is still visible.
    ///
    /// A small extra top layer of just these entries mends the view: write them with
    /// [`crate::export::write`] and treat the tar as any layer. Directories above an entry are
    /// listed with the attributes they have, since the extra layer's count; so is the root, if
    /// anything is. A root that differs alone is not listed: the container's own upper
    /// directory is the root that shows. Parents come before their entries.
    ///
    /// # Errors
    /// A layer that can't be read, a hard link that leads nowhere.
    pub fn corrections(&self) -> Result<Vec<Found>, StackError> {
        let mut wrong: BTreeMap<Vec<u8>, Found> = BTreeMap::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let implied = layer.implied().map_err(super::at(number, b""))?;
            for path in implied {
                if let Some(found) = self.visible(&path)?
                    && found.top_layer() == number
                    && self.shows_otherwise(&found)?
                {
                    wrong.insert(path, found);
                }
            }
            for (directory, names) in &self.links[number] {
                for (name, target) in names {
                    let path = crate::root::join(directory, name);
                    self.correct_link(number, &path, target, &mut wrong)?;
                }
            }
        }
        self.with_parents(wrong)
    }

    /// What is at a path that holds no links, if anything.
    fn visible(&self, path: &[u8]) -> Result<Option<Found>, StackError> {
        let mut here = self.root()?;
        for name in path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
            match self.lookup(&here, name)? {
                Some(found) => here = found,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Whether the overlay's attributes of a directory, those of its topmost part, are wrong.
    fn shows_otherwise(&self, found: &Found) -> Result<bool, StackError> {
        let Some((layer, inode)) = found.parts.first().copied() else {
            return Ok(false);
        };
        if (layer, inode) == (found.layer, found.inode) {
            return Ok(false);
        }
        let shown = self.layers[layer]
            .facts(inode)
            .map_err(super::at(layer, &found.path))?;
        let attributes = |f: &super::Facts| (f.mode, f.uid, f.gid, f.mtime_secs, f.mtime_nanos);
        Ok(attributes(&shown) != attributes(&found.facts) || !self.xattrs(found)?.is_empty())
    }

    fn correct_link(
        &self,
        layer: usize,
        path: &[u8],
        target: &[u8],
        wrong: &mut BTreeMap<Vec<u8>, Found>,
    ) -> Result<(), StackError> {
        let file = self.follow_link(layer, path, target)?;
        let same = |found: &Found| found.layer == file.layer && found.inode == file.inode;
        let Some(link) = self.visible(path)?.filter(same) else {
            return Ok(());
        };
        wrong.insert(path.to_vec(), link);
        if let Some(original) = self.visible(&file.path)?.filter(same) {
            wrong.insert(file.path.clone(), original);
        }
        Ok(())
    }

    fn with_parents(&self, wrong: BTreeMap<Vec<u8>, Found>) -> Result<Vec<Found>, StackError> {
        let mut all = BTreeMap::new();
        for (path, found) in wrong {
            let mut parent = path.as_slice();
            while !parent.is_empty() {
                parent = split_last(parent).0;
                if all.contains_key(parent) {
                    break;
                }
                if let Some(directory) = self.visible(parent)? {
                    debug_assert!(matches!(directory.facts.kind, Type::Directory { .. }));
                    all.insert(parent.to_vec(), directory);
                }
            }
            all.insert(path, found);
        }
        Ok(all.into_values().collect())
    }
}
