//! What comes of a build beside the usual: one layer instead of many, and what a Dockerfile tells of itself.

use serde_json::Value;

use super::build::{saved, tree};
use crate::harness::{Store, base, scene};

const TWICE: &str = "FROM busybox
COPY big /tmp/big
RUN rm /tmp/big && rm /etc/os-release && echo new > /etc/motd
COPY small /etc/motd
ENV A=b
";

#[test]
fn squashed_is_one_layer_over_the_base() {
    let Some(store) = base::store() else { return };
    let context = store.path("app");
    let big = "x".repeat(100_000);
    scene::files(
        &context,
        &[("Dockerfile", TWICE), ("big", &big), ("small", "small\n")],
    );
    let context = context.to_str().unwrap();
    store.ok(&["build", "-t", "plain", context]);
    store.ok(&["build", "--squash", "-t", "squashed", context]);
    let layers = |name: &str| {
        let layers = store.field(name, "{{json .RootFS.Layers}}");
        let layers: Vec<String> = serde_json::from_str(&layers).unwrap();
        layers
    };
    let base = layers("busybox");
    let squashed = layers("squashed");
    assert_eq!(layers("plain").len(), base.len() + 3);
    assert_eq!(squashed.len(), base.len() + 1);
    assert_eq!(squashed[..base.len()], base);
    assert_eq!(tree(&store, "squashed"), tree(&store, "plain"));
    let top = saved(&store, "squashed").layers.pop().unwrap();
    let paths: Vec<&str> = top.iter().map(|entry| entry.path.as_str()).collect();
    assert!(!paths.contains(&"tmp/big"), "{paths:?}");
    assert!(paths.contains(&"etc/.wh.os-release"), "{paths:?}");
    assert!(top.iter().all(|entry| entry.content.len() < 1000));

    // History tells what was done, and that one layer is all of it.
    let config = saved(&store, "squashed").config;
    let history = config["history"].as_array().unwrap();
    let last = history.last().unwrap();
    let comment = last["comment"].as_str().unwrap();
    assert_eq!(
        comment,
        format!(
            "merge {} to {}",
            store.field("plain", "{{.Id}}"),
            store.field("busybox", "{{.Id}}")
        )
    );
    let full = history.iter().filter(|entry| entry["empty_layer"] != true);
    assert_eq!(full.count(), squashed.len());
    assert!(history.iter().any(|entry| {
        entry["empty_layer"] == true
            && entry["created_by"]
                .as_str()
                .is_some_and(|text| text.starts_with("RUN"))
    }));
    assert_eq!(
        config["config"]["Env"].as_array().unwrap().last().unwrap(),
        "A=b"
    );

    // Again, it is the same, and what adds nothing is left as it is.
    let id = store.field("squashed", "{{.Id}}");
    store.ok(&["build", "--squash", "-t", "squashed", context]);
    assert_eq!(store.field("squashed", "{{.Id}}"), id);
    let text = b"FROM busybox\nENV A=b\n";
    store
        .run_with(&["build", "--squash", "-t", "config", "-"], text)
        .assert_ok();
    assert_eq!(layers("config"), base);
    let text = b"FROM scratch\nCOPY <<A /a\nA\nCOPY <<B /b\nB\n";
    let ran = store.run_with(&["build", "--squash", "-t", "alone", "-"], text);
    ran.assert_ok();
    assert_eq!(layers("alone").len(), 1);
    let config = saved(&store, "alone").config;
    let last = config["history"].as_array().unwrap().last().unwrap();
    assert!(
        last["comment"]
            .as_str()
            .unwrap()
            .starts_with("create new from sha256:")
    );
    store.assert_sound();
}

const TOLD: &str = "# VERSION that is built
ARG VERSION=1.2
FROM busybox AS tools
RUN --mount=type=secret,id=token,required --mount=type=ssh true
# app is what runs
FROM scratch AS app
ARG VERSION
ARG LEVEL=3
COPY --from=tools /bin /bin
";

#[test]
fn a_dockerfile_tells_of_itself() {
    let store = Store::new();
    let context = store.path("app");
    scene::files(&context, &[("Dockerfile", TOLD)]);
    let context = context.to_str().unwrap();
    assert_eq!(
        store.ok(&["build", "--call=targets", context]),
        "TARGET        DESCRIPTION\ntools         \napp (default) is what runs\n"
    );
    assert_eq!(
        store.ok(&["build", "--call=outline", context]),
        "TARGET:      app\nDESCRIPTION: is what runs\n\n\
         BUILD ARG   VALUE   DESCRIPTION\n\
         VERSION     1.2     that is built\n\
         LEVEL       3       \n\n\
         SECRET   REQUIRED\ntoken    true\n\nSSH       REQUIRED\ndefault   \n\n"
    );
    let line = [
        "build",
        "--call=outline,format=json",
        "--build-arg=LEVEL=9",
        context,
    ];
    let told = store.json(&line);
    let level = |told: &Value| told["args"][1]["value"].clone();
    assert_eq!(level(&told), "9");
    assert_eq!(told["name"], "app");
    assert_eq!(told["args"][0]["location"]["ranges"][0]["start"]["line"], 2);
    let told = store.json(&["build", "--call", "targets,format=json", context]);
    assert_eq!(told["targets"][1]["default"], true);
    assert_eq!(told["targets"][0]["base"], "busybox");
    let line = ["build", "--print=outline", "--target=tools", context];
    let told = store.ok(&line);
    assert!(told.starts_with("TARGET: tools\n"), "{told}");
    assert!(!told.contains("LEVEL"), "{told}");

    // Nothing is built, and what is wrong is told as ever.
    assert_eq!(store.ok(&["build", "ls", "-q"]), "");
    let ran = store.run(&["build", "--call=outline", "--target=ap", context]);
    ran.assert_refused();
    ran.assert_says(&["ap", "did you mean app?"]);
    let ran = store.run_with(&["build", "--call=targets", "-"], b"FORM scratch\n");
    ran.assert_refused();
    ran.assert_says(&["unknown instruction: FORM (did you mean FROM?)", ">>>"]);
    let ran = store.run(&["build", "--call=plan", context]);
    ran.assert_refused();
    ran.assert_says(&["build, check, outline and targets"]);
    let text = b"FROM scratch as x\n";
    let line = ["build", "--call=check,ignorestatus=true", "-"];
    store.run_with(&line, text).assert_ok();
}

#[test]
fn programs_read_buildkits_status() {
    let Some(store) = base::store() else { return };
    let text = b"FROM busybox\nRUN echo hello; echo oops >&2; exit 3\n";
    let ran = store.run_with(&["build", "--progress=rawjson", "-"], text);
    ran.assert_refused();
    let mut events: Vec<Value> = Vec::new();
    for line in ran.stderr.lines().filter(|line| line.starts_with('{')) {
        events.push(serde_json::from_str(line).unwrap());
    }
    let all = |key: &str| -> Vec<Value> {
        let lists = events.iter().filter_map(|event| event[key].as_array());
        lists.flatten().cloned().collect()
    };
    let run = |vertex: &&Value| vertex["name"].as_str().unwrap().contains("RUN echo hello");
    let vertexes = all("vertexes");
    let failed: Vec<&Value> = vertexes.iter().filter(run).collect();
    let digest = &failed[0]["digest"];
    assert!(failed.iter().all(|vertex| vertex["digest"] == *digest));
    let last = failed.last().unwrap();
    assert!(
        last["error"].as_str().unwrap().contains("exit code: 3"),
        "{last}"
    );
    assert!(last["started"].is_string() && last["completed"].is_string());
    let logs = all("logs");
    let of_it = |stream: u64| {
        let mut logs = logs.iter().filter(|log| log["vertex"] == *digest);
        logs.find(|log| log["stream"] == stream).unwrap()["data"].clone()
    };
    assert_eq!((of_it(1), of_it(2)), ("aGVsbG8K".into(), "b29wcwo=".into()));
    // What went wrong is told to people, too.
    ran.assert_says(&["failed to build"]);
}
