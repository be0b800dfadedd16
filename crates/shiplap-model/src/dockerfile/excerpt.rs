//! The lines of a Dockerfile around something, for the eyes.

use std::fmt::Write;

use super::{Place, Span};

/// The lines of `span` marked, some around them, and carets below `place`, as BuildKit shows where
/// a build failed (it has no carets). `name` is the file's. Characters that would move a terminal's
/// cursor are replaced. Ends with a line feed; empty if there is no such line.
#[must_use]
pub fn excerpt(name: &str, source: &[u8], span: Span, place: Option<Place>) -> String {
    let source = String::from_utf8_lossy(source);
    let lines: Vec<&str> = source.split('\n').collect();
    let (first, last) = (span.first as usize, (span.last as usize).min(lines.len()));
    if first == 0 || first > last {
        return String::new();
    }
    let mut shown = format!("{name}:{first}\n--------------------\n");
    let (from, to) = around(first, last, lines.len());
    for (number, line) in (1..).zip(&lines).take(to).skip(from - 1) {
        let mark = match number {
            number if number < first || number > last => "   ",
            _ => ">>>",
        };
        // A string takes whatever is written.
        let _ = writeln!(shown, " {number:3} | {mark} {}", plain(line));
        if let Some(place) = place.filter(|place| place.line as usize == number) {
            let column = (place.column as usize).saturating_sub(1);
            let before: String = { line.chars().take(column) }
                .map(|char| if char == '\t' { '\t' } else { ' ' })
                .collect();
            let carets = "^".repeat((place.width as usize).clamp(1, 80));
            let _ = writeln!(shown, "     |     {before}{carets}");
        }
    }
    shown.push_str("--------------------\n");
    shown
}

/// First and last line to show: a few more than asked for, on both sides where there are.
fn around(first: usize, last: usize, count: usize) -> (usize, usize) {
    let wanted = if first == last { 4 } else { 2 };
    let (mut from, mut to) = (first, last);
    let mut more = 0;
    while more < wanted {
        if from > 1 {
            from -= 1;
            more += 1;
        }
        if to < count {
            to += 1;
            more += 1;
        }
        more += 1;
    }
    (from, to)
}

fn plain(line: &str) -> String {
    let is_wild = |char: char| char.is_control() && char != '\t';
    let line = line.trim_end_matches('\r');
    line.chars()
        .map(|char| if is_wild(char) { '\u{fffd}' } else { char })
        .collect()
}
