//! Checks of what is written, whatever it means.

use std::collections::BTreeSet;

use shiplap_model::dockerfile::{Dockerfile, Instruction, Kind, Reading, Span, Stage};

use super::{Notes, Rule};

/// Names of stages that mean something else.
const RESERVED: [&str; 2] = ["context", "scratch"];

/// Checks line after line. Where the text is wrong, what comes before is checked.
pub(super) fn lines(reading: &Reading, notes: &mut Notes<'_>) {
    let end = reading
        .errors
        .first()
        .map_or(u32::MAX, |error| error.span.first);
    for gap in &reading.file.gaps {
        let span = Span {
            first: gap.line,
            last: gap.line,
        };
        if gap.line < end {
            notes.tell(
                Rule::NoEmptyContinuation,
                span,
                "Empty continuation line".to_owned(),
            );
        }
    }
    for instruction in &reading.file.global_args {
        if instruction.span.first < end {
            line(instruction, notes);
        }
    }
    for stage in &reading.file.stages {
        if stage.span.first < end {
            from(stage, notes);
        }
        for instruction in &stage.instructions {
            if instruction.span.first < end {
                line(instruction, notes);
            }
        }
    }
}

fn line(instruction: &Instruction, notes: &mut Notes<'_>) {
    let notes = &mut notes.within(&instruction.comments);
    match &instruction.kind {
        Kind::Maintainer(_) => {
            let detail = "Maintainer instruction is deprecated in favor of using label";
            notes.tell(
                Rule::MaintainerDeprecated,
                instruction.span,
                detail.to_owned(),
            );
        }
        Kind::Arg(args) => {
            let names: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
            description(
                "ARG",
                &names,
                &instruction.comments,
                instruction.span,
                notes,
            );
        }
        _ => {}
    }
}

fn from(stage: &Stage, notes: &mut Notes<'_>) {
    let notes = &mut notes.within(&stage.comments);
    let (Some(name), Some(keyword)) = (&stage.from.name, &stage.from.keyword) else {
        return;
    };
    let lower = name.to_lowercase();
    if *name != lower {
        let detail = format!("Stage name '{name}' should be lowercase");
        notes.tell(Rule::StageNameCasing, stage.span, detail);
    }
    let word = stage.word.as_str();
    let matches = match word {
        word if word == word.to_lowercase() => *keyword == keyword.to_lowercase(),
        word if word == word.to_uppercase() => *keyword == keyword.to_uppercase(),
        // That the word itself is mixed is another check's.
        _ => true,
    };
    if !matches {
        let detail = format!("'{keyword}' and '{word}' keywords' casing do not match");
        notes.tell(Rule::FromAsCasing, stage.span, detail);
    }
    description("FROM", &[&lower], &stage.comments, stage.span, notes);
}

/// The last comment before a definition is to begin with a name that it defines.
fn description(word: &str, names: &[&str], comments: &[String], span: Span, notes: &mut Notes<'_>) {
    let first = comments
        .last()
        .and_then(|comment| comment.split(' ').next());
    let name = match names {
        [name] => name,
        _ => "<arg_key>",
    };
    if first.is_some_and(|first| !names.contains(&first)) {
        let detail =
            format!("Comment for {word} should follow the format: `# {name} <description>`");
        notes.tell(Rule::InvalidDefinitionDescription, span, detail);
    }
}

/// Checks what concerns the file as a whole.
pub(super) fn whole(file: &Dockerfile, notes: &mut Notes<'_>) {
    let mut names = BTreeSet::new();
    for stage in &file.stages {
        let Some(name) = stage.from.name.as_ref().map(|name| name.to_lowercase()) else {
            continue;
        };
        if RESERVED.contains(&name.as_str()) {
            let detail =
                format!("Stage name should not use the same name as reserved stage \"{name}\"");
            notes.tell(Rule::ReservedStageName, stage.span, detail);
        }
        if names.contains(&name) {
            let detail = format!("Duplicate stage name \"{name}\", stage names should be unique");
            notes.tell(Rule::DuplicateStageName, stage.span, detail);
        }
        names.insert(name);
    }
    casing(file, notes);
}

fn casing(file: &Dockerfile, notes: &mut Notes<'_>) {
    let words = || {
        file.stages.iter().flat_map(|stage| {
            let own = stage.instructions.iter();
            let own = own.map(|instruction| (instruction.word.as_str(), instruction.span));
            std::iter::once((stage.word.as_str(), stage.span)).chain(own)
        })
    };
    let count = |is_it: fn(&str) -> bool| words().filter(|(word, _)| is_it(word)).count();
    let is_lower = |word: &str| word == word.to_lowercase();
    let is_upper = |word: &str| word == word.to_uppercase();
    let are_lower = count(is_lower) > count(is_upper);
    for (word, span) in words() {
        let wanted = match are_lower {
            true if !is_lower(word) => "lowercase",
            false if !is_upper(word) => "uppercase",
            _ => continue,
        };
        let detail =
            format!("Command '{word}' should match the case of the command majority ({wanted})");
        notes.tell(Rule::ConsistentInstructionCasing, span, detail);
    }
}
