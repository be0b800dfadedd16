use super::super::tests::Item::{self, Directory, File, Gone, HardLink, Opaque, Owned};
use super::super::tests::image;
use super::{Change, End};

/// All entries but directories that are passed through, as `LAYER CHANGE PATH BYTES END`.
fn check(layers: &[&[Item<'_>]], expected: &[&str]) {
    let made = image(layers);
    let mut lines = Vec::new();
    for (id, entry) in made.paths.entries() {
        let Some(change) = made.paths.change(entry) else {
            continue;
        };
        if entry.path == made.paths.root() {
            continue;
        }
        let change = match change {
            Change::Added => '+',
            Change::Changed => '~',
            Change::Removed => '-',
        };
        let end = match entry.end {
            End::Live => String::new(),
            End::Overwritten { by } => format!(" overwritten by {by}"),
            End::Deleted { by } => format!(" deleted by {by}"),
        };
        let (layer, bytes) = (entry.layer, entry.own_bytes);
        lines.push(format!("{layer} {change} {} {bytes}{end}", made.path(id)));
    }
    assert_eq!(lines, expected);
}

#[test]
fn what_layers_do() {
    check(
        &[
            &[
                Directory("d"),
                File("d/a", b"1"),
                File("d/b", b"22"),
                File("e", b"3"),
            ],
            &[Gone("d/a"), File("d/b", b"333"), Owned("f", b"", 0o600, 7)],
            &[File("d/a", b"4444")],
        ],
        &[
            "0 + d 0 overwritten by 1",
            "0 + d/a 1 deleted by 1",
            "0 + d/b 2 overwritten by 1",
            "0 + e 1",
            "1 - d/a 0",
            "1 ~ d/b 3",
            "1 + f 0",
            "2 + d/a 4",
        ],
    );
}

#[test]
fn whole_directories_go() {
    check(
        &[
            &[
                Directory("d"),
                Directory("d/e"),
                File("d/e/a", b"1"),
                File("d/b", b"22"),
            ],
            &[Gone("d")],
        ],
        &[
            "0 + d 0 deleted by 1",
            "0 + d/b 2 deleted by 1",
            "0 + d/e 0 deleted by 1",
            "0 + d/e/a 1 deleted by 1",
            "1 - d 0",
        ],
    );
    check(
        &[
            &[Directory("d"), File("d/a", b"1"), File("d/b", b"22")],
            &[Directory("d"), Opaque("d"), File("d/b", b"333")],
        ],
        &[
            "0 + d 0 overwritten by 1",
            "0 + d/a 1 deleted by 1",
            "0 + d/b 2 overwritten by 1",
            "1 ~ d/b 3",
        ],
    );
    check(
        &[&[Directory("d"), File("d/a", b"1")], &[File("d", b"22")]],
        &[
            "0 + d 0 overwritten by 1",
            "0 + d/a 1 deleted by 1",
            "1 ~ d 2",
        ],
    );
    check(
        &[&[File("d", b"22")], &[Directory("d"), File("d/a", b"1")]],
        &["0 + d 2 overwritten by 1", "1 ~ d 0", "1 + d/a 1"],
    );
}

#[test]
fn names_of_one_file() {
    let made = image(&[
        &[File("a", b"1234"), HardLink("b", "a"), File("c", b"5")],
        &[Gone("a"), HardLink("z/d", "b")],
    ]);
    let find = |path: &[u8]| made.paths.newest(made.paths.find(path).unwrap()).unwrap();
    let names = made.paths.names_of(find(b"b")).map(|id| made.path(id));
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "z/d"]);
    assert_eq!(made.paths.entry(find(b"b")).own_bytes, 0);
    assert_eq!(made.paths.entry(find(b"z/d")).size_bytes(), 4);
    let content = made.paths.content(find(b"z/d"));
    assert_eq!((content.layer, content.size_bytes), (0, 4));
    let alone = made.paths.names_of(find(b"c")).map(|id| made.path(id));
    assert_eq!(alone.collect::<Vec<_>>(), ["c"]);
    assert!(made.paths.find(b"nothing").is_none());
    assert_eq!(made.paths.name(made.paths.find(b"z/d").unwrap()), b"d");
}
