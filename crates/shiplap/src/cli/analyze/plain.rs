//! The report for pipes and paper.

use shiplap_ops::analyze::Analysis;
use shiplap_ops::analyze::proposal::Proposal;

use super::{clean, one_line, percent};
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
    let mut text = "\nLAYER      SIZE     WASTE  LINE  INSTRUCTION\n".to_owned();
    for layer in 0..analysis.image.layers.len() {
        let report = analysis.layer_report(layer);
        let line = report
            .line
            .map_or_else(|| "-".to_owned(), |line| line.to_string());
        let waste = match report.waste_bytes {
            0 => "-".to_owned(),
            bytes => words::size(bytes),
        };
        let start = format!(
            "{layer:>5}  {:>8}  {waste:>8}  {line:>4}  ",
            words::size(report.size_bytes)
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
    let hidden = analysis.proposals.len().saturating_sub(top);
    if hidden > 0 {
        let rest = analysis.proposals.iter().skip(top);
        let bytes = rest.map(|proposal| proposal.saves_bytes).sum();
        text.push_str(&format!(
            "\n{hidden} more would save {} (--top 0 shows all)\n",
            words::size(bytes)
        ));
    }
    text
}

fn change(number: usize, proposal: &Proposal, width: usize) -> String {
    let owner = proposal.tool.map(|tool| format!(" ({tool})"));
    let mut text = format!(
        "{number}. {}  {}{}, {} file{}\n",
        words::size(proposal.saves_bytes),
        proposal.kind.title(),
        owner.unwrap_or_default(),
        proposal.files,
        if proposal.files == 1 { "" } else { "s" }
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
        let twin = path
            .twin
            .as_deref()
            .map(|twin| format!(" = {}", clean(twin)));
        let size = words::size(path.bytes);
        line(
            5,
            &format!(
                "{size:>8}  {}{}",
                clean(&path.path),
                twin.unwrap_or_default()
            ),
        );
    }
    for part in wrapped(&proposal.advice, width.saturating_sub(3)) {
        line(3, &part);
    }
    for instead in proposal.instead.iter().flat_map(|text| text.lines()) {
        line(5, &clean(instead));
    }
    text
}

fn place(layer: usize, line: Option<u32>, instruction: &str) -> String {
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
