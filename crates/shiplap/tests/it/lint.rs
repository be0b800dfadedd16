//! `lint`: what it tells, in all its forms, what it rewrites, and what that saves, measured.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Store, base, judge, scene};

const BAD: &str = "FROM debian:12 as base
RUN apt-get update && apt-get install -y curl=8
ADD app.py /app/
CMD python app.py
";

const MENDED: &str = "FROM debian:12 AS base
RUN apt-get update && apt-get install -y --no-install-recommends curl=8 && rm -rf /var/lib/apt/lists/*
COPY app.py /app/
CMD [\"python\", \"app.py\"]
";

fn written(store: &Store, name: &str, text: &str) -> String {
    let path = store.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn tells_people_and_programs() {
    let store = Store::new();
    let file = written(&store, "app/Dockerfile", BAD);
    let ran = store.run(&["lint", &file]);
    assert_eq!(ran.code, Some(1));
    for wanted in [
        ":1:16: style: 'as' and 'FROM' keywords' casing do not match [FromAsCasing]\n",
        ":2:5: warning: the lists of packages stay in the layer [AptListsKept] (DL3009)\n     2 | RUN apt-get update && apt-get install -y curl=8\n       |     ^^^^^^^^^^^^^^\n",
        "(--fix does it)\n",
        ":4:1: warning: JSON arguments recommended for CMD",
    ] {
        assert!(ran.stdout.contains(wanted), "{wanted} in {}", ran.stdout);
    }
    assert!(
        ran.stderr
            .contains("3 warnings, 1 hint, 1 matter of style in 1 file; --fix mends 4"),
        "{}",
        ran.stderr
    );
    assert!(!store.root().exists(), "a text needs no store");

    let ran = store.run(&["lint", "--format", "json", &file]);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rules: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    assert_eq!(
        rules,
        [
            "FromAsCasing",
            "AptListsKept",
            "AptRecommends",
            "AddInsteadOfCopy",
            "JSONArgsRecommended"
        ]
    );
    assert_eq!(json[1]["code"], "DL3009");
    assert_eq!(
        (json[1]["line"].as_u64(), json[1]["column"].as_u64()),
        (Some(2), Some(5))
    );
}

#[test]
fn fails_as_it_is_told_to() {
    let store = Store::new();
    let file = written(&store, "app/Dockerfile", BAD);
    let code = |flags: &[&str]| store.run(&[&["lint"], flags, &[&file]].concat()).code;
    assert_eq!(code(&["--failure-threshold", "error"]), Some(0));
    assert_eq!(code(&["--failure-threshold", "none"]), Some(0));
    assert_eq!(code(&["--min-severity", "error"]), Some(0));
    assert_eq!(code(&["--failure-threshold", "style"]), Some(1));
    let ignored = [
        "--ignore",
        "AptListsKept",
        "--ignore",
        "DL3020",
        "--ignore",
        "JSONArgsRecommended",
    ];
    assert_eq!(code(&ignored), Some(0));
    assert!(
        store
            .refused(&["lint", "--ignore", "Nope", &file])
            .contains("lint --rules")
    );
    let ran = store.run(&["lint", "nowhere/Dockerfile"]);
    assert_eq!(ran.code, Some(2));
    ran.assert_says(&[
        "failed to lint nowhere/Dockerfile",
        "no such file",
        "directories to look in",
    ]);
    let ran = store.run(&["lint", "https://example.com/Dockerfile"]);
    assert_eq!(ran.code, Some(2));
    ran.assert_says(&["curl -fsSL https://example.com/Dockerfile |", "lint -"]);
    assert_eq!(store.run(&["lint", "-f", &file]).code, Some(1));
    let empty = written(&store, "empty", "# nothing\n");
    let ran = store.run(&["lint", &empty]);
    assert!(
        ran.stdout.contains(":1: error: file with no instructions"),
        "{}",
        ran.stdout
    );
    let noise = store.path("noise");
    fs::write(&noise, b"\xff\n\xff\n\xff\n").unwrap();
    let ran = store.run(&["lint", noise.to_str().unwrap()]);
    assert_eq!(ran.stdout.matches("it is not UTF-8").count(), 1);
    assert_eq!(
        store
            .run(&[
                "lint",
                "--trusted-registry",
                "example.com",
                "--min-severity",
                "error",
                &file
            ])
            .code,
        Some(1)
    );
    let broken = written(&store, "broken", "FROM a:1\nRNU b\n");
    let ran = store.run(&["lint", &broken]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout
            .contains(":2:1: error: unknown instruction: RNU (did you mean RUN?)"),
        "{}",
        ran.stdout
    );
    let ran = store.run(&["lint", "--rules"]);
    ran.assert_ok();
    assert!(ran.stdout.lines().count() > 60 && ran.stdout.contains("DL3008"));
}

#[test]
fn takes_directories_and_stdin() {
    let store = Store::new();
    written(&store, "many/Dockerfile", "FROM debian\n");
    written(&store, "many/web/app.Dockerfile", "FROM debian\n");
    written(&store, "many/web/Dockerfile.dockerignore", "x\n");
    written(&store, "many/node_modules/x/Dockerfile", "FROM debian\n");
    let link = store.path("many/web/linked.Dockerfile");
    std::os::unix::fs::symlink("app.Dockerfile", link).unwrap();
    let many = store.path("many");
    let ran = store.run(&["lint", many.to_str().unwrap()]);
    assert_eq!(
        ran.stdout.matches("[BaseImageUntagged]").count(),
        3,
        "{}",
        ran.stdout
    );
    fs::create_dir(store.path("empty")).unwrap();
    assert_eq!(
        store
            .run(&["lint", store.path("empty").to_str().unwrap()])
            .code,
        Some(2)
    );
    let ran = store.run_with(&["lint", "-"], b"FROM debian\n");
    assert!(
        ran.stdout
            .starts_with("-:1:6: warning: the base image debian has no tag"),
        "{}",
        ran.stdout
    );
    // Why is told once, in lines of a usual terminal.
    let ran = store.run_with(&["lint", "-"], b"FROM debian\nFROM debian\n");
    assert_eq!(ran.stdout.matches("whatever was pushed last").count(), 1);
    let long = format!(
        "FROM debian:12\nRUN {} apt-get install -y x\n",
        "true && ".repeat(30)
    );
    let ran = store.run_with(&["lint", "-"], long.as_bytes());
    let excerpt = ran.stdout.lines().nth(1).unwrap();
    assert!(excerpt.chars().count() <= 80, "{excerpt}");
    assert!(
        excerpt.contains("| …") && excerpt.contains("apt-get install"),
        "{excerpt}"
    );
    // Control characters of a file, or of its name, never reach a terminal.
    let ran = store.run_with(
        &["lint", "-"],
        b"FROM debian:12\nRUN apt-get install \x1b[31mred\n",
    );
    assert!(!ran.stdout.contains('\x1b'), "{:?}", ran.stdout);
    let file = written(&store, "\x1b[31m.Dockerfile", "FROM debian\n");
    let ran = store.run(&["lint", &file]);
    assert!(ran.stdout.contains("BaseImageUntagged"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b'), "{:?}", ran.stdout);
}

#[test]
fn rewrites_and_shows_what() {
    let store = Store::new();
    let file = written(&store, "app/Dockerfile", BAD);
    let ran = store.run(&["lint", "--fix", "--unsafe-fixes", "--dry-run", &file]);
    assert_eq!(ran.code, Some(1), "nothing is mended yet");
    assert!(
        ran.stdout.contains("\n-ADD app.py /app/\n")
            && ran.stdout.contains("\n+COPY app.py /app/\n"),
        "{}",
        ran.stdout
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), BAD);
    let ran = store.run(&["lint", "--fix", "--unsafe-fixes", &file]);
    ran.assert_ok();
    assert!(
        ran.stdout.contains("+CMD [\"python\", \"app.py\"]\n"),
        "{}",
        ran.stdout
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), MENDED);
    let ran = store.run(&["lint", "--fix", "--unsafe-fixes", &file]);
    ran.assert_ok();
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.contains("nothing found in 1 file"),
        "{}",
        ran.stderr
    );
    let ran = store.run_with(&["lint", "--fix", "--unsafe-fixes", "-"], BAD.as_bytes());
    assert_eq!(ran.stdout, MENDED);
    // What may be needed stays unless that is asked for.
    let ran = store.run_with(&["lint", "--fix", "-"], BAD.as_bytes());
    assert_eq!(ran.stdout, MENDED.replace(" --no-install-recommends", ""));
    ran.assert_says(&["(--fix --unsafe-fixes does it)"]);
    // A link stays one.
    let (target, link) = (written(&store, "app/real", BAD), store.path("app/link"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    store
        .run(&["lint", "--fix", "--unsafe-fixes", link.to_str().unwrap()])
        .assert_ok();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), MENDED);
}

/// Judges a document by the schema, with the forms of addresses.
const VALIDATE: &str = r#"
import json, sys
from jsonschema import Draft4Validator, FormatChecker
schema, document = (json.load(open(path)) for path in sys.argv[1:])
errors = Draft4Validator(schema, format_checker=FormatChecker()).iter_errors(document)
errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in errors]
print("\n".join(errors[:20]))
sys.exit(bool(errors))
"#;

/// What `lint` says as SARIF, judged by its schema if there is who can.
fn sarif(store: &Store, files: &[&str], stdin: &[u8]) -> Value {
    let ran = store.run_with(&[&["lint", "--format", "sarif"], files].concat(), stdin);
    let path = written(store, "judged/sarif.json", &ran.stdout);
    if let Some(python) = judge::python("jsonschema") {
        let schema = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/sarif-schema/sarif-schema-2.1.0.json"
        );
        judge::ask(Command::new(python).args(["-c", VALIDATE, schema, &path]));
    }
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn sarif_is_what_its_schema_says() {
    let store = Store::new();
    let awkward = "a b/#1%2F?\u{e9}:\"x\".Dockerfile";
    let outside = written(&store, "outside/Dockerfile", "FROM debian\n");
    let lines = "RUN apt-get install a\n".repeat(300);
    for (name, text) in [
        (awkward, BAD),
        ("good/Dockerfile", "FROM debian:12\nCMD [\"bash\"]\n"),
        ("broken/Dockerfile", "FROM a:1\nRNU b\nCOPY\n"),
        ("empty/Dockerfile", ""),
        ("many/Dockerfile", &format!("FROM debian:12\n{lines}")),
        (
            "returns/Dockerfile",
            "FROM debian:12\r\nRUN apt install \\\r\n \u{1b}x\r\n",
        ),
    ] {
        written(&store, name, text);
    }
    let dotted = format!("./{awkward}");
    let uri = |result: &Value| {
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        place["uri"].as_str().unwrap().to_owned()
    };
    let outside_uri = format!("file://{outside}");
    for (files, uris) in [
        (
            &[awkward][..],
            &["a%20b/%231%252F%3F%C3%A9%3A%22x%22.Dockerfile"][..],
        ),
        (
            &[dotted.as_str()],
            &["a%20b/%231%252F%3F%C3%A9%3A%22x%22.Dockerfile"],
        ),
        (&["good/Dockerfile"], &[]),
        (&["broken/Dockerfile"], &["broken/Dockerfile"]),
        (&["empty/Dockerfile"], &["empty/Dockerfile"]),
        (
            &["many", "returns"],
            &["many/Dockerfile", "returns/Dockerfile"],
        ),
        (&[outside.as_str()], &[outside_uri.as_str()]),
        (&["-"], &["-"]),
    ] {
        let sarif = sarif(&store, files, b"FROM debian\n");
        let run = &sarif["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        // What GitHub's code scanning asks for, beyond the schema.
        for rule in rules {
            for text in ["shortDescription", "fullDescription", "help"] {
                assert_ne!(rule[text]["text"], "", "{rule:#}");
            }
            assert!(rule["properties"]["tags"].as_array().unwrap().len() <= 10);
        }
        let results = run["results"].as_array().unwrap();
        let mut seen: Vec<String> = results.iter().map(uri).collect();
        seen.dedup();
        assert_eq!(seen, uris, "{files:?}");
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let print = &result["partialFingerprints"]["primaryLocationLineHash"];
            assert!(print.as_str().unwrap().contains(':'), "{result:#}");
            let place = &result["locations"][0]["physicalLocation"];
            assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
            let is_relative = place["artifactLocation"]["uriBaseId"] == "%SRCROOT%";
            assert_eq!(is_relative, !uri(result).starts_with("file:"), "{result:#}");
        }
    }
    // Each line that is wrong is told by itself.
    let broken = sarif(&store, &["broken/Dockerfile"], b"");
    assert_eq!(broken["runs"][0]["results"].as_array().unwrap().len(), 2);
}

/// What stands in for apt-get: it leaves lists where apt-get does.
const APT: &str = "FROM busybox
COPY --chmod=755 <<'EOF' /bin/apt-get
#!/bin/sh
case \"$*\" in
*update*) mkdir -p /var/lib/apt/lists && head -c 3000000 /dev/zero > /var/lib/apt/lists/packages ;;
*no-install-recommends*) echo tool > /bin/tool ;;
*install*) echo tool > /bin/tool && head -c 500000 /dev/zero > /bin/recommended ;;
esac
EOF
";

#[test]
fn proves_what_rewriting_saves() {
    let Some(store) = base::store() else { return };
    store
        .run_with(&["build", "-q", "-t", "debian:12", "-"], APT.as_bytes())
        .assert_ok();
    let context = store.path("app");
    let dockerfile = "FROM debian:12\nRUN apt-get update && apt-get install -y tool=1\nRUN head -c 200000 /dev/zero > /tmp/a && cp /tmp/a /b\nRUN rm /tmp/a\nCOPY app.py /\n";
    scene::files(&context, &[("Dockerfile", dockerfile), ("app.py", "x\n")]);
    let file = context.join("Dockerfile");
    let file = file.to_str().unwrap();
    let before = store.names();
    let ran = store.run(&["lint", "--prove", file]);
    ran.assert_ok();
    let lines: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][..2], ["-3MB", "AptListsKept"], "{}", ran.stdout);
    assert_eq!(lines[1][..2], ["-500kB", "AptRecommends"], "{}", ran.stdout);
    assert_eq!(
        lines[2][..2],
        ["-200kB", "DeletedInLaterLayer"],
        "{}",
        ran.stdout
    );
    assert_eq!(lines[3][0], "-3.7MB", "{}", ran.stdout);
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        dockerfile,
        "it only measures"
    );
    assert_eq!(
        store.names(),
        before,
        "what was built to be measured is gone"
    );
    store.assert_sound();
    // A build that fails says so.
    fs::write(
        file,
        "FROM debian:12\nRUN apt-get update && apt-get install -y x=1 && false\n",
    )
    .unwrap();
    store.refused(&["lint", "--prove", file]);
}

#[test]
fn a_build_tells_what_matters() {
    let Some(store) = base::store() else { return };
    let text = b"FROM busybox\nRUN true\nENV KEYS=ghp_0123456789abcdefghijABCDEFGHIJ012345\n";
    let ran = store.run_with(&["build", "-t", "x", "-"], text);
    ran.assert_ok();
    ran.assert_says(&["SecretWritten: this looks like a key that opens something (line 3)"]);
    // What it costs is told by lint, and that there is something.
    let text = b"FROM busybox\nRUN : || apt-get update && : || apt-get install -y x\n";
    let ran = store.run_with(&["build", "-t", "y", "-"], text);
    ran.assert_ok();
    ran.assert_says(&["warning: 2 more warnings of size, cache or safety: lint tells them"]);
}
