//! How what BuildKit's checks find is rewritten, where that is safe.

use std::ops::Range;

use shiplap_model::dockerfile::{Command, Dockerfile, Instruction, Kind, Pair, Span, Stage};

use super::{Edit, instruction_at};
use crate::lint::sheet::{Joined, Sheet};
use crate::lint::shell::Script;
use crate::lint::{Rule, Warning};

/// The changes that mend a warning; none: people have to.
pub(in crate::lint) fn of_check(
    warning: &Warning,
    sheet: &Sheet<'_>,
    file: &Dockerfile,
) -> Vec<Edit> {
    let span = warning.span;
    let stage = file.stages.iter().find(|stage| stage.span == span);
    let instruction = instruction_at(file, span);
    let edits = match (warning.rule, stage, instruction) {
        (Rule::StageNameCasing, Some(stage), _) => stage_name(sheet, stage),
        (Rule::FromAsCasing, Some(stage), _) => keyword(sheet, stage),
        (Rule::RedundantTargetPlatform, Some(stage), _) => platform(sheet, stage),
        (Rule::ConsistentInstructionCasing, _, _) => casing(sheet, warning),
        (Rule::NoEmptyContinuation, _, _) => blanks(sheet, file, span.last),
        (Rule::MaintainerDeprecated, _, Some(instruction)) => maintainer(sheet, instruction),
        (Rule::LegacyKeyValueFormat, _, Some(instruction)) => legacy(sheet, instruction),
        (Rule::JSONArgsRecommended, _, Some(instruction)) => json(sheet, file, instruction),
        (Rule::ExposeProtoCasing | Rule::ExposeInvalidFormat, _, Some(instruction)) => {
            ports(sheet, warning.rule, instruction)
        }
        _ => None,
    };
    edits.unwrap_or_default()
}

/// What a warning is about, within its line: the word in quotes, else the instruction's.
pub(super) fn word_of(warning: &Warning, joined: &Joined) -> Range<usize> {
    let head = joined.text.get(..joined.head).unwrap_or_default();
    let word = head
        .split(char::is_whitespace)
        .next()
        .unwrap_or_default()
        .len();
    let quoted = warning.detail.split(['\'', '"']).skip(1).step_by(2);
    let found = quoted
        .filter(|text| text.len() > 1)
        .find_map(|text| joined.find(text, word));
    match warning.rule {
        Rule::ConsistentInstructionCasing
        | Rule::MaintainerDeprecated
        | Rule::LegacyKeyValueFormat
        | Rule::JSONArgsRecommended => 0..word,
        Rule::FromAsCasing => found.unwrap_or(0..word),
        _ => found.unwrap_or(0..word),
    }
}

fn replace(joined: &Joined, part: &Range<usize>, text: impl Into<String>) -> Option<Edit> {
    let place = joined.range(part)?;
    Some(Edit {
        start: place.start,
        end: place.end,
        text: text.into(),
    })
}

/// Where a stage's name stands, at the end of its line.
fn name_of(joined: &Joined, stage: &Stage) -> Option<Range<usize>> {
    let name = stage.from.name.as_deref()?;
    let start = joined.head.checked_sub(name.len())?;
    (joined.text.get(start..joined.head) == Some(name)).then_some(start..joined.head)
}

fn stage_name(sheet: &Sheet<'_>, stage: &Stage) -> Option<Vec<Edit>> {
    let joined = sheet.join(stage.span, &[]);
    let name = name_of(&joined, stage)?;
    // Names are compared without regard to case, so whoever uses it needs no change.
    let lower = stage.from.name.as_deref()?.to_lowercase();
    Some(vec![replace(&joined, &name, lower)?])
}

fn keyword(sheet: &Sheet<'_>, stage: &Stage) -> Option<Vec<Edit>> {
    let joined = sheet.join(stage.span, &[]);
    let name = name_of(&joined, stage)?;
    let keyword = stage.from.keyword.as_deref()?;
    let before = joined.text.get(..name.start)?.trim_end();
    let start = before.strip_suffix(keyword)?.len();
    let wanted = match stage.word == stage.word.to_lowercase() {
        true => "as",
        false => "AS",
    };
    Some(vec![replace(
        &joined,
        &(start..start + keyword.len()),
        wanted,
    )?])
}

fn platform(sheet: &Sheet<'_>, stage: &Stage) -> Option<Vec<Edit>> {
    let joined = sheet.join(stage.span, &[]);
    let flag = joined.find("--platform=", stage.word.len())?;
    let rest = joined.text.get(flag.start..joined.head)?;
    let value = rest.split(char::is_whitespace).next()?;
    let after = rest.get(value.len()..)?;
    let blanks = after.len() - after.trim_start().len();
    let part = flag.start..flag.start + value.len() + blanks;
    Some(vec![replace(&joined, &part, "")?])
}

fn casing(sheet: &Sheet<'_>, warning: &Warning) -> Option<Vec<Edit>> {
    let joined = sheet.join(warning.span, &[]);
    let part = word_of(warning, &joined);
    let word = joined.text.get(part.clone())?;
    let wanted = match warning.detail.ends_with("(lowercase)") {
        true => word.to_lowercase(),
        false => word.to_uppercase(),
    };
    Some(vec![replace(&joined, &part, wanted)?])
}

/// Takes the blank lines of an instruction away, which are passed over anyway.
fn blanks(sheet: &Sheet<'_>, file: &Dockerfile, last: u32) -> Option<Vec<Edit>> {
    let within = |span: &Span| span.first <= last && last <= span.last;
    let stages = file.stages.iter().map(|stage| stage.span);
    let instructions = file
        .global_args
        .iter()
        .chain(file.stages.iter().flat_map(|stage| &stage.instructions));
    let span = stages
        .chain(instructions.map(|instruction| instruction.span))
        .find(within)?;
    let joined = sheet.join(span, &[]);
    let edit = |number: &u32| {
        let line = sheet.whole_line(*number)?;
        Some(Edit {
            start: line.start,
            end: line.end,
            text: String::new(),
        })
    };
    joined.blanks.iter().map(edit).collect()
}

/// Text in double quotes, as instructions read it; `None` if it can't be had so.
fn quoted(text: &str) -> Option<String> {
    if text.contains(['"', '\\', '`', '\'']) {
        return None;
    }
    Some(format!("\"{text}\""))
}

fn maintainer(sheet: &Sheet<'_>, instruction: &Instruction) -> Option<Vec<Edit>> {
    let Kind::Maintainer(who) = &instruction.kind else {
        return None;
    };
    let joined = sheet.join(instruction.span, &[]);
    let bare = who
        .strip_prefix('"')
        .and_then(|who| who.strip_suffix('"'))
        .unwrap_or(who);
    if joined.lines() != 1 || bare.contains('$') {
        return None;
    }
    let word = match instruction.word == instruction.word.to_lowercase() {
        true => "label",
        false => "LABEL",
    };
    // An apostrophe within double quotes is itself.
    let value = match bare.contains(['"', '\\', '`']) {
        true => return None,
        false => format!("\"{bare}\""),
    };
    let text = format!("{word} org.opencontainers.image.authors={value}");
    Some(vec![replace(&joined, &(0..joined.head), text)?])
}

fn legacy(sheet: &Sheet<'_>, instruction: &Instruction) -> Option<Vec<Edit>> {
    let (Kind::Env(pairs) | Kind::Label(pairs)) = &instruction.kind else {
        return None;
    };
    let [
        Pair {
            name,
            value,
            is_legacy: true,
        },
    ] = pairs.as_slice()
    else {
        return None;
    };
    let joined = sheet.join(instruction.span, &[]);
    let start = joined.head.checked_sub(value.len())?;
    let is_there = joined.text.get(start..joined.head) == Some(value);
    if !is_there || joined.has_comments {
        return None;
    }
    let name = joined.find(name, instruction.word.len())?;
    let is_one_word = is_one_word(value);
    let is_plain = !value.contains(char::is_whitespace) && !value.contains(['"', '\'', '\\', '`']);
    let between = replace(&joined, &(name.end..start), "=")?;
    if is_plain || is_one_word {
        return Some(vec![between]);
    }
    quoted(value)?;
    let opened = Edit {
        text: "=\"".to_owned(),
        ..between
    };
    let end = joined.behind(joined.head)?;
    let closed = Edit {
        start: end,
        end,
        text: "\"".to_owned(),
    };
    Some(vec![opened, closed])
}

/// `"…"` or `'…'` with nothing in it that ends it.
fn is_one_word(value: &str) -> bool {
    ['"', '\''].iter().any(|quote| {
        let inner = value
            .strip_prefix(*quote)
            .and_then(|rest| rest.strip_suffix(*quote));
        inner.is_some_and(|inner| !inner.contains([*quote, '\\', '`']))
    })
}

/// Names that mean something to a shell only.
const BUILTINS: [&str; 24] = [
    ".", ":", "alias", "bg", "cd", "command", "eval", "exit", "export", "fg", "jobs", "read",
    "readonly", "return", "set", "shift", "source", "times", "trap", "type", "ulimit", "umask",
    "unset", "wait",
];

fn json(sheet: &Sheet<'_>, file: &Dockerfile, instruction: &Instruction) -> Option<Vec<Edit>> {
    let (Kind::Cmd(Command::Shell(line)) | Kind::Entrypoint(Command::Shell(line))) =
        &instruction.kind
    else {
        return None;
    };
    let stage = file.stages.iter().find(|stage| {
        stage
            .instructions
            .iter()
            .any(|own| std::ptr::eq(own, instruction))
    })?;
    // The other one of the two gets, or becomes, arguments: then it is not the same any more.
    let is_other = |other: &Instruction| match &instruction.kind {
        Kind::Cmd(_) => matches!(other.kind, Kind::Entrypoint(_)),
        _ => matches!(other.kind, Kind::Cmd(_)),
    };
    let has_other = file
        .stages
        .iter()
        .flat_map(|stage| &stage.instructions)
        .any(is_other);
    let is_windows = file.escape == '`'
        || stage.from.image.contains("windows")
        || stage
            .from
            .platform
            .as_deref()
            .is_some_and(|platform| platform.contains("windows"));
    let script = Script::read(line);
    let [command] = script.commands.as_slice() else {
        return None;
    };
    if has_other
        || is_windows
        || !script.is_sound
        || !script.bashisms.is_empty()
        || command.depth > 0
        || command.is_guarded
    {
        return None;
    }
    let is_plain = command.assignments.is_empty()
        && command.redirects.is_empty()
        && script.last == super::super::shell::Joint::None;
    let mut words = command.words.as_slice();
    if let [first, rest @ ..] = words
        && first.is("exec")
    {
        words = rest;
    }
    let literals: Option<Vec<&str>> = words
        .iter()
        .map(|word| {
            word.literal()
                .filter(|text| !word.has_pattern && !text.contains(['~', '{', '\n']))
        })
        .collect();
    let literals = literals.filter(|literals| is_plain && !literals.is_empty())?;
    let first = literals.first()?;
    if BUILTINS.contains(first) || first.contains('=') || script.end != line.trim_end().len() {
        return None;
    }
    let joined = sheet.join(instruction.span, &[]);
    let start = joined.head.checked_sub(line.len())?;
    if joined.text.get(start..joined.head) != Some(line) || joined.has_comments {
        return None;
    }
    let strings: Option<Vec<String>> = literals
        .iter()
        .map(|text| serde_json::to_string(text).ok())
        .collect();
    let text = format!("[{}]", strings?.join(", "));
    Some(vec![replace(&joined, &(start..joined.head), text)?])
}

fn ports(sheet: &Sheet<'_>, rule: Rule, instruction: &Instruction) -> Option<Vec<Edit>> {
    let Kind::Expose(expose) = &instruction.kind else {
        return None;
    };
    let joined = sheet.join(instruction.span, &[]);
    let mut from = instruction.word.len();
    let mut edits = Vec::new();
    for port in &expose.ports {
        let part = joined.find(port, from)?;
        from = part.end;
        if port.contains('$') {
            continue;
        }
        let wanted = match rule {
            Rule::ExposeProtoCasing => match port.rsplit_once('/') {
                Some((number, protocol)) => format!("{number}/{}", protocol.to_lowercase()),
                None => continue,
            },
            _ => match port.rsplit_once(':') {
                Some((_, number)) => number.to_owned(),
                None => continue,
            },
        };
        if wanted != *port {
            edits.push(replace(&joined, &part, wanted)?);
        }
    }
    Some(edits)
}
