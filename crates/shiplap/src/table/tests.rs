//! Tables as Docker prints them; the aligned texts are what Go's text/tabwriter (10, 1, 3, ' ')
//! makes of the same input.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn aligns_as_tabwriter_does() {
    let check = |text: &str, want: &str| assert_eq!(align(text), want, "{text:?}");
    check("", "");
    check("no tabs\n", "no tabs\n");
    check("a\tb\n", "a         b\n");
    check(
        "REPOSITORY\tTAG\nx\ty\n",
        "REPOSITORY   TAG\nx            y\n",
    );
    check("a\t\tc\n", "a                   c\n");
    check("a\t\n", "a         \n");
    check("\t\n", "          \n");
    check("a\tb\n\nc\td\n", "a         b\n\nc         d\n");
    check(
        "x\ty\tz\nx\ty\nx\ty\tlonger\tq\n",
        "x         y         z\nx         y\nx         y         longer    q\n",
    );
    check(
        "a\tb\nplain\nlonger than ten\tc\n",
        "a         b\nplain\nlonger than ten   c\n",
    );
    check(
        "é\u{4e2d}\tb\nlonger cell\tb\n",
        "é\u{4e2d}            b\nlonger cell   b\n",
    );
    check(
        "a\tb\tc\naaaaaaaaaaaa\tb\nx\tbbbbbbbbbbbb\tc\n",
        "a              b         c\naaaaaaaaaaaa   b\nx              bbbbbbbbbbbb   c\n",
    );
}

const COLUMNS: Columns<(&str, u8)> = Columns {
    row: "thing",
    table: "table-less {{.Name}}\\t{{.Size}}",
    all: &[
        ("Name", "NAME", |row| row.0.to_owned()),
        ("Size", "SIZE", |row| format!("{}B", row.1)),
    ],
};

fn rendered(format: Option<&str>, count: usize) -> Result<String, template::Error> {
    let rows = ["first", "second"].into_iter().take(count).zip(1..);
    Format::parse(format, &COLUMNS)?.render(&COLUMNS, rows)
}

#[test]
fn formats_as_docker_does() {
    let check = |format: Option<&str>, count, want: &str| {
        assert_eq!(rendered(format, count).unwrap(), want, "{format:?}");
    };
    let table = "table-less NAME     SIZE\ntable-less first    1B\ntable-less second   2B\n";
    check(None, 2, table);
    check(Some("table"), 2, table);
    check(Some("table "), 2, table);
    check(None, 0, "table-less NAME   SIZE\n");
    check(Some("table {{.Name}}"), 2, "NAME\nfirst\nsecond\n");
    check(
        Some(r"table {{upper .Name}}\t{{.Size}}"),
        1,
        "NAME      SIZE\nFIRST     1B\n",
    );
    check(Some("table {{.Nope}}"), 0, "<no value>\n");
    check(Some("{{.Name}}"), 2, "first\nsecond\n");
    check(Some(r"{{.Name}}\t{{.Size}}"), 1, "first\t1B\n");
    check(Some("{{.Name}}"), 0, "");
    check(Some("json"), 1, "{\"Name\":\"first\",\"Size\":\"1B\"}\n");
    check(Some("{{json .}}"), 0, "");
    check(Some("{{len .}}{{$.Name}}"), 0, "");
    check(Some("{{with .}}{{.Size}}{{end}}{{$.Name}}"), 1, "1Bfirst\n");
    check(Some(r#"{{json .Name}}"#), 1, "\"first\"\n");
}

#[test]
fn says_what_is_wrong_with_a_format() {
    let check = |format: &str, want: &str| {
        assert_eq!(rendered(Some(format), 1).unwrap_err().to_string(), want);
    };
    check(
        "{{.Nope}}",
        "template parsing error: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type thing",
    );
    check(
        "{{",
        "template parsing error: template: :1: unclosed action",
    );
    check(
        "table {{nope}}",
        "template parsing error: template: :1: function \"nope\" not defined",
    );
}
