//! `lint`: what could be better in Dockerfiles, and how to mend it.
//!
//! Never judges by itself: rules, formats and rewriting are `shiplap_build::lint`'s.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use shiplap_build::{
    BuildOptions,
    lint::{
        Finding, Mended, Reviewer, Severity, Wishes,
        files::{self, Opened},
        format::{self, Reviewed},
        guide,
        prove::{self, Workshop},
    },
    plan::{PlanInput, Resolved},
};
use shiplap_model::{Platform, limits, units};
use shiplap_ops::{Context, step::Cancel};
use similar::TextDiff;

use crate::{
    display::{Display, Mode},
    face::{Face, Failure},
};

/// Find what could be better in Dockerfiles
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if nothing as grave as --failure-threshold was found, 1 if something was, \
                  2 if a file can't be read.\n\n\
                  Comments leave rules out: # shiplap ignore=RULE before an instruction, \
                  # shiplap global ignore=RULE for the file, # check=skip=RULE as with BuildKit, \
                  # hadolint ignore=CODE as with hadolint."
)]
pub(crate) struct Lint {
    /// Set a build argument
    #[arg(long, value_name = "name=value")]
    build_arg: Vec<String>,
    /// With --prove: the build's context (default: the Dockerfile's directory)
    #[arg(long, value_name = "dir")]
    context: Option<PathBuf>,
    /// With --fix: show the changes and make none
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// Fail if something as grave as this is found: error, warning, info, style or none
    #[arg(
        long,
        value_name = "severity",
        default_value = "warning",
        hide_default_value = true
    )]
    failure_threshold: Threshold,
    /// One more Dockerfile, as with build
    #[arg(short, long, value_name = "string")]
    file: Vec<PathBuf>,
    /// Rewrite what can be rewritten safely, and show the changes
    #[arg(long)]
    fix: bool,
    /// How findings are told: text, json or sarif
    #[arg(
        long,
        value_name = "string",
        default_value = "text",
        hide_default_value = true,
        hide_possible_values = true
    )]
    format: Format,
    /// Leave a rule out, by its name or hadolint's code
    #[arg(long, value_name = "rule")]
    ignore: Vec<String>,
    /// Show nothing milder than this: error, warning, info or style
    #[arg(
        long,
        value_name = "severity",
        default_value = "style",
        hide_default_value = true
    )]
    min_severity: Severity,
    /// Build before and after the changes of --fix, and show what each saves
    #[arg(long, conflicts_with_all = ["fix", "format"])]
    prove: bool,
    /// List the rules
    #[arg(long, conflicts_with_all = ["file", "fix", "prove", "dockerfile"])]
    rules: bool,
    /// Registry that base images may come from; others are an error
    #[arg(long, value_name = "host")]
    trusted_registry: Vec<String>,
    /// With --fix: rewrite, too, what may leave out something that is needed
    #[arg(long, requires = "fix")]
    unsafe_fixes: bool,
    /// Dockerfiles, directories with some, or - for one on stdin (default: Dockerfile)
    #[arg(value_name = "DOCKERFILE")]
    dockerfile: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Sarif,
    Text,
}

/// What makes the command fail; `None`: nothing that is found.
#[derive(Debug, Clone, Copy)]
struct Threshold(Option<Severity>);

impl std::str::FromStr for Threshold {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            text => match text.parse() {
                Ok(severity) => Ok(Self(Some(severity))),
                Err::<Severity, _>(_) => Err("there are error, warning, info, style and none"),
            },
        }
    }
}

/// Exit status where a file can't be read.
const UNREADABLE: u8 = 2;

/// What stdin is called.
const STDIN: &str = "-";

impl Lint {
    /// Whether something is to be built.
    pub(crate) fn builds(&self) -> bool {
        self.prove
    }

    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        if self.rules {
            return rules(face);
        }
        for name in &self.ignore {
            if guide::find(name).is_none() {
                let message = format!("failed to use --ignore {name}: there is no such rule");
                let advice = Some(format!("what there is: {} lint --rules", face.program));
                return Err(Failure {
                    advice,
                    ..Failure::plain(message)
                });
            }
        }
        let input = self.input();
        let opened = self.open().map_err(|error| {
            let advice = self.advice(face, &error);
            let failure = Failure::from(error).with_code(UNREADABLE);
            Failure { advice, ..failure }
        })?;
        let mut reviewed = Vec::with_capacity(opened.len());
        for (path, file) in opened {
            let wishes = Wishes {
                knows_context: file.ignored.is_some(),
                trusted_registries: &self.trusted_registry,
            };
            let reviewer = Reviewer {
                input: &input,
                resolved: &Resolved::default(),
                ignored: file.ignored.as_ref(),
                wishes,
            };
            if self.prove {
                self.prove(face, &path, &file, &reviewer)?;
                continue;
            }
            let failed = |error| failed(&file.name, &error);
            let findings = match self.fix {
                true => {
                    let mended = reviewer
                        .mend(&file.text, &|finding| {
                            let is_safe = self.unsafe_fixes || !finding.guide.is_daring();
                            is_safe && self.is_wanted(finding)
                        })
                        .map_err(failed)?;
                    self.show(face, &path, &file, &mended)?;
                    // What would be mended is found as long as it is not.
                    match self.dry_run {
                        true => reviewer.review(&file.text).map_err(failed)?,
                        false => mended.left,
                    }
                }
                false => reviewer.review(&file.text).map_err(failed)?,
            };
            reviewed.push(Reviewed {
                name: file.name.clone(),
                findings: findings
                    .into_iter()
                    .filter(|finding| self.is_wanted(finding))
                    .collect(),
                text: file.text,
            });
        }
        match self.prove {
            true => Ok(()),
            false => self.tell(face, &reviewed),
        }
    }

    /// What a build would be told, as far as it matters for the checks.
    fn input(&self) -> PlanInput {
        let pairs = self.build_arg.iter().filter_map(|arg| {
            let (name, value) = arg.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let platform = Platform::new("linux", "amd64");
        PlanInput {
            build_args: pairs.collect(),
            ..PlanInput::new(&BuildOptions::default(), None, &platform)
        }
    }

    /// The files that are named, each with its path.
    fn open(&self) -> Result<Vec<(PathBuf, Opened)>, files::FilesError> {
        let mut paths = [self.dockerfile.as_slice(), &self.file].concat();
        if paths.is_empty() {
            paths.push(PathBuf::from("Dockerfile"));
        }
        let read = |path: PathBuf| {
            let opened = match path.as_os_str() == STDIN {
                true => stdin(),
                false => files::open(&path),
            };
            opened.map(|opened| (path, opened))
        };
        files::find(&paths)?.into_iter().map(read).collect()
    }

    /// What to do where a file can't be read.
    fn advice(&self, face: &Face, error: &files::FilesError) -> Option<String> {
        let program = &face.program;
        let address = { self.dockerfile.iter() }
            .map(|path| path.to_string_lossy())
            .find(|path| path.contains("://"));
        match (error, address) {
            (_, Some(address)) => Some(format!(
                "it reads files only: curl -fsSL {address} | {program} lint -"
            )),
            (files::FilesError::None(_) | files::FilesError::Dockerfile { .. }, None) => Some(
                format!("name Dockerfiles, or directories to look in: {program} lint PATH..."),
            ),
            _ => None,
        }
    }

    fn is_wanted(&self, finding: &Finding) -> bool {
        let is_ignored = self.ignore.iter().any(|name| {
            let is_code = finding
                .code
                .is_some_and(|code| code.eq_ignore_ascii_case(name));
            is_code || finding.guide.name.eq_ignore_ascii_case(name)
        });
        finding.severity >= self.min_severity && !is_ignored
    }

    /// Shows what is rewritten, and rewrites it unless it is only to be shown.
    fn show(
        &self,
        face: &Face,
        path: &Path,
        file: &Opened,
        mended: &Mended,
    ) -> Result<(), Failure> {
        let is_stdin = path.as_os_str() == STDIN;
        if is_stdin && !self.dry_run {
            // What came in goes out again, mended.
            return Ok(face.output.data(&String::from_utf8_lossy(&mended.text))?);
        }
        if mended.mended.is_empty() {
            return Ok(());
        }
        if self.format == Format::Text {
            face.output
                .data(&diff(&file.name, &file.text, &mended.text))?;
        }
        let count = mended.mended.len();
        let findings = if count == 1 { "finding" } else { "findings" };
        if self.dry_run {
            face.output.talk(&format!(
                "{}: {count} {findings} would be mended",
                file.name
            ));
            return Ok(());
        }
        files::replace(path, &mended.text)?;
        face.output
            .talk(&format!("{}: {count} {findings} mended", file.name));
        Ok(())
    }

    /// Tells what was found; fails if it is grave enough.
    fn tell(&self, face: &Face, files: &[Reviewed]) -> Result<(), Failure> {
        let is_rewritten = self.fix && !self.dry_run && files.iter().any(|file| file.name == STDIN);
        match self.format {
            // Data is the rewritten file then.
            Format::Text if is_rewritten => face.output.talk(format::text(files).trim_end()),
            Format::Text => {
                let text = format::text(files);
                face.output.data(&text)?;
                face.output.talk(&format::summary(files));
            }
            _ if is_rewritten => {}
            Format::Json => face.output.line(&format!("{:#}", format::json(files)))?,
            Format::Sarif => {
                let sarif = format::sarif(files, env!("CARGO_PKG_VERSION"));
                face.output.line(&format!("{sarif:#}"))?;
            }
        }
        let fails = |finding: &Finding| {
            self.failure_threshold
                .0
                .is_some_and(|least| finding.severity >= least)
        };
        match files.iter().flat_map(|file| &file.findings).any(fails) {
            true => Err(Failure::told()),
            false => Ok(()),
        }
    }

    /// Builds before and after, and shows what is saved.
    fn prove(
        &self,
        face: &Face,
        path: &Path,
        file: &Opened,
        reviewer: &Reviewer<'_>,
    ) -> Result<(), Failure> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let context = match (&self.context, directory) {
            (Some(context), _) => context.as_path(),
            (None, Some(directory)) => directory,
            (None, None) => Path::new("."),
        };
        let mut options = BuildOptions::default();
        options.input.context = context.display().to_string();
        let args = reviewer.input.build_args.iter();
        options.values.build_args = args
            .map(|(name, value)| (name.clone(), Some(value.clone())))
            .collect();
        let mode = if face.output.talk_on_terminal() {
            Mode::Terminal
        } else {
            Mode::Quiet
        };
        let display = Arc::new(Display::new(Arc::clone(&face.output), mode, false)?);
        let warn = Arc::clone(&face.output);
        let ops = Context::new(
            face.settings()?.into_ops(),
            Arc::new(move |line: &str| warn.warn(line)),
        );
        let cancel = Cancel::new()?;
        let workshop = Workshop {
            ops: &ops,
            options: &options,
            ignore: files::own_ignore(path),
            progress: &*display,
            cancel: &cancel,
        };
        let proof = prove::prove(&workshop, reviewer, &file.text, &|finding| {
            self.is_wanted(finding)
        });
        display.finish();
        let proof = proof?;
        let mut table = String::new();
        let mut size = proof.before_bytes;
        for (finding, after) in &proof.changes {
            let line = format!("line {}", finding.line());
            table.push_str(&format!(
                "{:>10}  {:<24} {line}\n",
                saved(size, *after),
                finding.guide.name
            ));
            size = *after;
        }
        face.output.data(&table)?;
        if proof.changes.is_empty() {
            face.output.talk(&format!(
                "{}: nothing that --fix could make smaller",
                file.name
            ));
            return Ok(());
        }
        let (before, after) = (proof.before_bytes, proof.after_bytes);
        let line = format!(
            "{:>10}  in all: {} instead of {}",
            saved(before, after),
            units::human_size(after),
            units::human_size(before)
        );
        Ok(face.output.line(&line)?)
    }
}

/// A difference of sizes with its sign.
fn saved(before: u64, after: u64) -> String {
    match after.cmp(&before) {
        std::cmp::Ordering::Greater => {
            format!("+{}", units::human_size_with_digits(after - before, 3))
        }
        std::cmp::Ordering::Equal => units::human_size_with_digits(0, 3),
        std::cmp::Ordering::Less => {
            format!("-{}", units::human_size_with_digits(before - after, 3))
        }
    }
}

fn failed(name: &str, error: &dyn std::error::Error) -> Failure {
    Failure::plain(format!("failed to lint {name}: {error}"))
}

/// A Dockerfile on stdin. Nobody knows what its context is.
fn stdin() -> Result<Opened, files::FilesError> {
    let mut text = Vec::new();
    let limit = limits::DOCKERFILE_BYTES as u64 + 1;
    let read = io::stdin().lock().take(limit).read_to_end(&mut text);
    read.map_err(|source| files::FilesError::List {
        path: PathBuf::from(STDIN),
        source,
    })?;
    Ok(Opened {
        name: STDIN.to_owned(),
        text,
        ignored: None,
    })
}

fn diff(name: &str, before: &[u8], after: &[u8]) -> String {
    let (before, after) = (
        String::from_utf8_lossy(before),
        String::from_utf8_lossy(after),
    );
    let diff = TextDiff::from_lines(before.as_ref(), after.as_ref());
    let mut shown = diff.unified_diff();
    shown.context_radius(2).header(name, name).to_string()
}

/// All rules, one a line.
fn rules(face: &Face) -> Result<(), Failure> {
    let mut text = format!(
        "{:<32}{:<10}{:<8}{}\n",
        "RULE", "SEVERITY", "FIX", "HADOLINT"
    );
    for guide in guide::all() {
        let mended = match (guide.is_mended, guide.is_daring()) {
            (false, _) => "",
            (true, false) => "fix",
            (true, true) => "unsafe",
        };
        let codes = guide.codes.join(",");
        let line = format!("{:<32}{:<10}{mended:<8}{codes}", guide.name, guide.severity);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(face.output.data(&text)?)
}
