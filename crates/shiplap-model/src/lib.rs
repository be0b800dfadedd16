//! The nouns and formats of container images: references, digests, descriptors, manifests,
//! configs, platforms, and the bounds that hold on outside input.
//!
//! Everything here is pure: no I/O, no clock, no environment, no async. Whoever needs a byte
//! stream verified wraps it with [`digest::VerifyingReader`]; where the bytes come from is not
//! known here.
#![forbid(unsafe_code)]

pub mod config;
pub mod descriptor;
pub mod digest;
pub mod json;
pub mod limits;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;

pub use config::ImageConfig;
pub use descriptor::Descriptor;
pub use digest::{ChainId, DiffId, Digest, ImageId};
pub use manifest::{Document, DocumentError, Index, Manifest};
pub use platform::Platform;
pub use reference::{AnyReference, Reference, Repository};
