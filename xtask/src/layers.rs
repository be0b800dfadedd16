//! `cargo xtask layers`: the floors of the house, read from `cargo metadata`. A crate may import
//! from the workspace only what its line here allows, dev-dependencies too, and some external
//! crates only where their job is. A new crate needs a line here before it builds in CI.
//!
//! The table is the one of ARCHITECTURE.md; whoever changes one changes the other.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::process::{cargo, output};

/// A crate of the workspace and the workspace crates it may import.
const FLOORS: &[(&str, &[&str])] = &[
    ("shiplap-model", &[]),
    ("shiplap-store", &["shiplap-model"]),
    ("shiplap-layer", &["shiplap-model"]),
    ("shiplap-registry", &["shiplap-model"]),
    ("shiplap-run", &["shiplap-model"]),
    (
        "shiplap-ops",
        &[
            "shiplap-model",
            "shiplap-store",
            "shiplap-layer",
            "shiplap-registry",
            "shiplap-run",
        ],
    ),
    (
        "shiplap-build",
        &[
            "shiplap-model",
            "shiplap-store",
            "shiplap-layer",
            "shiplap-run",
            "shiplap-ops",
        ],
    ),
    ("shiplap-hub", &["shiplap-model"]),
    (
        "shiplap-engine",
        &["shiplap-model", "shiplap-ops", "shiplap-build"],
    ),
    (
        "shiplap",
        &[
            "shiplap-model",
            "shiplap-ops",
            "shiplap-build",
            "shiplap-hub",
            "shiplap-engine",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that may import nothing else from outside (dev-dependencies are free).
const CLOSED: &[(&str, &[&str])] = &[(
    "shiplap-model",
    &["regex-lite", "serde", "serde_json", "sha2", "thiserror"],
)];

/// External crates that belong to a job: the crate, who may import it, why no one else.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        "tokio",
        &["shiplap-registry", "shiplap-hub", "shiplap-engine"],
        "disk, tar, hash and kernel work on threads",
    ),
    (
        "reqwest",
        &["shiplap-registry", "shiplap-hub"],
        "only the registry client asks others by HTTP, and the hub what it mirrors",
    ),
    ("clap", &["shiplap", "xtask"], "arguments are the face's"),
    (
        "anyhow",
        &["shiplap", "xtask"],
        "libraries have enums of facts",
    ),
    (
        "indicatif",
        &["shiplap"],
        "progress is told through a trait",
    ),
    (
        "rusqlite",
        &["shiplap-store", "shiplap-hub"],
        "records are the store's",
    ),
    ("libc", &["shiplap-run"], "unsafe calls are shiplap-run's"),
];

/// What `cargo metadata` says of the workspace, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `null` is a normal one.
    kind: Option<String>,
}

/// Reads the workspace and fails with every forbidden import.
pub(crate) fn run() -> anyhow::Result<()> {
    let metadata =
        output(cargo().args(["metadata", "--locked", "--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("read cargo metadata")?;
    let found = violations(&metadata);
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.join("\n"))
}

fn violations(metadata: &Metadata) -> Vec<String> {
    let members: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = FLOORS.iter().find(|(member, _)| *member == name) else {
            found.push(format!(
                "{name} stands on no floor: give it a line in xtask/src/layers.rs"
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let import = dependency.name.as_str();
            if members.contains(import) {
                if !allowed.contains(&import) {
                    found.push(format!("{name} must not import {import}"));
                }
            } else {
                found.extend(external(name, dependency));
            }
        }
    }
    found
}

/// Why `name` may not import this external crate, if so.
fn external(name: &str, dependency: &Dependency) -> Option<String> {
    let import = dependency.name.as_str();
    if dependency.kind.as_deref() == Some("dev") {
        return None;
    }
    if let Some((_, allowed)) = CLOSED.iter().find(|(closed, _)| *closed == name)
        && !allowed.contains(&import)
    {
        return Some(format!(
            "{name} must not import {import}: it takes only {}",
            allowed.join(", ")
        ));
    }
    let (_, allowed, reason) = RESERVED.iter().find(|(reserved, ..)| *reserved == import)?;
    (!allowed.contains(&name)).then(|| format!("{name} must not import {import}: {reason}"))
}

#[cfg(test)]
mod tests;
