//! From a Dockerfile to the plan: stage after stage, instruction after instruction.

use std::collections::BTreeSet;
use std::sync::Arc;

use shiplap_model::config::ImageConfig;
use shiplap_model::dockerfile::{Dockerfile, Instruction, Kind, Span};
use shiplap_model::{Platform, limits};

use super::budget;
use super::draft::{Draft, State};
use super::epoch::{self, Epoch};
use super::error::{Fault, PlanError};
use super::graph::{Graph, Node, Origin, Reach};
use super::input::{Needs, PlanInput, Resolved, ResolvedImage};
use super::naming::{self, Naming};
use super::variables::{self, Variables};
use super::{Base, Breadth, Plan, Stage, StageId};

/// What must be known before [`plan`] can be made. Images whose triggers need further images make
/// it a matter of several rounds: ask until [`Needs::images`] is empty.
///
/// # Errors
/// [`PlanError`].
pub fn needs(
    file: &Dockerfile,
    input: &PlanInput,
    resolved: &Resolved,
) -> Result<Needs, PlanError> {
    needs_of(file, input, resolved, Breadth::Target)
}

/// The same for more than the target.
///
/// # Errors
/// As [`needs`].
pub fn needs_of(
    file: &Dockerfile,
    input: &PlanInput,
    resolved: &Resolved,
    breadth: Breadth,
) -> Result<Needs, PlanError> {
    let graph = Graph::new(file, input)?;
    let epoch = epoch::of(&graph)?;
    Ok(Needs {
        epoch: epoch.filter(|epoch| !matches!(epoch, Epoch::Seconds(_))),
        ..graph.reach(resolved, breadth)?.into_needs()
    })
}

/// What is known of the base images, and of those of which nothing is known what can be expected of any.
///
/// # Errors
/// As [`needs`].
pub(crate) fn assumed(
    file: &Dockerfile,
    input: &PlanInput,
    resolved: &Resolved,
    breadth: Breadth,
) -> Result<Resolved, PlanError> {
    let mut resolved = resolved.clone();
    loop {
        let needs = needs_of(file, input, &resolved, breadth)?;
        if needs.images.is_empty() {
            return Ok(resolved);
        }
        for needed in needs.images {
            let image = ResolvedImage {
                config: Arc::new(State::bare(&needed.key.platform)),
                digest: None,
            };
            resolved.images.insert(needed.key, image);
        }
    }
}

/// Makes a plan only for somebody to look on; what it is, nobody asks.
///
/// # Errors
/// As [`plan`].
pub(crate) fn observe(
    file: &Dockerfile,
    input: &PlanInput,
    resolved: &Resolved,
    breadth: Breadth,
    witness: &mut dyn Witness,
) -> Result<(), PlanError> {
    let graph = Graph::new(file, input)?;
    let reach = graph.reach(resolved, breadth)?;
    let mut composer = Composer::new(&graph, resolved);
    for number in &reach.stages {
        composer.stage(*number, &reach, witness)?;
    }
    Ok(())
}

/// Looks on while a plan is made.
pub(crate) trait Witness {
    /// A stage, by its number, begins with its `FROM` at `span`.
    fn stage(&mut self, graph: &Graph<'_>, number: usize, span: Span);

    /// An instruction will be read; it sees `state`.
    fn instruction(&mut self, instruction: &Instruction, state: &State);
}

/// Nobody looks.
impl Witness for () {
    fn stage(&mut self, _: &Graph<'_>, _: usize, _: Span) {}

    fn instruction(&mut self, _: &Instruction, _: &State) {}
}

/// What is to be done for one platform: the stages that the target needs, and nothing else.
///
/// # Errors
/// [`PlanError`]; [`Fault::Unresolved`] if something of [`needs`] is missing in `resolved`.
pub fn plan(file: &Dockerfile, input: &PlanInput, resolved: &Resolved) -> Result<Plan, PlanError> {
    let graph = Graph::new(file, input)?;
    let source_date_epoch = source_date_epoch(&graph)?;
    let reach = graph.reach(resolved, Breadth::Target)?;
    let mut composer = Composer::new(&graph, resolved);
    for number in &reach.stages {
        composer.stage(*number, &reach, &mut ())?;
    }
    let Composer { places, stages, .. } = composer;
    let mut plan = Plan {
        stages,
        target: places
            .get(reach.target)
            .copied()
            .flatten()
            .unwrap_or_default(),
        platform: input.target_platform().clone(),
        source_date_epoch,
        unused_args: unused_args(&graph, &reach),
    };
    finish(&mut plan, input)?;
    Ok(plan)
}

/// Arguments that are given but declared nowhere, and that have no meaning of their own.
fn unused_args(graph: &Graph<'_>, reach: &Reach) -> Vec<String> {
    let own = graph
        .file
        .stages
        .iter()
        .flat_map(|stage| &stage.instructions);
    let triggers = reach.triggers.values().flatten();
    let written = graph.file.global_args.iter().chain(own).chain(triggers);
    let declared: BTreeSet<&str> = written
        .filter_map(|instruction| match &instruction.kind {
            Kind::Arg(arguments) => Some(arguments),
            _ => None,
        })
        .flatten()
        .map(|argument| argument.name.as_str())
        .collect();
    let given = graph.input.build_args.keys();
    given
        .filter(|name| !declared.contains(name.as_str()) && !variables::is_predefined(name))
        .cloned()
        .collect()
}

/// What only the target's image gets: labels of the call, and the platform that was asked for.
fn finish(plan: &mut Plan, input: &PlanInput) -> Result<(), PlanError> {
    let Some(target) = plan.stages.get_mut(plan.target.0) else {
        return Ok(());
    };
    let image = Arc::make_mut(&mut target.config);
    image.config.labels.extend(input.labels.iter().cloned());
    if let Some(wanted) = &input.platform {
        let is_same = wanted.os == image.os && wanted.architecture == image.architecture;
        image.os.clone_from(&wanted.os);
        image.architecture.clone_from(&wanted.architecture);
        if wanted.variant.is_some() || !is_same {
            image.variant.clone_from(&wanted.variant);
        }
        if wanted.os_version.is_some() || !is_same {
            image.os_version.clone_from(&wanted.os_version);
        }
        if !wanted.os_features.is_empty() {
            image.os_features.clone_from(&wanted.os_features);
        }
    }
    let platform = image.platform().normalize();
    image.os = platform.os;
    image.architecture = platform.architecture;
    image.variant = platform.variant;
    let length = serde_json::to_vec(image).map_or(0, |bytes| bytes.len());
    if length as u64 > limits::CONFIG_BYTES {
        return Err(PlanError {
            span: None,
            fault: Fault::ConfigTooLarge,
        });
    }
    if input.platform.is_none() {
        plan.platform = image.platform();
    }
    Ok(())
}

/// The seconds, if they are known. A context says them to whoever looks into it, which is what
/// happens without any.
fn source_date_epoch(graph: &Graph<'_>) -> Result<Option<i64>, PlanError> {
    match epoch::of(graph)? {
        None | Some(Epoch::Context) => Ok(None),
        Some(Epoch::Seconds(seconds)) => Ok(Some(seconds)),
        Some(Epoch::Named(_) | Epoch::Remote(_)) => Err(PlanError {
            span: None,
            fault: Fault::SourceDateEpoch(
                graph
                    .globals
                    .get(epoch::NAME)
                    .unwrap_or_default()
                    .to_owned(),
            ),
        }),
    }
}

struct Composer<'g> {
    graph: &'g Graph<'g>,
    resolved: &'g Resolved,
    /// Places of planned stages, by their numbers in the Dockerfile.
    places: Vec<Option<StageId>>,
    /// How the planned stages end.
    states: Vec<State>,
    stages: Vec<Stage>,
}

impl<'g> Composer<'g> {
    fn new(graph: &'g Graph<'g>, resolved: &'g Resolved) -> Self {
        Self {
            graph,
            resolved,
            places: vec![None; graph.nodes.len()],
            states: Vec::new(),
            stages: Vec::new(),
        }
    }

    fn stage(
        &mut self,
        number: usize,
        reach: &Reach,
        witness: &mut dyn Witness,
    ) -> Result<(), PlanError> {
        let graph = self.graph;
        let (Some(node), Some(written)) = (graph.nodes.get(number), graph.file.stages.get(number))
        else {
            return Ok(());
        };
        let at = |fault: Fault| fault.at(written.span);
        let (base, state) = self.begin(node).map_err(at)?;
        // It is kept twice: as what the stage ends with, and for those that begin with it.
        let budget = &graph.globals.budget;
        budget
            .take(2 * budget::of_image(&state.image))
            .map_err(at)?;
        let triggers = reach.triggers.get(&number).map_or(&[][..], Vec::as_slice);
        let mut naming = self.naming(node, &state, triggers);
        let vertex = self.vertex(node, &base, &mut naming);
        let shared = Arc::new(state.image.config.clone());
        let mut draft = Draft {
            graph,
            places: &self.places,
            state,
            steps: Vec::new(),
            naming,
            name: node.name.clone(),
            shared,
            is_cmd_set: false,
        };
        witness.stage(graph, number, written.span);
        if !node.is_replaced {
            for trigger in triggers {
                witness.instruction(trigger, &draft.state);
                draft.take(trigger, true)?;
            }
            for instruction in &written.instructions {
                witness.instruction(instruction, &draft.state);
                draft.take(instruction, false)?;
            }
        }
        let Draft { state, steps, .. } = draft;
        let place = StageId(self.stages.len());
        self.stages.push(Stage {
            name: node.name.clone(),
            given_name: written.from.name.clone(),
            base,
            platform: state.platform.clone(),
            span: written.span,
            vertex,
            steps,
            config: Arc::new(state.image.clone()),
            base_history: state.base_history,
        });
        self.states.push(state);
        if let Some(slot) = self.places.get_mut(number) {
            *slot = Some(place);
        }
        Ok(())
    }

    /// What a stage begins with, and what it knows then.
    fn begin(&self, node: &Node) -> Result<(Base, State), Fault> {
        let platform = self.platform(node);
        let budget = &self.graph.globals.budget;
        Ok(match &node.base {
            Origin::Scratch => (
                Base::Scratch,
                State::empty(self.graph.input.target_platform(), budget),
            ),
            Origin::Named(name) => (Base::Named(name.clone()), State::empty(platform, budget)),
            Origin::Image(key) => {
                let image = self.resolved.images.get(key);
                let image = image.ok_or_else(|| Fault::Unresolved(key.clone()))?;
                (
                    Base::Image(key.clone()),
                    State::on(&image.config, platform, budget),
                )
            }
            Origin::Stage(stage) => {
                let place = self.places.get(*stage).copied().flatten();
                let state = place.and_then(|place| self.states.get(place.0));
                match (place, state) {
                    (Some(place), Some(state)) => (Base::Stage(place), state.inherited()),
                    _ => {
                        return Err(Fault::LaterStage {
                            from: node.base_text.clone(),
                            stage: node.name.clone(),
                        });
                    }
                }
            }
        })
    }

    fn platform<'p>(&'p self, node: &'p Node) -> &'p Platform {
        let wanted = node.platform.as_ref();
        wanted.unwrap_or_else(|| self.graph.input.target_platform())
    }

    fn naming(&self, node: &Node, state: &State, triggers: &[Instruction]) -> Naming {
        let input = self.graph.input;
        let written = self.graph.file.stages.iter().zip(&self.graph.nodes);
        let own = written.filter(|(_, other)| std::ptr::eq(*other, node));
        let vertices = own
            .flat_map(|(stage, _)| &stage.instructions)
            .chain(triggers)
            .filter(|instruction| naming::is_vertex(instruction))
            .count();
        let base = matches!(node.base, Origin::Image(_) | Origin::Named(_));
        Naming::new(
            (!self.graph.has_one_stage()).then(|| node.name.clone()),
            input.shows_platform.then(|| state.platform.clone()),
            usize::from(base) + vertices,
        )
    }

    /// How progress calls a stage's beginning.
    fn vertex(&self, node: &Node, base: &Base, naming: &mut Naming) -> Option<String> {
        match base {
            Base::Scratch | Base::Stage(_) => None,
            Base::Named(name) => Some(format!("[context {name}] load from client")),
            Base::Image(key) => {
                let input = self.graph.input;
                let by_name = if node.is_replaced {
                    input.named_context(&node.name)
                } else {
                    input.named_context(&node.base_text)
                };
                if let Some((context, _)) = by_name {
                    return Some(format!("[context {context}] {}", key.name));
                }
                let digest = self
                    .resolved
                    .images
                    .get(key)
                    .and_then(|image| image.digest.as_ref());
                let text = match digest {
                    Some(digest) if !key.name.contains('@') => {
                        format!("FROM {}@{digest}", key.name)
                    }
                    _ => format!("FROM {}", key.name),
                };
                Some(naming.next(&text, &Variables::default(), false))
            }
        }
    }
}

impl Stage {
    /// The image's config at the end of this stage, without layers and times.
    #[must_use]
    pub fn image(&self) -> &ImageConfig {
        &self.config
    }
}
