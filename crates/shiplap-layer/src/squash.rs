//! What the upper layers of a stack do together, as one layer: the difference between the whole stack and what
//! lies below. File bytes come from the layers' own tars; nothing is mounted or unpacked.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use crate::export::{self, ExportError};
use crate::stack::{Found, Stack, StackError};
use crate::tar::Writer;

/// Writes one layer that makes `whole` of `below`, whose layers are the first of `whole`'s; `tars` are those
/// of all layers, the base first.
///
/// # Errors
/// Any [`ExportError`].
pub fn write<W: Write>(
    whole: &Stack,
    below: &Stack,
    tars: &[&File],
    out: &mut Writer<W>,
) -> Result<(), ExportError> {
    let mut difference = Difference {
        whole,
        below,
        changed: Vec::new(),
        gone: Vec::new(),
    };
    difference.directory(&whole.root()?, Some(&below.root()?))?;
    // What is gone is told first: nothing that is written hides it.
    for path in &difference.gone {
        out.whiteout(path)?;
    }
    export::write(whole, tars, difference.changed.into_iter().map(Ok), out)
}

struct Difference<'d> {
    whole: &'d Stack,
    below: &'d Stack,
    changed: Vec<Found>,
    gone: Vec<Vec<u8>>,
}

impl Difference<'_> {
    /// Compares what is in a directory with what was in the one below, if there was one.
    fn directory(&mut self, now: &Found, before: Option<&Found>) -> Result<(), StackError> {
        let before = match before {
            Some(before) => self.below.read_dir(before)?,
            None => Vec::new(),
        };
        let mut before: BTreeMap<Vec<u8>, Found> = before.into_iter().collect();
        for (name, found) in self.whole.read_dir(now)? {
            let old = before.remove(&name);
            let is_same = |old: &Found| (old.layer, old.inode) == (found.layer, found.inode);
            let is_changed = !old.as_ref().is_some_and(is_same);
            let is_directory = found.is_directory();
            if is_changed {
                self.changed.push(found.clone());
            }
            if is_directory {
                let old = old.filter(Found::is_directory);
                self.directory(&found, old.as_ref())?;
            }
        }
        self.gone
            .extend(before.into_values().map(|found| found.path));
        Ok(())
    }
}
