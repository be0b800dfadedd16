//! Steps that don't begin, or that somebody ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use shiplap_ops::step::{Cancel, StepError};

use crate::world::{BASE, World, await_that, context, processes, step};

pub(crate) fn programs_that_cannot_run() {
    World::each(|world| {
        let mut layers = world.base.clone();
        // What an ELF file of another machine begins with.
        layers.extend(world.layer(
            "echo text > plain; echo text > noexec; mkdir -p bin; \
             printf '\\177ELF\\2\\1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\2\\0\\267\\0\\1\\0\\0\\0' > bin/arm; \
             head -c 500 /dev/zero >> bin/arm; chmod 755 bin/arm plain",
        ));
        let check = |args: &[&str], code: u8, says: &[&str]| {
            let mut step = step(&layers, "");
            step.args = args.iter().map(|word| (*word).to_owned()).collect();
            match world.run(&step) {
                Err(error) => {
                    let words = error.to_string();
                    assert_eq!(error.exit_code(), code, "{words}");
                    for part in says {
                        assert!(words.contains(part), "{part:?} in {words:?}");
                    }
                }
                Ok((finished, out, errors)) => {
                    // Some runtimes find out too late to say it.
                    assert_eq!(code, 126, "{args:?} {} {out}{errors}", finished.exit_code);
                    assert_ne!(finished.exit_code, 0);
                    assert!(!args[0].contains("arm"), "{errors}");
                }
            }
        };
        check(&["missing"], 127, &["run missing: ", "missing"]);
        check(&["/missing/x"], 127, &["run /missing/x: "]);
        check(&["/noexec"], 126, &["run /noexec: ", "denied"]);
        check(&["/plain"], 126, &["exec format error"]);
        check(&["/data"], 126, &["run /data: "]);
        let is_emulated = fs::read_dir("/proc/sys/fs/binfmt_misc")
            .is_ok_and(|entries| entries.flatten().any(|e| e.file_name() == "qemu-aarch64"));
        if !is_emulated {
            let foreign = [
                "exec format error",
                "linux/arm64",
                "linux/amd64",
                "qemu-user-static",
            ];
            check(&["/bin/arm"], 126, &foreign);
            check(&["arm"], 126, &foreign);
        }
        let mut nobody = step(&layers, "true");
        nobody.user = "nobody-here".to_owned();
        let error = world.run(&nobody).unwrap_err();
        assert_eq!(
            error.to_string(),
            "run /bin/sh: find user nobody-here: no matching entries in passwd file"
        );
    });
    let world = World::new("/no/such/runtime", None);
    let error = world.run(&world.step("true")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "run /bin/sh: find an OCI runtime: /no/such/runtime is not installed; \
         install the package crun or runc, or name one in the settings"
    );
    assert_eq!(error.exit_code(), 125);
}

fn is_running(words: &str) -> bool {
    processes().values().any(|line| line.trim() == words)
}

pub(crate) fn cancelled() {
    World::each(|world| {
        let already = Cancel::new().unwrap();
        already.cancel();
        assert!(already.is_cancelled());
        let error = world.run_until(&world.step("sleep 70001"), &already);
        assert!(matches!(error, Err(StepError::Cancelled)));
        let cancel = Cancel::new().unwrap();
        let step = world.step("sleep 70002");
        thread::scope(|scope| {
            let run = scope.spawn(|| world.run_until(&step, &cancel).map(drop));
            await_that(|| is_running("sleep 70002"));
            cancel.cancel();
            assert!(matches!(run.join().unwrap(), Err(StepError::Cancelled)));
        });
        assert!(!is_running("sleep 70002"));
        assert_no_group();
    });
}

/// No control group of a step is left.
#[track_caller]
fn assert_no_group() {
    let mut left = Vec::new();
    for hierarchy in fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
    {
        let groups = fs::read_dir(hierarchy.path().join("shiplap"));
        left.extend(groups.into_iter().flatten().flatten().filter_map(|entry| {
            let is_step = entry.file_name().to_string_lossy().starts_with("step-");
            is_step.then(|| entry.path())
        }));
    }
    // Other builds of this machine may have theirs: only empty ones are nobody's.
    left.retain(|group| {
        fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|list| list.is_empty())
    });
    assert_eq!(left, [""; 0].map(std::path::PathBuf::from));
}

/// A builder whose step goes on until somebody ends it.
pub(crate) fn build(root: &str, runtime: &str, words: &str) -> ExitCode {
    let world = World::at(root.as_ref(), runtime, BASE);
    let (finished, _, _) = world.run(&world.step(words)).unwrap();
    ExitCode::from(u8::try_from(finished.exit_code).unwrap_or(255))
}

fn start_builder(root: &Path, runtime: &str, words: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["builder", root.to_str().unwrap(), runtime, words])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn the_builder_is_killed() {
    for (runtime, words) in [("runc", "sleep 70003"), ("crun", "sleep 70004")] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("store");
        let mut builder = start_builder(&root, runtime, words);
        await_that(|| is_running(words));
        builder.kill().unwrap();
        builder.wait().unwrap();
        await_that(|| !is_running(words));
        let is_ours = |line: &String| line.contains(root.to_str().unwrap());
        await_that(|| !processes().values().any(is_ours));
        assert_no_group();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(root.to_str().unwrap()), "{mounts}");
        // The next one clears the rest.
        let context = context(&root, runtime, None);
        drop(context.store().unwrap().lease().unwrap());
        let left = fs::read_dir(root.join("staging")).unwrap().count();
        assert_eq!(left, 0);
    }
}

pub(crate) fn the_helper_is_killed() {
    for (runtime, words) in [("runc", "sleep 70005"), ("crun", "sleep 70006")] {
        let world = World::new(runtime, None);
        let root = world.path("store");
        let root = root.to_str().unwrap();
        let step = world.step(words);
        thread::scope(|scope| {
            let run = scope.spawn(|| world.run(&step).map(drop));
            await_that(|| is_running(words));
            let is_helper = |line: &&String| line.contains(root) && line.contains("system step");
            let all = processes();
            let helper = all.iter().find(|(_, line)| is_helper(line)).unwrap();
            let pid = rustix::process::Pid::from_raw(i32::try_from(*helper.0).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            let error = run.join().unwrap().unwrap_err();
            assert_eq!(
                error.to_string(),
                "run a step: the process that runs it ended early: signal: 9 (SIGKILL)"
            );
        });
        assert!(!is_running(words));
        assert_no_group();
        world.assert_nothing_left();
    }
}

/// Lets everybody see what is in it.
pub(crate) fn open_up(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
