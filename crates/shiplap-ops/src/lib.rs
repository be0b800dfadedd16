//! The verbs on images: each module is one verb, an `Options` in and a `Report` out, with
//! progress told through [`progress::Progress`].
//!
//! Nothing here prints, reads the environment or exits: that is the face's. Nothing here knows
//! SQL, HTTP or EROFS: that is the floor's below.
#![forbid(unsafe_code)]

pub mod acquire;
pub mod analyze;
pub mod base;
pub mod bring;
pub mod build_cache;
pub mod builds;
pub mod check;
pub mod clear;
pub mod compare;
pub mod container;
pub mod context;
pub mod copy;
pub mod delete;
pub mod export;
pub mod fetch;
pub mod files;
pub mod history;
pub mod import;
pub mod info;
pub mod inspect;
pub mod layer;
pub mod list;
pub mod load;
pub mod login;
pub mod manifest;
pub mod packages;
mod parallel;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod push;
pub mod remove;
pub mod rootless;
pub mod save;
pub mod sbom;
pub mod search;
pub mod select;
pub mod slim;
pub mod snapshot;
pub mod step;
pub mod tag;
pub mod tags;
pub mod transport;
pub mod usage;
pub mod when;

pub use context::{ContainerSettings, Context, Program, Settings};
pub use shiplap_registry::{
    CredentialFiles, Error as RegistryFailure, ProxySettings, RegistryRule,
    Settings as RegistrySettings, TlsSettings,
};
