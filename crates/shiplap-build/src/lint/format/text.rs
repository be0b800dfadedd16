//! Findings for people: the line, a caret below the word, and what to do.

use std::fmt::Write as _;

use shiplap_model::dockerfile::Place;

use super::{Finding, Reviewed, counts};
use crate::lint::guide::Severity;

/// Most characters of a line that are shown: with what stands before them, a line of a usual terminal.
const WIDTH: usize = 70;

/// How many characters of a long line are shown before the word.
const BEFORE: usize = 20;

/// What was found in all files.
#[must_use]
pub fn text(files: &[Reviewed]) -> String {
    let mut text = String::new();
    let mut told: Vec<&str> = Vec::new();
    for file in files {
        let source = String::from_utf8_lossy(&file.text);
        let lines: Vec<&str> = source.split('\n').collect();
        for finding in &file.findings {
            // Why is told once.
            let is_first = !told.contains(&finding.guide.name);
            if is_first {
                told.push(finding.guide.name);
            }
            one(&mut text, (&file.name, &lines), finding, is_first);
        }
    }
    text
}

fn one(text: &mut String, (name, lines): (&str, &[&str]), finding: &Finding, is_first: bool) {
    let (line, guide) = (finding.line(), finding.guide);
    let column = finding
        .place
        .map_or(String::new(), |place| format!(":{}", place.column));
    let code = finding
        .code
        .map_or(String::new(), |code| format!(" ({code})"));
    let detail: String = finding.detail.chars().map(plain).collect();
    let name: String = name.chars().map(plain).collect();
    // A string takes whatever is written.
    let _ = writeln!(
        text,
        "{name}:{line}{column}: {}: {detail} [{}]{code}",
        finding.severity, guide.name
    );
    let written = (line as usize).checked_sub(1).and_then(|at| lines.get(at));
    if let Some(written) = written {
        excerpt(text, line, written, finding.place);
    }
    let advice = finding.advice.as_deref().unwrap_or(guide.wants);
    let mended = match (finding.is_mendable(), guide.is_daring()) {
        (false, _) => "",
        (true, false) => " (--fix does it)",
        (true, true) => " (--fix --unsafe-fixes does it)",
    };
    let _ = writeln!(text, "       = {advice}{mended}");
    if is_first && !guide.reason.is_empty() {
        for line in wrapped(guide.reason) {
            let _ = writeln!(text, "         {line}");
        }
    }
    text.push('\n');
}

/// Words in lines that fit below what is to be done.
fn wrapped(words: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn excerpt(text: &mut String, number: u32, line: &str, place: Option<Place>) {
    let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
    let place = place.filter(|place| place.line == number);
    let column = place.map_or(0, |place| (place.column as usize).saturating_sub(1));
    // Of a long line, what is around the word.
    let length = line.chars().count();
    let width = place.map_or(1, |place| place.width as usize);
    let skipped = match length > WIDTH && column + width > WIDTH {
        true => column.saturating_sub(BEFORE),
        false => 0,
    };
    let mut shown: Vec<char> = line.chars().skip(skipped).take(WIDTH).map(plain).collect();
    if skipped > 0
        && let Some(first) = shown.first_mut()
    {
        *first = '…';
    }
    if length > skipped + WIDTH
        && let Some(last) = shown.last_mut()
    {
        *last = '…';
    }
    let shown: String = shown.into_iter().collect();
    let shown = shown.trim_end();
    let _ = writeln!(text, "  {number:4} | {shown}");
    if place.is_some() {
        let blanks = " ".repeat(column - skipped);
        let rest = shown.chars().count().saturating_sub(column - skipped);
        let carets = "^".repeat(width.clamp(1, rest.max(1)));
        let _ = writeln!(text, "       | {blanks}{carets}");
    }
}

/// What would move a terminal's cursor is replaced.
fn plain(char: char) -> char {
    match char {
        '\t' | '\n' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    }
}

/// All in one line: `2 errors, 1 warning in 3 files`.
#[must_use]
pub fn summary(files: &[Reviewed]) -> String {
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        number => format!("{number} {word}s"),
    };
    let name = |severity: Severity| match severity {
        Severity::Info => "hint",
        Severity::Style => "matter of style",
        severity => severity.name(),
    };
    let several = |number: usize, severity: Severity| match (severity, number) {
        (Severity::Style, 2..) => format!("{number} matters of style"),
        _ => count(number, name(severity)),
    };
    let found: Vec<String> = counts(files)
        .into_iter()
        .filter(|(_, number)| *number > 0)
        .map(|(severity, number)| several(number, severity))
        .collect();
    let files_text = count(files.len(), "file");
    if found.is_empty() {
        return format!("nothing found in {files_text}");
    }
    let mendable = files
        .iter()
        .flat_map(|file| &file.findings)
        .filter(|finding| finding.is_mendable() && !finding.guide.is_daring())
        .count();
    let mended = match mendable {
        0 => String::new(),
        number => format!("; --fix mends {number}"),
    };
    format!("{} in {files_text}{mended}", found.join(", "))
}
