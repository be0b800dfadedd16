//! Which packages an image holds, read from the layers' indexes and tars: those of the distribution
//! (dpkg, apk, rpm), of Python and Node, and the libraries that Rust and Go programs say they are made of.
//!
//! Nothing is mounted, unpacked or run. A record that can't be understood is told, not fatal: the rest
//! of the inventory still holds.

mod apk;
mod copyright;
mod debian;
mod elf;
mod files;
mod licence;
mod needs;
mod node;
mod program;
mod purl;
mod python;
mod release;
mod rpm;
mod stanza;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;

use serde::Serialize;
use shiplap_layer::stack::{Found, Stack, StackError, Type};
use shiplap_model::limits;

use self::files::ImageFiles;
pub use self::files::RecordError;
pub use self::licence::{Licence, licence};
use self::needs::Needs;
pub(crate) use self::purl::encode as purl_part;
pub use self::release::Distribution;

/// Most records that are told not to be read: nobody reads on.
const UNREAD: usize = 1000;

/// Whose packages they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// dpkg's: Debian and what descends from it.
    Deb,
    /// apk's: Alpine, Wolfi.
    Apk,
    /// rpm's: Fedora, Red Hat, SUSE, Amazon.
    Rpm,
    /// Python distributions.
    Python,
    /// npm's.
    Node,
    /// Crates linked into a Rust program.
    Cargo,
    /// Modules linked into a Go program.
    Go,
}

impl Ecosystem {
    /// Its name in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Python => "python",
            Self::Node => "node",
            Self::Cargo => "cargo",
            Self::Go => "go",
        }
    }

    /// Whether the distribution's own manager put it there.
    #[must_use]
    pub fn is_distribution(self) -> bool {
        matches!(self, Self::Deb | Self::Apk | Self::Rpm)
    }
}

/// One package in one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Whose it is.
    pub ecosystem: Ecosystem,
    /// Its name, with the scope of Node's and the path of Go's.
    pub name: String,
    /// Its version as the ecosystem writes it; empty where nothing tells.
    pub version: String,
    /// The distribution's word for the machine it is for.
    pub architecture: Option<String>,
    /// The source package it was built from: name and version.
    pub source: Option<(String, String)>,
    /// Licences as declared, each as written; all of them hold.
    pub licences: Vec<String>,
    /// Who answers for it, as written.
    pub supplier: Option<String>,
    /// Where it is at home.
    pub homepage: Option<String>,
    /// One line on it.
    pub summary: Option<String>,
    /// Its package URL, if its kind has one.
    pub purl: Option<String>,
    /// Where it is told of, sorted: paths from the root, with leading slash.
    pub locations: Vec<Location>,
    /// The distribution's package that brought it, as `name version`.
    pub brought_by: Option<(String, String)>,
}

/// Where a package is told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The file, with leading slash.
    pub path: String,
    /// The layer that the file is from; 0 is the base.
    pub layer: usize,
}

/// A record that could not be read.
#[derive(Debug)]
pub struct Unread {
    /// Its path, with leading slash.
    pub path: String,
    /// Why.
    pub reason: RecordError,
}

/// What an image holds.
#[derive(Debug, Default)]
pub struct Inventory {
    /// What it is made of, if it says so.
    pub distribution: Option<Distribution>,
    /// The packages, by ecosystem, name, version and architecture.
    pub packages: Vec<Package>,
    /// Which packages each needs, by their numbers in `packages`; nothing for those of which that is not known.
    pub needs: BTreeMap<usize, Vec<usize>>,
    /// What could not be read, by path.
    pub unread: Vec<Unread>,
}

/// Reads what is in a tree; the layers of `stack` have the tars `tars`.
///
/// # Errors
/// A layer index that can't be read. All else is told in [`Inventory::unread`].
pub fn read(stack: &Stack, tars: &[&File]) -> Result<Inventory, StackError> {
    let files = ImageFiles::new(stack, tars);
    let mut finds = Finds::default();
    let distribution = release::read(&files)?;
    debian::read(&files, &mut finds)?;
    apk::read(&files, &mut finds)?;
    rpm::read(&files, &mut finds)?;
    if stack.layers().is_empty() {
        return Ok(Inventory::default());
    }
    let python = python::version(&files)?;
    for found in stack.walk(stack.root()?) {
        let found = found?;
        let Type::File { size_bytes } = found.facts.kind else {
            continue;
        };
        python::look(&files, &found, python, &mut finds);
        node::look(&files, &found, &mut finds)?;
        if size_bytes >= program::SMALLEST_BYTES && is_program(&found) {
            program::look(&files, &found, &mut finds);
        }
    }
    Ok(finds.into_inventory(distribution))
}

/// Whether the file may be one that a linker made.
fn is_program(found: &Found) -> bool {
    let name = base_name(&found.path);
    found.facts.mode & 0o111 != 0 || name.ends_with(b".so") || name.windows(4).any(|w| w == b".so.")
}

/// The last name of a path.
fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Whether a file of that name may tell of a package.
fn may_be_record(path: &[u8]) -> bool {
    [&b"METADATA"[..], b"PKG-INFO", b".egg-info", b"package.json"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// A path of the image as it is told.
fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

/// What was found so far.
#[derive(Debug, Default)]
struct Finds {
    packages: BTreeMap<Key, Package>,
    needs: Needs,
    unread: Vec<Unread>,
    /// Files of the distribution's packages that may tell of others, by path without leading slash.
    owners: HashMap<Vec<u8>, Key>,
    owner_bytes: usize,
    is_full: bool,
}

/// What makes two finds one package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    ecosystem: Ecosystem,
    name: String,
    version: String,
    architecture: Option<String>,
}

impl Key {
    fn of(package: &Package) -> Self {
        Self {
            ecosystem: package.ecosystem,
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
        }
    }
}

impl Package {
    /// One of which only that is known.
    fn new(ecosystem: Ecosystem, name: &str, version: &str, location: Location) -> Self {
        Self {
            ecosystem,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: None,
            source: None,
            licences: Vec::new(),
            supplier: None,
            homepage: None,
            summary: None,
            purl: None,
            locations: vec![location],
            brought_by: None,
        }
    }
}

impl Location {
    fn of(found: &Found) -> Self {
        Self {
            path: shown(&found.path),
            layer: found.layer,
        }
    }
}

impl Finds {
    /// Takes a package; one that is known already gets one more location.
    fn add(&mut self, package: Package) {
        let key = Key::of(&package);
        if let Some(known) = self.packages.get_mut(&key) {
            known.locations.extend(package.locations);
            if known.licences.is_empty() {
                known.licences = package.licences;
            }
            return;
        }
        if self.packages.len() < limits::PACKAGES {
            self.packages.insert(key, package);
        } else if !self.is_full {
            self.is_full = true;
            let path = package.locations.first().map(|at| at.path.clone());
            self.unread.push(Unread {
                path: path.unwrap_or_default(),
                reason: RecordError::TooMany {
                    most: limits::PACKAGES,
                },
            });
        }
    }

    /// Notes that the package owns the path. Only what may tell of a package is kept.
    fn own(&mut self, path: &[u8], package: &Key) {
        let bytes = path.len() + package.name.len() + package.version.len();
        let total = self.owner_bytes + bytes;
        if may_be_record(path) && total <= limits::PACKAGE_OWNER_BYTES {
            self.owner_bytes = total;
            let path = path.strip_prefix(b"/").unwrap_or(path);
            self.owners.insert(path.to_vec(), package.clone());
        }
    }

    /// Notes what can't be read.
    fn refuse(&mut self, path: &[u8], reason: RecordError) {
        if self.unread.len() < UNREAD {
            self.unread.push(Unread {
                path: shown(path),
                reason,
            });
        }
    }

    fn into_inventory(self, distribution: Option<Distribution>) -> Inventory {
        let Self {
            packages,
            needs,
            mut unread,
            owners,
            ..
        } = self;
        let packages = packages.into_values().map(|mut package| {
            package.locations.sort();
            package.locations.dedup();
            package.licences.sort();
            package.licences.dedup();
            package.purl = purl::of(&package, distribution.as_ref());
            if !package.ecosystem.is_distribution() {
                package.brought_by = package.locations.iter().find_map(|location| {
                    let path = location.path.strip_prefix('/')?;
                    let owner = owners.get(path.as_bytes())?;
                    Some((owner.name.clone(), owner.version.clone()))
                });
            }
            package
        });
        let packages: Vec<Package> = packages.collect();
        if needs.is_full() {
            unread.push(Unread {
                path: "what packages need of each other".to_owned(),
                reason: RecordError::TooManyNeeds {
                    most_bytes: limits::PACKAGE_NEED_BYTES,
                },
            });
        }
        let needs = needs.resolve(&packages);
        unread.sort_by(|a, b| a.path.cmp(&b.path));
        Inventory {
            distribution,
            packages,
            needs,
            unread,
        }
    }
}
