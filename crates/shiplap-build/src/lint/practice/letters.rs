//! Characters that look like others: blanks that are none, quotes of typesetters, and what turns text around.

use super::{File, Step};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};

pub(super) static GUIDES: &[&Guide] = &[&UNSEEN];

static UNSEEN: Guide = Guide {
    name: "UnseenCharacter",
    family: Family::Form,
    severity: Severity::Warning,
    codes: &["SC1018", "SC1110", "SC1111"],
    wants: "A line is to have only blanks and quotes that are what they seem",
    reason: "What is copied from a page or a document brings blanks that part no words and quotes that quote nothing; characters \
             that turn text around show another line than the one that is run. Type them anew.",
    is_mended: false,
    bad: "FROM debian:12\nRUN mkdir\u{a0}/srv/app\n",
    good: "FROM debian:12\nRUN mkdir /srv/app\n",
};

/// What a character is that should not be there; `None`: nothing of the kind.
fn name_of(char: char, is_quoted: bool) -> Option<&'static str> {
    Some(match char {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "a character that turns text around",
        _ if is_quoted => return None,
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => "a blank that parts no words",
        '\u{200b}' | '\u{2060}' | '\u{feff}' => "a character without width",
        '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}' => "a quote that quotes nothing",
        _ => return None,
    })
}

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for (_, step) in file.steps() {
        one(file, step, found);
    }
}

/// The first one of a step is enough.
fn one(file: &File<'_>, step: &Step<'_>, found: &mut Vec<Finding>) {
    let line = step.joined.text.get(..step.joined.head).unwrap_or_default();
    let mut quote = None;
    let mut is_escaped = false;
    for (at, char) in line.char_indices() {
        if let Some(name) = name_of(char, quote.is_some()) {
            let detail = format!("{name} (U+{:04X})", char as u32);
            let part = at..at + char.len_utf8();
            found.push(step.note(file, &UNSEEN, Some(part), detail));
            return;
        }
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' if quote != Some('\'') => is_escaped = true,
            '\'' | '"' if quote.is_none() => quote = Some(char),
            _ if quote == Some(char) => quote = None,
            _ => {}
        }
    }
}
