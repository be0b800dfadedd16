//! One stage, step after step: each is found in the cache by its key, or carried out.
//!
//! A step is looked for twice: by what is known at a glance, without reading content (layers of the
//! root and of other stages, digests that are remembered), then by content. The latter is its key,
//! the former an alias of it. Records are taken into use in one go, before something is carried out
//! and at the end of the stage: a stage that is all in the cache writes once.

use shiplap_model::Digest;
use shiplap_model::dockerfile::Span;
use shiplap_store::{CachedLayer, DigestLock, LayerRecord, Lease, NewCachedStep, StoreError};

use super::around::Around;
use super::base::{begin, image_of_files};
use super::copying::CopyWork;
use super::ends::{Ends, RootImage, StageEnd};
use super::failure::{FailedRoot, Failure, Problem};
use super::running::RunWork;
use super::session::{PATIENCE, Session};
use super::workdir::WorkdirWork;
use crate::explain::{self, Manifest, Notes, Record};
use crate::key::{self, KeyInputs};
use crate::plan::{Action, Copy, Plan, Stage, StageId, Step};
use crate::remote_cache::RemoteStep;
use crate::report::Vertex;
use crate::result::ImageLayer;

/// How often a stage begins again because what it relied on was pruned meanwhile.
const ATTEMPTS: usize = 5;

/// What one kind of step knows of itself.
pub(super) trait Work {
    /// What decides its result as far as that is known without reading content; `None` if that is
    /// all there is to know.
    fn glance(&mut self) -> Result<Option<KeyInputs>, Problem>;

    /// What decides its result, and what it copies.
    fn inputs(&mut self) -> Result<(KeyInputs, Manifest), Problem>;

    /// Carries it out.
    fn execute(&mut self, vertex: &Vertex<'_, '_>) -> Result<LayerRecord, Broken>;
}

/// Why a step was not carried out to its end.
pub(super) struct Broken {
    pub(super) problem: Problem,
    pub(super) root: Option<Box<FailedRoot>>,
}

impl<P: Into<Problem>> From<P> for Broken {
    fn from(problem: P) -> Self {
        Self {
            problem: problem.into(),
            root: None,
        }
    }
}

/// A stage that is being made.
pub(super) struct StageRun<'s, 'a> {
    session: &'s Session<'a>,
    plan: &'s Plan,
    id: StageId,
    stage: &'s Stage,
    ends: &'s Ends,
    layers: Vec<ImageLayer>,
    image: RootImage,
    /// Records that are relied on but not yet taken into use.
    hits: Vec<Digest>,
    is_cache_ignored: bool,
    facts: Vec<StepFact>,
    shared: Vec<RemoteStep>,
}

/// How a step came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFact {
    /// As progress showed it.
    pub name: String,
    /// It was in the cache.
    pub is_cached: bool,
}

/// Why a stage has no end.
enum Stop {
    Failed(Box<Failure>),
    /// A record that was relied on is gone.
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// Makes a stage.
pub(super) fn run(
    session: &Session<'_>,
    plan: &Plan,
    id: StageId,
    ends: &Ends,
) -> Result<StageEnd, Box<Failure>> {
    let Some(stage) = plan.stages.get(id.0) else {
        // There is nobody who could wait for it.
        return Ok(StageEnd::default());
    };
    for _ in 0..ATTEMPTS {
        match attempt(session, (plan, id, stage), ends) {
            Ok(end) => return Ok(end),
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Gone) => {}
        }
    }
    Err(Box::new(of_stage(stage, Problem::Pruned)))
}

/// A failure that no step is to blame for.
fn of_stage(stage: &Stage, problem: Problem) -> Failure {
    Failure {
        span: stage.span,
        name: stage.vertex.clone().unwrap_or_else(|| stage.name.clone()),
        problem,
        tail: Vec::new(),
        root: None,
    }
}

fn attempt(
    session: &Session<'_>,
    (plan, id, stage): (&Plan, StageId, &Stage),
    ends: &Ends,
) -> Result<StageEnd, Stop> {
    let begun = begin(session, stage, ends);
    let begun = begun.map_err(|problem| of_stage(stage, problem))?;
    let cache = &session.options.cache;
    let names = [Some(&stage.name), stage.given_name.as_ref()];
    let is_named = |ignored: &String| {
        let mut names = names.iter().flatten();
        names.any(|name| name.eq_ignore_ascii_case(ignored))
    };
    let mut run = StageRun {
        session,
        plan,
        id,
        stage,
        ends,
        layers: begun.layers,
        image: begun.image,
        hits: Vec::new(),
        is_cache_ignored: cache.ignore || cache.ignored_stages.iter().any(is_named),
        facts: Vec::new(),
        shared: Vec::new(),
    };
    if let Some(copy) = &begun.copy {
        run.files(copy)?;
    }
    for (number, step) in stage.steps.iter().enumerate() {
        run.step(number, step)?;
    }
    run.flush(stage.span, &stage.name)?;
    Ok(StageEnd {
        layers: run.layers,
        base: run.image,
        facts: run.facts,
        shared: run.shared,
    })
}

/// Which step something is about.
#[derive(Clone, Copy)]
struct Label<'l> {
    span: Span,
    /// As progress shows it.
    name: &'l str,
    /// `RUN make`
    text: &'l str,
    /// Its place in the stage.
    number: usize,
}

impl Label<'_> {
    fn failure(&self, problem: Problem) -> Failure {
        Failure {
            span: self.span,
            name: self.name.to_owned(),
            problem,
            tail: Vec::new(),
            root: None,
        }
    }
}

impl<'s, 'a> StageRun<'s, 'a> {
    fn around(&self) -> Around<'s, 'a> {
        Around::new(
            self.session,
            self.stage,
            self.ends,
            &self.layers,
            &self.image,
        )
    }

    /// The files of a context, as the first layer.
    fn files(&mut self, copy: &Copy) -> Result<(), Stop> {
        let name = self.stage.vertex.as_deref().unwrap_or(&self.stage.name);
        let label = Label {
            span: self.stage.span,
            name,
            text: name,
            // Before all of them: no step of the plan has this number.
            number: usize::MAX,
        };
        let mut work = CopyWork::new(self.around(), copy);
        let layer = self.carry_out(label, &mut work)?;
        self.image = image_of_files(&self.image.name, &layer.diff_id);
        self.layers.push(layer);
        Ok(())
    }

    fn step(&mut self, number: usize, step: &'s Step) -> Result<(), Stop> {
        let label = Label {
            span: step.span,
            name: step.vertex.as_deref().unwrap_or(&step.name),
            text: &step.name,
            number,
        };
        let around = self.around();
        let layer = match &step.action {
            Action::Config => return Ok(()),
            Action::Workdir(workdir) => {
                let mut work = WorkdirWork::new(around, workdir, &step.config.user);
                self.carry_out(label, &mut work)?
            }
            Action::Copy(copy) => self.carry_out(label, &mut CopyWork::new(around, copy))?,
            Action::Run(run) => self.carry_out(label, &mut RunWork::new(around, run, step))?,
        };
        self.layers.push(layer);
        Ok(())
    }

    /// Finds a step's layer, or makes it.
    fn carry_out(&mut self, label: Label<'_>, work: &mut dyn Work) -> Result<ImageLayer, Stop> {
        let failed = |problem: Problem| Stop::from(label.failure(problem));
        if self.session.is_canceled() {
            return Err(failed(Problem::Canceled));
        }
        let glance = work.glance().map_err(failed)?.map(|inputs| inputs.key());
        if let Some(alias) = &glance
            && let Some(layer) = self.look(alias).map_err(failed)?
        {
            return Ok(self.hit(label, alias, layer));
        }
        let (inputs, manifest) = work.inputs().map_err(failed)?;
        let key = inputs.key();
        let found = self.look(&key).map_err(failed)?;
        if found.is_none() {
            // Others must not take away what is relied on while something runs.
            self.flush(label.span, label.name)?;
        }
        let (found, lock) = match found {
            Some(layer) => (Some(layer), None),
            None => self.look_alone(&key).map_err(failed)?,
        };
        if let Some(layer) = found {
            if let Some(alias) = &glance {
                let put = self.session.lease.put_cached_alias(alias, &key);
                put.map_err(|error| failed(error.into()))?;
            }
            return Ok(self.hit(label, &key, layer));
        }
        let record = Record {
            inputs,
            notes: Notes::of(self.plan, self.id, label.number, self.image.layers),
            manifest,
        };
        let due = Due {
            label,
            place: key::place(self.plan, &self.session.project, self.id, label.number),
            key,
            alias: glance,
            record,
        };
        let layer = self.execute(&due, work)?;
        drop(lock);
        Ok(layer)
    }

    /// Takes a layer from the cache.
    fn hit(&mut self, label: Label<'_>, key: &Digest, layer: CachedLayer) -> ImageLayer {
        self.session.reporter.cached(label.name);
        self.hits.push(key.clone());
        self.note(label, true, key, &layer);
        ImageLayer {
            diff_id: layer.layer.diff_id,
            tar_bytes: layer.layer.tar_bytes,
            newest_secs: layer.newest_secs,
        }
    }

    fn note(&mut self, label: Label<'_>, is_cached: bool, key: &Digest, layer: &CachedLayer) {
        self.facts.push(StepFact {
            name: label.name.to_owned(),
            is_cached,
        });
        self.shared.push(RemoteStep {
            key: key.clone(),
            layer: layer.layer.diff_id.clone(),
            // Where this machine has the project is no concern of others.
            place: key::place(self.plan, &self.session.file, self.id, label.number),
            description: label.text.to_owned(),
            newest_secs: layer.newest_secs,
        });
    }

    fn look(&self, key: &Digest) -> Result<Option<CachedLayer>, Problem> {
        if self.is_cache_ignored {
            return Ok(None);
        }
        Ok(self.session.lease.store().cached_layer(key)?)
    }

    /// Waits for others who carry out the same step, then looks again. Whoever gets no layer has
    /// the lock, so that others wait for him.
    fn look_alone(
        &self,
        key: &Digest,
    ) -> Result<(Option<CachedLayer>, Option<DigestLock>), Problem> {
        let store = self.session.lease.store();
        loop {
            if self.session.is_canceled() {
                return Err(Problem::Canceled);
            }
            if let Some(lock) = store.try_lock(key)? {
                let found = self.look(key)?;
                let lock = found.is_none().then_some(lock);
                return Ok((found, lock));
            }
            std::thread::sleep(PATIENCE);
        }
    }

    /// Takes all that was relied on so far into use.
    fn flush(&mut self, span: Span, name: &str) -> Result<(), Stop> {
        if self.hits.is_empty() {
            return Ok(());
        }
        let hits = std::mem::take(&mut self.hits);
        let held = self.session.lease.use_cached_steps(&hits);
        let held = held.map_err(|error| Failure {
            span,
            name: name.to_owned(),
            problem: error.into(),
            tail: Vec::new(),
            root: None,
        })?;
        if held.iter().any(Option::is_none) {
            return Err(Stop::Gone);
        }
        Ok(())
    }

    /// Carries a step out and keeps what it left.
    fn execute(&mut self, due: &Due<'_>, work: &mut dyn Work) -> Result<ImageLayer, Stop> {
        let session = self.session;
        let label = due.label;
        let Some(permit) = session.permits.take(session.cancel) else {
            return Err(label.failure(Problem::Canceled).into());
        };
        let vertex = session.reporter.start(label.name);
        if !self.is_cache_ignored {
            self.explain(due, &vertex);
        }
        let done = work.execute(&vertex).and_then(|layer| {
            let newest_secs = session.layers.newest(&layer.diff_id)?;
            let cached = CachedLayer { layer, newest_secs };
            due.keep(session.lease, &cached)?;
            Ok(cached)
        });
        drop(permit);
        let cached = match done {
            Ok(cached) => cached,
            Err(Broken { problem, root }) => {
                let tail = vertex.tail();
                if problem.is_canceled() {
                    vertex.canceled();
                } else {
                    vertex.failed(&problem.to_string());
                }
                let failure = Failure {
                    tail,
                    root,
                    ..label.failure(problem)
                };
                return Err(failure.into());
            }
        };
        vertex.done();
        self.note(label, false, &due.key, &cached);
        Ok(ImageLayer {
            diff_id: cached.layer.diff_id,
            tar_bytes: cached.layer.tar_bytes,
            newest_secs: cached.newest_secs,
        })
    }

    /// Says why it was not in the cache, if anything was here before.
    fn explain(&self, due: &Due<'_>, vertex: &Vertex<'_, '_>) {
        let store = self.session.lease.store();
        // What can't be read explains nothing.
        let Ok(Some((_, before))) = store.cached_inputs(&due.place) else {
            return;
        };
        let Some(before) = Record::decode(&before) else {
            return;
        };
        let explanation = explain::explain(Some(&before), &due.record);
        vertex.missed(&explanation.line);
        for detail in &explanation.details {
            vertex.explained(detail);
        }
    }
}

/// A step that is carried out.
struct Due<'l> {
    label: Label<'l>,
    place: Digest,
    key: Digest,
    alias: Option<Digest>,
    record: Record,
}

impl Due<'_> {
    /// Records what it left.
    fn keep(&self, lease: &Lease, cached: &CachedLayer) -> Result<(), StoreError> {
        lease.put_cached_step(&NewCachedStep {
            key: &self.key,
            layer: &cached.layer.diff_id,
            newest_secs: cached.newest_secs,
            place: &self.place,
            description: self.label.text,
            inputs: &self.record.encode(),
        })?;
        match &self.alias {
            Some(alias) => lease.put_cached_alias(alias, &self.key),
            None => Ok(()),
        }
    }
}
