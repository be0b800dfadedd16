use super::super::paths::Change;
use super::super::tests::Item::{self, Directory, File, Gone};
use super::super::tests::image;

/// Each path as `MARK PATH BYTES`, a star behind a directory in which something was done.
fn check(layers: &[&[Item<'_>]], (first, last): (usize, usize), expected: &[&str]) {
    let paths = image(layers).paths;
    let tree = paths.tree(first, last);
    let mut lines = Vec::new();
    let mut open = vec![paths.root()];
    while let Some(path) = open.pop() {
        let Some(shown) = tree.at(path) else {
            continue;
        };
        let mark = match shown.change {
            None => ' ',
            Some(Change::Added) => '+',
            Some(Change::Changed) => '~',
            Some(Change::Removed) => '-',
        };
        let name = String::from_utf8(paths.full(path)).unwrap();
        let star = if shown.is_touched { "*" } else { "" };
        lines.push(format!("{mark} /{name}{star} {}", shown.bytes));
        open.extend(paths.children(path).iter().rev());
    }
    assert_eq!(lines, expected);
}

const LAYERS: [&[Item<'_>]; 4] = [
    &[
        Directory("d"),
        File("d/a", b"1"),
        File("d/b", b"22"),
        File("e", b"333"),
    ],
    &[File("d/a", b"4444"), File("f", b"55555")],
    &[Gone("d"), Gone("f")],
    &[File("d/a", b"666666")],
];

#[test]
fn one_layer() {
    check(
        &LAYERS,
        (0, 0),
        &["+ /* 6", "+ /d* 3", "+ /d/a 1", "+ /d/b 2", "+ /e 3"],
    );
    check(
        &LAYERS,
        (1, 1),
        &[
            "  /* 14", "  /d* 6", "~ /d/a 4", "  /d/b 2", "  /e 3", "+ /f 5",
        ],
    );
    check(
        &LAYERS,
        (2, 2),
        &[
            "  /* 3", "- /d* 6", "- /d/a 4", "- /d/b 2", "  /e 3", "- /f 5",
        ],
    );
    check(
        &LAYERS,
        (3, 3),
        &["  /* 9", "+ /d* 6", "+ /d/a 6", "  /e 3"],
    );
}

#[test]
fn several_layers() {
    check(
        &LAYERS,
        (1, 2),
        &["  /* 3", "- /d* 6", "- /d/a 4", "- /d/b 2", "  /e 3"],
    );
    check(
        &LAYERS,
        (1, 3),
        &["  /* 9", "~ /d* 6", "~ /d/a 6", "- /d/b 2", "  /e 3"],
    );
}
