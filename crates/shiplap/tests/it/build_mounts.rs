//! Caches that steps mount: who may use one at the same time, what a new one is like, and how they are
//! listed and pruned.

use std::fs;
use std::path::Path;
use std::process::Child;

use super::build::{course, tree};
use crate::harness::{Store, base, leftovers};

/// A store and a context whose Dockerfile is one `RUN`.
struct Scene {
    store: Store,
    context: std::path::PathBuf,
}

impl Scene {
    fn new() -> Option<Self> {
        let store = base::store()?;
        let context = course(&store, "");
        Some(Self { store, context })
    }

    /// Writes a Dockerfile with these steps; its path.
    fn file(&self, name: &str, steps: &str) -> String {
        let path = self.context.join(name);
        fs::write(&path, format!("FROM busybox\nARG N\n{steps}\n")).unwrap();
        path.display().to_string()
    }

    fn start(&self, name: &str, steps: &str) -> Child {
        let file = self.file(name, steps);
        let line = ["build", "--network", "none", "-t", name, "-f", &file];
        let context = self.context.to_str().unwrap();
        self.store.start(&[&line[..], &[context]].concat())
    }

    #[track_caller]
    fn build(&self, name: &str, steps: &str) -> String {
        let file = self.file(name, steps);
        let line = ["build", "--network", "none", "-t", name, "-f", &file];
        let context = self.context.to_str().unwrap();
        self.store.ok(&[&line[..], &[context]].concat());
        self.store.run(&["image", "cat", name, "/got"]).stdout
    }
}

#[test]
fn who_may_use_a_cache_at_the_same_time() {
    let Some(scene) = Scene::new() else { return };
    let both = |sharing: &str, one: &str, other: &str| {
        let step = |words: &str| {
            format!("RUN --mount=type=cache,target=/c,id={sharing},sharing={sharing} {words}")
        };
        let builds = [
            scene.start("one", &step(one)),
            scene.start("other", &step(other)),
        ];
        for mut build in builds {
            assert!(build.wait().unwrap().success(), "{sharing}");
        }
        let read = |name: &str| scene.store.ok(&["image", "cat", name, "/got"]);
        (read("one"), read("other"))
    };
    // Each waits for what the other one writes, which would never come from one that waits.
    let meet = |mine: &str, theirs: &str| {
        format!("touch /c/{mine}; until test -e /c/{theirs}; do sleep 0.02; done; echo met > /got")
    };
    let (one, other) = both("shared", &meet("a", "b"), &meet("b", "a"));
    assert_eq!((one.as_str(), other.as_str()), ("met\n", "met\n"));
    // Nobody comes between the two lines of one.
    let lines = |name: &str| {
        format!("echo {name} >> /c/log; sleep 0.3; echo {name} >> /c/log; cp /c/log /got")
    };
    let (one, other) = both("locked", &lines("a"), &lines("b"));
    let last = if one.len() > other.len() { one } else { other };
    assert!(
        ["a\na\nb\nb\n", "b\nb\na\na\n"].contains(&last.as_str()),
        "{last}"
    );
    // Who comes second has one of his own, and does not wait: they meet in what both have.
    let alone = |mine: &str, theirs: &str| {
        format!(
            "ls /c | wc -l > /got; touch /c/{mine}; touch /m/{mine}; \
             until test -e /m/{theirs}; do sleep 0.02; done"
        )
    };
    let meeting = "--mount=type=cache,target=/m,id=meeting";
    let (one, other) = both(
        "private",
        &format!(
            "true\nRUN {meeting} --mount=type=cache,target=/c,id=own,sharing=private {}",
            alone("a", "b")
        ),
        &format!(
            "true\nRUN {meeting} --mount=type=cache,target=/c,id=own,sharing=private {}",
            alone("b", "a")
        ),
    );
    assert_eq!((one.as_str(), other.as_str()), ("0\n", "0\n"));
    // Afterwards there is one again, with what one of them left.
    let step = "RUN --mount=type=cache,target=/c,id=own,sharing=private ls /c > /got";
    let left = scene.build("after", step);
    assert!(["a\n", "b\n"].contains(&left.as_str()), "{left:?}");
    leftovers::assert_none(&scene.store);
}

#[test]
fn what_a_new_cache_is_like() {
    let Some(scene) = Scene::new() else { return };
    let check = |options: &str, words: &str, expected: &str| {
        let step = format!(
            "RUN echo seed > /home/file\nRUN --mount=type=cache,target=/c,{options} {words}"
        );
        assert_eq!(scene.build("app", &step), expected, "{options}: {words}");
    };
    let stat = "stat -c '%u %g %a' /c > /got";
    check("id=plain", stat, "0 0 755\n");
    check("id=owned,uid=7,gid=8,mode=0750", stat, "7 8 750\n");
    check("id=sticky,mode=1777", stat, "0 0 1777\n");
    // One that nobody else has written to can be written to by its owner.
    check(
        "id=user,uid=65534",
        "su -s /bin/sh nobody -c 'touch /c/x' && ls /c > /got",
        "x\n",
    );
    check("id=kept", "echo kept > /c/x; cat /c/x > /got", "kept\n");
    check("id=kept", "cat /c/x > /got # again", "kept\n");
    check(
        "id=kept,ro",
        "(touch /c/y || echo refused) > /got 2>/dev/null",
        "refused\n",
    );
    // It hides what is at its place, which is there again afterwards, and it is in no layer.
    check("id=over,target=/home", "ls /home | wc -l > /got", "0\n");
    let under = scene.store.ok(&["image", "cat", "app", "/home/file"]);
    assert_eq!(under, "seed\n");
    let found = tree(&scene.store, "app");
    assert!(!found.contains_key("c"), "its place is not in the layer");

    // It begins with files of a stage, once.
    let from = |words: &str| {
        let file = format!(
            "FROM busybox AS seed\nRUN mkdir -p /seed/in && echo seed > /seed/in/file && chown 5:6 /seed/in/file\n\
             FROM busybox\nRUN --mount=type=cache,target=/c,id=seeded,from=seed,source=/seed {words}\n"
        );
        fs::write(scene.context.join("Dockerfile"), file).unwrap();
        scene
            .store
            .ok(&["build", "-t", "app", scene.context.to_str().unwrap()]);
        scene.store.ok(&["image", "cat", "app", "/got"])
    };
    assert_eq!(
        from("stat -c %u /c/in/file > /got; cat /c/in/file >> /got; echo more > /c/in/more"),
        "5\nseed\n"
    );
    assert_eq!(from("ls /c/in > /got"), "file\nmore\n");
    // The ID is the target where none is given, and variables are no part of the key's secret.
    assert_eq!(
        scene.build(
            "app",
            "RUN --mount=type=cache,target=/by/target echo 1 > /by/target/x; touch /got"
        ),
        ""
    );
    let step = "RUN --mount=type=cache,target=/other,id=/by/target cat /other/x > /got";
    assert_eq!(scene.build("app", step), "1\n");
    scene.store.assert_sound();
}

/// `buildx du` as lines of what it is about and how large it is.
fn listed(store: &Store, filters: &[&str]) -> Vec<String> {
    let line = ["buildx", "du", "--format", "{{.Description}}"];
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    let line: Vec<&str> = line.into_iter().chain(filters).collect();
    let mut lines: Vec<String> = store.ok(&line).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn caches_are_listed_and_pruned() {
    let Some(scene) = Scene::new() else { return };
    let store = &scene.store;
    let fill = |name: &str, megabytes: u32| {
        let words = format!(
            "RUN --mount=type=cache,target=/c,id={name} head -c {megabytes}000000 /dev/urandom > /c/big; touch /got"
        );
        scene.build("app", &words);
    };
    fill("old", 3);
    fill("young", 2);
    let mounts = "type=exec.cachemount";
    assert_eq!(listed(store, &[mounts]), ["old", "young"]);
    assert_eq!(listed(store, &[mounts, "description=you"]), ["young"]);
    assert_eq!(listed(store, &["type=regular"]).len(), 2);
    assert_eq!(listed(store, &["until=1h"]), Vec::<String>::new());
    let all = listed(store, &[]);
    let table = store.ok(&["buildx", "du"]);
    for part in [
        "RECLAIMABLE",
        "SIZE",
        "3.0",
        "2.0",
        "Reclaimable:",
        "Total:",
    ] {
        assert!(table.contains(part), "{part:?} in {table}");
    }
    // Said and not done.
    let prune = |flags: &[&str]| store.ok(&[&["build", "prune"][..], flags].concat());
    let said = prune(&["--dry-run", "--all"]);
    assert!(
        said.contains("Would delete") && said.contains("Total reclaimable space: 5"),
        "{said}"
    );
    assert_eq!(listed(store, &[]), all);
    // What was unused longest goes first, and no more than must.
    let said = prune(&["--force", "--filter", mounts, "--keep-storage", "2500000"]);
    assert!(said.contains("Total reclaimed space: 3"), "{said}");
    assert_eq!(listed(store, &[mounts]), ["young"]);
    let said = prune(&["--force", "--filter", mounts, "--keep-storage", "1g"]);
    assert!(said.ends_with("Total reclaimed space: 0B\n"), "{said}");
    let said = prune(&["--force", "--filter", "until=1h"]);
    assert!(said.ends_with("Total reclaimed space: 0B\n"), "{said}");
    assert_eq!(listed(store, &[mounts]), ["young"]);
    // Nobody takes away what a step has mounted.
    let mut running = scene.start(
        "running",
        "RUN --mount=type=cache,target=/c,id=young touch /c/begun; until test -e /c/go; do sleep 0.02; done",
    );
    let caches = store.root().join("caches");
    let begun = || {
        let entries = fs::read_dir(&caches).unwrap().flatten();
        entries
            .map(|entry| entry.path().join("data"))
            .find(|data| data.join("begun").exists())
    };
    crate::harness::container::until("the step runs", || begun().is_some());
    let place = begun().unwrap();
    let said = store.ok(&[
        "buildx",
        "du",
        "--filter",
        "inuse=true",
        "--format",
        "{{.Description}} {{.Reclaimable}}",
    ]);
    assert!(said.contains("young false"), "{said}");
    prune(&["--force", "--all"]);
    assert!(Path::new(&place).join("big").exists());
    fs::write(place.join("go"), "").unwrap();
    assert!(running.wait().unwrap().success());
    store.ok(&["rmi", "-f", "app", "running"]);
    prune(&["--force", "--all"]);
    assert_eq!(listed(store, &[]), Vec::<String>::new());
    assert_eq!(fs::read_dir(&caches).unwrap().count(), 0);
    for (filter, word) in [
        ("type=nothing", "exec.cachemount"),
        ("colour=red", "colour"),
        ("until=soon", "soon"),
    ] {
        let ran = store.run(&["build", "prune", "--force", "--filter", filter]);
        ran.assert_refused();
        ran.assert_says(&[word]);
    }
    store.assert_sound();
}

#[test]
fn a_quota_holds_after_each_build() {
    let Some(scene) = Scene::new() else { return };
    let Scene { store, context } = scene;
    let scene = Scene {
        store: store.with("SHIPLAP_BUILD_KEEP_STORAGE", "4m"),
        context,
    };
    for name in ["first", "second", "third"] {
        let step = format!(
            "RUN --mount=type=cache,target=/c,id={name} head -c 1500000 /dev/urandom > /c/big; touch /got"
        );
        scene.build("app", &step);
    }
    let kept = listed(&scene.store, &["type=exec.cachemount"]);
    assert_eq!(kept, ["second", "third"], "what was unused longest went");
}
