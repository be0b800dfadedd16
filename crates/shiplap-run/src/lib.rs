//! What the kernel does for images and containers: mounts, namespaces, terminals, and the OCI
//! runtime that is called for the rest.
//!
//! This crate never knows what an image is or where a store keeps things: callers hand it paths
//! and plain facts. No mount is made visible before it is complete, and none is left behind by a
//! failure.
#![deny(unsafe_code)]

pub mod attach;
pub mod capabilities;
pub mod cgroups;
pub mod console;
pub mod handover;
pub mod log;
pub mod mounts;
pub mod namespaces;
pub mod runtime;
pub mod seccomp;
pub mod signals;
pub mod spec;
mod sys;
pub mod users;

pub use sys::die_with_parent;
