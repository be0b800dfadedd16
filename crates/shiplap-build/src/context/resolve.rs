//! Finds what a source of `COPY` or `ADD` names in a context, as BuildKit does: `/` is the context's
//! root and nothing leads out of it; symbolic links on the way and the one that is named are
//! followed, those that a wildcard or a directory brings are not; what the ignore file hides is
//! not there.

use std::os::fd::AsFd as _;

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use shiplap_layer::root::resolve_in_root;
use shiplap_model::glob::Glob;
use shiplap_model::ignore::Patterns;
use shiplap_model::path;

use super::Context;
use super::entry::join;
use super::error::FilesError;
use super::walk::{Filter, names, stat_exact, walk};

/// One thing that a source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Its last name as the source has it, so a link's and not its target's; empty for the whole
    /// context.
    pub name: Vec<u8>,
    /// It is a directory: its content is copied.
    pub is_directory: bool,
    /// Where it lies beneath the root, free of links.
    pub(super) path: Vec<u8>,
    /// A wildcard found it.
    pub(super) is_found: bool,
    /// The only paths in it that are taken (`--parents`).
    pub(super) include: Option<Patterns>,
    /// What must be among them: path in it, and as the Dockerfile has it.
    pub(super) required: Option<(Vec<u8>, Vec<u8>)>,
}

impl Context {
    /// What `source` names, in the order of the names. Empty only if it has wildcards and nothing
    /// matches.
    ///
    /// # Errors
    /// [`FilesError`]; for a name without wildcards that is not there, [`FilesError::NotFound`].
    pub fn resolve(&self, source: &str) -> Result<Vec<Match>, FilesError> {
        let cleaned = path::beneath(source.as_bytes());
        let names: Vec<&[u8]> = cleaned.split(|byte| *byte == b'/').collect();
        let Some(first) = names.iter().position(|name| Glob::has_wildcards(name)) else {
            return Ok(vec![self.follow(&cleaned, &cleaned)?]);
        };
        let lead = names[..first].join(&b'/');
        let globs = names[first..].iter().map(Glob::parse);
        let globs = globs.collect::<Result<Vec<_>, _>>()?;
        let top = self.follow(&lead, &lead)?;
        if !top.is_directory {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        // Paths that matched so far, with what was written for them.
        let mut level = vec![(top.path, lead)];
        for (index, glob) in globs.iter().enumerate() {
            let is_last = index + 1 == globs.len();
            let mut next = Vec::new();
            for (real, written) in level {
                for (name, kind) in self.list(&real)? {
                    if !glob.matches(&name) {
                        continue;
                    }
                    let (real, written) = (join(&real, &name), join(&written, &name));
                    if is_last {
                        found.push((real, written));
                    } else if kind == FileType::Directory {
                        next.push((real, written));
                    }
                }
            }
            level = next;
        }
        let matches = found.into_iter().filter_map(|(real, written)| {
            match self.follow(&real, &written) {
                // Hidden things match nothing; a link that leads nowhere is an error.
                Err(FilesError::NotFound { .. }) if self.is_hidden(&real) => None,
                Ok(found) => Some(Ok(Match {
                    is_found: true,
                    ..found
                })),
                Err(error) => Some(Err(error)),
            }
        });
        matches.collect()
    }

    /// What `source` names with `--parents`: directories (those before `/./`, or the whole context)
    /// with patterns of what is taken of them. Links are not followed behind that point.
    ///
    /// # Errors
    /// As [`Context::resolve`]; whether anything is there, [`Context::select`] says.
    pub fn resolve_parents(&self, source: &str) -> Result<Vec<Match>, FilesError> {
        let (parent, pattern) = source.split_once("/./").unwrap_or(("/", source));
        let pattern = path::beneath(pattern.as_bytes());
        let is_plain = !Glob::has_wildcards(parent.as_bytes()) && !Glob::has_wildcards(&pattern);
        let written = join(&path::beneath(parent.as_bytes()), &pattern);
        let mut matches = self.resolve(parent)?;
        if pattern.is_empty() {
            return Ok(matches);
        }
        matches.retain(|found| found.is_directory);
        let include = Patterns::new([&pattern])?;
        for found in &mut matches {
            found.include = Some(include.clone());
            found.required = is_plain.then(|| (pattern.clone(), written.clone()));
        }
        Ok(matches)
    }

    /// The file, directory or link's target at `path`, which was written as `written`.
    fn follow(&self, path: &[u8], written: &[u8]) -> Result<Match, FilesError> {
        let not_found = |ignored| FilesError::NotFound {
            path: written.to_vec(),
            ignored,
        };
        let mut hidden_link = false;
        let read_link = |link: &[u8]| {
            let target = self.read_link(link)?;
            if target.is_some() && self.ignore.excludes(link) {
                hidden_link = true;
                return Ok(None);
            }
            Ok(target)
        };
        let resolved = resolve_in_root(path, read_link)
            .map_err(|error: Errno| FilesError::file("resolve", written)(error))?;
        let real = resolved.map_err(|_| FilesError::Loop {
            path: written.to_vec(),
        })?;
        if hidden_link {
            return Err(not_found(true));
        }
        let stat = match stat_exact(&self.root, &real) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => {
                return Err(not_found(false));
            }
            Err(error) => return Err(FilesError::file("look at", written)(error)),
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
        if self.is_hidden(&real) && !(is_directory && self.holds_anything(&real)?) {
            return Err(not_found(true));
        }
        Ok(Match {
            name: path::split(written).1.to_vec(),
            is_directory,
            path: real,
            is_found: false,
            include: None,
            required: None,
        })
    }

    fn is_hidden(&self, path: &[u8]) -> bool {
        !path.is_empty() && self.ignore.excludes(path)
    }

    /// Whether anything in a hidden directory is let back in.
    fn holds_anything(&self, directory: &[u8]) -> Result<bool, FilesError> {
        if !self.ignore.may_keep_below(directory) {
            return Ok(false);
        }
        let filter = Filter {
            ignore: &self.ignore,
            exclude: &Patterns::default(),
            include: None,
            keeps_owners: false,
        };
        let tree = walk(&self.root, directory, filter, self.clock())?;
        Ok(tree.entries.len() > 1)
    }

    /// The target of a symbolic link whose parents are none.
    fn read_link(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        let (parent, name) = path::split(path);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let parent = match self.root.open_exact(parent, flags) {
            Ok(parent) => parent,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match rustix::fs::readlinkat(parent, name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::INVAL | Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Names in a directory, hidden ones among them, and their kinds.
    fn list(&self, directory: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>, FilesError> {
        let error = |step| FilesError::file(step, directory);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = self
            .root
            .open_exact(directory, flags)
            .map_err(error("open"))?;
        let mut found = names(fd.as_fd()).map_err(error("list"))?;
        for (name, kind) in &mut found {
            if *kind == FileType::Unknown
                && let Ok(stat) =
                    rustix::fs::statat(&fd, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)
            {
                *kind = FileType::from_raw_mode(stat.st_mode);
            }
        }
        found.retain(|(_, kind)| *kind != FileType::Socket);
        Ok(found)
    }
}
