//! A build from beginning to end: context, Dockerfile and images are brought, the plan is carried
//! out, the image gets its documents and names, and all that was said is kept in the store.
//!
//! What was finished stays in the cache however the build ends.

mod call;
mod error;
mod finish;
mod loading;
mod prepare;
mod watch;

pub use call::{Checked, check, outline, targets};
pub use error::{BuildError, Cause};
pub use finish::BuiltImage;
pub use loading::forget_contexts;

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use shiplap_model::{Descriptor, Reference};
use shiplap_ops::container::create;
use shiplap_ops::step::{self, Cancel};
use shiplap_store::{BuildEnd, BuildStatus, CachePrune, Lease, RunningBuild};

use self::finish::{Finished, Finishing};
use self::loading::Loading;
use self::prepare::{Preparation, Prepared};
use self::watch::with_cancel;
use crate::agents::Agents;
use crate::context::{Context, ContextSource};
use crate::execute::files::OpenLayers;
use crate::execute::session::{PATIENCE, Permits, Session};
use crate::execute::{Failure, StageEnd, StepFact, schedule};
use crate::options::{BuildOptions, OnFailure};
use crate::plan::Plan;
use crate::progress::BuildProgress;
use crate::remote_cache::{self, CachePlace, CacheTarget};
use crate::report::Reporter;
use crate::result::Times;

/// Streams of the caller that a build may be told to use.
pub struct Streams<'s> {
    /// Where a context or Dockerfile called `-` comes from.
    pub stdin: &'s mut (dyn Read + Send),
    /// Where an output without a destination goes.
    pub stdout: &'s mut (dyn Write + Send),
}

/// What came of a build.
#[derive(Debug, Clone)]
pub struct Report {
    /// What the build is called: its log is kept under this name.
    pub build: String,
    /// The images, one for each platform.
    pub images: Vec<BuiltImage>,
    /// The index of several platforms.
    pub index: Option<Descriptor>,
    /// The names they got.
    pub names: Vec<Reference>,
    /// How steps came out, stage by stage.
    pub steps: Vec<StepFact>,
    /// Where all that was said is kept.
    pub log: PathBuf,
}

/// Builds.
///
/// # Errors
/// [`BuildError`]. Steps that were finished are in the cache.
pub fn build(
    ops: &shiplap_ops::Context,
    options: &BuildOptions,
    progress: &dyn BuildProgress,
    streams: &mut Streams<'_>,
    cancel: &Cancel,
) -> Result<Report, BuildError> {
    let store = ops.store()?;
    let lease = store.lease()?;
    let agents = Agents::start(ops, &lease, &options.execution.ssh)?;
    let running = store.begin_build(&new_id(), &name_of(options))?;
    let reporter = Reporter::new(progress, running.directory()).map_err(|source| Cause::Log {
        path: running.directory().join("log"),
        source,
    })?;
    let whole = Build {
        ops,
        lease: &lease,
        options,
        agents: &agents,
        reporter: &reporter,
        user: cancel,
    };
    let (id, log) = (running.id().to_owned(), reporter.log_path().to_owned());
    let done = with_cancel(cancel, |inner| {
        let mut facts = Vec::new();
        let done = whole.run(streams, inner, &mut facts);
        (done, facts)
    });
    let (done, steps) = done.map_err(Cause::System)?;
    let ended = whole.end(&running, &done, &steps);
    let finished = done.map_err(|error| error.with_log(&id, &log))?;
    ended?;
    whole.trim()?;
    Ok(Report {
        build: id,
        images: finished.images,
        index: finished.index,
        names: finished.names,
        steps,
        log,
    })
}

/// A build that is being made.
struct Build<'b, 'a> {
    ops: &'b shiplap_ops::Context,
    lease: &'b Lease,
    options: &'b BuildOptions,
    agents: &'b Agents,
    reporter: &'b Reporter<'a>,
    /// The user's wish to end; what a build ends for itself is told by another one.
    user: &'b Cancel,
}

impl Build<'_, '_> {
    fn run(
        &self,
        streams: &mut Streams<'_>,
        cancel: &Cancel,
        facts: &mut Vec<StepFact>,
    ) -> Result<Finished, BuildError> {
        finish::check_outputs(self.options)?;
        let targets = self.options.cache.to.iter().map(|text| text.parse());
        let targets = targets.collect::<Result<Vec<CacheTarget>, _>>()?;
        self.take_caches()?;
        let prepared = Preparation {
            loading: Loading::new(self.ops, self.lease, self.options, self.agents),
            reporter: self.reporter,
        }
        .prepare(streams.stdin)?;
        // All platforms have the Dockerfile's arguments.
        let first = prepared.plans.first();
        if let Some(plan) = first.filter(|plan| !plan.unused_args.is_empty()) {
            let unused = plan.unused_args.join(" ");
            let text = format!("One or more build-args [{unused}] were not consumed");
            self.reporter.warn(&text);
        }
        let asked = first
            .and_then(|plan| plan.source_date_epoch)
            .or(self.options.values.source_date_epoch);
        let epoch = Epoch {
            asked,
            latest: asked.or(self.commit_time(&prepared)),
        };
        let ends = self.carry_out(&prepared, epoch, cancel)?;
        let told = ends.iter().flatten().flat_map(|end| end.facts.clone());
        facts.extend(told);
        Finishing {
            ops: self.ops,
            lease: self.lease,
            options: self.options,
            reporter: self.reporter,
            times: epoch.latest.map_or(Times::Files, Times::Fixed),
            caches: &targets,
        }
        .finish(&prepared.plans, &ends, streams.stdout)
    }

    /// When the context's commit was made, unless `SOURCE_DATE_EPOCH` is said to be nothing.
    fn commit_time(&self, prepared: &Prepared) -> Option<i64> {
        let said = self.options.values.build_args.get("SOURCE_DATE_EPOCH");
        let is_declined = matches!(said, Some(Some(text)) if text.is_empty());
        prepared.context.commit_time().filter(|_| !is_declined)
    }

    /// What tells projects apart whose Dockerfiles are called the same: where the context is, or, if it
    /// came through a pipe, what it is built as.
    fn project(&self, prepared: &Prepared) -> String {
        let context = match ContextSource::parse(&self.options.input.context) {
            Ok(ContextSource::Directory(_)) => {
                prepared.context.directory().to_string_lossy().into_owned()
            }
            Ok(ContextSource::Git(reference)) => reference.shown(),
            Ok(ContextSource::Stdin) => name_of(self.options),
            _ => self.options.input.context.clone(),
        };
        format!("{context}\n{}", prepared.file)
    }

    /// Takes what caches elsewhere have. One that can't be had is no reason to fail.
    fn take_caches(&self) -> Result<(), Cause> {
        let from = &self.options.cache.from;
        let places = from.iter().map(|text| text.parse());
        let places = places.collect::<Result<Vec<CachePlace>, _>>()?;
        for (text, place) in from.iter().zip(&places) {
            let name = format!("importing cache manifest from {text}");
            let talk = watch::Talk::new(self.reporter, name);
            let taken = remote_cache::take(self.ops, place, &talk);
            talk.end(None);
            if let Err(error) = taken {
                self.reporter.warn(&error.to_string());
            }
        }
        Ok(())
    }

    /// Carries the plans out, and remembers what the contexts' files were.
    fn carry_out(
        &self,
        prepared: &Prepared,
        epoch: Epoch,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<Arc<StageEnd>>>, BuildError> {
        let jobs = self
            .options
            .execution
            .jobs
            .map_or_else(jobs, NonZeroUsize::get);
        let session = Session {
            ops: self.ops,
            lease: self.lease,
            options: self.options,
            agents: self.agents,
            reporter: self.reporter,
            cancel,
            layers: OpenLayers::new(self.lease.store()),
            images: prepared.images.clone(),
            context: Arc::clone(&prepared.context),
            named: prepared.named.clone(),
            memories: self.lease.store().root().join(loading::MEMORIES),
            file: prepared.file.clone(),
            project: self.project(prepared),
            at_most_secs: epoch.latest,
            key_secs: epoch.asked,
            permits: Permits::new(jobs),
            context_is_told: std::sync::Once::new(),
        };
        let plans: &[Plan] = &prepared.plans;
        let done = schedule::run(&session, plans);
        let contexts = [&prepared.context]
            .into_iter()
            .chain(prepared.named.values());
        for context in contexts {
            self.remember(context);
        }
        done.map_err(|failure| self.failed(*failure, prepared))
    }

    /// Looked at again, a file that has not changed needs no reading.
    fn remember(&self, context: &Context) {
        if let Err(error) = context.memory().save() {
            let text = format!("what the context's files are is not remembered: {error}");
            self.reporter.warn(&text);
        }
    }

    /// What a failure comes to; with a shell in its root, if that was asked for.
    fn failed(&self, mut failure: Failure, prepared: &Prepared) -> BuildError {
        if failure.problem.is_canceled() {
            return Cause::Canceled.into();
        }
        let root = failure.root.take();
        if let (OnFailure::Shell, Some(mut root)) = (self.options.execution.on_failure, root) {
            let mut shell = root.step.clone();
            shell.args = vec!["/bin/sh".to_owned()];
            self.reporter.shell(&failure.name);
            let ended = step::shell(self.ops, self.lease, &shell, &mut root.changes, self.user);
            if let Err(error) = ended {
                self.reporter.warn(&error.to_string());
            }
        }
        BuildError::of_step(failure, &prepared.file, &prepared.text)
    }

    /// Records how it ended.
    fn end(
        &self,
        running: &RunningBuild,
        done: &Result<Finished, BuildError>,
        steps: &[StepFact],
    ) -> Result<(), BuildError> {
        let (status, image) = match done {
            Ok(finished) => {
                let image = finished.images.first().map(|image| image.id.clone());
                (BuildStatus::Completed, image)
            }
            Err(error) if error.is_canceled() => (BuildStatus::Canceled, None),
            Err(_) => (BuildStatus::Failed, None),
        };
        let cached = steps.iter().filter(|step| step.is_cached).count();
        let end = BuildEnd {
            status,
            image,
            steps: steps.len() as u64,
            cached: cached as u64,
        };
        // A step may have filled the disk: the kernel frees what it wrote a moment after it is gone.
        let mut attempts = if done.is_err() { ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match running.end(&end) {
                Err(_) if attempts > 0 => std::thread::sleep(PATIENCE),
                ended => return Ok(ended?),
            }
        }
    }

    /// Keeps the cache within its bounds.
    fn trim(&self) -> Result<(), BuildError> {
        let Some(keep_bytes) = self.options.cache.keep_bytes else {
            return Ok(());
        };
        let pruned = self.lease.store().prune_build_cache(&CachePrune {
            keep_bytes: Some(keep_bytes),
            ..CachePrune::default()
        })?;
        pruned.trash.leave();
        Ok(())
    }
}

/// Where times end, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    /// `SOURCE_DATE_EPOCH`.
    asked: Option<i64>,
    /// That, or the time of the context's commit.
    latest: Option<i64>,
}

/// How often it is tried to record the end of a build that failed.
const ATTEMPTS: u32 = 50;

/// Steps that run at once, unless the user says how many.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().max(2))
}

/// What people call the build.
fn name_of(options: &BuildOptions) -> String {
    match options.result.tags.first() {
        Some(tag) => tag.familiar(),
        None => shown(&options.input.context),
    }
}

/// A context as it may be kept: addresses hold passwords, and queries too.
fn shown(context: &str) -> String {
    match ContextSource::parse(context) {
        Ok(ContextSource::Git(reference)) => reference.shown(),
        Ok(ContextSource::Url(address)) => {
            let address = address.split(['?', '#']).next().unwrap_or_default();
            let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
            let authority = rest.split('/').next().unwrap_or_default();
            let hidden = authority.rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", rest.get(hidden..).unwrap_or_default())
        }
        _ => context.to_owned(),
    }
}

/// 24 random hex digits.
fn new_id() -> String {
    let mut id = create::new_id();
    id.truncate(24);
    id
}
