//! A Dockerfile becomes an image.
//!
//! ```text
//! bytes ─▶ tree (model::dockerfile) ─▶ reachable stages ─▶ their images ─▶ plan: typed steps with
//! their configs (all of it pure) ─▶ for each step its key ─▶ hit, or execute ─▶ layer ─▶ image
//! ```
//!
//! Nothing here prints, reads the environment or exits; registries are reached through
//! `shiplap_ops` only.
#![forbid(unsafe_code)]

mod agents;
pub mod build;
pub mod context;
pub mod execute;
pub mod explain;
pub mod images;
pub mod key;
pub mod lint;
pub mod options;
pub mod outline;
pub mod output;
pub mod plan;
pub mod progress;
pub mod remote_cache;
mod report;
pub mod result;
pub mod squash;

pub use agents::AgentError;
pub use build::{
    BuildError, Checked, Report, Streams, build, check, forget_contexts, outline, targets,
};
pub use options::BuildOptions;
