use super::*;

#[test]
fn quotes_as_go_does() {
    let check = |text: &str, wanted: &str| assert_eq!(quoted(text), wanted, "{text:?}");
    check("/bin/sh", r#""/bin/sh""#);
    check("a \"b\" \\ 'c'", r#""a \"b\" \\ 'c'""#);
    check("\t\n\u{1b}é\u{200b}", "\"\\t\\n\\x1bé\\u200b\"");
}

#[test]
fn shows_durations_as_go_does() {
    let check = |nanoseconds: i64, wanted: &str| {
        assert_eq!(duration(nanoseconds), wanted, "{nanoseconds}");
    };
    check(0, "0s");
    check(1, "1ns");
    check(1_500, "1.5µs");
    check(2_000_000, "2ms");
    check(30_000_000_000, "30s");
    check(90_500_000_000, "1m30.5s");
    check(300_000_000_000, "5m0s");
    check(3_600_000_000_000, "1h0m0s");
    check(-1_500_000_000, "-1.5s");
    check(i64::MIN, "-2562047h47m16.854775808s");
}
