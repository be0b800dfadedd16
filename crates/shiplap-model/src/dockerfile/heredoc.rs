//! Heredocs: which a line announces.
//!
//! Their words are read as a shell with `\` reads them, whatever the file's escape is.

use super::ast::Heredoc;
use super::error::Fault;
use crate::expansion::{self, ExpansionError};

/// The heredocs that a line of `RUN`, `COPY` or `ADD` announces, still empty. A line whose quotes
/// don't match announces none.
pub(super) fn announced(line: &str) -> Result<Vec<Heredoc>, Fault> {
    let words = expansion::split_raw(line).unwrap_or_default();
    let mut heredocs = Vec::new();
    for word in words {
        heredocs.extend(read(&word).map_err(Fault::HeredocName)?);
    }
    Ok(heredocs)
}

/// The heredoc that `[N]<<[-]NAME` announces; `None` if the word is something else.
pub(super) fn read(word: &str) -> Result<Option<Heredoc>, ExpansionError> {
    let digits = word.trim_start_matches(|char: char| char.is_ascii_digit());
    let number = word.strip_suffix(digits).unwrap_or_default();
    let Some(rest) = digits.strip_prefix("<<") else {
        return Ok(None);
    };
    let (strips_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let Some((name, is_quoted)) = expansion::heredoc_name(rest)? else {
        return Ok(None);
    };
    Ok(Some(Heredoc {
        name,
        file_descriptor: match number {
            "" => 0,
            number => number.parse().unwrap_or(u32::MAX),
        },
        content: String::new(),
        raw: String::new(),
        expands: !is_quoted,
        strips_tabs,
    }))
}

/// A text without the tabs at the beginning of its lines.
pub(super) fn without_tabs(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines.map(|line| line.trim_start_matches('\t')).collect()
}
