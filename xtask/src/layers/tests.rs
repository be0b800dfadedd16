//! The floors hold in this workspace, and a wrong import is found.

use super::*;

/// One package with one import beside all other members.
fn check(package: &str, import: &str, kind: Option<&str>, expected: Option<&str>) {
    let mut packages: Vec<Package> = FLOORS
        .iter()
        .filter(|(name, _)| *name != package)
        .map(|(name, _)| Package {
            name: (*name).to_owned(),
            dependencies: Vec::new(),
        })
        .collect();
    packages.push(Package {
        name: package.to_owned(),
        dependencies: vec![Dependency {
            name: import.to_owned(),
            kind: kind.map(str::to_owned),
        }],
    });
    let found = violations(&Metadata { packages });
    match expected {
        None => assert_eq!(found, Vec::<String>::new(), "{package} -> {import}"),
        Some(part) => assert!(
            found.len() == 1 && found.iter().all(|f| f.contains(part)),
            "{package} -> {import}: {found:?}"
        ),
    }
}

#[test]
fn this_workspace_keeps_its_floors() {
    run().expect("because every import is allowed");
}

#[test]
fn wrong_imports_are_found() {
    check("shiplap-store", "shiplap-model", None, None);
    check(
        "shiplap-store",
        "shiplap-layer",
        None,
        Some("must not import shiplap-layer"),
    );
    check(
        "shiplap-store",
        "shiplap-layer",
        Some("dev"),
        Some("must not import"),
    );
    check(
        "shiplap-model",
        "shiplap-ops",
        None,
        Some("must not import"),
    );
    check("shiplap-model", "rustix", None, Some("takes only"));
    check("shiplap-model", "proptest", Some("dev"), None);
    check("shiplap", "shiplap-store", None, Some("must not import"));
    check(
        "shiplap",
        "shiplap-registry",
        Some("dev"),
        Some("must not import"),
    );
    check(
        "shiplap-hub",
        "shiplap-registry",
        None,
        Some("must not import"),
    );
    check("shiplap-engine", "shiplap-build", None, None);
    check("shiplap-ops", "tokio", None, Some("threads"));
    check("shiplap-hub", "tokio", None, None);
    check("shiplap-ops", "clap", None, Some("face"));
    check("shiplap-layer", "anyhow", None, Some("facts"));
    check("shiplap-new", "serde", None, Some("stands on no floor"));
}
