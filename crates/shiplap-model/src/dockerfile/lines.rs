//! The lines of a Dockerfile: physical lines joined where they continue, comments and blank lines
//! left out, directives obeyed, bodies of heredocs handed over as they are.

use super::Span;
use super::ast::Heredoc;
use super::directive::Directives;
use super::error::{Fault, Place, SyntaxError};
use super::heredoc;
use super::split;
use crate::limits;

/// Several physical lines as one.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) span: Span,
    /// Comment lines before it, without `#`.
    pub(super) comments: Vec<String>,
    /// A blank line lies where another was to continue.
    pub(super) has_gap: bool,
    pieces: Vec<Piece>,
}

/// Where a piece of a line begins, in its text and in the file.
#[derive(Debug, Clone, Copy)]
struct Piece {
    offset: usize,
    line: u32,
    /// Characters that stand before it.
    indent: usize,
}

impl Line {
    /// Its first word.
    pub(super) fn word(&self) -> &str {
        split::halves(self.text.trim()).0
    }

    /// Puts a fault to its place in the file.
    pub(super) fn error(&self, fault: Fault) -> SyntaxError {
        SyntaxError {
            span: self.span,
            place: fault.word().and_then(|word| self.place(word)),
            fault,
        }
    }

    /// Where a word stands first.
    fn place(&self, word: &str) -> Option<Place> {
        let position = self.text.find(word).filter(|_| !word.is_empty())?;
        let piece = self
            .pieces
            .iter()
            .rev()
            .find(|piece| piece.offset <= position)?;
        let before = self.text.get(piece.offset..position)?.chars().count();
        Some(Place {
            line: piece.line,
            column: u32::try_from(piece.indent + before).ok()?.checked_add(1)?,
            width: u32::try_from(word.chars().count()).ok()?,
        })
    }
}

/// Reads lines one after the other.
pub(super) struct Lines<'t> {
    rest: &'t [u8],
    number: u32,
    directives: Directives,
    pub(super) escape: char,
}

impl<'t> Lines<'t> {
    /// Of a text without byte order mark.
    pub(super) fn of(text: &'t [u8]) -> Self {
        Self {
            rest: text,
            number: 0,
            directives: Directives::new("#"),
            escape: '\\',
        }
    }

    /// There is more than is taken.
    pub(super) fn is_too_long(&self) -> bool {
        self.rest.len() > limits::DOCKERFILE_BYTES
    }

    /// Number of the line read last.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The next physical line with its end.
    fn physical(&mut self) -> Result<Option<&'t [u8]>, SyntaxError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let end = end.map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.number += 1;
        if line.trim_ascii_end().len() > limits::DOCKERFILE_LINE_BYTES {
            return Err(self.error(Fault::LineTooLong));
        }
        Ok(Some(line))
    }

    /// An error in the line read last.
    fn error(&self, fault: Fault) -> SyntaxError {
        let span = Span {
            first: self.number,
            last: self.number,
        };
        SyntaxError {
            span,
            place: None,
            fault,
        }
    }

    fn text(&self, bytes: &'t [u8]) -> Result<&'t str, SyntaxError> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.error(Fault::NotUtf8))?;
        Ok(text.trim_end_matches(['\r', '\n']))
    }

    /// The next line that says something.
    pub(super) fn next(&mut self) -> Result<Option<Line>, SyntaxError> {
        let mut comments = Vec::new();
        while let Some(bytes) = self.physical()? {
            if bytes.trim_ascii_start().starts_with(b"#") {
                self.comment(bytes, &mut comments)?;
                continue;
            }
            let line = self.text(bytes)?;
            let start = line.trim_start();
            self.directives.end();
            if start.is_empty() {
                continue;
            }
            let mut joined = Line {
                text: String::new(),
                span: Span {
                    first: self.number,
                    last: self.number,
                },
                comments,
                has_gap: false,
                pieces: Vec::new(),
            };
            let indent = line.chars().count() - start.chars().count();
            let is_open = self.append(&mut joined, start, indent)?;
            if is_open {
                self.continue_line(&mut joined)?;
            }
            return Ok(Some(joined));
        }
        Ok(None)
    }

    /// Takes a comment, which may be a directive.
    fn comment(&mut self, bytes: &[u8], comments: &mut Vec<String>) -> Result<(), SyntaxError> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        let directive = self.directives.next(text, self.number);
        match directive.map_err(|fault| self.error(fault))? {
            Some(directive) if directive.name == "escape" => {
                self.escape = match directive.value.as_str() {
                    "\\" => '\\',
                    "`" => '`',
                    _ => return Err(self.error(Fault::Escape(directive.value))),
                };
            }
            Some(_) => {}
            None => match text.strip_prefix('#').unwrap_or(text).trim() {
                "" => comments.clear(),
                comment => comments.push(comment.to_owned()),
            },
        }
        Ok(())
    }

    /// Adds a physical line without its end; says whether the next one continues it.
    fn append(&self, joined: &mut Line, line: &str, indent: usize) -> Result<bool, SyntaxError> {
        let continued = line
            .trim_end_matches([' ', '\t'])
            .strip_suffix(self.escape)
            .filter(|before| !before.ends_with(self.escape));
        joined.pieces.push(Piece {
            offset: joined.text.len(),
            line: self.number,
            indent,
        });
        joined.text.push_str(continued.unwrap_or(line));
        joined.span.last = self.number;
        Ok(continued.is_some())
    }

    /// Adds the lines that continue one.
    fn continue_line(&mut self, joined: &mut Line) -> Result<(), SyntaxError> {
        while let Some(bytes) = self.physical()? {
            joined.span.last = self.number;
            if bytes.trim_ascii_start().starts_with(b"#") {
                continue;
            }
            let line = self.text(bytes)?;
            if line.trim_start().is_empty() {
                joined.has_gap = true;
                continue;
            }
            if !self.append(joined, line, 0)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads the body of a heredoc, to the line that ends it.
    pub(super) fn body(
        &mut self,
        heredoc: &mut Heredoc,
        line: &mut Line,
    ) -> Result<(), SyntaxError> {
        let mut raw = Vec::new();
        loop {
            let Some(bytes) = self.physical()? else {
                return Err(line.error(Fault::UnterminatedHeredoc(heredoc.name.clone())));
            };
            line.span.last = self.number;
            let mut end = bytes;
            while let [before @ .., b'\r' | b'\n'] = end {
                end = before;
            }
            while let ([b'\t', after @ ..], true) = (end, heredoc.strips_tabs) {
                end = after;
            }
            if end == heredoc.name.as_bytes() {
                break;
            }
            raw.extend_from_slice(bytes);
        }
        heredoc.raw = String::from_utf8(raw).map_err(|_| line.error(Fault::NotUtf8))?;
        heredoc.content = match heredoc.strips_tabs {
            true => heredoc::without_tabs(&heredoc.raw),
            false => heredoc.raw.clone(),
        };
        Ok(())
    }
}
