//! Where times come from: `SOURCE_DATE_EPOCH`, the commit that a context is a checkout of, or the files.
//! And what tells one project's steps from another's.

use std::path::Path;
use std::process::Command;

use super::build::saved;
use crate::harness::{Store, judge, scene};

const COPIES: &str = "FROM scratch\nCOPY . /\nWORKDIR /made\n";
/// 2021-01-01, and a year before and after.
const COMMITTED: i64 = 1_609_459_200;
const BEFORE: i64 = 1_577_836_800;
const AFTER: i64 = 1_640_995_200;

/// Makes a commit of all that is in the directory.
fn commit(directory: &Path, seconds: i64) -> Option<()> {
    let git = judge::program("git")?;
    let date = format!("{seconds} +0000");
    for words in [
        &["init", "--quiet"][..],
        &["add", "--all"],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=b",
            "commit",
            "--quiet",
            "--message=x",
        ],
    ] {
        let mut command = Command::new(&git);
        let command = command.args(words).current_dir(directory);
        let environment = [
            ("GIT_COMMITTER_DATE", date.as_str()),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ];
        judge::ask(command.envs(environment));
    }
    Some(())
}

fn created(store: &Store, image: &str) -> String {
    store.field(image, "{{.Created}}")
}

#[test]
fn a_checkout_has_the_time_of_its_commit() {
    let store = Store::new();
    let top = store.path("project");
    let app = top.join("app");
    scene::files(
        &app,
        &[
            ("Dockerfile", COPIES),
            ("old", "old"),
            ("new", "new"),
            (".dockerignore", "Dockerfile\n.dockerignore\n.git\n"),
        ],
    );
    scene::set_mtime(&app.join("old"), BEFORE);
    scene::set_mtime(&app.join("new"), AFTER);
    let context = app.to_str().unwrap();
    store.ok(&["build", "--no-cache", "-t", "files", context]);
    assert_ne!(created(&store, "files"), "2021-01-01T00:00:00Z");
    let Some(()) = commit(&top, COMMITTED) else {
        return;
    };
    let line = ["build", "--no-cache", "-t", "app", context];
    store.ok(&line);
    assert_eq!(created(&store, "app"), "2021-01-01T00:00:00Z");
    let image = saved(&store, "app");
    let history = image.config["history"].as_array().unwrap();
    assert!(
        history
            .iter()
            .all(|entry| entry["created"] == "2021-01-01T00:00:00Z")
    );
    let found = image.tree();
    assert_eq!(found["old"].mtime, BEFORE);
    assert_eq!(found["new"].mtime, COMMITTED);
    assert_eq!(found["made"].mtime, COMMITTED);

    // Another clone on another machine gives the same image.
    let elsewhere = Store::new();
    let clone = elsewhere.path("clone");
    let git = judge::program("git").unwrap();
    let from = [top.to_str().unwrap(), clone.to_str().unwrap()];
    judge::ask(Command::new(git).args(["clone", "--quiet"]).args(from));
    scene::set_mtime(&clone.join("app/old"), BEFORE);
    let context_there = clone.join("app");
    elsewhere.ok(&["build", "-t", "app", context_there.to_str().unwrap()]);
    assert_eq!(
        elsewhere.field("app", "{{.Id}}"),
        store.field("app", "{{.Id}}")
    );

    // SOURCE_DATE_EPOCH comes first; said to be nothing, files have their own times.
    let line = [
        "build",
        "--no-cache",
        "-t",
        "app",
        "--build-arg=SOURCE_DATE_EPOCH=1577836801",
        context,
    ];
    store.ok(&line);
    assert_eq!(created(&store, "app"), "2020-01-01T00:00:01Z");
    let line = [
        "build",
        "--no-cache",
        "-t",
        "app",
        "--build-arg=SOURCE_DATE_EPOCH=",
        context,
    ];
    store.ok(&line);
    assert_eq!(saved(&store, "app").tree()["new"].mtime, AFTER);

    // What is no part of the commit has its own times, too.
    let aside = top.join("aside");
    scene::files(&aside, &[("Dockerfile", COPIES), ("new", "new")]);
    scene::set_mtime(&aside.join("new"), AFTER);
    store.ok(&[
        "build",
        "--no-cache",
        "-t",
        "aside",
        aside.to_str().unwrap(),
    ]);
    assert_eq!(saved(&store, "aside").tree()["new"].mtime, AFTER);
}

#[test]
fn a_new_commit_repeats_no_step() {
    let store = Store::new();
    let app = store.path("app");
    scene::files(
        &app,
        &[
            ("Dockerfile", "FROM scratch\nCOPY kept /\nCOPY changed /\n"),
            ("kept", "1"),
            ("changed", "1"),
        ],
    );
    let Some(()) = commit(&app, COMMITTED) else {
        return;
    };
    let line = ["build", "-t", "app", app.to_str().unwrap()];
    store.ok(&line);
    scene::files(&app, &[("changed", "2")]);
    commit(&app, COMMITTED + 86_400).unwrap();
    let ran = store.run(&line);
    ran.assert_ok();
    assert_eq!(ran.stderr.matches(" CACHED").count(), 1, "{}", ran.stderr);
    assert_eq!(created(&store, "app"), "2021-01-02T00:00:00Z");
    // A time that is asked for is kept to, whatever was made before.
    let asked = [&line[..], &["--build-arg=SOURCE_DATE_EPOCH=context"]].concat();
    let ran = store.run(&asked);
    ran.assert_ok();
    assert!(!ran.stderr.contains("CACHED"), "{}", ran.stderr);
    assert_eq!(
        saved(&store, "app").tree()["kept"].mtime,
        COMMITTED + 86_400
    );
}

#[test]
fn projects_explain_only_their_own_misses() {
    let store = Store::new();
    let project = |name: &str, content: &str| {
        let context = store.path(name);
        scene::files(
            &context,
            &[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", content)],
        );
        let ran = store.run(&["build", context.to_str().unwrap()]);
        ran.assert_ok();
        ran.stderr
    };
    assert!(!project("one", "1").contains("not cached"));
    let first = project("two", "2");
    assert!(!first.contains("not cached"), "{first}");
    let second = project("two", "3");
    assert!(second.contains("not cached: changed a"), "{second}");
    let second = project("one", "4");
    assert!(second.contains("not cached: changed a"), "{second}");
    // What comes through a pipe is told apart by what it is built as.
    let piped = |tag: &str, content: &str| {
        let text = format!("FROM scratch\nCOPY <<A /a\n{content}\nA\n");
        let ran = store.run_with(&["build", "-t", tag, "-"], text.as_bytes());
        ran.assert_ok();
        ran.stderr
    };
    piped("one", "5");
    let first = piped("two", "6");
    assert!(!first.contains("not cached"), "{first}");
    let second = piped("two", "7");
    assert!(second.contains("not cached"), "{second}");
}
