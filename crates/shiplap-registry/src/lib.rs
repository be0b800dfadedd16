//! A client of registries: OCI distribution 1.1, Docker's authentication, Docker Hub's search.
//!
//! Everything a caller needs is [`Client`], whose calls block. Async work happens on two threads
//! of its own, which exist only after the first request. What comes out is verified; what is
//! hostile is bounded by [`shiplap_model::limits`]. Who gets credentials is told, and decided, in
//! the module `realm`.
//!
//! This crate never touches the store, never prints, and reads no environment variable: paths,
//! proxies and certificates are given by the caller.
#![forbid(unsafe_code)]

mod answer;
mod authorization;
mod blob;
pub mod challenge;
mod client;
pub mod credentials;
mod download;
mod error;
mod exchange;
mod lists;
mod manifest;
mod place;
mod realm;
mod retry;
mod settings;
mod transport;
mod upload;

pub use blob::BlobReader;
pub use client::{Client, WarningSink};
pub use credentials::{
    Credential, CredentialError, CredentialFiles, CredentialStore, Kept, Secret,
};
pub use download::{Download, Validators};
pub use error::{Error, Item, ProtocolFault, Refusal, RegistryError, Target};
pub use lists::{TagDetails, TagPlatform};
pub use manifest::{FetchedManifest, ManifestHead, ManifestName};
pub use settings::{Patience, ProxySettings, RegistryRule, Settings, TlsSettings, Warning};
pub use upload::{UploadMode, UploadSource, Uploaded};
