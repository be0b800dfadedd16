//! The bytes of a Dockerfile by lines, and an instruction's text with the place of each of its
//! characters: so that what is found in joined lines can be shown, and changed, where it stands.

use std::ops::Range;

use shiplap_model::dockerfile::{Heredoc, Place, Span};

/// A file's bytes, and where its lines begin.
#[derive(Debug, Clone)]
pub(super) struct Sheet<'s> {
    bytes: &'s [u8],
    starts: Vec<usize>,
    escape: char,
}

/// An instruction's lines joined, comments left out, and the heredocs behind them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Joined {
    /// The joined line, a line feed, and the bodies as they are written.
    pub(super) text: String,
    /// Length of the joined line, without blanks at its end.
    pub(super) head: usize,
    /// Where the bodies of heredocs are in `text`.
    pub(super) bodies: Vec<Range<usize>>,
    /// Numbers of blank lines between its lines.
    pub(super) blanks: Vec<u32>,
    /// There are comments between its lines.
    pub(super) has_comments: bool,
    /// Where a piece begins: in `text`, and in the file.
    pieces: Vec<(usize, usize)>,
}

/// A part of the file that is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Its first byte.
    pub start: usize,
    /// One behind its last byte; `start` if something is only put in.
    pub end: usize,
    /// What is to stand there.
    pub text: String,
}

impl<'s> Sheet<'s> {
    pub(super) fn new(bytes: &'s [u8], escape: char) -> Self {
        let skipped = match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(_) => 3,
            None => 0,
        };
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let starts = ends.map(|(at, _)| at + 1).filter(|at| *at < bytes.len());
        Self {
            bytes,
            starts: std::iter::once(skipped).chain(starts).collect(),
            escape,
        }
    }

    /// Where a line begins, and its bytes without its end.
    pub(super) fn line(&self, number: u32) -> Option<(usize, &'s [u8])> {
        let index = (number as usize).checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied();
        let line = self.bytes.get(start..end.unwrap_or(self.bytes.len()))?;
        let mut line = line;
        while let [before @ .., b'\r' | b'\n'] = line {
            line = before;
        }
        Some((start, line))
    }

    /// Where a line is with its end.
    pub(super) fn whole_line(&self, number: u32) -> Option<Range<usize>> {
        let start = *self.starts.get((number as usize).checked_sub(1)?)?;
        let end = self.starts.get(number as usize).copied();
        Some(start..end.unwrap_or(self.bytes.len()))
    }

    /// What ends lines in this file.
    pub(super) fn line_end(&self) -> &'static str {
        let first = self.starts.get(1).copied().unwrap_or_default();
        match self
            .bytes
            .get(..first)
            .is_some_and(|line| line.ends_with(b"\r\n"))
        {
            true => "\r\n",
            false => "\n",
        }
    }

    /// What continues a line.
    pub(super) fn escape(&self) -> char {
        self.escape
    }

    /// For people: the place of some bytes, as far as they are on one line.
    pub(super) fn place(&self, range: &Range<usize>) -> Option<Place> {
        let index = self.starts.partition_point(|start| *start <= range.start);
        let number = u32::try_from(index).ok()?;
        let (start, line) = self.line(number)?;
        let text = String::from_utf8_lossy(line.get(..range.start.checked_sub(start)?)?);
        let end = range.end.min(start + line.len());
        let shown = String::from_utf8_lossy(self.bytes.get(range.start..end)?);
        Some(Place {
            line: number,
            column: u32::try_from(text.chars().count()).ok()?.checked_add(1)?,
            width: u32::try_from(shown.chars().count()).ok()?.max(1),
        })
    }

    /// The text of an instruction, joined as a build reads it.
    pub(super) fn join(&self, span: Span, heredocs: &[Heredoc]) -> Joined {
        let mut joined = Joined::default();
        let mut number = span.first;
        while number <= span.last {
            let Some((start, line)) = self.line(number) else {
                break;
            };
            number += 1;
            let is_first = joined.pieces.is_empty();
            let trimmed = line.trim_ascii_start();
            if !is_first && trimmed.is_empty() {
                joined.blanks.push(number - 1);
                continue;
            }
            if !is_first && trimmed.starts_with(b"#") {
                joined.has_comments = true;
                continue;
            }
            let text = std::str::from_utf8(line).unwrap_or_default();
            let skipped = match is_first {
                true => text.len() - text.trim_start().len(),
                false => 0,
            };
            let text = text.get(skipped..).unwrap_or_default();
            let continued = text
                .trim_end_matches([' ', '\t'])
                .strip_suffix(self.escape)
                .filter(|before| !before.ends_with(self.escape));
            joined.pieces.push((joined.text.len(), start + skipped));
            joined.text.push_str(continued.unwrap_or(text));
            if continued.is_none() {
                break;
            }
        }
        joined.head = joined.text.trim_end().len();
        for heredoc in heredocs {
            let Some(lines) = self.whole_line(number) else {
                break;
            };
            let at = joined.text.len() + 1;
            joined.text.push('\n');
            joined.pieces.push((at, lines.start));
            joined.text.push_str(&heredoc.raw);
            joined.bodies.push(at..at + heredoc.raw.len());
            let count = heredoc.raw.bytes().filter(|byte| *byte == b'\n').count();
            number = number.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            number = number.saturating_add(1);
        }
        joined
    }
}

impl Joined {
    /// Where a part of the text is in the file. What lies between its lines is in it, too.
    pub(super) fn range(&self, part: &Range<usize>) -> Option<Range<usize>> {
        let start = self.offset(part.start)?;
        let end = match part.end.checked_sub(1).filter(|last| *last >= part.start) {
            Some(last) => self.offset(last)? + 1,
            None => start,
        };
        Some(start..end)
    }

    /// Where a character is in the file; the one behind the text is where its last one ends.
    fn offset(&self, at: usize) -> Option<usize> {
        let index = self.pieces.partition_point(|(start, _)| *start <= at);
        let (begin, place) = self.pieces.get(index.checked_sub(1)?)?;
        Some(place + (at - begin))
    }

    /// Where something can be put behind the part that ends at `end`: at its end, not at the
    /// beginning of the next line.
    pub(super) fn behind(&self, end: usize) -> Option<usize> {
        match end.checked_sub(1) {
            Some(last) => Some(self.offset(last)? + 1),
            None => self.offset(0),
        }
    }

    /// Where the line of the file begins in which the character at `at` stands, in the file.
    pub(super) fn line_start(&self, at: usize) -> Option<usize> {
        let index = self.pieces.partition_point(|(start, _)| *start <= at);
        self.pieces
            .get(index.checked_sub(1)?)
            .map(|(_, place)| *place)
    }

    /// How many lines were joined.
    pub(super) fn lines(&self) -> usize {
        self.pieces.len() - self.bodies.len()
    }

    /// Blanks at the beginning of the line in which the character at `at` stands.
    pub(super) fn indent(&self, at: usize) -> &str {
        let index = self.pieces.partition_point(|(start, _)| *start <= at);
        let begin = index
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index));
        let line = begin.and_then(|(begin, _)| self.text.get(*begin..));
        let line = line.unwrap_or_default();
        let length = line.len() - line.trim_start_matches([' ', '\t']).len();
        line.get(..length).unwrap_or_default()
    }

    /// Where a word of the joined line stands; `from` is where it is looked for.
    pub(super) fn find(&self, word: &str, from: usize) -> Option<Range<usize>> {
        let found = self.text.get(from..self.head)?.find(word)?;
        (!word.is_empty()).then(|| from + found..from + found + word.len())
    }
}
