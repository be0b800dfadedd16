//! Licences from Debian's copyright files: by its machine-readable form 1.0, else by the common licences
//! that the text refers to.

use super::stanza::stanzas;

/// Most licences of one package that are told: large ones carry some 40.
const MOST: usize = 100;

/// Short names of licences, sorted, each once.
pub(super) fn licences(text: &str) -> Vec<String> {
    let mut licences: Vec<String> = if is_machine_readable(text) {
        stanzas(text)
            .filter_map(|stanza| stanza.line("License"))
            .flat_map(alternatives)
            .collect()
    } else {
        referred(text)
    };
    licences.sort();
    licences.dedup();
    licences.truncate(MOST);
    licences
}

fn is_machine_readable(text: &str) -> bool {
    text.lines()
        .take(20)
        .any(|line| line.starts_with("Format:") && line.contains("copyright-format"))
}

/// The licences that a line names: `GPL-2+ and MIT` are two, of `A or B` the choice stays one.
fn alternatives(line: &str) -> Vec<String> {
    line.split(" and ")
        .flat_map(|part| part.split(", "))
        .map(|part| part.trim().trim_end_matches(','))
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The files of `/usr/share/common-licenses` that the text names.
fn referred(text: &str) -> Vec<String> {
    const PLACE: &str = "/usr/share/common-licenses/";
    text.split(PLACE)
        .skip(1)
        .filter_map(|rest| {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+')))
                .unwrap_or(rest.len());
            let name = rest.get(..end)?.trim_end_matches(['.', '-']);
            (!name.is_empty()).then(|| name.to_owned())
        })
        .collect()
}
