//! `sbom`: both documents are valid by their official schemas, and tell the packages that dpkg, pip and rpm
//! themselves tell.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Store, image::recipe, judge, tar::Entry};

/// Judges a document by the schemas, with all they refer to and with the forms of dates and addresses.
const VALIDATE: &str = r#"
import json, pathlib, sys
from jsonschema import Draft7Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7
folder, name, document = sys.argv[1:]
schemas = {file.name: json.loads(file.read_text()) for file in pathlib.Path(folder).glob("*.json")}
resources = [(schema["$id"], Resource.from_contents(schema, default_specification=DRAFT7)) for schema in schemas.values()]
validator = Draft7Validator(schemas[name], registry=Registry().with_resources(resources), format_checker=FormatChecker())
errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(json.load(open(document)))]
print("\n".join(errors[:20]))
sys.exit(bool(errors))
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python() -> Option<PathBuf> {
    let named = std::env::var_os("SHIPLAP_PYTHON").map(PathBuf::from);
    let found = named.filter(|path| path.is_file());
    if found.is_none() {
        judge::skip("no Python with jsonschema: scripts/test makes one, SHIPLAP_PYTHON names it");
    }
    found
}

/// Both documents of the image, judged.
#[track_caller]
fn documents(store: &Store, image: &str, python: &Path) -> (Value, Value) {
    let both = [
        ("spdx", "spdx-2.3.schema.json"),
        ("cyclonedx", "bom-1.6.schema.json"),
    ]
    .map(|(format, schema)| {
        let path = store.path(format);
        let file = path.to_str().unwrap();
        let said = store.ok(&["sbom", "--format", format, "-o", file, image]);
        assert_eq!(said, "");
        let mut command = Command::new(python);
        command.args(["-c", VALIDATE]);
        command.arg(repository().join("testdata/sbom-schema"));
        command.args([schema, file]);
        judge::ask(&mut command);
        // To a pipe, and a second time: the same bytes.
        let again = store.ok(&["sbom", "--format", format, image]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, again);
        serde_json::from_str(&text).unwrap()
    });
    let [spdx, cyclonedx] = both;
    assert_consistent(&spdx, &cyclonedx);
    (spdx, cyclonedx)
}

/// Every name is given once, all that is referred to is there, and both tell of the same packages.
#[track_caller]
fn assert_consistent(spdx: &Value, cyclonedx: &Value) {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = list(spdx, "packages");
    let ids: BTreeSet<String> = packages.iter().map(|p| text(&p["SPDXID"])).collect();
    assert_eq!(ids.len(), packages.len());
    for relationship in list(spdx, "relationships") {
        for end in ["spdxElementId", "relatedSpdxElement"] {
            let id = text(&relationship[end]);
            assert!(id == "SPDXRef-DOCUMENT" || ids.contains(&id), "{id}");
        }
    }
    let known: BTreeSet<String> = list(spdx, "hasExtractedLicensingInfos")
        .iter()
        .map(|licence| text(&licence["licenseId"]))
        .collect();
    let mut told = BTreeSet::new();
    for package in &packages {
        let declared = text(&package["licenseDeclared"]);
        let words = declared.split([' ', '(', ')']);
        told.extend(
            words
                .filter(|word| word.starts_with("LicenseRef-"))
                .map(str::to_owned),
        );
    }
    assert_eq!(told, known);
    let components = list(cyclonedx, "components");
    let refs: BTreeSet<String> = components.iter().map(|c| text(&c["bom-ref"])).collect();
    assert_eq!(refs.len(), components.len());
    let mut needs = BTreeSet::new();
    for (number, told) in list(cyclonedx, "dependencies").iter().enumerate() {
        assert!(number == 0 || refs.contains(&text(&told["ref"])), "{told}");
        for needed in list(told, "dependsOn") {
            assert!(refs.contains(&text(&needed)), "{needed}");
            needs.insert((text(&told["ref"]), text(&needed)));
        }
    }
    needs.retain(|(of, _)| of != "image");
    let relationships = list(spdx, "relationships");
    let depends = relationships
        .iter()
        .filter(|r| r["relationshipType"] == "DEPENDS_ON");
    let bare = |id: &Value| text(id).trim_start_matches("SPDXRef-Package-").to_owned();
    let in_spdx = depends.map(|r| (bare(&r["spdxElementId"]), bare(&r["relatedSpdxElement"])));
    assert_eq!(in_spdx.collect::<BTreeSet<_>>(), needs);
    let in_spdx: BTreeSet<String> = packages
        .iter()
        .filter(|package| package["primaryPackagePurpose"] == "LIBRARY")
        .map(|package| text(&package["externalRefs"][0]["referenceLocator"]))
        .collect();
    let in_cyclonedx: BTreeSet<String> = components
        .iter()
        .filter(|component| component["type"] == "library")
        .map(|component| text(&component["purl"]))
        .collect();
    assert_eq!(in_spdx, in_cyclonedx);
}

/// `name version` of the packages of an ecosystem.
fn packages(cyclonedx: &Value, ecosystem: &str) -> BTreeSet<String> {
    let is_of = |component: &&Value| {
        let properties = component["properties"].as_array();
        properties.into_iter().flatten().any(|property| {
            property["name"] == "shiplap:ecosystem" && property["value"] == ecosystem
        })
    };
    cyclonedx["components"]
        .as_array()
        .unwrap()
        .iter()
        .filter(is_of)
        .map(|component| {
            let part = |key: &str| component[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", part("name"), part("version"))
        })
        .collect()
}

/// `name needed` for what packages of an ecosystem need; those that need nothing stand alone.
fn needs(cyclonedx: &Value, ecosystem: &str) -> BTreeSet<String> {
    let components = cyclonedx["components"].as_array().unwrap();
    let name = |reference: &Value| {
        let found = components.iter().find(|c| c["bom-ref"] == *reference);
        found.map(|c| c["name"].as_str().unwrap().to_owned())
    };
    let start = format!("{ecosystem}-");
    let told = cyclonedx["dependencies"].as_array().unwrap().iter();
    let told = told.filter(|told| told["ref"].as_str().unwrap().starts_with(&start));
    told.flat_map(|told| {
        let name_of = name(&told["ref"]).unwrap();
        let needed = told["dependsOn"].as_array().unwrap();
        let alone = needed.is_empty().then(|| name_of.clone());
        let pairs = needed
            .iter()
            .map(|needed| format!("{name_of} {}", name(needed).unwrap()));
        pairs.chain(alone).collect::<Vec<_>>()
    })
    .collect()
}

fn lines(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn a_root_of_debian_as_dpkg_tells_it() {
    let (Some(python), Some(debian)) = (python(), debian()) else {
        return;
    };
    let store = Store::new();
    store.ok(&["import", debian.to_str().unwrap(), "debian:test"]);
    let (spdx, cyclonedx) = documents(&store, "debian:test", &python);
    assert_eq!(spdx["name"], "docker.io/library/debian:test");
    let root = store.path("root");
    fs::create_dir(&root).unwrap();
    store.ok(&[
        "image",
        "cp",
        "debian:test",
        "/var/lib/dpkg",
        root.to_str().unwrap(),
    ]);
    let mut query = Command::new(judge::program("dpkg-query").unwrap());
    query.arg(format!("--admindir={}/dpkg", root.display()));
    query.args(["-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n"]);
    let expected = lines(&judge::ask(&mut query));
    let expected: BTreeSet<String> = expected
        .iter()
        .filter_map(|line| Some(line.strip_prefix("ii")?.trim().to_owned()))
        .collect();
    assert!(expected.len() > 50, "{expected:?}");
    assert_eq!(packages(&cyclonedx, "deb"), expected);
    assert_eq!(
        needs(&cyclonedx, "deb"),
        needs_as_dpkg_tells(&root.join("dpkg"))
    );
    let bash = spdx["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "bash")
        .unwrap();
    let purl = bash["externalRefs"][0]["referenceLocator"]
        .as_str()
        .unwrap();
    assert!(purl.starts_with("pkg:deb/debian/bash@"), "{purl}");
    let licence = bash["licenseDeclared"].as_str().unwrap();
    assert!(licence.contains("GPL-3.0-"), "{licence}");
}

/// What dpkg's packages need, as `name needed`: of alternatives the first that is there, of names that are only
/// provided all that provide them.
fn needs_as_dpkg_tells(admindir: &Path) -> BTreeSet<String> {
    let mut query = Command::new(judge::program("dpkg-query").unwrap());
    query.arg(format!("--admindir={}", admindir.display()));
    let format = "${db:Status-Status}\t${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n";
    query.args(["-W", "-f", format]);
    let told = judge::ask(&mut query);
    let rows: Vec<Vec<&str>> = told
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let rows: Vec<_> = rows.iter().filter(|row| row[0] == "installed").collect();
    let word = |relation: &str| {
        let relation = relation.trim();
        let end = relation.find([' ', '(', ':']).unwrap_or(relation.len());
        relation[..end].to_owned()
    };
    let met = |name: &String| -> Vec<String> {
        let is_called = |row: &&&Vec<&str>| row[1] == name;
        let provides = |row: &&&Vec<&str>| row[3].split(',').any(|given| word(given) == *name);
        let named: Vec<_> = rows
            .iter()
            .filter(is_called)
            .map(|row| row[1].to_owned())
            .collect();
        let providing = rows.iter().filter(provides).map(|row| row[1].to_owned());
        if named.is_empty() {
            providing.collect()
        } else {
            named
        }
    };
    let mut needs = BTreeSet::new();
    for row in &rows {
        let groups = row[2].split(',').filter(|group| !group.trim().is_empty());
        let needed: BTreeSet<String> = groups
            .flat_map(|group| {
                let names = group.split('|').map(word);
                names
                    .map(|name| met(&name))
                    .find(|met| !met.is_empty())
                    .unwrap_or_default()
            })
            .filter(|needed| needed != row[1])
            .collect();
        if needed.is_empty() {
            needs.insert(row[1].to_owned());
        }
        needs.extend(needed.iter().map(|needed| format!("{} {needed}", row[1])));
    }
    needs
}

fn debian() -> Option<PathBuf> {
    let named = std::env::var_os("SHIPLAP_DEBIAN").map(PathBuf::from);
    let found = named.filter(|path| path.is_file());
    if found.is_none() {
        judge::skip("no root of Debian: scripts/test makes one, or SHIPLAP_DEBIAN names it");
    }
    found
}

#[test]
fn python_packages_as_pip_tells_them() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let environment = python.parent().unwrap().parent().unwrap();
    let archive = store.path("environment.tar");
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(environment)
        .arg("-cf")
        .arg(&archive)
        .arg("lib");
    judge::ask(&mut tar);
    store.ok(&["import", archive.to_str().unwrap(), "environment"]);
    let (_, cyclonedx) = documents(&store, "environment", &python);
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "--disable-pip-version-check",
        "list",
        "--format",
        "json",
    ]);
    let listed: Value = serde_json::from_str(&judge::ask(&mut pip)).unwrap();
    let listed: BTreeSet<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let part = |key: &str| package[key].as_str().unwrap().to_owned();
            format!("{} {}", part("name"), part("version"))
        })
        .collect();
    assert_needs_as_pip_tells(&cyclonedx, &python);
    let told = packages(&cyclonedx, "python");
    let missing: Vec<_> = listed.difference(&told).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // What packages bring along in themselves is told too, and nothing else.
    for component in cyclonedx["components"].as_array().unwrap() {
        let occurrences = component["evidence"]["occurrences"].as_array();
        let places: Vec<_> = occurrences
            .into_iter()
            .flatten()
            .map(|at| at["location"].as_str().unwrap())
            .collect();
        let name = format!(
            "{} {}",
            component["name"].as_str().unwrap(),
            component["version"].as_str().unwrap()
        );
        let is_vendored = places.iter().all(|place| place.contains("_vendor/"));
        let is_python = component["purl"]
            .as_str()
            .is_some_and(|p| p.starts_with("pkg:pypi/"));
        assert!(
            !is_python || listed.contains(&name) || is_vendored,
            "{component}"
        );
    }
}

/// What is installed of what each distribution asks for, by the library that pip itself uses.
const PYTHON_NEEDS: &str = r#"
import importlib.metadata as metadata, re
from pip._vendor.packaging.requirements import Requirement
plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
found = {plain(d.metadata["Name"]): d for d in metadata.distributions()}
open = [(name, "") for name in found]
seen = set(open)
lines = set()
for name, extra in open:
    for requirement in map(Requirement, found[name].requires or []):
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        needed = plain(requirement.name)
        if needed in found and needed != name:
            lines.add(f"{name} {needed}")
        if needed in found:
            more = {(needed, extra) for extra in requirement.extras} - seen
            seen |= more
            open += sorted(more)
print("\n".join(lines))
"#;

#[track_caller]
fn assert_needs_as_pip_tells(cyclonedx: &Value, python: &Path) {
    let mut command = Command::new(python);
    command.args(["-c", PYTHON_NEEDS]);
    let expected = lines(&judge::ask(&mut command));
    let plain = |name: &str| name.replace(['_', '.'], "-").to_lowercase();
    let told = needs(cyclonedx, "python");
    let told: BTreeSet<String> = told.iter().map(|line| plain(line)).collect();
    let told: BTreeSet<String> = told.into_iter().filter(|line| line.contains(' ')).collect();
    assert!(expected.len() > 3, "{expected:?}");
    let missing: Vec<_> = expected.difference(&told).collect();
    let vendored: Vec<_> = told.difference(&expected).collect();
    assert!(
        missing.is_empty() && vendored.is_empty(),
        "{missing:?} {vendored:?}"
    );
}

#[test]
fn rpm_node_and_what_is_damaged() {
    let Some(python) = python() else { return };
    let database = |name: &str| fs::read(repository().join("testdata/rpm").join(name)).unwrap();
    let store = Store::new();
    let long = format!(
        "Name: {}\nVersion: {}\n",
        "n".repeat(5000),
        "1".repeat(5000)
    );
    let image = recipe(&[&[
        Entry::file("etc/os-release", b"ID=fedora\nVERSION_ID=40\n"),
        Entry::file(
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            &database("rpmdb.sqlite"),
        ),
        Entry::file(
            "app/node_modules/@scope/\u{1b}[2Jname/package.json",
            br#"{"name":"@scope/\u001b[2Jname","version":"1.0.0","license":"See \u0007 LICENSE"}"#,
        ),
        Entry::file("app/node_modules/bad/package.json", b"{\x1b"),
        Entry::file("srv/long.egg-info", long.as_bytes()),
    ]])
    .make();
    fs::write(store.path("image.tar"), image.oci_archive("test")).unwrap();
    store.ok(&["load", "--input", store.path("image.tar").to_str().unwrap()]);
    let (spdx, cyclonedx) = documents(&store, &image.id(), &python);
    let expected = lines("hello 1:2.10-3\nmany 1-1");
    assert_eq!(packages(&cyclonedx, "rpm"), expected);
    assert!(
        spdx["annotations"][0]["comment"]
            .as_str()
            .unwrap()
            .contains("bad/package.json")
    );
    let ran = store.run(&["sbom", &image.id()]);
    ran.assert_ok();
    ran.assert_says(&["warning: /app/node_modules/bad/package.json is left out"]);
    assert!(
        !ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'),
        "{ran:#?}"
    );
}

#[test]
fn an_image_of_nothing_and_wrong_words() {
    let store = Store::new();
    let image = recipe(&[]).make();
    fs::write(store.path("empty.tar"), image.oci_archive("empty")).unwrap();
    store.ok(&["load", "--input", store.path("empty.tar").to_str().unwrap()]);
    let spdx = store.json(&["sbom", "--format", "spdx", &image.id()]);
    assert_eq!(spdx["packages"].as_array().unwrap().len(), 1);
    assert_eq!(spdx["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    store
        .run(&["sbom", "nothing-of-that-name-here:1"])
        .assert_refused();
    let ran = store.run(&["sbom", "--format", "xml", &image.id()]);
    ran.assert_refused();
    ran.assert_says(&["spdx and cyclonedx"]);
    let ran = store.run(&["sbom", "-o", "/nowhere/at/all", &image.id()]);
    ran.assert_refused();
    ran.assert_says(&["failed to write /nowhere/at/all"]);
}
