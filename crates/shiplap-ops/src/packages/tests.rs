#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::ingest;
use shiplap_layer::stack::Stack;
use shiplap_layer::tar::{Metadata, Writer};

use super::{Inventory, Package, copyright, debian, node, program, python, read, stanza};

/// A file of an image: path, mode, content.
pub(crate) type Entry<'a> = (&'a str, u16, &'a [u8]);

/// An image of these layers, open.
pub(crate) fn image(layers: &[&[Entry<'_>]]) -> (Stack, Vec<File>) {
    let mut indexes: Vec<Arc<dyn shiplap_layer::stack::Layer>> = Vec::new();
    let mut tars = Vec::new();
    for entries in layers {
        let mut writer = Writer::new(tempfile::tempfile().unwrap());
        for (path, mode, content) in *entries {
            let metadata = Metadata {
                mode: *mode,
                ..Metadata::default()
            };
            let (path, size) = (path.as_bytes(), content.len() as u64);
            if let Some(target) = path.strip_prefix(b"@") {
                writer.symlink(target, &metadata, content).unwrap();
            } else {
                let mut content = *content;
                writer.file(path, &metadata, size, &mut content).unwrap();
            }
        }
        let tar = writer.finish().unwrap();
        let index = tempfile::tempfile().unwrap();
        ingest::reindex(&tar, &index).unwrap();
        indexes.push(Arc::new(LayerIndex::open(index).unwrap()));
        tars.push(tar);
    }
    (Stack::new(indexes).unwrap(), tars)
}

pub(crate) fn inventory(layers: &[&[Entry<'_>]]) -> Inventory {
    let (stack, tars) = image(layers);
    let tars: Vec<&File> = tars.iter().collect();
    read(&stack, &tars).unwrap()
}

/// `ecosystem name version architecture [licences] purl`.
pub(crate) fn line(package: &Package) -> String {
    format!(
        "{} {} {} {} {:?} {}",
        package.ecosystem.name(),
        package.name,
        package.version,
        package.architecture.as_deref().unwrap_or("-"),
        package.licences,
        package.purl.as_deref().unwrap_or("-"),
    )
}

#[track_caller]
fn check(entries: &[Entry<'_>], expected: &[&str], unread: &[&str]) {
    let found = inventory(&[entries]);
    let lines: Vec<_> = found.packages.iter().map(line).collect();
    assert_eq!(lines, expected);
    let told = found.unread.iter();
    let told: Vec<_> = told.map(|u| format!("{} {}", u.path, u.reason)).collect();
    assert_eq!(told.len(), unread.len(), "{told:?}");
    for (told, words) in told.iter().zip(unread) {
        assert!(told.contains(words), "{told:?} {words:?}");
    }
}

const DEBIAN: Entry<'_> = (
    "etc/os-release",
    0o644,
    b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\n",
);

const STATUS: &[u8] = b"Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u9
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Description: GNU C Library: Shared libraries
 Contains the standard libraries.
 .
 Version: no field of this kind
Homepage: https://www.gnu.org/software/libc/libc.html

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install ok half-configured
Architecture: all
Version: 1:2~rc1
";

#[test]
fn dpkg() {
    check(
        &[
            DEBIAN,
            ("var/lib/dpkg/status", 0o644, STATUS),
            (
                "usr/share/doc/libc6/copyright",
                0o644,
                b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                  Files: *\nLicense: LGPL-2.1+ and GPL-2+\n\nLicense: LGPL-2.1+\n text\n",
            ),
            ("@usr/share/doc/half", 0o777, b"libc6"),
        ],
        &[
            "deb half 1:2~rc1 all [\"GPL-2+\", \"LGPL-2.1+\"] \
             pkg:deb/debian/half@1:2~rc1?arch=all&distro=debian-12",
            "deb libc6 2.36-9+deb12u9 amd64 [\"GPL-2+\", \"LGPL-2.1+\"] \
             pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12",
        ],
        &[],
    );
    let found = inventory(&[&[("var/lib/dpkg/status", 0o644, STATUS)]]);
    let libc = found.packages.iter().find(|p| p.name == "libc6").unwrap();
    let source = Some(("glibc".to_owned(), "2.36-9".to_owned()));
    assert_eq!(libc.source, source);
    assert_eq!(
        libc.summary.as_deref(),
        Some("GNU C Library: Shared libraries")
    );
    assert_eq!(
        libc.homepage.as_deref(),
        Some("https://www.gnu.org/software/libc/libc.html")
    );
}

#[test]
fn dpkg_of_distroless_images() {
    check(
        &[
            (
                "var/lib/dpkg/status.d/base",
                0o644,
                b"Package: base-files\nVersion: 12.4\nArchitecture: amd64\n",
            ),
            ("var/lib/dpkg/status.d/base.md5sums", 0o644, b"Package: no"),
        ],
        &["deb base-files 12.4 amd64 [] pkg:deb/base-files@12.4?arch=amd64"],
        &[],
    );
}

#[test]
fn apk() {
    check(
        &[
            (
                "etc/os-release",
                0o644,
                b"ID=alpine\nVERSION_ID=3.20.1\nNAME=\"Alpine\"",
            ),
            (
                "lib/apk/db/installed",
                0o644,
                b"C:Q1=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\nT:the musl c library\n\
                  o:musl\nF:lib\nR:libc.musl-x86_64.so.1\n\nP:broken\n\nP:zlib\nV:1.3.1-r1\nA:x86_64\nL:Zlib\n",
            ),
            ("@usr/lib/apk/db", 0o777, b"../../../lib/apk/db"),
        ],
        &[
            "apk musl 1.2.5-r0 x86_64 [\"MIT\"] pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1",
            "apk zlib 1.3.1-r1 x86_64 [\"Zlib\"] pkg:apk/alpine/zlib@1.3.1-r1?arch=x86_64&distro=alpine-3.20.1",
        ],
        &[],
    );
}

#[test]
fn python_distributions() {
    let site = "usr/lib/python3/dist-packages";
    check(
        &[
            DEBIAN,
            (
                &format!("{site}/Flask_Login-3.0.dist-info/METADATA"),
                0o644,
                b"Metadata-Version: 2.1\nName: Flask_Login\nVersion: 3.0\nLicense: MIT\n\nVersion: 9\n",
            ),
            (
                &format!("{site}/old.egg-info"),
                0o644,
                b"Name: old\nVersion: 1.0\nClassifier: License :: OSI Approved :: BSD License\n",
            ),
            (
                &format!("{site}/long-1.egg-info/PKG-INFO"),
                0o644,
                b"Name: long\nVersion: 1\nLicense: Copyright\n  all of it\n\
                  Classifier: License :: OSI Approved\nClassifier: License :: Public Domain\n",
            ),
            (
                &format!("{site}/x.dist-info/METADATA"),
                0o644,
                b"nothing here",
            ),
            ("srv/METADATA", 0o644, b"Name: no\nVersion: 1\n"),
        ],
        &[
            "python Flask_Login 3.0 - [\"MIT\"] pkg:pypi/flask-login@3.0",
            "python long 1 - [\"Public Domain\"] pkg:pypi/long@1",
            "python old 1.0 - [\"BSD License\"] pkg:pypi/old@1.0",
        ],
        &["x.dist-info/METADATA it is damaged: it has no name"],
    );
}

#[test]
fn node_packages_and_locks() {
    check(
        &[
            (
                "app/node_modules/express/package.json",
                0o644,
                br#"{"name":"express","version":"4.19.2","license":"MIT"}"#,
            ),
            (
                "app/node_modules/@babel/core/package.json",
                0o644,
                b"\xef\xbb\xbf{\"name\":\"@babel/core\",\"version\":\"7.0.0\",\"licenses\":[{\"type\":\"MIT\"}]}",
            ),
            (
                "app/node_modules/express/lib/package.json",
                0o644,
                br#"{"name":"no","version":"1"}"#,
            ),
            ("app/node_modules/bad/package.json", 0o644, b"{\"name\":"),
            ("app/node_modules/odd/package.json", 0o644, br#"{"name":1}"#),
            // What it locks is beside it.
            (
                "app/package-lock.json",
                0o644,
                br#"{"packages":{"node_modules/gone":{"version":"1.0.0"}}}"#,
            ),
            (
                "bundle/package-lock.json",
                0o644,
                br#"{"packages":{"":{"version":"0"},"node_modules/a/node_modules/b":{"version":"2.0.0","license":"ISC"},
                    "node_modules/test":{"version":"1.0.0","dev":true},"lib":{"link":true,"version":"1"}}}"#,
            ),
            (
                "older/package-lock.json",
                0o644,
                br#"{"dependencies":{"c":{"version":"3.0.0","dependencies":{"d":{"version":"4.0.0"}}}}}"#,
            ),
        ],
        &[
            "node @babel/core 7.0.0 - [\"MIT\"] pkg:npm/%40babel/core@7.0.0",
            "node b 2.0.0 - [\"ISC\"] pkg:npm/b@2.0.0",
            "node c 3.0.0 - [] pkg:npm/c@3.0.0",
            "node d 4.0.0 - [] pkg:npm/d@4.0.0",
            "node express 4.19.2 - [\"MIT\"] pkg:npm/express@4.19.2",
        ],
        &["/app/node_modules/bad/package.json it is damaged: EOF"],
    );
}

/// An ELF file of the class and byte order with one section of that name.
fn elf(is_64: bool, is_big: bool, name: &str, content: &[u8]) -> Vec<u8> {
    let number = |value: u64, bytes: usize| {
        let all = value.to_be_bytes();
        let mut part = all[8 - bytes..].to_vec();
        if !is_big {
            part.reverse();
        }
        part
    };
    let wide = if is_64 { 8 } else { 4 };
    let head_bytes = if is_64 { 64 } else { 52 };
    let names = format!("\0.names\0{name}\0");
    let names_at = head_bytes + content.len();
    let table_at = names_at + names.len();
    let mut file = vec![
        0x7f,
        b'E',
        b'L',
        b'F',
        1 + u8::from(is_64),
        1 + u8::from(is_big),
        1,
    ];
    file.resize(16, 0);
    file.extend([number(2, 2), number(62, 2), number(1, 4)].concat());
    file.extend(
        [
            number(0, wide),
            number(0, wide),
            number(table_at as u64, wide),
        ]
        .concat(),
    );
    file.extend(number(0, 4));
    let entry = if is_64 { 64 } else { 40 };
    for value in [head_bytes as u64, 0, 0, entry, 3, 1] {
        file.extend(number(value, 2));
    }
    assert_eq!(file.len(), head_bytes);
    file.extend(content);
    file.extend(names.as_bytes());
    for (name, at, length) in [
        (0, 0, 0),
        (1, names_at, names.len()),
        (8, head_bytes, content.len()),
    ] {
        file.extend(
            [
                number(name, 4),
                number(1, 4),
                number(0, wide),
                number(0, wide),
            ]
            .concat(),
        );
        file.extend([number(at as u64, wide), number(length as u64, wide)].concat());
        file.extend([number(0, 4), number(0, 4), number(0, wide), number(0, wide)].concat());
    }
    file
}

fn audit(json: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json).unwrap();
    encoder.finish().unwrap()
}

const AUDIT: &[u8] = br#"{"packages":[
    {"name":"tool","version":"0.1.0","source":"local","root":true,"dependencies":[1]},
    {"name":"serde","version":"1.0.200","source":"crates.io"},
    {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}"#;

#[test]
fn crates_of_programs() {
    for (is_64, is_big) in [(true, false), (true, true), (false, false), (false, true)] {
        let file = elf(is_64, is_big, ".dep-v0", &audit(AUDIT));
        check(
            &[("usr/bin/tool", 0o755, &file), ("srv/data", 0o644, &file)],
            &[
                "cargo serde 1.0.200 - [] pkg:cargo/serde@1.0.200",
                "cargo tool 0.1.0 - [] pkg:cargo/tool@0.1.0",
            ],
            &[],
        );
    }
    // What only its build needed, before and behind, and places that are none.
    let audited = br#"{"packages":[
        {"name":"cc","version":"1","kind":"build"},
        {"name":"tool","version":"1","dependencies":[0,2,9,3]},
        {"name":"a","version":"1","dependencies":[3]},
        {"name":"a","version":"2"}]}"#;
    let file = elf(true, false, ".dep-v0", &audit(audited));
    check_needs(
        &[&[("usr/bin/tool", 0o755, &file)]],
        &["a 1: a 2", "a 2: ", "tool 1: a 1, a 2"],
    );
}

fn go(version: &str, modules: &str) -> Vec<u8> {
    let mut section = b"\xff Go buildinf:\x08\x02".to_vec();
    section.resize(32, 0);
    let mark = [b'x'; 16];
    let modules = [&mark[..], modules.as_bytes(), &mark].concat();
    for text in [version.as_bytes(), &modules] {
        let mut left = text.len();
        while left >= 0x80 {
            section.push(u8::try_from(left & 0x7f).unwrap() | 0x80);
            left >>= 7;
        }
        section.push(u8::try_from(left).unwrap());
        section.extend(text);
    }
    section
}

#[test]
fn modules_of_programs() {
    let modules = "path\tgithub.com/x/tool\nmod\tgithub.com/x/tool\t(devel)\t\n\
                   dep\tgithub.com/Y/lib\tv1.2.3\th1:=\ndep\tgithub.com/a/b\tv1.0.0\n\
                   =>\tgithub.com/c/d\tv1.1.0\th1:=\nbuild\t-compiler=gc\n";
    let file = elf(
        true,
        false,
        ".go.buildinfo",
        &go("go1.22.4 X:nocoverage", modules),
    );
    check(
        &[("usr/bin/tool", 0o755, &file)],
        &[
            "go github.com/Y/lib v1.2.3 - [] pkg:golang/github.com/y/lib@v1.2.3",
            "go github.com/c/d v1.1.0 - [] pkg:golang/github.com/c/d@v1.1.0",
            "go github.com/x/tool (devel) - [] pkg:golang/github.com/x/tool@%28devel%29",
            "go stdlib 1.22.4 - [] pkg:golang/stdlib@1.22.4",
        ],
        &[],
    );
    let mut old = go("go1.17", "");
    old[15] = 0;
    check(
        &[(
            "usr/bin/old",
            0o755,
            &elf(true, false, ".go.buildinfo", &old),
        )],
        &[],
        &["/usr/bin/old what Go before 1.18"],
    );
}

#[test]
fn upper_layers_win_and_say_so() {
    let stanza = |version: &str| {
        format!("Package: a\nStatus: install ok installed\nVersion: {version}\nArchitecture: all\n")
    };
    let (old, new) = (stanza("1"), stanza("2"));
    let metadata: Entry<'_> = (
        "usr/lib/python3/dist-packages/p.egg-info",
        0o644,
        b"Name: p\nVersion: 1\n",
    );
    let found = inventory(&[
        &[("var/lib/dpkg/status", 0o644, old.as_bytes()), metadata],
        &[
            ("var/lib/dpkg/status", 0o644, new.as_bytes()),
            (
                "var/lib/dpkg/info/a.list",
                0o644,
                b"/.\n/usr/lib/python3/dist-packages/p.egg-info\n",
            ),
        ],
    ]);
    let told: Vec<_> = found
        .packages
        .iter()
        .map(|p| {
            let owner = p.brought_by.as_ref().map(|owner| owner.0.as_str());
            (&*p.name, &*p.version, p.locations[0].layer, owner)
        })
        .collect();
    assert_eq!(told, [("a", "2", 1, None), ("p", "1", 0, Some("a"))]);
}

#[test]
fn nothing_of_an_image_makes_it_panic() {
    let go = elf(true, false, ".go.buildinfo", &go("go1.22", "mod\tx\tv1\n"));
    let audited = elf(false, true, ".dep-v0", &audit(AUDIT));
    for file in [&go, &audited] {
        for cut in 0..file.len() {
            inventory(&[&[("bin/a", 0o755, &file[..cut])]]);
            let mut bent = file.clone();
            bent[cut] ^= 0xff;
            inventory(&[&[("bin/a", 0o755, &bent)]]);
        }
    }
    let bomb = audit(&vec![b' '; 20 << 20]);
    check(
        &[("bin/a", 0o755, &elf(true, false, ".dep-v0", &bomb))],
        &[],
        &["/bin/a it has more than 8388608 bytes"],
    );
    let deep = "[".repeat(100_000);
    check(
        &[
            ("node_modules/a/package.json", 0o644, deep.as_bytes()),
            ("x/package-lock.json", 0o644, deep.as_bytes()),
            ("@var/lib/dpkg/status", 0o777, b"status"),
            ("@lib/apk/db", 0o777, b"/lib/apk/db"),
            ("var/lib/dpkg/status.d/x", 0o644, b"\xff\xfe:\n : \n\n:\n"),
            ("@usr/share/doc/a", 0o777, b"/usr/share/doc/a"),
        ],
        &[],
        &[
            "/node_modules/a/package.json it is damaged",
            "/x/package-lock.json it is damaged",
        ],
    );
}

#[test]
fn paths_of_records() {
    let check = |path: &str, is_python: bool, is_node: bool| {
        assert_eq!(python::is_record(path.as_bytes()), is_python, "{path}");
        assert_eq!(node::is_installed(path.as_bytes()), is_node, "{path}");
    };
    check("a/b.dist-info/METADATA", true, false);
    check("METADATA", false, false);
    check("a/EGG-INFO/PKG-INFO", true, false);
    check("PKG-INFO", false, false);
    check("a.egg-info", true, false);
    check("node_modules/a/package.json", false, true);
    check("x/node_modules/@s/a/package.json", false, true);
    check("x/@s/a/package.json", false, false);
    check("node_modules/package.json", false, false);
    check("package.json", false, false);
}

#[test]
fn states_of_dpkg() {
    let check = |status: &str, expected: bool| {
        assert_eq!(debian::is_installed(status), expected, "{status}");
    };
    check("install ok installed", true);
    check("hold ok installed", true);
    check("install ok unpacked", true);
    check("install ok triggers-pending", true);
    check("deinstall ok config-files", false);
    check("purge ok not-installed", false);
    check("install", false);
}

#[test]
fn licences_of_copyright_files() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(copyright::licences(text), expected, "{text}");
    };
    let form = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n";
    check(&format!("{form}License: MIT\n"), &["MIT"]);
    check(
        &format!("{form}License: GPL-2+ or MIT\n\nLicense: MIT, and ISC\n"),
        &["GPL-2+ or MIT", "ISC", "MIT"],
    );
    check(
        "see /usr/share/common-licenses/GPL-2.\nand `/usr/share/common-licenses/LGPL-2.1'",
        &["GPL-2", "LGPL-2.1"],
    );
    check("License: MIT", &[]);
    check("", &[]);
}

#[test]
fn fields_of_stanzas() {
    let text = "A: 1\nB:\n two\n  lines\nnone\nA: again\n\n\n\nC: 3\r\n";
    let all: Vec<_> = stanza::stanzas(text).collect();
    assert_eq!(all.len(), 2);
    let check = |number: usize, name: &str, expected: Option<&str>| {
        assert_eq!(all[number].get(name), expected, "{name}");
    };
    check(0, "a", Some("1"));
    check(0, "B", Some("two\n  lines"));
    check(0, "C", None);
    check(1, "c", Some("3"));
    assert_eq!(all[0].line("B"), Some("two"));
    assert_eq!(all[0].all("A").collect::<Vec<_>>(), ["1", "again"]);
}

#[test]
fn a_go_program_without_modules() {
    let section = {
        let mut section = b"\xff Go buildinf:\x08\x02".to_vec();
        section.resize(32, 0);
        section.extend(b"\x08go1.19.8\x00");
        section
    };
    let expected = vec![("stdlib".to_owned(), "1.19.8".to_owned())];
    assert_eq!(program::modules(&section).unwrap(), expected);
    assert!(program::modules(b"nonsense").is_err());
    assert!(program::modules(b"\xff Go buildinf:\x08\x02").is_err());
}

/// `name version needed version, …` for each package that says what it needs.
#[track_caller]
fn check_needs(layers: &[&[Entry<'_>]], expected: &[&str]) {
    let found = inventory(layers);
    let title = |number: &usize| {
        let package = &found.packages[*number];
        format!("{} {}", package.name, package.version)
    };
    let lines = found.needs.iter().map(|(number, needed)| {
        let needed: Vec<String> = needed.iter().map(title).collect();
        format!("{}: {}", title(number), needed.join(", "))
    });
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    assert!(found.unread.is_empty(), "{:?}", found.unread);
}

#[test]
fn needs_of_distributions() {
    let status = b"Package: a
Status: install ok installed
Architecture: amd64
Version: 1
Pre-Depends: libc (>= 2), absent
Depends: gone | awk, shell:any | b, a-data (= 1),
 b [amd64]

Package: b
Status: install ok installed
Architecture: i386
Version: 1
Depends: libc
Provides: shell (= 3)

Package: mawk
Status: install ok installed
Architecture: amd64
Version: 1
Provides: awk, mawk

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libc
Status: install ok installed
Architecture: amd64
Version: 2
Depends: libc

Package: libc
Status: install ok installed
Architecture: i386
Version: 3
";
    check_needs(
        &[&[("var/lib/dpkg/status", 0o644, status)]],
        &[
            "a 1: b 1, libc 2, mawk 1",
            "b 1: libc 3",
            "libc 2: ",
            "libc 3: ",
            "mawk 1: ",
        ],
    );
    let apk = b"P:busybox
V:1
A:x86_64
D:so:libc.musl-x86_64.so.1 !uclibc-utils
p:/bin/sh cmd:sh=1

P:musl
V:1
A:x86_64
p:so:libc.musl-x86_64.so.1=1

P:app
V:1
A:x86_64
D:busybox>=1 /bin/sh cmd:sh absent<2 uclibc-utils

P:uclibc-utils
V:1
A:x86_64
";
    check_needs(
        &[&[("lib/apk/db/installed", 0o644, apk)]],
        &[
            "app 1: busybox 1, uclibc-utils 1",
            "busybox 1: musl 1",
            "musl 1: ",
            "uclibc-utils 1: ",
        ],
    );
}

#[test]
fn needs_of_python() {
    let metadata = |name: &str, lines: &str| format!("Name: {name}\nVersion: 1\n{lines}\n");
    let a = metadata(
        "A",
        "Requires-Dist: b_x[fast] (>=1)\nRequires-Dist: c; extra == 'all'",
    );
    let b = metadata("B.X", "Requires-Dist: c; extra == 'fast'\nRequires-Dist: a");
    let c = metadata(
        "c",
        "Requires-Dist: d; python_version < '3.8'\nRequires-Dist: e",
    );
    let (d, other) = (
        metadata("d", ""),
        metadata("c", "").replace("Version: 1", "Version: 2"),
    );
    check_needs(
        &[&[
            (
                "usr/lib/python3.11/site-packages/a.dist-info/METADATA",
                0o644,
                a.as_bytes(),
            ),
            (
                "usr/lib/python3.11/site-packages/b.dist-info/METADATA",
                0o644,
                b.as_bytes(),
            ),
            (
                "usr/lib/python3.11/site-packages/c.dist-info/METADATA",
                0o644,
                c.as_bytes(),
            ),
            (
                "usr/lib/python3.11/site-packages/d.dist-info/METADATA",
                0o644,
                d.as_bytes(),
            ),
            ("srv/c.dist-info/METADATA", 0o644, other.as_bytes()),
            ("srv/e.egg-info", 0o644, b"Name: e\nVersion: 1\n"),
        ]],
        &[
            "A 1: B.X 1",
            "B.X 1: A 1, c 1",
            "c 1: e 1",
            "c 2: ",
            "d 1: ",
        ],
    );
}

#[test]
fn needs_of_node() {
    let module = |name: &str, version: &str, more: &str| {
        format!("{{\"name\":\"{name}\",\"version\":\"{version}\"{more}}}")
    };
    let a = module(
        "a",
        "1",
        r#","dependencies":{"b":"*","@s/c":"1","../../evil":"1","a":"1"},"peerDependencies":{"d":"1"}"#,
    );
    let b = module("b", "1", r#","dependencies":["b"]"#);
    let (inner, c) = (
        module("b", "2", ""),
        module("@s/c", "1", r#","dependencies":{"b":"1"}"#),
    );
    let d = module(
        "d",
        "1",
        r#","optionalDependencies":{"absent":"1","b":"1"}"#,
    );
    check_needs(
        &[&[
            ("app/node_modules/a/package.json", 0o644, a.as_bytes()),
            (
                "app/node_modules/a/node_modules/b/package.json",
                0o644,
                inner.as_bytes(),
            ),
            ("app/node_modules/b/package.json", 0o644, b.as_bytes()),
            ("app/node_modules/@s/c/package.json", 0o644, c.as_bytes()),
            // As pnpm has it: the package elsewhere, beside links to those it needs.
            ("store/d@1/node_modules/d/package.json", 0o644, d.as_bytes()),
            (
                "@store/d@1/node_modules/b",
                0o777,
                b"../../../app/node_modules/b",
            ),
            ("@node_modules/d", 0o777, b"/store/d@1/node_modules/d"),
            ("evil/package.json", 0o644, b"{}"),
        ]],
        &[
            "@s/c 1: b 1",
            "a 1: @s/c 1, b 2, d 1",
            "b 1: ",
            "b 2: ",
            "d 1: b 1",
        ],
    );
}
