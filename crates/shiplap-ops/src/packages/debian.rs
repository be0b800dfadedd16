//! dpkg's packages: `var/lib/dpkg/status`, or one file for each package in `status.d` as distroless
//! images have it. Licences are from `usr/share/doc/NAME/copyright`.

use shiplap_layer::stack::{Found, StackError};
use shiplap_model::limits;

use super::files::ImageFiles;
use super::needs::Need;
use super::stanza::{Stanza, stanzas};
use super::{Ecosystem, Finds, Key, Location, Package, base_name, copyright};

const STATUS: &[u8] = b"var/lib/dpkg/status";
const STATUS_D: &[u8] = b"var/lib/dpkg/status.d";

pub(super) fn read(files: &ImageFiles<'_>, finds: &mut Finds) -> Result<(), StackError> {
    if let Some(found) = files.find_file(STATUS)? {
        read_status(files, &found, false, finds)?;
    }
    for found in files.entries(STATUS_D)? {
        let is_sums = base_name(&found.path).ends_with(b".md5sums");
        if !is_sums && !found.is_directory() {
            read_status(files, &found, true, finds)?;
        }
    }
    Ok(())
}

/// Takes the packages of one file. In `status.d` a stanza need not say that it is installed.
fn read_status(
    files: &ImageFiles<'_>,
    found: &Found,
    is_single: bool,
    finds: &mut Finds,
) -> Result<(), StackError> {
    let text = match files.read(found, limits::PACKAGE_LIST_BYTES) {
        Ok(bytes) => super::files::text(bytes),
        Err(reason) => {
            finds.refuse(&found.path, reason);
            return Ok(());
        }
    };
    for stanza in stanzas(&text) {
        let is_installed = match stanza.line("Status") {
            Some(status) => is_installed(status),
            None => is_single,
        };
        let Some(mut package) = package(&stanza, found).filter(|_| is_installed) else {
            continue;
        };
        package.licences = licences(files, &package.name, finds)?;
        let key = Key::of(&package);
        say_needs(&stanza, &key, finds);
        finds.add(package);
        own(files, &key, finds)?;
    }
    Ok(())
}

/// Whether files of the package are there: dpkg's third word tells.
pub(super) fn is_installed(status: &str) -> bool {
    let state = status.split_whitespace().nth(2);
    !matches!(state, None | Some("not-installed" | "config-files"))
}

fn package(stanza: &Stanza<'_>, found: &Found) -> Option<Package> {
    let name = stanza.line("Package")?;
    let version = stanza.line("Version")?;
    let source = stanza.line("Source").map(|source| {
        // `glibc (2.36-9)` where it differs from the package's own.
        match source.split_once(' ') {
            Some((name, rest)) => (name, rest.trim().trim_matches(['(', ')'])),
            None => (source, version),
        }
    });
    let owned = |line: &str| line.to_owned();
    Some(Package {
        architecture: stanza.line("Architecture").map(owned),
        source: source.map(|(name, version)| (name.to_owned(), version.to_owned())),
        supplier: stanza.line("Maintainer").map(owned),
        homepage: stanza.line("Homepage").map(owned),
        summary: stanza.line("Description").map(owned),
        ..Package::new(Ecosystem::Deb, name, version, Location::of(found))
    })
}

/// Notes what it depends on, and what it provides.
fn say_needs(stanza: &Stanza<'_>, package: &Key, finds: &mut Finds) {
    let fields = ["Pre-Depends", "Depends"].map(|field| stanza.get(field).unwrap_or_default());
    let needs = fields
        .iter()
        .flat_map(|field| field.split(','))
        .map(|need| {
            let names = need.split('|').map(name_of).filter(|name| !name.is_empty());
            Need::OneOf(names.map(str::to_owned).collect())
        });
    finds.needs.say(package, needs);
    let provided = stanza.get("Provides").unwrap_or_default().split(',');
    for name in provided.map(name_of).filter(|name| !name.is_empty()) {
        finds.needs.provide(package, name);
    }
}

/// The name in `name:any (>= 1)`.
fn name_of(relation: &str) -> &str {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '(' | ':' | '[' | '<');
    relation.trim().split(is_end).next().unwrap_or_default()
}

fn licences(
    files: &ImageFiles<'_>,
    name: &str,
    finds: &mut Finds,
) -> Result<Vec<String>, StackError> {
    if name.contains('/') {
        return Ok(Vec::new());
    }
    let path = format!("usr/share/doc/{name}/copyright");
    let Some(found) = files.find_file(path.as_bytes())? else {
        return Ok(Vec::new());
    };
    match files.start(&found, limits::PACKAGE_FACTS_BYTES) {
        Ok(text) => Ok(copyright::licences(&text)),
        Err(reason) => {
            finds.refuse(&found.path, reason);
            Ok(Vec::new())
        }
    }
}

/// Notes the files that the package says are its own.
fn own(files: &ImageFiles<'_>, package: &Key, finds: &mut Finds) -> Result<(), StackError> {
    let Key {
        name, architecture, ..
    } = package;
    if name.contains('/') {
        return Ok(());
    }
    let mut list = files.find_file(format!("var/lib/dpkg/info/{name}.list").as_bytes())?;
    if let (None, Some(architecture)) = (&list, architecture) {
        let path = format!("var/lib/dpkg/info/{name}:{architecture}.list");
        list = files.find_file(path.as_bytes())?;
    }
    let Some(list) = list else {
        return Ok(());
    };
    match files.read(&list, limits::PACKAGE_LIST_BYTES) {
        Ok(bytes) => {
            for line in bytes.split(|byte| *byte == b'\n') {
                finds.own(line, package);
            }
        }
        Err(reason) => finds.refuse(&list.path, reason),
    }
    Ok(())
}
