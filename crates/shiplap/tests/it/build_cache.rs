//! What a build keeps for the next one: hits, misses that are explained, interruptions, several builds at
//! once, and pruning.

use std::fs;
use std::time::{Duration, Instant};

use super::build::{course, saved, tree};
use crate::harness::container::{processes_of, until};
use crate::harness::told::Told;
use crate::harness::{Store, base, scene};

const STEPS: &str = "FROM busybox
WORKDIR /app
COPY requirements.txt .
RUN cat requirements.txt > /installed && date +%N > /when
COPY . .
RUN date +%N > /then
";

fn build(store: &Store, context: &std::path::Path) -> String {
    let ran = store.run(&["build", "-t", "app", context.to_str().unwrap()]);
    ran.assert_ok();
    ran.stderr
}

/// Names of steps that were not in the cache.
fn made(said: &str) -> Vec<String> {
    let told = Told::of(said);
    told.made().into_iter().map(str::to_owned).collect()
}

#[test]
fn only_what_changed_is_done_again() {
    let Some(store) = base::store() else { return };
    let context = course(&store, STEPS);
    build(&store, &context);
    let id = store.field("app", "{{.Id}}");
    assert_eq!(made(&build(&store, &context)), Vec::<String>::new());
    assert_eq!(store.field("app", "{{.Id}}"), id);
    // Times mean nothing, nor does a mode that a copy does not take over.
    scene::set_mtime(&context.join("app.py"), 1_000_000_000);
    scene::set_mtime(&context.join("requirements.txt"), 1_000_000_000);
    assert_eq!(made(&build(&store, &context)), Vec::<String>::new());
    // One file changed.
    fs::write(context.join("src/util.py"), "changed\n").unwrap();
    let said = build(&store, &context);
    assert_eq!(made(&said), ["COPY . .", "RUN date +%N > /then"]);
    assert!(
        said.contains("src/util.py"),
        "the file that changed is named: {said}"
    );
    // What is ignored is nothing to it.
    fs::write(context.join("notes/secret-plans.md"), "other\n").unwrap();
    assert_eq!(made(&build(&store, &context)), Vec::<String>::new());
    // The list changed, and everything after it.
    fs::write(context.join("requirements.txt"), "flask==3.1\n").unwrap();
    let said = build(&store, &context);
    assert_eq!(made(&said).len(), 4, "{said}");
    let all = store.run(&["build", "--no-cache", context.to_str().unwrap()]);
    assert_eq!(made(&all.stderr).len(), 5, "{}", all.stderr);
}

#[test]
fn the_same_everywhere() {
    let (Some(one), Some(other)) = (base::store(), base::store()) else {
        return;
    };
    let dockerfile = "FROM busybox AS a\nCOPY src /src\nFROM busybox\nWORKDIR /app\nCOPY . .\n\
        COPY --from=a /src /other\nENV A=b\nCMD [\"x\"]\n";
    let ids: Vec<String> = [&one, &other]
        .iter()
        .map(|store| {
            let context = course(store, dockerfile);
            let all = [
                "",
                "app.py",
                "src",
                "src/util.py",
                "requirements.txt",
                "Dockerfile",
            ];
            for path in all {
                scene::set_mtime(&context.join(path), 1_600_000_000);
            }
            let mut command = store.command(&["build", "-q", context.to_str().unwrap()]);
            let ran = command
                .env("SOURCE_DATE_EPOCH", "1700000000")
                .output()
                .unwrap();
            assert!(
                ran.status.success(),
                "{}",
                String::from_utf8_lossy(&ran.stderr)
            );
            String::from_utf8(ran.stdout).unwrap()
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn stages_run_at_once_and_only_if_needed() {
    let Some(store) = base::store() else { return };
    let dockerfile = "FROM busybox AS one\nRUN sleep 2 && echo 1 > /f\nFROM busybox AS two\nRUN sleep 2 && echo 2 > /f\n\
        FROM busybox AS never\nRUN false\nFROM scratch\nCOPY --from=one /f /1\nCOPY --from=two /f /2\n";
    let context = course(&store, dockerfile);
    let begin = Instant::now();
    build(&store, &context);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(2));
    let found = tree(&store, "app");
    assert!(found.contains_key("1") && found.contains_key("2"));
    // Two of two seconds one after the other would take four, and a busy machine needs its time, too.
    let one = store.ok(&[
        "build",
        "-q",
        "--no-cache",
        "--target",
        "one",
        context.to_str().unwrap(),
    ]);
    assert!(one.starts_with("sha256:"));
}

#[test]
fn killed_builds_lose_nothing_that_was_finished() {
    let Some(store) = base::store() else { return };
    let dockerfile = "FROM busybox\nRUN echo first > /first\nRUN --mount=type=cache,target=/c sh -c 'touch /second; sleep 1000'\n";
    let context = course(&store, dockerfile);
    let mut child = store.start(&["build", "-t", "app", context.to_str().unwrap()]);
    until("the second step runs", || processes_of_sleep() > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    until("its processes are gone", || {
        processes_of(store.root()).is_empty() && processes_of_sleep() == 0
    });
    store.assert_sound();
    let listed = store.ok(&["build", "ls", "--format", "{{.Status}}"]);
    assert_eq!(listed, "Canceled\n");
    fs::write(
        context.join("Dockerfile"),
        "FROM busybox\nRUN echo first > /first\nRUN echo second\n",
    )
    .unwrap();
    let said = build(&store, &context);
    assert_eq!(made(&said), ["RUN echo second"], "{said}");
    store.ok(&["rmi", "-f", "app"]);
    store.ok(&["builder", "prune", "-a", "-f"]);
    store.assert_prunes_to_nothing();
}

/// How many processes sleep as the step above does.
fn processes_of_sleep() -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line.starts_with(b"sleep\x001000\0"))
        .count()
}

#[test]
fn two_builds_at_once_are_one_too_many_for_nobody() {
    let Some(store) = base::store() else { return };
    let context = course(&store, STEPS);
    let line = |tag: &'static str| ["build", "-t", tag, context.to_str().unwrap()];
    let mut builds = [
        store.start(&line("a")),
        store.start(&line("b")),
        store.start(&line("c")),
    ];
    for build in &mut builds {
        assert!(build.wait().unwrap().success());
    }
    for tag in ["a", "b", "c"] {
        let saved = saved(&store, tag);
        assert!(saved.tree().contains_key("installed"), "{tag}");
    }
    store.assert_sound();
}

#[test]
fn cache_mounts_outlive_builds_and_layers_do_not_have_them() {
    let Some(store) = base::store() else { return };
    let dockerfile = "FROM busybox\nARG N\n\
        RUN --mount=type=cache,target=/cache,id=things echo $N >> /cache/list && cp /cache/list /list\n";
    let context = course(&store, dockerfile);
    let line = |n: &str| format!("--build-arg=N={n}");
    for n in ["1", "2"] {
        store.ok(&["build", "-t", "app", &line(n), context.to_str().unwrap()]);
    }
    let list = store.ok(&["image", "cat", "app", "/list"]);
    assert_eq!(list, "1\n2\n");
    let found = tree(&store, "app");
    assert!(!found.contains_key("cache/list"));
    let listed = store.ok(&[
        "buildx",
        "du",
        "--filter",
        "type=exec.cachemount",
        "--format",
        "{{.Description}}",
    ]);
    assert!(listed.contains("things"), "{listed}");
    store.ok(&["builder", "prune", "-f", "--filter", "type=exec.cachemount"]);
    store.ok(&["build", "-t", "app", &line("3"), context.to_str().unwrap()]);
    assert_eq!(store.ok(&["image", "cat", "app", "/list"]), "3\n");
}

#[test]
fn pruning_is_told_before_it_is_done() {
    let Some(store) = base::store() else { return };
    let context = course(&store, STEPS);
    build(&store, &context);
    store.ok(&["rmi", "app"]);
    let would = store.ok(&["build", "prune", "--all", "--dry-run"]);
    assert!(
        would.contains("Would delete") && would.contains("Total reclaimable space"),
        "{would}"
    );
    assert_eq!(made(&build(&store, &context)), Vec::<String>::new());
    store.ok(&["rmi", "app"]);
    store.ok(&["build", "prune", "--all", "--force", "--keep-storage", "1g"]);
    assert_eq!(made(&build(&store, &context)), Vec::<String>::new());
    store.ok(&["rmi", "app"]);
    let done = store.ok(&["build", "prune", "--all", "--force"]);
    assert!(done.contains("Deleted build cache objects"), "{done}");
    assert_eq!(store.ok(&["buildx", "du", "--format", "{{.ID}}"]), "");
    assert_eq!(made(&build(&store, &context)).len(), 5);
}
