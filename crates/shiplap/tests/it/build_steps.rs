//! What a `RUN` sees of the machine, as flags have it: memory, limits, names, networks, secrets.

use std::fs;

use super::build::{course, tree};
use crate::harness::double::{Double, Reply};
use crate::harness::leftovers::{self, holding};
use crate::harness::told::Told;
use crate::harness::{Store, base};

/// Builds one step that writes what it finds to `/got`.
#[track_caller]
fn got(store: &Store, flags: &[&str], step: &str) -> String {
    let text = format!("FROM busybox\n{step}\n");
    let line = [&["build", "-t", "app"][..], flags, &["-"]].concat();
    store.run_with(&line, text.as_bytes()).assert_ok();
    store.ok(&["image", "cat", "app", "/got"])
}

#[test]
fn limits_and_names_hold_in_steps() {
    let Some(store) = base::store() else { return };
    let check = |flags: &[&str], words: &str, expected: &str| {
        let flags = [&["--network", "none"][..], flags].concat();
        let found = got(&store, &flags, &format!("RUN ({words}) > /got"));
        assert_eq!(found, expected, "{flags:?}: {words}");
    };
    let shm = "df -k /dev/shm | tail -n1 | awk '{print $2}'";
    check(&[], shm, "65536\n");
    check(&["--shm-size", "128m"], shm, "131072\n");
    let files = "ulimit -Sn; ulimit -Hn";
    check(&["--ulimit", "nofile=77:88"], files, "77\n88\n");
    check(&["--ulimit", "nofile=99"], files, "99\n99\n");
    check(
        &["--ulimit", "core=0", "--ulimit", "nproc=500:600"],
        "ulimit -c; awk '/processes/ {print $3, $4}' /proc/self/limits",
        "0\n500 600\n",
    );
    let hosts = "grep -c . /etc/hosts > /dev/null; grep -wE 'db|cache' /etc/hosts | tr '\\t' ' '";
    check(
        &["--add-host", "db:10.1.2.3", "--add-host", "cache=::1"],
        hosts,
        "10.1.2.3 db\n::1 cache\n",
    );
    assert!(
        !tree(&store, "app").contains_key("etc/hosts"),
        "names are the step's alone"
    );
    check(&[], "hostname", "buildkitsandbox\n");
    check(
        &["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=mine"],
        "hostname",
        "mine\n",
    );
    // Other limits are another step, the same ones the same.
    let text = format!("FROM busybox\nRUN ({files}) > /got\n");
    let told = |limit: &str| {
        let line = [
            "build",
            "-t",
            "limits",
            "--network",
            "none",
            "--ulimit",
            limit,
            "-",
        ];
        let ran = store.run_with(&line, text.as_bytes());
        ran.assert_ok();
        Told::of(&ran.stderr)
    };
    assert_eq!(told("nofile=99").made(), Vec::<&str>::new());
    assert_eq!(told("nofile=97").made().len(), 1);
    let other = told("nofile=98");
    assert_eq!(other.why(other.made()[0]), ["changed --ulimit"]);
    for flags in [
        ["--ulimit", "colour=7"],
        ["--ulimit", "nofile=9:8"],
        ["--shm-size", "much"],
        ["--add-host", "db"],
        ["--network", "moon"],
    ] {
        let ran = store.run(&["build", flags[0], flags[1], "-"]);
        ran.assert_refused();
        ran.assert_says(&[flags[1]]);
    }
}

#[test]
fn memory_and_processors_are_limited_where_there_are_control_groups() {
    let Some(store) = base::store() else { return };
    if store
        .ok(&["info", "--format", "{{.CgroupVersion}}"])
        .trim()
        .is_empty()
    {
        return crate::harness::judge::skip("there are no control groups");
    }
    let flags = [
        "--network",
        "none",
        "--memory",
        "64m",
        "--memory-swap",
        "64m",
    ];
    let held = got(
        &store,
        &flags,
        "RUN cat /proc/self/cgroup > /got; head -c 10000000 /dev/zero | tail | wc -c",
    );
    assert!(held.contains("step-"), "{held}");
    // tail keeps all of it, since it has no line.
    let text = "FROM busybox\nRUN head -c 200000000 /dev/zero | tail | wc -c > /got && grep -q 200000000 /got\n";
    let line = [&["build", "--no-cache"][..], &flags, &["-"]].concat();
    let ran = store.run_with(&line, text.as_bytes());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    ran.assert_says(&["exit code", "Dockerfile:2"]);
    store
        .run_with(&["build", "--network", "none", "-"], text.as_bytes())
        .assert_ok();
    let cpus = ["--network", "none", "--cpuset-cpus", "0"];
    assert_eq!(
        got(
            &store,
            &cpus,
            "RUN grep -c ^processor /proc/cpuinfo > /dev/null; nproc > /got"
        ),
        "1\n"
    );
    leftovers::assert_none(&store);
}

#[test]
fn networks_of_steps() {
    let Some(store) = base::store() else { return };
    let web = Double::start();
    web.put("/word", Reply::new(200, b"heard\n"));
    let (host, port) = web.address().split_once(':').unwrap();
    let request = r"printf 'GET /word HTTP/1.1\r\nhost: x\r\n\r\n'";
    let ask = format!("{request} | nc -w 3 {host} {port} | grep -o heard");
    let ask =
        |step_flags: &str| format!("RUN {step_flags} ({ask} || echo deaf) > /got 2>/dev/null");
    let links = "RUN ls /sys/class/net > /got; grep -c : /proc/net/dev >> /got";
    assert_eq!(got(&store, &["--network", "host"], &ask("")), "heard\n");
    assert_eq!(got(&store, &["--network", "none"], &ask("")), "deaf\n");
    assert_eq!(
        got(
            &store,
            &["--network", "none"],
            &links.replace("ls /sys/class/net > /got; ", "")
        ),
        "1\n"
    );
    // What the step says for itself is stronger than what the build says.
    assert_eq!(
        got(&store, &["--network", "host"], &ask("--network=none")),
        "deaf\n"
    );
    assert_eq!(
        got(&store, &["--network", "none"], &ask("--network=host")),
        "heard\n"
    );
    // The default is a network of its own: not the host's loopback.
    assert_eq!(got(&store, &["--network", "default"], &ask("")), "deaf\n");
    leftovers::assert_none(&store);
}

#[test]
fn a_secret_that_a_step_prints_is_in_its_log_alone() {
    let Some(store) = base::store() else { return };
    let secret = "correct-horse-battery-staple-77";
    let text = "FROM busybox
RUN --mount=type=secret,id=token cat /run/secrets/token && echo kept > /kept
RUN --mount=type=secret,id=token,env=TOKEN,target=/tok echo \"$TOKEN\" >&2; exit 4
";
    let context = course(&store, text);
    let file = store.path("token");
    fs::write(&file, secret).unwrap();
    let flag = format!("--secret=id=token,src={}", file.display());
    let ran = store.run(&["build", "-t", "app", &flag, context.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    ran.assert_says(&["exit code: 4", "Dockerfile:3"]);
    // As with BuildKit what a program prints is shown, and kept as what it printed.
    assert!(ran.stderr.contains(secret));
    let found = holding(store.root(), secret.as_bytes());
    let log = store.root().join("builds");
    assert!(found.iter().all(|path| path.starts_with(&log)), "{found:?}");
    assert!(store.ok(&["build", "logs"]).contains(secret));
    // With the log the last of it goes.
    store.ok(&["build", "rm", "--all"]);
    assert_eq!(
        holding(store.root(), secret.as_bytes()),
        Vec::<std::path::PathBuf>::new()
    );
    leftovers::assert_none(&store);
}

#[test]
fn secrets_as_steps_get_them() {
    let Some(store) = base::store() else { return };
    let file = store.path("token");
    fs::write(&file, "of a file\n").unwrap();
    let from_file = format!("id=token,src={}", file.display());
    let store = store
        .with("MINE", "of the environment")
        .with("token2", "of its own name");
    let check = |secret: &str, step: &str, expected: &str| {
        let found = got(
            &store,
            &["--no-cache", "--network", "none", "--secret", secret],
            &format!("RUN {step}"),
        );
        assert_eq!(found, expected, "{secret}: {step}");
    };
    let cat = "--mount=type=secret,id=token cat /run/secrets/token | tr a-z A-Z > /got";
    check(&from_file, cat, "OF A FILE\n");
    check("id=token,env=MINE", cat, "OF THE ENVIRONMENT");
    check(
        "type=env,id=token,src=MINE",
        &format!("{cat} # env"),
        "OF THE ENVIRONMENT",
    );
    check(
        "id=token2",
        "--mount=type=secret,id=token2 tr a-z A-Z < /run/secrets/token2 > /got",
        "OF ITS OWN NAME",
    );
    check(
        &from_file,
        "--mount=type=secret,id=token,target=/a/b,mode=0440,uid=1,gid=2 stat -c '%a %u %g' /a/b > /got",
        "440 1 2\n",
    );
    check(
        &from_file,
        "--mount=type=secret,id=token stat -c '%a %u %g' /run/secrets/token > /got",
        "400 0 0\n",
    );
    check(
        &from_file,
        "--mount=type=secret,id=token,env=T echo ${#T} > /got; ls /run/secrets >> /got 2>/dev/null; true",
        "10\n",
    );
    check(
        &from_file,
        "--mount=type=secret,id=other test ! -e /run/secrets/other && echo none > /got",
        "none\n",
    );
    check(
        &from_file,
        "--mount=type=secret,target=/run/secrets/token wc -c < /run/secrets/token > /got",
        "10\n",
    );
    let refuse = |flags: &[&str], step: &str, words: &[&str]| {
        let text = format!("FROM busybox\nRUN {step}\n");
        let line = [&["build"][..], flags, &["-"]].concat();
        let ran = store.run_with(&line, text.as_bytes());
        ran.assert_refused();
        ran.assert_says(words);
    };
    let required = "--mount=type=secret,id=absent,required=true true";
    refuse(&[], required, &["secret absent: not found", "Dockerfile:2"]);
    refuse(
        &["--secret", "id=x,src=/no/such"],
        "true",
        &["/no/such", "secret x"],
    );
    refuse(&["--secret", "src=/etc/passwd"], "true", &["no id"]);
    refuse(
        &["--secret", "id=x,colour=red"],
        "true",
        &["colour=red", "id, src, env and type"],
    );
    let long = store.path("long");
    fs::write(&long, vec![b'x'; 600_000]).unwrap();
    let flag = format!("id=long,src={}", long.display());
    refuse(
        &["--secret", &flag],
        "--mount=type=secret,id=long true",
        &["long", "bytes"],
    );
}
