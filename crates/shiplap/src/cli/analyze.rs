//! `analyze`: what an image's bytes are, and which change saves how much.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use shiplap_model::dockerfile::{self, Dockerfile};
use shiplap_model::{Platform, limits, quote};
use shiplap_ops::analyze::bounds::{self, Bounds, Share, Verdict};
use shiplap_ops::analyze::proposal::ProposalKind;
use shiplap_ops::analyze::report::Report;
use shiplap_ops::analyze::{self, Analysis, AnalyzeOptions};

use crate::{
    face::{Face, Failure},
    settings::Environment,
    terminal, words,
};

mod html;
mod map;
mod plain;
mod view;

/// Show what an image's bytes are, and which changes save how much
#[derive(Debug, Args)]
pub(crate) struct Analyze {
    #[command(flatten)]
    face: FaceFlags,
    #[command(flatten)]
    bounds: BoundFlags,
    /// Ask the base's registry for smaller forms of it (-slim, -alpine); those that are here are told
    /// in any case
    #[arg(long)]
    ask_registry: bool,
    /// Dockerfile that the image was built from, to name its lines
    #[arg(short, long, value_name = "file")]
    file: Option<PathBuf>,
    /// Show the image for the given platform (formatted as os[/arch[/variant]], e.g. linux/amd64)
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Image to look into: of the store, an archive (a path, docker-archive:FILE, oci-archive:FILE), a
    /// layout (oci:DIR), or what a registry has, which is not kept
    #[arg(value_name = "IMAGE")]
    image: String,
}

#[derive(Debug, Args)]
struct FaceFlags {
    /// Print a report, also on a terminal
    #[arg(long)]
    plain: bool,
    /// Print in JSON format (see docs/analyze.md)
    #[arg(long, conflicts_with = "plain")]
    json: bool,
    /// With --json, every file of every layer
    #[arg(long, requires = "json")]
    files: bool,
    /// Write a page with pictures, in one file without references to others; - is stdout
    #[arg(long, value_name = "file")]
    html: Option<PathBuf>,
    /// Don't truncate the report
    #[arg(long)]
    no_trunc: bool,
    /// Changes that are shown in the report; 0 shows all [default: 10]
    #[arg(short = 'n', long, value_name = "int")]
    top: Option<usize>,
}

#[derive(Debug, Args)]
struct BoundFlags {
    /// Judge the image by bounds: exit 0 if it keeps to all, 1 if not, 2 if it can't be looked into
    #[arg(long)]
    ci: bool,
    /// File with bounds as dive has them (default .dive-ci, if there is one)
    #[arg(long, value_name = "file", requires = "ci")]
    ci_config: Option<PathBuf>,
    /// Least efficiency, as 0.95 or 95% (dive's lowestEfficiency; default 0.9)
    #[arg(long, alias = "lowestEfficiency", value_name = "part", requires = "ci", value_parser = bounds::part)]
    min_efficiency: Option<f64>,
    /// Most waste that the image can't miss, as 20MB or 5%
    #[arg(long, value_name = "size", requires = "ci")]
    max_waste: Option<Share>,
    /// Most bytes that several layers have, as dive counts them
    #[arg(long, alias = "highestWastedBytes", value_name = "size", requires = "ci", value_parser = bytes)]
    highest_wasted_bytes: Option<u64>,
    /// The same by the bytes above the first layer, as 0.2 or 20% (default 0.1)
    #[arg(long, alias = "highestUserWastedPercent", value_name = "part", requires = "ci", value_parser = bounds::part)]
    highest_user_wasted_percent: Option<f64>,
}

fn bytes(text: &str) -> Result<u64, shiplap_model::units::UnitError> {
    shiplap_model::units::parse_size(text, shiplap_model::units::SizeBase::Decimal)
}

/// The exit status for an image that can't be judged.
const NOT_JUDGED: u8 = 2;

impl Analyze {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let judges = self.bounds.ci;
        self.look(face).map_err(|failure| {
            let is_verdict = failure.message.is_none();
            match judges && !is_verdict {
                true => failure.with_code(NOT_JUDGED),
                false => failure,
            }
        })
    }

    fn look(self, face: &Face) -> Result<(), Failure> {
        let bounds = self.bounds.chosen()?;
        let options = AnalyzeOptions {
            image: self.image,
            platform: self.platform,
            dockerfile: self.file.as_deref().map(read_dockerfile).transpose()?,
            asks_registry: self.ask_registry,
        };
        let session = face.session(self.face.json || self.bounds.ci)?;
        let analysis = analyze::analyze(&session.context, &options, &*session.teller)?;
        if let Some(path) = &self.face.html {
            write_page(face, path, &html::page(&analysis))?;
        }
        let verdicts = bounds.map(|bounds| bounds.judge(&analysis));
        if let Some(verdicts) = &verdicts
            && !self.face.json
        {
            face.output.data(&judged(verdicts))?;
        } else {
            self.face.show(face, &analysis, verdicts.as_deref())?;
        }
        let is_broken = |verdict: &Verdict| !verdict.passed;
        if verdicts.is_some_and(|verdicts| verdicts.iter().any(is_broken)) {
            return Err(Failure::told());
        }
        Ok(())
    }
}

/// Changes that are shown in a report.
const TOP: usize = 10;

/// What is printed as JSON.
#[derive(Serialize)]
struct Judged<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<&'a [Verdict]>,
}

/// Whether somebody sits at a terminal that can be drawn on.
fn is_watched(face: &Face) -> bool {
    let can_draw = Environment::of_process().can_draw();
    can_draw && face.output.data_on_terminal() && terminal::input_is_terminal()
}

fn write_page(face: &Face, path: &Path, page: &str) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Ok(face.output.data(page)?);
    }
    let failed = |error| Failure::plain(format!("failed to write {}: {error}", path.display()));
    fs::write(path, page).map_err(failed)
}

impl FaceFlags {
    fn show(
        &self,
        face: &Face,
        analysis: &Analysis,
        verdicts: Option<&[Verdict]>,
    ) -> Result<(), Failure> {
        if self.json {
            let report = Judged {
                report: analysis.report(self.files),
                verdicts,
            };
            return Ok(face.output.json(&report)?);
        }
        let wants_report = self.plain || self.no_trunc || self.top.is_some();
        if self.html.is_some() && !wants_report {
            return Ok(());
        }
        if !wants_report && is_watched(face) {
            return Ok(view::run(&face.output, analysis)?);
        }
        let top = Some(self.top.unwrap_or(TOP)).filter(|top| *top > 0);
        let report = plain::report(analysis, top.unwrap_or(usize::MAX), self.no_trunc);
        Ok(face.output.data(&report)?)
    }
}

impl BoundFlags {
    /// The bounds, if the image is to be judged: those of the command line, then those of a file,
    /// then dive's.
    fn chosen(&self) -> Result<Option<Bounds>, Failure> {
        if !self.ci {
            return Ok(None);
        }
        let given = Bounds {
            lowest_efficiency: self.min_efficiency,
            highest_wasted_bytes: self.highest_wasted_bytes,
            highest_user_wasted: self.highest_user_wasted_percent,
            max_waste: self.max_waste,
        };
        let usual = Path::new(".dive-ci");
        let path = match &self.ci_config {
            Some(path) => Some(path.as_path()),
            None => Some(usual).filter(|path| path.is_file()),
        };
        let of_file = match path {
            Some(path) => Bounds::of_dive_ci(&read_text(path, BOUNDS_BYTES)?)?,
            None => Bounds::default(),
        };
        let bounds = given.or(of_file);
        Ok(Some(match bounds.is_empty() && path.is_none() {
            true => Bounds::DEFAULT,
            false => bounds,
        }))
    }
}

/// Longest file of bounds that is read, in bytes: three lines are due.
const BOUNDS_BYTES: u64 = 64 << 10;

fn read_text(path: &Path, most: u64) -> Result<String, Failure> {
    let failed = |error| Failure::plain(format!("failed to read {}: {error}", path.display()));
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(most).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn read_dockerfile(path: &Path) -> Result<Dockerfile, Failure> {
    let text = read_text(path, limits::DOCKERFILE_BYTES as u64 + 1)?;
    Ok(dockerfile::parse(text.as_bytes())?)
}

fn judged(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let number = |number: f64| amount(number, verdict.is_bytes);
        text.push_str(&format!(
            "{}  {:<16}  {:>9}  at {} {}\n",
            if verdict.passed { "PASS" } else { "FAIL" },
            verdict.bound,
            number(verdict.found),
            if verdict.is_least { "least" } else { "most" },
            number(verdict.limit),
        ));
    }
    text
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes for people"
)]
fn amount(number: f64, is_bytes: bool) -> String {
    match is_bytes {
        true => words::size(number as u64),
        false => percent(number),
    }
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

/// Text of an image, with all that a terminal would not show as itself made visible.
pub(super) fn clean(text: &str) -> String {
    if text.chars().all(quote::is_printable) {
        return text.to_owned();
    }
    let shown = |c: char| match quote::is_printable(c) {
        true => c.to_string(),
        false => quote::escaped(c, '"', false),
    };
    text.chars().map(shown).collect()
}

/// The name of a path, with leading slash, for people.
fn clean_path(path: &[u8]) -> String {
    format!("/{}", clean(&String::from_utf8_lossy(path)))
}

/// How many changes there are beyond the `top` best, and how many bytes they would save; nothing if there are none.
fn rest(analysis: &Analysis, top: usize) -> Option<(usize, u64)> {
    let rest = analysis.proposals.get(top..)?;
    // What it would save is told of the base as well.
    let counted = rest
        .iter()
        .filter(|one| one.kind != ProposalKind::SmallerBase);
    let bytes = counted.map(|proposal| proposal.saves_bytes).sum();
    (!rest.is_empty()).then_some((rest.len(), bytes))
}

/// At most `most` characters, the last ones, after an ellipsis if more were there: of a path the end tells most.
pub(super) fn tail(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = text.chars().skip(count - most.saturating_sub(1).min(count));
    std::iter::once('…').chain(kept).collect()
}

/// A history's instruction in one line.
pub(super) fn one_line(instruction: &str) -> String {
    let words: Vec<_> = instruction.split_whitespace().collect();
    match words.as_slice() {
        [] => "(nothing is known of how it was made)".to_owned(),
        words => clean(&words.join(" ")),
    }
}

#[cfg(test)]
mod tests;
