//! What a source of `COPY` or `ADD` means: patterns matched, excluded files left out, `--parents`
//! understood. Only directories are read here; what is picked decides the step's key, and is what
//! is copied on a miss.
//!
//! The rules are BuildKit's. A source's own name is never excluded, only what is below it; a
//! pattern's `**` is no more than `*`, but for `--parents`.

use std::sync::Arc;

use shiplap_layer::stack::{Found, StackError, Type};
use shiplap_model::glob::Glob;
use shiplap_model::ignore::{Above, Patterns};
use shiplap_model::path;

use super::CopyError;
use crate::execute::files::Files;

/// One thing to copy: a file, or a directory whose content is meant.
pub struct Picked {
    /// The last name of its path, as written or matched: what a file is called in a directory.
    pub name: Vec<u8>,
    /// Where it is.
    pub files: Arc<Files>,
    /// It, and what is below.
    pub root: Pick,
}

/// An entry that is copied, or a directory on the way to one.
pub struct Pick {
    /// It.
    pub found: Found,
    /// It is copied itself; else it is only on the way.
    pub is_wanted: bool,
    /// What of it is copied, by name, in the order of the names' bytes.
    pub below: Vec<(Vec<u8>, Pick)>,
}

/// Which entries below a source are meant.
struct Selection<'a> {
    files: &'a Files,
    /// `--parents`: only these.
    includes: Option<Patterns>,
    excludes: &'a Patterns,
}

/// What is known of a directory's entries before they are looked at.
#[derive(Default)]
struct Entered {
    included: Above,
    excluded: Above,
}

/// Finds what `source`, a path or pattern, means in `files`. A pattern may match nothing.
///
/// # Errors
/// [`CopyError::NotFound`], and trees that can't be read.
pub fn pick(
    files: &Arc<Files>,
    source: &str,
    excludes: &Patterns,
    parents: bool,
) -> Result<Vec<Picked>, CopyError> {
    let (source, includes) = if parents {
        let (pivot, below) = source.split_once("/./").unwrap_or(("/", source));
        let below = path::beneath(below.as_bytes());
        require(files, pivot.as_bytes(), &below)?;
        let patterns = Patterns::new([&below]).map_err(CopyError::Pattern)?;
        // Nothing but the pivot itself is asked for.
        let all = below.is_empty();
        (pivot, (!all).then_some(patterns))
    } else {
        (source, None)
    };
    let selection = Selection {
        files,
        includes,
        excludes,
    };
    let mut sources = expand(files, &path::beneath(source.as_bytes()))?;
    if selection.includes.is_some() {
        // Below a file there is nothing to be asked for.
        sources.retain(|(_, found)| found.is_directory());
    }
    let picked = sources.into_iter().map(|(source, found)| {
        let root = selection.root(found)?;
        Ok(Picked {
            name: path::split(&source).1.to_vec(),
            files: Arc::clone(files),
            root,
        })
    });
    picked.collect()
}

/// With `--parents` a path without wildcards must exist, as any source.
fn require(files: &Files, pivot: &[u8], below: &[u8]) -> Result<(), CopyError> {
    if Glob::has_wildcards(pivot) || Glob::has_wildcards(below) {
        return Ok(());
    }
    let path = path::beneath(&[pivot, b"/", below].concat());
    match files.find(&path)? {
        Some(_) => Ok(()),
        None => Err(CopyError::NotFound { path }),
    }
}

/// The paths that a source means, with what is there, links followed.
fn expand(files: &Files, source: &[u8]) -> Result<Vec<(Vec<u8>, Found)>, CopyError> {
    let find = |path: &[u8]| {
        files.find(path)?.ok_or_else(|| CopyError::NotFound {
            path: path.to_vec(),
        })
    };
    let names: Vec<&[u8]> = source.split(|byte| *byte == b'/').collect();
    let Some(first) = names.iter().position(|name| Glob::has_wildcards(name)) else {
        return Ok(vec![(source.to_vec(), find(source)?)]);
    };
    let (fixed, pattern) = names.split_at(first);
    let pattern = Glob::parse(pattern.join(&b'/')).map_err(CopyError::Glob)?;
    let base = find(&fixed.join(&b'/'))?;
    let mut matched = Vec::new();
    if base.is_directory() {
        let depth = names.len() - first;
        find_matches(files, &base, &pattern, (b"", depth), &mut matched)?;
    }
    let matches = matched.into_iter().map(|found| {
        let followed = match found.facts.kind {
            Type::Symlink => find(&found.path)?,
            _ => found.clone(),
        };
        Ok((found.path, followed))
    });
    matches.collect()
}

/// Entries below `directory` that match; what is in one that does is not looked at. A pattern has
/// as many names as what it matches, unless one of its classes takes a slash.
fn find_matches(
    files: &Files,
    directory: &Found,
    pattern: &Glob,
    (prefix, depth): (&[u8], usize),
    matched: &mut Vec<Found>,
) -> Result<(), StackError> {
    for (name, found) in files.stack.read_dir(directory)? {
        let relative = super::target::join(prefix, &name);
        if pattern.matches(&relative) {
            matched.push(found);
        } else if found.is_directory() && depth > 1 {
            find_matches(files, &found, pattern, (&relative, depth - 1), matched)?;
        }
    }
    Ok(())
}

impl Selection<'_> {
    /// A source itself, which is always meant, with what is meant below.
    fn root(&self, found: Found) -> Result<Pick, CopyError> {
        let below = if found.is_directory() {
            self.entries(&found, b"", &Entered::default())?
        } else {
            Vec::new()
        };
        Ok(Pick {
            found,
            is_wanted: true,
            below,
        })
    }

    fn entries(
        &self,
        directory: &Found,
        prefix: &[u8],
        entered: &Entered,
    ) -> Result<Vec<(Vec<u8>, Pick)>, CopyError> {
        let mut picks = Vec::new();
        for (name, found) in self.files.stack.read_dir(directory)? {
            let relative = super::target::join(prefix, &name);
            if let Some(pick) = self.entry(found, &relative, entered)? {
                if name.starts_with(b".wh.") {
                    return Err(CopyError::Whiteout {
                        path: pick.found.path,
                    });
                }
                picks.push((name, pick));
            }
        }
        Ok(picks)
    }

    fn entry(
        &self,
        found: Found,
        relative: &[u8],
        entered: &Entered,
    ) -> Result<Option<Pick>, CopyError> {
        let is_excluded = self.excludes.excludes_in(&entered.excluded, relative);
        let is_included = self
            .includes
            .as_ref()
            .is_none_or(|includes| includes.excludes_in(&entered.included, relative));
        let is_wanted = is_included && !is_excluded;
        if !found.is_directory() {
            return Ok(is_wanted.then_some(Pick {
                found,
                is_wanted,
                below: Vec::new(),
            }));
        }
        if is_excluded && !self.excludes.has_exceptions() {
            return Ok(None);
        }
        let includes = self.includes.as_ref();
        let inside = Entered {
            included: includes.map_or_else(Above::default, |includes| {
                includes.enter(&entered.included, relative)
            }),
            excluded: self.excludes.enter(&entered.excluded, relative),
        };
        let below = self.entries(&found, relative, &inside)?;
        Ok((is_wanted || !below.is_empty()).then_some(Pick {
            found,
            is_wanted,
            below,
        }))
    }
}

impl Pick {
    /// Visits it and all below that is wanted, a directory before what is in it.
    pub fn each<'p>(&'p self, visit: &mut dyn FnMut(&'p Found)) {
        if self.is_wanted {
            visit(&self.found);
        }
        for (_, pick) in &self.below {
            pick.each(visit);
        }
    }
}
