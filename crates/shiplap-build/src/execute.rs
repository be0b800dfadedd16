//! Carrying out the steps of plans: [`schedule`] makes stages at the same time, [`stage`] goes from
//! step to step and asks the cache, and each kind of step knows what decides its layer and how to
//! make it.

mod around;
mod base;
pub mod copy;
mod copying;
mod ends;
pub mod facts;
mod failure;
pub mod files;
pub mod layer;
mod mounting;
mod running;
pub(crate) mod schedule;
pub mod selection;
pub(crate) mod session;
mod stage;
mod workdir;

pub use ends::{RootImage, StageEnd};
pub use failure::{FailedRoot, Failure, Problem};
pub use stage::StepFact;
