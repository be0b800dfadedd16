//! A layer is one uncompressed tar and a small index of it; this crate makes, reads, merges,
//! packs and unpacks them.
//!
//! It never knows where a layer is kept or comes from: callers hand it readers, files and
//! directory handles. It talks to no registry and mounts nothing.
#![forbid(unsafe_code)]

pub mod compress;
pub mod diff;
pub mod erofs;
pub mod export;
pub mod ingest;
pub mod root;
pub mod squash;
pub mod stack;
pub mod tar;
pub mod tree;
pub mod unpack;
