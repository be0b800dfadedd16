//! Finding a runtime among made-up ones, and the command lines.

#![allow(
    clippy::unwrap_used,
    reason = "a test that can't write its files fails"
)]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn script(directory: &Path, name: &str, body: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn line(command: &Command) -> String {
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}

#[test]
fn a_runtime_is_asked_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let remembered = at.join("runtime.json");
    let body = format!(
        "echo asked >> {}\necho crun version 9",
        at.join("log").display()
    );
    let path = script(at, "crun-fake", &body);
    let name = path.to_str().unwrap();
    let asked = || fs::read_to_string(at.join("log")).unwrap().lines().count();
    for wanted in [1, 1] {
        let found = Runtime::find(Some(name), Some(&remembered)).unwrap();
        assert_eq!(
            (found.version(), found.kind, asked()),
            ("crun version 9", Kind::Crun, wanted)
        );
    }
    fs::write(&remembered, b"nonsense").unwrap();
    Runtime::find(Some(name), Some(&remembered)).unwrap();
    assert_eq!(asked(), 2);
    script(at, "crun-fake", &format!("{body}.1"));
    let found = Runtime::find(Some(name), Some(&remembered)).unwrap();
    assert_eq!((found.version(), asked()), ("crun version 9.1", 3));
    let left: Vec<_> = fs::read_dir(at)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_runtime_that_does_not_work_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let broken = script(directory.path(), "crun", "echo out of order >&2; exit 1");
    let nothing = directory.path().join("nothing");
    fs::write(directory.path().join("crun-text"), "not a program").unwrap();
    let text = directory.path().join("crun-text");
    for (path, wanted) in [
        (&broken, "--version failed: out of order"),
        (&nothing, "is not installed"),
        (&text, "is not installed"),
    ] {
        let error = Runtime::find(path.to_str(), None).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("find an OCI runtime: {} {wanted}", path.display())
        );
    }
}

#[test]
fn command_lines() {
    let runtime = |kind| Runtime {
        path: "/x".into(),
        kind,
        version: String::new(),
        cgroups: Cgroups::absent(),
        log: None,
    };
    let (root, id) = (Path::new("/r"), "c");
    let runc = runtime(Kind::Runc);
    let (bundle, pid, socket) = (Path::new("/b"), Path::new("/p"), Path::new("/s"));
    let file = Path::new("/f");
    for (command, wanted) in [
        (
            runc.run_detached(root, id, bundle, pid, None),
            "run --detach --bundle /b --pid-file /p c",
        ),
        (
            runc.create(root, id, bundle, pid, Some(socket)),
            "create --bundle /b --pid-file /p --console-socket /s c",
        ),
        (runc.start(root, id), "start c"),
        (runc.kill(root, id, 15), "kill c 15"),
        (runc.delete(root, id, false), "delete c"),
        (runc.delete(root, id, true), "delete --force c"),
        (
            runc.exec(root, id, file, None, None, false),
            "exec --process /f c",
        ),
        (
            runc.exec(root, id, file, Some(pid), Some(socket), true),
            "exec --process /f --detach --pid-file /p --console-socket /s c",
        ),
        (runc.pause(root, id), "pause c"),
        (runc.resume(root, id), "resume c"),
        (runc.state(root, id), "state c"),
        (runc.update(root, id, file), "update --resources /f c"),
    ] {
        assert_eq!(line(&command), format!("--root /r {wanted}"));
    }
    let crun = runtime(Kind::Crun);
    assert_eq!(
        line(&crun.state(Path::new("r"), id)),
        format!(
            "--cgroup-manager=disabled --root {} state c",
            std::env::current_dir().unwrap().join("r").display()
        )
    );
    assert_eq!(
        line(&runc.logging_to(file).start(root, id)),
        "--log /f --root /r start c"
    );
}
