#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use super::*;
use crate::lint::Wishes;

fn with_reviewer<T>(ask: impl FnOnce(&Reviewer<'_>) -> T) -> T {
    crate::lint::tests::with_reviewer(Wishes::default(), ask)
}

fn mended(text: &str) -> String {
    let mended = with_reviewer(|reviewer| reviewer.mend(text.as_bytes(), &|_| true).unwrap());
    String::from_utf8(mended.text).unwrap()
}

#[track_caller]
fn check(text: &str, wanted: &str) {
    let found = mended(text);
    assert_eq!(found, wanted, "of {text}");
    assert_eq!(mended(&found), wanted, "mended twice");
}

#[track_caller]
fn stays(text: &str) {
    check(text, text);
}

#[test]
fn keeps_layout_and_comments() {
    check(
        "# syntax=docker/dockerfile:1\n\nfrom debian:12 As Base  \n\n# tools\nRUN apt-get update && \\\n    # the one\n    apt-get install -y \\\n        curl=8 \\\n        # the other\n        git=2\n\n# end\nCMD exec top -b\n",
        "# syntax=docker/dockerfile:1\n\nFROM debian:12 AS base  \n\n# tools\nRUN apt-get update && \\\n    # the one\n    apt-get install -y --no-install-recommends \\\n        curl=8 \\\n        # the other\n        git=2 \\\n    && rm -rf /var/lib/apt/lists/*\n\n# end\nCMD [\"top\", \"-b\"]\n",
    );
    check(
        "FROM debian:12\nRUN set -eux; \\\n\tapt-get update; \\\n\tapt-get install -y --no-install-recommends curl=8\n",
        "FROM debian:12\nRUN set -eux; \\\n\tapt-get update; \\\n\tapt-get install -y --no-install-recommends curl=8; \\\n\trm -rf /var/lib/apt/lists/*\n",
    );
    check(
        "FROM debian:12\r\nRUN apt-get update && \\\r\n  apt-get install -y --no-install-recommends a=1\r\nADD a.py b.py /\r\n",
        "FROM debian:12\r\nRUN apt-get update && \\\r\n  apt-get install -y --no-install-recommends a=1 \\\r\n  && rm -rf /var/lib/apt/lists/*\r\nCOPY a.py b.py /\r\n",
    );
    check(
        "FROM debian:12\nRUN <<EOF\nset -e\napt-get update\napt-get install -y --no-install-recommends a=1\nEOF\nCMD [\"x\"]\n",
        "FROM debian:12\nRUN <<EOF\nset -e\napt-get update\napt-get install -y --no-install-recommends a=1 && rm -rf /var/lib/apt/lists/*\nEOF\nCMD [\"x\"]\n",
    );
}

#[test]
fn mends_several_at_once() {
    check(
        "FROM python:3.12\nMAINTAINER \"Me <me@example.com>\"\nENV A b\nENV B c d\nLABEL x y\nADD . /app\nRUN pip install -r /app/r.txt\nEXPOSE 80/TCP 127.0.0.1:90:90\nCMD python -m app --port 80\n",
        "FROM python:3.12\nLABEL org.opencontainers.image.authors=\"Me <me@example.com>\"\nENV A=b\nENV B=\"c d\"\nLABEL x=y\nCOPY . /app\nRUN pip install --no-cache-dir -r /app/r.txt\nEXPOSE 80/tcp 90\nCMD [\"python\", \"-m\", \"app\", \"--port\", \"80\"]\n",
    );
    check(
        "FROM debian:12\nRUN apt update && apt install curl=8\n",
        "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8 && rm -rf /var/lib/apt/lists/*\n",
    );
    check(
        "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends a=1\n# gone\nRUN rm -rf /var/lib/apt/lists/*\n",
        "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends a=1 && rm -rf /var/lib/apt/lists/*\n# gone\n",
    );
}

#[test]
fn lists_are_fetched_where_they_are_used() {
    check(
        "FROM debian:12\nRUN apt-get update\n# tools\nRUN apt-get install -y a=1\nCMD [\"a\"]\n",
        "FROM debian:12\n# tools\nRUN apt-get update && apt-get install -y --no-install-recommends a=1 && rm -rf /var/lib/apt/lists/*\nCMD [\"a\"]\n",
    );
    check(
        "FROM debian:12\nRUN dpkg --add-architecture i386 && apt-get update -qq\nRUN apt-get install -y --no-install-recommends \\\n    a=1 && \\\n  rm -rf /var/lib/apt/lists/*\n",
        "FROM debian:12\nRUN dpkg --add-architecture i386 && apt-get update -qq && apt-get install -y --no-install-recommends \\\n    a=1 && \\\n  rm -rf /var/lib/apt/lists/*\n",
    );
    let keeps = |text: &str| {
        let found = mended(text);
        assert!(found.contains("RUN apt-get update\n"), "{found}");
    };
    // What fails there would no longer end the build, is another user's, or does without the lists.
    keeps("FROM debian:12\nRUN apt-get update\nRUN apt-get install -y a=1; true\n");
    keeps("FROM debian:12\nRUN apt-get update\nRUN apt-get install -y a=1 || true\n");
    keeps("FROM debian:12\nRUN apt-get update\nUSER 1000\nRUN apt-get install -y a=1\n");
    keeps("FROM debian:12\nRUN apt-get update\nRUN --network=none apt-get install -y a=1\n");
    keeps("FROM debian:12\nRUN apt-get update\nRUN make\n");
}

#[test]
fn does_as_the_script_does() {
    // Another user's command needs what the others need.
    check(
        "FROM debian:12\nRUN sudo apt-get update && sudo apt-get install -y --no-install-recommends a=1\n",
        "FROM debian:12\nRUN sudo apt-get update && sudo apt-get install -y --no-install-recommends a=1 && sudo rm -rf /var/lib/apt/lists/*\n",
    );
    check(
        "FROM a:1\nRUN --network=none ['a', 'b c']\nONBUILD CMD ['d']\nVOLUME ['/e']\nCOPY ['f', '/']\n",
        "FROM a:1\nRUN --network=none [\"a\", \"b c\"]\nONBUILD CMD [\"d\"]\nVOLUME [\"/e\"]\nCOPY [\"f\", \"/\"]\n",
    );
}

#[test]
fn leaves_alone_what_may_mean_something_else() {
    // The other one gets, or is, arguments.
    stays("FROM a:1\nENTRYPOINT [\"x\"]\nCMD y z\n");
    stays("FROM a:1\nENTRYPOINT x\nCMD [\"y\"]\n");
    // A shell does something here.
    for command in [
        "a && b", "a $HOME", "a | b", "a > b", "A=b c", "cd x", "a *.txt", "a ~/b", "a; b", "a 'b",
    ] {
        stays(&format!("FROM a:1\nCMD {command}\n"));
    }
    stays("FROM a:1\nENV A \"b\" c\n");
    stays("FROM a:1\nENV A b\\ c\n");
    stays("FROM a:1\nADD a.tar.gz /\nADD https://b/c /\nADD $X /\nADD *.tar* /\n");
    stays("FROM a:1\nADD something /\n");
    // A later one uses the lists.
    stays(
        "FROM a:1\nRUN apt-get update && apt-get install -y --no-install-recommends b=1\nRUN apt-get install -y --no-install-recommends c=1\n",
    );
    // What would clean up may be gone itself.
    stays("FROM alpine:3\nRUN apk add --no-cache npm=1 && npm ci && apk del npm\n");
    // A change that the shell would not see is in vain.
    stays("FROM debian:12\nRUN apt-get update -qq && apt-get install` rm -rf /var/lib/apt/ a=1\n");
    // What is no JSON with other quotes either, or a test.
    stays("FROM a:1\nCMD ['b' 'c']\nRUN [ 'a' = b ] && c\n");
    // What ends the script is not known.
    stays("FROM a:1\nRUN apt-get update; apt-get install -y --no-install-recommends b=1;\n");
    stays("FROM a:1\nRUN apt-get update && apt-get install -y --no-install-recommends b=1 # why\n");
    stays(
        "FROM a:1\nRUN <<A sh && <<B sh\napt-get update\nA\napt-get install -y --no-install-recommends b=1\nB\n",
    );
    stays(
        "# escape=`\nFROM mcr.microsoft.com/windows/servercore:ltsc2025\nRUN dir `\n  c:\\\nCMD a b\n",
    );
}

#[test]
fn refuses_what_would_change_more() {
    let text = b"FROM a:1\nRUN b\n";
    let finding = |start, end, new: &str| {
        let span = Span { first: 2, last: 2 };
        let mut finding = Finding::new(&super::super::guide::INVALID, span, String::new());
        finding.edits = vec![Edit {
            start,
            end,
            text: new.to_owned(),
        }];
        finding
    };
    assert!(rewritten(text, &[&finding(9, 12, "COPY")]).is_none());
    assert!(rewritten(text, &[&finding(9, 14, "")]).is_none());
    assert!(rewritten(text, &[&finding(0, 14, "FROM c:1\nRUN b")]).is_none());
    assert!(rewritten(text, &[&finding(13, 14, "c\nRUN d")]).is_none());
    assert!(rewritten(text, &[&finding(13, 14, "c")]).is_some());
    assert!(
        rewritten(text, &[&finding(13, 14, "b")]).is_none(),
        "nothing new"
    );
    assert!(rewritten(text, &[&finding(13, 99, "b")]).is_none());
}
