//! Builds judged by the peers' own tests: BuildKit's, and those that Docker ran against its classic
//! builder. Each case is a list of steps, worked through as a user would.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::table::{self, Deviation};
use crate::harness::{Ran, Store, base, container, judge, scene};

/// BuildKit's cases that are otherwise here.
const BUILDKIT: &[Deviation] = &[(
    "build-buildkit-0028",
    "no layer can hold a socket, since no tar can; BuildKit's export to a directory is none",
)];

/// Docker's cases that are otherwise here.
const MOBY: &[Deviation] = &[
    ("build-moby-0082", CLASSIC),
    ("build-moby-0092", NO_CONTAINER_CONFIG),
    (
        "build-moby-0101",
        "as with BuildKit, a volume may be declared where a file is",
    ),
    ("build-moby-0113", CLASSIC),
    (
        "build-moby-0118",
        "as with BuildKit, an ARG after an ENV of the same name holds from there on",
    ),
    ("build-moby-0123", CLASSIC),
    ("build-moby-0127", CLASSIC),
    ("build-moby-0130", CLASSIC),
    ("build-moby-0138", NO_CONTAINER_CONFIG),
    (
        "build-moby-0144",
        "a Dockerfile that can't be read is shown around the line that is wrong",
    ),
    ("build-moby-0146", CLASSIC),
    ("build-moby-0159", CLASSIC),
];

const CLASSIC: &str = "only the classic builder says it so";

const NO_CONTAINER_CONFIG: &str = "images have no ContainerConfig any more, in Docker neither";

#[test]
fn as_buildkit_behaves() {
    run(
        include_str!("../../../../testdata/build-buildkit.json"),
        BUILDKIT,
    );
}

#[test]
fn as_docker_behaves() {
    run(include_str!("../../../../testdata/build-moby.json"), MOBY);
}

fn run(table: &str, deviations: &[Deviation]) {
    if !judge::is_root() {
        judge::skip("containers of the machine's root need root");
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let Some(archive) = base::write_archive(&folder.path().join("base.tar")) else {
        return;
    };
    let cases = table::cases(table);
    assert!(cases.len() > 60);
    let name = |case: &Value| case["id"].as_str().unwrap().to_owned();
    table::work(&cases, name, deviations, |case| {
        let mut wrong = Case::new(&archive).play(&case["steps"]);
        if !wrong.is_empty() {
            wrong.insert(0, format!("({})", case["test"].as_str().unwrap()));
        }
        wrong
    });
}

/// One case while it is played.
struct Case {
    store: Store,
    /// What each step came to.
    outcomes: BTreeMap<usize, Outcome>,
}

impl Drop for Case {
    fn drop(&mut self) {
        container::remove_all(&self.store);
    }
}

/// What a step came to.
#[derive(Debug, Default)]
struct Outcome {
    /// What was asked for: an ID, a field.
    value: String,
    /// Where files were written to.
    export: PathBuf,
}

impl Case {
    fn new(archive: &Path) -> Self {
        let store = Store::new();
        store.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
        Self {
            store,
            outcomes: BTreeMap::new(),
        }
    }

    fn play(&mut self, steps: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, step) in steps.as_array().unwrap().iter().enumerate() {
            let found = match step["do"].as_str().unwrap() {
                "build" => self.build(number, step),
                "docker" => self.docker(number, step),
                "inspect" => self.inspect(number, step),
                "image_id" => self.image_id(number, step),
                "section" => Vec::new(),
                other => panic!("{other}"),
            };
            wrong.extend(found.iter().map(|line| format!("step {number}: {line}")));
        }
        wrong
    }

    fn build(&mut self, number: usize, step: &Value) -> Vec<String> {
        let export = self.store.path(&format!("export-{number}"));
        let mut line: Vec<String> = ["build", "--progress=plain"].map(str::to_owned).to_vec();
        line.extend(flags(step, &export));
        let ran = match step["dockerfile"].as_str() {
            Some(text) => {
                line.push("-".to_owned());
                self.store.run_with(&line, text.as_bytes())
            }
            None => {
                let context = self.store.path(&format!("context-{number}"));
                scene::make(&context, &step["context"]);
                if let Some(name) = step["filename"].as_str() {
                    line.push(format!("--file={}", context.join(name).display()));
                }
                if let Some(at) = line.iter().position(|word| word == "-f") {
                    line[at + 1] = context.join(&line[at + 1]).display().to_string();
                }
                line.push(context.display().to_string());
                self.store.run(&line)
            }
        };
        let expect = &step["expect"];
        let mut wrong = outcome(&ran, expect);
        if expect["success"] != false && ran.code == Some(0) {
            let checks = expect["checks"].as_array();
            wrong.extend(
                checks
                    .into_iter()
                    .flatten()
                    .filter_map(|check| file(&export, check)),
            );
        }
        wrong.extend(output(&ran, &expect["output"], true));
        self.keep(number, String::new(), export, expect, &mut wrong);
        wrong
    }

    fn docker(&mut self, number: usize, step: &Value) -> Vec<String> {
        let words = step["args"].as_array().unwrap();
        let mut line: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        if line[0] == "run" {
            line.splice(1..1, ["--network", "none"]);
            // There is no terminal to give.
            line.retain(|word| *word != "-t");
        }
        let ran = self.store.run(&line);
        let mut wrong = outcome(&ran, &step["expect"]);
        wrong.extend(output(&ran, &step["expect"]["output"], false));
        self.keep(
            number,
            ran.stdout,
            PathBuf::new(),
            &step["expect"],
            &mut wrong,
        );
        wrong
    }

    fn inspect(&mut self, number: usize, step: &Value) -> Vec<String> {
        let field = step["field"].as_str().unwrap();
        let format = match step["json"].as_bool() {
            Some(true) => format!("{{{{json .{field}}}}}"),
            _ => format!("{{{{.{field}}}}}"),
        };
        let image = step["image"].as_str().unwrap();
        let ran = self.store.run(&["inspect", "--format", &format, image]);
        if ran.code != Some(0) {
            return vec![ran.stderr];
        }
        let value = ran.stdout.trim_end().to_owned();
        let checks = step["expect"]["value"].as_array();
        let mut wrong: Vec<String> = checks
            .into_iter()
            .flatten()
            .filter_map(|check| of_value(field, &value, check))
            .collect();
        self.keep(number, value, PathBuf::new(), &step["expect"], &mut wrong);
        wrong
    }

    fn image_id(&mut self, number: usize, step: &Value) -> Vec<String> {
        let image = step["image"].as_str().unwrap();
        let ran = self.store.run(&["inspect", "--format", "{{.Id}}", image]);
        if ran.code != Some(0) {
            return vec![ran.stderr];
        }
        let mut wrong = Vec::new();
        self.keep(
            number,
            ran.stdout,
            PathBuf::new(),
            &step["expect"],
            &mut wrong,
        );
        wrong
    }

    /// Remembers what a step came to, and compares it with earlier ones as told.
    fn keep(
        &mut self,
        number: usize,
        value: String,
        export: PathBuf,
        expect: &Value,
        wrong: &mut Vec<String>,
    ) {
        self.outcomes.insert(number, Outcome { value, export });
        for relation in expect["relations"].as_array().into_iter().flatten() {
            let step = relation["other_step"].as_u64().unwrap();
            let ours = self.outcomes[&number].fact(&relation["this"]);
            let theirs = self.outcomes[&usize::try_from(step).unwrap()].fact(&relation["other"]);
            let is_right = match relation["relation"].as_str().unwrap() {
                "equals" => ours == theirs,
                "not_equals" => ours != theirs,
                other => panic!("{other}"),
            };
            if !is_right {
                wrong.push(format!("{relation}: {ours:?} and {theirs:?}"));
            }
        }
    }
}

impl Outcome {
    fn fact(&self, of: &Value) -> Vec<u8> {
        match of["what"].as_str().unwrap() {
            "file" => fs::read(self.export.join(of["path"].as_str().unwrap())).unwrap_or_default(),
            _ => self.value.clone().into_bytes(),
        }
    }
}

/// The flags that a build step comes to.
fn flags(step: &Value, export: &Path) -> Vec<String> {
    let mut flags = Vec::new();
    let text = |key: &str| step[key].as_str();
    for (key, flag) in [
        ("tag", "--tag"),
        ("target", "--target"),
        ("platform", "--platform"),
        ("shm-size", "--shm-size"),
    ] {
        flags.extend(text(key).map(|value| format!("{flag}={value}")));
    }
    flags.extend(
        text("hostname").map(|name| format!("--build-arg=BUILDKIT_SANDBOX_HOSTNAME={name}")),
    );
    for (key, flag) in [("build_args", "--build-arg"), ("labels", "--label")] {
        for (name, value) in step[key].as_object().into_iter().flatten() {
            flags.push(format!("{flag}={name}={}", value.as_str().unwrap()));
        }
    }
    let export = export.display();
    match text("export") {
        Some("local") => flags.push(format!("--output={export}")),
        Some("image") | None => {}
        Some(kind) => flags.push(format!("--output=type={kind},dest={export}")),
    }
    let more = step["flags"].as_array().into_iter().flatten();
    flags.extend(more.map(|flag| flag.as_str().unwrap().to_owned()));
    flags
}

/// Success or failure; how a failure is worded is each program's own.
fn outcome(ran: &Ran, expect: &Value) -> Vec<String> {
    match (expect["success"].as_bool(), ran.code) {
        (Some(true), Some(0)) | (None, _) => Vec::new(),
        (Some(true), _) => vec![format!("{} fails: {}", ran.arguments, ran.stderr)],
        (Some(false), Some(1..=126)) if !ran.stderr.contains("panicked") => Vec::new(),
        (Some(false), code) => vec![format!(
            "{} must be refused as {}: {code:?} {}",
            ran.arguments, expect["error_contains"], ran.stderr
        )],
    }
}

/// What is wrong with a file that was written.
fn file(export: &Path, check: &Value) -> Option<String> {
    let path = export.join(check["path"].as_str().unwrap());
    let content = || fs::read_to_string(&path).unwrap_or_default();
    let value = check["value"].as_str().unwrap_or_default();
    let is_right = match check["check"].as_str().unwrap() {
        "exists" => path.symlink_metadata().is_ok(),
        "absent" => path.symlink_metadata().is_err(),
        "isdir" => path
            .metadata()
            .is_ok_and(|found| found.mode() & 0o170_000 == 0o040_000),
        "file_equals" => content() == value,
        "file_contains" => content().contains(value),
        "file_not_contains" => !content().contains(value),
        other => panic!("{other}"),
    };
    (!is_right).then(|| format!("{check}: {:?}", content()))
}

/// What is wrong with a value.
fn of_value(what: &str, found: &str, check: &Value) -> Option<String> {
    let want = check["value"].as_str().unwrap_or_default();
    let is_right = match check["check"].as_str().unwrap() {
        "equals" => found == want,
        "has_key" => {
            let object: Value = serde_json::from_str(found).unwrap_or_default();
            object.get(want).is_some()
        }
        other => panic!("{other}"),
    };
    (!is_right).then(|| format!("{what} is {found}, want {check}"))
}

/// What is wrong with what was said. The classic builder's words are translated; a build says all of it
/// on stderr.
fn output(ran: &Ran, checks: &Value, is_build: bool) -> Vec<String> {
    let both = format!("{}{}", ran.stdout, ran.stderr);
    let mut wrong = Vec::new();
    for check in checks.as_array().into_iter().flatten() {
        let said = match check["stream"].as_str().unwrap() {
            _ if is_build => &both,
            "stdout" => &ran.stdout,
            "stderr" => &ran.stderr,
            _ => &both,
        };
        let value = check["value"].as_str().unwrap_or_default();
        let is_right = match check["check"].as_str().unwrap() {
            "contains" => says(said, value, is_build),
            "not_contains" => !says(said, value, is_build),
            "equals" => said.trim_end() == value.trim_end(),
            "count_equals" => {
                let text = check["value"]["text"].as_str().unwrap();
                let count = said.matches(text).count();
                u64::try_from(count).ok() == check["value"]["n"].as_u64()
            }
            other => panic!("{other}"),
        };
        if !is_right {
            wrong.push(format!("{check}: {said}"));
        }
    }
    wrong
}

fn says(said: &str, text: &str, is_build: bool) -> bool {
    match text.trim().split_once(" : ") {
        // Progress names steps otherwise.
        Some((step, name)) if is_build && step.starts_with("Step ") => {
            let number = step.trim_start_matches("Step ");
            said.contains(name)
                || name.starts_with("FROM") && said.contains(&format!("{number}] FROM"))
        }
        // Nor does a line of output begin at the line's beginning.
        _ if is_build => said.contains(text.trim_matches('\n')),
        _ => said.contains(text),
    }
}
