#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::packages::tests::{inventory, line};

const FORMS: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];

/// A database that rpm wrote; `testdata/rpm/make.sh` says how.
fn database(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/rpm");
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn each_form_of_the_database() {
    for name in FORMS {
        let path = format!("var/lib/rpm/{name}");
        let found = inventory(&[&[
            ("etc/os-release", 0o644, b"ID=fedora\nVERSION_ID=40\n"),
            (&path, 0o644, &database(name)),
            (
                "usr/lib/python3/site-packages/hello-2.10.dist-info/METADATA",
                0o644,
                b"Name: hello\nVersion: 2.10\n",
            ),
        ]]);
        let lines: Vec<_> = found.packages.iter().map(line).collect();
        let expected = [
            "rpm hello 1:2.10-3 x86_64 [\"GPLv3+\"] \
             pkg:rpm/fedora/hello@2.10-3?arch=x86_64&distro=fedora-40&epoch=1",
            "rpm many 1-1 noarch [\"MIT and ASL 2.0\"] \
             pkg:rpm/fedora/many@1-1?arch=noarch&distro=fedora-40",
            "python hello 2.10 - [] pkg:pypi/hello@2.10",
        ];
        assert_eq!(lines, expected, "{name}");
        assert!(found.unread.is_empty(), "{name}: {:?}", found.unread);
        let [hello, _, python] = &found.packages[..] else {
            unreachable!("three are asserted");
        };
        assert_eq!(hello.supplier.as_deref(), Some("Example Vendor"));
        let source = ("hello".to_owned(), "2.10-3".to_owned());
        assert_eq!(hello.source, Some(source), "{name}");
        let owner = Some(("hello".to_owned(), "1:2.10-3".to_owned()));
        assert_eq!(python.brought_by, owner, "{name}");
        // By what it provides and by a program's path, which is one and the same package.
        let needs = BTreeMap::from([(0, vec![]), (1, vec![0]), (2, vec![])]);
        assert_eq!(found.needs, needs, "{name}");
    }
}

#[test]
fn the_same_database_by_two_paths_counts_once() {
    let found = inventory(&[&[
        (
            "usr/lib/sysimage/rpm/Packages.db",
            0o644,
            &database("Packages.db"),
        ),
        ("@var/lib/rpm", 0o777, b"../../usr/lib/sysimage/rpm"),
    ]]);
    let places = found.packages.iter().map(|package| package.locations.len());
    assert_eq!(places.collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn damaged_databases_are_told() {
    for name in FORMS {
        let whole = database(name);
        let path = format!("var/lib/rpm/{name}");
        // Cut short, and bent at bytes all over; whatever is read then, nothing panics or hangs.
        for part in 0..32 {
            let cut = whole.len() * part / 32;
            let found = inventory(&[&[(&path, 0o644, &whole[..cut])]]);
            let told = !found.unread.is_empty();
            assert!(told || found.packages.len() == 2, "{name} cut at {cut}");
        }
        for at in (0..whole.len()).step_by(whole.len() / 300 + 1) {
            for bits in [0xff, 0x01] {
                let mut bent = whole.clone();
                bent[at] ^= bits;
                inventory(&[&[(&path, 0o644, &bent)]]);
            }
        }
        let found = inventory(&[&[(&path, 0o644, b"nothing of the kind")]]);
        assert_eq!(found.unread.len(), 1, "{name}");
    }
}
