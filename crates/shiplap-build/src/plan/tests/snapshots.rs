//! Plans of small Dockerfiles, as a whole.

use super::shown::shown;
use super::*;
use crate::plan::NamedContext;

fn show(text: &str, change: impl Fn(&mut PlanInput)) -> String {
    let mut input = input();
    change(&mut input);
    match plan_text(text, &input) {
        Ok(plan) => shown(&plan),
        Err(error) => format!("{error}\n"),
    }
}

fn check(name: &str, found: &str) {
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        settings
    };
    settings.bind(|| insta::assert_snapshot!(name, found));
}

#[test]
fn the_course() {
    let text = "FROM python:3.11\nWORKDIR /app\nCOPY requirements.txt .\n\
        RUN pip install -r requirements.txt\nCOPY . .\nCMD [\"python\", \"app.py\"]\n";
    check("course", &show(text, |_| {}));
    let text = "FROM python:3.11 as builder\nCOPY requirements.txt .\n\
        RUN pip install --user -r requirements.txt\nFROM python:3.11-slim\n\
        COPY --from=builder /root/.local /root/.local\nCOPY . .\n\
        ENV PATH=/root/.local/bin:$PATH\nCMD [\"python\", \"app.py\"]\n";
    check("course-stages", &show(text, |_| {}));
}

#[test]
fn heredocs() {
    let text = "FROM busybox\nRUN <<EOF\necho 1\necho 2\nEOF\nRUN <<-EOF\n\techo 1\n\tEOF\n\
        RUN <<PY\n#!/usr/bin/env python\nprint(1)\nPY\nRUN cat <<A >/a && cat <<-B >/b\na $X\nA\n\tb\nB\n\
        ENV X=1\nCOPY <<a.txt <<\"b.txt\" /d/\n$X 'q'\na.txt\n$X\nb.txt\n";
    check("heredocs", &show(text, |_| {}));
}

#[test]
fn mounts() {
    let text = "FROM busybox AS tools\nFROM alpine\nENV KIND=cache\nWORKDIR /w\n\
        RUN --mount=type=$KIND,target=c,sharing=locked --mount=from=tools,src=bin,target=/t \
        --mount=type=secret,id=s,env=TOKEN --mount=type=secret,target=/run/x,required \
        --mount=type=ssh --mount=type=tmpfs,target=/tmp,size=1m \
        --mount=type=bind,from=golang:1,target=/go echo $TOKEN $KIND \"$X\"\n";
    check("mounts", &show(text, |_| {}));
}

#[test]
fn arguments() {
    let text = "ARG TAG=3\nARG NAME=busybox:$TAG\nFROM $NAME AS base\nARG TAG\nARG A=1 B\n\
        ENV B=2\nRUN echo $A\nARG A=$A$B\nRUN echo\nFROM base\nRUN echo\n";
    check("arguments", &show(text, |_| {}));
    check(
        "arguments-given",
        &show(text, |input| {
            let args = [
                ("A", "9"),
                ("TAG", "7"),
                ("HTTP_PROXY", "http://p"),
                ("UNUSED", "1"),
            ];
            input
                .build_args
                .extend(args.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }),
    );
}

#[test]
fn arguments_that_nobody_declares() {
    let names = [
        "A",
        "B",
        "C",
        "HTTP_PROXY",
        "TARGETARCH",
        "SOURCE_DATE_EPOCH",
    ];
    let args = names.map(|name| (name.to_owned(), "1".to_owned()));
    let input = PlanInput {
        build_args: args.into_iter().collect(),
        ..input()
    };
    let plan = plan_text("ARG A\nFROM a AS unneeded\nARG B\nFROM b", &input).unwrap();
    assert_eq!(plan.unused_args, ["C"]);
}

#[test]
fn platforms() {
    let text = "FROM --platform=$BUILDPLATFORM golang AS build\nARG TARGETARCH TARGETSTAGE\n\
        RUN make $TARGETARCH\nFROM busybox\nCOPY --from=build /x /x\n";
    check(
        "platforms",
        &show(text, |input| {
            input.platform = Some("linux/arm64".parse::<Platform>().unwrap().normalize());
            input.shows_platform = true;
        }),
    );
}

#[test]
fn what_is_copied() {
    let text = "FROM scratch\nWORKDIR /a/b\nENV D=dir U=1000:1000 M=u=rwX\n\
        COPY --chown=$U --chmod=$M --link --exclude=*.$D ./$D/x\\ y ../c/\n\
        COPY --parents ./a/./b/*.py .\n\
        ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d \
        https://example.com/x.tar /\n\
        ADD --keep-git-dir https://example.com/r.git#main:sub r\n\
        ADD --unpack=false x.tar.gz /x/.\n";
    check("copies", &show(text, |_| {}));
}

#[test]
fn named_contexts() {
    let text = "FROM alpine AS base\nRUN never\nFROM base\nCOPY --from=files a b\n\
        COPY --from=debian:12 c d\nCOPY --from=docker.io/library/ubuntu e f\n";
    check(
        "contexts",
        &show(text, |input| {
            let contexts = [
                ("base", NamedContext::of("docker-image://busybox:9")),
                ("files", NamedContext::of("../files")),
                ("debian:12", NamedContext::of("docker-image://scratch")),
                ("ubuntu", NamedContext::of("oci-layout://u@sha256:x")),
            ];
            input
                .named_contexts
                .extend(contexts.map(|(name, context)| (name.to_owned(), context)));
        }),
    );
}

#[test]
fn triggers() {
    let onbuild = |key: &ImageKey| {
        let mut image = stand_in();
        if key.name.contains("onbuild") {
            image.config.on_build = vec![
                "COPY --from=golang /a /b".to_owned(),
                "ENV A=$B".to_owned(),
                "RUN make".to_owned(),
            ];
        }
        image
    };
    let text = "FROM onbuild AS one\nENV X=1\nONBUILD RUN two\nFROM one\nRUN three\nFROM 1\n";
    let planned = plan_on(&text.replace("FROM 1\n", ""), &input(), &onbuild).unwrap();
    check("triggers", &shown(&planned));
    let target = &planned.stages[planned.target.0];
    assert!(target.config.config.on_build.is_empty());
    assert_eq!(planned.stages[0].config.config.on_build, ["RUN two"]);
    assert_eq!(planned.stages[0].steps[0].span.first, 1);
}

#[test]
fn settings() {
    let text = "FROM busybox\nSHELL [\"/bin/bash\", \"-c\"]\nCMD a \"b\"\nENTRYPOINT [\"x\", \"\\ty\"]\n\
        EXPOSE 90 80/UDP 7000-7001 8080:81\nHEALTHCHECK --interval=90s --retries=2 CMD curl x\n\
        HEALTHCHECK NONE\nLABEL a=b \"c d\"='e f'\nMAINTAINER  Me <me@x>\nSTOPSIGNAL SIGINT\n\
        USER a:b\nVOLUME /v /w\nVOLUME [\"/z\"]\nWORKDIR /\nWORKDIR a\nWORKDIR ../b/\nARG Z\n";
    check(
        "settings",
        &show(text, |input| {
            input.labels.push(("z".to_owned(), "1".to_owned()));
        }),
    );
    let planned = plan_text(text, &input()).unwrap();
    let config = serde_json::to_string_pretty(&planned.stages[0].config.config).unwrap();
    check("settings-config", &config);
    assert_eq!(
        planned.stages[0].config.author.as_deref(),
        Some("Me <me@x>")
    );
}

#[test]
fn faults() {
    let mut found = String::new();
    for text in [
        "FROM $X",
        "FROM a\nFROM a:$Y",
        "FROM a AS b\nCOPY --from=c x y\nFROM z AS c\nCOPY --from=b x y",
        "FROM a AS b\nCOPY --from=b x y",
        "FROM a\nCOPY --from=7 x y",
        "FROM a AS b\nCOPY --from=c x y\nFROM z AS c\nFROM b",
        "FROM a\nRUN --mount=target=/ x",
        "FROM a\nRUN --mount=type=ssh,source=/x x",
        "FROM a\nENV T=cach\nRUN --mount=type=$T,target=/x x",
        "FROM a\nENV A=1\nENV B=\"${A?:}${C?is missing}\"",
        "FROM --platform=x/y/z/a a",
        "FROM --platform=$X a",
        "FROM a\nCOPY https://x/y /",
        "FROM a\nCOPY https://x/y.git /",
        "FROM a\nADD --checksum=sha256:x a b /",
        "FROM a\nADD --checksum=sha256:x https://x/y /",
        "FROM a\nADD --keep-git-dir=true https://x/y.git?keep-git-dir=0 /",
        "FROM a\nCOPY --chmod=u+q x y",
        "FROM a\nEXPOSE 70000",
        "FROM a\nSTOPSIGNAL SIGNONE",
        "FROM a\nVOLUME $X",
        "ARG SOURCE_DATE_EPOCH=yesterday\nFROM a",
    ] {
        found.push_str(&format!("{text}\n>>> {}\n", show(text, |_| {})));
    }
    check("faults", &found);
}

#[test]
fn says_what_was_meant() {
    let file = dockerfile::parse(b"FROM a AS builder\nFROM b\nCOPY --from=bulder /a /b\n").unwrap();
    let needs = needs(&file, &input(), &Resolved::default()).unwrap();
    assert_eq!(needs.stages, [1]);
    let images: Vec<(String, String, u32)> = needs
        .images
        .iter()
        .map(|image| {
            (
                image.key.name.clone(),
                image.meant.to_string(),
                image.span.first,
            )
        })
        .collect();
    let wanted = [
        ("docker.io/library/b:latest", "", 2),
        (
            "docker.io/library/bulder:latest",
            " (did you mean builder?)",
            3,
        ),
    ];
    assert_eq!(
        images,
        wanted.map(|(name, meant, line)| (name.to_owned(), meant.to_owned(), line))
    );
}
