//! One instruction's line: continuations, flags, exec and shell form, `name=value` words.
//!
//! Expands nothing: quotes and variables are still in what it gives.

use super::{ChangeError, Fault};

/// The word of the one instruction in `text`, and what follows it. A line goes on behind a `\`;
/// blank lines and comments don't count.
pub(super) fn split(text: &str) -> Result<(String, String), ChangeError> {
    let mut line = String::new();
    let (mut is_open, mut is_complete) = (false, false);
    for part in text.lines() {
        let start = part.trim_start();
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        if is_complete {
            return Err(ChangeError::Several);
        }
        let part = if is_open { part } else { start };
        let continued = part
            .trim_end_matches([' ', '\t'])
            .strip_suffix('\\')
            .filter(|part| !part.ends_with('\\'));
        line.push_str(continued.unwrap_or(part));
        is_open = continued.is_some();
        is_complete = !is_open;
    }
    let line = line.trim();
    if line.is_empty() {
        return Err(ChangeError::Empty);
    }
    let (word, rest) = halves(line);
    Ok((word.to_owned(), rest.to_owned()))
}

/// The first word, and what follows it.
fn halves(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// A command in one of its two forms.
pub(super) enum Command {
    /// An array in JSON.
    Exec(Vec<String>),
    /// A line for a shell; `None` if there is nothing.
    Shell(Option<String>),
}

impl Command {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Exec(words) => words.is_empty(),
            Self::Shell(line) => line.is_none(),
        }
    }
}

/// Reads a command: an array in JSON is exec form, everything else shell form.
pub(super) fn command(text: &str) -> Result<Command, Fault> {
    Ok(match strings(text)? {
        Some(words) => Command::Exec(words),
        None => Command::Shell((!text.is_empty()).then(|| text.to_owned())),
    })
}

/// The strings of an array in JSON; `None` if it is no such array.
fn strings(text: &str) -> Result<Option<Vec<String>>, Fault> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    let string = |value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(Fault::StringsOnly),
    };
    values
        .into_iter()
        .map(string)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// What follows an instruction's word.
pub(super) struct Line<'l> {
    flags: Vec<String>,
    rest: &'l str,
}

impl<'l> Line<'l> {
    pub(super) fn of(text: &'l str) -> Self {
        let (flags, rest) = flags(text);
        Self {
            flags,
            rest: rest.trim(),
        }
    }

    pub(super) fn flags(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(String::as_str)
    }

    pub(super) fn refuse_flags(&self) -> Result<(), Fault> {
        match self.flags.first() {
            Some(flag) => Err(Fault::UnknownFlag(
                flag.split('=').next().unwrap_or_default().to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// All of it, which is not nothing.
    pub(super) fn argument(&self) -> Result<&'l str, Fault> {
        self.refuse_flags()?;
        if self.rest.is_empty() {
            return Err(Fault::NoArgument);
        }
        Ok(self.rest)
    }

    pub(super) fn command(&self) -> Result<Command, Fault> {
        command(self.rest)
    }

    /// Its first word, and what follows that.
    pub(super) fn headed(&self) -> Result<(&'l str, &'l str), Fault> {
        if self.rest.is_empty() {
            return Err(Fault::NoArgument);
        }
        Ok(halves(self.rest))
    }

    /// An array in JSON, or words between blanks.
    pub(super) fn list(&self) -> Result<Vec<String>, Fault> {
        let text = self.argument()?;
        let list = match strings(text)? {
            Some(list) => list,
            None => text.split_whitespace().map(str::to_owned).collect(),
        };
        if list.is_empty() {
            return Err(Fault::NoArgument);
        }
        Ok(list)
    }

    /// `name=value …`, or the old `name value`.
    pub(super) fn pairs(&self) -> Result<Vec<(&'l str, &'l str)>, Fault> {
        let text = self.argument()?;
        let words = words(text);
        if words.first().is_some_and(|word| !word.contains('=')) {
            return match halves(text) {
                (name, "") => Err(Fault::NoValue(name.to_owned())),
                pair => Ok(vec![pair]),
            };
        }
        let pair = |word: &'l str| {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| Fault::NoValue(word.to_owned()))?;
            if name.is_empty() {
                return Err(Fault::BlankName);
            }
            Ok((name, value))
        };
        words.into_iter().map(pair).collect()
    }
}

/// The words between blanks that are neither quoted nor escaped; quotes and escapes stay.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((position, char)) = chars.next() {
        if quote.is_none() && char.is_whitespace() {
            words.extend(start.take().and_then(|start| text.get(start..position)));
            continue;
        }
        start.get_or_insert(position);
        match char {
            '\\' if quote != Some('\'') => {
                chars.next();
            }
            '"' | '\'' if quote.is_none() => quote = Some(char),
            char if quote == Some(char) => quote = None,
            _ => {}
        }
    }
    words.extend(start.and_then(|start| text.get(start..)));
    words
}

/// The `--flags` at the front, without their quotes and escapes, and what follows them. `--`
/// ends them.
fn flags(text: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let mut flag = String::new();
        let mut quote = None;
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((position, char)) = chars.next() {
            match char {
                char if quote.is_none() && char.is_whitespace() => {
                    end = position;
                    break;
                }
                '\\' => flag.extend(chars.next().map(|(_, char)| char)),
                '"' | '\'' if quote.is_none() => quote = Some(char),
                char if quote == Some(char) => quote = None,
                char => flag.push(char),
            }
        }
        rest = rest.get(end..).unwrap_or_default().trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, rest)
}
