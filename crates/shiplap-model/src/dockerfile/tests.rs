#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use super::*;

#[test]
fn tells_what_is_wrong_and_where() {
    let check = |text: &str, wanted: &[&str]| {
        let errors = parse(text.as_bytes()).unwrap_err();
        let found: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(found, wanted, "{text}");
    };
    let on = "dockerfile parse error on line";
    check(
        "FROM a\n\nRNU b\n",
        &[&format!(
            "{on} 3: unknown instruction: RNU (did you mean RUN?)"
        )],
    );
    check(
        "from a\nrnu b\ncopy --form=c / \\\n /\n",
        &[
            &format!("{on} 2: unknown instruction: rnu (did you mean run?)"),
            &format!("{on} 3: unknown flag: --form (did you mean from?)"),
        ],
    );
    check(
        "RUN a",
        &[&format!("{on} 1: no build stage in current context")],
    );
    check("# a\n", &[&format!("{on} 1: file with no instructions")]);
    check(
        "ARG a\n",
        &[&format!("{on} 1: dockerfile contains no stages to build")],
    );
    check(
        "FROM a\nRUN <<EOF\nb",
        &[&format!(
            "{on} 2: unterminated heredoc: no line \"EOF\" follows"
        )],
    );
}

#[test]
fn points_at_the_word() {
    let check = |text: &str, wanted: (u32, u32, u32)| {
        let errors = parse(text.as_bytes()).unwrap_err();
        let place = errors.0.first().unwrap().place.unwrap();
        assert_eq!((place.line, place.column, place.width), wanted, "{text}");
    };
    check("FROM a\n  RNU b", (2, 3, 3));
    check(
        "FROM a\nCOPY \\\n# c\n\n  --link \\\n --form=b é c",
        (6, 2, 6),
    );
}
