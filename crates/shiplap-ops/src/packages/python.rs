//! Python distributions: `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`, `EGG-INFO/PKG-INFO` and files called
//! `*.egg-info` ("Core metadata specifications").

mod requirement;

use shiplap_layer::stack::{Found, StackError};
use shiplap_model::limits;

use super::files::ImageFiles;
use super::needs::Need;
use super::stanza::{Stanza, first};
use super::{Ecosystem, Finds, Key, Location, Package, base_name};

pub(super) use self::requirement::Requirement;

/// Longest text of a field that is taken for the name of a licence and not for the licence itself.
const LICENCE_NAME_BYTES: usize = 80;

/// A version of Python: major and minor number.
pub(super) type Version = (u64, u64);

/// The version of the image's Python, if it has one only.
pub(super) fn version(files: &ImageFiles<'_>) -> Result<Option<Version>, StackError> {
    let mut only = None;
    for place in [&b"usr/lib"[..], b"usr/local/lib", b"usr/lib64"] {
        for found in files.entries(place)? {
            let Some(version) = version_in(base_name(&found.path)) else {
                continue;
            };
            if only.is_some_and(|only| only != version) {
                return Ok(None);
            }
            only = Some(version);
        }
    }
    Ok(only)
}

/// The version in a directory's name, `python3.11`.
fn version_in(name: &[u8]) -> Option<Version> {
    let name = std::str::from_utf8(name).ok()?;
    let (major, minor) = name.strip_prefix("python")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Takes the package if the file tells of one; `version` is that of the image's Python.
pub(super) fn look(
    files: &ImageFiles<'_>,
    found: &Found,
    version: Option<Version>,
    finds: &mut Finds,
) {
    if !is_record(&found.path) {
        return;
    }
    match files.start(found, limits::PACKAGE_FACTS_BYTES) {
        Ok(text) => {
            let own = found.path.split(|byte| *byte == b'/').find_map(version_in);
            finds_in(&first(&text), found, own.or(version), finds);
        }
        Err(reason) => finds.refuse(&found.path, reason),
    }
}

/// Whether the path is one that metadata of a distribution has.
pub(super) fn is_record(path: &[u8]) -> bool {
    let mut names = path.rsplit(|byte| *byte == b'/');
    let name = names.next().unwrap_or_default();
    let above = names.next().unwrap_or_default();
    match name {
        b"METADATA" => above.ends_with(b".dist-info"),
        b"PKG-INFO" => above.ends_with(b".egg-info") || above == b"EGG-INFO",
        _ => name.ends_with(b".egg-info"),
    }
}

fn finds_in(stanza: &Stanza<'_>, found: &Found, version: Option<Version>, finds: &mut Finds) {
    let Some(name) = stanza.line("Name") else {
        finds.refuse(&found.path, super::RecordError::Damaged("it has no name"));
        return;
    };
    // Some say `UNKNOWN` where they know nothing.
    let known = |name: &str| {
        let line = stanza.line(name).filter(|line| *line != "UNKNOWN");
        line.map(str::to_owned)
    };
    let author = known("Author").or_else(|| known("Author-email"));
    let project = stanza.all("Project-URL").find_map(|line| {
        let (label, url) = line.split_once(',')?;
        let is_home = ["homepage", "home", "repository", "source"]
            .iter()
            .any(|known| label.trim().eq_ignore_ascii_case(known));
        is_home.then(|| url.trim().to_owned())
    });
    let package = Package {
        licences: licences(stanza),
        supplier: author.or_else(|| known("Maintainer")),
        homepage: known("Home-page").or(project),
        summary: known("Summary"),
        ..Package::new(
            Ecosystem::Python,
            name,
            stanza.line("Version").unwrap_or_default(),
            Location::of(found),
        )
    };
    // What is no `METADATA` says in another file what it needs, if at all.
    if base_name(&found.path) == b"METADATA" {
        let lines = stanza.all("Requires-Dist");
        let read = lines.filter_map(|line| Requirement::read(line, version));
        finds.needs.say(&Key::of(&package), read.map(Need::Python));
    }
    finds.add(package);
}

/// The expression if there is one, else the field if it is a name, else the classifiers.
pub(super) fn licences(stanza: &Stanza<'_>) -> Vec<String> {
    if let Some(expression) = stanza.line("License-Expression") {
        return vec![expression.to_owned()];
    }
    let field = stanza.get("License").filter(|text| {
        let is_name = !text.contains('\n') && text.len() <= LICENCE_NAME_BYTES;
        is_name && !text.is_empty() && *text != "UNKNOWN"
    });
    if let Some(field) = field {
        return vec![field.to_owned()];
    }
    let classified = stanza.all("Classifier").filter_map(|line| {
        let rest = line.strip_prefix("License :: ")?;
        let name = rest.rsplit(" :: ").next()?;
        (name != "OSI Approved").then(|| name.to_owned())
    });
    classified.collect()
}
