//! Words of a Dockerfile: quotes, escapes and variables, as BuildKit's shell lexer takes them.
//!
//! A shell in little: no commands, no arithmetic, no file names.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use crate::limits;

mod pattern;

pub use pattern::PatternError;
use pattern::{Extent, Pattern};

/// What the names stand for.
pub(super) type Variables<'v> = BTreeMap<&'v str, &'v str>;

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

/// The word as one string, whatever blanks are in it.
pub(super) fn expand_word(word: &str, variables: &Variables<'_>) -> Result<String, ExpansionError> {
    Ok(Lexer::of(word, variables).until(None, false)?.text)
}

/// The words into which unquoted blanks, of the text or of a variable, split it.
pub(super) fn expand_words(
    word: &str,
    variables: &Variables<'_>,
) -> Result<Vec<String>, ExpansionError> {
    let mut expanded = Lexer::of(word, variables).until(None, false)?;
    expanded.end_word();
    Ok(expanded.words)
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

struct Lexer<'l> {
    chars: Peekable<Chars<'l>>,
    variables: &'l Variables<'l>,
    /// Escapes stay, for a pattern that reads them itself.
    keeps_escapes: bool,
    depth: usize,
}

impl<'l> Lexer<'l> {
    fn of(word: &'l str, variables: &'l Variables<'l>) -> Self {
        Self {
            chars: word.chars().peekable(),
            variables,
            keeps_escapes: false,
            depth: 0,
        }
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
        loop {
            let Some(char) = self.chars.next() else {
                match stop {
                    Some(stop) => return Err(ExpansionError::Unclosed(stop)),
                    None => break,
                }
            };
            match char {
                char if Some(char) == stop => break,
                '\'' => self.single_quoted(&mut expanded)?,
                '"' => self.double_quoted(&mut expanded)?,
                '$' => {
                    let value = self.variable()?;
                    expanded.push_split(&value)?;
                }
                '\\' => {
                    if self.keeps_escapes {
                        expanded.push('\\', false)?;
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

    /// The rest of `'…'`: as it is.
    fn single_quoted(&mut self, expanded: &mut Expanded) -> Result<(), ExpansionError> {
        loop {
            match self.chars.next() {
                None => return Err(ExpansionError::Unclosed('\'')),
                Some('\'') => return Ok(()),
                Some(char) => expanded.push(char, false)?,
            }
        }
    }

    /// The rest of `"…"`: variables, and escapes of `"`, `$` and `\`.
    fn double_quoted(&mut self, expanded: &mut Expanded) -> Result<(), ExpansionError> {
        loop {
            match self.chars.next() {
                None => return Err(ExpansionError::Unclosed('"')),
                Some('"') => return Ok(()),
                Some('$') => {
                    let value = self.variable()?;
                    expanded.push_whole(&value)?;
                }
                Some('\\') => {
                    if self.keeps_escapes {
                        expanded.push('\\', false)?;
                    }
                    let escaped = self.chars.next_if(|char| matches!(char, '"' | '$' | '\\'));
                    expanded.push(escaped.unwrap_or('\\'), false)?;
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
                name => self.value(name).unwrap_or_default().to_owned(),
            });
        }
        if let Some('{' | '}' | ':') = self.chars.peek() {
            return Err(ExpansionError::BadSubstitution);
        }
        let name = self.name();
        let modifier = self.chars.next().ok_or(ExpansionError::Unclosed('}'))?;
        let value = self.value(&name);
        match modifier {
            '}' => Ok(value.unwrap_or_default().to_owned()),
            ':' => {
                let modifier = self.chars.next().ok_or(ExpansionError::Unclosed('}'))?;
                if !matches!(modifier, '-' | '+' | '?') {
                    return Err(ExpansionError::Modifier(format!(":{modifier}")));
                }
                self.substitute(&name, value, modifier, true)
            }
            '-' | '+' | '?' => self.substitute(&name, value, modifier, false),
            '#' | '%' => self.trim(value.unwrap_or_default(), modifier),
            '/' => self.replace(value.unwrap_or_default()),
            _ => Err(ExpansionError::Modifier(modifier.to_string())),
        }
    }

    fn value(&self, name: &str) -> Option<&'l str> {
        self.variables.get(name).copied()
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
        value: Option<&str>,
        modifier: char,
        empty_is_unset: bool,
    ) -> Result<String, ExpansionError> {
        let word = self.until(Some('}'), false)?.text;
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
    fn trim(&mut self, value: &str, modifier: char) -> Result<String, ExpansionError> {
        let word = self.until(Some('}'), true)?.text;
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
    fn replace(&mut self, value: &str) -> Result<String, ExpansionError> {
        let replaces_all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.until(Some('/'), true)?.text;
        let replacement = self.until(Some('}'), true)?.text;
        Pattern::parse(&pattern)?
            .replace(value, &replacement, replaces_all)
            .ok_or(ExpansionError::TooLong)
    }
}

#[cfg(test)]
mod tests;
