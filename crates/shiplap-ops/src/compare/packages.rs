//! What differs between the packages of two images, name by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::packages::{Ecosystem, Inventory};

/// A package of which the images have other versions, or one has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Whose it is.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Versions that only the first image has, sorted as text.
    pub before: Vec<String>,
    /// Versions that only the second has.
    pub after: Vec<String>,
}

type Versions = BTreeMap<(Ecosystem, String), BTreeSet<String>>;

/// All packages that differ, by ecosystem and name.
pub(super) fn changes(before: &Inventory, after: &Inventory) -> Vec<PackageChange> {
    let (before, after) = (versions(before), versions(after));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let none = BTreeSet::new();
    let mut changes = Vec::new();
    for key in keys {
        let had = before.get(key).unwrap_or(&none);
        let has = after.get(key).unwrap_or(&none);
        if had != has {
            changes.push(PackageChange {
                ecosystem: key.0,
                name: key.1.clone(),
                before: had.difference(has).cloned().collect(),
                after: has.difference(had).cloned().collect(),
            });
        }
    }
    changes
}

fn versions(inventory: &Inventory) -> Versions {
    let mut versions = Versions::new();
    for package in &inventory.packages {
        let key = (package.ecosystem, package.name.clone());
        let version = package.version.clone();
        versions.entry(key).or_default().insert(version);
    }
    versions
}
