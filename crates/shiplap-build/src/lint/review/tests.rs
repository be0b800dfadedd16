#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use shiplap_model::limits;

use super::*;
use crate::lint::format::{self, Reviewed};

fn with_reviewer<T>(ask: impl FnOnce(&Reviewer<'_>) -> T) -> T {
    crate::lint::tests::with_reviewer(Wishes::default(), ask)
}

fn review(text: &str) -> Vec<Finding> {
    with_reviewer(|reviewer| reviewer.review(text.as_bytes()).unwrap())
}

/// `line Rule` of each finding.
fn found(text: &str) -> Vec<String> {
    let shown = |finding: &Finding| format!("{} {}", finding.line(), finding.guide.name);
    review(text).iter().map(shown).collect()
}

#[track_caller]
fn check(text: &str, wanted: &[&str]) {
    assert_eq!(found(text), wanted, "{text}");
}

#[test]
fn knows_what_is_meant() {
    // Only what is shipped is measured, and what is mounted stays out.
    check(
        "FROM debian:12 AS build\nRUN apt-get update && apt-get install -y --no-install-recommends gcc=12\nFROM debian:12\nCOPY --from=build /a /a\n",
        &[],
    );
    check(
        "FROM debian:12\nRUN --mount=type=cache,target=/var/lib/apt apt-get update && apt-get install -y --no-install-recommends a=1\n",
        &[],
    );
    check(
        "FROM python:3.12\nENV PIP_NO_CACHE_DIR=1\nRUN pip install -r a.txt\n",
        &[],
    );
    check(
        "FROM python:3.12\nENV PIP_NO_CACHE_DIR=off\nRUN pip install -r a.txt\n",
        &["3 PipCacheKept"],
    );
    check(
        "FROM python:3.12\nRUN --mount=type=cache,target=/root/.cache/pip pip install -r a.txt\n",
        &[],
    );
    check(
        "FROM debian:12\nRUN apt-get -qq update && apt-get -yqq install --no-install-recommends a=1 && apt-get clean && rm -fr /var/lib/apt/lists/*\n",
        &[],
    );
    check(
        "FROM debian:12\nRUN apt-get -o Dpkg::Options::=--force-confold update && apt-get install -y --no-install-recommends ./a.deb && rm -rf /var/lib/apt/lists\n",
        &[],
    );
    check(
        "FROM alpine:3.20\nRUN apk add --no-cache --virtual .deps a=1 && apk del .deps\n",
        &[],
    );
    check("FROM scratch\nCOPY a /\n", &[]);
    check("ARG V\nFROM debian:${V:-12}\n", &[]);
    // A stage of that name, a number, an image with a version.
    check(
        "FROM debian:12 AS a\nFROM a\nCOPY --from=a /b /c\nCOPY --from=0 /b /d\nCOPY --from=busybox:1.36 /b /e\n",
        &[],
    );
    // The shell of Windows is another one.
    check(
        "FROM mcr.microsoft.com/windows/servercore:ltsc2025\nRUN cd x; apt-get install y | z\n",
        &[],
    );
    check(
        "FROM debian:12\nSHELL [\"python3\", \"-c\"]\nRUN import os; print('apt-get update')\n",
        &[],
    );
    check(
        "FROM debian:12\nRUN <<EOF\n#!/usr/bin/python3\ncd x; y\nEOF\n",
        &[],
    );
    check(
        "FROM debian:12\nRUN [\"apt-get\", \"install\", \"x\"]\n",
        &[],
    );
    check("FROM debian:12\nRUN echo 'apt-get install x'\n", &[]);
    check("FROM debian:12\nRUN set -e; cd /a; make\n", &[]);
    check("FROM debian:12\nRUN cd /a; make\n", &["2 FailureIgnored"]);
    check(
        "FROM debian:12\nRUN <<EOF\nmake\nmake install\nEOF\n",
        &["3 FailureIgnored"],
    );
    check(
        "FROM debian:12\nRUN if [[ a ]]; then b; fi\n",
        &["2 BashInSh"],
    );
    check("FROM alpine:3.20\nRUN if [[ a ]]; then b; fi\n", &[]);
    check(
        "FROM debian:12\nSHELL [\"/bin/bash\", \"-c\"]\nRUN if [[ a ]]; then b; fi\n",
        &[],
    );
    check(
        "FROM debian:12\nRUN rm -rf \"${X:?}\"/*\n# more\nRUN y=/z && rm -rf \"$y\"/*\n",
        &[],
    );
    check(
        "FROM debian:12\nENV A=1 B=$A\n",
        &["2 EnvUsesItself", "2 UndefinedVar"],
    );
    check(
        "FROM debian:12\nENV A=1 B=${A} C='$B'\n",
        &["2 UndefinedVar", "2 EnvUsesItself"],
    );
    check(
        "FROM debian:12\nRUN git clone --depth 1 https://$USER:$PASS@example.com/a.git\n",
        &[],
    );
    check(
        "FROM debian:12\nRUN curl -o /tmp/a.tgz https://x/a.tgz && tar xf /tmp/a.tgz && rm /tmp/a.tgz\n",
        &[],
    );
    check(
        "FROM debian:12\nCOPY a.tgz /tmp/\nRUN rm /tmp/a.tgz\n",
        &["3 DeletedInLaterLayer"],
    );
    check("FROM debian:12\nRUN rm -rf /usr/share/doc\n", &[]);
    check("FROM debian:12\nUSER root\nRUN a\nUSER nobody\n", &[]);
    check("FROM debian:12\nUSER 0:0\n", &["2 RootUser"]);
}

/// Each finding as `line severity Rule`.
#[track_caller]
fn check_gravity(text: &str, wanted: &[&str]) {
    let shown = |finding: &Finding| {
        format!(
            "{} {} {}",
            finding.line(),
            finding.severity,
            finding.guide.name
        )
    };
    let found: Vec<String> = review(text).iter().map(shown).collect();
    assert_eq!(found, wanted, "{text}");
}

#[test]
fn weighs_what_a_text_can_not_show() {
    for (text, wanted) in [
        // The base image may set it; nothing sets nothing, and a slip of a finger is one.
        ("FROM a:1\nWORKDIR $SRC\n", &["2 info UndefinedVar"][..]),
        ("FROM a:1\nCOPY x $SRC/y\n", &["2 info UndefinedVar"]),
        ("FROM scratch\nCOPY x $SRC/y\n", &["2 warning UndefinedVar"]),
        (
            "FROM scratch AS b\nFROM b\nCOPY x $SRC/y\n",
            &["3 warning UndefinedVar"],
        ),
        (
            "FROM a:1\nENV SOURCES=/x\nCOPY x $SOURCE/y\n",
            &["3 warning UndefinedVar"],
        ),
        (
            "FROM golang:1\nCOPY . $GOPATH/src\n",
            &["2 info UndefinedVar"],
        ),
        ("FROM a:1\nENV L=${L:+$L:}/x M=${M+$M}\n", &[]),
        ("FROM a:1\nWORKDIR x\n", &["2 warning WorkdirRelativePath"]),
        // Of an argument's default somebody else decides.
        ("ARG B=debian\nFROM $B\n", &["2 info BaseImageUntagged"]),
        (
            "ARG T=latest\nFROM debian:$T\n",
            &["2 info BaseImageLatest"],
        ),
        ("FROM debian:latest\n", &["1 warning BaseImageLatest"]),
        (
            "FROM a:1\nRUN apt-get autoremove && apt-get remove x\n",
            &["2 info InstallAsks", "2 warning InstallAsks"],
        ),
        // What the file wants of BuildKit's checks, it wants of those.
        (
            "# check=error=true\nFROM a:1\nWORKDIR b\nRUN pip install c==1\n",
            &["3 error WorkdirRelativePath", "4 warning PipCacheKept"],
        ),
        // Names alone make no secret.
        (
            "FROM a:1\nENV GPG_KEY 7169605F62C751356D054A26A821E680E5FA6305\n",
            &["2 info LegacyKeyValueFormat"],
        ),
        (
            "FROM a:1\nENV KEY=7169605F62C751356D054A26A821E680E5FA6305\n",
            &["2 warning SecretsUsedInArgOrEnv"],
        ),
        (
            "FROM a:1\nENV DB_PASSWORD_FILE=/run/secrets/db AUTH_TOKEN=\"\" SSL_KEY=false KEY_MIN=8\n",
            &[],
        ),
        (
            "FROM a:1\nARG TOKEN\n",
            &["2 warning SecretsUsedInArgOrEnv"],
        ),
        (
            "FROM a:1\nARG TOKEN=\n",
            &["2 warning SecretsUsedInArgOrEnv"],
        ),
        (
            "FROM a:1\nENV TOKEN=/a+b/c==\n",
            &["2 warning SecretsUsedInArgOrEnv"],
        ),
    ] {
        check_gravity(text, wanted);
    }
}

#[test]
fn what_is_too_long_is_only_checked() {
    let line = "ENV PATH=/x APP=$PATH\n";
    let many = |count: usize| format!("FROM a:1\nWORKDIR b\n{}", line.repeat(count));
    let long = found(&many(limits::LINTED_INSTRUCTIONS));
    assert_eq!(long, ["1 TooLongToJudge", "2 WorkdirRelativePath"]);
    assert!(found(&many(10)).contains(&"3 EnvUsesItself".to_owned()));
    let heredoc = format!(
        "FROM a:1\nRUN <<E\n{}E\n",
        "make a\n".repeat(limits::LINTED_COMMAND_BYTES / 7)
    );
    assert_eq!(found(&heredoc), ["1 TooLongToJudge"]);
}

#[test]
fn knows_what_weighs_nothing() {
    for (text, wanted) in [
        // What is removed again need not be safe, and a directory is no weight.
        (
            "RUN t=\"$(mktemp -d)\" && chmod 777 \"$t\" && b && rm -rf \"$t\"",
            &[][..],
        ),
        (
            "RUN mkdir /d && chmod 777 /d /e && rm -rf /d",
            &["2 WorldWritable"],
        ),
        (
            "RUN mkdir -p /d && chown a /d && chmod 1777 /d\nRUN x && y && z && w && rm -rf /d/*",
            &[],
        ),
        (
            "RUN mkdir /d && cd /d && make\nRUN x && y && z && w && rm -rf /d",
            &["3 DeletedInLaterLayer"],
        ),
        ("RUN apk add --no-network --virtual .a $x", &[]),
        (
            "RUN chmod 777 /d\nFROM a:1\nCOPY --from=0 /d/e /e\nRUN chmod 666 /d",
            &["5 WorldWritable"],
        ),
        ("RUN mkdir C:/a ; echo $null >> C:/a/b", &[]),
        // No download is cut off here.
        ("RUN openssl list | awk '/a/' && git log | sort", &[]),
        (
            "RUN git ls-remote https://a/b | cut -f1 > /c",
            &["2 PipefailMissing"],
        ),
        // Its value is known, and one word.
        (
            "ENV H=/h I=\"a b\"\nRUN ln -s $H/x /y && ln -s $I /z",
            &["3 Unquoted"],
        ),
    ] {
        check(&format!("FROM a:1\n{text}\n"), wanted);
    }
}

#[test]
fn knows_what_copies_lose() {
    for (text, wanted) in [
        ("COPY a.py b.py /c", &["2 SeveralIntoOneFile"][..]),
        ("COPY *.py /c", &["2 SeveralIntoOneFile"]),
        ("COPY a.py b.py /c/", &[]),
        ("COPY a.py b.py /usr/local/bin", &[]),
        ("COPY a.py b.py $C", &["2 UndefinedVar"]),
        ("COPY a.py /c", &[]),
        // Directories are merged, and what is there is one.
        ("COPY a b /c", &[]),
        ("WORKDIR /c\nCOPY a.py b.py /c", &[]),
        ("WORKDIR /c/d\nCOPY a.py b.py .\nCOPY c.py d.py /c", &[]),
        ("RUN mkdir -p /c/d\nCOPY a.py b.py /c", &[]),
        ("COPY a /c/\nCOPY a.py b.py /c", &[]),
        ("COPY ['a.py', 'b.py']", &["2 BrokenJson"]),
        ("CMD [\"a\" \"b\"]", &["2 BrokenJson"]),
        ("RUN [\"a\", \"b\"", &["2 BrokenJson"]),
        ("RUN [ 'a', 'b' ]", &["2 BrokenJson"]),
        ("RUN [ \"$A\" = b ] && c", &[]),
        ("RUN [[ 'a' = b ]] && c", &[]),
        ("RUN echo ['a']", &[]),
        (
            "RUN echo 'a\u{a0}b' \u{201c}c\u{201d}",
            &["2 UnseenCharacter"],
        ),
        ("RUN echo 'a\u{a0}b \u{2019}'", &[]),
        ("LABEL a=\"b \u{202e}c\"", &["2 UnseenCharacter"]),
        (
            "LABEL org.opencontainers.image.created=\"yesterday\"",
            &["2 LabelValue"],
        ),
        (
            "LABEL org.opencontainers.image.created=$DATE",
            &["2 UndefinedVar"],
        ),
        (
            "LABEL org.opencontainers.image.created=2026-11-28T09:00:00+01:00",
            &[],
        ),
        (
            "LABEL org.opencontainers.image.licenses=\"MIT OR Apache-2.0\"",
            &[],
        ),
        (
            "LABEL org.opencontainers.image.url=example",
            &["2 LabelValue"],
        ),
        ("LABEL org.opencontainers.image.title=", &["2 LabelValue"]),
        // All of a stage into another one; into nothing it is meant.
        (
            "RUN x\nFROM b:1\nCOPY --from=0 / /",
            &["4 WholeStageCopied"],
        ),
        ("RUN x\nFROM scratch\nCOPY --from=0 / /", &[]),
        ("FROM b:1\nCOPY --from=0 / /", &[]),
    ] {
        check(&format!("FROM a:1\n{text}\n"), wanted);
    }
}

#[test]
fn obeys_comments() {
    let wants = |text: &str| found(text);
    let bad = "RUN apt-get update && apt-get install -y --no-install-recommends a=1";
    let kept = ["3 AptListsKept".to_owned()];
    assert_eq!(wants(&format!("FROM debian:12\n# nothing\n{bad}\n")), kept);
    for comment in [
        "# shiplap ignore=AptListsKept",
        "#shiplap ignore = AptListsKept , PipCacheKept",
        "# hadolint ignore=DL3009",
        "# hadolint ignore=DL3008,DL3009 // why",
        "# shiplap ignore=all",
        "# check=skip=AptListsKept",
        "# shiplap global ignore=AptListsKept",
    ] {
        assert!(
            wants(&format!("FROM debian:12\n{comment}\n{bad}\n")).is_empty(),
            "{comment}"
        );
    }
    // For the instruction alone, between its lines too; and for the whole file.
    let again = format!("FROM debian:12\n# shiplap ignore=AptListsKept\n{bad}\nCOPY x /x\n{bad}\n");
    assert_eq!(wants(&again), ["5 AptListsKept"]);
    let within = "FROM debian:12\nRUN apt-get update && \\\n# hadolint ignore=DL3009\n  apt-get install -y --no-install-recommends a=1\n";
    assert!(wants(within).is_empty());
    let global =
        format!("# hadolint global ignore=DL3009\nFROM debian:12\n{bad}\nCOPY x /x\n{bad}\n");
    assert!(wants(&global).is_empty());
    let skipped =
        format!("# check=skip=AptListsKept,StageNameCasing\nFROM debian:12 AS A\n{bad}\n");
    assert!(wants(&skipped).is_empty());
    // One of several codes of a rule.
    check(
        "FROM alpine:3.20\n# hadolint ignore=DL3018\nRUN apk add --no-cache a\n",
        &[],
    );
    check(
        "FROM alpine:3.20\n# hadolint ignore=DL3008\nRUN apk add --no-cache a\n",
        &["3 PackageUnpinned"],
    );
    check(
        "FROM a:1\n# shiplap ignore=AptListKept,DL1234,SC1234\nRUN b\n",
        &["2 UnknownRuleIgnored"],
    );
    let detail = &review("FROM a:1\n# shiplap ignore=AptListKept\nRUN b\n");
    assert_eq!(
        detail[0].detail,
        "there is no rule AptListKept (did you mean AptListsKept?)"
    );
    with_reviewer(|reviewer| assert!(reviewer.review(b"# check=error=maybe\nFROM a:1\n").is_err()));
}

#[test]
fn tells_what_can_not_be_built() {
    check("FROM a:1\nRNU b\n", &["2 InvalidDockerfile"]);
    check("", &["1 InvalidDockerfile"]);
    check("FROM a:1\nCOPY --from=0 b /c\n", &["2 InvalidDockerfile"]);
    // What the caller is to say is no fault of the file.
    check("ARG BASE\nFROM ${BASE}\n", &["2 InvalidDefaultArgInFrom"]);
    check(
        "FROM mcr.microsoft.com/windows/nanoserver:ltsc2025\nWORKDIR C:\\\\app\n",
        &[],
    );
    let finding = &review("FROM a:1\nRNU b\n")[0];
    assert!(finding.detail.contains("did you mean RUN?") && finding.place.is_some());
}

#[test]
fn shows_the_word() {
    let text = "FROM debian:12\nRUN apt-get update && \\\n    apt-get install -y --no-install-recommends curl\n";
    let findings = review(text);
    let unpinned = findings
        .iter()
        .find(|finding| finding.guide.name == "PackageUnpinned")
        .unwrap();
    let place = unpinned.place.unwrap();
    assert_eq!((place.line, place.column, place.width), (3, 48, 4));
    let reviewed = [Reviewed {
        name: "Dockerfile".to_owned(),
        text: text.as_bytes().to_vec(),
        findings,
    }];
    let told = format::text(&reviewed);
    assert!(
        told.contains(
            "\
Dockerfile:3:48: info: apt-get installs without a version: curl [PackageUnpinned] (DL3008)
     3 |     apt-get install -y --no-install-recommends curl
       |                                                ^^^^
       = Packages of the distribution are to have versions
"
        ),
        "{told}"
    );
    assert_eq!(
        format::summary(&reviewed),
        "1 warning, 1 hint in 1 file; --fix mends 1"
    );
    let json = format::json(&reviewed);
    assert_eq!(json[1]["column"], 48);
    assert_eq!(
        json[0]["edits"][0]["text"],
        " \\\n    && rm -rf /var/lib/apt/lists/*"
    );
}

fn dockerfiles() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/dockerfiles");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_name() != "manifest.json");
    files
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// Findings as grave as errors in files of known projects: each is one that their maintainers would take.
const ERRORS: &[(&str, &str)] = &[
    // A key of Google's, written out.
    (
        "157_jessfraz_dockerfiles__chromium_Dockerfile",
        "SecretWritten",
    ),
];

#[test]
fn raises_no_false_alarm_in_real_files() {
    let mut errors: Vec<(String, String)> = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, text) in dockerfiles() {
        let findings = with_reviewer(|reviewer| reviewer.review(&text).unwrap());
        for finding in &findings {
            *counts.entry(finding.guide.name).or_default() += 1;
            let is_failure = finding.guide.name == INVALID.name;
            if finding.severity == Severity::Error && !is_failure {
                errors.push((
                    name.clone(),
                    format!(
                        "{} {}: {}",
                        finding.line(),
                        finding.guide.name,
                        finding.detail
                    ),
                ));
            }
        }
    }
    let known = |(name, detail): &&(String, String)| {
        !ERRORS
            .iter()
            .any(|(file, rule)| name == file && detail.contains(rule))
    };
    let unknown: Vec<_> = errors.iter().filter(known).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    // The rules are asked at all.
    for name in [
        "AptListsKept",
        "PackageUnpinned",
        "PipefailMissing",
        "JSONArgsRecommended",
    ] {
        assert!(counts.contains_key(name), "{name} in {counts:#?}");
    }
}

/// Instructions of a file in order, each with where it begins and the bytes of its lines.
fn instructions(text: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let file = dockerfile::read(text).file;
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let stages = file.stages.iter().flat_map(|stage| {
        let own = stage.instructions.iter().map(|own| own.span);
        std::iter::once(stage.span).chain(own)
    });
    let mut spans: Vec<_> = { file.global_args.iter().map(|own| own.span) }
        .chain(stages)
        .collect();
    spans.sort_by_key(|span| span.first);
    let bytes = |first: u32, last: u32| {
        let own = lines.get(first as usize - 1..last as usize);
        own.unwrap_or_default().concat()
    };
    { spans.iter() }
        .map(|span| (span.first, bytes(span.first, span.last)))
        .collect()
}

/// Rewrites a file, which must then be as good as it can be, and the same but for what was mended.
fn check_mending(name: &str, text: &[u8]) {
    with_reviewer(|reviewer| {
        let before = reviewer.review(text).unwrap();
        let mended = reviewer.mend(text, &|_| true).unwrap();
        let left = reviewer.review(&mended.text).unwrap();
        assert_eq!(left, mended.left, "{name}");
        let mendable: Vec<_> = { left.iter() }
            .filter(|finding| finding.is_mendable())
            .collect();
        assert!(mendable.is_empty(), "{name}: {mendable:#?}");
        let again = reviewer.mend(&mended.text, &|_| true).unwrap();
        assert!(
            again.mended.is_empty() && again.text == mended.text,
            "{name}"
        );
        // Findings only go away: of no rule are there more than before.
        let count = |findings: &[Finding], name: &str| {
            { findings.iter() }
                .filter(|finding| finding.guide.name == name)
                .count()
        };
        for finding in &left {
            let rule = finding.guide.name;
            assert!(
                count(&left, rule) <= count(&before, rule),
                "{name}: more of {rule}"
            );
        }
        // Every comment is still there.
        let comments = |text: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(text).into_owned();
            text.lines()
                .map(str::trim)
                .filter(|line| line.starts_with('#'))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(comments(text), comments(&mended.text), "{name}");
        let (one, other) = (dockerfile::read(text), dockerfile::read(&mended.text));
        assert_eq!(one.errors.len(), other.errors.len(), "{name}");
        // What nothing was found in is there byte for byte, in its order.
        let concerned: Vec<u32> = { before.iter().chain(&mended.mended) }
            .filter(|finding| finding.is_mendable())
            .map(|finding| finding.span.first)
            .collect();
        let after = instructions(&mended.text);
        let mut rest = after.iter();
        // A heredoc's lines are those of another instruction's text then.
        for (line, bytes) in instructions(text) {
            if concerned.contains(&line) || is_changed_beside(&before, line) {
                continue;
            }
            let is_there = rest.any(|(_, own)| *own == bytes);
            let shown = String::from_utf8_lossy(&bytes);
            assert!(is_there, "{name}:{line} changed, or moved: {shown}");
        }
    });
}

/// A change of another line reaches into this one: the `RUN` after it becomes part of it.
fn is_changed_beside(findings: &[Finding], line: u32) -> bool {
    findings.iter().any(|finding| {
        finding.is_mendable()
            && finding.guide.name == "DeletedInLaterLayer"
            && finding.span.first > line
    })
}

#[test]
fn mends_real_files_to_what_they_mean() {
    for (name, text) in dockerfiles() {
        check_mending(&name, &text);
        // The same with the line ends of Windows.
        let returns = String::from_utf8_lossy(&text)
            .replace("\r\n", "\n")
            .replace('\n', "\r\n");
        check_mending(&format!("{name}, CRLF"), returns.as_bytes());
    }
}

#[test]
fn joins_lines_as_the_parser_does() {
    for (name, text) in dockerfiles() {
        let reading = dockerfile::read(&text);
        let sheet = Sheet::new(&text, reading.file.escape);
        for stage in &reading.file.stages {
            for instruction in &stage.instructions {
                let joined = sheet.join(instruction.span, &[]);
                let head = joined.text.get(..joined.head).unwrap();
                assert_eq!(head, instruction.text, "{name}:{}", instruction.span.first);
            }
        }
    }
}

proptest! {
    #[test]
    fn takes_whatever_there_is(lines in proptest::collection::vec("(FROM |RUN |COPY |ENV |CMD |# shiplap ignore=|ADD |RUN <<E|E)?[a-z \"'$(){};&|<>=\\\\#/.:*-]{0,30}", 0..8)) {
        let text = lines.join("\n");
        with_reviewer(|reviewer| {
            if let Ok(findings) = reviewer.review(text.as_bytes()) {
                let reviewed = [Reviewed { name: "x".to_owned(), text: text.as_bytes().to_vec(), findings }];
                assert_eq!(format::text(&reviewed).is_empty(), reviewed[0].findings.is_empty());
                let mended = reviewer.mend(text.as_bytes(), &|_| true).unwrap();
                assert!(mended.text.len() <= text.len() * 4 + 4096);
            }
        });
    }
}
