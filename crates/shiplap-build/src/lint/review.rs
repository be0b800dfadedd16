//! All that can be said of a Dockerfile: BuildKit's checks and the rules of our own, without what
//! comments silence.

use shiplap_model::dockerfile::{self, Kind, Reading, Span};
use shiplap_model::ignore::Patterns;

use super::finding::Finding;
use super::guide::{self, INVALID, Severity};
use super::practice::json_guide;
use super::settings::Settings;
use super::sheet::Sheet;
use super::silence::Silence;
use super::weigh::Scale;
use super::{Failure, Rule, SettingsError, Subject, Warning, mend, practice};
use crate::plan::{Breadth, PlanInput, Resolved};

/// What is known around a Dockerfile, and what is wanted of its review.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'w> {
    /// The context's ignore file was looked for.
    pub knows_context: bool,
    /// Registries that base images may come from; none: all.
    pub trusted_registries: &'w [String],
}

/// Who reviews Dockerfiles.
#[derive(Debug, Clone, Copy)]
pub struct Reviewer<'r> {
    /// What the caller decides.
    pub input: &'r PlanInput,
    /// What is known of base images.
    pub resolved: &'r Resolved,
    /// What the context leaves out.
    pub ignored: Option<&'r Patterns>,
    /// What is wanted.
    pub wishes: Wishes<'r>,
}

impl Reviewer<'_> {
    /// All that is found in a Dockerfile, in the order of lines.
    ///
    /// # Errors
    /// [`SettingsError`] if the file does not say well which checks are wanted.
    pub fn review(&self, text: &[u8]) -> Result<Vec<Finding>, SettingsError> {
        let reading = dockerfile::read(text);
        self.review_reading(text, &reading)
    }

    /// The same of a file that was read already.
    ///
    /// # Errors
    /// [`SettingsError`] if the file does not say well which checks are wanted.
    pub fn review_reading(
        &self,
        text: &[u8],
        reading: &Reading,
    ) -> Result<Vec<Finding>, SettingsError> {
        let subject = Subject {
            reading,
            input: self.input,
            resolved: self.resolved,
            ignored: self.ignored,
            breadth: Breadth::All,
        };
        let checked = super::check(&subject)?;
        let sheet = Sheet::new(text, reading.file.escape);
        let silence = Silence::read(&sheet, &reading.file);
        let mut findings: Vec<Finding> = Vec::new();
        let scale = Scale {
            file: &reading.file,
            warnings: &checked.warnings,
            knows_images: !self.resolved.images.is_empty(),
        };
        for warning in &checked.warnings {
            let finding = of_warning(warning, &sheet, reading);
            let edits = mend::of_check(warning, &sheet, &reading.file);
            let finding = finding.mend(edits.into_iter().map(Some));
            findings.extend(scale.weigh(warning, finding));
        }
        if let Some(failure) = checked
            .failure
            .as_ref()
            .filter(|failure| !wants_arguments(failure, reading))
        {
            findings.extend(of_failure(failure));
        }
        if reading.errors.is_empty() {
            findings.extend(practice::look(&subject, &sheet, &self.wishes));
            findings.extend(silence.unknown(&sheet));
        }
        without_echo(&mut findings);
        let is_wanted = self.skips(reading)?;
        findings.retain(|finding| {
            finding.guide.name == INVALID.name || silence.lets(finding) && is_wanted(finding)
        });
        if checked.is_error {
            // The file itself says that warnings are to fail it: those of the checks that the comment is for.
            for finding in findings
                .iter_mut()
                .filter(|finding| finding.severity == Severity::Warning && !finding.is_own())
            {
                finding.severity = Severity::Error;
            }
        }
        findings.sort_by_key(|finding| {
            let column = finding.place.map_or(0, |place| place.column);
            (finding.line(), column, finding.guide.name)
        });
        findings.dedup();
        Ok(findings)
    }

    /// What `# check=skip=…` says of rules that are not BuildKit's.
    fn skips(&self, reading: &Reading) -> Result<impl Fn(&Finding) -> bool, SettingsError> {
        let given = self.input.build_args.get(super::CHECK_ARGUMENT);
        let text = given.or(reading.file.check.as_ref()).cloned();
        let settings = Settings::read(text.as_deref().unwrap_or_default())?;
        let mut within = Vec::new();
        for stage in &reading.file.stages {
            let own = stage
                .instructions
                .iter()
                .map(|instruction| (instruction.span, &instruction.comments));
            for (span, comments) in std::iter::once((stage.span, &stage.comments)).chain(own) {
                if comments
                    .iter()
                    .any(|comment| dockerfile::check_of(comment).is_some())
                {
                    within.push((span, settings.within(comments).into_owned()));
                }
            }
        }
        Ok(move |finding: &Finding| {
            let own = within.iter().find(|(span, _)| *span == finding.span);
            let settings = own.map_or(&settings, |(_, settings)| settings);
            !settings.skips(finding.guide.name)
        })
    }
}

/// Whether a build fails only because the base image's name is to come from the caller.
fn wants_arguments(failure: &Failure, reading: &Reading) -> bool {
    let Failure::Plan(error) = failure else {
        return false;
    };
    let global = reading
        .file
        .global_args
        .iter()
        .flat_map(|instruction| match &instruction.kind {
            Kind::Arg(args) => args.as_slice(),
            _ => &[],
        });
    let open: Vec<&str> = global
        .filter(|arg| arg.default.is_none())
        .map(|arg| arg.name.as_str())
        .collect();
    reading.file.stages.iter().any(|stage| {
        let names = |name: &&str| stage.from.image.contains(*name);
        error.span == Some(stage.span) && stage.from.image.contains('$') && open.iter().any(names)
    })
}

/// What is wrong with a file, one by one.
fn of_failure(failure: &Failure) -> Vec<Finding> {
    match failure {
        Failure::Syntax(errors) => {
            let each = errors.0.iter().map(|error| {
                let finding = Finding::new(&INVALID, error.span, error.fault.to_string());
                Finding {
                    place: error.place,
                    ..finding
                }
            });
            let mut found: Vec<Finding> = each.collect();
            // What is wrong with line after line is no text at all.
            found.dedup_by(|next, own| next.detail == own.detail);
            found
        }
        Failure::Plan(error) => {
            let span = error.span.unwrap_or_default();
            vec![Finding::new(&INVALID, span, error.fault.to_string())]
        }
    }
}

/// Of an array that is no JSON nothing else is told: it would judge what nobody meant.
fn without_echo(findings: &mut Vec<Finding>) {
    let is_it = |finding: &Finding| finding.guide.name == json_guide().name;
    let broken: Vec<Span> = { findings.iter() }
        .filter(|finding| is_it(finding))
        .map(|finding| finding.span)
        .collect();
    findings.retain(|finding| is_it(finding) || !broken.contains(&finding.span));
}

/// A warning of BuildKit's as a finding.
fn of_warning(warning: &Warning, sheet: &Sheet<'_>, reading: &Reading) -> Finding {
    let guide = guide::of_check(warning.rule);
    let finding = Finding::new(guide, warning.span, warning.detail.clone());
    let finding = match (
        warning.rule,
        mend::instruction_at(&reading.file, warning.span),
    ) {
        (Rule::MultipleInstructionsDisallowed, Some(instruction)) => match instruction.kind {
            Kind::Entrypoint(_) => finding.known_as("DL4004"),
            Kind::Healthcheck(_) => finding.known_as("DL3012"),
            _ => finding.known_as("DL4003"),
        },
        _ => finding,
    };
    let joined = sheet.join(warning.span, &[]);
    finding.at(sheet, joined.range(&mend::word_of(warning, &joined)))
}

#[cfg(test)]
mod tests;
