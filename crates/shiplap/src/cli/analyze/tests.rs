use shiplap_ops::analyze::proposal::ProposedPath;

use super::plain::{continued, told};
use super::{amount, clean, clean_path, one_line, tail};

#[test]
fn names_are_shown_and_not_obeyed() {
    let check = |text: &str, expected: &str| assert_eq!(clean(text), expected);
    check("plain name", "plain name");
    check("a\u{1b}[2Jb", "a\\x1b[2Jb");
    check("a\nb\tc", "a\\nb\\tc");
    check("right\u{202e}left", "right\\u202eleft");
    check("grün \"x\" \\", "grün \"x\" \\");
    assert_eq!(clean_path(b"a/\xff\x07"), "/a/\u{fffd}\\a");
}

#[test]
fn instructions_in_one_line() {
    assert_eq!(one_line("RUN a &&\n    b\t\x07"), "RUN a && b \\a");
    assert_eq!(one_line(" "), "(nothing is known of how it was made)");
}

#[test]
fn numbers_of_verdicts() {
    assert_eq!(amount(0.5, false), "50.00 %");
    assert_eq!(amount(2500.0, true), "2.5kB");
}

#[test]
fn ends_of_paths() {
    let check = |text: &str, most, expected: &str| assert_eq!(tail(text, most), expected);
    check("/a/b", 4, "/a/b");
    check("/a/bü", 4, "…/bü");
    check("/a/b", 1, "…");
    check("/a/b", 0, "…");
    check("", 0, "");
}

/// What is to be written stays an instruction: it can be taken over as it is.
#[test]
fn long_instructions() {
    let check = |text: &str, width, expected: &[&str]| {
        assert_eq!(continued(text, width), expected);
    };
    check("RUN a && b", 10, &["RUN a && b"]);
    check("RUN a && b", 9, &["RUN a \\", "    && b"]);
    check(
        "RUN echo 'a b  c' \"d 'e\" f\\ g h",
        14,
        &[
            "RUN echo \\",
            "    'a b  c' \\",
            "    \"d 'e\" \\",
            "    f\\ g h",
        ],
    );
    check("# a comment is left", 5, &["# a comment is left"]);
    check("RUN wider", 4, &["RUN \\", "    wider"]);
    let long = "RUN ".to_owned() + &"word ".repeat(100);
    let lines = continued(&long, 20);
    assert_eq!((lines.len(), lines[7].as_str()), (8, "    …"));
    assert_eq!(continued(&long, usize::MAX).len(), 1);
}

#[test]
fn files_and_where_they_stay() {
    let check = |path: &str, twin: Option<&str>, expected: &[&str]| {
        let path = ProposedPath {
            path: path.to_owned(),
            bytes: 1000,
            twin: twin.map(str::to_owned),
        };
        assert_eq!(told(&path, 24), expected);
    };
    check("/a", None, &["     1kB  /a"]);
    check("/long/enough/to/cut", None, &["     1kB  …enough/to/cut"]);
    check("/five", Some("/sixth"), &["     1kB  /five = /sixth"]);
    check(
        "/five",
        Some("/seventh"),
        &["     1kB  /five", "          = /seventh"],
    );
    check("/x", Some("/\u{7}"), &["     1kB  /x = /\\a"]);
}
