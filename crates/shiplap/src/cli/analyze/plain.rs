//! The report for pipes and paper.

use shiplap_ops::analyze::Analysis;
use shiplap_ops::analyze::proposal::{Proposal, ProposedPath};

use super::{clean, one_line, percent, rest, tail};
use crate::words;

/// Columns of a report.
const WIDTH: usize = 80;

/// The whole report, with the `top` best changes; `whole`: nothing is cut to the width.
pub(super) fn report(analysis: &Analysis, top: usize, whole: bool) -> String {
    let width = if whole { usize::MAX } else { WIDTH };
    let mut text = head(analysis);
    text.push_str(&layers(analysis, width));
    text.push_str(&waste(analysis));
    text.push_str(&changes(analysis, top, width));
    text
}

fn head(analysis: &Analysis) -> String {
    let score = &analysis.score;
    let (waste, certain) = analysis.waste_bytes();
    let layers = analysis.image.layers.len();
    let id = words::id(analysis.image.id.digest().as_str(), false);
    let lines = [
        ("Image", format!("{} ({id})", clean(&analysis.image.name))),
        (
            "Platform",
            clean(&analysis.image.config.platform().to_string()),
        ),
        (
            "Size",
            format!(
                "{} in {layers} layer{}",
                words::size(score.size_bytes),
                if layers == 1 { "" } else { "s" }
            ),
        ),
        (
            "Efficiency",
            format!(
                "{}; {} are in several layers (dive's count)",
                percent(score.efficiency),
                words::size(score.wasted_bytes)
            ),
        ),
        (
            "Waste",
            format!(
                "{} of files it may do without, {} of them certain",
                words::size(waste),
                words::size(certain)
            ),
        ),
    ];
    let line = |(name, value): &(&str, String)| format!("{name:<12}{value}\n");
    let base = analysis.base.as_ref().map(|base| {
        let layers = match base.layers {
            1 => "layer 0".to_owned(),
            layers => format!("layers 0 to {}", layers - 1),
        };
        line(&("Base", format!("{} ({layers})", clean(&base.name))))
    });
    lines.iter().map(line).chain(base).collect()
}

fn layers(analysis: &Analysis, width: usize) -> String {
    let reports: Vec<_> = (0..analysis.image.layers.len())
        .map(|layer| analysis.layer_report(layer))
        .collect();
    let has_lines = reports.iter().any(|report| report.line.is_some());
    let line = |line: &str| match has_lines {
        true => format!("{line:>4}  "),
        false => String::new(),
    };
    let mut text = format!("\nLAYER      SIZE     WASTE  {}INSTRUCTION\n", line("LINE"));
    for report in &reports {
        let number = report.line.map(|line| line.to_string());
        let waste = match report.waste_bytes {
            0 => "-".to_owned(),
            bytes => words::size(bytes),
        };
        let start = format!(
            "{:>5}  {:>8}  {waste:>8}  {}",
            report.layer,
            words::size(report.size_bytes),
            line(number.as_deref().unwrap_or("-")),
        );
        let room = width.saturating_sub(start.len());
        let instruction = words::ellipsis(&one_line(report.instruction), room);
        text.push_str(&format!("{start}{instruction}\n"));
    }
    text
}

fn waste(analysis: &Analysis) -> String {
    let sums = analysis.waste();
    if sums.is_empty() {
        return "\nNo waste was found.\n".to_owned();
    }
    let mut text = "\n    WASTE     FILES  KIND\n".to_owned();
    for sum in sums {
        let doubt = if sum.certain {
            ""
        } else {
            " (if the image can do without)"
        };
        let size = words::size(sum.bytes);
        text.push_str(&format!(
            "{size:>9}  {:>8}  {}{doubt}\n",
            sum.files, sum.title
        ));
    }
    text
}

fn changes(analysis: &Analysis, top: usize, width: usize) -> String {
    if analysis.proposals.is_empty() {
        return String::new();
    }
    let mut text = "\nWHAT TO CHANGE, best first\n".to_owned();
    for (number, proposal) in analysis.proposals.iter().take(top).enumerate() {
        text.push('\n');
        text.push_str(&change(number + 1, proposal, width));
    }
    if let Some((hidden, bytes)) = rest(analysis, top) {
        text.push_str(&format!(
            "\n{hidden} more would save {} (--top 0 shows all)\n",
            words::size(bytes)
        ));
    }
    text
}

fn change(number: usize, proposal: &Proposal, width: usize) -> String {
    let owner = proposal.tool.map(|tool| format!(" ({tool})"));
    let files = match proposal.files {
        0 => String::new(),
        1 => ", 1 file".to_owned(),
        files => format!(", {files} files"),
    };
    let mut text = format!(
        "{number}. {}  {}{}{files}\n",
        words::size(proposal.saves_bytes),
        proposal.kind.title(),
        owner.unwrap_or_default(),
    );
    let mut line = |indent: usize, line: &str| {
        let room = width.saturating_sub(indent);
        let line = words::ellipsis(line, room);
        text.push_str(&format!("{:indent$}{line}\n", ""));
    };
    match proposal.base {
        Some(_) => line(3, &one_line(&proposal.made_by)),
        None => line(3, &place(proposal.layer, proposal.line, &proposal.made_by)),
    }
    if let (Some(layer), Some(instruction)) = (proposal.hidden_in_layer, &proposal.hidden_by) {
        line(3, &place(layer, proposal.hidden_line, instruction));
    }
    for path in proposal.paths.iter().take(3) {
        for part in told(path, width.saturating_sub(5)) {
            line(5, &part);
        }
    }
    for part in wrapped(&proposal.advice, width.saturating_sub(3)) {
        line(3, &part);
    }
    for instead in proposal.instead.iter().flat_map(|text| text.lines()) {
        for part in continued(&clean(instead), width.saturating_sub(5)) {
            line(5, &part);
        }
    }
    text
}

/// A file that goes, in at most `width` columns; where it stays, on a line of its own if there is no room.
pub(super) fn told(path: &ProposedPath, width: usize) -> Vec<String> {
    let room = width.saturating_sub(10);
    let size = words::size(path.bytes);
    let name = clean(&path.path);
    let letters = |text: &str| text.chars().count();
    match path.twin.as_deref().map(clean) {
        Some(twin) if letters(&name) + letters(&twin) + 3 <= room => {
            vec![format!("{size:>8}  {name} = {twin}")]
        }
        Some(twin) => vec![
            format!("{size:>8}  {}", tail(&name, room)),
            format!("{:10}= {}", "", tail(&twin, room.saturating_sub(2))),
        ],
        None => vec![format!("{size:>8}  {}", tail(&name, room))],
    }
}

/// Lines of one instruction that are shown at most.
const INSTEAD_LINES: usize = 8;

/// A Dockerfile's instruction in lines of at most `width` characters, to be taken over as they are: broken at
/// blanks outside of quotes, all but the last ending in a backslash. One that takes too many lines is cut.
pub(super) fn continued(instruction: &str, width: usize) -> Vec<String> {
    if instruction.starts_with('#') || instruction.chars().count() <= width {
        return vec![instruction.to_owned()];
    }
    let mut lines = vec![String::new()];
    let words = words_of(instruction);
    for (number, word) in words.iter().enumerate() {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        // A blank before the word; behind it, unless it is the last, a blank and a backslash.
        let around = if number + 1 == words.len() { 1 } else { 3 };
        if line > 0 && line.saturating_add(word.chars().count() + around) > width {
            lines.push("   ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    if lines.len() > INSTEAD_LINES && width < usize::MAX {
        lines.truncate(INSTEAD_LINES - 1);
        lines.push("    …".to_owned());
    }
    let last = lines.len().saturating_sub(1);
    let ends = lines
        .into_iter()
        .enumerate()
        .map(|(number, line)| match number {
            number if number == last => line,
            _ => line + " \\",
        });
    ends.collect()
}

/// Words, with what is quoted as part of one.
fn words_of(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut quote = None;
    let mut start = 0;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if is_escaped => {
                is_escaped = false;
                continue;
            }
            (_, '\\') if quote != Some('\'') => is_escaped = true,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, ' ') => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

pub(super) fn place(layer: usize, line: Option<u32>, instruction: &str) -> String {
    let line = line.map(|line| format!(", line {line}"));
    format!(
        "layer {layer}{}: {}",
        line.unwrap_or_default(),
        one_line(instruction)
    )
}

/// The text in lines of at most `width` characters, broken at blanks.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if line > 0 && line.saturating_add(word.chars().count() + 1) > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
