//! Builds judged by what BuildKit made of the same Dockerfile and context: config, history, number of
//! layers and every file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::harness::table::{self, Deviation};
use crate::harness::untar::{Node, Saved, Tree};
use crate::harness::{Store, base, judge, scene};

/// Cases that are otherwise here.
const DEVIATIONS: &[Deviation] = &[
    (
        "build-conformance-0033",
        "the environment of a step is written down, and there it was that of the machine that measured",
    ),
    ("build-conformance-0090", STALE),
    ("build-conformance-0092", STALE),
    ("build-conformance-0094", STALE),
    ("build-conformance-0095", STALE),
    ("build-conformance-0096", STALE),
    ("build-conformance-0098", STALE),
    ("build-conformance-0099", STALE),
    (
        "build-conformance-0144",
        "a file of an archive keeps its time to the fraction of a second, and is not made younger",
    ),
];

/// Ours is the file of the case's own context.
const STALE: &str =
    "BuildKit took the file of an earlier case, which has the same path, size and time";

#[test]
fn what_buildkit_makes() {
    if !judge::is_root() {
        judge::skip("contexts with files of several users need root");
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let Some(archive) = base::write_archive(&folder.path().join("base.tar")) else {
        return;
    };
    let base = base::tree().unwrap();
    let cases = table::cases(include_str!("../../../../testdata/build-conformance.json"));
    assert!(cases.len() > 100);
    let name = |case: &Value| case["id"].as_str().unwrap().to_owned();
    table::work(&cases, name, DEVIATIONS, |case| {
        let mut wrong = check(case, &archive, &base);
        if !wrong.is_empty() {
            wrong.insert(0, format!("({})", case["name"].as_str().unwrap()));
        }
        wrong
    });
}

/// What of a case is not as BuildKit made it.
fn check(case: &Value, archive: &Path, base: &Tree) -> Vec<String> {
    let store = Store::new();
    store.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    let context = store.path("context");
    scene::make(&context, &case["context"]);
    let dockerfile = context.join(case["dockerfile"].as_str().unwrap());
    let mut line = vec!["build", "--progress", "plain", "--tag", "result"];
    let arguments = case["build_args"].as_object();
    let arguments: Vec<String> = arguments
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("--build-arg={name}={}", value.as_str().unwrap()))
        .collect();
    line.extend(arguments.iter().map(String::as_str));
    line.extend(["--file", dockerfile.to_str().unwrap()]);
    line.push(context.to_str().unwrap());
    let ran = store.run(&line);
    let expect = &case["expect"];
    if expect["success"] == false {
        return refusal(&ran.stderr, ran.code, expect);
    }
    if ran.code != Some(0) {
        return vec![ran.stderr];
    }
    let saved = store.path("result.tar");
    store.ok(&["save", "--output", saved.to_str().unwrap(), "result"]);
    let saved = Saved::read(&saved);
    let mut wrong = documents(&saved, expect);
    let base = match expect["base"].as_str() {
        Some("scratch") => &Tree::new(),
        _ => base,
    };
    wrong.extend(files(&saved.tree(), base, expect));
    wrong
}

/// A build that fails says why, and where if BuildKit says it.
fn refusal(said: &str, code: Option<i32>, expect: &Value) -> Vec<String> {
    if code != Some(1) || said.trim().is_empty() || said.contains("panicked") {
        return vec![format!(
            "must be refused as {}: {code:?} {said}",
            expect["error"]
        )];
    }
    match expect["fails_at_line"].as_u64() {
        Some(line) if !said.contains(&format!(":{line}\n")) => {
            vec![format!("does not name line {line}: {said}")]
        }
        _ => Vec::new(),
    }
}

/// Config, history and number of layers.
fn documents(saved: &Saved, expect: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: &Value, want: &Value| {
        if found != want {
            wrong.push(format!("{what}: {found}\n  want {want}"));
        }
    };
    let config = without_nothing(&saved.config["config"]);
    compare("config", &config, &without_nothing(&expect["config"]));
    let layers = saved.config["rootfs"]["diff_ids"].as_array().unwrap().len();
    compare("layers", &json!(layers), &expect["layers"]);
    let history: Vec<Value> = saved.config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let mut entry = entry.as_object().unwrap().clone();
            entry.remove("created");
            without_nothing(&Value::Object(entry))
        })
        .collect();
    compare("history", &json!(history), &expect["history"]);
    wrong
}

/// The object without keys that say nothing.
fn without_nothing(object: &Value) -> Value {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    let fields = object.as_object().into_iter().flatten();
    let fields = fields.filter(|(_, value)| says(value));
    let fields: Map<String, Value> = fields
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(fields)
}

/// Every file of the image: as told, or as in the base and not told.
fn files(found: &Tree, base: &Tree, expect: &Value) -> Vec<String> {
    let told: BTreeMap<&String, &Value> = expect["files"].as_object().unwrap().iter().collect();
    let removed: BTreeSet<&str> = expect["removed"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let paths: BTreeSet<&String> = found
        .keys()
        .chain(base.keys())
        .chain(told.keys().copied())
        .collect();
    let mut wrong = Vec::new();
    for path in paths {
        let is_removed = removed.contains(path.as_str());
        match (found.get(path), told.get(path), base.get(path)) {
            (None, Some(_), _) => wrong.push(format!("/{path} is missing")),
            (None, None, Some(_)) if !is_removed => wrong.push(format!("/{path} is gone")),
            (Some(node), None, Some(_)) if is_removed => {
                wrong.push(format!("/{path} should be gone: {node:?}"));
            }
            (Some(node), None, None) => wrong.push(format!("/{path} should not be: {node:?}")),
            (Some(node), Some(told), _) => wrong.extend(differences(path, node, told)),
            (Some(node), None, Some(base)) if facts(node) != facts(base) => {
                wrong.push(format!("/{path} changed: {node:?}\n  was {base:?}"));
            }
            _ => {}
        }
    }
    wrong
}

/// All but its time.
fn facts(node: &Node) -> Node {
    Node {
        mtime: 0,
        ..node.clone()
    }
}

/// What of a path is not as told.
fn differences(path: &str, node: &Node, told: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: Value, want: &Value| {
        if !want.is_null() && found != *want {
            wrong.push(format!("/{path}: {what} is {found}, want {want}"));
        }
    };
    if told["type"] == "hardlink" {
        compare("first name", json!(node.first_name), &told["target"]);
        return wrong;
    }
    compare("type", json!(node.kind), &told["type"]);
    if let Some(mode) = told["mode"].as_str() {
        let mode = u32::from_str_radix(mode, 8).unwrap();
        compare(
            "mode",
            json!(format!("{:o}", node.mode)),
            &json!(format!("{mode:o}")),
        );
    }
    compare("uid", json!(node.owner.0), &told["uid"]);
    compare("gid", json!(node.owner.1), &told["gid"]);
    if node.kind == "file" {
        compare("size", json!(node.size), &told["size"]);
        compare("content", json!(node.content), &told["sha256"]);
    }
    compare("target", json!(node.target), &told["target"]);
    compare("mtime", json!(node.mtime), &told["mtime"]);
    let xattrs: BTreeMap<&String, String> = node
        .xattrs
        .iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(value).into_owned()))
        .collect();
    let want = match &told["xattrs"] {
        Value::Null => json!({}),
        told => told.clone(),
    };
    compare("xattrs", json!(xattrs), &want);
    wrong
}
