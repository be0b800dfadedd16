//! What programs print, made fit to be shown: whole lines without control characters, as a terminal
//! would have ended up showing them.
//!
//! Nothing that a step prints reaches the user's terminal but as letters.

use unicode_width::UnicodeWidthChar as _;

/// Longest line that is kept together, in bytes. What is longer is shown in parts; the whole is in
/// the build's log.
const LINE_BYTES: usize = 16 << 10;

/// How far apart tabs stop.
const TAB: usize = 8;

/// Cuts one stream into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes what came, and gives every line that is complete.
    pub(super) fn take(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(String)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = bytes.split_at(end);
            self.add(line, each);
            each(shown(&std::mem::take(&mut self.rest)));
            bytes = after.get(1..).unwrap_or_default();
        }
        self.add(bytes, each);
    }

    fn add(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(String)) {
        while self.rest.len() + bytes.len() > LINE_BYTES {
            let (part, after) = bytes.split_at(LINE_BYTES - self.rest.len());
            self.rest.extend_from_slice(part);
            each(shown(&std::mem::take(&mut self.rest)));
            bytes = after;
        }
        self.rest.extend_from_slice(bytes);
    }

    /// What has come of a line that is not complete, if anything.
    pub(super) fn unfinished(&self) -> Option<String> {
        (!self.rest.is_empty()).then(|| shown(&self.rest))
    }

    /// The same, once nothing more comes.
    pub(super) fn finish(&mut self) -> Option<String> {
        let line = self.unfinished();
        self.rest.clear();
        line
    }
}

/// A line as a terminal would show it at its end: of what a carriage return wrote over, the last;
/// what was taken back with backspaces not; without escape sequences and other control characters.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.split('\r').map(plain);
    parts.rfind(|part| !part.is_empty()).unwrap_or_default()
}

fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' => skip_escape(&mut letters),
            '\u{9b}' => skip_parameters(&mut letters),
            '\u{8}' => {
                shown.pop();
            }
            '\t' => shown.push('\t'),
            letter if is_shown(letter) => shown.push(letter),
            _ => {}
        }
    }
    shown
}

/// Letters, but nothing that moves others about: neither control characters nor those that turn
/// the direction of writing.
fn is_shown(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

type Letters<'t> = std::iter::Peekable<std::str::Chars<'t>>;

/// What follows an escape (ECMA-48): a control sequence, a string up to its end, or a letter after
/// some intermediate ones.
fn skip_escape(letters: &mut Letters) {
    match letters.next() {
        Some('[') => skip_parameters(letters),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(letter) = letters.next() {
                if letter == '\x07' || letter == '\u{9c}' {
                    return;
                }
                if letter == '\x1b' {
                    letters.next_if_eq(&'\\');
                    return;
                }
            }
        }
        Some(' '..='/') => {
            while letters
                .next_if(|letter| (' '..='/').contains(letter))
                .is_some()
            {}
            letters.next();
        }
        _ => {}
    }
}

/// The parameters of a control sequence, and the letter that ends it.
fn skip_parameters(letters: &mut Letters) {
    while letters
        .next_if(|letter| (' '..='?').contains(letter))
        .is_some()
    {}
    letters.next_if(|letter| ('@'..='~').contains(letter));
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

/// The text in at most so many columns, tabs as blanks.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let mut cut = String::with_capacity(text.len().min(columns));
    let mut used = 0;
    for letter in text.chars() {
        if letter == '\t' {
            let blanks = (TAB - used % TAB).min(columns.saturating_sub(used));
            cut.extend(std::iter::repeat_n(' ', blanks));
            used += blanks;
            continue;
        }
        let wide = letter.width().unwrap_or(0);
        if used + wide > columns {
            break;
        }
        used += wide;
        cut.push(letter);
    }
    cut
}

/// One line of a text that may have more, fit to be shown.
pub(super) fn one_line(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for line in text.lines() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(&plain(line));
    }
    words
}
