//! `slim`.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use shiplap_model::{Reference, units};
use shiplap_ops::{
    base::{self, Suggestion},
    slim::{self, Checked, Choice, KeptBecause, SlimOptions, SlimReport},
    step::Cancel,
};

use crate::{
    face::{Face, Failure, Session},
    interrupt, words,
};

/// Lines of a failed check that are shown.
const SHOWN_LINES: usize = 40;

/// Make an image again without what it carries for nothing
///
/// What always goes: files that later layers hide or remove, package lists and caches, logs, temporary
/// files, histories of repositories; of files that can't be told apart one is kept, the others become links to
/// it. On request: docs, locales, pycache, build-tools, or a pattern of paths as in a .dockerignore. Layers
/// keep their order; those that would lose next to nothing stay as they are, so that they are still shared.
/// The image itself stays.
#[derive(Debug, Args)]
pub(crate) struct Slim {
    /// Command that has to succeed in the new image, run without network; if it fails there is none
    #[arg(long, value_name = "command")]
    check: Option<String>,
    /// Also drop a kind (docs, locales, pycache, build-tools; duplicate: of files that differ in nothing but
    /// their time, too) or a pattern of paths
    #[arg(long, value_name = "kind|pattern")]
    drop: Vec<Choice>,
    /// Say what would go, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Keep a kind (package-lists, language-cache, log, temporary, version-control, duplicate) or a pattern
    /// of paths in any case
    #[arg(long, value_name = "kind|pattern")]
    keep: Vec<Choice>,
    /// Leave the layers of this image, which the other was built on, as they are
    #[arg(long, value_name = "image")]
    keep_base: Option<String>,
    /// Don't ask the registry for a smaller base
    #[arg(long)]
    no_network: bool,
    /// Print only the ID of the new image
    #[arg(short, long)]
    quiet: bool,
    /// Name of the new image
    #[arg(short, long, value_name = "name:tag")]
    tag: Option<Reference>,
    /// Image to slim
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Slim {
    /// Whether a container is run.
    pub(crate) fn runs(&self) -> bool {
        self.check.is_some() && !self.dry_run
    }

    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        if self.tag.is_none() && !self.dry_run {
            return Err(Failure::plain(
                "a name for the new image is missing: -t NAME, or --dry-run to see what would go",
            ));
        }
        let options = SlimOptions {
            image: self.image,
            reference: self.tag,
            drop: self.drop,
            keep: self.keep,
            keep_base: self.keep_base,
            check: self.check,
            dry_run: self.dry_run,
        };
        let session = face.session(self.quiet || self.json)?;
        let report = made(&session, &options)?;
        if let Some(check) = report.check.as_ref().filter(|check| !check.is_green()) {
            if self.json {
                face.output.data(&format!("{:#}\n", json!(report)))?;
            }
            return Err(red(check));
        }
        for pattern in &report.idle {
            face.output.talk(&format!(
                "--drop {pattern}: the image has nothing there to drop"
            ));
        }
        let suggestion = match self.no_network || self.quiet {
            true => None,
            false => suggest(face, &session, &report),
        };
        if self.json {
            let mut value = json!(report);
            value["suggestion"] = json!(suggestion);
            face.output.data(&format!("{value:#}\n"))?;
        } else if self.quiet {
            if let Some(id) = &report.id {
                face.output.line(&id.to_string())?;
            }
        } else {
            face.output
                .data(&plain(&report, options.reference.as_ref()))?;
            if let Some(suggestion) = &suggestion {
                face.output.data(&smaller_base(suggestion))?;
            }
        }
        Ok(())
    }
}

/// Makes it, and can be interrupted meanwhile.
fn made(session: &Session, options: &SlimOptions) -> Result<SlimReport, Failure> {
    let cancel = Arc::new(Cancel::new()?);
    let signals = interrupt::listen(&cancel)?;
    let made = slim::slim(&session.context, options, &cancel, &*session.teller);
    signals.close();
    made.map_err(|error| match error.is_cancelled() {
        true => Failure::from(error).with_code(interrupt::EXIT_CODE),
        false => error.into(),
    })
}

/// Asks for a smaller base; what can't be asked is only told.
fn suggest(face: &Face, session: &Session, report: &SlimReport) -> Option<Suggestion> {
    base::suggest(&session.context, &report.from).unwrap_or_else(|error| {
        face.output.talk(&format!(
            "no smaller base is looked for (--no-network says so at once): failed to {error}"
        ));
        None
    })
}

/// A check that failed, with what it said.
fn red(check: &Checked) -> Failure {
    let lines: Vec<&str> = check.output.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    let mut message = format!(
        "the check {:?} ended with {}; no image was made",
        check.command, check.exit_code
    );
    for line in shown {
        message.push_str("\n  ");
        message.push_str(line);
    }
    Failure::plain(message)
}

fn plain(report: &SlimReport, tag: Option<&Reference>) -> String {
    let mut text = String::new();
    for saving in &report.saved {
        let files = match saving.files {
            1 => "1 file".to_owned(),
            files => format!("{files} files"),
        };
        text.push_str(&format!(
            "{:>8}  {} ({files})\n",
            words::size(saving.bytes),
            title(&saving.kind)
        ));
    }
    for (number, layer) in report.layers.iter().enumerate() {
        let what = match layer.kept {
            Some(KeptBecause::Base) => "kept: the base's".to_owned(),
            Some(KeptBecause::Clean) => "kept as it is".to_owned(),
            None if report.id.is_some() && layer.diff_id.is_none() => {
                "goes: nothing of it is left".to_owned()
            }
            None => format!("now {}", words::size(layer.after_bytes)),
        };
        text.push_str(&format!(
            "layer {:>2}  {:>8}  {what}\n",
            number + 1,
            words::size(layer.before_bytes)
        ));
    }
    let (before, after) = (report.before_bytes, report.after_bytes);
    let part = match before {
        0 => 0,
        before => (before - after.min(before)) * 100 / before,
    };
    let sizes = format!(
        "{} to {}: {} less ({part} %)",
        words::size(before),
        words::size(after),
        words::size(before - after.min(before)),
    );
    let is_slim = report.layers.iter().all(|layer| layer.kept.is_some());
    text.push_str(&match (&report.id, tag) {
        _ if is_slim => {
            let name = tag.filter(|_| report.id.is_some());
            let name = name.map(|tag| format!("; {} is another name of it", tag.familiar()));
            format!(
                "nothing to drop from {}{}\n",
                words::id(report.from.digest().as_str(), false),
                name.unwrap_or_default()
            )
        }
        (Some(id), Some(tag)) => format!(
            "{}  {}  {sizes}\n",
            tag.familiar(),
            words::id(id.digest().as_str(), false)
        ),
        _ => format!("would be {sizes}\n"),
    });
    text
}

/// A kind in words; a pattern as it is.
fn title(kind: &str) -> &str {
    match kind {
        "deleted" => "removed by a later layer",
        "overwritten" => "overwritten by a later layer",
        "rewritten" => "copied again by chown, chmod or touch",
        "package-lists" => "package lists and downloaded packages",
        "language-cache" => "caches of pip, npm, cargo and the like",
        "log" => "logs",
        "temporary" => "temporary and backup files",
        "version-control" => "histories of repositories",
        "duplicate" => "files that are the same, now links",
        "build-tools" => "build tools",
        "pycache" => "byte code of Python",
        "docs" => "documentation",
        "locales" => "translations",
        pattern => pattern,
    }
}

fn smaller_base(suggestion: &Suggestion) -> String {
    let size = |far: Option<u64>, here: Option<u64>| {
        let far = far.map(|bytes| format!("{} in the registry", units::human_size(bytes)));
        let here = here.map(|bytes| format!("{} here", units::human_size(bytes)));
        match [far, here].into_iter().flatten().collect::<Vec<_>>() {
            known if known.is_empty() => String::new(),
            known => format!(" ({})", known.join(", ")),
        }
    };
    let mut text = format!(
        "smaller bases than {}{}:\n",
        suggestion.base.familiar(),
        size(suggestion.size_bytes, suggestion.here_bytes)
    );
    for form in &suggestion.smaller {
        let caution = match form.is_musl() {
            true => "; its C library is musl: try it out",
            false => "",
        };
        text.push_str(&format!(
            "  FROM {}{}{caution}\n",
            form.reference.familiar(),
            size(form.size_bytes, form.here_bytes)
        ));
    }
    text
}
