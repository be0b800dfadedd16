//! Carrying out the steps of a plan.

pub mod copy;
pub mod facts;
pub mod files;
pub mod layer;
pub mod selection;
