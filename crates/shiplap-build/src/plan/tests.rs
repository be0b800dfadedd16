use std::collections::BTreeMap;

use serde_json::{Value, json};
use shiplap_model::dockerfile;

use super::*;

/// What the test tables' base images are: busybox, and nothing else.
pub(crate) fn stand_in() -> ImageConfig {
    serde_json::from_value(json!({
        "created": "2023-11-14T22:13:20Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["sh"],
        },
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [
            {"created": "2023-11-14T22:13:20Z", "created_by": "stand-in from busybox-static"},
        ],
    }))
    .unwrap()
}

pub(crate) fn amd64() -> Platform {
    Platform::new("linux", "amd64")
}

pub(crate) fn input() -> PlanInput {
    PlanInput {
        build_args: BTreeMap::new(),
        labels: Vec::new(),
        target: None,
        platform: None,
        build_platform: amd64(),
        named_contexts: BTreeMap::new(),
        shows_platform: false,
    }
}

/// Plans with the stand-in for every image.
pub(crate) fn plan_text(text: &str, input: &PlanInput) -> Result<Plan, PlanError> {
    plan_on(text, input, &|_| stand_in())
}

/// Plans with the images that `image` makes up.
pub(crate) fn plan_on(
    text: &str,
    input: &PlanInput,
    image: &dyn Fn(&ImageKey) -> ImageConfig,
) -> Result<Plan, PlanError> {
    let file = dockerfile::parse(text.as_bytes()).unwrap();
    let mut resolved = Resolved::default();
    loop {
        let needs = needs(&file, input, &resolved)?;
        if needs.images.is_empty() {
            return plan(&file, input, &resolved);
        }
        for needed in needs.images {
            let config = Arc::new(image(&needed.key));
            let answer = ResolvedImage {
                config,
                digest: None,
            };
            resolved.images.insert(needed.key, answer);
        }
    }
}

fn table(name: &str) -> Vec<Value> {
    let path = format!("{}/../../testdata/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let table: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    table["cases"].as_array().unwrap().clone()
}

#[test]
fn makes_configs_and_histories_as_buildkit_does() {
    let mut failures = Vec::new();
    let cases = table("build-conformance");
    for case in &cases {
        if let Err(problem) = conforms(case) {
            failures.push(format!("{}: {problem}", case["id"]));
        }
    }
    assert_eq!(cases.len(), 115);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The Dockerfile of a case; those that are not part of the context are written into it.
fn dockerfile_of(case: &Value) -> &str {
    let files = case["context"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"] == case["dockerfile"]);
    file.unwrap()["content"].as_str().unwrap()
}

fn conforms(case: &Value) -> Result<(), String> {
    let args = case.get("build_args").cloned().unwrap_or_else(|| json!({}));
    let input = PlanInput {
        build_args: serde_json::from_value(args).unwrap(),
        ..input()
    };
    let plan = plan_text(dockerfile_of(case), &input).map_err(|error| error.to_string())?;
    let expect = &case["expect"];
    // The others fail over files, which a plan does not look at.
    if expect["success"] != true {
        return Ok(());
    }
    let image = plan.stages[plan.target.0].image();
    let config = serde_json::to_value(&image.config).unwrap();
    if config != expect["config"] {
        return Err(format!("config {config}, wanted {}", expect["config"]));
    }
    let without_times = |history: &Value| -> Vec<Value> {
        let mut history = history.as_array().unwrap().clone();
        for entry in &mut history {
            entry.as_object_mut().unwrap().remove("created");
        }
        history
    };
    let history = without_times(&serde_json::to_value(&image.history).unwrap());
    let wanted = without_times(&expect["history"]);
    if history != wanted {
        return Err(format!("history {history:#?}, wanted {wanted:#?}"));
    }
    let layers = image.history.iter().filter(|entry| !entry.empty_layer);
    if json!(layers.count()) != expect["layers"] {
        return Err(format!("not {} layers", expect["layers"]));
    }
    Ok(())
}
