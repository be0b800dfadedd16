//! Registries' words.

use super::*;

#[test]
fn words_of_errors() {
    for (body, want) in [
        (
            r#"{"errors":[{"code":"DENIED","message":"no"}]}"#,
            "DENIED no",
        ),
        (r#"{"errors":[{"code":"A"},{"message":"b"}]}"#, "A | b"),
        (
            r#"{"errors":[{"code":"A\u0007\u001b]0;x","message":"\u202eevil\n\tline  "}]}"#,
            "A  ]0;x evil  line",
        ),
        (r#"{"message":"plain"}"#, "plain"),
        (r#"{"details":"wrong password"}"#, "wrong password"),
        (r#"{"errors":[]}"#, ""),
        ("<html>502</html>", ""),
        ("", ""),
    ] {
        let shown: Vec<_> = words(body.as_bytes())
            .iter()
            .map(|error| {
                format!("{} {}", error.code, error.message)
                    .trim()
                    .to_owned()
            })
            .collect();
        assert_eq!(shown.join(" | "), want, "{body}");
    }
    let many = format!(
        r#"{{"errors":[{}]}}"#,
        vec![r#"{"code":"A"}"#; 1000].join(",")
    );
    assert_eq!(words(many.as_bytes()).len(), WORDS_ERRORS);
    assert_eq!(clean(&"x".repeat(1_000_000)).len(), WORDS_CHARACTERS);
}
