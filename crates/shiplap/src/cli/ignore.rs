//! `ignore suggest`: a `.dockerignore` from what a directory holds.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use shiplap_build::context::survey::{self, Suggestion, Survey, Tally, survey};
use shiplap_model::units;

use super::context::warn;
use crate::face::{Face, Failure};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum IgnoreCommand {
    Suggest(IgnoreSuggest),
}

impl IgnoreCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Suggest(verb) => verb.run(face),
        }
    }
}

/// Propose lines for .dockerignore from what the context holds
#[derive(Debug, Args)]
pub(crate) struct IgnoreSuggest {
    /// Name of the Dockerfile: what it copies by name stays
    #[arg(short, long, value_name = "string")]
    file: Option<PathBuf>,
    /// Write them to .dockerignore, if there is none yet
    #[arg(long)]
    write: bool,
    /// The directory (default: the current one)
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl IgnoreSuggest {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let directory = self.directory.as_deref().unwrap_or(Path::new("."));
        let survey = survey(directory, self.file.as_deref())?;
        warn(&face.output, &survey);
        let lines = survey.suggest();
        let saved = lines.iter().fold(Tally::default(), |sum, line| Tally {
            files: sum.files + line.saves.files,
            size_bytes: sum.size_bytes + line.saves.size_bytes,
        });
        let sent = survey.sent();
        if lines.is_empty() {
            face.output
                .talk("nothing to leave out that builds hardly ever need");
            heavy(face, &survey, &lines);
            return Ok(());
        }
        let text = survey::suggested_text(&lines);
        let line = format!(
            "leaves out {} of {} that would be sent",
            units::human_size(saved.size_bytes),
            units::human_size(sent.size_bytes)
        );
        if !self.write {
            face.output.data(&text)?;
            face.output.talk(&line);
            heavy(face, &survey, &lines);
            return Ok(());
        }
        let path = directory.join(".dockerignore");
        write(&path, &text).map_err(|error| refused(face, &path, &error))?;
        face.output.talk(&format!("{}: {line}", path.display()));
        heavy(face, &survey, &lines);
        Ok(())
    }
}

/// Asks for what is large, and may be meant.
fn heavy(face: &Face, survey: &Survey, lines: &[Suggestion]) {
    let heavy = survey.heavy(lines);
    let told: Vec<String> = { heavy.iter() }
        .map(|(path, tally)| {
            let size = units::human_size(tally.size_bytes);
            format!("{} ({size})", String::from_utf8_lossy(path))
        })
        .collect();
    if !told.is_empty() {
        face.output.talk(&format!(
            "does the image need {}? If not, add it, too",
            told.join(", ")
        ));
    }
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn refused(face: &Face, path: &Path, error: &io::Error) -> Failure {
    let message = format!("failed to write {}: {error}", path.display());
    let mut failure = Failure::plain(message);
    if error.kind() == io::ErrorKind::AlreadyExists {
        failure.message = Some(format!(
            "failed to write {}: it is there already",
            path.display()
        ));
        failure.advice = Some(format!(
            "add the lines that are wanted by hand: {} ignore suggest",
            face.program
        ));
    }
    failure
}
