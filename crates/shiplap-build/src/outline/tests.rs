//! What files say of themselves.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use serde_json::{Value, json};
use shiplap_model::dockerfile;

use super::*;
use crate::plan::tests::input;

const FILE: &str = "\
# VERSION of all of it
ARG VERSION=1.2
ARG MAJOR=${VERSION%.*}
ARG IMAGE=app-$MAJOR
ARG UNUSED=x

# Tools makes nothing
# tools has the compilers
FROM --platform=$BUILDPLATFORM busybox AS Tools
ARG VERSION
ARG LEVEL=2
RUN --mount=type=secret,id=token,required \\
    --mount=type=ssh true

FROM $IMAGE AS lost
ARG NEVER

# final image
FROM $IMAGE AS final
ARG LEVEL=3 DEEP=$LEVEL
ARG EMPTY
RUN --mount=type=secret,target=/run/key$DEEP --mount=type=secret,id=token true
COPY --from=tools / /
";

fn outline_of(text: &str, target: Option<&str>, given: &[(&str, &str)]) -> Outline {
    let file = dockerfile::parse(text.as_bytes()).unwrap();
    let pairs = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let input = PlanInput {
        target: target.map(str::to_owned),
        build_args: pairs.collect(),
        ..input()
    };
    outline(&file, text.as_bytes(), &input, &Resolved::default()).unwrap()
}

/// `NAME=value (description) line` of each argument.
fn arguments(outline: &Outline) -> Vec<String> {
    let arguments = outline.arguments.iter();
    let shown = arguments.map(|argument| {
        let Argument {
            name,
            value,
            description,
            location,
        } = argument;
        format!("{name}={value} ({description}) {}", location.first())
    });
    shown.collect()
}

fn wanted(list: &[Wanted]) -> Vec<String> {
    let shown = list.iter().map(|wanted| {
        let mark = if wanted.required { "!" } else { "" };
        format!("{}{mark} {}", wanted.name, wanted.location.first())
    });
    shown.collect()
}

#[test]
fn tells_what_a_target_takes() {
    let found = outline_of(FILE, None, &[]);
    assert_eq!((&*found.name, &*found.description), ("final", "image"));
    assert_eq!(
        arguments(&found),
        [
            "VERSION=1.2 (of all of it) 2",
            "MAJOR=1 () 3",
            "IMAGE=app-1 () 4",
            "LEVEL=3 () 20",
            "DEEP=3 () 20",
            "EMPTY= () 21",
        ]
    );
    assert_eq!(wanted(&found.secrets), ["key3 22", "token 22"]);
    assert_eq!(wanted(&found.agents), ["default 12"]);

    let found = outline_of(FILE, Some("tools"), &[("LEVEL", "9"), ("VERSION", "8.1")]);
    assert_eq!(found.description, "has the compilers");
    assert_eq!(arguments(&found), ["VERSION=8.1 () 10", "LEVEL=9 () 11"]);
    assert_eq!(wanted(&found.secrets), ["token! 12"]);

    let text = "ARG GIVEN\nFROM scratch\nARG TARGETARCH\nARG GIVEN\nARG NEW=$TARGETARCH\n";
    let found = outline_of(text, None, &[]);
    assert_eq!(arguments(&found), ["GIVEN= () 4", "NEW=amd64 () 5"]);

    let found = outline_of("FROM scratch\nARG A\nFROM scratch", None, &[]);
    assert_eq!(found.name, "stage-1");
    assert_eq!(arguments(&found), [""; 0]);
}

#[test]
fn lists_targets() {
    let file = dockerfile::parse(FILE.as_bytes()).unwrap();
    let found = serde_json::to_value(targets(&file, b"FROM a")).unwrap();
    let line = |line: u32| json!({"ranges": [{"start": {"line": line}, "end": {"line": line}}]});
    assert_eq!(
        found,
        json!({
            "targets": [
                {
                    "name": "tools",
                    "description": "has the compilers",
                    "base": "busybox",
                    "platform": "$BUILDPLATFORM",
                    "location": line(9),
                },
                {"name": "lost", "base": "$IMAGE", "location": line(15)},
                {
                    "name": "final",
                    "default": true,
                    "description": "image",
                    "base": "$IMAGE",
                    "location": line(19),
                },
            ],
            "sources": ["RlJPTSBh"],
        })
    );
}

#[test]
fn is_json_as_of_buildkit() {
    let found = outline_of(
        "FROM a\n# A b\nARG A=c\nRUN --mount=type=ssh,id=k,required x\n",
        None,
        &[],
    );
    let text = serde_json::to_string(&found).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    let line = |line: u32| json!({"ranges": [{"start": {"line": line}, "end": {"line": line}}]});
    assert_eq!(
        found,
        json!({
            "name": "stage-0",
            "args": [{"name": "A", "description": "b", "value": "c", "location": line(3)}],
            "ssh": [{"name": "k", "required": true, "location": line(4)}],
            "sources": ["RlJPTSBhCiMgQSBiCkFSRyBBPWMKUlVOIC0tbW91bnQ9dHlwZT1zc2gsaWQ9ayxyZXF1aXJlZCB4Cg=="],
        })
    );
}
