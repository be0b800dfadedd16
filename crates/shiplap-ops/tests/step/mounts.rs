//! What is mounted for a step.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use shiplap_ops::step::{Step, StepError, StepMount, StepMountKind};

use crate::world::World;

fn with(mut step: Step, target: &str, read_only: bool, kind: StepMountKind) -> Step {
    step.mounts.push(StepMount {
        target: target.to_owned(),
        kind,
        read_only,
    });
    step
}

#[track_caller]
fn refused(world: &World, step: &Step) -> String {
    match world.run(step) {
        Err(error @ StepError::Refused { code: 125, .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn files_of_other_layers() {
    World::each(|world| {
        let mut other = world.layer(
            "mkdir -p d/e; echo in > d/e/f; ln -s /d/e l; ln -s ../../../etc up; ln -s gone broken",
        );
        other.extend(world.layer("mkdir -p d; echo over > d/g"));
        let mount = |path: &str| StepMountKind::Layers {
            layers: other.clone(),
            path: path.to_owned(),
        };
        let check = |path: &str, read_only, words: &str, seen: &str| {
            let step = with(world.step(words), "/m", read_only, mount(path));
            let (finished, said) = world.ok(&step);
            assert_eq!(said, seen, "{path} {words}");
            assert_eq!(
                world.changes(finished),
                ["drwxr-xr-x proc/", "drwxr-xr-x sys/"]
            );
        };
        check(
            "",
            true,
            "ls /m /m/d",
            "/m:\nbroken\nd\nl\nup\n\n/m/d:\ne\ng\n",
        );
        check("/d/e/f", true, "cat /m", "in\n");
        check("l", true, "cat /m/f", "in\n");
        check(
            "d",
            true,
            "echo x > /m/g || echo refused; cat /m/g",
            "refused\nover\n",
        );
        check(
            "d",
            false,
            "echo x > /m/g; rm /m/e/f; cat /m/g; ls /m/e",
            "x\n",
        );
        // It was thrown away.
        check("d", false, "cat /m/g /m/e/f", "over\nin\n");
        for (path, words) in [
            (
                "nothing",
                "mount nothing at /m: No such file or directory (os error 2)",
            ),
            (
                "up",
                "mount up at /m: No such file or directory (os error 2)",
            ),
            (
                "broken",
                "mount broken at /m: No such file or directory (os error 2)",
            ),
        ] {
            let step = with(world.step("true"), "/m", true, mount(path));
            assert_eq!(refused(world, &step), format!("run /bin/sh: {words}"));
        }
        let root = with(
            world.step("cat /m/data/one"),
            "/m",
            true,
            StepMountKind::Layers {
                layers: world.base.clone(),
                path: "/".to_owned(),
            },
        );
        assert_eq!(world.ok(&root).1, "one\n");
        let missing = with(
            world.step("true"),
            "/m",
            true,
            StepMountKind::Layers {
                layers: vec![format!("sha256:{}", "0".repeat(64)).parse().unwrap()],
                path: String::new(),
            },
        );
        let error = world.run(&missing).unwrap_err();
        assert!(matches!(error, StepError::Store(_)), "{error}");
    });
}

pub(crate) fn files_of_the_context() {
    World::each(|world| {
        let host = world.path("context");
        fs::create_dir_all(host.join("src/deep")).unwrap();
        fs::write(host.join("src/deep/file"), "text\n").unwrap();
        fs::write(world.path("outside"), "outside\n").unwrap();
        symlink("../outside", host.join("escape")).unwrap();
        symlink(world.path("outside"), host.join("absolute")).unwrap();
        symlink("src/deep", host.join("inside")).unwrap();
        let mount = |path: &str| StepMountKind::Directory {
            host: host.clone(),
            path: path.to_owned(),
        };
        let check = |path: &str, read_only, words: &str, seen: &str| {
            let step = with(world.step(words), "/m", read_only, mount(path));
            let (finished, said) = world.ok(&step);
            assert_eq!(said, seen, "{path} {words}");
            assert_eq!(
                world.changes(finished),
                ["drwxr-xr-x proc/", "drwxr-xr-x sys/"]
            );
        };
        check(
            "",
            true,
            "cat /m/src/deep/file; touch /m/x || echo refused",
            "text\nrefused\n",
        );
        check(
            "/",
            false,
            "echo y > /m/src/deep/file; touch /m/x; rm -r /m/inside; cat /m/src/deep/file; ls /m",
            "y\nabsolute\nescape\nsrc\nx\n",
        );
        check(
            "src/deep/file",
            true,
            "cat /m; echo z > /m || echo refused",
            "text\nrefused\n",
        );
        check("src/deep/file", false, "echo z > /m; cat /m", "z\n");
        check("inside", true, "cat /m/file", "text\n");
        check("src/../src/./deep", true, "cat /m/file", "text\n");
        assert_eq!(
            fs::read_to_string(host.join("src/deep/file")).unwrap(),
            "text\n"
        );
        assert!(host.join("inside").exists() && !host.join("x").exists());
        for path in ["escape", "absolute", "../outside", "missing"] {
            let step = with(world.step("true"), "/m", true, mount(path));
            assert_eq!(
                refused(world, &step),
                format!("run /bin/sh: mount {path} at /m: No such file or directory (os error 2)")
            );
        }
        // Nothing that is mounted below the context is written through.
        fs::create_dir(host.join("below")).unwrap();
        fs::create_dir(world.path("elsewhere")).unwrap();
        rustix::mount::mount_bind(world.path("elsewhere"), host.join("below")).unwrap();
        for read_only in [true, false] {
            let step = with(
                world.step("touch /m/below/x; true"),
                "/m",
                read_only,
                mount(""),
            );
            world.ok(&step);
        }
        rustix::mount::unmount(host.join("below"), rustix::mount::UnmountFlags::empty()).unwrap();
        assert_eq!(fs::read_dir(world.path("elsewhere")).unwrap().count(), 0);
    });
}

pub(crate) fn caches_and_memory() {
    World::each(|world| {
        let host = world.path("cache");
        fs::create_dir(&host).unwrap();
        let cache = || StepMountKind::Cache { host: host.clone() };
        let write = with(
            world.step("echo 1 > /var/c/f; chown 3:4 /var/c/f"),
            "/var/c",
            false,
            cache(),
        );
        world.ok(&write);
        let kept = fs::metadata(host.join("f")).unwrap();
        assert_eq!((kept.uid(), kept.gid()), (3, 4));
        let read = with(
            world.step("cat /c/f; touch /c/g || echo refused"),
            "/c",
            true,
            cache(),
        );
        assert_eq!(world.ok(&read).1, "1\nrefused\n");
        let memory = StepMountKind::Tmpfs {
            size_bytes: Some(1 << 20),
        };
        let words = "ls -A /data; df -k /data | awk 'END{print $2}'; dd if=/dev/zero of=/data/f bs=1k count=2000 2>/dev/null || echo full";
        let step = with(world.step(words), "/data", false, memory);
        let (finished, said) = world.ok(&step);
        assert_eq!(said, "1024\nfull\n");
        assert_eq!(
            world.changes(finished),
            ["drwxr-xr-x proc/", "drwxr-xr-x sys/"]
        );
        // One within another.
        let step = with(
            world.step("cat /data/in/f; ls /data"),
            "/data/in",
            true,
            cache(),
        );
        let step = with(
            step,
            "/data",
            false,
            StepMountKind::Tmpfs { size_bytes: None },
        );
        assert_eq!(world.ok(&step).1, "1\nin\n");
    });
}

pub(crate) fn secrets_are_nowhere_else() {
    const SECRET: &str = "Wr3n-and-Thistle";
    World::each(|world| {
        let secret = |uid, mode| StepMountKind::Secret {
            bytes: SECRET.as_bytes().to_vec(),
            uid,
            gid: 0,
            mode,
        };
        let words = "cat /run/secrets/a; stat -c ' %a %u:%g' /run/secrets/a; echo x > /run/secrets/a || echo refused; df /run/secrets/a | awk 'END{print $1}'";
        let step = with(world.step(words), "/run/secrets/a", true, secret(0, 0o400));
        let (finished, said) = world.ok(&step);
        assert_eq!(said, format!("{SECRET} 400 0:0\nrefused\ntmpfs\n"));
        assert!(!format!("{step:?}").contains(SECRET));
        // Nothing of it lies anywhere, neither while the step's files are there nor after.
        assert!(!holds(world.temp.path(), SECRET.as_bytes()));
        assert_eq!(
            world.changes(finished),
            ["drwxr-xr-x proc/", "drwxr-xr-x sys/"]
        );
        assert!(!holds(world.temp.path(), SECRET.as_bytes()));
        let mut other = with(
            world.step("cat /s || echo refused"),
            "/s",
            true,
            secret(0, 0o400),
        );
        other.user = "alice".to_owned();
        assert_eq!(world.ok(&other).1, "refused\n");
        let mut own = with(
            world.step("cat /s; stat -c ' %u' /s"),
            "/s",
            true,
            secret(1000, 0o400),
        );
        own.user = "alice".to_owned();
        assert_eq!(world.ok(&own).1, format!("{SECRET} 1000\n"));
        let long = StepMountKind::Secret {
            bytes: vec![b'x'; 500 << 10],
            uid: 0,
            gid: 0,
            mode: 0o444,
        };
        let step = with(world.step("wc -c < /s"), "/s", true, long);
        assert_eq!(world.ok(&step).1, "512000\n");
    });
}

/// Whether any file below has the bytes in it.
fn holds(directory: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().flatten().any(|entry| {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            return holds(&entry.path(), bytes);
        }
        let content = kind.is_file().then(|| fs::read(entry.path()).unwrap());
        content.is_some_and(|content| content.windows(bytes.len()).any(|part| part == bytes))
    })
}

pub(crate) fn an_agent_answers() {
    World::each(|world| {
        let long = world.path(&"deep/".repeat(30));
        fs::create_dir_all(&long).unwrap();
        let near = world.path("agent");
        let listener = UnixListener::bind(&near).unwrap();
        fs::rename(&near, long.join("agent.sock")).unwrap();
        std::thread::spawn(move || {
            while let Ok((mut client, _)) = listener.accept() {
                let mut said = String::new();
                client.read_to_string(&mut said).unwrap();
                client.write_all(said.to_uppercase().as_bytes()).unwrap();
            }
        });
        let agent = |socket: &Path| StepMountKind::Ssh {
            socket: socket.to_owned(),
            uid: 1000,
            gid: 0,
            mode: 0o600,
        };
        // Perl of the host's, which every Debian has.
        let words =
            "stat -c '%F %a %u' $SSH_AUTH_SOCK; for i in 1 2; do perl -MIO::Socket::UNIX -e '
            my $s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die $!;
            print $s \"hello$ARGV[0]\"; $s->flush; shutdown($s, 1); print <$s>' $i; done";
        let target = "/run/buildkit/ssh_agent.0";
        let mut step = with(
            world.step(words),
            target,
            false,
            agent(&long.join("agent.sock")),
        );
        step.env.push(format!("SSH_AUTH_SOCK={target}"));
        step.user = "alice".to_owned();
        for (target, path) in [("/usr", ""), ("/lib", "lib"), ("/lib64", "lib64")] {
            let host = StepMountKind::Directory {
                host: "/usr".into(),
                path: path.to_owned(),
            };
            step = with(step, target, true, host);
        }
        let (finished, said) = world.ok(&step);
        assert_eq!(said, "socket 600 1000\nHELLO1HELLO2");
        assert_eq!(
            world.changes(finished),
            ["drwxr-xr-x proc/", "drwxr-xr-x sys/"]
        );
    });
}
