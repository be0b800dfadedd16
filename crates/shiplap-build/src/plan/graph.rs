//! Which stages and images a target needs, and what every name in the Dockerfile means.

use std::collections::{BTreeMap, BTreeSet};

use shiplap_model::dockerfile::{self, Dockerfile, Instruction, Kind, Meant, MountType, Span};
use shiplap_model::{Platform, Reference, limits};

use super::error::{Fault, PlanError};
use super::input::{NamedContext, NeededImage, PlanInput, Resolved};
use super::variables::{self, Variables};
use super::{Breadth, ImageKey, Needs, naming};

/// The stages of a Dockerfile, and what they begin with.
pub(crate) struct Graph<'d> {
    pub(crate) file: &'d Dockerfile,
    pub(crate) input: &'d PlanInput,
    /// Arguments that `FROM` knows.
    pub(crate) globals: Variables,
    pub(crate) nodes: Vec<Node>,
}

/// One stage of the Dockerfile.
pub(crate) struct Node {
    /// Its name in lower case, or `stage-N`.
    pub(super) name: String,
    pub(super) is_named: bool,
    /// `FROM`'s image, expanded.
    pub(crate) base_text: String,
    pub(crate) base: Origin,
    /// `FROM --platform`.
    pub(crate) platform: Option<Platform>,
    /// A named context stands for the whole stage: its instructions are passed over.
    pub(super) is_replaced: bool,
}

/// Where files, or a stage's beginning, come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Scratch,
    /// A stage, by its number in the Dockerfile.
    Stage(usize),
    Image(ImageKey),
    Named(String),
}

/// What a stage needs beside its base.
pub(super) struct Dependency {
    pub(super) origin: Origin,
    pub(super) span: Span,
    /// As the instruction has it.
    name: String,
}

/// What is reachable from the target.
pub(super) struct Reach {
    /// Numbers of stages, in their order.
    pub(super) stages: BTreeSet<usize>,
    /// What the bases' triggers put before each stage's own instructions.
    pub(super) triggers: BTreeMap<usize, Vec<Instruction>>,
    pub(super) target: usize,
    needs: Needs,
}

/// Arguments that `FROM` knows.
pub(crate) fn globals(file: &Dockerfile, input: &PlanInput) -> Result<Variables, PlanError> {
    let last = file
        .stages
        .last()
        .and_then(|stage| stage.from.name.as_ref());
    let target = match (&input.target, last) {
        (Some(target), _) if !target.is_empty() => target.clone(),
        (_, Some(name)) => name.to_lowercase(),
        _ => "default".to_owned(),
    };
    variables::global(&file.global_args, file.escape, &target, input)
}

impl<'d> Graph<'d> {
    pub(crate) fn new(file: &'d Dockerfile, input: &'d PlanInput) -> Result<Self, PlanError> {
        let mut graph = Self {
            file,
            input,
            globals: globals(file, input)?,
            nodes: Vec::new(),
        };
        for (number, stage) in file.stages.iter().enumerate() {
            let node = graph
                .node(number, &stage.from)
                .map_err(|fault| fault.at(stage.span))?;
            graph.nodes.push(node);
        }
        Ok(graph)
    }

    fn node(&self, number: usize, from: &dockerfile::From) -> Result<Node, Fault> {
        let escape = self.file.escape;
        let base_text = self.globals.expand(&from.image, escape)?;
        if base_text.is_empty() {
            return Err(Fault::BlankBase(from.image.clone()));
        }
        let platform = match from.platform.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => {
                let expanded = self.globals.expand(text, escape)?;
                if expanded.is_empty() {
                    return Err(Fault::BlankPlatform(text.to_owned()));
                }
                let platform = Platform::parse_with(&expanded, &self.input.build_platform)?;
                Some(platform.normalize())
            }
            None => None,
        };
        let given = from.name.as_ref().map(|name| name.to_lowercase());
        let wanted = platform
            .as_ref()
            .unwrap_or_else(|| self.input.target_platform());
        let replacement = given.as_deref().map(|name| self.context(name, wanted));
        let replacement = replacement.transpose()?.flatten();
        let is_replaced = replacement.is_some();
        let base = match (replacement, self.find(&base_text)) {
            (Some(context), _) => context,
            (None, Some(stage)) => Origin::Stage(stage),
            (None, None) if base_text == "scratch" => Origin::Scratch,
            (None, None) => self.image(&base_text, wanted)?,
        };
        Ok(Node {
            is_named: given.is_some(),
            name: given.unwrap_or_else(|| format!("stage-{number}")),
            base_text,
            base,
            platform,
            is_replaced,
        })
    }

    /// The last stage of those known so far that has this name.
    fn find(&self, name: &str) -> Option<usize> {
        let name = name.to_lowercase();
        self.nodes
            .iter()
            .rposition(|node| node.is_named && node.name == name)
    }

    /// The named context that stands for a name.
    fn context(&self, name: &str, platform: &Platform) -> Result<Option<Origin>, Fault> {
        let Some((short, context)) = self.input.named_context(name) else {
            return Ok(None);
        };
        Ok(Some(match context {
            NamedContext::Scratch => Origin::Scratch,
            NamedContext::Files => Origin::Named(short),
            NamedContext::Image(text) if text.contains("://") => Origin::Image(ImageKey {
                name: text.clone(),
                platform: platform.clone(),
            }),
            NamedContext::Image(text) => Origin::Image(self.key(text, platform)?),
        }))
    }

    /// What a name that is no stage's means.
    fn image(&self, name: &str, platform: &Platform) -> Result<Origin, Fault> {
        match self.context(name, platform)? {
            Some(context) => Ok(context),
            None => Ok(Origin::Image(self.key(name, platform)?)),
        }
    }

    fn key(&self, name: &str, platform: &Platform) -> Result<ImageKey, Fault> {
        let reference = Reference::parse(name).map_err(|source| Fault::NoImage {
            name: name.to_owned(),
            meant: self.meant(name),
            source,
        })?;
        Ok(ImageKey {
            name: reference.or_latest().to_string(),
            platform: platform.clone(),
        })
    }

    /// The stage that a name may have meant.
    fn meant(&self, name: &str) -> Meant {
        Meant::among(name, self.nodes.iter().map(|node| node.name.as_str()))
    }

    /// What `COPY --from` or a mount's `from` means.
    pub(super) fn origin(&self, from: &str) -> Result<Origin, Fault> {
        if let Some(stage) = self.find(from) {
            return Ok(Origin::Stage(stage));
        }
        if !from.is_empty() && from.bytes().all(|byte| byte.is_ascii_digit()) {
            return match from.parse::<usize>() {
                Ok(number) if number < self.nodes.len() => Ok(Origin::Stage(number)),
                _ => Err(Fault::NoStage(from.to_owned())),
            };
        }
        if from == "scratch" {
            return Ok(Origin::Scratch);
        }
        self.image(from, self.input.target_platform())
    }

    /// What an instruction needs.
    fn dependencies(&self, instruction: &Instruction) -> Result<Vec<Dependency>, PlanError> {
        let at = |fault: Fault| fault.at(instruction.span);
        let mut names = Vec::new();
        match &instruction.kind {
            Kind::Copy(transfer) | Kind::Add(transfer) => {
                names.extend(copy_from(transfer).map_err(at)?);
            }
            Kind::Run(run) => {
                let mounts = run.mounts.iter();
                let mounts = mounts.filter(|mount| {
                    !matches!(
                        mount.kind,
                        MountType::Tmpfs | MountType::Secret | MountType::Ssh
                    )
                });
                names.extend(mounts.filter_map(|mount| mount.from.as_deref()));
            }
            _ => {}
        }
        names
            .into_iter()
            .map(|name| {
                Ok(Dependency {
                    origin: self.origin(name).map_err(at)?,
                    span: instruction.span,
                    name: name.to_owned(),
                })
            })
            .collect()
    }

    /// The stage that is wanted.
    pub(crate) fn target(&self) -> Result<usize, PlanError> {
        let target = self.input.target.as_deref().filter(|name| !name.is_empty());
        let Some(target) = target else {
            return Ok(self.nodes.len().saturating_sub(1));
        };
        if let Some(stage) = self.find(target) {
            return Ok(stage);
        }
        let by_number = target.strip_prefix("stage-").unwrap_or(target);
        match by_number.parse::<usize>() {
            Ok(number) if number < self.nodes.len() => Ok(number),
            _ => Err(PlanError {
                span: None,
                fault: Fault::NoTarget {
                    target: target.to_owned(),
                    meant: self.meant(&target.to_lowercase()),
                },
            }),
        }
    }

    /// Follows what the target needs. Images that are not resolved yet end the way, so it may have
    /// to be gone again when they are.
    pub(super) fn reach(&self, resolved: &Resolved, breadth: Breadth) -> Result<Reach, PlanError> {
        self.refuse_cycles()?;
        let mut reach = Reach {
            stages: BTreeSet::new(),
            triggers: BTreeMap::new(),
            target: self.target()?,
            needs: Needs::default(),
        };
        let mut open = match breadth {
            Breadth::Target => vec![reach.target],
            Breadth::All => (0..self.nodes.len()).collect(),
        };
        while let Some(number) = open.pop() {
            if !reach.stages.insert(number) {
                continue;
            }
            let triggers = self.triggers(number, resolved)?;
            let (Some(node), Some(stage)) = (self.nodes.get(number), self.file.stages.get(number))
            else {
                continue;
            };
            let base = Dependency {
                origin: node.base.clone(),
                span: stage.span,
                name: node.base_text.clone(),
            };
            reach.take(self, number, &base, resolved, &mut open)?;
            if node.is_replaced {
                continue;
            }
            for instruction in triggers.iter().chain(&stage.instructions) {
                for dependency in self.dependencies(instruction)? {
                    reach.take(self, number, &dependency, resolved, &mut open)?;
                }
            }
            reach.triggers.insert(number, triggers);
        }
        Ok(reach)
    }

    /// The instructions that the base of a stage wants carried out in it.
    fn triggers(&self, number: usize, resolved: &Resolved) -> Result<Vec<Instruction>, PlanError> {
        let (Some(node), Some(stage)) = (self.nodes.get(number), self.file.stages.get(number))
        else {
            return Ok(Vec::new());
        };
        match &node.base {
            _ if node.is_replaced => Ok(Vec::new()),
            Origin::Stage(base) => {
                let is_replaced = self.nodes.get(*base).is_some_and(|base| base.is_replaced);
                let base = self.file.stages.get(*base).filter(|_| !is_replaced);
                let instructions = base.into_iter().flat_map(|base| &base.instructions);
                Ok(instructions
                    .filter_map(|instruction| match &instruction.kind {
                        Kind::Onbuild { trigger, .. } => Some((**trigger).clone()),
                        _ => None,
                    })
                    .map(|trigger| moved(trigger, stage.span))
                    .collect())
            }
            Origin::Image(key) => {
                let image = resolved.images.get(key);
                let texts = image.map_or(&[][..], |image| &image.config.config.on_build);
                texts
                    .iter()
                    .map(|text| match dockerfile::parse_trigger(text) {
                        Ok(trigger) => Ok(moved(trigger, stage.span)),
                        Err(source) => Err(Fault::Trigger {
                            text: text.clone(),
                            source,
                        }
                        .at(stage.span)),
                    })
                    .collect()
            }
            Origin::Scratch | Origin::Named(_) => Ok(Vec::new()),
        }
    }

    /// Looks at all stages, also those that are not needed.
    fn refuse_cycles(&self) -> Result<(), PlanError> {
        let mut edges = Vec::new();
        for (node, stage) in self.nodes.iter().zip(&self.file.stages) {
            let mut next: Vec<(usize, Span)> = Vec::new();
            if let Origin::Stage(base) = node.base {
                next.push((base, stage.span));
            }
            for instruction in stage.instructions.iter().filter(|_| !node.is_replaced) {
                // What is wrong with names that nobody needs is nobody's concern.
                for dependency in self.dependencies(instruction).unwrap_or_default() {
                    if let Origin::Stage(other) = dependency.origin {
                        next.push((other, dependency.span));
                    }
                }
            }
            edges.push(next);
        }
        let mut done = BTreeSet::new();
        for start in 0..edges.len() {
            // The way from `start`: a stage, and how many of its edges were followed.
            let mut way = vec![(start, 0)];
            while let Some((stage, followed)) = way.pop() {
                let edge = edges.get(stage).and_then(|edges| edges.get(followed));
                let Some((next, span)) = edge else {
                    done.insert(stage);
                    continue;
                };
                way.push((stage, followed + 1));
                if way.iter().any(|(passed, _)| passed == next) {
                    let name = self.nodes.get(*next).map(|node| node.name.clone());
                    return Err(Fault::Cycle(name.unwrap_or_default()).at(*span));
                }
                if !done.contains(next) {
                    way.push((*next, 0));
                }
            }
        }
        Ok(())
    }

    /// How many stages and images of `COPY --from` and mounts there are, as BuildKit counts them: a
    /// lone stage needs no name.
    pub(super) fn has_one_stage(&self) -> bool {
        let copies_from_images = || {
            let stages = self.file.stages.iter();
            let mut instructions = stages.flat_map(|stage| &stage.instructions);
            instructions.any(naming::counts_as_stage)
        };
        self.nodes.len() == 1 && !copies_from_images()
    }
}

impl Reach {
    /// Notes that the stage `number` needs something.
    fn take(
        &mut self,
        graph: &Graph<'_>,
        number: usize,
        dependency: &Dependency,
        resolved: &Resolved,
        open: &mut Vec<usize>,
    ) -> Result<(), PlanError> {
        match &dependency.origin {
            Origin::Scratch => {}
            Origin::Stage(other) if *other < number => open.push(*other),
            Origin::Stage(_) => {
                let stage = graph.nodes.get(number).map(|node| node.name.clone());
                return Err(Fault::LaterStage {
                    from: dependency.name.clone(),
                    stage: stage.unwrap_or_default(),
                }
                .at(dependency.span));
            }
            Origin::Named(name) => {
                if !self.needs.named_contexts.contains(name) {
                    self.needs.named_contexts.push(name.clone());
                }
            }
            Origin::Image(key) => {
                let is_known = resolved.images.contains_key(key)
                    || self.needs.images.iter().any(|image| image.key == *key);
                if !is_known {
                    self.needs.images.push(NeededImage {
                        key: key.clone(),
                        span: dependency.span,
                        text: dependency.name.clone(),
                        meant: match self.needs.images.len() {
                            ..limits::PLAN_SUGGESTIONS => graph.meant(&dependency.name),
                            _ => Meant::default(),
                        },
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn into_needs(self) -> Needs {
        Needs {
            stages: self.stages.into_iter().collect(),
            ..self.needs
        }
    }
}

/// `COPY --from`'s word, which may have no variable.
pub(super) fn copy_from(transfer: &dockerfile::Transfer) -> Result<Option<&str>, Fault> {
    let Some(from) = transfer.from.as_deref().filter(|from| !from.is_empty()) else {
        return Ok(None);
    };
    if Variables::default().expand(from, '\\')? != from {
        return Err(Fault::VariableFrom);
    }
    Ok(Some(from))
}

/// A trigger stands where the `FROM` that fires it stands.
fn moved(trigger: Instruction, span: Span) -> Instruction {
    Instruction { span, ..trigger }
}
