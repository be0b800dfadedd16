//! Before anything is carried out: context and Dockerfile are read, checked and planned, images
//! and named contexts are brought.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use shiplap_model::Platform;
use shiplap_model::dockerfile::{self, SyntaxErrors};

use super::error::{BuildError, Cause};
use super::loading::Loading;
use super::watch::Talk;
use crate::context::{Context, Loaded};
use crate::images::{BaseImage, Images, find, find_all};
use crate::lint::{self, Finding, Reviewer, Severity, Subject, Wishes};
use crate::plan::{self, Breadth, Epoch, ImageKey, NeededImage, Needs, Plan, PlanInput};
use crate::report::Reporter;

/// All that is known before the first step.
pub(super) struct Prepared {
    pub(super) context: Arc<Context>,
    pub(super) named: BTreeMap<String, Arc<Context>>,
    /// What the Dockerfile is called, and what is in it.
    pub(super) file: String,
    pub(super) text: Vec<u8>,
    pub(super) images: BTreeMap<ImageKey, BaseImage>,
    /// One for each platform.
    pub(super) plans: Vec<Plan>,
}

/// What it is prepared with.
pub(super) struct Preparation<'p, 'a> {
    pub(super) loading: Loading<'p>,
    pub(super) reporter: &'p Reporter<'a>,
}

impl Preparation<'_, '_> {
    /// Prepares a build.
    pub(super) fn prepare(&self, stdin: &mut (dyn Read + Send)) -> Result<Prepared, BuildError> {
        let Loaded {
            context,
            dockerfile,
        } = self.load(stdin)?;
        let (name, text) = (dockerfile.name, dockerfile.text);
        let in_file = |cause: Cause| BuildError::in_file(cause, &name, &text);
        let reading = dockerfile::read(&text);
        if !reading.errors.is_empty() {
            let errors = SyntaxErrors(reading.errors);
            return Err(in_file(Cause::Syntax(errors)));
        }
        let options = self.loading.options;
        let input = &options.input;
        let platforms: Vec<Option<&Platform>> = match input.platforms.len() {
            0 => vec![None],
            _ => input.platforms.iter().map(Some).collect(),
        };
        let (mut plans, mut images) = (Vec::new(), BTreeMap::new());
        let mut named = BTreeMap::new();
        for (number, platform) in platforms.into_iter().enumerate() {
            let host = &self.loading.ops.settings().platform;
            let mut input = PlanInput::new(options, platform, host);
            let found = find_all(&reading.file, &input, &mut |needed| self.find(needed));
            let (needs, found) = found.map_err(|error| in_file(error.into()))?;
            let Images {
                resolved,
                images: these,
            } = found;
            if number == 0 {
                // Checks are of the file: once is enough.
                let subject = Subject {
                    reading: &reading,
                    input: &input,
                    resolved: &resolved,
                    ignored: Some(context.ignore()),
                    breadth: Breadth::Target,
                };
                self.check(&subject, &text).map_err(in_file)?;
            }
            let mut wanted = needs.named_contexts.clone();
            wanted.retain(|name| !named.contains_key(name));
            named.extend(self.loading.named(&wanted)?);
            self.set_epoch(&mut input, &needs, &context, &mut named)?;
            let planned = plan::plan(&reading.file, &input, &resolved);
            plans.push(planned.map_err(|error| in_file(error.into()))?);
            images.extend(these);
        }
        Ok(Prepared {
            named,
            context: Arc::new(context),
            file: name,
            text,
            images,
            plans,
        })
    }

    fn load(&self, stdin: &mut (dyn Read + Send)) -> Result<Loaded, BuildError> {
        let file = self.loading.options.input.file.as_deref();
        let file = file.unwrap_or("Dockerfile");
        let vertex = self
            .reporter
            .start(&format!("[internal] load build definition from {file}"));
        match self.loading.load(stdin) {
            Ok(loaded) => {
                let size = loaded.dockerfile.text.len() as u64;
                let size = shiplap_model::units::human_size(size);
                vertex.status(&format!("transferring dockerfile: {size}"));
                vertex.done();
                Ok(loaded)
            }
            Err(cause) => {
                vertex.failed(&cause.to_string());
                Err(cause.into())
            }
        }
    }

    /// Where `SOURCE_DATE_EPOCH` names a context, its commit's time is meant.
    fn set_epoch(
        &self,
        input: &mut PlanInput,
        needs: &Needs,
        context: &Context,
        named: &mut BTreeMap<String, Arc<Context>>,
    ) -> Result<(), BuildError> {
        match &needs.epoch {
            Some(Epoch::Context) => input.set_epoch(context.commit_time()),
            Some(Epoch::Named(name)) => {
                if !named.contains_key(name) {
                    named.extend(self.loading.named(std::slice::from_ref(name))?);
                }
                let context = named.get(name);
                input.set_epoch(context.and_then(|context| context.commit_time()));
            }
            // The plan knows the seconds, or says why they can't be had.
            Some(Epoch::Seconds(_) | Epoch::Remote(_)) | None => {}
        }
        Ok(())
    }

    fn find(
        &self,
        needed: &NeededImage,
    ) -> Result<(BaseImage, plan::ResolvedImage), crate::images::ImageError> {
        let name = format!("[internal] load metadata for {}", needed.key.name);
        let talk = Talk::new(self.reporter, name);
        let always = self.loading.options.input.pull;
        let (ops, lease) = (self.loading.ops, self.loading.lease);
        let found = find(ops, lease, needed, always, &talk);
        let failure = found.as_ref().err().map(ToString::to_string);
        talk.end(failure.as_deref());
        found
    }

    /// Tells what is likely not meant; fails if the file says that it shall.
    fn check(&self, subject: &Subject<'_>, text: &[u8]) -> Result<(), Cause> {
        let findings = lint::check(subject)?;
        for warning in &findings.warnings {
            self.reporter.warn(&warning.to_string());
        }
        self.advise(subject, text)?;
        match findings.violation() {
            Some(violation) => Err(violation.into()),
            None => Ok(()),
        }
    }

    /// Tells what of our own rules is grave, and how many more findings there are.
    fn advise(&self, subject: &Subject<'_>, text: &[u8]) -> Result<(), Cause> {
        let reviewer = Reviewer {
            input: subject.input,
            resolved: subject.resolved,
            ignored: subject.ignored,
            wishes: Wishes::default(),
        };
        let findings = reviewer.review_reading(text, subject.reading)?;
        let own = findings.iter().filter(|finding| finding.is_own());
        let (grave, others): (Vec<&Finding>, Vec<&Finding>) = { own }
            .filter(|finding| finding.severity >= Severity::Warning)
            .partition(|finding| finding.guide.severity == Severity::Error);
        for finding in grave {
            self.reporter.warn(&finding.to_string());
        }
        match others.len() {
            0 => {}
            1 => self
                .reporter
                .warn("1 more warning of size, cache or safety: lint tells it"),
            count => {
                let text =
                    format!("{count} more warnings of size, cache or safety: lint tells them");
                self.reporter.warn(&text);
            }
        }
        Ok(())
    }
}
