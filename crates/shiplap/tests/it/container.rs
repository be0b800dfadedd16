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

/// A supervisor that is killed leaves a container that `ps -a` tells the truth about, and the next
/// command clears away.
#[test]
fn a_killed_supervisor_leaves_nothing_for_long() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let id = boxes.start("orphan", &[], "sleep 1000");
    let pid = store.field("orphan", "{{.State.Pid}}");
    let supervisor = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            (line.contains("supervise") && line.contains(&id))
                .then(|| entry.file_name().into_string().unwrap())
        });
    judge::ask(Command::new("kill").args(["-9", &supervisor.unwrap()]));
    until("it is seen", || boxes.state("orphan") == "exited");
    assert_eq!(
        store.field("orphan", "{{.State.ExitCode}} {{.State.Running}}"),
        "255 false"
    );
    store.ok(&["kill", "orphan"]);
    until("it ends", || !is_alive(&pid));
    store.ok(&["start", "orphan"]);
    assert!(!is_alive(&pid), "the old process is gone");
    assert_eq!(boxes.state("orphan"), "running");
    store.ok(&["rm", "-f", "orphan"]);
    boxes.assert_nothing_left();
    assert_eq!(processes_of(store.root()), Vec::<String>::new());
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
