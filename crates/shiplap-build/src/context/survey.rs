//! What a build would see of a directory, and what it would not: sizes by directory, the line of the
//! ignore file that decides, lines that decide nothing, and a proposal for an ignore file.
//!
//! It looks at each file once, on all cores, and opens none but the ignore file and the Dockerfile.

mod suggest;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use shiplap_layer::root::Root;
use shiplap_model::dockerfile::Reading;
use shiplap_model::ignore::Patterns;
use shiplap_model::{dockerfile, path};

use super::dockerfile::{Dockerfile, DockerfileError};
use super::error::FilesError;

pub use suggest::{Suggestion, text as suggested_text};

/// What there is in a directory that is to be a context.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The directory.
    pub directory: PathBuf,
    /// The name of the ignore file; `None`: there is none.
    pub ignore_name: Option<String>,
    /// What it says.
    pub patterns: Patterns,
    /// The Dockerfile, if there is one that can be read.
    pub dockerfile: Option<Reading>,
    /// All files and directories, a directory before what is in it; the context itself is none.
    pub entries: Vec<Found>,
    /// What came of each pattern, in their order.
    pub effects: Vec<Effect>,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// From the context's root.
    pub path: Vec<u8>,
    /// Of a file: its size.
    pub size_bytes: u64,
    /// What it is.
    pub is_directory: bool,
    /// It is left out.
    pub is_out: bool,
    /// The pattern that decides, by its place in the list.
    pub decided_by: Option<usize>,
}

/// What one pattern does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect {
    /// It matches something.
    pub matches: bool,
    /// Files for which it decides.
    pub files: u64,
    /// Their sizes.
    pub size_bytes: u64,
    /// Paths, directories too, for which it decides, and without it something else would.
    pub changes: u64,
    /// A later pattern that decides for what it matches.
    pub shadowed_by: Option<usize>,
}

/// What is wrong with a pattern that does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// There is nothing of that name.
    MatchesNothing,
    /// For all that it matches, a later one decides.
    Shadowed {
        /// The line of that.
        line: usize,
        /// It lets back in.
        is_exception: bool,
    },
    /// It lets back in what nothing leaves out.
    NothingToLetIn,
}

/// Sizes of files together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many files; links and the like too, directories not.
    pub files: u64,
    /// Their sizes.
    pub size_bytes: u64,
}

impl Tally {
    fn add(&mut self, found: &Found) {
        if !found.is_directory {
            self.files += 1;
            self.size_bytes += found.size_bytes;
        }
    }
}

/// Why there is no survey.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// The directory can't be opened.
    #[error("look at {}: {source}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in the directory can't be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The ignore file can't be read, or has what is no pattern.
    #[error(transparent)]
    Ignore(#[from] DockerfileError),
    /// A Dockerfile that was named is not there.
    #[error("read dockerfile: open {name}: no such file or directory")]
    NoDockerfile {
        /// As it was named.
        name: String,
    },
}

/// Looks at a directory as a build with the Dockerfile `file` would; `None`: its `Dockerfile`, if there
/// is one.
///
/// # Errors
/// [`SurveyError`].
pub fn survey(directory: &Path, file: Option<&Path>) -> Result<Survey, SurveyError> {
    let root = Root::open(directory).map_err(|errno| SurveyError::Open {
        path: directory.to_owned(),
        source: errno.into(),
    })?;
    let own = match file {
        Some(file) => match Dockerfile::at(file, &root) {
            Err(DockerfileError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let inside = directory.join(file);
                if !inside.exists() {
                    let name = file.display().to_string();
                    return Err(SurveyError::NoDockerfile { name });
                }
                Some(Dockerfile::at(&inside, &root)?)
            }
            read => Some(read?),
        },
        None => match Dockerfile::within(&root, None) {
            Ok(own) => Some(own),
            // The ignore file is what counts here.
            Err(DockerfileError::Read { .. } | DockerfileError::TooLong { .. }) => None,
            Err(other) => return Err(other.into()),
        },
    };
    let (dockerfile, rules) = match own {
        Some(own) => (Some(dockerfile::read(&own.text)), own),
        None => (None, Dockerfile::given(Vec::new(), "", Some(&root))?),
    };
    let patterns = rules.ignore()?;
    let (entries, effects) = walk::walk(&root, &patterns)?;
    Ok(Survey {
        directory: directory.to_owned(),
        ignore_name: rules.ignore_file.map(|(name, _)| name),
        patterns,
        dockerfile,
        entries,
        effects,
    })
}

impl Survey {
    /// All that is sent.
    #[must_use]
    pub fn sent(&self) -> Tally {
        self.tally(|found| !found.is_out)
    }

    /// All that is left out.
    #[must_use]
    pub fn left_out(&self) -> Tally {
        self.tally(|found| found.is_out)
    }

    fn tally(&self, is_it: impl Fn(&Found) -> bool) -> Tally {
        let mut tally = Tally::default();
        self.entries
            .iter()
            .filter(|found| is_it(found))
            .for_each(|found| tally.add(found));
        tally
    }

    /// What is sent, by paths of at most `depth` names, the largest first; directories end with `/`.
    #[must_use]
    pub fn by_path(&self, depth: usize) -> Vec<(Vec<u8>, Tally)> {
        let mut sums: BTreeMap<Vec<u8>, Tally> = BTreeMap::new();
        for found in self.entries.iter().filter(|found| !found.is_out) {
            let mut slashes = found
                .path
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'/');
            let cut = depth.checked_sub(1).and_then(|nth| slashes.nth(nth));
            let key = match cut {
                Some((at, _)) => found.path.get(..=at).unwrap_or_default().to_vec(),
                None if found.is_directory => [found.path.as_slice(), b"/"].concat(),
                None => found.path.clone(),
            };
            sums.entry(key).or_default().add(found);
        }
        let mut sums: Vec<(Vec<u8>, Tally)> = sums.into_iter().collect();
        sums.sort_by(|(one, own), (other, others)| {
            let by_size = others.size_bytes.cmp(&own.size_bytes);
            by_size
                .then(others.files.cmp(&own.files))
                .then(one.cmp(other))
        });
        // A directory above the cut has only what is not told below it.
        sums.retain(|(path, tally)| tally.files > 0 || !path.ends_with(b"/") || depth == 1);
        sums
    }

    /// Why a path is sent, or is not: the patterns that match it or a directory above it, the one that
    /// decides last. `None`: it is outside the context.
    #[must_use]
    pub fn why(&self, path: &[u8]) -> Option<Why> {
        let path = path::clean(self.inside(path));
        if path == b".." || path.starts_with(b"../") {
            return None;
        }
        let decided_by = self.patterns.deciding(&path);
        Some(Why {
            is_there: path == b"." || self.entries.iter().any(|found| found.path == path),
            is_out: decided_by.is_some_and(|pattern| !pattern.is_exception()),
            line: decided_by.map(|pattern| (pattern.position(), pattern.to_string())),
            path,
        })
    }

    /// A path from the context's root; an absolute one that leads elsewhere is meant from there, too.
    fn inside<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        let Some(below) = path.strip_prefix(b"/") else {
            return path;
        };
        let place = self.directory.canonicalize().unwrap_or_default();
        let own = Path::new(OsStr::from_bytes(path)).strip_prefix(place);
        own.map_or(below, |own| own.as_os_str().as_bytes())
    }

    /// Patterns that do nothing, with their lines.
    #[must_use]
    pub fn idle(&self) -> Vec<(usize, String, Idle)> {
        let patterns = self.patterns.as_slice();
        let judged = patterns
            .iter()
            .zip(&self.effects)
            .filter_map(|(pattern, effect)| {
                let later = effect.shadowed_by.and_then(|number| patterns.get(number));
                let idle = match later {
                    _ if !effect.matches => Idle::MatchesNothing,
                    _ if effect.changes > 0 => return None,
                    Some(later) => Idle::Shadowed {
                        line: later.position(),
                        is_exception: later.is_exception(),
                    },
                    None if pattern.is_exception() => Idle::NothingToLetIn,
                    None => return None,
                };
                Some((pattern.position(), pattern.to_string(), idle))
            });
        judged.collect()
    }
}

/// Why a path is sent, or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// From the context's root, clean.
    pub path: Vec<u8>,
    /// There is such a file or directory.
    pub is_there: bool,
    /// It is left out.
    pub is_out: bool,
    /// The line that decides, and its pattern; `None`: none does, so it is sent.
    pub line: Option<(usize, String)>,
}
