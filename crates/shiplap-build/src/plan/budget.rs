//! How much text a plan may hold. Variables multiply: a Dockerfile of some kilobytes could ask for
//! terabytes.

use std::cell::Cell;
use std::rc::Rc;

use shiplap_model::config::{ContainerConfig, ImageConfig};
use shiplap_model::limits;

use super::error::Fault;
use super::{Action, Item, Run, Step};

/// Bytes that are left, for all of one plan.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Rc<Cell<usize>>);

impl Default for Budget {
    fn default() -> Self {
        Self(Rc::new(Cell::new(limits::PLAN_BYTES)))
    }
}

impl Budget {
    /// Takes so many bytes.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Fault> {
        let left = self.0.get().checked_sub(bytes).ok_or(Fault::TooLarge)?;
        self.0.set(left);
        Ok(())
    }
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> usize {
    texts.into_iter().map(String::len).sum()
}

/// Text of a config.
pub(super) fn of_config(config: &ContainerConfig) -> usize {
    let commands = config
        .cmd
        .iter()
        .chain(&config.entrypoint)
        .chain(&config.shell);
    let labels = config
        .labels
        .iter()
        .map(|(name, value)| name.len() + value.len());
    let sets = config.exposed_ports.iter().chain(&config.volumes);
    texts(&config.env)
        + texts(&config.on_build)
        + texts(sets)
        + texts(commands.flatten())
        + labels.sum::<usize>()
        + config.user.len()
        + config.working_dir.len()
}

/// Text of an image: its config and history.
pub(super) fn of_image(image: &ImageConfig) -> usize {
    let history = image
        .history
        .iter()
        .filter_map(|entry| entry.created_by.as_ref());
    of_config(&image.config) + texts(history)
}

/// Text of a step without its config.
pub(super) fn of_step(step: &Step) -> usize {
    let action = match &step.action {
        Action::Config | Action::Workdir(_) => 0,
        Action::Copy(copy) => copy.items.iter().map(of_item).sum(),
        Action::Run(run) => of_run(run),
    };
    step.name.len() + step.created_by.len() + texts(&step.vertex) + action
}

fn of_item(item: &Item) -> usize {
    match item {
        Item::Path(text) | Item::Url(text) | Item::Git(text) => text.len(),
        Item::Inline { name, content } => name.len() + content.len(),
    }
}

fn of_run(run: &Run) -> usize {
    let arguments = run
        .args_used
        .iter()
        .map(|(name, value)| name.len() + value.len());
    texts(&run.args) + texts(&run.env) + texts(&run.proxy_env) + arguments.sum::<usize>()
}
