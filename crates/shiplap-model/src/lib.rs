//! The nouns and formats of container images: references, digests, descriptors, manifests,
//! configs, platforms, and the bounds that hold on outside input.
//!
//! Everything here is pure: no I/O, no clock, no environment, no async. Whoever needs a byte
//! stream verified wraps it with [`digest::VerifyingReader`]; where the bytes come from is not
//! known here.
#![forbid(unsafe_code)]

pub mod digest;
pub mod limits;

pub use digest::{ChainId, DiffId, Digest, ImageId};
