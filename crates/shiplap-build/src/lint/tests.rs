#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use shiplap_model::Platform;
use shiplap_model::dockerfile;

use super::*;
use crate::plan::ResolvedImage;

fn table(name: &str) -> Vec<Value> {
    let path = format!("{}/../../testdata/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let table: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    table["cases"].as_array().unwrap().clone()
}

fn input() -> PlanInput {
    PlanInput {
        build_args: BTreeMap::new(),
        labels: Vec::new(),
        target: None,
        platform: None,
        build_platform: Platform::new("linux", "amd64"),
        named_contexts: BTreeMap::new(),
        shows_platform: false,
    }
}

/// One who reviews knowing nothing but the text.
pub(super) fn with_reviewer<T>(wishes: Wishes<'_>, ask: impl FnOnce(&Reviewer<'_>) -> T) -> T {
    ask(&Reviewer {
        input: &input(),
        resolved: &Resolved::default(),
        ignored: None,
        wishes,
    })
}

/// What is wrong with all cases of a table, at once.
fn run(name: &str, check: impl Fn(&Value) -> Result<(), String>) {
    let cases = table(name);
    let failures: Vec<String> = { cases.iter() }
        .filter_map(|case| {
            let name = case["id"].as_str().or(case["file"].as_str());
            Some(format!("{name:?}: {}", check(case).err()?))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn same(found: &Value, wanted: &Value) -> Result<(), String> {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("found {found:#}\nwanted {wanted:#}")),
    }
}

/// Warnings in the order of tables: by line, then by detail.
fn sorted(mut warnings: Vec<Value>) -> Value {
    warnings.sort_by_key(|warning| {
        let line = warning["line"].as_u64();
        (line, warning["detail"].as_str().map(str::to_owned))
    });
    Value::Array(warnings)
}

#[test]
fn warns_as_buildkit() {
    run("lint-buildkit", |case| {
        let reading = dockerfile::read(case["dockerfile"].as_str().unwrap().as_bytes());
        let mut input = input();
        for (key, value) in case["attrs"].as_object().into_iter().flatten() {
            let name = key.strip_prefix("build-arg:").unwrap();
            let value = value.as_str().unwrap().to_owned();
            input.build_args.insert(name.to_owned(), value);
        }
        let ignored = case["dockerignore"].as_str();
        let ignored = ignored.map(|text| Patterns::read(text.as_bytes()).unwrap());
        let expect = &case["expect"];
        let checks = &expect["check_warnings"];
        for (breadth, wanted) in [
            (Breadth::Target, &expect["warnings"]),
            (
                Breadth::All,
                if checks.is_null() {
                    &expect["warnings"]
                } else {
                    checks
                },
            ),
        ] {
            let findings = check(&Subject {
                reading: &reading,
                input: &input,
                resolved: &Resolved::default(),
                ignored: ignored.as_ref(),
                breadth,
            });
            let findings = findings.map_err(|error| error.to_string())?;
            let found = findings.warnings.iter().map(|warning| {
                json!({
                    "rule": warning.rule.name(),
                    "line": warning.span.first,
                    "level": Warning::LEVEL,
                    "description": warning.rule.description(),
                    "detail": warning.detail,
                    "url": warning.rule.url(),
                })
            });
            same(&sorted(found.collect()), wanted)?;
            let failure = findings.failure.as_ref().and_then(Failure::span);
            if let (Some(failure), Some(line)) = (failure, expect.get("build_error_line")) {
                same(&json!(failure.first), line)?;
            }
            let error = expect["build_error"].as_str().unwrap_or_default();
            let fails = !error.is_empty() && !error.starts_with("lint violation");
            same(&json!(findings.failure.is_some()), &json!(fails))?;
            if error.starts_with("lint violation") {
                let violation = findings.violation().map(|error| error.to_string());
                same(&json!(violation), &json!(error))?;
            } else {
                same(&json!(findings.violation().is_none()), &json!(true))?;
            }
        }
        Ok(())
    });
}

#[test]
fn warns_of_real_files_as_buildkit() {
    run("dockerfile-corpus", |case| {
        let Some(wanted) = case["expect"]["lint"].as_array() else {
            return Ok(());
        };
        let name = case["file"].as_str().unwrap();
        let path = format!(
            "{}/../../testdata/dockerfiles/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let reading = dockerfile::read(&std::fs::read(path).unwrap());
        let findings = check(&Subject {
            reading: &reading,
            input: &input(),
            resolved: &Resolved::default(),
            ignored: None,
            breadth: Breadth::All,
        });
        let found = findings.unwrap().warnings.into_iter().map(|warning| {
            json!({
                "rule": warning.rule.name(),
                "line": warning.span.first,
                "detail": warning.detail,
            })
        });
        same(&sorted(found.collect()), &sorted(wanted.clone()))
    });
}

fn findings(text: &str, resolved: &Resolved) -> Findings {
    let reading = dockerfile::read(text.as_bytes());
    let input = input();
    let ignored = Patterns::read(b"*.log\n").unwrap();
    let findings = check(&Subject {
        reading: &reading,
        input: &input,
        resolved,
        ignored: Some(&ignored),
        breadth: Breadth::All,
    });
    findings.unwrap()
}

/// Each check with a file that it warns of: rule, line and the beginning of the detail.
const SAMPLES: [(&str, &str, u32, &str); 27] = [
    (
        "FROM a AS B\n",
        "StageNameCasing",
        1,
        "Stage name 'B' should",
    ),
    (
        "from a AS b\n",
        "FromAsCasing",
        1,
        "'AS' and 'from' keywords",
    ),
    ("FROM a\nRUN b\\\n\nc\n", "NoEmptyContinuation", 4, "Empty"),
    (
        "FROM a\nRUN b\nRun c\n",
        "ConsistentInstructionCasing",
        3,
        "Command 'Run'",
    ),
    (
        "FROM a AS b\nFROM c AS b\n",
        "DuplicateStageName",
        2,
        "Duplicate stage name \"b\"",
    ),
    (
        "FROM a AS context\n",
        "ReservedStageName",
        1,
        "Stage name should not",
    ),
    (
        "FROM a\nENTRYPOINT b\n",
        "JSONArgsRecommended",
        2,
        "JSON arguments recommended for ENTRY",
    ),
    (
        "FROM a\nMAINTAINER b\n",
        "MaintainerDeprecated",
        2,
        "Maintainer",
    ),
    (
        "FROM a$B\n",
        "UndefinedArgInFrom",
        1,
        "FROM argument 'B' is not declared",
    ),
    (
        "FROM a\nWORKDIR b\n",
        "WorkdirRelativePath",
        2,
        "Relative workdir \"b\"",
    ),
    (
        "FROM a\nUSER $B\n",
        "UndefinedVar",
        2,
        "Usage of undefined variable '$B'",
    ),
    (
        "FROM a\nCOPY <<E /b\n$C\nE\n",
        "UndefinedVar",
        2,
        "Usage of undefined variable '$C'",
    ),
    (
        "FROM a\nRUN --mount=target=$B c\n",
        "UndefinedVar",
        2,
        "Usage of undefined variable '$B'",
    ),
    (
        "FROM a\nCMD [\"b\"]\ncmd [\"c\"]\n",
        "MultipleInstructionsDisallowed",
        2,
        "Multiple cmd",
    ),
    (
        "FROM a\nlabel b c\n",
        "LegacyKeyValueFormat",
        2,
        "\"label key=value\" should",
    ),
    (
        "FROM other\n",
        "InvalidBaseImagePlatform",
        1,
        "Base image other was pulled with platform \"linux/arm64\", expected \"linux/amd64\"",
    ),
    (
        "FROM --platform=$TARGETPLATFORM a\n",
        "RedundantTargetPlatform",
        1,
        "Setting platform to predefined $TARGETPLATFORM",
    ),
    (
        "FROM a\nENV MY_TOKEN=b\n",
        "SecretsUsedInArgOrEnv",
        2,
        "Do not use ARG or ENV instructions for sensitive data (ENV \"MY_TOKEN\")",
    ),
    (
        "ARG A\nFROM $A\n",
        "InvalidDefaultArgInFrom",
        2,
        "Default value for ARG $A",
    ),
    (
        "FROM --platform=linux/arm64 a\n",
        "FromPlatformFlagConstDisallowed",
        1,
        "FROM --platform flag should not use constant value \"linux/arm64\"",
    ),
    (
        "FROM a\nCOPY ./b/../c.log d\n",
        "CopyIgnoredFile",
        2,
        "Attempting to Copy file \"c.log\"",
    ),
    (
        "# check=experimental=all\n# b\nFROM a AS c\n",
        "InvalidDefinitionDescription",
        3,
        "Comment for FROM",
    ),
    (
        "FROM a\nEXPOSE 80/UDP\n",
        "ExposeProtoCasing",
        2,
        "Defined protocol '80/UDP'",
    ),
    (
        "FROM a\nEXPOSE 8080:80\n",
        "ExposeInvalidFormat",
        2,
        "EXPOSE instruction should not",
    ),
    (
        "FROM triggering\n",
        "UndefinedVar",
        1,
        "Usage of undefined variable '$T'",
    ),
    (
        "FROM a AS b\nONBUILD USER $T\nFROM b\n",
        "UndefinedVar",
        3,
        "Usage of undefined variable '$T'",
    ),
    (
        "FROM --platform=windows/amd64 a\nWORKDIR d:\\\\x\n",
        "WorkdirRelativePath",
        2,
        "Relative workdir \"d:\\\\x\"",
    ),
];

fn resolved() -> Resolved {
    let image = |json: Value| ResolvedImage {
        config: Arc::new(serde_json::from_value(json).unwrap()),
        digest: None,
    };
    let key = |name: &str| plan::ImageKey {
        name: format!("docker.io/library/{name}:latest"),
        platform: Platform::new("linux", "amd64"),
    };
    let other = json!({"os": "linux", "architecture": "arm64"});
    let triggering = json!({
        "os": "linux", "architecture": "amd64", "config": {"OnBuild": ["USER $T"]},
    });
    Resolved {
        images: BTreeMap::from([
            (key("other"), image(other)),
            (key("triggering"), image(triggering)),
        ]),
    }
}

#[test]
fn makes_each_check() {
    let resolved = resolved();
    for (text, rule, line, detail) in SAMPLES {
        let found = findings(text, &resolved).warnings;
        let is_it = |warning: &Warning| {
            warning.rule.name() == rule
                && warning.span.first == line
                && warning.detail.starts_with(detail)
        };
        assert!(found.iter().any(is_it), "{text}: {found:#?}");
    }
    for rule in Rule::ALL {
        let is_sampled = SAMPLES.iter().any(|(_, name, ..)| *name == rule.name());
        assert!(is_sampled, "{}", rule.name());
    }
}

#[test]
fn leaves_alone_what_is_meant() {
    let check = |text: &str| {
        let found = findings(text, &resolved());
        assert_eq!(found, Findings::default(), "{text}");
    };
    check("FROM a AS b\nWORKDIR /c\nFROM b\nWORKDIR d\nUSER $PATH\n");
    check("FROM --platform=windows/amd64 a AS windows\nWORKDIR C:\\\\x\n");
    check("FROM a\nADD https://b/c.log git@github.com:b/c.git d\n");
    check("FROM a\nARG B\nUSER $B\nEXPOSE 80/udp 90\n");
    check("FROM a\nSHELL [\"b\"]\nCMD c\n");
    check("FROM a\n# check=skip=UndefinedVar,Other // why\nUSER $B\n");
    check("# check=skip=all\nFROM a AS B\nMAINTAINER c\n");
}

#[test]
fn looks_for_what_was_meant_so_often() {
    let known: String = (0..2000).map(|number| format!(" A{number}b=1")).collect();
    let unset: String = (0..200)
        .map(|number| format!(" c{number}=$A{number}c"))
        .collect();
    let found = findings(
        &format!("FROM a\nENV{known}\nLABEL{unset}\n"),
        &Resolved::default(),
    );
    assert_eq!(found.warnings.len(), 200);
    let meant = found
        .warnings
        .iter()
        .filter(|warning| warning.detail.contains("did you mean"));
    assert_eq!(meant.count(), shiplap_model::limits::PLAN_SUGGESTIONS);
}

#[test]
fn refuses_other_settings() {
    for text in ["skip", "spik=all", "error=yes", "skip=all;"] {
        assert!(Settings::read(text).is_err(), "{text}");
    }
    let reading = dockerfile::read(b"# check=error=maybe\nFROM a\n");
    let input = input();
    let error = check(&Subject {
        reading: &reading,
        input: &input,
        resolved: &Resolved::default(),
        ignored: None,
        breadth: Breadth::Target,
    });
    let wanted = SettingsError::Boolean("error=maybe".to_owned());
    assert_eq!(error, Err(wanted));
}

#[test]
fn reports_as_docker() {
    let source = "FROM a\nCMD b\n";
    let found = findings(source, &Resolved::default());
    let report = |source: &'static str, findings| Report {
        name: "Dockerfile",
        source: source.as_bytes(),
        findings,
    };
    let wanted = "\
Check complete, 1 warning has been found!

WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:2
--------------------
   1 |     FROM a
   2 | >>> CMD b
   3 |     
--------------------
";
    assert_eq!(report(source, &found).text(), wanted);
    let line = json!({"line": 2});
    assert_eq!(
        report(source, &found).json(),
        json!({
            "warnings": [{
                "ruleName": "JSONArgsRecommended",
                "description": Rule::JSONArgsRecommended.description(),
                "url": "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
                "detail": "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
                "location": {"ranges": [{"start": line, "end": line}]},
            }],
            "sources": [{"filename": "Dockerfile", "data": "RlJPTSBhCkNNRCBiCg==", "language": "Dockerfile"}],
        })
    );
    let clean = Findings::default();
    let clean = report("FROM a\n", &clean);
    assert_eq!(clean.text(), "Check complete, no warnings found.\n");
    assert!(clean.is_clean() && clean.failure().is_none());

    let source = "FROM a\nRNU b";
    let broken = findings(source, &Resolved::default());
    let broken = report(source, &broken);
    assert_eq!(broken.text(), "");
    let failure = broken.failure().unwrap();
    let wanted = "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)\nDockerfile:2\n";
    assert!(failure.starts_with(wanted), "{failure}");
    let line = json!({"line": 2});
    assert_eq!(
        broken.json()["buildError"]["location"]["ranges"][0]["start"],
        line
    );
}
