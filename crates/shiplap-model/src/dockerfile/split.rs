//! Cutting an instruction's line: word, flags, words, exec form.
//!
//! Expands nothing: quotes and variables are still in what it gives, but for flags.

use super::error::Fault;

/// An instruction cut in three.
pub(super) struct Cut<'l> {
    pub(super) word: &'l str,
    /// Without quotes and escapes.
    pub(super) flags: Vec<String>,
    pub(super) rest: &'l str,
}

/// Blanks between words of an instruction.
fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

/// Cuts a line in word, flags and rest.
pub(super) fn cut(line: &str, escape: char) -> Cut<'_> {
    let (word, rest) = halves(line.trim());
    let (flags, rest) = flags(rest, escape);
    Cut {
        word,
        flags,
        rest: rest.trim(),
    }
}

/// The first word, and what follows it.
pub(super) fn halves(text: &str) -> (&str, &str) {
    match text.split_once(is_blank) {
        Some((word, rest)) => (word, rest.trim_start_matches(is_blank)),
        None => (text, ""),
    }
}

/// The words between blanks, whatever quotes are in them.
pub(super) fn blanks(text: &str) -> Vec<String> {
    let words = text.split(is_blank).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The words between blanks that are neither quoted nor escaped; quotes and escapes stay.
pub(super) fn words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if quote.is_none() && char.is_whitespace() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        if char == escape && quote != Some('\'') {
            // At the end it escapes nothing.
            if let Some(next) = chars.next() {
                word.extend([char, next]);
            }
            continue;
        }
        match char {
            '"' | '\'' if quote.is_none() => quote = Some(char),
            char if quote == Some(char) => quote = None,
            _ => {}
        }
        word.push(char);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The strings of an array in JSON; `None` if it is no array.
pub(super) fn strings(text: &str) -> Result<Option<Vec<String>>, Fault> {
    if !text.trim_start().starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    let string = |value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(Fault::StringsOnly),
    };
    let strings: Result<_, _> = values.into_iter().map(string).collect();
    strings.map(Some)
}

/// The `--flags` at the front, without their quotes and escapes, and what follows them. `--`
/// ends them.
fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (flag, after) = unquoted(rest, escape);
        rest = after.trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, rest)
}

/// The first word without quotes and escapes, and what follows it.
fn unquoted(text: &str, escape: char) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((position, char)) = chars.next() {
        match char {
            char if quote.is_none() && char.is_whitespace() => {
                return (word, text.get(position..).unwrap_or_default());
            }
            char if char == escape => word.extend(chars.next().map(|(_, char)| char)),
            '"' | '\'' if quote.is_none() => quote = Some(char),
            char if quote == Some(char) => quote = None,
            char => word.push(char),
        }
    }
    (word, "")
}
