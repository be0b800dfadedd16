//! The nouns and formats of container images: references, digests, descriptors, manifests,
//! configs, platforms, and the bounds that hold on outside input.
//!
//! Everything here is pure: no I/O, no clock, no environment, no async. Whoever needs a byte
//! stream verified wraps it with [`digest::VerifyingReader`]; where the bytes come from is not
//! known here.
#![forbid(unsafe_code)]

pub mod annotation;
pub mod change;
pub mod config;
pub mod conformance;
pub mod container;
pub mod csv;
pub mod descriptor;
pub mod digest;
pub mod distribution;
pub mod dockerfile;
pub mod expansion;
pub mod filter;
pub mod git_reference;
pub mod glob;
pub mod ignore;
pub mod json;
pub mod limits;
pub mod manifest;
pub mod media_type;
pub mod path;
pub mod platform;
pub mod quote;
pub mod raw;
pub mod reference;
pub mod search;
pub mod units;

pub use config::ImageConfig;
pub use descriptor::Descriptor;
pub use digest::{ChainId, DiffId, Digest, ImageId};
pub use filter::Filters;
pub use manifest::{Document, DocumentError, Index, Manifest};
pub use platform::Platform;
pub use raw::Raw;
pub use reference::{AnyReference, Reference, Repository};

#[cfg(test)]
mod table;
