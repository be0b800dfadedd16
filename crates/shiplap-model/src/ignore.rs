//! `.dockerignore`: the paths that a build context leaves out. The same patterns serve `--exclude`
//! of `COPY` and `ADD`.
//!
//! The rules are those of moby/patternmatcher: a path is left out if a pattern matches it or a
//! directory above it; of all patterns that do, the last one decides, and one that begins with `!`
//! lets the path back in. Paths are clean, relative to the context, with `/`.
//!
//! Three departures, where the peer's way of building a regular expression breaks its own documented
//! rules: within brackets `*` and `?` stand for themselves, a `\` makes any character stand for itself
//! (not a class like `\d`), and so does `^` outside of brackets. A fourth: a directory's own match
//! counts for what lies below it even where an earlier pattern had settled the directory.
//!
//! It reads no files: the caller has the bytes and walks.

mod pattern;
#[cfg(test)]
mod tests;

use crate::glob::GlobError;
use crate::{limits, path};

pub use pattern::Pattern;

/// Why patterns can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// `!` without a pattern.
    #[error("parse pattern {position}: illegal exclusion pattern: \"!\"")]
    Bare {
        /// Line of the file, or place in the list, from 1.
        position: usize,
    },
    /// Brackets, a range or an escape without end.
    #[error("parse pattern {position}: {source}")]
    Malformed {
        /// Line of the file, or place in the list, from 1.
        position: usize,
        /// What is wrong.
        source: GlobError,
    },
    /// A pattern longer than any path.
    #[error(
        "parse pattern {position}: it is longer than {} bytes",
        limits::IGNORE_PATTERN_BYTES
    )]
    TooLong {
        /// Line of the file, or place in the list, from 1.
        position: usize,
    },
    /// More patterns than are taken.
    #[error("parse patterns: there are more than {}", limits::IGNORE_PATTERNS)]
    TooMany,
    /// A file larger than is read.
    #[error(
        "parse patterns: the file is larger than {} bytes",
        limits::IGNORE_FILE_BYTES
    )]
    TooLarge,
}

/// Patterns in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    patterns: Vec<Pattern>,
    has_exceptions: bool,
}

/// Which patterns match a directory or one above it: what lies in it need not ask again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Above(Vec<u64>);

impl Above {
    fn has(&self, index: usize) -> bool {
        self.0
            .get(index / 64)
            .is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

impl Patterns {
    /// Reads an ignore file: a pattern a line, surrounding white space dropped, lines that begin
    /// with `#` and a leading byte order mark passed over, paths cleaned, a leading `/` dropped.
    ///
    /// # Errors
    /// [`IgnoreError`].
    pub fn read(file: &[u8]) -> Result<Self, IgnoreError> {
        Self::compile(lines(file)?.into_iter())
    }

    /// Takes patterns as they are given one by one; empty ones count for nothing.
    ///
    /// # Errors
    /// [`IgnoreError`].
    pub fn new<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, IgnoreError> {
        let numbered = patterns.into_iter().enumerate();
        Self::compile(numbered.map(|(index, pattern)| (index + 1, pattern.as_ref().to_vec())))
    }

    fn compile(lines: impl Iterator<Item = (usize, Vec<u8>)>) -> Result<Self, IgnoreError> {
        let mut patterns = Vec::new();
        for (position, line) in lines {
            let text = trim(&line);
            if text.is_empty() {
                continue;
            }
            if text.len() > limits::IGNORE_PATTERN_BYTES {
                return Err(IgnoreError::TooLong { position });
            }
            if patterns.len() == limits::IGNORE_PATTERNS {
                return Err(IgnoreError::TooMany);
            }
            let text = path::clean(text);
            let (exception, text) = match text.strip_prefix(b"!") {
                Some([]) => return Err(IgnoreError::Bare { position }),
                Some(rest) => (true, rest),
                None => (false, text.as_slice()),
            };
            let pattern = Pattern::compile(text, exception, position);
            patterns.push(pattern.map_err(|source| IgnoreError::Malformed { position, source })?);
        }
        Ok(Self {
            has_exceptions: patterns.iter().any(Pattern::is_exception),
            patterns,
        })
    }

    /// The patterns, in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[Pattern] {
        &self.patterns
    }

    /// No pattern: nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether any pattern lets paths back in.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// Whether `path` is left out, by itself or with a directory above it. The context itself
    /// (`.`) never is.
    #[must_use]
    pub fn excludes(&self, path: &[u8]) -> bool {
        self.deciding(path)
            .is_some_and(|pattern| !pattern.is_exception())
    }

    /// The pattern that decides about `path`: the last one that matches it or a directory above
    /// it. `None`: no pattern does, so it stays.
    #[must_use]
    pub fn deciding(&self, path: &[u8]) -> Option<&Pattern> {
        let path = path::clean(path);
        if path == b"." {
            return None;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let above: Vec<&[u8]> = slashes.map(|(at, _)| &path[..at]).collect();
        let matches = |pattern: &&Pattern| {
            pattern.matches(&path) || above.iter().any(|above| pattern.matches(above))
        };
        self.patterns.iter().rev().find(matches)
    }

    /// As [`Patterns::deciding`], of a clean `path` in a directory that [`Patterns::enter`] was
    /// asked about (or in the context itself: [`Above::default`]).
    #[must_use]
    pub fn deciding_in(&self, above: &Above, path: &[u8]) -> Option<&Pattern> {
        let matches =
            |(index, pattern): &(usize, &Pattern)| above.has(*index) || pattern.matches(path);
        let mut patterns = self.patterns.iter().enumerate().rev();
        patterns.find(matches).map(|(_, pattern)| pattern)
    }

    /// As [`Patterns::deciding_in`], of the first `count` patterns alone: which of them it is, from 0.
    #[must_use]
    pub fn number_deciding_in(&self, above: &Above, path: &[u8], count: usize) -> Option<usize> {
        let matches =
            |(index, pattern): &(usize, &Pattern)| above.has(*index) || pattern.matches(path);
        let mut patterns = self.patterns.iter().enumerate().take(count).rev();
        patterns.find(matches).map(|(index, _)| index)
    }

    /// As [`Patterns::excludes`], of a clean `path` in a directory that was entered.
    #[must_use]
    pub fn excludes_in(&self, above: &Above, path: &[u8]) -> bool {
        self.deciding_in(above, path)
            .is_some_and(|pattern| !pattern.is_exception())
    }

    /// What is known of everything in `directory`, which lies in one that was entered.
    #[must_use]
    pub fn enter(&self, above: &Above, directory: &[u8]) -> Above {
        let mut words = vec![0; self.patterns.len().div_ceil(64)];
        for (index, pattern) in self.patterns.iter().enumerate() {
            if above.has(index) || pattern.matches(directory) {
                words[index / 64] |= 1 << (index % 64);
            }
        }
        Above(words)
    }

    /// Whether something in `directory` may be left out that `directory` itself is not: so a walk
    /// that wants what the patterns name must look.
    #[must_use]
    pub fn may_exclude_below(&self, directory: &[u8]) -> bool {
        let mut plain = self
            .patterns
            .iter()
            .filter(|pattern| !pattern.is_exception());
        plain.any(|pattern| pattern.may_match_below(directory))
    }

    /// Whether something in `directory`, which is itself left out, may be let back in; if not, a
    /// walk needn't look.
    #[must_use]
    pub fn may_keep_below(&self, directory: &[u8]) -> bool {
        let mut exceptions = self
            .patterns
            .iter()
            .filter(|pattern| pattern.is_exception());
        exceptions.any(|pattern| pattern.may_match_below(directory))
    }
}

/// The patterns of an ignore file as written but for white space, comments and needless parts of
/// paths, each with the number of its line.
fn lines(file: &[u8]) -> Result<Vec<(usize, Vec<u8>)>, IgnoreError> {
    if file.len() > limits::IGNORE_FILE_BYTES {
        return Err(IgnoreError::TooLarge);
    }
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let numbered = (1..).zip(file.split(|byte| *byte == b'\n'));
    let said = numbered.filter(|(_, line)| !line.starts_with(b"#"));
    let mut patterns = Vec::new();
    for (number, line) in said {
        let line = trim(line);
        if line.is_empty() {
            continue;
        }
        let (mark, line): (&[u8], _) = match line.strip_prefix(b"!") {
            Some(rest) => (b"!", trim(rest)),
            None => (b"", line),
        };
        let mut pattern = mark.to_vec();
        if !line.is_empty() {
            let cleaned = path::clean(line);
            let relative = match cleaned.strip_prefix(b"/") {
                Some(relative) if !relative.is_empty() => relative,
                _ => &cleaned,
            };
            pattern.extend_from_slice(relative);
        }
        patterns.push((number, pattern));
    }
    Ok(patterns)
}

/// Without white space around, Unicode's where the line is UTF-8.
fn trim(line: &[u8]) -> &[u8] {
    match std::str::from_utf8(line) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => line.trim_ascii(),
    }
}
