//! Command lines of `run` and the options they come to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

use clap::Parser;
use serde_json::{Value, json};

use super::*;

/// A verb with these flags.
#[derive(Debug, Parser)]
struct Verb {
    #[command(flatten)]
    flags: ContainerFlags,
}

/// A line as a shell splits it, but for quotes: `''` is an empty word.
fn words(line: &str) -> impl Iterator<Item = String> {
    let words = line.split(' ').map(|word| match word {
        "''" => String::new(),
        word => word.to_owned(),
    });
    std::iter::once("run".to_owned()).chain(words)
}

fn lookup(name: &str) -> Option<String> {
    (name == "HERE").then(|| "a b".to_owned())
}

/// What a line comes to: the options with `image` and `warnings` beside, or what is told.
fn resolve(line: &str) -> Result<Value, String> {
    let verb = Verb::try_parse_from(words(line)).map_err(|error| {
        let source = std::error::Error::source(&error);
        source.map_or_else(|| error.to_string(), ToString::to_string)
    })?;
    let (image, options, warnings) = verb
        .flags
        .resolve(&lookup)
        .map_err(|error| error.to_string())?;
    let mut value = serde_json::to_value(options).unwrap();
    value["image"] = image.into();
    value["warnings"] = warnings.into();
    Ok(value)
}

fn check(line: &str, pointer: &str, wanted: impl Into<Value>) {
    let found = resolve(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(
        found.pointer(pointer),
        Some(&wanted.into()),
        "{line} {pointer}"
    );
}

#[test]
fn what_runs_and_what_it_sees_of_files() {
    let none = Value::Null;
    check("img", "/image", json!("img"));
    check("img", "/process/command", json!([]));
    check("img", "/process/entrypoint", none.clone());
    check("img", "/network/mode", none.clone());
    check("img", "/auto_remove", json!(false));
    check("img", "/warnings", json!([]));
    check("--rm -it img sh", "/auto_remove", json!(true));
    check("-it img", "/process/tty", json!(true));
    check("-ti img", "/process/interactive", json!(true));
    let command = json!(["ls", "--rm", "-e", "x", "--", "--help"]);
    check("img ls --rm -e x -- --help", "/process/command", command);
    check("img --rm", "/auto_remove", json!(false));
    check("img --rm", "/process/command", json!(["--rm"]));
    check("img -x", "/process/command", json!(["-x"]));
    check("img -- -x", "/process/command", json!(["--", "-x"]));
    check("-- img -x", "/image", json!("img"));
    check("-- img -x", "/process/command", json!(["-x"]));
    check(
        "-e A=1 -e=B=2 --env HERE -e GONE img",
        "/process/env",
        json!(["A=1", "B=2", "HERE=a b", "GONE"]),
    );
    check(
        "--entrypoint sh img -c",
        "/process/entrypoint",
        json!(["sh"]),
    );
    check("--entrypoint '' img", "/process/entrypoint", json!([]));
    check("-w /x -w /y img", "/process/workdir", json!("/y"));
    check("-u 1:2 img", "/process/user", json!("1:2"));
    check(
        "--group-add a --group-add 5 img",
        "/process/groups",
        json!(["a", "5"]),
    );
    check("--init --init img", "/process/init", json!(true));
    check(
        "--stop-signal term --stop-timeout 3 img",
        "/process/stop_signal",
        json!("term"),
    );
    check(
        "--stop-timeout 3 img",
        "/process/stop_timeout_secs",
        json!(3),
    );
    check(
        "-l a=1 -l b --label a=2 img",
        "/labels",
        json!({"a": "2", "b": ""}),
    );
    check("--runtime /x/crun img", "/runtime", json!("/x/crun"));

    let targets = "-v ./x:/a -v n1:/b:ro --mount type=tmpfs,dst=/c --tmpfs /d:size=1k img";
    check(targets, "/storage/mounts/0/source/bind/path", json!("./x"));
    check(targets, "/storage/mounts/1/source/volume/name", json!("n1"));
    check(targets, "/storage/mounts/1/read_only", json!(true));
    check(targets, "/storage/mounts/2/target", json!("/c"));
    check(
        targets,
        "/storage/mounts/3/source/tmpfs/size_bytes",
        json!(1024),
    );
    check("--read-only img", "/storage/read_only", json!(true));
    check("--shm-size 1m img", "/storage/shm_bytes", json!(1 << 20));
    check("--shm-size 0 img", "/storage/shm_bytes", none.clone());
    check(
        "--device /dev/fuse:r img",
        "/storage/devices/0/permissions",
        json!("r"),
    );
    check("--host-certs img", "/storage/host_certs", json!(true));
}

#[test]
fn what_it_sees_of_the_network() {
    check("--network host img", "/network/mode", json!("host"));
    check("--net bridge img", "/network/mode", json!("private"));
    check(
        "-p 1:2 -p 3-4:5-6/udp img",
        "/network/publish/2/container_port",
        json!(6),
    );
    check(
        "-P --expose 1-2 img",
        "/network/expose",
        json!(["1/tcp", "2/tcp"]),
    );
    check("-P img", "/network/publish_all", json!(true));
    check(
        "-h web --domainname d img",
        "/network/hostname",
        json!("web"),
    );
    check("--domainname d img", "/network/domainname", json!("d"));
    check(
        "--add-host a:1.2.3.4 img",
        "/network/add_hosts",
        json!([["a", "1.2.3.4"]]),
    );
    check("--dns 1.1.1.1 img", "/network/dns", json!(["1.1.1.1"]));
    check(
        "--dns-search a.b img",
        "/network/dns_search",
        json!(["a.b"]),
    );
    check(
        "--dns-opt ndots:1 img",
        "/network/dns_options",
        json!(["ndots:1"]),
    );
}

#[test]
fn how_much_it_may_use() {
    check(
        "-m 64m --memory-swap -1 img",
        "/limits/memory_bytes",
        json!(64 << 20),
    );
    check(
        "-m 64m --memory-swap -1 img",
        "/limits/memory_swap_bytes",
        json!(-1),
    );
    check("--cpus 1.5 img", "/limits/nano_cpus", json!(1_500_000_000));
    check(
        "--cpu-quota 50000 img",
        "/limits/nano_cpus",
        json!(500_000_000),
    );
    check(
        "--cpu-quota 5 --cpu-period 10 img",
        "/limits/nano_cpus",
        json!(500_000_000),
    );
    check(
        "--cpu-quota -1 --cpus 2 img",
        "/limits/nano_cpus",
        json!(2_000_000_000),
    );
    check("-c 512 img", "/limits/cpu_shares", json!(512));
    check("--cpuset-cpus 0-1 img", "/limits/cpuset", json!("0-1"));
    check("--pids-limit -1 img", "/limits/pids", json!(-1));
    check(
        "--oom-score-adj -500 img",
        "/limits/oom_score_adj",
        json!(-500),
    );
    check(
        "--sysctl net.a=1 img",
        "/limits/sysctls",
        json!({"net.a": "1"}),
    );
    let limits = "--ulimit core=1 --ulimit nproc=2:3 --ulimit core=4 img";
    check(limits, "/limits/ulimits/1/soft", json!(4));
    check(limits, "/limits/ulimits/0/hard", json!(3));
}

#[test]
fn what_it_may_do() {
    check("--privileged img", "/security/privileged", json!(true));
    check(
        "--cap-add net_admin img",
        "/security/cap_add",
        json!(["CAP_NET_ADMIN"]),
    );
    check("--cap-drop all img", "/security/cap_drop", json!(["ALL"]));
    let loose = "--security-opt seccomp=unconfined --security-opt no-new-privileges \
                 --security-opt unmask=ALL --security-opt mask=/a:/b img";
    check(loose, "/security/seccomp", json!("unconfined"));
    check(loose, "/security/no_new_privileges", json!(true));
    check(loose, "/security/unmask", json!(["ALL"]));
    check(loose, "/security/mask", json!(["/a:/b"]));
    check(loose, "/warnings", json!([]));
    let granted = "--ipc private --pid '' --log-driver json-file --no-healthcheck \
                   --memory-swappiness -1 --userns=host --oom-kill-disable=false img";
    check(granted, "/image", json!("img"));
    let bounded = "--log-opt max-size=1m --log-opt max-file=3 img";
    check(bounded, "/log/max_file_bytes", json!(1_000_000));
    check(bounded, "/log/max_files", json!(3));
    check("--log-driver none img", "/log/driver", json!("none"));
    check("--no-healthcheck img", "/image", json!("img"));
}

#[test]
fn lines_that_warn() {
    let check = |line: &str, wanted: &str| {
        let warnings = resolve(line).unwrap()["warnings"].clone();
        assert!(
            warnings.as_array().unwrap().len() == 1
                && warnings[0].as_str().unwrap().contains(wanted),
            "{line}: {warnings}"
        );
    };
    check("--restart always img", "--restart=always has no effect");
    check("--restart on-failure:3 img", "no daemon");
    check(
        "--network host -p 1:1 img",
        "Published ports are discarded when using host network mode",
    );
    check("--network none -P img", "using none network mode");
    check(
        "--security-opt apparmor=x img",
        "--security-opt apparmor=x has no effect",
    );
}

#[test]
fn lines_that_are_refused() {
    let check = |line: &str, wanted: &str| {
        let error = resolve(line).unwrap_err();
        assert!(error.contains(wanted), "{line}: {error}");
    };
    check("--rm", "required");
    check("--nope img", "unexpected argument '--nope'");
    check("-e =a img", "invalid environment variable: =a");
    check(
        "--env-file /nope img",
        "read --env-file /nope: No such file",
    );
    check(
        "--label-file /nope img",
        "read --label-file /nope: No such file",
    );
    check(
        "--security-opt seccomp=/nope img",
        "read --security-opt seccomp /nope: No such file",
    );
    check("-w rel img", "the working directory 'rel' is invalid");
    check("--restart foo img", "unknown policy 'foo'");
    check(
        "--restart always --rm img",
        "cannot specify both --restart and --rm",
    );
    check(
        "--cpus 1 --cpu-quota 5 img",
        "cannot specify both --cpus and --cpu-quota",
    );
    check("-m 1m img", "Minimum memory limit allowed is 6MB");
    check("--memory-swap 9m img", "--memory-swap needs --memory");
    check("--stop-signal FOO img", "Invalid signal: FOO");
    check("--stop-timeout x img", "invalid digit");
    check("--oom-score-adj 2000 img", "2000 is not in -1000..=1000");
    check(
        "--network container:x img",
        "sharing the network of container \"x\"",
    );
    check("-v /a:/b:xx img", "invalid mode: xx");
    check("--gpus all img", "use --gpus=all: there is no driver");
    check("--ipc host img", "use --ipc=host");
    check("--log-driver syslog img", "unknown log driver 'syslog'");
    check("--log-opt tag=x img", "unknown log opt 'tag'");
    check("--oom-kill-disable img", "use --oom-kill-disable=true");
    check("--volumes-from a img", "use --volumes-from=a");
}

#[test]
fn files_come_before_flags() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let env = file("env", "# nothing\nA=file\nHERE\nGONE\n");
    let found = resolve(&format!("-e A=flag --env-file {env} img")).unwrap();
    assert_eq!(
        found["process"]["env"],
        json!(["A=file", "HERE=a b", "A=flag"])
    );
    let labels = file("labels", "a=file\nb=file\n");
    let found = resolve(&format!("-l a=flag --label-file {labels} img")).unwrap();
    assert_eq!(found["labels"], json!({"a": "flag", "b": "file"}));
    let profile = file("profile", "{}");
    let found = resolve(&format!("--security-opt seccomp={profile} img")).unwrap();
    assert_eq!(found["security"]["seccomp"], json!({"profile": "{}"}));
    let wrong = file("wrong", "A B=1\n");
    let error = resolve(&format!("--env-file {wrong} img")).unwrap_err();
    assert!(
        error.contains("wrong: variable 'A B' contains whitespaces"),
        "{error}"
    );
}

#[test]
fn the_definition_is_sound() {
    use clap::CommandFactory;
    Verb::command().debug_assert();
}
