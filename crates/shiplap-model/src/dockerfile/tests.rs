#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use proptest::prelude::*;

use super::*;

mod tables;

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
        "FROM a b\nRUN a\nRNU b\n",
        &[
            &format!("{on} 1: FROM requires either one or three arguments"),
            &format!("{on} 3: unknown instruction: RNU (did you mean RUN?)"),
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

fn first(text: &str) -> Instruction {
    let file = parse(format!("FROM a\n{text}").as_bytes()).unwrap();
    let stage = file.stages.first().unwrap();
    stage.instructions.first().unwrap().clone()
}

#[test]
fn shows_where() {
    let text = "FROM a\nRUN b\n\tRNU c\r\nRUN \u{1b}[2J\n";
    let errors = parse(text.as_bytes()).unwrap_err();
    let error = errors.0.first().unwrap();
    let shown = excerpt("Dockerfile", text.as_bytes(), error.span, error.place);
    let wanted = "\
Dockerfile:3
--------------------
   1 |     FROM a
   2 |     RUN b
   3 | >>> \tRNU c
     |     \t^^^
   4 |     RUN \u{fffd}[2J
   5 |     
--------------------
";
    assert_eq!(shown, wanted);
    let none = Span { first: 9, last: 9 };
    assert_eq!(excerpt("Dockerfile", text.as_bytes(), none, None), "");
}

#[test]
fn joins_lines() {
    let check = |text: &str, wanted: &str| assert_eq!(first(text).text, wanted, "{text}");
    check("RUN a \\\n  b", "RUN a   b");
    check("RUN a \\ \t\n# c\n\n  # d\n  b \\\n", "RUN a   b");
    check("RUN a \\\r\n  b\r\n", "RUN a   b");
    check("RUN a \\\\\nRUN b", "RUN a \\\\");
    check("RUN a \\", "RUN a");
    let file =
        parse(b"\xef\xbb\xbf# escape=`\n# syntax=docker/dockerfile:1\n# c\nFROM a\nRUN c:\\ `\n d");
    let file = file.unwrap();
    assert_eq!(
        (file.escape, file.syntax.as_deref()),
        ('`', Some("docker/dockerfile:1"))
    );
    let stage = file.stages.first().unwrap();
    assert_eq!(stage.comments, ["c"]);
    assert_eq!(stage.instructions.first().unwrap().text, "RUN c:\\  d");
}

#[test]
fn reads_mounts() {
    let read = |flag: &str| match first(&format!("RUN --mount={flag} a")).kind {
        Kind::Run(run) => run.mounts.into_iter().next().unwrap(),
        kind => panic!("{kind:?}"),
    };
    let mount = read("type=cache,target=/c,id=$X,sharing=Locked,uid=1,mode=0755,ro");
    assert_eq!(
        (mount.kind, mount.read_only),
        (MountType::Cache, Some(true))
    );
    assert_eq!(mount.sharing.as_deref(), Some("locked"));
    let expanded = mount
        .expanded(&mut |word| Ok(word.replace("$X", "x")))
        .unwrap();
    assert_eq!(expanded.id.as_deref(), Some("x"));
    assert_eq!(read("from=b,rw").read_only, Some(false));
    assert_eq!(read("target=/a,readonly=0").read_only, Some(false));
    assert_eq!(
        read("'type=bind,\"source=a,b\",target=/c'")
            .source
            .as_deref(),
        Some("a,b")
    );
    let mount = read("type=$T,required=$R,id=a");
    let wrong = mount.expanded(&mut |word| Ok(word.replace("$T", "bind").replace("$R", "1")));
    assert!(wrong.is_err());
    let right = mount.expanded(&mut |word| Ok(word.replace("$T", "ssh").replace("$R", "1")));
    assert!(right.unwrap().required);
}

#[test]
fn refuses_mounts() {
    let check = |flag: &str, wanted: &str| {
        let errors = parse(format!("FROM a\nRUN --mount={flag} a").as_bytes()).unwrap_err();
        assert_eq!(
            errors.0.first().unwrap().fault.to_string(),
            wanted,
            "{flag}"
        );
    };
    check(
        "type=bnd",
        "unsupported mount type \"bnd\" (did you mean bind?)",
    );
    check(
        "tpye=bind",
        "unexpected key 'tpye' in 'tpye=bind' (did you mean type?)",
    );
    check("target", "invalid field 'target' must be a key=value pair");
    check(
        "from=$A",
        "'from' doesn't support variable expansion, define alias stage instead",
    );
    check(
        "target=/a,required",
        "unexpected key 'required' for mount type 'bind'",
    );
    check("type=tmpfs,size=x", "invalid value for size: x");
    check(
        "type=secret",
        "invalid secret mount. one of source, target required",
    );
    check(
        "type=secret,id=a,source=b",
        "both source and id can't be set",
    );
    check(
        "type=ssh,sharing=shared",
        "invalid cache sharing set for ssh mount",
    );
    check(
        "target=/a,mode=0755",
        "mode not allowed for bind type mounts",
    );
    check("type=cache,target=/a,uid=x", "invalid value for uid: x");
}

#[test]
fn reads_triggers() {
    let Kind::Onbuild { text, trigger } = first("ONBUILD RUN <<-E\n\ta\nE\n").kind else {
        panic!("no trigger");
    };
    assert_eq!(text, "RUN <<-E\n\ta\nE");
    let read = parse_trigger(&text).unwrap();
    assert_eq!(read.kind, trigger.kind);
    let Kind::Run(run) = read.kind else {
        panic!("no RUN");
    };
    assert_eq!(run.script().unwrap().content, "a\n");
    for text in [
        "",
        "RUN a\nRUN b",
        "FROM a",
        "ONBUILD RUN a",
        "RNU a",
        "COPY a",
    ] {
        assert!(parse_trigger(text).is_err(), "{text}");
    }
}

#[test]
fn refuses_other_syntaxes() {
    for text in [
        "# syntax=ghcr.io/a/b:1\nFROM a",
        "// syntax=a/b\nfoo",
        "{\"syntax\": \"a/b\"}",
    ] {
        let errors = parse(text.as_bytes()).unwrap_err();
        let fault = &errors.0.first().unwrap().fault;
        assert!(matches!(fault, Fault::Syntax(_)), "{text}: {fault}");
    }
}

#[test]
fn keeps_its_bounds() {
    let check = |text: String, wanted: &Fault| {
        let errors = parse(text.as_bytes()).unwrap_err();
        assert!(
            errors.0.iter().any(|error| error.fault == *wanted),
            "{wanted}"
        );
    };
    check(
        "\n".repeat(limits::DOCKERFILE_BYTES + 1),
        &Fault::FileTooLong,
    );
    let line = "a".repeat(limits::DOCKERFILE_LINE_BYTES);
    check(format!("FROM a\nRUN {line}"), &Fault::LineTooLong);
    let lines = "USER a\n".repeat(limits::DOCKERFILE_INSTRUCTIONS);
    check(format!("FROM a\n{lines}"), &Fault::TooManyInstructions);
    check(
        format!("FROM a\n{}", "ONBUILD ".repeat(8000)),
        &Fault::TriggerChain,
    );
    let errors = parse("x\n".repeat(100_000).as_bytes()).unwrap_err();
    assert_eq!(errors.0.len(), limits::DOCKERFILE_ERRORS);
    let errors = parse(b"FROM a\n# \xff\nRUN \xff").unwrap_err();
    let error = errors.0.first().unwrap();
    assert_eq!((error.span.first, &error.fault), (3, &Fault::NotUtf8));
}

/// Spans lie in the file and follow each other.
fn check_spans(text: &[u8]) {
    let count = text.split(|byte| *byte == b'\n').count() as u32;
    match parse(text) {
        Ok(file) => {
            let mut last = 0;
            let stages = file.stages.iter();
            let later = stages.flat_map(|stage| {
                let own = stage
                    .instructions
                    .iter()
                    .map(|instruction| instruction.span);
                std::iter::once(stage.span).chain(own)
            });
            let global = file.global_args.iter().map(|instruction| instruction.span);
            for span in global.chain(later) {
                assert!(last < span.first && span.first <= span.last && span.last <= count);
                last = span.last;
            }
        }
        Err(errors) => {
            for error in &errors.0 {
                assert!(error.span.last <= count);
                let place = error
                    .place
                    .iter()
                    .all(|place| error.span.first <= place.line && place.line <= error.span.last);
                assert!(place, "{error:?}");
                let _ = excerpt("Dockerfile", text, error.span, error.place);
            }
        }
    }
}

const PARTS: &str = concat!(
    "(FROM a|from b AS c|RUN |RUN [\"a\", \"b\"]|COPY |ADD --link |ENV |LABEL a=b|ARG x=y|<<E|",
    "<<-'E F'|3<<E|E|HEALTHCHECK --interval=3s CMD |ONBUILD |SHELL [\"s\"]|--mount=type=cache,id=|",
    "# escape=`|# c|#|\\\\|`|\n|\n|\n|\r\n|\\\\\n|`\n|\t| |=|\"|'|\\$|a|é|\u{feff}){0,30}",
);

proptest! {
    #[test]
    fn takes_any_bytes(text: Vec<u8>) {
        check_spans(&text);
    }

    #[test]
    fn takes_any_parts(text in PARTS) {
        check_spans(text.as_bytes());
        check_spans(format!("FROM a\n{text}").as_bytes());
        let _ = parse_trigger(&text);
    }
}
