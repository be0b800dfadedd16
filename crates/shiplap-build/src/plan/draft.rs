//! A stage while its instructions are read: its variables and its image so far.

use std::sync::Arc;

use shiplap_model::config::{ContainerConfig, History, ImageConfig};
use shiplap_model::dockerfile::{Instruction, Kind};
use shiplap_model::expansion;
use shiplap_model::json::Rest;
use shiplap_model::{Platform, config, limits};

use super::budget::{self, Budget};
use super::error::{Fault, PlanError};
use super::graph::Graph;
use super::naming::{self, Naming};
use super::variables::{Arguments, Variables};
use super::{Action, StageId, Step};

/// What a stage hands on to those that begin with it.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// What the next instruction sees.
    pub(crate) variables: Variables,
    /// `ARG`s in scope.
    pub(crate) args: Arguments,
    /// Architecture and the like, config and history.
    pub(crate) image: ImageConfig,
    /// Entries of its history that are those of the image at its root.
    pub(super) base_history: usize,
    pub(crate) platform: Platform,
}

/// A stage while its instructions are read.
pub(super) struct Draft<'g> {
    pub(super) graph: &'g Graph<'g>,
    /// Places of planned stages, by their numbers in the Dockerfile.
    pub(super) places: &'g [Option<StageId>],
    pub(super) state: State,
    pub(super) steps: Vec<Step>,
    pub(super) naming: Naming,
    /// The stage's name, for errors.
    pub(super) name: String,
    /// The config after the last step.
    pub(super) shared: Arc<ContainerConfig>,
    /// A `CMD` of this stage: `ENTRYPOINT` leaves it.
    pub(super) is_cmd_set: bool,
}

/// One instruction, read.
pub(super) struct Done {
    pub(super) created_by: String,
    pub(super) action: Action,
    /// What progress shows behind the counter; `None`: the instruction.
    pub(super) name: Option<String>,
}

impl Done {
    /// A change of the config alone.
    pub(super) fn config(created_by: String) -> Self {
        Self {
            created_by,
            action: Action::Config,
            name: None,
        }
    }
}

pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const HISTORY_COMMENT: &str = "buildkit.dockerfile.v0";

impl State {
    /// `FROM scratch`, or the files of a named context.
    pub(super) fn empty(platform: &Platform, budget: &Budget) -> Self {
        let image = ImageConfig {
            config: ContainerConfig {
                working_dir: "/".to_owned(),
                ..ContainerConfig::default()
            },
            ..Self::bare(platform)
        };
        Self::of(image, platform, budget)
    }

    /// An image of which nothing is known but what it is for.
    pub(super) fn bare(platform: &Platform) -> ImageConfig {
        ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            os_version: platform.os_version.clone(),
            os_features: platform.os_features.clone(),
            variant: platform.variant.clone(),
            ..ImageConfig::default()
        }
    }

    /// `FROM` an image: what a build hands on of its config. Fields that nobody specified, its
    /// layers and its time are not among it, and its triggers have done their work.
    pub(super) fn on(base: &ImageConfig, platform: &Platform, budget: &Budget) -> Self {
        let mut image = ImageConfig {
            created: None,
            rootfs: config::Rootfs::default(),
            rest: Rest::new(),
            ..base.clone()
        };
        image.config.rest = Rest::new();
        image.config.on_build = Vec::new();
        if !image.config.working_dir.is_empty() {
            image.config.working_dir = super::paths::joined("/", &image.config.working_dir);
        }
        Self::of(image, platform, budget)
    }

    fn of(mut image: ImageConfig, platform: &Platform, budget: &Budget) -> Self {
        let has_path = image
            .config
            .env
            .iter()
            .any(|pair| pair.starts_with("PATH="));
        if !has_path && platform.os != "windows" {
            image.config.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        Self {
            variables: Variables::of(&image.config.env, budget),
            args: Arguments::default(),
            base_history: image.history.len(),
            image,
            platform: platform.clone(),
        }
    }

    /// What a stage that begins with this one begins with: all of it but the triggers.
    pub(super) fn inherited(&self) -> Self {
        let mut state = self.clone();
        state.image.config.on_build = Vec::new();
        state
    }

    /// Where relative paths begin.
    pub(super) fn directory(&self) -> &str {
        match self.image.config.working_dir.as_str() {
            "" => "/",
            directory => directory,
        }
    }
}

impl Draft<'_> {
    pub(super) fn escape(&self) -> char {
        self.graph.file.escape
    }

    pub(super) fn config(&mut self) -> &mut ContainerConfig {
        &mut self.state.image.config
    }

    /// The word with the variables in it.
    pub(super) fn expand(&self, word: &str) -> Result<String, Fault> {
        self.state.variables.expand(word, self.escape())
    }

    /// Reads one instruction.
    pub(super) fn take(
        &mut self,
        instruction: &Instruction,
        is_trigger: bool,
    ) -> Result<(), PlanError> {
        let at = |fault: Fault| fault.at(instruction.span);
        // What is shown sees the variables as the instruction does.
        let shown = self.shown(&instruction.text);
        let Some(done) = self
            .read(&instruction.kind, &instruction.text)
            .map_err(at)?
        else {
            return Ok(());
        };
        let name = done.name.unwrap_or_else(|| naming::capitalised(&shown));
        let vertex = (done.action != Action::Config).then(|| {
            let variables = &self.state.variables;
            self.naming.next(&name, variables, is_trigger)
        });
        self.push(Step {
            span: instruction.span,
            name,
            vertex,
            created_by: done.created_by,
            action: done.action,
            config: self.shared.clone(),
            author: self.state.image.author.clone(),
        })
        .map_err(at)
    }

    fn push(&mut self, mut step: Step) -> Result<(), Fault> {
        let budget = &self.state.variables.budget;
        let changes_config = matches!(step.action, Action::Config | Action::Workdir(_));
        if changes_config {
            budget.take(budget::of_config(&self.state.image.config))?;
            self.shared = Arc::new(self.state.image.config.clone());
            step.config = self.shared.clone();
        }
        // The line of history is another copy.
        budget.take(budget::of_step(&step) + step.created_by.len())?;
        let history = &mut self.state.image.history;
        history.push(History {
            created_by: Some(step.created_by.clone()),
            comment: Some(HISTORY_COMMENT.to_owned()),
            empty_layer: step.action == Action::Config,
            ..History::default()
        });
        if step.action != Action::Config
            && history.iter().filter(|entry| !entry.empty_layer).count() > limits::LAYERS
        {
            return Err(Fault::TooManyLayers);
        }
        self.steps.push(step);
        Ok(())
    }

    /// The line as progress shows it; as written if its quotes are wrong.
    fn shown(&self, text: &str) -> String {
        let lookup = |name: &str| self.state.variables.get(name);
        expansion::expand_word(text, &lookup, self.escape()).unwrap_or_else(|_| text.to_owned())
    }

    /// What an instruction does; `None`: nothing that a history tells of.
    fn read(&mut self, kind: &Kind, text: &str) -> Result<Option<Done>, Fault> {
        let created_by = match kind {
            Kind::Add(transfer) => return self.transfer(transfer, true).map(Some),
            Kind::Copy(transfer) => return self.transfer(transfer, false).map(Some),
            Kind::Run(run) => return self.run(run, text).map(Some),
            Kind::Workdir(path) => return self.workdir(path).map(Some),
            Kind::Onbuild { text, .. } => {
                self.config().on_build.push(text.clone());
                return Ok(None);
            }
            Kind::Arg(arguments) => self.arg(arguments)?,
            Kind::Cmd(command) => self.cmd(command),
            Kind::Entrypoint(command) => self.entrypoint(command),
            Kind::Env(pairs) => self.env(pairs)?,
            Kind::Expose(ports) => self.expose(ports)?,
            Kind::Healthcheck(check) => self.healthcheck(check),
            Kind::Label(pairs) => self.label(pairs)?,
            Kind::Maintainer(name) => {
                self.state.image.author = Some(name.clone());
                format!("MAINTAINER {name}")
            }
            Kind::Shell(words) => {
                self.config().shell = Some(words.clone());
                format!("SHELL [{}]", words.join(" "))
            }
            Kind::Stopsignal(word) => self.stopsignal(word)?,
            Kind::User(word) => self.user(word)?,
            Kind::Volume(words) => self.volume(words)?,
        };
        Ok(Some(Done::config(created_by)))
    }
}
