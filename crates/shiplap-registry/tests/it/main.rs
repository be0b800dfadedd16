//! The client against a registry that misbehaves as told, and against a real one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shiplap_model::digest::Digest;
use shiplap_model::reference::Repository;
use shiplap_registry::{
    Client, CredentialFiles, CredentialStore, Patience, RegistryRule, Settings, Warning,
};

use double::Double;

mod auth;
mod blob;
mod double;
mod lists;
mod manifest;
mod real;
mod upload;

/// Waits short enough for tests.
fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        response: Duration::from_secs(5),
        stall: Duration::from_millis(200),
        retries: 3,
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(4),
        retry_after_max: Duration::from_secs(2),
    }
}

fn settings(rules: Vec<RegistryRule>) -> Settings {
    Settings {
        rules,
        patience: patience(),
        ..Settings::default()
    }
}

/// A client without credentials, and the warnings it gives.
fn client_with(rules: Vec<RegistryRule>) -> (Client, Arc<Mutex<Vec<Warning>>>) {
    let warnings = Arc::<Mutex<Vec<Warning>>>::default();
    let kept = warnings.clone();
    let sink = Arc::new(move |warning: &Warning| kept.lock().unwrap().push(warning.clone()));
    (
        Client::with_warnings(settings(rules), CredentialStore::default(), sink),
        warnings,
    )
}

fn client() -> Client {
    client_with(Vec::new()).0
}

/// A client whose credential file holds `auths`, and the directory that holds the file.
fn client_knowing(auths: &serde_json::Value) -> (Client, tempfile::TempDir) {
    client_knowing_with(auths, Vec::new())
}

fn client_knowing_with(
    auths: &serde_json::Value,
    rules: Vec<RegistryRule>,
) -> (Client, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, serde_json::json!({ "auths": auths }).to_string()).unwrap();
    let files = CredentialFiles {
        files: vec![file],
        helper_directories: Vec::new(),
    };
    (
        Client::new(settings(rules), CredentialStore::new(files)),
        directory,
    )
}

fn repository(double: &Double, path: &str) -> Repository {
    Repository::parse(&format!("{}/{path}", double.host())).unwrap()
}

/// Bytes that don't repeat soon.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Reads a blob to its end.
fn read(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
    size: usize,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut reader = client
        .open_blob(repository, digest, size as u64)
        .map_err(|error| error.to_string())?;
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}
