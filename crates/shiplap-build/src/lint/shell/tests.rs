#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;

use super::*;

/// Each command as `words|joint`, deeper ones with `>`, guarded ones with `?`.
fn shown(text: &str) -> Vec<String> {
    let script = Script::read(text);
    assert!(script.is_sound, "{text:?} is not understood: {script:#?}");
    let each = script.commands.iter().map(|command| {
        let words = command.assignments.iter().chain(&command.words);
        let mut line: Vec<String> = words.map(|word| word.value.clone()).collect();
        line.extend(
            command
                .redirects
                .iter()
                .map(|redirect| format!("{}{}", redirect.operator, redirect.target.value)),
        );
        let joint = match command.after {
            Joint::None => "",
            Joint::And => " &&",
            Joint::Or => " ||",
            Joint::Semicolon => " ;",
            Joint::Newline => " \\n",
            Joint::Background => " &",
            Joint::Pipe => " |",
        };
        let guard = if command.is_guarded { "?" } else { "" };
        format!(
            "{}{guard}{}{joint}",
            ">".repeat(command.depth),
            line.join(" ")
        )
    });
    each.collect()
}

#[track_caller]
fn check(text: &str, wanted: &[&str]) {
    assert_eq!(shown(text), wanted, "{text:?}");
}

#[test]
fn cuts_into_commands() {
    check("a b  c", &["a b c"]);
    check(
        "a && b || c; d | e & f",
        &["a &&", "b ||", "c ;", "d |", "e &", "f"],
    );
    check("A=1 B=\"x y\" c", &["A=1 B=x y c"]);
    check("a 'b c' \"d $e\" f\\ g", &["a b c d $e f g"]);
    check("a >b 2>&1 <c", &["a >b >&1 <c"]);
    check("echo a # b && c", &["echo a"]);
    check("a \\\n  b", &["a b"]);
    check("a\nb\n\nc\n", &["a \\n", "b \\n", "c \\n"]);
    check("a &&\n  b", &["a &&", "b"]);
    check("echo a#b", &["echo a#b"]);
    check("! a", &["a"]);
    check("", &[]);
}

#[test]
fn knows_what_holds_commands_together() {
    check(
        "if a; then b; else c; fi; d",
        &["?a ;", "?b ;", "?c ;", "d"],
    );
    check("for x in 1 2 3; do a $x; done && b", &["?a $x ;", "b"]);
    check("while a; do b; done", &["?a ;", "?b ;"]);
    check(
        "case \"$a\" in x|y) b;; *) c ;; esac; d",
        &["?b", "?c", "d"],
    );
    check("case $a in\n  x)\n    b\n    ;;\nesac\nc", &["?b \\n", "c"]);
    check("{ a; b; } && c", &["a ;", "b ;", "c"]);
    check("(a && b) || c", &[">a &&", ">b", "c"]);
    check("f() { a; }; f", &["?a ;", "f"]);
    check("x=$(a | b); c", &["x=$(a | b) ;", ">a |", ">b", "c"]);
    check(
        "c \"$(a \"$(b)\")\"",
        &["c $(a \"$(b)\")", ">a $(b)", ">>b"],
    );
    check("c `a b`", &["c `a b`", ">a b"]);
    check("a <<E\nb\nc && d\nE\ne", &["a <<E \\n", "e"]);
    check("a <<-E && b\n\tc\n\tE\nd", &["a <<-E &&", "b \\n", "d"]);
    check("[[ a && b ]] && c", &["[[ a & & b ]] &&", "c"]);
    check("x=$((1 + (2 * 3))) && a", &["x=$((1 + (2 * 3))) &&", "a"]);
    check("a ${b:-c d} ${e%%/*}", &["a ${b:-c d} ${e%%/*}"]);
}

#[test]
fn says_where_things_stand() {
    let text = "apt-get update && apt-get install -y \"$a\"b";
    let script = Script::read(text);
    for command in &script.commands {
        for word in &command.words {
            assert!(
                text.get(word.start..word.end)
                    .unwrap()
                    .contains(word.value.trim_matches('b'))
                    || word.is_quoted
            );
        }
    }
    let last = script.commands.last().unwrap();
    assert_eq!(
        text.get(last.start..last.end),
        Some("apt-get install -y \"$a\"b")
    );
    assert_eq!(script.end, text.len());
    let word = last.words.last().unwrap();
    let expansion = word.expansions.first().unwrap();
    assert_eq!(text.get(expansion.start..expansion.end), Some("$a"));
    assert!(expansion.is_quoted);
    assert_eq!(Script::read("a; b;").last, Joint::Semicolon);
    assert_eq!(Script::read("a; b").last, Joint::None);
    assert_eq!(Script::read("a # b").end, 1);
}

#[test]
fn finds_what_only_bash_knows() {
    let names = |text: &str| -> Vec<&str> {
        Script::read(text)
            .bashisms
            .iter()
            .map(|bashism| bashism.name)
            .collect()
    };
    assert_eq!(names("[[ a == b ]]"), ["[["]);
    assert_eq!(names("a &> b"), ["&>"]);
    assert_eq!(names("a=(b c)"), ["an array"]);
    assert_eq!(names("a <(b)"), ["<(…)"]);
    assert_eq!(names("echo ${a//b/c} ${a:0:2}").len(), 2);
    assert_eq!(names("function f { a; }"), ["function"]);
    assert!(
        names("[ a = b ] && echo ${a#b} ${a:-c} $((1+2)) 'x[[' \"&>\" > /dev/null 2>&1").is_empty()
    );
}

#[test]
fn is_silent_where_it_does_not_understand() {
    for text in [
        "a 'b",
        "a \"b",
        "if a",
        "a )",
        "$(a",
        "`a",
        "case a in",
        "done",
        "a ${b",
        "}",
    ] {
        assert!(!Script::read(text).is_sound, "{text:?}");
    }
    let deep = "$(".repeat(1000);
    assert!(!Script::read(&deep).is_sound);
    let deep = "(".repeat(1000);
    assert!(!Script::read(&deep).is_sound);
}

proptest! {
    #[test]
    fn takes_whatever_there_is(text in "[a-z '\"$(){}\\[\\]<>&|;#=*\\\\`\n!]{0,60}") {
        let script = Script::read(&text);
        for command in &script.commands {
            prop_assert!(command.start <= command.end && command.end <= text.len());
            prop_assert!(text.is_char_boundary(command.start) && text.is_char_boundary(command.end));
        }
        prop_assert!(script.end <= text.len());
    }

    #[test]
    fn takes_text_of_all_languages(text in "\\PC{0,40}") {
        let script = Script::read(&text);
        prop_assert!(script.commands.len() <= text.len() + 1);
    }
}
