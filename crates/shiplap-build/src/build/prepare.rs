//! Before anything is carried out: context and Dockerfile are read, checked and planned, images
//! and named contexts are brought.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use shiplap_model::Platform;
use shiplap_model::dockerfile::{self, SyntaxErrors};
use shiplap_store::Lease;

use super::error::{BuildError, Cause};
use super::watch::Talk;
use crate::context::{self, Context, ContextSource, Loaded, Surroundings};
use crate::images::{BaseImage, Images, find, find_all};
use crate::lint::{self, Subject};
use crate::options::BuildOptions;
use crate::plan::{self, Breadth, ImageKey, NamedContext, NeededImage, Plan, PlanInput};
use crate::report::Reporter;

/// What files of contexts were is remembered here, in the store's directory.
pub(super) const MEMORIES: &str = "contexts";

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
    pub(super) ops: &'p shiplap_ops::Context,
    pub(super) lease: &'p Lease,
    pub(super) options: &'p BuildOptions,
    pub(super) reporter: &'p Reporter<'a>,
}

impl Preparation<'_, '_> {
    /// Prepares a build.
    pub(super) fn prepare(&self, stdin: &mut (dyn Read + Send)) -> Result<Prepared, BuildError> {
        let memories = self.lease.store().root().join(MEMORIES);
        let agent = self.options.execution.ssh.get("default");
        let around = Surroundings {
            ops: self.ops,
            lease: self.lease,
            memories: Some(&memories),
            agent: agent.map(|socket| -> &Path { socket }),
        };
        let Loaded {
            context,
            dockerfile,
        } = self.load(stdin, around)?;
        let (name, text) = (dockerfile.name, dockerfile.text);
        let in_file = |cause: Cause| BuildError::in_file(cause, &name, &text);
        let reading = dockerfile::read(&text);
        if !reading.errors.is_empty() {
            let errors = SyntaxErrors(reading.errors);
            return Err(in_file(Cause::Syntax(errors)));
        }
        let input = &self.options.input;
        let platforms: Vec<Option<&Platform>> = match input.platforms.len() {
            0 => vec![None],
            _ => input.platforms.iter().map(Some).collect(),
        };
        let (mut plans, mut images) = (Vec::new(), BTreeMap::new());
        let mut wanted = Vec::new();
        for (number, platform) in platforms.into_iter().enumerate() {
            let host = &self.ops.settings().platform;
            let input = PlanInput::new(self.options, platform, host);
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
                self.check(&subject).map_err(in_file)?;
            }
            let planned = plan::plan(&reading.file, &input, &resolved);
            plans.push(planned.map_err(|error| in_file(error.into()))?);
            images.extend(these);
            wanted.extend(needs.named_contexts);
        }
        Ok(Prepared {
            named: self.named(&wanted, around)?,
            context: Arc::new(context),
            file: name,
            text,
            images,
            plans,
        })
    }

    fn load(
        &self,
        stdin: &mut (dyn Read + Send),
        around: Surroundings<'_>,
    ) -> Result<Loaded, BuildError> {
        let input = &self.options.input;
        let file = input.file.as_deref().unwrap_or("Dockerfile");
        let vertex = self
            .reporter
            .start(&format!("[internal] load build definition from {file}"));
        let loaded = ContextSource::parse(&input.context)
            .map_err(Cause::from)
            .and_then(|source| {
                let loaded = context::load(&source, input.file.as_deref(), stdin, around);
                loaded.map_err(Cause::from)
            });
        match loaded {
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

    fn find(
        &self,
        needed: &NeededImage,
    ) -> Result<(BaseImage, plan::ResolvedImage), crate::images::ImageError> {
        let name = format!("[internal] load metadata for {}", needed.key.name);
        let talk = Talk::new(self.reporter, name);
        let always = self.options.input.pull;
        let found = find(self.ops, self.lease, needed, always, &talk);
        let failure = found.as_ref().err().map(ToString::to_string);
        talk.end(failure.as_deref());
        found
    }

    /// Tells what is likely not meant; fails if the file says that it shall.
    fn check(&self, subject: &Subject<'_>) -> Result<(), Cause> {
        let findings = lint::check(subject)?;
        for warning in &findings.warnings {
            self.reporter.warn(&warning.to_string());
        }
        match findings.violation() {
            Some(violation) => Err(violation.into()),
            None => Ok(()),
        }
    }

    /// Contexts with names, as far as their files are used.
    fn named(
        &self,
        wanted: &[String],
        around: Surroundings<'_>,
    ) -> Result<BTreeMap<String, Arc<Context>>, BuildError> {
        let host = &self.ops.settings().platform;
        let input = PlanInput::new(self.options, None, host);
        let mut named = BTreeMap::new();
        for (name, text) in &self.options.input.named_contexts {
            if NamedContext::of(text) != NamedContext::Files {
                continue;
            }
            let Some((short, _)) = input.named_context(name) else {
                continue;
            };
            if !wanted.contains(&short) || named.contains_key(&short) {
                continue;
            }
            let source = ContextSource::parse_named(text).map_err(Cause::from)?;
            let context = context::load_named(&source, around).map_err(Cause::from)?;
            named.insert(short, Arc::new(context));
        }
        Ok(named)
    }
}
