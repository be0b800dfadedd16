//! What a step sees, says and exits with.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

use shiplap_model::container::{NetworkMode, Ulimit};
use shiplap_ops::step::{Cancel, Step, StepMount, StepMountKind, shell as run_shell};

use crate::world::{BASE, World, step, which};

pub(crate) fn what_is_said_and_how_it_ends() {
    World::each(|world| {
        let check = |words: &str, code, out: &str, errors: &str| {
            let (finished, said, told) = world.run(&world.step(words)).unwrap();
            assert_eq!(
                (finished.exit_code, &*said, &*told),
                (code, out, errors),
                "{words}"
            );
        };
        check("true", 0, "", "");
        check("echo out; echo err >&2; exit 3", 3, "out\n", "err\n");
        check("printf half", 0, "half", "");
        check("read line; echo $?", 0, "1\n", "");
        // As in Docker nothing in it can kill process 1.
        check(
            "kill -9 $$; sh -c 'kill -9 $$'; exit $?",
            137,
            "",
            "Killed\n",
        );
        check("sh -c 'kill -TERM $$'; exit $?", 143, "", "Terminated\n");
        check("sleep 1000 & echo behind", 0, "behind\n", "");
        check("test -t 0 || test -t 1 || echo none", 0, "none\n", "");
        check("no-such", 127, "", "/bin/sh: no-such: not found\n");
        let (_, much, _) = world.run(&world.step("seq 1 200000")).unwrap();
        assert_eq!(much.lines().count(), 200_000);
        assert!(much.ends_with("\n200000\n"));
    });
}

pub(crate) fn options_are_seen_from_inside() {
    World::each(|world| {
        let check = |change: &dyn Fn(&mut Step), words: &str, seen: &str| {
            let mut step = world.step(words);
            change(&mut step);
            assert_eq!(world.ok(&step).1, seen, "{words}");
        };
        let usual = |_: &mut Step| {};
        check(
            &usual,
            "env | sort",
            "HOME=/root\nPATH=/usr/bin:/bin\nPWD=/\nSHLVL=1\n",
        );
        check(
            &usual,
            "id; pwd; hostname",
            "uid=0(root) gid=0(root) groups=0(root)\n/\nbuildkitsandbox\n",
        );
        check(
            &|step| step.user = "alice".to_owned(),
            "id; echo $HOME",
            "uid=1000(alice) gid=1000(alice) groups=50(boats),1000(alice)\n/home/alice\n",
        );
        check(
            &|step| step.user = "5:6".to_owned(),
            "id -u; id -g",
            "5\n6\n",
        );
        check(
            &|step| step.user = "5:6".to_owned(),
            "grep -e CapBnd -e CapEff /proc/self/status | cut -f2",
            "0000000000000000\n00000000a80425fb\n",
        );
        check(
            &|step| step.working_dir = "/new/dir".to_owned(),
            "pwd",
            "/new/dir\n",
        );
        check(
            &|step| step.env.push("A=b c".to_owned()),
            "echo \"$A\"",
            "b c\n",
        );
        check(
            &|step| step.hostname = Some("here".to_owned()),
            "hostname; grep -c here /etc/hosts; test -e /etc/hostname || echo none",
            "here\n1\nnone\n",
        );
        check(
            &|step| {
                let line = |name: &str, address: &str| (name.to_owned(), address.to_owned());
                step.add_hosts = vec![line("far", "10.1.2.3"), line("near", "host-gateway")];
            },
            "grep -e far -e near /etc/hosts",
            "10.1.2.3\tfar\n127.0.0.1\tnear\n",
        );
        check(
            &|step| {
                step.limits.ulimits = vec![Ulimit {
                    name: "nofile".to_owned(),
                    soft: 100,
                    hard: 200,
                }];
            },
            "ulimit -n; ulimit -Hn",
            "100\n200\n",
        );
        check(
            &|step| step.shm_bytes = Some(2 << 20),
            "df -k /dev/shm | awk 'END{print $2}'",
            "2048\n",
        );
        check(
            &|step| step.network = Some(NetworkMode::None),
            "ls /sys/class/net",
            "lo\n",
        );
        check(
            &usual,
            "echo x > /etc/hosts; echo x > /etc/resolv.conf; grep -c . /etc/resolv.conf >/dev/null; echo over",
            "over\n",
        );
        check(
            &usual,
            "grep -e CapEff -e CapBnd -e NoNew -e Seccomp: /proc/self/status | cut -f2; cat /proc/1/comm; true",
            "00000000a80425fb\n00000000a80425fb\n0\n2\nsh\n",
        );
        check(
            &|step| step.privileged = true,
            "grep Seccomp: /proc/self/status | cut -f2; mount -t tmpfs x /tmp && echo mounted",
            "0\nmounted\n",
        );
        check(&usual, "ls /proc/self/fd", "0\n1\n2\n3\n");
    });
}

pub(crate) fn a_root_without_layers() {
    World::each(|world| {
        let mut nothing = step(&[], "");
        nothing.mounts.push(StepMount {
            target: "/tools".to_owned(),
            kind: StepMountKind::Layers {
                layers: world.base.clone(),
                path: "bin".to_owned(),
            },
            read_only: true,
        });
        nothing.args = [
            "/tools/busybox",
            "sh",
            "-c",
            "/tools/ls -A /; echo x > /made",
        ]
        .map(str::to_owned)
        .into();
        let (finished, said) = world.ok(&nothing);
        assert_eq!(said, "dev\netc\nproc\nsys\ntools\n");
        assert_eq!(
            world.changes(finished),
            [
                "drwxr-xr-x dev/",
                "-rw-r--r-- made",
                "drwxr-xr-x proc/",
                "drwxr-xr-x sys/"
            ]
        );
    });
}

pub(crate) fn steps_run_at_the_same_time() {
    World::each(|world| {
        // Each waits for all others to have begun.
        let cache = world.path("meeting");
        std::fs::create_dir(&cache).unwrap();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let mut step = world.step(&format!(
                    "touch /meeting/{number}; while [ $(ls /meeting | wc -l) -lt 4 ]; do sleep 0.01; done; echo {number} > /number"
                ));
                step.mounts.push(StepMount {
                    target: "/meeting".to_owned(),
                    kind: StepMountKind::Cache {
                        host: cache.clone(),
                    },
                    read_only: false,
                });
                scope.spawn(move || {
                    let changes = world.changes(world.ok(&step).0);
                    assert_eq!(
                        changes,
                        ["-rw-r--r-- number", "drwxr-xr-x proc/", "drwxr-xr-x sys/"]
                    );
                });
            }
        });
    });
}

/// Whether a step can have a network of its own.
pub(crate) fn has_pasta() -> bool {
    which("pasta").is_some() && std::path::Path::new("/dev/net/tun").exists()
}

pub(crate) fn a_network_of_its_own() {
    if !has_pasta() {
        assert!(std::env::var_os("CI").is_none(), "CI needs pasta");
        eprintln!("skipped: needs pasta and /dev/net/tun");
        return;
    }
    World::each(|world| {
        let mut own = world.step(
            "ip -o -4 addr | awk '{print $2, $4}' | sort; grep -c buildkitsandbox /etc/hosts",
        );
        own.network = Some(NetworkMode::Private);
        let (finished, said) = world.ok(&own);
        assert_eq!(said, "eth0 10.126.37.2/24\nlo 127.0.0.1/8\n1\n");
        assert_eq!(finished.warnings, [""; 0]);
        let mut fails = world.step("exit 4");
        fails.network = Some(NetworkMode::Private);
        assert_eq!(world.run(&fails).unwrap().0.exit_code, 4);
    });
}

pub(crate) fn a_shell_in_what_is_left() {
    for runtime in ["runc", "crun"] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("store");
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .args(["shell", root.to_str().unwrap(), runtime])
            .arg("echo left > /left; exit 5")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"cat /left; hostname; echo more > /more; ls /\nexit 9\n")
            .unwrap();
        let mut said = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(9), "{said}");
        assert!(said.starts_with("left\nbuildkitsandbox\nbin\n"), "{said}");
        assert!(said.contains("\nmore\n"), "{said}");
    }
}

/// A builder whose step fails, and that shows its root.
pub(crate) fn shell(root: &str, runtime: &str, words: &str) -> ExitCode {
    let world = World::at(root.as_ref(), runtime, BASE);
    let (mut finished, _, _) = world.run(&world.step(words)).unwrap();
    assert_eq!(finished.exit_code, 5);
    let code = run_shell(
        &world.context,
        &world.lease,
        &Step {
            args: vec!["/bin/sh".to_owned()],
            ..world.step("")
        },
        &mut finished.changes,
        &Cancel::new().unwrap(),
    );
    ExitCode::from(u8::try_from(code.unwrap()).unwrap())
}
