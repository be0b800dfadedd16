//! npm's packages: each `package.json` directly in a package of `node_modules`, and what a lock file
//! promises where the packages themselves are not beside it (a bundled program).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use shiplap_layer::stack::{Found, StackError};
use shiplap_model::limits;

use super::files::{ImageFiles, RecordError};
use super::needs::Need;
use super::{Ecosystem, Finds, Key, Location, Package, base_name, shown};

/// What is wanted of a `package.json`; nothing of it need be of the kind it should be.
#[derive(Deserialize)]
struct Manifest {
    name: Option<Value>,
    version: Option<Value>,
    license: Option<Value>,
    licenses: Option<Value>,
    author: Option<Value>,
    homepage: Option<Value>,
    description: Option<Value>,
    dependencies: Option<Value>,
    #[serde(rename = "optionalDependencies")]
    optional: Option<Value>,
    #[serde(rename = "peerDependencies")]
    peers: Option<Value>,
}

/// A lock file: `packages` since its version 2, `dependencies` before.
#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, Locked>,
    #[serde(default)]
    dependencies: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    license: Option<Value>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    dependencies: Option<Value>,
}

/// Takes what the file tells of.
pub(super) fn look(
    files: &ImageFiles<'_>,
    found: &Found,
    finds: &mut Finds,
) -> Result<(), StackError> {
    let name = base_name(&found.path);
    if name == b"package.json" && is_installed(&found.path) {
        match files.read(found, limits::PACKAGE_FACTS_BYTES) {
            Ok(bytes) => manifest(files, &bytes, found, finds)?,
            Err(reason) => finds.refuse(&found.path, reason),
        }
    }
    if name == b"package-lock.json" {
        let directory = found.path.strip_suffix(name).unwrap_or_default();
        let modules = [directory, b"node_modules"].concat();
        if files.find(&modules)?.is_some() || is_within_modules(directory) {
            return Ok(());
        }
        match files.read(found, limits::PACKAGE_LIST_BYTES) {
            Ok(bytes) => lock(&bytes, found, finds),
            Err(reason) => finds.refuse(&found.path, reason),
        }
    }
    Ok(())
}

/// Whether it is `node_modules/NAME/package.json` or `node_modules/@SCOPE/NAME/package.json`.
pub(super) fn is_installed(path: &[u8]) -> bool {
    let mut above = path.rsplit(|byte| *byte == b'/').skip(2);
    let place = above.next().unwrap_or_default();
    place == b"node_modules" || (place.starts_with(b"@") && above.next() == Some(b"node_modules"))
}

fn is_within_modules(directory: &[u8]) -> bool {
    directory
        .split(|byte| *byte == b'/')
        .any(|name| name == b"node_modules")
}

fn manifest(
    files: &ImageFiles<'_>,
    bytes: &[u8],
    found: &Found,
    finds: &mut Finds,
) -> Result<(), StackError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let manifest: Manifest = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            finds.refuse(&found.path, RecordError::Json(error));
            return Ok(());
        }
    };
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    // Folders that only gather others have neither.
    let (Some(name), Some(version)) = (text(&manifest.name), text(&manifest.version)) else {
        return Ok(());
    };
    let mut licences = licences(manifest.license.as_ref());
    if licences.is_empty() {
        licences = self::licences(manifest.licenses.as_ref());
    }
    let package = Package {
        licences,
        supplier: person(manifest.author.as_ref()),
        homepage: text(&manifest.homepage).filter(|url| !url.is_empty()),
        summary: text(&manifest.description).filter(|line| !line.is_empty()),
        ..Package::new(Ecosystem::Node, &name, &version, Location::of(found))
    };
    let wanted = [&manifest.dependencies, &manifest.optional, &manifest.peers];
    let wanted = wanted.into_iter().flatten().filter_map(Value::as_object);
    let mut needs = Vec::new();
    for name in wanted.flat_map(serde_json::Map::keys) {
        if let Some(record) = resolve(files, &found.path, name, finds)? {
            needs.push(Need::Record(record));
        }
    }
    finds.needs.say(&Key::of(&package), needs);
    finds.add(package);
    Ok(())
}

/// The `package.json` of the package that Node would load by that name for a package: the nearest in a
/// `node_modules` beside it or above.
fn resolve(
    files: &ImageFiles<'_>,
    package: &[u8],
    name: &str,
    finds: &mut Finds,
) -> Result<Option<String>, StackError> {
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('.');
    let is_one = match name.split_once('/') {
        Some((scope, name)) => scope.starts_with('@') && is_name(name) && !name.contains('/'),
        None => is_name(name),
    };
    let mut here = package;
    while let Some(end) = here
        .iter()
        .rposition(|byte| *byte == b'/')
        .filter(|_| is_one)
    {
        here = &here[..end];
        if base_name(here) == b"node_modules" {
            continue;
        }
        let path = [here, b"/node_modules/", name.as_bytes(), b"/package.json"].concat();
        if !finds.needs.has_room(path.len()) {
            return Ok(None);
        }
        if let Some(found) = files.find_file(&path)? {
            return Ok(Some(shown(&found.path)));
        }
    }
    // What lies in the root itself.
    let path = ["node_modules/", name, "/package.json"].concat();
    match is_one && finds.needs.has_room(path.len()) {
        true => Ok(files
            .find_file(path.as_bytes())?
            .map(|found| shown(&found.path))),
        false => Ok(None),
    }
}

/// `"MIT"`, `{"type": "MIT"}` or a list of such.
fn licences(value: Option<&Value>) -> Vec<String> {
    let one = |value: &Value| {
        let text = value.as_str().or_else(|| value.get("type")?.as_str());
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// `"NAME <MAIL>"` or `{"name": …, "email": …}`.
fn person(value: Option<&Value>) -> Option<String> {
    let value = value?;
    if let Some(text) = value.as_str() {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let name = value.get("name")?.as_str()?;
    Some(match value.get("email").and_then(Value::as_str) {
        Some(mail) => format!("{name} <{mail}>"),
        None => name.to_owned(),
    })
}

fn lock(bytes: &[u8], found: &Found, finds: &mut Finds) {
    let lock: Lock = match serde_json::from_slice(bytes) {
        Ok(lock) => lock,
        Err(error) => return finds.refuse(&found.path, RecordError::Json(error)),
    };
    for (path, locked) in &lock.packages {
        let name = path.rsplit_once("node_modules/").map(|(_, name)| name);
        let name = locked.name.as_deref().or(name).unwrap_or_default();
        // The project itself has the empty path, and a link leads to a folder of it.
        if !path.is_empty() && !locked.link {
            take_locked(name, locked, found, finds);
        }
    }
    if lock.packages.is_empty() {
        for (name, locked) in &lock.dependencies {
            take_with_own(name, locked, found, finds);
        }
    }
}

fn take_locked(name: &str, locked: &Locked, found: &Found, finds: &mut Finds) {
    let Some(version) = locked.version.as_deref() else {
        return;
    };
    if name.is_empty() || locked.dev {
        return;
    }
    finds.add(Package {
        licences: licences(locked.license.as_ref()),
        ..Package::new(Ecosystem::Node, name, version, Location::of(found))
    });
}

/// In version 1 a package holds those that are its own; JSON's bound on depth is theirs.
fn take_with_own(name: &str, locked: &Locked, found: &Found, finds: &mut Finds) {
    take_locked(name, locked, found, finds);
    let own = locked.dependencies.clone().unwrap_or_default();
    if let Ok(own) = BTreeMap::<String, Locked>::deserialize(own) {
        for (name, locked) in &own {
            take_with_own(name, locked, found, finds);
        }
    }
}
