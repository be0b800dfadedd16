//! A look at each script of a stage, for the rules that judge one script in its place.

use super::{File, Step, View};
use crate::lint::shell::Script;

/// A look at one script of a step.
pub(super) struct Look<'l, 'f> {
    pub(super) file: &'l File<'f>,
    pub(super) view: &'l View<'f>,
    /// Of the step, in its stage.
    pub(super) number: usize,
    pub(super) step: &'l Step<'f>,
    /// Where the script begins in the step's joined text.
    pub(super) at: usize,
    pub(super) script: &'l Script,
}

impl<'f> View<'f> {
    /// A look at each of the scripts, in their order.
    pub(super) fn looks<'l>(&'l self, file: &'l File<'f>) -> impl Iterator<Item = Look<'l, 'f>> {
        self.steps
            .iter()
            .enumerate()
            .flat_map(move |(number, step)| {
                step.scripts.iter().map(move |(at, script)| Look {
                    file,
                    view: self,
                    number,
                    step,
                    at: *at,
                    script,
                })
            })
    }
}
