//! What the kernel does for images: mounts.
//!
//! This crate never knows what an image is or where a store keeps things: callers hand it paths
//! of a layer's index and tar, or of an unpacked tree. No mount is made visible before it is
//! complete, and none is left behind by a failure.
#![forbid(unsafe_code)]

pub mod mounts;
