//! The walk over the merged tree: only the directories on the way are in memory.

use std::vec::IntoIter;

use super::{Found, Stack, StackError};

/// Entries from [`Stack::walk`]. After an error the walk goes on beside the directory that
/// could not be read.
pub struct Walk<'a> {
    stack: &'a Stack,
    start: Option<Found>,
    open: Vec<IntoIter<(Vec<u8>, Found)>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(stack: &'a Stack, from: Found) -> Self {
        Self {
            stack,
            start: Some(from),
            open: Vec::new(),
        }
    }

    fn next_found(&mut self) -> Option<Found> {
        if let Some(start) = self.start.take() {
            return Some(start);
        }
        while let Some(entries) = self.open.last_mut() {
            match entries.next() {
                Some((_, found)) => return Some(found),
                None => drop(self.open.pop()),
            }
        }
        None
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found, StackError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.next_found()?;
        if found.is_directory() {
            match self.stack.read_dir(&found) {
                Ok(entries) => self.open.push(entries.into_iter()),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(found))
    }
}
