//! Every end-to-end test of the binary, in one test binary: one module per verb, one harness.
//!
//! The judges are tools that are not ours: docker-registry, skopeo, podman, docker, umoci,
//! fsck.erofs and the kernel. `scripts/test` installs them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "a test stops at the first surprise, may say what it skips, and holds its table"
)]

mod analyze;
mod build;
mod build_behaviour;
mod build_cache;
mod build_conformance;
mod build_course;
mod build_elsewhere;
mod build_explained;
mod build_fetched;
mod build_hostile;
mod build_interrupted;
mod build_judge;
mod build_met;
mod build_mounts;
mod build_platforms;
mod build_progress;
mod build_result;
mod build_shell;
mod build_ssh;
mod build_steps;
mod build_times;
mod container;
mod context;
mod crash;
mod delete;
mod harness;
mod hostile;
mod hub;
mod images;
mod import;
mod inspect;
mod lint;
mod manifest;
mod mount;
mod network;
mod pull;
mod push;
mod rmi;
mod rootless;
mod run;
mod save_load;
mod sbom;
mod search;
mod slim;
mod terminal;
mod two_processes;
mod upkeep;
