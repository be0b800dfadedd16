//! Walks all of a directory, what is left out too: its size is what an ignore file saves.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use shiplap_layer::root::Root;
use shiplap_model::ignore::{Above, Patterns};
use shiplap_model::limits;

use super::super::entry::join;
use super::super::error::FilesError;
use super::super::walk::names;
use super::{Effect, Found};

/// A directory that is still to be read.
struct Pending {
    path: Vec<u8>,
    above: Above,
}

struct Walker<'w> {
    root: &'w Root,
    patterns: &'w Patterns,
    /// Which patterns matched something, so that they need not be asked again.
    matched: Vec<AtomicBool>,
}

/// A file, and what would decide about it without the pattern that does.
struct Child {
    found: Found,
    /// Without that pattern it would be left out.
    is_out_otherwise: bool,
    pending: Option<Pending>,
}

/// All that is in the root, and what each pattern does.
pub(super) fn walk(
    root: &Root,
    patterns: &Patterns,
) -> Result<(Vec<Found>, Vec<Effect>), FilesError> {
    let count = patterns.as_slice().len();
    let walker = Walker {
        root,
        patterns,
        matched: (0..count).map(|_| AtomicBool::new(false)).collect(),
    };
    let mut level = vec![Pending {
        path: Vec::new(),
        above: Above::default(),
    }];
    let mut entries: Vec<Found> = Vec::new();
    let mut effects = vec![Effect::default(); count];
    while !level.is_empty() {
        let read: Result<Vec<_>, _> = level.par_iter().map(|due| walker.read(due)).collect();
        let mut next = Vec::new();
        for child in read?.into_iter().flatten() {
            if entries.len() as u64 >= limits::LAYER_ENTRIES {
                return Err(FilesError::TooMany { path: Vec::new() });
            }
            if let Some(effect) = child.found.decided_by.and_then(|by| effects.get_mut(by)) {
                if !child.found.is_directory {
                    effect.files += 1;
                    effect.size_bytes += child.found.size_bytes;
                }
                effect.changes += u64::from(child.is_out_otherwise != child.found.is_out);
            }
            next.extend(child.pending);
            entries.push(child.found);
        }
        level = next;
    }
    for (effect, matched) in effects.iter_mut().zip(&walker.matched) {
        effect.matches = matched.load(Ordering::Relaxed);
    }
    shadows(patterns, &entries, &mut effects);
    entries.sort_unstable_by(|one, other| order(&one.path, &other.path));
    Ok((entries, effects))
}

/// By names, so that what lies in a directory follows it at once.
pub(super) fn order(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    let weight = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    one.iter().map(weight).cmp(other.iter().map(weight))
}

/// Finds for each pattern that changes nothing a later one that decides for what it matches.
fn shadows(patterns: &Patterns, entries: &[Found], effects: &mut [Effect]) {
    let idle: Vec<usize> = effects
        .iter()
        .enumerate()
        .filter(|(_, effect)| effect.matches && effect.changes == 0)
        .map(|(number, _)| number)
        .collect();
    for number in idle {
        let Some(pattern) = patterns.as_slice().get(number) else {
            continue;
        };
        let later = entries.iter().find_map(|found| {
            let by = found.decided_by.filter(|by| *by > number)?;
            pattern.matches(&found.path).then_some(by)
        });
        // Else what it matches is decided by one before it as well: it says the same again.
        if let Some(effect) = effects.get_mut(number) {
            effect.shadowed_by = later;
        }
    }
}

impl Walker<'_> {
    fn read(&self, due: &Pending) -> Result<Vec<Child>, FilesError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = match self.root.open_exact(&due.path, flags) {
            Ok(directory) => directory,
            // Gone, or something else by now: it has nothing in it.
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) if !due.path.is_empty() => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(FilesError::file("open", &due.path)(error)),
        };
        let names = names(directory.as_fd()).map_err(FilesError::file("list", &due.path))?;
        let mut children = Vec::with_capacity(names.len());
        for (name, kind) in names {
            let path = join(&due.path, &name);
            if path.len() > limits::PATH_BYTES {
                return Err(FilesError::TooLong {
                    path: due.path.clone(),
                });
            }
            let (mut size_bytes, mut is_directory) = (0, kind == FileType::Directory);
            if matches!(kind, FileType::RegularFile | FileType::Unknown) {
                match rustix::fs::statat(&directory, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => {
                        let kind = FileType::from_raw_mode(stat.st_mode);
                        is_directory = kind == FileType::Directory;
                        if kind == FileType::RegularFile {
                            size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
                        }
                    }
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(FilesError::file("look at", &path)(error)),
                }
            }
            if kind != FileType::Socket {
                children.push(self.child(due, path, size_bytes, is_directory));
            }
        }
        Ok(children)
    }

    fn child(&self, due: &Pending, path: Vec<u8>, size_bytes: u64, is_directory: bool) -> Child {
        let patterns = self.patterns.as_slice();
        for (pattern, matched) in patterns.iter().zip(&self.matched) {
            if !matched.load(Ordering::Relaxed) && pattern.matches(&path) {
                matched.store(true, Ordering::Relaxed);
            }
        }
        let excludes = |number: Option<usize>| {
            let pattern = number.and_then(|number| patterns.get(number));
            pattern.is_some_and(|pattern| !pattern.is_exception())
        };
        let decide = |count| self.patterns.number_deciding_in(&due.above, &path, count);
        let decided_by = decide(patterns.len());
        let is_out = excludes(decided_by);
        let is_out_otherwise = excludes(decided_by.and_then(decide));
        let pending = is_directory.then(|| Pending {
            above: match patterns.is_empty() {
                true => Above::default(),
                false => self.patterns.enter(&due.above, &path),
            },
            path: path.clone(),
        });
        Child {
            found: Found {
                path,
                size_bytes,
                is_directory,
                is_out,
                decided_by,
            },
            is_out_otherwise,
            pending,
        }
    }
}
