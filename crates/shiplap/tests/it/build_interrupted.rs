//! Builds that end early, by signals, by death or by a full disk: what was finished stays in the cache,
//! and nothing else is left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::build::{course, tree};
use crate::crash::SmallDisk;
use crate::harness::container::{processes_of, until};
use crate::harness::double::{Double, Reply};
use crate::harness::leftovers;
use crate::harness::told::Told;
use crate::harness::{Store, base, scene};

/// Steps of all kinds, in stages that are made at the same time; `N` makes them new.
const STEPS: &str = "FROM busybox AS one
ARG N
RUN echo $N > /one && sleep 0.1
COPY src /src
RUN --mount=type=cache,target=/c echo $N >> /c/list && sleep 0.1
FROM busybox AS two
ARG N
RUN echo $N > /two && sleep 0.15
RUN head -c 3000000 /dev/urandom > /noise
FROM busybox
ARG N
COPY --from=one /one /
COPY --from=two /two /noise /
RUN --mount=type=tmpfs,target=/t --mount=type=bind,from=one,target=/m echo $N > /last && sleep 0.1
";

struct Began {
    child: Child,
    log: PathBuf,
}

impl Began {
    fn new(store: &Store, line: &[&str]) -> Self {
        let log = store.path("said");
        let child = store
            .command(line)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// How it ended, and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, fs::read_to_string(&self.log).unwrap())
    }
}

#[test]
fn whatever_ends_a_build_nothing_finished_is_lost() {
    let Some(store) = base::store() else { return };
    let context = course(&store, STEPS);
    let context = context.to_str().unwrap();
    let begin = Instant::now();
    store.ok(&["build", "--build-arg=N=0", context]);
    let whole = begin.elapsed();
    let ways: [&[Signal]; 4] = [
        &[Signal::INT],
        &[Signal::TERM],
        &[Signal::KILL],
        // Who is in a hurry says it twice.
        &[Signal::INT, Signal::INT],
    ];
    for (number, signals) in ways.iter().enumerate() {
        for moment in 1..=4 {
            let case = format!("--build-arg=N={number}.{moment}");
            let line = ["build", "-t", "app", "--progress=plain", &case, context];
            let began = Began::new(&store, &line);
            std::thread::sleep(whole * moment / 5);
            for signal in *signals {
                began.signal(*signal);
            }
            let (code, said) = began.end();
            leftovers::assert_no_processes(&store);
            let told = Told::of(&said);
            if signals.len() == 1 && signals[0] != Signal::KILL {
                assert_eq!(leftovers::staged(&store), Vec::<PathBuf>::new(), "{said}");
                // Nobody stopped one that was through.
                assert!([Some(0), Some(130)].contains(&code), "{code:?}: {said}");
                assert!(code == Some(0) || said.contains("canceled"), "{said}");
            }
            let again = store.run(&line);
            again.assert_ok();
            let cached = Told::of(&again.stderr);
            for step in told.finished() {
                assert!(
                    cached.cached().contains(&step),
                    "{signals:?} at {moment}: {step:?} is lost\n{said}\n{}",
                    again.stderr
                );
            }
            assert_eq!(leftovers::staged(&store), Vec::<PathBuf>::new());
        }
    }
    let found = tree(&store, "app");
    assert!(
        ["last", "one", "two", "noise"]
            .iter()
            .all(|path| found.contains_key(*path))
    );
    store.assert_sound();
    let builds = store.ok(&["build", "ls", "--format", "{{.Status}}"]);
    assert!(!builds.contains("Running"), "{builds}");
    assert!(builds.contains("Canceled"), "{builds}");
}

#[test]
fn a_build_that_still_fetches_its_context_ends_too() {
    let Some(store) = base::store() else { return };
    let web = Double::start();
    // It would take minutes.
    let slow = Reply::new(200, &vec![b'x'; 16 << 20]).slowly(Duration::from_millis(200));
    web.put("/slow.tar", slow);
    let url = format!("http://{}/slow.tar?token=swordfish", web.address());
    let began = Began::new(&store, &["build", "--progress=plain", &url]);
    until("it is asked for", || web.count("GET", "/slow.tar") == 1);
    let begin = Instant::now();
    began.signal(Signal::INT);
    let (code, said) = began.end();
    assert_ne!(code, Some(0), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(30), "{said}");
    let names = store.ok(&["build", "ls", "--format", "{{.Name}} {{.Status}}"]);
    assert_eq!(
        names,
        format!("http://{}/slow.tar Canceled\n", web.address())
    );
    // The next one clears away what is left.
    store
        .run_with(&["build", "-"], b"FROM busybox\n")
        .assert_ok();
    leftovers::assert_none(&store);
    let found = leftovers::holding(store.root(), b"swordfish");
    assert_eq!(found, Vec::<PathBuf>::new());
}

#[test]
fn who_waits_for_a_step_takes_over_when_its_maker_dies() {
    let Some(store) = base::store() else { return };
    let text = "FROM busybox\nRUN echo first > /first\nRUN --mount=type=cache,target=/c,sharing=locked \
        if test -e /c/was; then echo after > /second; else touch /c/was; sleep 1000; fi\n";
    let context = course(&store, text);
    let line = [
        "build",
        "--progress=plain",
        "-t",
        "app",
        context.to_str().unwrap(),
    ];
    let first = Began::new(&store, &line);
    let was = || {
        let found = leftovers::files(&store.root().join("caches"));
        found.iter().any(|path| path.ends_with("was"))
    };
    until("the step of the first runs", was);
    let (log, mut second) = {
        let log = store.path("second");
        let mut command = store.command(&line);
        command.stderr(File::create(&log).unwrap());
        (log, command.spawn().unwrap())
    };
    // It has come as far as it comes.
    until("the second waits", || {
        fs::read_to_string(&log).unwrap().contains("RUN echo first")
    });
    first.signal(Signal::KILL);
    let (code, _) = first.end();
    assert_eq!(code, None);
    assert!(
        second.wait().unwrap().success(),
        "{}",
        fs::read_to_string(&log).unwrap()
    );
    assert_eq!(store.ok(&["image", "cat", "app", "/second"]), "after\n");
    let builds = store.ok(&["build", "ls", "--format", "{{.Status}}"]);
    assert_eq!(builds, "Completed\nCanceled\n");
    // What the dead one had in flight the next one clears away.
    store.ok(&line);
    leftovers::assert_none(&store);
    store.assert_sound();
}

#[test]
fn a_build_that_fills_the_disk_says_so() {
    let Some(disk) = SmallDisk::new(24) else {
        return;
    };
    let store = Store::in_directory(&disk.path().join("store"));
    let Some(archive) = base::write_archive(&store.path("base.tar")) else {
        return;
    };
    store.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    let context = store.path("app");
    let big = "x".repeat(30 << 20);
    scene::files(&context, &[("big", &big), ("small", "small\n")]);
    let check = |text: &str, what: &[&str]| {
        fs::write(context.join("Dockerfile"), text).unwrap();
        let ran = store.run(&["build", "-t", "app", context.to_str().unwrap()]);
        ran.assert_refused();
        ran.assert_says(what);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        leftovers::assert_none(&store);
        store.assert_sound();
        store.refused(&["inspect", "app"]);
    };
    check(
        "FROM busybox\nRUN echo first > /first\nCOPY big /\n",
        &["space", "Dockerfile:3"],
    );
    // What a program says of it is its own.
    check(
        "FROM busybox\nRUN echo first > /first\nRUN head -c 30000000 /dev/zero > /big\n",
        &["exit code: 1", "Dockerfile:3"],
    );
    check(
        "FROM busybox\nRUN --mount=type=cache,target=/c head -c 30000000 /dev/zero > /c/big\n",
        &["exit code: 1", "Dockerfile:2"],
    );
    // What the cache mount holds can be told, and given back.
    store.ok(&[
        "build",
        "prune",
        "--force",
        "--filter",
        "type=exec.cachemount",
    ]);
    let text = "FROM busybox\nRUN echo first > /first\nCOPY small /\n";
    fs::write(context.join("Dockerfile"), text).unwrap();
    let ran = store.run(&["build", "-t", "app", context.to_str().unwrap()]);
    ran.assert_ok();
    assert_eq!(Told::of(&ran.stderr).made(), ["COPY small /"]);
    store.ok(&[
        "rmi",
        "-f",
        "app",
        "busybox",
        "alpine",
        "mirror.gcr.io/busybox",
        "mirror.gcr.io/alpine",
        "quay.io/libpod/centos:7",
    ]);
    store.ok(&["build", "prune", "--all", "--force"]);
    store.assert_prunes_to_nothing();
}

#[test]
fn several_builds_of_one_context_at_once() {
    let Some(store) = base::store() else { return };
    let context = course(&store, STEPS);
    let context: &Path = &context;
    let mut builds: Vec<Child> = (0..4)
        .map(|number| {
            let tag = format!("app:{number}");
            // Two of them are the same build, two are others.
            let case = format!("--build-arg=N={}", number / 2);
            store.start(&["build", "-t", &tag, &case, context.to_str().unwrap()])
        })
        .collect();
    for build in &mut builds {
        assert!(build.wait().unwrap().success());
    }
    let id = |number: u32| store.field(&format!("app:{number}"), "{{.Id}}");
    assert_eq!(id(0), id(1), "who waited has what the other made");
    assert_eq!(id(2), id(3));
    assert_ne!(id(0), id(2));
    assert!(processes_of(store.root()).is_empty());
    leftovers::assert_none(&store);
    store.assert_sound();
}
