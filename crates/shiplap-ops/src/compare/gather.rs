//! Paths that differ, for people: what lies in a directory that came or went as a whole is told with it, and what
//! weighs most is told first.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{FileChange, FileSide};
use crate::analyze::paths::Change;

/// A path that differs, with what lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered<'a> {
    /// The path.
    pub change: &'a FileChange,
    /// Further paths in it, if it is a directory that came or went.
    pub within: u64,
    /// Sizes of the files at and in it in the first image, in bytes.
    pub before_bytes: u64,
    /// The same in the second.
    pub after_bytes: u64,
}

impl Gathered<'_> {
    /// Whether it is a directory that came or went.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        whole(self.change).is_some_and(|side| side.mode.starts_with('d'))
    }

    /// What counts of it: all that came or went, or was written anew.
    fn weight(&self) -> u64 {
        self.before_bytes.max(self.after_bytes)
    }
}

/// Gathers paths that differ, which are in their order; the heaviest first.
#[must_use]
pub fn gather(files: &[FileChange]) -> Vec<Gathered<'_>> {
    let mut gathered: Vec<Gathered<'_>> = Vec::new();
    // Of directories that came or went, where they are told.
    let mut places: HashMap<&str, usize> = HashMap::new();
    for change in files {
        let bytes = |side: &Option<FileSide>| side.as_ref().map_or(0, |side| side.size_bytes);
        let (before, after) = (bytes(&change.before), bytes(&change.after));
        let above = change.path.rsplit_once('/').map_or("", |(above, _)| above);
        let place = places.get(above).copied();
        let told = place.and_then(|place| Some((place, gathered.get_mut(place)?)));
        let place = match told.filter(|(_, told)| told.change.change == change.change) {
            Some((place, told)) => {
                told.within += 1;
                told.before_bytes = told.before_bytes.saturating_add(before);
                told.after_bytes = told.after_bytes.saturating_add(after);
                place
            }
            None => {
                gathered.push(Gathered {
                    change,
                    within: 0,
                    before_bytes: before,
                    after_bytes: after,
                });
                gathered.len() - 1
            }
        };
        if whole(change).is_some_and(|side| side.mode.starts_with('d')) {
            places.insert(&change.path, place);
        }
    }
    gathered.sort_by_key(|one| Reverse(one.weight()));
    gathered
}

/// What came or went.
fn whole(change: &FileChange) -> Option<&FileSide> {
    match change.change {
        Change::Added => change.after.as_ref(),
        Change::Removed => change.before.as_ref(),
        Change::Changed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{FileChange, FileSide, gather};
    use crate::analyze::paths::Change::{self, Added, Changed, Removed};

    fn made(files: &[(Change, &str, u64)]) -> Vec<FileChange> {
        let make = |(change, path, size_bytes): &(Change, &str, u64)| {
            let mode = if path.ends_with('/') {
                "drwxr-xr-x"
            } else {
                "-rw-r--r--"
            };
            let side = FileSide {
                mode: mode.to_owned(),
                uid: 0,
                gid: 0,
                size_bytes: *size_bytes,
                target: None,
            };
            FileChange {
                path: path.trim_end_matches('/').to_owned(),
                change: *change,
                before: (*change != Added).then(|| side.clone()),
                after: (*change != Removed).then_some(side),
            }
        };
        files.iter().map(make).collect()
    }

    fn check(files: &[(Change, &str, u64)], expected: &[(&str, u64, u64)]) {
        let files = made(files);
        let gathered = gather(&files);
        let told: Vec<_> = gathered
            .iter()
            .map(|one| {
                let bytes = one.before_bytes.max(one.after_bytes);
                (one.change.path.as_str(), one.within, bytes)
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn what_weighs_most_first() {
        check(&[], &[]);
        check(
            &[(Added, "/a", 1), (Changed, "/b", 3), (Removed, "/c", 2)],
            &[("/b", 0, 3), ("/c", 0, 2), ("/a", 0, 1)],
        );
    }

    #[test]
    fn directories_that_came_or_went() {
        check(
            &[
                (Removed, "/d/", 0),
                (Removed, "/d-other", 9),
                (Removed, "/d/e/", 0),
                (Removed, "/d/e/f", 3),
                (Removed, "/d/g", 4),
                // This one only has something new in it.
                (Changed, "/h/", 0),
                (Added, "/h/i", 5),
            ],
            &[
                ("/d-other", 0, 9),
                ("/d", 3, 7),
                ("/h/i", 0, 5),
                ("/h", 0, 0),
            ],
        );
    }
}
