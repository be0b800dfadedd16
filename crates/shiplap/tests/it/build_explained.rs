//! Why a step was not in the cache, on real misses; and that what means nothing is none.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::course;
use crate::harness::told::Told;
use crate::harness::{Store, base, judge, scene};

const STEPS: &str = "FROM base
ARG VERSION=1
ENV MODE=plain
WORKDIR /app
COPY requirements.txt .
RUN cat requirements.txt > /installed
COPY . .
RUN --mount=type=bind,source=src,target=/src ls /src > /done
";

const ALL: [&str; 5] = [
    "WORKDIR /app",
    "COPY requirements.txt .",
    "RUN cat requirements.txt > /installed",
    "COPY . .",
    "RUN --mount=type=bind,source=src,target=/src ls /src > /done",
];

struct Scene {
    store: Store,
    context: PathBuf,
}

impl Scene {
    fn new() -> Option<Self> {
        let store = base::store()?;
        store.ok(&["tag", "busybox", "base"]);
        let context = course(&store, STEPS);
        let ignored = "Dockerfile\n.dockerignore\n.git\nnotes\n";
        scene::files(
            &context,
            &[
                (".dockerignore", ignored),
                ("src/run.sh", "#!/bin/sh\n"),
                ("src/old.py", "old\n"),
            ],
        );
        Some(Self { store, context })
    }

    fn build_of(&self, context: &Path, flags: &[&str]) -> Told {
        let line = ["build", "-t", "app"];
        let line = [&line[..], flags, &[context.to_str().unwrap()]].concat();
        let ran = self.store.run(&line);
        ran.assert_ok();
        Told::of(&ran.stderr)
    }

    fn build(&self, flags: &[&str]) -> Told {
        self.build_of(&self.context, flags)
    }

    fn dockerfile(&self, text: &str) {
        fs::write(self.context.join("Dockerfile"), text).unwrap();
    }
}

#[test]
fn what_a_miss_says_in_one_line() {
    let Some(scene) = Scene::new() else { return };
    let told = scene.build(&[]);
    assert_eq!(told.made(), ALL);
    for step in ALL {
        assert_eq!(
            told.why(step),
            Vec::<String>::new(),
            "there was nothing before"
        );
    }
    let check = |made: &[&str], lines: &[&str], flags: &[&str]| {
        let told = scene.build(flags);
        assert_eq!(told.made(), made, "{lines:?}: {told:?}");
        let said: Vec<&str> = made
            .iter()
            .filter_map(|step| told.why(step).first())
            .map(String::as_str)
            .collect();
        assert_eq!(said, lines, "{told:?}");
    };
    let at = |name: &str| scene.context.join(name);
    let after = "changed the result of COPY . .";
    check(&[], &[], &[]);
    fs::write(at("src/util.py"), "changed\n").unwrap();
    check(
        &ALL[3..],
        &[
            "changed src/util.py",
            "changed what is mounted at /src (and 1 more)",
        ],
        &[],
    );
    fs::write(at("new.py"), "new\n").unwrap();
    check(&ALL[3..], &["added new.py", after], &[]);
    fs::remove_file(at("new.py")).unwrap();
    // What was built before is still there.
    check(&[], &[], &[]);
    fs::remove_file(at("app.py")).unwrap();
    check(&ALL[3..], &["removed app.py", after], &[]);
    fs::set_permissions(at("requirements.txt"), Permissions::from_mode(0o755)).unwrap();
    check(
        &ALL[1..],
        &[
            "changed requirements.txt",
            "changed the result of COPY requirements.txt .",
            "changed requirements.txt",
            "changed the result of COPY requirements.txt .",
        ],
        &[],
    );
    // A folder becomes a link.
    fs::remove_file(at("src/old.py")).unwrap();
    symlink("run.sh", at("src/old.py")).unwrap();
    check(
        &ALL[3..],
        &[
            "changed src/old.py",
            "changed what is mounted at /src (and 1 more)",
        ],
        &[],
    );
    check(
        &[ALL[2], ALL[4]],
        &[
            "changed argument VERSION",
            "changed argument VERSION (and 1 more)",
        ],
        &["--build-arg", "VERSION=2"],
    );
    check(&[], &[], &[]);
    scene.dockerfile(&STEPS.replace("MODE=plain", "MODE=other"));
    check(
        &[ALL[2], ALL[4]],
        &[
            "changed variable MODE",
            "changed variable MODE (and 1 more)",
        ],
        &[],
    );
    scene.dockerfile(STEPS);
    check(&[], &[], &[]);
    let other = STEPS.replace("/done", "/finished");
    scene.dockerfile(&other);
    let last = ALL[4].replace("/done", "/finished");
    check(&[&last], &["changed the command"], &[]);
    // One more step before it.
    scene.dockerfile(&other.replace("COPY . .", "COPY . .\nCOPY src /more"));
    check(
        &["COPY src /more", &last],
        &["COPY src /more stands before it now"],
        &[],
    );
    scene.dockerfile(STEPS);
    check(&[], &[], &[]);
    check(&ALL, &[], &["--no-cache"]);
    scene.dockerfile(&STEPS.replace("FROM base", "FROM base AS stage"));
    check(&ALL, &[], &["--no-cache-filter", "stage"]);
}

#[test]
fn another_base_is_named() {
    let Some(scene) = Scene::new() else { return };
    let made = |name: &str, text: &str| {
        let folder = scene.store.path("bases");
        scene::files(&folder, &[("Base", text)]);
        let (file, folder) = (folder.join("Base"), folder.to_str().unwrap());
        let line = [
            "build",
            "-q",
            "-t",
            name,
            "-f",
            file.to_str().unwrap(),
            folder,
        ];
        scene.store.ok(&line);
    };
    scene.build(&[]);
    // Another image under its name that has the same files is no other base.
    made("base", "FROM busybox\nLABEL a=b\n");
    assert_eq!(scene.build(&[]).made(), Vec::<&str>::new());
    made("base", "FROM busybox\nRUN echo patched > /patch\n");
    let told = scene.build(&[]);
    // What is copied lies where nothing of the base is.
    assert_eq!(told.made(), [ALL[2], ALL[4]], "{told:?}");
    for step in [ALL[2], ALL[4]] {
        assert_eq!(
            told.why(step),
            ["changed base image docker.io/library/base:latest"]
        );
    }
    scene.store.ok(&["tag", "busybox", "elsewhere"]);
    made("elsewhere", "FROM busybox\nRUN echo other > /patch\n");
    scene.dockerfile(&STEPS.replace("FROM base", "FROM elsewhere"));
    let told = scene.build(&[]);
    assert_eq!(
        told.why(ALL[2]),
        [
            "changed the base image from docker.io/library/base:latest to docker.io/library/elsewhere:latest"
        ]
    );
}

#[test]
fn all_of_it_is_explained() {
    let Some(scene) = Scene::new() else { return };
    scene.build(&[]);
    for number in 0..5 {
        fs::write(scene.context.join(format!("src/{number}.py")), "new\n").unwrap();
    }
    fs::write(scene.context.join("app.py"), "changed\n").unwrap();
    scene.dockerfile(
        &STEPS
            .replace("ls /src", "ls -l /src")
            .replace("MODE=plain", "MODE=other\nENV MORE=much"),
    );
    let flags = ["--explain", "--build-arg", "VERSION=2"];
    let told = scene.build(&flags);
    let why = told.why("COPY . .");
    assert_eq!(
        why,
        [
            "changed app.py (and 1 more)",
            "changed app.py",
            "added src/0.py",
            "added src/1.py",
            "added src/2.py",
            "added src/3.py",
            "added src/4.py",
        ]
    );
    let why = told
        .why(&ALL[4].replace("ls /src", "ls -l /src"))
        .join("\n");
    for part in [
        "changed the command (and 5 more)",
        "the command was /bin/sh -c ls /src > /done",
        "the command is /bin/sh -c ls -l /src > /done",
        "argument VERSION was \"1\", is \"2\"",
        "variable MODE was \"plain\", is \"other\"",
        "variable MORE was not set, is \"much\"",
        "changed what is mounted at /src",
        "changed the result of",
    ] {
        assert!(why.contains(part), "{part:?} in {why}");
    }
}

/// What two machines, or two clones, differ in.
#[test]
fn what_means_nothing_is_no_miss() {
    let Some(scene) = Scene::new() else { return };
    let Some(git) = judge::program("git") else {
        return;
    };
    let git = |folder: &Path, line: &[&str]| {
        let user = ["-c", "user.name=a", "-c", "user.email=a@b"];
        judge::ask(Command::new(&git).current_dir(folder).args(user).args(line));
    };
    git(&scene.context, &["init", "-q"]);
    git(&scene.context, &["add", "-A"]);
    git(&scene.context, &["commit", "-q", "-m", "first"]);
    let other = scene.store.path("elsewhere/clone");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    git(
        &scene.context,
        &["clone", "-q", ".", other.to_str().unwrap()],
    );
    scene.build(&[]);
    let id = scene.store.field("app", "{{.Id}}");
    let check = |what: &str, context: &Path, flags: &[&str]| {
        let told = scene.build_of(context, flags);
        assert_eq!(told.made(), Vec::<&str>::new(), "{what}: {told:?}");
        assert_eq!(scene.store.field("app", "{{.Id}}"), id, "{what}");
    };
    let context = scene.context.as_path();
    for file in ["app.py", "src", "src/util.py", "requirements.txt", "."] {
        scene::set_mtime(&context.join(file), 1_111_111_111);
    }
    check("times", context, &[]);
    fs::write(
        context.join("src/copy"),
        fs::read(context.join("src/util.py")).unwrap(),
    )
    .unwrap();
    fs::rename(context.join("src/copy"), context.join("src/util.py")).unwrap();
    check("inodes", context, &[]);
    for file in ["app.py", "src", "src/util.py", "."] {
        chown(context.join(file), Some(1234), Some(4321)).unwrap();
    }
    check("owners", context, &[]);
    check("a clone elsewhere", &other, &[]);
    check(
        "the name of the Dockerfile",
        &other,
        &["-f", other.join("Dockerfile").to_str().unwrap()],
    );
    let text = STEPS.replace(
        "FROM base",
        "# syntax=docker/dockerfile:1\n# about\nFROM base AS named",
    );
    fs::write(
        other.join("Dockerfile"),
        text.replace("COPY . .", "COPY  .  ./"),
    )
    .unwrap();
    let told = scene.build_of(&other, &[]);
    assert_eq!(
        told.made(),
        Vec::<&str>::new(),
        "how it is written: {told:?}"
    );
    fs::write(other.join("Dockerfile"), STEPS).unwrap();
    check("another name of the result", &other, &["-t", "other"]);
    scene::files(&other, &[("notes/more", "ignored\n")]);
    check("what is ignored", &other, &[]);
    check(
        "an argument that nobody declares",
        &other,
        &["--build-arg", "UNKNOWN=1"],
    );
    check(
        "proxies",
        &other,
        &["--build-arg", "http_proxy=http://127.0.0.1:9"],
    );
}

#[test]
fn permissions_that_the_image_has_count_and_others_do_not() {
    let Some(store) = base::store() else { return };
    let text = "FROM busybox\nCOPY --chmod=0755 app.py /app\nRUN true\n";
    let context = course(&store, text);
    let build = || {
        let ran = store.run(&["build", "-t", "app", context.to_str().unwrap()]);
        ran.assert_ok();
        Told::of(&ran.stderr).made().len()
    };
    assert_eq!(build(), 2);
    for mode in [0o600, 0o664, 0o777] {
        fs::set_permissions(context.join("app.py"), Permissions::from_mode(mode)).unwrap();
        assert_eq!(build(), 0, "{mode:o}");
    }
    fs::write(
        context.join("Dockerfile"),
        text.replace(" --chmod=0755", ""),
    )
    .unwrap();
    // It has 0777 now, and 0755 was in the image before.
    assert_eq!(build(), 2);
    fs::set_permissions(context.join("app.py"), Permissions::from_mode(0o755)).unwrap();
    // Copied once more it is the layer that was there, whoever set its modes: nothing after it is new.
    assert_eq!(build(), 1);
    assert_eq!(build(), 0);
}

#[test]
fn two_projects_do_not_explain_each_other() {
    let Some(store) = base::store() else { return };
    let project = |name: &str, text: &str| {
        let folder = store.path(name);
        scene::files(&folder, &[("Dockerfile", text), (name, "content\n")]);
        let ran = store.run(&["build", folder.to_str().unwrap()]);
        ran.assert_ok();
        let told = Told::of(&ran.stderr);
        told.0
            .into_iter()
            .flat_map(|step| step.reasons)
            .collect::<Vec<_>>()
    };
    let none = Vec::<String>::new();
    assert_eq!(
        project("one", "FROM busybox\nCOPY . /a\nRUN echo 1\n"),
        none
    );
    assert_eq!(
        project("two", "FROM busybox\nCOPY . /a\nRUN echo 2\n"),
        none
    );
    assert_eq!(
        project("one", "FROM busybox\nCOPY . /a\nRUN echo 3\n").len(),
        2
    );
}
