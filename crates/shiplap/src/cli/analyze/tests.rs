use super::{amount, clean, clean_path, one_line};

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
