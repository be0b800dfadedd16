//! An ordinary user's steps: root inside, nobody outside.

use std::fs;
use std::os::unix::fs::chown;
use std::process::{Command, ExitCode, Stdio};

use shiplap_model::container::NetworkMode;
use shiplap_ops::rootless::{self, Ids};
use shiplap_ops::step::{StepMount, StepMountKind};

use crate::end::open_up;
use crate::root::has_pasta;
use crate::world::{BASE, World, context, which};

const UID: u32 = 48_485;

pub(crate) fn a_user_builds() {
    for program in ["unshare", "setpriv", "newuidmap"] {
        if which(program).is_none() {
            assert!(std::env::var_os("CI").is_none(), "CI needs {program}");
            eprintln!("skipped: needs {program}");
            return;
        }
    }
    let both = "sailor:1000000:65536\n";
    for (ranges, runtime) in [(both, "runc"), (both, "crun"), ("", "runc"), ("", "crun")] {
        let temp = tempfile::tempdir().unwrap();
        open_up(temp.path());
        let home = temp.path().join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(UID), Some(UID)).unwrap();
        let program = temp.path().join("step");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        open_up(&program);
        let users = fs::read_to_string("/etc/passwd").unwrap();
        fs::write(
            temp.path().join("passwd"),
            format!("{users}sailor:x:{UID}:{UID}::/:/bin/sh\n"),
        )
        .unwrap();
        fs::write(temp.path().join("ranges"), ranges).unwrap();
        // Distributions let everybody open that device; not every machine is one.
        let script = "if test -e /dev/net/tun; then mknod -m 666 $FOLDER/tun c 10 200 && \
             mount --bind $FOLDER/tun /dev/net/tun || exit 98; fi; touch /etc/subuid /etc/subgid; for list in passwd:passwd ranges:subuid ranges:subgid; do \
             mount --bind \"$FOLDER/${list%%:*}\" \"/etc/${list#*:}\" || exit 99; done; \
             exec setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups --inh-caps=-all \
             --bounding-set=-sys_resource -- \"$@\"";
        let ran = Command::new("unshare")
            .env("FOLDER", temp.path())
            .env("USER_ID", UID.to_string())
            .env("TMPDIR", &home)
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&program)
            .args(["ordinary", home.join("store").to_str().unwrap(), runtime])
            .stdin(Stdio::null())
            .current_dir(&home)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{runtime} {ranges:?} {said} {ran:?}");
        let expected = match ranges {
            "" => "single\nroot 0\n",
            _ => "ranges\nroot 0\nalice 1000\nowner 5:6\n",
        };
        assert_eq!(said, expected);
    }
}

/// The user's builder.
pub(crate) fn build(root: &str, runtime: &str) -> ExitCode {
    let program = context(root.as_ref(), runtime, None)
        .settings()
        .containers
        .program
        .clone();
    let ids = rootless::enter(root.as_ref(), &program).unwrap().unwrap();
    let has_ranges = ids == Ids::Ranges;
    println!("{}", if has_ranges { "ranges" } else { "single" });
    let base = match has_ranges {
        true => BASE.to_owned(),
        false => BASE.replace("chown 7:8 data;", ""),
    };
    let world = World::at(root.as_ref(), runtime, &base);
    let with = |words: &str| {
        let mut step = world.step(words);
        step.mounts.push(StepMount {
            target: "/run/secrets/key".to_owned(),
            kind: StepMountKind::Secret {
                bytes: b"key".to_vec(),
                uid: 0,
                gid: 0,
                mode: 0o444,
            },
            read_only: true,
        });
        for (target, read_only) in [("/ro", true), ("/rw", false)] {
            step.mounts.push(StepMount {
                target: target.to_owned(),
                kind: StepMountKind::Layers {
                    layers: world.base.clone(),
                    path: "data".to_owned(),
                },
                read_only,
            });
        }
        step
    };
    let words = "test $(cat /run/secrets/key) = key && cat /ro/one >/dev/null && echo x > /rw/one && \
                 ! touch /ro/x 2>/dev/null && rm /data/one && mkdir /data/new && echo root $(id -u)";
    let (finished, said) = world.ok(&with(words));
    print!("{said}");
    assert_eq!(
        world.changes(finished),
        [
            match has_ranges {
                true => "drwxr-xr-x 7/8 data/",
                false => "drwxr-xr-x data/",
            },
            "drwxr-xr-x data/new/",
            "---------- data/.wh.one",
            "drwxr-xr-x proc/",
            "drwxr-xr-x sys/"
        ]
    );
    if has_ranges {
        let mut step = with("echo alice $(id -u)");
        step.user = "alice".to_owned();
        print!("{}", world.ok(&step).1);
        let layers = world.build(&world.base, "echo x > /f; chown 5:6 /f");
        print!(
            "{}",
            world
                .ok(&crate::world::step(&layers, "stat -c 'owner %u:%g' /f"))
                .1
        );
        let mut own = world.step("echo network $(ls /sys/class/net)");
        own.network = Some(match has_pasta() {
            true => NetworkMode::Private,
            false => NetworkMode::None,
        });
        let said = world.ok(&own).1;
        let interfaces = 1 + usize::from(has_pasta());
        assert_eq!(said.split_whitespace().count(), 1 + interfaces, "{said}");
    }
    ExitCode::SUCCESS
}
