//! `context ls`: what a build would be sent of a directory, and which line decides.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use shiplap_build::context::survey::{Idle, Survey, Tally, Why, survey};
use shiplap_model::units;

use crate::{
    face::{Face, Failure},
    output::Output,
    words,
};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum ContextCommand {
    #[command(alias = "list")]
    Ls(ContextLs),
}

impl ContextCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Ls(verb) => verb.run(face),
        }
    }
}

/// List what a build would be sent, the largest first
#[derive(Debug, Args)]
pub(crate) struct ContextLs {
    /// List all, not only the largest 20
    #[arg(short, long)]
    all: bool,
    /// Sum up directories below this depth
    #[arg(long, value_name = "int", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    depth: u16,
    /// Name of the Dockerfile: an ignore file of its own counts
    #[arg(short, long, value_name = "string")]
    file: Option<PathBuf>,
    /// Print in JSON format
    #[arg(long)]
    json: bool,
    /// Say whether a path would be sent, and which line decides
    #[arg(long, value_name = "path", conflicts_with = "json")]
    why: Vec<String>,
    /// The directory (default: the current one)
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Lines that a list has unless all are asked for.
const LINES: usize = 20;

impl ContextLs {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let directory = self.directory.as_deref().unwrap_or(Path::new("."));
        let survey = survey(directory, self.file.as_deref())?;
        if self.json {
            let json = json(&survey, usize::from(self.depth));
            face.output.line(&format!("{json:#}"))?;
            return Ok(());
        }
        if !self.why.is_empty() {
            for path in &self.why {
                let Some(why) = survey.why(path.as_bytes()) else {
                    let message = format!("failed to look for {path}: it is outside the context");
                    return Err(Failure::plain(message));
                };
                face.output.line(&reason(&survey, &why))?;
            }
            return Ok(());
        }
        let paths = survey.by_path(usize::from(self.depth));
        let shown = if self.all {
            paths.len()
        } else {
            LINES.min(paths.len())
        };
        let rows = paths
            .iter()
            .take(shown)
            .map(|(path, tally)| row(*tally, &String::from_utf8_lossy(path)));
        let mut text = format!("{:>9}  {:>7}  SENT\n", "SIZE", "FILES");
        text.extend(rows);
        if let Some(rest) = paths.get(shown..).filter(|rest| !rest.is_empty()) {
            let tally = rest.iter().fold(Tally::default(), |sum, (_, tally)| Tally {
                files: sum.files + tally.files,
                size_bytes: sum.size_bytes + tally.size_bytes,
            });
            text.push_str(&row(tally, &format!("… and {} more (--all)", rest.len())));
        }
        text.push_str(&left_out(&survey));
        face.output.data(&text)?;
        let (sent, out) = (survey.sent(), survey.left_out());
        face.output
            .talk(&format!("sent: {}; left out: {}", told(sent), told(out)));
        warn(&face.output, &survey);
        if survey.ignore_name.is_none() && !survey.suggest().is_empty() {
            face.output.talk(&format!(
                "there is no .dockerignore: {} ignore suggest proposes one",
                face.program
            ));
        }
        Ok(())
    }
}

fn row(tally: Tally, what: &str) -> String {
    format!(
        "{:>9}  {:>7}  {what}\n",
        words::size(tally.size_bytes),
        tally.files
    )
}

fn told(tally: Tally) -> String {
    let files = if tally.files == 1 { "file" } else { "files" };
    format!(
        "{} in {} {files}",
        units::human_size(tally.size_bytes),
        tally.files
    )
}

/// What each line of the ignore file leaves out.
fn left_out(survey: &Survey) -> String {
    let mut text = String::new();
    let name = survey.ignore_name.as_deref().unwrap_or_default();
    for (pattern, effect) in survey.patterns.as_slice().iter().zip(&survey.effects) {
        if pattern.is_exception() || effect.files == 0 {
            continue;
        }
        let tally = Tally {
            files: effect.files,
            size_bytes: effect.size_bytes,
        };
        text.push_str(&row(
            tally,
            &format!("{name}:{}: {pattern}", pattern.position()),
        ));
    }
    match text.is_empty() {
        true => text,
        false => format!("\n{:>9}  {:>7}  LEFT OUT BY\n{text}", "SIZE", "FILES"),
    }
}

/// In words why a path is sent, or is not.
fn reason(survey: &Survey, why: &Why) -> String {
    let name = survey.ignore_name.as_deref().unwrap_or(".dockerignore");
    let shown = String::from_utf8_lossy(&why.path);
    let (sent, is_there) = match why.is_there {
        true => ("is sent", ""),
        false => ("would be sent", " (there is no such file)"),
    };
    match (&why.line, why.is_out) {
        (Some((line, pattern)), true) => {
            format!("{shown} is left out by {name}:{line}: {pattern}{is_there}")
        }
        (Some((line, pattern)), false) => {
            format!("{shown} {sent}: {name}:{line}: {pattern} lets it in{is_there}")
        }
        (None, _) if survey.ignore_name.is_none() => {
            format!("{shown} {sent}: there is no ignore file{is_there}")
        }
        (None, _) => format!("{shown} {sent}: no line of {name} matches it{is_there}"),
    }
}

/// Tells of lines that do nothing.
pub(super) fn warn(output: &Output, survey: &Survey) {
    let name = survey.ignore_name.as_deref().unwrap_or_default();
    for (line, pattern, idle) in survey.idle() {
        output.warn(&format!("{name}:{line}: {pattern} {}", said(idle)));
    }
}

fn said(idle: Idle) -> String {
    match idle {
        Idle::MatchesNothing => "matches nothing".to_owned(),
        Idle::NothingToLetIn => "lets in what nothing leaves out".to_owned(),
        Idle::Shadowed {
            line,
            is_exception: true,
        } => format!("has no effect: line {line} lets it all in again"),
        Idle::Shadowed {
            line,
            is_exception: false,
        } => format!("has no effect: line {line} says it as well"),
    }
}

fn json(survey: &Survey, depth: usize) -> serde_json::Value {
    let paths = survey.by_path(depth);
    let sent = paths.iter().map(|(path, tally)| {
        json!({"path": String::from_utf8_lossy(path), "bytes": tally.size_bytes, "files": tally.files})
    });
    let idle = survey.idle();
    let patterns =
        survey
            .patterns
            .as_slice()
            .iter()
            .zip(&survey.effects)
            .map(|(pattern, effect)| {
                let problem = idle.iter().find(|(line, ..)| *line == pattern.position());
                json!({
                    "line": pattern.position(),
                    "pattern": pattern.to_string(),
                    "bytes": effect.size_bytes,
                    "files": effect.files,
                    "problem": problem.map(|(_, _, idle)| said(*idle)),
                })
            });
    let (all, out) = (survey.sent(), survey.left_out());
    json!({
        "context": survey.directory.display().to_string(),
        "ignoreFile": survey.ignore_name,
        "sent": {"bytes": all.size_bytes, "files": all.files, "paths": sent.collect::<Vec<_>>()},
        "leftOut": {"bytes": out.size_bytes, "files": out.files},
        "patterns": patterns.collect::<Vec<_>>(),
    })
}
