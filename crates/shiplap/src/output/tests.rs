//! What a terminal gets to see.

use super::*;

#[test]
fn control_characters_of_images_are_shown_not_obeyed() {
    let check = |text: &str, want: &str| assert_eq!(visible(text), want);
    check("plain\ttext\n", "plain\ttext\n");
    check("\x1b[2Jgone", "\\x1b[2Jgone");
    check("a\rb\u{7f}\u{9b}c", "a\\x0db\\x7f\\x9bc");
    check("é中", "é中");
}
