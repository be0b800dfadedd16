//! What a Dockerfile says of itself, for those who want to build it: its targets, and the arguments, secrets
//! and agents that one of them takes. Forms and words are those of BuildKit's requests `targets` and
//! `outline`.
//!
//! Pure, as the plan is; nothing is built.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use shiplap_model::dockerfile::{
    ArgDeclaration, Dockerfile, Instruction, Kind, MountType, Run, Span,
};
use shiplap_model::expansion::{self, Expansion};

use crate::plan::graph::{Graph, Origin};
use crate::plan::variables::Variables;
use crate::plan::{self, Breadth, PlanError, PlanInput, Resolved, State, Witness};

#[cfg(test)]
mod tests;

/// Stages that can be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// They, in order.
    pub targets: Vec<Target>,
    /// The file, in base 64.
    pub sources: Vec<String>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// It is what is built if nothing else is asked for.
    #[serde(rename = "default", skip_serializing_if = "std::ops::Not::not")]
    pub is_default: bool,
    /// What the comment before it says, if that begins with its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it begins with, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// Its platform, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// Where it stands.
    pub location: Location,
}

/// What one target takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// Its name, or `stage-N`.
    pub name: String,
    /// What the comment before it says, if that begins with its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Arguments, in the order of lines.
    #[serde(rename = "args", skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// Secrets, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Wanted>,
    /// Agents that have keys, likewise.
    #[serde(rename = "ssh", skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Wanted>,
    /// The file, in base 64.
    pub sources: Vec<String>,
}

/// `ARG`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What the comment before it says, if that begins with its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is, as things are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Where it is declared.
    pub location: Location,
}

/// A secret or an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Its ID.
    pub name: String,
    /// Steps fail without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The first mount of it.
    pub location: Location,
}

/// Lines, as BuildKit tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Location {
    ranges: Vec<Lines>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Lines {
    start: Line,
    end: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Line {
    line: u32,
}

impl Location {
    pub(crate) fn of(span: Span) -> Self {
        let lines = (span.first..=span.last).map(|line| Lines {
            start: Line { line },
            end: Line { line },
        });
        Self {
            ranges: lines.collect(),
        }
    }

    fn first(&self) -> u32 {
        self.ranges.first().map_or(0, |lines| lines.start.line)
    }
}

/// The stages of a file whose text is `text`.
#[must_use]
pub fn targets(file: &Dockerfile, text: &[u8]) -> Targets {
    let last = file.stages.len().saturating_sub(1);
    let stages = file.stages.iter().enumerate();
    let targets = stages.map(|(number, stage)| {
        let name = stage.from.name.as_deref().unwrap_or_default();
        let name = name.to_lowercase();
        Target {
            is_default: number == last,
            description: description(&stage.comments, &name),
            base: stage.from.image.clone(),
            platform: stage.from.platform.clone().unwrap_or_default(),
            location: Location::of(stage.span),
            name,
        }
    });
    Targets {
        targets: targets.collect(),
        sources: vec![STANDARD.encode(text)],
    }
}

/// What comments say of a name.
fn description(comments: &[String], name: &str) -> String {
    let mut said = comments.iter().filter_map(|comment| {
        let rest = comment.strip_prefix(name)?.strip_prefix(' ')?;
        Some(rest.to_owned())
    });
    said.next().filter(|_| !name.is_empty()).unwrap_or_default()
}

/// What the target of `input` takes. Triggers of base images are known as far as `resolved` knows these.
///
/// # Errors
/// [`PlanError`].
pub fn outline(
    file: &Dockerfile,
    text: &[u8],
    input: &PlanInput,
    resolved: &Resolved,
) -> Result<Outline, PlanError> {
    let resolved = plan::assumed(file, input, resolved, Breadth::Target)?;
    let graph = Graph::new(file, input)?;
    let mut gatherer = Gatherer {
        input,
        escape: file.escape,
        known: &graph.globals,
        globals: globals(file, input),
        stages: BTreeMap::new(),
        number: 0,
    };
    plan::observe(file, input, &resolved, Breadth::Target, &mut gatherer)?;
    let target = graph.target()?;
    let mut told = gatherer.told(&order(&graph, target, &gatherer.stages));
    told.arguments
        .sort_by_key(|argument| argument.location.first());
    told.secrets.sort_by_key(|secret| secret.location.first());
    told.agents.sort_by_key(|agent| agent.location.first());
    let stage = file.stages.get(target);
    let given = stage.and_then(|stage| stage.from.name.as_ref());
    let name = given.map_or_else(|| format!("stage-{target}"), |name| name.to_lowercase());
    Ok(Outline {
        description: stage.map_or_else(String::new, |stage| description(&stage.comments, &name)),
        name,
        sources: vec![STANDARD.encode(text)],
        ..told
    })
}

/// Stages in the order in which they are asked: the target, what it is built upon, all others.
fn order(graph: &Graph<'_>, target: usize, stages: &BTreeMap<usize, Stage>) -> Vec<usize> {
    let mut order = vec![target];
    let mut next = Some(target);
    while let Some(Origin::Stage(base)) = next
        .and_then(|number| graph.nodes.get(number))
        .map(|node| &node.base)
    {
        order.push(*base);
        next = Some(*base);
    }
    let others = stages.keys().rev();
    let others: Vec<usize> = others
        .filter(|number| !order.contains(number))
        .copied()
        .collect();
    order.extend(others);
    order
}

/// What is known of an argument.
#[derive(Debug, Clone)]
struct Known {
    argument: Argument,
    /// Those that its default is made of.
    used: BTreeSet<String>,
}

/// Arguments that are declared before the first `FROM`.
fn globals(file: &Dockerfile, input: &PlanInput) -> BTreeMap<String, Known> {
    let mut variables = Variables::default();
    let mut known = BTreeMap::new();
    for instruction in &file.global_args {
        let Kind::Arg(arguments) = &instruction.kind else {
            continue;
        };
        for argument in arguments {
            let look = |name: &str| variables.get(name);
            let read = read(argument, input, &look, file.escape);
            if let Some(value) = &read.value {
                variables.set(&argument.name, value);
            }
            known.insert(argument.name.clone(), read.known(argument, instruction));
        }
    }
    known
}

/// An `ARG`, read.
struct Read {
    value: Option<String>,
    used: BTreeSet<String>,
}

impl Read {
    fn known(self, argument: &ArgDeclaration, instruction: &Instruction) -> Known {
        Known {
            argument: Argument {
                name: argument.name.clone(),
                description: description(&instruction.comments, &argument.name),
                value: self.value.unwrap_or_default(),
                location: Location::of(instruction.span),
            },
            used: self.used,
        }
    }
}

fn read<'v>(
    argument: &ArgDeclaration,
    input: &PlanInput,
    look: &dyn Fn(&str) -> Option<&'v str>,
    escape: char,
) -> Read {
    let given = input.build_args.get(&argument.name);
    let expanded = |default: &String| expansion::expand(default, look, escape).ok();
    match (given, argument.default.as_ref().and_then(expanded)) {
        (Some(given), _) => Read {
            value: Some(given.clone()),
            used: BTreeSet::new(),
        },
        (None, Some(Expansion { text, used, .. })) => Read {
            value: Some(text),
            used,
        },
        (None, None) => Read {
            value: None,
            used: BTreeSet::new(),
        },
    }
}

/// What one stage takes.
#[derive(Debug, Default)]
struct Stage {
    /// Names of arguments that it uses.
    used: BTreeSet<String>,
    /// Those that it declares with a value of its own.
    own: BTreeMap<String, Known>,
    secrets: Vec<Wanted>,
    agents: Vec<Wanted>,
}

/// Looks on while a plan is made.
struct Gatherer<'g> {
    input: &'g PlanInput,
    escape: char,
    /// What an `ARG` without a value takes up.
    known: &'g Variables,
    globals: BTreeMap<String, Known>,
    /// By their numbers.
    stages: BTreeMap<usize, Stage>,
    number: usize,
}

impl Witness for Gatherer<'_> {
    fn stage(&mut self, graph: &Graph<'_>, number: usize, _: Span) {
        self.number = number;
        let stage = self.stages.entry(number).or_default();
        let Some(from) = graph.file.stages.get(number).map(|stage| &stage.from) else {
            return;
        };
        let words = [Some(&from.image), from.platform.as_ref()];
        for word in words.into_iter().flatten() {
            let look = |name: &str| graph.globals.get(name);
            if let Ok(expanded) = expansion::expand(word, &look, self.escape) {
                stage.used.extend(expanded.used);
            }
        }
    }

    fn instruction(&mut self, instruction: &Instruction, state: &State) {
        match &instruction.kind {
            Kind::Arg(arguments) => self.arguments(arguments, instruction, state),
            Kind::Run(run) => self.run(run, instruction, state),
            _ => {}
        }
    }
}

impl Gatherer<'_> {
    fn arguments(
        &mut self,
        arguments: &[ArgDeclaration],
        instruction: &Instruction,
        state: &State,
    ) {
        let stage = self.stages.entry(self.number).or_default();
        // Each sees those before it on the line.
        let mut before: BTreeMap<&str, String> = BTreeMap::new();
        for argument in arguments {
            let look = |name: &str| {
                let before = before.get(name).map(String::as_str);
                before.or_else(|| state.variables.get(name))
            };
            let read = read(argument, self.input, &look, self.escape);
            let is_inherited = read.value.is_none() && self.known.get(&argument.name).is_some();
            if let Some(value) = &read.value {
                before.insert(&argument.name, value.clone());
            }
            stage.used.insert(argument.name.clone());
            if !is_inherited {
                let known = read.known(argument, instruction);
                stage.own.insert(argument.name.clone(), known);
            }
        }
    }

    fn run(&mut self, run: &Run, instruction: &Instruction, state: &State) {
        let stage = self.stages.entry(self.number).or_default();
        for mount in &run.mounts {
            let list = match mount.kind {
                MountType::Secret => &mut stage.secrets,
                MountType::Ssh => &mut stage.agents,
                MountType::Bind | MountType::Cache | MountType::Tmpfs => continue,
            };
            let look = |name: &str| state.variables.get(name);
            let expanded =
                mount.expanded(&mut |word| expansion::expand_word(word, &look, self.escape));
            // What is wrong with it, the plan says.
            let Ok(mount) = expanded else { continue };
            let Ok(name) = plan::mount_id(&mount) else {
                continue;
            };
            if !list.iter().any(|known| known.name == name) {
                list.push(Wanted {
                    name,
                    required: mount.required,
                    location: Location::of(instruction.span),
                });
            }
        }
    }

    /// All of it, of stages in this order: what has a name is told where it comes up first.
    fn told(&self, order: &[usize]) -> Outline {
        let mut told = Outline {
            name: String::new(),
            description: String::new(),
            arguments: Vec::new(),
            secrets: Vec::new(),
            agents: Vec::new(),
            sources: Vec::new(),
        };
        let mut names = BTreeSet::new();
        for stage in order.iter().filter_map(|number| self.stages.get(number)) {
            let mut open: Vec<&String> = stage.used.iter().collect();
            while let Some(name) = open.pop() {
                let known = stage.own.get(name).or_else(|| self.globals.get(name));
                if let Some(known) = known
                    && names.insert(name)
                {
                    told.arguments.push(known.argument.clone());
                    open.extend(&known.used);
                }
            }
            for (list, own) in [
                (&mut told.secrets, &stage.secrets),
                (&mut told.agents, &stage.agents),
            ] {
                for wanted in own {
                    if !list.iter().any(|known| known.name == wanted.name) {
                        list.push(wanted.clone());
                    }
                }
            }
        }
        told
    }
}
