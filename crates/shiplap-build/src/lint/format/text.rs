//! Findings for people: the line, a caret below the word, and what to do.

use std::fmt::Write as _;

use shiplap_model::dockerfile::Place;

use super::{Finding, Reviewed, counts};
use crate::lint::guide::Severity;

/// Most characters of a line that are shown.
const WIDTH: usize = 160;

/// What was found in all files.
#[must_use]
pub fn text(files: &[Reviewed]) -> String {
    let mut text = String::new();
    for file in files {
        for finding in &file.findings {
            one(&mut text, file, finding);
        }
    }
    text
}

fn one(text: &mut String, file: &Reviewed, finding: &Finding) {
    let (line, guide) = (finding.line(), finding.guide);
    let column = finding
        .place
        .map_or(String::new(), |place| format!(":{}", place.column));
    let code = finding
        .code
        .map_or(String::new(), |code| format!(" ({code})"));
    let detail: String = finding.detail.chars().map(plain).collect();
    // A string takes whatever is written.
    let _ = writeln!(
        text,
        "{}:{line}{column}: {}: {} [{}]{code}",
        file.name, finding.severity, detail, guide.name
    );
    let source = String::from_utf8_lossy(&file.text);
    if let Some(written) = (line as usize)
        .checked_sub(1)
        .and_then(|at| source.split('\n').nth(at))
    {
        excerpt(text, line, written, finding.place);
    }
    let advice = finding.advice.as_deref().unwrap_or(guide.wants);
    let mended = if finding.is_mendable() {
        " (--fix does it)"
    } else {
        ""
    };
    let _ = writeln!(text, "       = {advice}{mended}\n");
}

fn excerpt(text: &mut String, number: u32, line: &str, place: Option<Place>) {
    let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
    let place = place.filter(|place| place.line == number);
    let column = place.map_or(0, |place| (place.column as usize).saturating_sub(1));
    // Of a very long line, what is around the word.
    let skipped = if column > WIDTH - 40 { column - 40 } else { 0 };
    let shown: String = line.chars().skip(skipped).take(WIDTH).map(plain).collect();
    let _ = writeln!(text, "  {number:4} | {}", shown.trim_end());
    if let Some(place) = place {
        let blanks = " ".repeat(column - skipped);
        let most = shown
            .trim_end()
            .chars()
            .count()
            .saturating_sub(column - skipped)
            .max(1);
        let carets = "^".repeat((place.width as usize).clamp(1, most));
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
        .filter(|finding| finding.is_mendable())
        .count();
    let mended = match mendable {
        0 => String::new(),
        number => format!("; --fix mends {number}"),
    };
    format!("{} in {files_text}{mended}", found.join(", "))
}
