//! Words of a Dockerfile: quotes, escapes and variables, as BuildKit's shell lexer takes them.
//!
//! A shell in little: no commands, no arithmetic, no file names. What a name stands for, the caller
//! says; which names were asked for is part of the answer.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use crate::limits;

mod pattern;

pub use pattern::PatternError;
use pattern::{Extent, Pattern};

/// Says what a name stands for; `None`: it is not set.
pub type Lookup<'l, 'v> = dyn Fn(&str) -> Option<&'v str> + 'l;

/// Why a word can't be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpansionError {
    /// It ends within quotes or `${…}`.
    #[error("unexpected end of statement while looking for matching {0}")]
    Unclosed(char),
    /// `${}`, `${:…`, `${{…`.
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// Something else behind the name than `:-`, `:+`, `:?`, `-`, `+`, `?`, `#`, `%`, `/`.
    #[error("unsupported modifier {0:?} in substitution")]
    Modifier(String),
    /// `${name?message}` or `${name:?message}` says so.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// What the word says of it.
        message: String,
    },
    /// A wrong pattern in `${name#pattern}` and the like.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Substitutions within substitutions.
    #[error("substitutions lie more than {} deep", limits::EXPANSION_DEPTH)]
    TooDeep,
    /// Too much text.
    #[error("the text becomes longer than {} bytes", limits::EXPANSION_BYTES)]
    TooLong,
}

/// What a word becomes, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// All of it, whatever blanks are in it.
    pub text: String,
    /// Split at unquoted blanks, of the text or of a variable.
    pub words: Vec<String>,
    /// Names asked for that are set.
    pub used: BTreeSet<String>,
    /// Names asked for that are not set.
    pub unset: BTreeSet<String>,
}

/// Expands a word: quotes and escapes are taken away. `escape` is the Dockerfile's, `\` unless it
/// says otherwise.
///
/// # Errors
/// [`ExpansionError`].
pub fn expand(
    word: &str,
    lookup: &Lookup<'_, '_>,
    escape: char,
) -> Result<Expansion, ExpansionError> {
    Lexer::of(word, lookup, escape).run()
}

/// The word as one string, whatever blanks are in it.
///
/// # Errors
/// As [`expand`].
pub fn expand_word(
    word: &str,
    lookup: &Lookup<'_, '_>,
    escape: char,
) -> Result<String, ExpansionError> {
    Ok(expand(word, lookup, escape)?.text)
}

/// The words into which unquoted blanks, of the text or of a variable, split it.
///
/// # Errors
/// As [`expand`].
pub fn expand_words(
    word: &str,
    lookup: &Lookup<'_, '_>,
    escape: char,
) -> Result<Vec<String>, ExpansionError> {
    Ok(expand(word, lookup, escape)?.words)
}

/// Expands what a heredoc of `COPY` or `ADD` holds: quotes mean nothing there, and the escape is
/// always `\`.
///
/// # Errors
/// As [`expand`].
pub fn expand_content(content: &str, lookup: &Lookup<'_, '_>) -> Result<Expansion, ExpansionError> {
    let mut lexer = Lexer::of(content, lookup, '\\');
    lexer.quotes = Quotes::Meaningless;
    lexer.run()
}

/// A line for the eyes: variables that are set are expanded; quotes and other variables stay.
///
/// # Errors
/// As [`expand`].
pub fn expand_visibly(
    line: &str,
    lookup: &Lookup<'_, '_>,
    escape: char,
) -> Result<String, ExpansionError> {
    let mut lexer = Lexer::of(line, lookup, escape);
    lexer.quotes = Quotes::Kept;
    lexer.keeps_unset = true;
    Ok(lexer.run()?.text)
}

/// Splits at blanks that are neither quoted nor escaped by `\`; nothing is expanded or taken away.
pub(crate) fn split_raw(line: &str) -> Result<Vec<String>, ExpansionError> {
    let mut lexer = Lexer::of(line, &|_| None, '\\');
    lexer.quotes = Quotes::Kept;
    lexer.keeps_escapes = true;
    lexer.keeps_unset = true;
    Ok(lexer.run()?.words)
}

/// The one word that a text is, without quotes and escapes, and whether any of it was quoted;
/// `None` if it is none or several.
pub(crate) fn heredoc_name(text: &str) -> Result<Option<(String, bool)>, ExpansionError> {
    let words = |quotes| {
        let mut lexer = Lexer::of(text, &|_| None, '\\');
        lexer.quotes = quotes;
        lexer.keeps_unset = true;
        lexer.run().map(|expansion| expansion.words)
    };
    let (plain, quoted) = (words(Quotes::Removed)?, words(Quotes::Kept)?);
    let ([plain], [quoted]) = (plain.as_slice(), quoted.as_slice()) else {
        return Ok(None);
    };
    let quotes = |word: &str| word.matches(['\'', '"']).count();
    Ok(Some((plain.clone(), quotes(plain) != quotes(quoted))))
}

/// What was read so far: in one, and in words.
#[derive(Default)]
struct Expanded {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Expanded {
    /// Adds text that no blank splits.
    fn push_whole(&mut self, text: &str) -> Result<(), ExpansionError> {
        self.text.push_str(text);
        self.word.push_str(text);
        self.check()
    }

    /// Adds text that blanks split.
    fn push_split(&mut self, text: &str) -> Result<(), ExpansionError> {
        self.text.push_str(text);
        for char in text.chars() {
            if char.is_whitespace() {
                self.end_word();
            } else {
                self.word.push(char);
            }
        }
        self.check()
    }

    fn push(&mut self, char: char, is_split: bool) -> Result<(), ExpansionError> {
        let mut bytes = [0; 4];
        let text = char.encode_utf8(&mut bytes);
        if is_split {
            self.push_split(text)
        } else {
            self.push_whole(text)
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn check(&self) -> Result<(), ExpansionError> {
        if self.text.len() > limits::EXPANSION_BYTES {
            return Err(ExpansionError::TooLong);
        }
        Ok(())
    }
}

/// What becomes of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// They do their work and are gone.
    Removed,
    /// They do their work and stay.
    Kept,
    /// They are characters like others.
    Meaningless,
}

struct Lexer<'l, 'v> {
    chars: Peekable<Chars<'l>>,
    lookup: &'l Lookup<'l, 'v>,
    escape: char,
    quotes: Quotes,
    /// Escapes stay, for a pattern that reads them itself.
    keeps_escapes: bool,
    /// Variables that are not set stay as they are written.
    keeps_unset: bool,
    depth: usize,
    used: BTreeSet<String>,
    unset: BTreeSet<String>,
}

impl<'l, 'v> Lexer<'l, 'v> {
    fn of(word: &'l str, lookup: &'l Lookup<'l, 'v>, escape: char) -> Self {
        Self {
            chars: word.chars().peekable(),
            lookup,
            escape,
            quotes: Quotes::Removed,
            keeps_escapes: false,
            keeps_unset: false,
            depth: 0,
            used: BTreeSet::new(),
            unset: BTreeSet::new(),
        }
    }

    fn run(mut self) -> Result<Expansion, ExpansionError> {
        let mut expanded = self.until(None, self.keeps_escapes)?;
        expanded.end_word();
        Ok(Expansion {
            text: expanded.text,
            words: expanded.words,
            used: self.used,
            unset: self.unset,
        })
    }

    /// Expands to the end, or to and with `stop`.
    fn until(
        &mut self,
        stop: Option<char>,
        keeps_escapes: bool,
    ) -> Result<Expanded, ExpansionError> {
        self.depth += 1;
        if self.depth > limits::EXPANSION_DEPTH {
            return Err(ExpansionError::TooDeep);
        }
        let outer = std::mem::replace(&mut self.keeps_escapes, keeps_escapes);
        let mut expanded = Expanded::default();
        let are_quotes = self.quotes != Quotes::Meaningless;
        loop {
            let Some(char) = self.chars.next() else {
                match stop {
                    Some(stop) => return Err(ExpansionError::Unclosed(stop)),
                    None => break,
                }
            };
            match char {
                char if Some(char) == stop => break,
                '\'' if are_quotes => self.single_quoted(&mut expanded)?,
                '"' if are_quotes => self.double_quoted(&mut expanded)?,
                '$' => {
                    let value = self.variable()?;
                    expanded.push_split(&value)?;
                }
                '<' => self.angle(&mut expanded)?,
                char if char == self.escape => {
                    if self.keeps_escapes {
                        expanded.push(char, false)?;
                    }
                    if let Some(char) = self.chars.next() {
                        expanded.push(char, false)?;
                    }
                }
                char => expanded.push(char, true)?,
            }
        }
        self.keeps_escapes = outer;
        self.depth -= 1;
        Ok(expanded)
    }

    fn quote(&self, quote: char, expanded: &mut Expanded) -> Result<(), ExpansionError> {
        if self.quotes == Quotes::Kept {
            expanded.push(quote, false)?;
        }
        Ok(())
    }

    /// What follows a `<`: blanks behind `<<` and `<<-` belong to the word, for it may begin a heredoc.
    fn angle(&mut self, expanded: &mut Expanded) -> Result<(), ExpansionError> {
        expanded.push('<', false)?;
        if self.chars.next_if_eq(&'<').is_some() {
            expanded.push('<', false)?;
            if self.chars.next_if_eq(&'-').is_some() {
                expanded.push('-', false)?;
            }
            while let Some(blank) = self.chars.next_if(|char| matches!(char, '\t' | '\r' | ' ')) {
                expanded.push(blank, false)?;
            }
        }
        Ok(())
    }

    /// The rest of `'…'`: as it is.
    fn single_quoted(&mut self, expanded: &mut Expanded) -> Result<(), ExpansionError> {
        self.quote('\'', expanded)?;
        loop {
            match self.chars.next() {
                None => return Err(ExpansionError::Unclosed('\'')),
                Some('\'') => return self.quote('\'', expanded),
                Some(char) => expanded.push(char, false)?,
            }
        }
    }

    /// The rest of `"…"`: variables, and escapes of `"`, `$` and the escape.
    fn double_quoted(&mut self, expanded: &mut Expanded) -> Result<(), ExpansionError> {
        self.quote('"', expanded)?;
        let escape = self.escape;
        loop {
            match self.chars.next() {
                None => return Err(ExpansionError::Unclosed('"')),
                Some('"') => return self.quote('"', expanded),
                Some('$') => {
                    let value = self.variable()?;
                    expanded.push_whole(&value)?;
                }
                Some(char) if char == escape => {
                    if self.keeps_escapes {
                        expanded.push(char, false)?;
                    }
                    let is_escaped = |char: &char| matches!(char, '"' | '$') || *char == escape;
                    let escaped = self.chars.next_if(is_escaped);
                    expanded.push(escaped.unwrap_or(char), false)?;
                }
                Some(char) => expanded.push(char, false)?,
            }
        }
    }

    /// What follows a `$`.
    fn variable(&mut self) -> Result<String, ExpansionError> {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(match name.as_str() {
                "" => "$".to_owned(),
                name => match self.value(name) {
                    None if self.keeps_unset => format!("${name}"),
                    value => value.unwrap_or_default().to_owned(),
                },
            });
        }
        if let Some('{' | '}' | ':') = self.chars.peek() {
            return Err(ExpansionError::BadSubstitution);
        }
        let name = self.name();
        let modifier = self.chars.next().ok_or(ExpansionError::Unclosed('}'))?;
        match modifier {
            '}' => Ok(match self.value(&name) {
                None if self.keeps_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default().to_owned(),
            }),
            ':' => {
                let modifier = self.chars.next().ok_or(ExpansionError::Unclosed('}'))?;
                if !matches!(modifier, '-' | '+' | '?') {
                    return Err(ExpansionError::Modifier(format!(":{modifier}")));
                }
                self.substitute(&name, modifier, true)
            }
            '-' | '+' | '?' => self.substitute(&name, modifier, false),
            '#' | '%' => self.trim(&name, modifier),
            '/' => self.replace(&name),
            _ => Err(ExpansionError::Modifier(modifier.to_string())),
        }
    }

    fn value(&mut self, name: &str) -> Option<&'v str> {
        let value = (self.lookup)(name);
        let names = match value {
            Some(_) => &mut self.used,
            None => &mut self.unset,
        };
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
        value
    }

    /// Letters, digits and `_`; or a number; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        if let Some(special) = self
            .chars
            .next_if(|char| matches!(char, '@' | '*' | '#' | '?' | '-' | '$' | '!'))
        {
            name.push(special);
            return name;
        }
        let is_number = self.chars.peek().is_some_and(|char| char.is_numeric());
        let goes_on = |char: &char| match is_number {
            true => char.is_numeric(),
            false => char.is_alphanumeric() || *char == '_',
        };
        while let Some(char) = self.chars.next_if(goes_on) {
            name.push(char);
        }
        name
    }

    /// The rest of `${name-word}`, `${name+word}`, `${name?word}`; behind a colon an empty value
    /// is as good as none.
    fn substitute(
        &mut self,
        name: &str,
        modifier: char,
        empty_is_unset: bool,
    ) -> Result<String, ExpansionError> {
        let word = self.until(Some('}'), false)?.text;
        let value = self.value(name);
        if value.is_none() && self.keeps_unset {
            let colon = if empty_is_unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        let known = value.filter(|value| !(empty_is_unset && value.is_empty()));
        match (modifier, known) {
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value.to_owned()),
            ('-', None) => Ok(word),
            (_, None) => Err(ExpansionError::Required {
                name: name.to_owned(),
                message: match (word.as_str(), value) {
                    ("", None) => "is not allowed to be unset".to_owned(),
                    ("", Some(_)) => "is not allowed to be empty".to_owned(),
                    _ => word,
                },
            }),
        }
    }

    /// The rest of `${name#pattern}`, `${name##pattern}`, and the same with `%` at the end.
    fn trim(&mut self, name: &str, modifier: char) -> Result<String, ExpansionError> {
        let word = self.until(Some('}'), true)?.text;
        let value = match self.value(name) {
            None if self.keeps_unset => return Ok(format!("${{{name}{modifier}{word}}}")),
            value => value.unwrap_or_default(),
        };
        let (extent, word) = match word.strip_prefix(modifier) {
            Some(word) => (Extent::Longest, word),
            None => (Extent::Shortest, word.as_str()),
        };
        let pattern = Pattern::parse(word)?;
        Ok(match modifier {
            '#' => pattern.trim_start(value, extent),
            _ => pattern.trim_end(value, extent),
        })
    }

    /// The rest of `${name/pattern/replacement}` and `${name//pattern/replacement}`.
    fn replace(&mut self, name: &str) -> Result<String, ExpansionError> {
        let replaces_all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.until(Some('/'), true)?.text;
        let replacement = self.until(Some('}'), true)?.text;
        let value = match self.value(name) {
            None if self.keeps_unset => {
                let slashes = if replaces_all { "//" } else { "/" };
                return Ok(format!("${{{name}{slashes}{pattern}/{replacement}}}"));
            }
            value => value.unwrap_or_default(),
        };
        Pattern::parse(&pattern)?
            .replace(value, &replacement, replaces_all)
            .ok_or(ExpansionError::TooLong)
    }
}

#[cfg(test)]
mod tests;
