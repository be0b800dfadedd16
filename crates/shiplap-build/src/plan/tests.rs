use std::collections::BTreeMap;

use serde_json::{Value, json};
use shiplap_model::dockerfile;

use super::*;

mod hostile;
mod shown;
mod snapshots;

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

/// What a build of the tables `build-buildkit` and `build-moby` is given.
fn build_of(step: &Value) -> (String, PlanInput) {
    let flags: Vec<&str> = step["flags"]
        .as_array()
        .map(|flags| flags.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut input = input();
    let mut name = step["filename"].as_str().unwrap_or("Dockerfile").to_owned();
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let pairs = value.as_object().into_iter().flatten();
        pairs
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    };
    input.build_args.extend(pairs(&step["build_args"]));
    input.labels.extend(pairs(&step["labels"]));
    input.target = step["target"].as_str().map(str::to_owned);
    let platform = step["platform"]
        .as_str()
        .and_then(|text| text.split(',').next());
    input.platform = platform.map(|text| text.parse().unwrap());
    let mut rest = flags.iter();
    while let Some(flag) = rest.next() {
        let mut value = || rest.next().unwrap().to_string();
        let pair = |text: String| {
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            (name.to_owned(), value.to_owned())
        };
        match *flag {
            "--build-arg" => input.build_args.extend([pair(value())]),
            "--label" => input.labels.push(pair(value())),
            "--target" => input.target = Some(value()),
            "-f" | "--file" => name = value(),
            _ => {}
        }
    }
    let files = step["context"].as_array();
    let file = files.and_then(|files| files.iter().find(|file| file["path"] == name.as_str()));
    let text = step["dockerfile"]
        .as_str()
        .or(file.and_then(|file| file["content"].as_str()));
    (text.unwrap_or_default().to_owned(), input)
}

/// Builds that fail over their Dockerfile alone.
const FAULTY: [&str; 16] = [
    "testAddInvalidChmod",
    "testArgDefaultExpansion",
    "testCopyInvalidChmod",
    "testDockerfileCopyFromArgs",
    "testEmptyStages",
    "testGlobalArgErrors",
    "testMountInvalid",
    "testOutOfOrderStage",
    "testSourceDateEpochStageInvalid",
    "testTargetMistype",
    "TestBuildBlankName",
    "TestBuildIntermediateTarget",
    "TestBuildLineErrorOnBuild",
    "TestBuildLineErrorUnknownInstruction",
    "TestBuildLineErrorWithComments",
    "TestBuildShellNotJSON",
];

#[test]
fn plans_what_the_peers_build() {
    let mut failures = Vec::new();
    let mut count = 0;
    for name in ["build-buildkit", "build-moby"] {
        for case in &table(name) {
            let mut images = BTreeMap::new();
            for step in case["steps"].as_array().unwrap() {
                let problem = match step["do"].as_str() {
                    Some("build") => plan_step(case, step, &mut images),
                    Some("inspect") => inspect(step, &images),
                    _ => continue,
                };
                count += 1;
                if let Err(problem) = problem {
                    failures.push(format!("{} {}: {problem}", case["id"], case["test"]));
                }
            }
        }
    }
    assert!(count > 250, "{count}");
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn plan_step(
    case: &Value,
    step: &Value,
    images: &mut BTreeMap<String, ImageConfig>,
) -> Result<(), String> {
    let (text, input) = build_of(step);
    if text.is_empty() {
        return Ok(());
    }
    let base = |key: &ImageKey| {
        let known = images.iter().find(|(name, _)| {
            key.name.contains(&format!("/{name}:")) || key.name.contains(&format!("/{name}@"))
        });
        known.map_or_else(stand_in, |(_, image)| image.clone())
    };
    let planned = match dockerfile::parse(text.as_bytes()) {
        Ok(_) => plan_on(&text, &input, &base).map_err(|error| error.to_string()),
        Err(errors) => Err(errors.to_string()),
    };
    // Some cases say nothing of success; then either is right.
    let is_said = |wanted: bool| step["expect"]["success"].as_bool() == Some(wanted);
    match planned {
        Ok(plan) => {
            let test = case["test"].as_str().unwrap();
            if is_said(false) && FAULTY.contains(&test) {
                return Err("planned, though it is wrong".to_owned());
            }
            if let Some(tag) = step["tag"].as_str() {
                images.insert(tag.to_owned(), plan.stages[plan.target.0].image().clone());
            }
            Ok(())
        }
        Err(error) if is_said(true) => Err(format!("{error}\n{text}")),
        Err(error) => {
            let wanted = step["expect"]["error_contains"].as_array();
            for part in wanted.into_iter().flatten().filter_map(Value::as_str) {
                if !error.contains(part) {
                    return Err(format!("{error:?} does not say {part:?}"));
                }
            }
            Ok(())
        }
    }
}

/// Compares what `inspect` says of a config, where the table has it as JSON.
fn inspect(step: &Value, images: &BTreeMap<String, ImageConfig>) -> Result<(), String> {
    let Some(image) = step["image"].as_str().and_then(|name| images.get(name)) else {
        return Ok(());
    };
    let document = serde_json::to_value(image).unwrap();
    let field = step["field"].as_str().unwrap();
    // The container in which the classic builder made it: there is none.
    if field.starts_with("ContainerConfig") {
        return Ok(());
    }
    let found = match field.split_once('.') {
        Some(("Config", name)) => document["config"][name].clone(),
        _ => document[field.to_lowercase()].clone(),
    };
    for check in step["expect"]["value"].as_array().into_iter().flatten() {
        let wanted = check["value"].as_str().unwrap_or_default();
        let holds = match check["check"].as_str().unwrap() {
            "has_key" => found.get(wanted).is_some(),
            "equals" if step["json"] == true => {
                // Docker shows what is not set as null or as its empty value.
                let wanted: Value = serde_json::from_str(wanted).unwrap();
                found == wanted || (is_nothing(&found) && is_nothing(&wanted))
            }
            "equals" => match &found {
                Value::String(text) => text == wanted,
                Value::Array(words) => {
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    format!("[{}]", words.join(" ")) == wanted
                }
                Value::Object(fields) => {
                    let fields: Vec<String> =
                        fields.keys().map(|key| format!("{key}:{{}}")).collect();
                    format!("map[{}]", fields.join(" ")) == wanted
                }
                found => is_nothing(found) && matches!(wanted, "" | "[]" | "map[]"),
            },
            _ => continue,
        };
        if !holds {
            return Err(format!("{field} is {found}, wanted {check}"));
        }
    }
    Ok(())
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[test]
fn plans_real_dockerfiles() {
    let mut failures = Vec::new();
    for case in &table("dockerfile-corpus") {
        let name = case["file"].as_str().unwrap();
        let path = format!(
            "{}/../../testdata/dockerfiles/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let bytes = std::fs::read(&path).unwrap();
        let file = dockerfile::parse(&bytes).unwrap();
        let mut problems = Vec::new();
        // All stages, as the oracle did it.
        for number in 0..file.stages.len() {
            let input = PlanInput {
                target: Some(number.to_string()),
                ..input()
            };
            let text = String::from_utf8_lossy(&bytes);
            if let Err(error) = plan_text(&text, &input) {
                problems.push(error.to_string());
            }
        }
        let is_wrong = !case["expect"]["convert_error"].is_null();
        if is_wrong == problems.is_empty() {
            failures.push(format!(
                "{name}: {problems:?}, wanted {}",
                case["expect"]["convert_error"]
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
