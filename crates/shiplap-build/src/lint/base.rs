//! Checks of what stages begin with: names and platforms in `FROM`.

use std::collections::{BTreeMap, BTreeSet};

use shiplap_model::dockerfile::{Dockerfile, Kind, Meant, Stage};
use shiplap_model::expansion::{self, Expansion, ExpansionError};
use shiplap_model::quote::quoted;
use shiplap_model::{Platform, Reference};

use super::{Notes, Rule, Subject};
use crate::plan::graph::globals;
use crate::plan::variables::Variables;

/// Checks names with the defaults of arguments alone.
pub(super) fn defaults(subject: &Subject<'_>, notes: &mut Notes<'_>) {
    let file = &subject.reading.file;
    let mut input = subject.input.clone();
    input.build_args = BTreeMap::new();
    let Ok(globals) = globals(file, &input) else {
        return;
    };
    for stage in &file.stages {
        let Ok(name) = expand(&stage.from.image, &globals, file.escape) else {
            return;
        };
        if Reference::parse(&name.text).is_err() {
            let image = &stage.from.image;
            let detail = format!(
                "Default value for ARG {image} results in empty or invalid base image name"
            );
            notes.tell(Rule::InvalidDefaultArgInFrom, stage.span, detail);
        }
    }
}

/// Checks each `FROM` with the arguments as they are, up to one that can't be understood: why not,
/// the plan says.
pub(super) fn stages(subject: &Subject<'_>, globals: &Variables, notes: &mut Notes<'_>) {
    let file = &subject.reading.file;
    let known = known(file, globals);
    for stage in &file.stages {
        let notes = &mut notes.within(&stage.comments);
        let Ok(name) = expand(&stage.from.image, globals, file.escape) else {
            return;
        };
        undeclared(&name.unset, &known, stage, notes);
        if name.text.is_empty() {
            return;
        }
        let Some(platform) = &stage.from.platform else {
            continue;
        };
        let Ok(expanded) = expand(platform, globals, file.escape) else {
            return;
        };
        undeclared(&expanded.unset, &known, stage, notes);
        let read = Platform::parse_with(&expanded.text, &subject.input.build_platform);
        if expanded.unset.is_empty() {
            redundant(platform, &expanded, globals, stage, notes);
            if let (Ok(read), true) = (&read, expanded.used.is_empty()) {
                constant(read, &expanded.text, stage, notes);
            }
        }
        if read.is_err() {
            return;
        }
    }
}

fn expand(word: &str, globals: &Variables, escape: char) -> Result<Expansion, ExpansionError> {
    expansion::expand(word, &|name| globals.get(name), escape)
}

/// Arguments that `FROM` may use.
fn known(file: &Dockerfile, globals: &Variables) -> BTreeSet<String> {
    let declared = file
        .global_args
        .iter()
        .flat_map(|instruction| match &instruction.kind {
            Kind::Arg(args) => args.as_slice(),
            _ => &[],
        });
    let declared = declared.map(|arg| arg.name.clone());
    let set = globals.iter().map(|(name, _)| name.to_owned());
    declared.chain(set).collect()
}

fn undeclared(
    unset: &BTreeSet<String>,
    known: &BTreeSet<String>,
    stage: &Stage,
    notes: &mut Notes<'_>,
) {
    for name in unset.difference(known) {
        let meant = Meant::among(name, known.iter().map(String::as_str));
        let detail = format!("FROM argument '{name}' is not declared{meant}");
        notes.tell(Rule::UndefinedArgInFrom, stage.span, detail);
    }
}

fn redundant(
    platform: &str,
    expanded: &Expansion,
    globals: &Variables,
    stage: &Stage,
    notes: &mut Notes<'_>,
) {
    const TARGET: &str = "TARGETPLATFORM";
    let is_alone = expanded.used.len() == 1 && expanded.used.contains(TARGET);
    if is_alone && globals.get(TARGET) == Some(&expanded.text) {
        let detail = format!(
            "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
        );
        notes.tell(Rule::RedundantTargetPlatform, stage.span, detail);
    }
}

/// A platform that is always the same, unless the stage is named after it.
fn constant(platform: &Platform, text: &str, stage: &Stage, notes: &mut Notes<'_>) {
    let name = stage
        .from
        .name
        .as_deref()
        .unwrap_or_default()
        .to_lowercase();
    if name.contains(&platform.os) || name.contains(&platform.architecture) {
        return;
    }
    let text = quoted(text);
    let detail = format!("FROM --platform flag should not use constant value {text}");
    notes.tell(Rule::FromPlatformFlagConstDisallowed, stage.span, detail);
}
