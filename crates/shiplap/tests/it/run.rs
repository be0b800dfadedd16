//! `run`: what is seen from inside, exit codes, streams, and what images may not do.

use crate::harness::container::{Containers, IMAGE};
use crate::harness::judge;
use crate::harness::tar::{Entry, tar};

/// As with Docker, a container does not end because nobody reads what it says; the user is told.
#[test]
fn a_reader_that_goes_leaves_the_container() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let call = [
        "run",
        "--rm",
        "--name",
        "talker",
        "--network",
        "none",
        IMAGE,
        "yes",
    ];
    let mut command = boxes.store.command(&call);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &line), (Some(1), b"y\n"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("broken pipe; container talker goes on"),
        "{said}"
    );
    assert_eq!(boxes.state("talker"), "running");
    boxes.store.ok(&["rm", "-f", "talker"]);
    boxes.assert_nothing_left();
}

#[test]
fn options_are_seen_from_inside() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let check = |options: &[&str], words: &str, seen: &str| {
        assert_eq!(boxes.shell(options, words), seen, "{options:?} {words}");
    };
    check(
        &[],
        "pwd; id; echo $HOME",
        "/\nuid=0(root) gid=0(root) groups=0(root)\n/root",
    );
    check(&["-e", "A=1", "-e", "B=x y"], "echo $A-$B", "1-x y");
    check(&["-w", "/new/dir"], "pwd", "/new/dir");
    check(
        &["-u", "alice"],
        "id; echo $HOME",
        "uid=1000(alice) gid=1000(alice) groups=50(boats),1000(alice)\n/home/alice",
    );
    check(&["-u", "5:6"], "id -u; id -g", "5\n6");
    check(&["--group-add", "extra"], "id -G", "0 60");
    check(
        &["--hostname", "here"],
        "hostname; cat /etc/hostname",
        "here\nhere",
    );
    check(
        &["--add-host", "far:10.1.2.3"],
        "grep far /etc/hosts",
        "10.1.2.3\tfar",
    );
    check(
        &["--dns", "9.9.9.9"],
        "grep -c 9.9.9.9 /etc/resolv.conf",
        "1",
    );
    check(
        &["--read-only"],
        "touch /x 2>&1; ls -d /x 2>/dev/null; echo $?",
        "touch: /x: Read-only file system\n1",
    );
    check(
        &["--tmpfs", "/t:size=1m"],
        "df -k /t | tail -1 | awk '{print $2}'",
        "1024",
    );
    check(&["--entrypoint", "echo"], "ignored", "sh -c ignored");
    check(
        &["--cap-drop", "ALL"],
        "grep CapEff /proc/self/status | cut -f2",
        "0000000000000000",
    );
    check(
        &[],
        "grep CapEff /proc/self/status | cut -f2",
        "00000000800405fb",
    );
    check(
        &["--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN"],
        "grep CapEff /proc/self/status | cut -f2",
        "00000000800415fa",
    );
    check(&[], "grep Seccomp: /proc/self/status | cut -f2", "2");
    check(
        &["--security-opt", "seccomp=unconfined"],
        "grep Seccomp: /proc/self/status | cut -f2",
        "0",
    );
    check(
        &["--security-opt", "no-new-privileges"],
        "grep NoNewPrivs /proc/self/status | cut -f2",
        "1",
    );
    check(
        &["--ulimit", "nofile=100:200"],
        "ulimit -n; ulimit -Hn",
        "100\n200",
    );
    check(
        &["--shm-size", "2m"],
        "df -k /dev/shm | tail -1 | awk '{print $2}'",
        "2048",
    );
    check(
        &["--init"],
        "ps -o pid,args | awk '$1==1 {print $2}'",
        "/dev/.shiplap/init",
    );
    check(&[], "exec ls /proc/self/fd", "0\n1\n2\n3");
    check(&[], "cat /proc/1/comm; ls /sys/class/net", "sh\nlo");
    boxes.assert_nothing_left();
}

/// The same container by `podman run` on the same image: who it is, its variables, rights, places,
/// limits and mounts, seen from inside.
#[test]
fn podman_shows_the_same_inside() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let Some(podman) = judge::Podman::new() else {
        return;
    };
    let archive = boxes.store.path("saved.tar");
    let archive = archive.to_str().unwrap();
    boxes.store.ok(&["save", "-o", archive, IMAGE]);
    podman.ask(&["load", "-q", "-i", archive]);
    let volume = format!("{}:/in:ro", boxes.store.path("home").display());
    // Listed differences: podman says what it is in `container`, sets TERM where there is no
    // terminal, and leaves the group out of the list of groups, which Docker and we don't; who
    // calls the runtime with /proc/kcore in sight gets /dev/core; a read-only root of podman's has
    // /tmp in memory.
    let words = "env | grep -v -e ^container= -e ^TERM= | sort; id -un; id -u; id -g; pwd; umask; hostname; cat /proc/self/uid_map; \
        grep -e ^Cap -e ^NoNew -e ^Seccomp: /proc/self/status; ulimit -n; \
        cut -d' ' -f2,3 /proc/mounts | grep -e ^/dev -e '^/t ' -e ^/in | sort; ls /dev | sort | grep -v -e console -e core; \
        awk '$2==\"/in\" || $2==\"/\" {print $2, substr($4,1,2)}' /proc/mounts; \
        ls -A /proc/kcore /sys/firmware; cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    let limits = [
        "--ulimit",
        "nofile=1000:2000",
        "--ulimit",
        "nproc=3000:3000",
        "--hostname",
        "same",
    ];
    let cases: [&[&str]; 6] = [
        &[],
        &["-e", "A=b c", "-w", "/tmp", "-u", "alice"],
        &["--cap-drop", "ALL", "--cap-add", "CHOWN"],
        &["-u", "5:6", "--cap-add", "NET_ADMIN"],
        &["--read-only", "--tmpfs", "/t:size=1m", "-v", &volume],
        &["--memory", "64m", "--security-opt", "no-new-privileges"],
    ];
    for case in cases {
        let ours = boxes.run(&[&limits, case].concat(), &["sh", "-c", words]);
        let start = ["run", "--rm", "--runtime", "runc", "--network", "none"];
        let name = format!("docker.io/library/{IMAGE}");
        let rest = [name.as_str(), "sh", "-c", words];
        let arguments = [&start, &limits[..], case, &rest].concat();
        let theirs = podman.command(&arguments).output().unwrap();
        assert_eq!(
            ours.code,
            theirs.status.code(),
            "{case:?}: {ours:?} {theirs:?}"
        );
        let theirs = String::from_utf8_lossy(&theirs.stdout).into_owned();
        assert_eq!(ours.stdout, theirs, "{case:?}");
    }
}

#[test]
fn mounts_and_volumes() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let host = boxes.store.path("host");
    std::fs::create_dir(&host).unwrap();
    std::fs::write(host.join("file"), "outside\n").unwrap();
    let host = host.to_str().unwrap();
    let bind = format!("{host}:/in");
    let read_only = format!("{bind}:ro");
    assert_eq!(
        boxes.shell(&["-v", &bind], "cat /in/file; echo new > /in/made"),
        "outside"
    );
    assert_eq!(
        std::fs::read_to_string(format!("{host}/made")).unwrap(),
        "new\n"
    );
    let ran = boxes.run(&["-v", &read_only], &["touch", "/in/x"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let long = format!("type=bind,src={host}/file,dst=/one,readonly");
    assert_eq!(boxes.shell(&["--mount", &long], "cat /one"), "outside");

    // A new volume gets what the image has there, owners too, once.
    assert_eq!(
        boxes.shell(
            &["-v", "kept:/data"],
            "cat /data/seed; ls -lnd /data | awk '{print $3,$4}'; rm /data/seed; echo 1 > /data/n"
        ),
        "from the image\n7 8"
    );
    assert_eq!(boxes.shell(&["-v", "kept:/data"], "ls /data"), "n");
    assert_eq!(
        boxes.shell(&["-v", "kept:/data", "-v", "/anonymous"], "ls /data"),
        "n"
    );
    let volumes = boxes.store.ok(&["volume", "ls", "-q"]);
    assert_eq!(volumes, "kept\n", "anonymous ones go with --rm");
    boxes.store.ok(&["volume", "rm", "kept"]);
    let missing = boxes.run(
        &["--mount", "type=bind,src=/does/not/exist,dst=/x"],
        &["true"],
    );
    assert_eq!(missing.code, Some(125));
    missing.assert_says(&["bind source path does not exist", "/does/not/exist"]);
    boxes.assert_nothing_left();
}

#[test]
fn exit_codes_are_dockers() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let check = |options: &[&str], command: &[&str], code: i32| {
        let ran = boxes.run(options, command);
        assert_eq!(ran.code, Some(code), "{ran:?}");
    };
    check(&[], &["true"], 0);
    check(&[], &["sh", "-c", "exit 7"], 7);
    check(&[], &["sh", "-c", "kill -9 $$; sleep 1; exit 3"], 3);
    check(&["--init"], &["sh", "-c", "kill -TERM $$"], 143);
    check(&[], &["no-such-program"], 127);
    check(&[], &["/no/such/program"], 127);
    check(&[], &["/etc"], 126);
    check(&[], &["/etc/passwd"], 126);
    check(&["-u", "nobody-knows"], &["true"], 125);
    check(&["--no-such-flag"], &["true"], 125);
    check(&["--runtime", "no-such-runtime"], &["true"], 125);
    boxes.assert_nothing_left();
}

#[test]
fn streams_are_apart_and_whole() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let ran = boxes.run(&[], &["sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
    let input = vec![b'x'; 3 << 20];
    let arguments = ["run", "--rm", "-i", "--network", "none", IMAGE, "md5sum"];
    let ran = boxes.store.run_with(&arguments, &input);
    let again = boxes.store.run_with(
        &["run", "--rm", "-i", "--network", "none", IMAGE, "wc", "-c"],
        &input,
    );
    assert_eq!(again.stdout.trim(), "3145728");
    assert_eq!(
        ran.stdout.split(' ').next().map(str::len),
        Some(32),
        "{ran:?}"
    );
    let ran = boxes.run(&[], &["sh", "-c", "yes line | head -c 3000000"]);
    assert_eq!(ran.stdout.len(), 3_000_000);
    boxes.assert_nothing_left();
}

#[test]
fn what_would_run_is_shown() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let config = boxes.store.json(&[
        "run",
        "--dry-run",
        "--network",
        "none",
        "-e",
        "A=1",
        IMAGE,
        "true",
    ]);
    assert_eq!(config["process"]["args"][0], "true");
    assert!(
        config["process"]["env"]
            .as_array()
            .unwrap()
            .contains(&"A=1".into())
    );
    boxes.assert_nothing_left();
}

/// What an image holds and says must not reach the host: links and files where the runtime and we
/// look things up or mount.
#[test]
fn hostile_images_change_nothing_outside() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let outside = boxes.store.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("passwd"), "evil:x:0:0::/:/bin/sh\n").unwrap();
    let before = std::fs::read("/etc/hosts").unwrap_or_default();
    let target = outside.to_str().unwrap();
    let busybox = std::fs::read("/bin/busybox")
        .or_else(|_| std::fs::read("/usr/bin/busybox"))
        .unwrap();
    let climb = format!("../../../../../../../../../../..{target}");
    let program = || Entry::file("bin/sh", &busybox).mode(0o755);
    let images: &[(&str, Vec<Entry>, &[&str])] = &[
        ("etc", vec![program(), Entry::symlink("etc", &climb)], &[]),
        (
            "etcfile",
            vec![
                program(),
                Entry::directory("etc"),
                Entry::symlink("etc/passwd", &format!("{climb}/passwd")),
                Entry::symlink("etc/hosts", &format!("{climb}/hosts")),
                Entry::symlink("etc/resolv.conf", "/proc/self/mem"),
            ],
            &[],
        ),
        ("dev", vec![program(), Entry::symlink("dev", &climb)], &[]),
        ("proc", vec![program(), Entry::symlink("proc", &climb)], &[]),
        ("sys", vec![program(), Entry::symlink("sys", &climb)], &[]),
        (
            "work",
            vec![program(), Entry::symlink("w", &climb)],
            &["WORKDIR /w/made"],
        ),
        ("workproc", vec![program()], &["WORKDIR /proc/self/fd/7"]),
        (
            "user",
            vec![
                program(),
                Entry::directory("etc"),
                Entry::fifo("etc/passwd"),
            ],
            &["USER evil"],
        ),
        (
            "device",
            vec![
                program(),
                Entry::directory("etc"),
                Entry::character_device("etc/passwd", 1, 5),
            ],
            &["USER evil"],
        ),
        (
            "volume",
            vec![program(), Entry::symlink("v", &climb)],
            &["VOLUME /v", "VOLUME /v/../../x"],
        ),
    ];
    for (name, entries, changes) in images {
        let archive = boxes.store.path(&format!("{name}.tar"));
        std::fs::write(&archive, tar(entries)).unwrap();
        let mut arguments = vec!["import"];
        for change in *changes {
            arguments.extend(["-c", change]);
        }
        arguments.extend([archive.to_str().unwrap(), name]);
        boxes.store.ok(&arguments);
        // It may fail or not; what counts is what is outside afterwards.
        let ran = boxes.store.run(&[
            "run",
            "--rm",
            "--network",
            "none",
            name,
            "/bin/sh",
            "-c",
            "echo ran",
        ]);
        assert!(!ran.stderr.contains("panicked"), "{name}: {ran:?}");
        assert!(ran.code.is_some(), "{name}: {ran:?}");
        let left: Vec<_> = std::fs::read_dir(&outside)
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(left, ["passwd"], "{name}: {ran:?}");
        assert_eq!(
            std::fs::read("/etc/hosts").unwrap_or_default(),
            before,
            "{name}"
        );
        boxes.store.ok(&["volume", "prune", "-a", "-f"]);
    }
    boxes.assert_nothing_left();
}
