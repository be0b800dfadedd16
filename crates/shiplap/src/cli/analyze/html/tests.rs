use super::{fits, part, text};

#[test]
fn names_are_text() {
    let check = |raw: &str, expected: &str| assert_eq!(text(raw), expected);
    check("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;");
    check("</title><script>", "&lt;/title&gt;&lt;script&gt;");
    check("\u{1b}[0m", "\\x1b[0m");
}

#[test]
fn parts_of_nothing() {
    assert!(part(0, 0).abs() < f64::EPSILON);
    assert!((part(1, 4) - 25.0).abs() < f64::EPSILON);
    assert_eq!(fits(0.0), 1);
}
