use super::super::tests::Item::{self, Directory, File, Gone, HardLink, Owned, Sized};
use super::super::tests::image;
use super::find;

/// Findings as `KIND PATH LAYER BYTES`, with who hides it or where the same content stays.
fn check(layers: &[&[Item<'_>]], expected: &[&str]) {
    let made = image(layers);
    let findings = find(&made.paths, &made.tars()).unwrap();
    let lines: Vec<_> = findings
        .iter()
        .map(|finding| {
            let (kind, path) = (finding.kind.name(), made.path(finding.entry));
            let by = finding.by.map(|by| format!(" by {by}"));
            let twin = finding.twin.map(|twin| format!(" as {}", made.path(twin)));
            let rest = by.unwrap_or_default() + &twin.unwrap_or_default();
            format!("{kind} {path} {} {}{rest}", finding.layer, finding.bytes)
        })
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn hidden_files() {
    check(
        &[
            &[
                File("a", b"1"),
                File("b", b"22"),
                File("c", b"same"),
                File("d", b"same"),
            ],
            &[
                Gone("a"),
                File("b", b"33"),
                Owned("c", b"same", 0o755, 7),
                File("d", b"diff"),
            ],
        ],
        &[
            "deleted a 0 1 by 1",
            "overwritten b 0 2 by 1",
            "rewritten c 0 4 by 1 as c",
            "overwritten d 0 4 by 1",
        ],
    );
}

/// Bytes that another name keeps are no waste.
#[test]
fn hard_links_keep_bytes() {
    check(&[&[File("a", b"1"), HardLink("b", "a")], &[Gone("a")]], &[]);
    check(
        &[
            &[File("a", b"1"), HardLink("b", "a")],
            &[Gone("a")],
            &[Gone("b")],
        ],
        &["deleted a 0 1 by 2"],
    );
    let conda: &[Item<'_>] = &[
        File("opt/conda/pkgs/x/lib.so", b"1"),
        HardLink("opt/conda/lib/lib.so", "opt/conda/pkgs/x/lib.so"),
        File("opt/conda/pkgs/x.conda", b"22"),
    ];
    check(&[conda], &["language-cache opt/conda/pkgs/x.conda 0 2"]);
}

#[test]
fn files_by_their_place() {
    check(
        &[&[
            File("app/.git/HEAD", b"1"),
            File("app/.git/objects/aa/bb", b"22"),
            File("app/__pycache__/main.cpython-311.pyc", b"333"),
            File("app/__pycache__/gone.cpython-311.opt-1.pyc", b"4444"),
            File("app/main.py", b"55555"),
            File("app/old.py", b"6"),
            File("app/old.pyc", b"77"),
            File("srv/.git/readme", b"no repository"),
            File("tmp/x/y", b"8"),
            File("var/lib/apt/lists/partial/a", b"9"),
            File("var/log/a.log", b"10"),
        ]],
        &[
            "version-control app/.git/HEAD 0 1",
            "version-control app/.git/objects/aa/bb 0 2",
            "byte-code app/__pycache__/main.cpython-311.pyc 0 3",
            "byte-code app/old.pyc 0 2",
            "temporary tmp/x/y 0 1",
            "package-lists var/lib/apt/lists/partial/a 0 1",
            "log var/log/a.log 0 2",
        ],
    );
}

#[test]
fn files_that_are_there_twice() {
    let mut late = vec![b'x'; 20_000];
    late[19_999] = b'y';
    check(
        &[
            &[
                Directory("d"),
                Sized("d/a", 20_000),
                Sized("d/small", 100),
                Sized("d/s", 2000),
            ],
            &[
                Sized("d/b", 20_000),
                File("d/c", &late),
                HardLink("d/link", "d/b"),
                Sized("d/s2", 2000),
                Sized("d/small2", 100),
                Sized("var/log/a", 20_000),
            ],
        ],
        &[
            "duplicate d/b 1 20000 as d/a",
            "duplicate d/s2 1 2000 as d/s",
            "log var/log/a 1 20000",
        ],
    );
}
