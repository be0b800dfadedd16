//! Changes of a shell's text that leave what it does as it is, but for what they are to do.

use std::ops::Range;

use shiplap_model::dockerfile::{Command, Kind, Network, Run, Security};

use super::{File, Step};
use crate::lint::sheet::Edit;
use crate::lint::shell::{Joint, Script};

/// Puts a command behind all others: it is run if they ended well, and how they end stays how it
/// ends. `None` if that can't be said for certain.
pub(super) fn append(
    file: &File<'_>,
    step: &Step<'_>,
    at: usize,
    script: &Script,
    command: &str,
) -> Option<Edit> {
    let last = script.commands.iter().rfind(|command| command.depth == 0)?;
    let leaves = matches!(last.program(), Some("exit" | "exec" | "return"));
    if !script.is_sound || !matches!(script.last, Joint::None | Joint::Newline) || leaves {
        return None;
    }
    let behind = at + script.end;
    let is_body = step.joined.bodies.iter().any(|body| body.contains(&at));
    // Comments behind it, in the same line of the file, would take the command in.
    let rest = step
        .joined
        .text
        .get(behind..step.joined.head)
        .unwrap_or_default();
    if !is_body && rest.contains('#') {
        return None;
    }
    let text = match step.joined.lines() {
        _ if is_body => format!(" && {command}"),
        0 | 1 => format!(" && {command}"),
        _ => {
            let (escape, end) = (file.sheet.escape(), file.sheet.line_end());
            let indent = indent(step, at, behind);
            match ends_at_failure(script) {
                true => format!("; {escape}{end}{indent}{command}"),
                false => format!(" {escape}{end}{indent}&& {command}"),
            }
        }
    };
    step.put_behind(behind, text)
}

/// `set -e` comes first and commands are parted by `;`: then a new one is, too.
fn ends_at_failure(script: &Script) -> bool {
    let Some(first) = script
        .commands
        .first()
        .filter(|first| first.program() == Some("set"))
    else {
        return false;
    };
    let has_flag = first.arguments().iter().any(|word| {
        let letters = word.value.strip_prefix('-');
        letters.is_some_and(|letters| letters.contains('e'))
    });
    let last = script.commands.iter().rfind(|command| command.depth == 0);
    has_flag && first.after == Joint::Semicolon && last.is_none_or(|last| last.before != Joint::And)
}

/// The blanks before a new line of a command: as before its other commands, else before its last line.
fn indent<'j>(step: &'j Step<'_>, at: usize, behind: usize) -> &'j str {
    let Some((_, script)) = step.scripts.iter().find(|(begin, _)| *begin == at) else {
        return "    ";
    };
    let first_line = step.joined.line_start(0);
    let own = script
        .commands
        .iter()
        .rev()
        .filter(|command| command.depth == 0)
        .find_map(|command| {
            let place = at + command.start;
            (step.joined.line_start(place) != first_line).then(|| step.joined.indent(place))
        });
    let last = || {
        let place = behind.saturating_sub(1);
        (step.joined.line_start(place) != first_line).then(|| step.joined.indent(place))
    };
    own.or_else(last)
        .filter(|indent| !indent.is_empty())
        .unwrap_or("    ")
}

/// Takes an instruction's lines away, comments in them too.
pub(super) fn remove(file: &File<'_>, step: &Step<'_>) -> Option<Edit> {
    let span = step.span();
    let lines: Range<usize> =
        file.sheet.whole_line(span.first)?.start..file.sheet.whole_line(span.last)?.end;
    Some(Edit {
        start: lines.start,
        end: lines.end,
        text: String::new(),
    })
}

/// A `RUN` without flags, so that another one of them does the same.
pub(super) fn is_plain(step: &Step<'_>) -> bool {
    match step.kind {
        Kind::Run(Run {
            command: Command::Shell(_),
            mounts,
            network: Network::Default,
            security: Security::Sandbox,
            devices,
            ..
        }) => mounts.is_empty() && devices.is_empty() && !step.is_trigger(),
        _ => false,
    }
}
