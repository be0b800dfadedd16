//! Containers that outlive the command that made them: their states, logs, ends and remains.

use std::process::Command;

use crate::harness::container::{Containers, IMAGE, is_alive, processes_of, until};
use crate::harness::judge;

#[test]
fn from_create_to_rm() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let id = store.ok(&[
        "create",
        "--name",
        "one",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "echo said; exit 4",
    ]);
    let id = id.trim_end();
    assert_eq!(boxes.state("one"), "created");
    assert_eq!(store.ok(&["start", "one"]), "one\n");
    assert_eq!(store.ok(&["wait", "one"]), "4\n");
    assert_eq!(boxes.state("one"), "exited");
    assert_eq!(store.ok(&["logs", "one"]), "said\n");
    let ran = store.run(&["start", "-a", &id[..12]]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), "said\n"));
    assert_eq!(store.ok(&["logs", "one"]), "said\nsaid\n");
    store.refused(&["create", "--name", "one", IMAGE]);
    store.ok(&["rename", "one", "two"]);
    store.refused(&["start", "one"]);
    assert_eq!(
        store.field("two", "{{.State.ExitCode}} {{.Name}} {{.Config.Image}}"),
        "4 /two box"
    );
    assert_eq!(store.ok(&["ps", "-q"]), "");
    assert_eq!(store.ok(&["ps", "-aq", "--no-trunc"]).trim_end(), id);
    let refused = store.refused(&["rmi", IMAGE]);
    assert!(refused.contains("two"), "{refused}");
    assert_eq!(store.ok(&["rm", "two"]), "two\n");
    store.refused(&["rm", "two"]);
    store.ok(&["rm", "-f", "two"]);
    boxes.assert_nothing_left();
    store.ok(&["rmi", IMAGE]);
    store.assert_prunes_to_nothing();
}

#[test]
fn stop_kill_and_signals() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let trap = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let ready = |name: &str| until("ready", || store.ok(&["logs", name]).contains("ready"));
    boxes.start("polite", &[], trap);
    ready("polite");
    store.ok(&["stop", "polite"]);
    assert_eq!(
        store.field("polite", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 3"
    );
    assert!(store.ok(&["logs", "polite"]).ends_with("asked\n"));
    boxes.start(
        "deaf",
        &[],
        "trap '' TERM; echo ready; while :; do sleep 0.1; done",
    );
    ready("deaf");
    store.ok(&["stop", "-t", "1", "deaf"]);
    assert_eq!(store.field("deaf", "{{.State.ExitCode}}"), "137");
    boxes.start(
        "hooked",
        &["--stop-signal", "USR1"],
        "trap 'exit 9' USR1; echo ready; while :; do sleep 0.1; done",
    );
    ready("hooked");
    store.ok(&["stop", "hooked"]);
    assert_eq!(store.field("hooked", "{{.State.ExitCode}}"), "9");
    boxes.start("killed", &[], "sleep 1000");
    store.ok(&["kill", "killed"]);
    assert_eq!(store.ok(&["wait", "killed"]), "137\n");
    store.refused(&["kill", "killed"]);
    store.refused(&["kill", "-s", "NOSUCH", "killed"]);
    boxes.start("again", &[], trap);
    ready("again");
    store.ok(&["restart", "again"]);
    assert_eq!(boxes.state("again"), "running");
    store.refused(&["rm", "again"]);
    store.ok(&["rm", "-f", "again"]);
    let pruned = store.ok(&["container", "prune", "-f"]);
    assert!(pruned.starts_with("Deleted Containers:\n"), "{pruned}");
    boxes.assert_nothing_left();
}

#[test]
fn exec_logs_top_pause() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    boxes.start(
        "work",
        &["-e", "A=1", "-w", "/tmp"],
        "echo one; echo two >&2; sleep 1000",
    );
    assert_eq!(
        store.ok(&[
            "exec",
            "work",
            "sh",
            "-c",
            "pwd; echo $A; echo made > /made"
        ]),
        "/tmp\n1\n"
    );
    let ran = store.run(&[
        "exec",
        "-u",
        "alice",
        "-e",
        "B=2",
        "work",
        "sh",
        "-c",
        "id -u; echo $B; exit 5",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), "1000\n2\n"));
    assert_eq!(
        store
            .run_with(&["exec", "-i", "work", "cat"], b"input")
            .stdout,
        "input"
    );
    assert_eq!(store.run(&["exec", "work", "no-such"]).code, Some(127));
    store.ok(&["exec", "-d", "work", "touch", "/later"]);
    until("it ran", || {
        store.run(&["exec", "work", "ls", "/later"]).code == Some(0)
    });
    let ran = store.run(&["logs", "work"]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("one\n", "two\n")
    );
    let stamped = store.ok(&["logs", "-t", "--tail", "2", "work"]);
    assert!(
        stamped.contains('T') && stamped.trim_end().ends_with(" one"),
        "{stamped}"
    );
    let top = store.ok(&["top", "work"]);
    assert!(
        top.lines().count() >= 2 && top.contains("sleep 1000"),
        "{top}"
    );
    let titles = "UID PID PPID C STIME TTY TIME CMD";
    let found: Vec<&str> = top.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(found.join(" "), titles);
    let top = store.ok(&["top", "work", "-o", "pid,args"]);
    assert!(top.starts_with("PID"), "{top}");
    assert!(top.contains("sleep 1000"), "{top}");
    assert!(!top.contains("UID"), "{top}");
    let refused = store.refused(&["top", "work", "-o", "args"]);
    assert!(refused.contains("PID field"), "{refused}");
    store.refused(&["top", "work", "--no-such"]);
    let file = store.path("variables");
    std::fs::write(&file, "B=file\nC=file\n# no\n").unwrap();
    let said = store.ok(&[
        "exec",
        "--env-file",
        file.to_str().unwrap(),
        "-e",
        "C=flag",
        "work",
        "sh",
        "-c",
        "echo $A $B $C",
    ]);
    assert_eq!(said, "1 file flag\n");
    let diff = store.ok(&["diff", "work"]);
    assert_eq!(diff, "A /later\nA /made\n");
    store.ok(&["pause", "work"]);
    assert_eq!(boxes.state("work"), "paused");
    store.refused(&["exec", "work", "true"]);
    store.ok(&["unpause", "work"]);
    assert_eq!(boxes.state("work"), "running");
    store.ok(&["rm", "-f", "work"]);
    boxes.assert_nothing_left();
}

#[test]
fn logs_follow_to_the_end() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    boxes.start("teller", &[], "for i in 1 2 3; do echo $i; sleep 0.3; done");
    assert_eq!(store.ok(&["logs", "-f", "teller"]), "1\n2\n3\n");
    assert_eq!(store.ok(&["logs", "-n", "1", "teller"]), "3\n");
}

/// A log has bounds: the oldest lines go, and who follows misses nothing.
#[test]
fn logs_have_bounds() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let bounds = ["--log-opt", "max-size=20k", "--log-opt", "max-file=3"];
    let words = "read go < /go; seq 1 2000; echo end";
    boxes.start("talker", &bounds, &format!("mkfifo /go; {words}"));
    let follower = std::thread::scope(|scope| {
        let follower = scope.spawn(|| store.ok(&["logs", "-f", "talker"]));
        until("it waits", || {
            store.run(&["exec", "talker", "ls", "/go"]).code == Some(0)
        });
        store.ok(&["exec", "talker", "sh", "-c", "echo > /go"]);
        follower.join().unwrap()
    });
    let end = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    assert_eq!(end(&follower), "end");
    let kept = store.ok(&["logs", "talker"]);
    assert_eq!(end(&kept), "end");
    assert!(!kept.starts_with("1\n"), "the oldest lines are gone");
    let count = kept.lines().count();
    assert!((100..1500).contains(&count), "{count} lines are kept");
    assert_eq!(
        store.field("talker", "{{json .HostConfig.LogConfig}}"),
        r#"{"Config":{"max-file":"3","max-size":"20kB"},"Type":"json-file"}"#
    );
    let path = store.field("talker", "{{.LogPath}}");
    let folder = std::path::Path::new(&path).parent().unwrap();
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let names = files.map(|entry| entry.file_name().into_string().unwrap());
    let mut logs: Vec<String> = names.filter(|name| name.starts_with("log.json")).collect();
    logs.sort();
    assert_eq!(logs, ["log.json", "log.json.1", "log.json.2"]);

    boxes.start("mute", &["--log-driver", "none"], "echo unheard");
    store.ok(&["wait", "mute"]);
    let refused = store.refused(&["logs", "mute"]);
    assert!(refused.contains("does not support reading"), "{refused}");
}

/// The course: change something, commit, run the result.
#[test]
fn a_commit_is_what_the_container_was() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let words = "echo mine > /new; rm /data/seed; mkdir -p /deep/er; ln -s new /link; chown 5:6 /new; chmod 4755 /new";
    store.ok(&[
        "run",
        "--name",
        "source",
        "--network",
        "none",
        "-e",
        "KEPT=yes",
        IMAGE,
        "sh",
        "-c",
        words,
    ]);
    assert_eq!(
        store.ok(&["diff", "source"]),
        "C /data\nD /data/seed\nA /deep\nA /deep/er\nA /link\nA /new\n"
    );
    let id = store.ok(&[
        "commit",
        "-a",
        "me",
        "-m",
        "my change",
        "-c",
        "CMD cat /new",
        "-c",
        "ENV MORE=1",
        "source",
        "mine:1",
    ]);
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(
        store.ok(&["run", "--rm", "--network", "none", "mine:1"]),
        "mine\n"
    );
    let seen = store.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        "mine:1",
        "sh",
        "-c",
        "ls /data; readlink /link; stat -c '%a %u %g' /new; echo $KEPT $MORE; ls -d /deep/er",
    ]);
    assert_eq!(seen, "new\n4755 5 6\nyes 1\n/deep/er\n");
    assert_eq!(
        store.field("mine:1", "{{.Author}} {{.Comment}} {{len .RootFS.Layers}}"),
        "me my change 2"
    );
    let history = store.ok(&[
        "history",
        "--no-trunc",
        "--format",
        "{{.CreatedBy}}|{{.Comment}}",
        "mine:1",
    ]);
    assert!(history.starts_with("sh -c echo mine"), "{history}");
    assert!(
        history.lines().next().unwrap().ends_with("|my change"),
        "{history}"
    );
    store.ok(&["commit", "--squash", "source", "flat:1"]);
    assert_eq!(store.field("flat:1", "{{len .RootFS.Layers}}"), "1");
    assert_eq!(
        store.ok(&["run", "--rm", "--network", "none", "flat:1", "cat", "/new"]),
        "mine\n"
    );

    // A running one, with a volume.
    boxes.start(
        "live",
        &["-v", "vol:/vol"],
        "echo in > /vol/file; echo out > /out; echo ready; sleep 1000",
    );
    until("ready", || store.ok(&["logs", "live"]).contains("ready"));
    let ran = store.run(&["commit", "live", "without:1"]);
    ran.assert_ok();
    ran.assert_says(&["/vol", "--with-volumes"]);
    assert_eq!(boxes.state("live"), "running");
    assert_eq!(
        store.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "without:1",
            "sh",
            "-c",
            "cat /out; ls -d /vol 2>/dev/null; true"
        ]),
        "out\n"
    );
    store.ok(&["commit", "--with-volumes", "live", "with:1"]);
    assert_eq!(
        store.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "with:1",
            "cat",
            "/vol/file"
        ]),
        "in\n"
    );
    store.refused(&["commit", "-c", "FROM x", "live", "bad:1"]);
    store.assert_sound();
}

/// The process ID of a container's supervisor.
fn supervisor(id: &str) -> Option<String> {
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.find_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let is_it = line.contains("supervise") && line.contains(id);
        is_it.then(|| entry.file_name().into_string().unwrap())
    })
}

fn kill_supervisor(id: &str) {
    judge::ask(Command::new("kill").args(["-9", &supervisor(id).unwrap()]));
}

/// A process that outlives its supervisor is told of as long as it lives, and obeys still.
#[test]
fn a_killed_supervisor_leaves_nothing_for_long() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let id = boxes.start("orphan", &[], "sleep 1000");
    let pid = store.field("orphan", "{{.State.Pid}}");
    let mut waiting = store.start(&["wait", "orphan"]);
    kill_supervisor(&id);
    let is_told = || {
        store
            .field("orphan", "{{.State.Error}}")
            .contains("supervisor")
    };
    until("it is seen", is_told);
    assert_eq!(boxes.state("orphan"), "running");
    assert!(is_alive(&pid));
    assert_eq!(store.ok(&["exec", "orphan", "echo", "here"]), "here\n");
    for verb in ["start", "attach"] {
        let refused = store.refused(&[verb, "orphan"]);
        assert!(refused.contains("its supervisor is gone"), "{refused}");
    }
    store.refused(&["rm", "orphan"]);
    assert!(waiting.try_wait().unwrap().is_none(), "it has not ended");
    store.ok(&["kill", "orphan"]);
    until("it ends", || !is_alive(&pid));
    assert!(waiting.wait().unwrap().success());
    assert_eq!(
        store.field("orphan", "{{.State.ExitCode}} {{.State.Running}}"),
        "255 false"
    );
    store.ok(&["start", "orphan"]);
    assert_eq!(boxes.state("orphan"), "running");

    // Twice more: stop, which asks first, and restart, which gives it a new one.
    kill_supervisor(&id);
    let pid = store.field("orphan", "{{.State.Pid}}");
    store.ok(&["restart", "-t", "1", "orphan"]);
    assert!(!is_alive(&pid), "the old process is gone");
    assert_eq!(store.field("orphan", "{{.State.Error}}"), "");
    kill_supervisor(&id);
    store.ok(&["rm", "-f", "orphan"]);
    boxes.assert_nothing_left();
    assert_eq!(processes_of(store.root()), Vec::<String>::new());
}

/// Nobody is left to remove a container of `--rm` that lost its supervisor but the next list.
#[test]
fn what_was_to_be_removed_is_removed_later() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let id = boxes.start("passing", &["--rm", "-v", "/anonymous"], "sleep 1000");
    let pid = store.field("passing", "{{.State.Pid}}");
    kill_supervisor(&id);
    assert_eq!(boxes.state("passing"), "running");
    store.ok(&["stop", "-t", "0", "passing"]);
    until("it ends", || !is_alive(&pid));
    assert_eq!(store.ok(&["ps", "-aq"]), "");
    assert_eq!(store.ok(&["volume", "ls", "-q"]), "");
    boxes.assert_nothing_left();
}

/// `run` that is killed at any moment leaves a store that goes on.
#[test]
fn run_survives_kill_nine() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    for step in 0..12 {
        let mut child = store.start(&["run", "--rm", "--network", "none", IMAGE, "sleep", "0.2"]);
        std::thread::sleep(std::time::Duration::from_millis(step * 8));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // Some supervisors may not even have begun.
    let made = store.ok(&["ps", "-aq", "--no-trunc"]);
    until("no supervisor is left", || {
        made.lines().all(|id| supervisor(id).is_none())
    });
    until("all ended", || store.ok(&["ps", "-q"]).is_empty());
    until("all gone", || processes_of(store.root()).is_empty());
    let left = store.ok(&["ps", "-aq"]);
    let left: Vec<&str> = left.lines().collect();
    if !left.is_empty() {
        store.ok(&[&["rm"], &left[..]].concat());
    }
    assert_eq!(
        store.ok(&["run", "--rm", "--network", "none", IMAGE, "echo", "fine"]),
        "fine\n"
    );
    store.assert_sound();
}
