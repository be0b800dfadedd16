//! What becomes of a container's facts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a config that isn't as expected fails its test"
)]

use serde_json::{Value, json};
use shiplap_model::container::Ulimit;

use super::*;
use crate::cgroups::Cgroups;

fn host() -> Host {
    Host {
        capabilities: capabilities::from_mask(0xff),
        user_namespace: false,
        tty_group: true,
        raise_limits: false,
        hard_limits: vec![("nofile", 4096)],
        oom_score_adj: 0,
        kernel: (6, 1),
    }
}

fn bundle() -> Bundle {
    Bundle {
        root: "/c/rootfs".into(),
        read_only_root: false,
        process: Process {
            args: vec!["sh".to_owned()],
            env: vec!["A=b".to_owned()],
            cwd: "/".to_owned(),
            uid: 0,
            gid: 0,
            additional_gids: Vec::new(),
            terminal: None,
        },
        hostname: Some("box".to_owned()),
        domainname: None,
        mounts: Vec::new(),
        network: Network::Own,
        devices: Vec::new(),
        limits: Limits::default(),
        security: SecurityOptions::default(),
        capabilities: capabilities::default_set(),
        cgroup: Cgroups::with(Version::V1, &["cpu", "cpuset", "devices", "memory", "pids"])
            .container("c"),
        shm_bytes: None,
        annotations: BTreeMap::new(),
    }
}

fn parsed(bundle: &Bundle, host: &Host) -> Value {
    serde_json::from_slice(&config(bundle, host).unwrap()).unwrap()
}

/// The value at each JSON pointer, of the bundle as `change` makes it.
fn check(change: impl FnOnce(&mut Bundle, &mut Host), wanted: &[(&str, Value)]) {
    let (mut bundle, mut host) = (bundle(), host());
    change(&mut bundle, &mut host);
    let found = parsed(&bundle, &host);
    for (pointer, wanted) in wanted {
        let found = found.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(found, wanted, "{pointer}");
    }
}

fn refused(change: impl FnOnce(&mut Bundle), wanted: &str) {
    let mut bundle = bundle();
    change(&mut bundle);
    assert_eq!(config(&bundle, &host()).unwrap_err().to_string(), wanted);
}

fn mounts(change: impl FnOnce(&mut Bundle, &mut Host)) -> Vec<String> {
    let (mut bundle, mut host) = (bundle(), host());
    change(&mut bundle, &mut host);
    parsed(&bundle, &host)["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            let text = |name: &str| mount[name].as_str().unwrap();
            let options: Vec<_> = mount["options"]
                .as_array()
                .unwrap()
                .iter()
                .map(|option| option.as_str().unwrap())
                .collect();
            let (place, kind, source) = (text("destination"), text("type"), text("source"));
            format!("{place} {kind} {source} {}", options.join(","))
        })
        .collect()
}

fn bind(path: &str, target: &str, propagation: Option<&str>) -> BundleMount {
    BundleMount {
        source: BundleMountSource::Bind {
            path: path.into(),
            propagation: propagation.map(str::to_owned),
        },
        target: target.to_owned(),
        read_only: false,
        options: Vec::new(),
    }
}

fn ulimit(name: &str, soft: i64, hard: i64) -> Ulimit {
    Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    }
}

#[test]
fn the_usual_container() {
    let eleven: Vec<_> = capabilities::default_set().into_iter().collect();
    check(
        |_, _| {},
        &[
            ("/ociVersion", json!("1.0.2")),
            ("/root", json!({"path": "/c/rootfs", "readonly": false})),
            ("/hostname", json!("box")),
            ("/process/args", json!(["sh"])),
            ("/process/env", json!(["A=b"])),
            (
                "/process/user",
                json!({"uid": 0, "gid": 0, "umask": 18, "additionalGids": [0]}),
            ),
            ("/process/capabilities/bounding", json!(eleven)),
            ("/process/capabilities/ambient", json!([])),
            ("/process/noNewPrivileges", Value::Null),
            ("/process/rlimits", Value::Null),
            ("/annotations", Value::Null),
            (
                "/linux/namespaces",
                json!([{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                    {"type": "network"}]),
            ),
            ("/linux/cgroupsPath", json!("/shiplap/c")),
            (
                "/linux/resources",
                json!({"devices": [{"allow": false, "access": "rwm"}], "pids": {"limit": 2048}}),
            ),
            ("/linux/sysctl", json!({"net.ipv4.ping_group_range": "0 0"})),
            ("/linux/seccomp/defaultAction", json!("SCMP_ACT_ERRNO")),
            ("/linux/maskedPaths", json!(MASKED_PATHS)),
            ("/linux/readonlyPaths", json!(READONLY_PATHS)),
            ("/linux/devices", Value::Null),
            ("/linux/rootfsPropagation", Value::Null),
        ],
    );
}

#[test]
fn what_a_container_may_do() {
    check(
        |bundle, _| {
            bundle.process.uid = 1000;
            bundle.process.gid = 7;
            bundle.process.additional_gids = vec![8, 7, 8];
            bundle.security.cap_add = vec!["kill".to_owned()];
            bundle.security.no_new_privileges = Some(true);
            bundle.security.unmask = vec!["/proc/s*:/proc/asound".to_owned()];
            bundle.security.mask = vec!["/a:/b".to_owned()];
        },
        &[
            ("/process/capabilities/effective", json!(["CAP_KILL"])),
            ("/process/capabilities/ambient", json!(["CAP_KILL"])),
            ("/process/user/additionalGids", json!([7, 8])),
            ("/process/noNewPrivileges", json!(true)),
            ("/linux/maskedPaths/1", json!("/proc/interrupts")),
            ("/linux/maskedPaths/5", json!("/proc/timer_list")),
            ("/linux/maskedPaths/11", json!("/a")),
            ("/linux/maskedPaths/12", json!("/b")),
            (
                "/linux/readonlyPaths",
                json!(["/proc/bus", "/proc/fs", "/proc/irq"]),
            ),
        ],
    );
    check(
        |bundle, _| bundle.security.unmask = vec!["all".to_owned()],
        &[
            ("/linux/maskedPaths", Value::Null),
            ("/linux/readonlyPaths", Value::Null),
        ],
    );
    check(
        |bundle, _| bundle.security.seccomp = Seccomp::Unconfined,
        &[("/linux/seccomp", Value::Null)],
    );
    let profile = |bundle: &mut Bundle, privileged: bool| {
        bundle.security.privileged = privileged;
        bundle.security.seccomp = Seccomp::Profile(r#"{"defaultAction": "X"}"#.to_owned());
    };
    for privileged in [false, true] {
        check(
            |bundle, _| profile(bundle, privileged),
            &[(
                "/linux/seccomp",
                json!({"defaultAction": "X", "syscalls": []}),
            )],
        );
    }
    let all: Vec<_> = capabilities::from_mask(0xff).into_iter().collect();
    check(
        |bundle, _| bundle.security.privileged = true,
        &[
            ("/process/capabilities/effective", json!(all)),
            ("/linux/seccomp", Value::Null),
            ("/linux/maskedPaths", Value::Null),
            ("/linux/readonlyPaths", Value::Null),
            (
                "/linux/resources/devices/0",
                json!({"allow": true, "access": "rwm"}),
            ),
        ],
    );
}

#[test]
fn what_is_mounted() {
    let usual = [
        "/proc proc proc nosuid,noexec,nodev",
        "/dev tmpfs tmpfs nosuid,noexec,strictatime,mode=755,size=65536k",
        "/sys sysfs sysfs nosuid,noexec,nodev,ro",
        "/dev/pts devpts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
        "/dev/mqueue mqueue mqueue nosuid,noexec,nodev",
        "/dev/shm tmpfs shm nosuid,noexec,nodev,mode=1777,size=67108864",
        "/sys/fs/cgroup cgroup cgroup rprivate,nosuid,noexec,nodev,relatime,ro",
    ];
    assert_eq!(mounts(|_, _| {}), usual);
    let rootless = mounts(|bundle, host| {
        bundle.network = Network::Host;
        bundle.cgroup = Cgroups::absent().container("c");
        bundle.shm_bytes = Some(5);
        host.user_namespace = true;
        host.tty_group = false;
    });
    assert_eq!(rootless.len(), 6);
    assert_eq!(
        rootless[2],
        "/sys bind /sys rbind,rprivate,nosuid,noexec,nodev,ro"
    );
    assert!(!rootless[3].contains("gid="));
    assert!(rootless[5].ends_with("size=5"));
    let privileged = mounts(|bundle, _| bundle.security.privileged = true);
    assert!(privileged[2].ends_with(",rw") && privileged[6].ends_with(",rw"));
    let asked = mounts(|bundle, _| {
        bundle.mounts = vec![
            bind("/host/b", "/a/b/c/d/", Some("rslave")),
            bind("/host/a", "/a//./x/../b", None),
            bind("/host/shm", "/dev/shm/", None),
            BundleMount {
                source: BundleMountSource::Tmpfs {
                    size_bytes: Some(9),
                    mode: Some(0o700),
                    copies_up: true,
                },
                target: "/tmp".to_owned(),
                read_only: true,
                options: vec!["noexec".to_owned()],
            },
        ];
    });
    assert_eq!(
        asked[3],
        "/tmp tmpfs tmpfs rprivate,nosuid,nodev,tmpcopyup,size=9,mode=700,ro,noexec"
    );
    assert_eq!(
        asked[6..8],
        [
            "/a/b bind /host/a rbind,rprivate,rw",
            "/dev/shm bind /host/shm rbind,rprivate,rw"
        ]
    );
    assert_eq!(asked[9], "/a/b/c/d bind /host/b rbind,rslave,rw");
    assert_eq!(asked.len(), 10);
    let dev = mounts(|bundle, _| bundle.mounts = vec![bind("/dev", "/dev", None)]);
    assert_eq!(dev[2], "/dev bind /dev rbind,rprivate,rw");
    assert_eq!(dev.len(), 4);
}

#[test]
fn propagation_of_the_root() {
    for (found, wanted) in [
        (vec![None], Value::Null),
        (vec![Some("rprivate")], Value::Null),
        (vec![Some("slave")], json!("rslave")),
        (vec![Some("rslave"), Some("rshared")], json!("shared")),
    ] {
        check(
            |bundle, _| {
                bundle.mounts = found.iter().map(|word| bind("/x", "/y", *word)).collect();
            },
            &[("/linux/rootfsPropagation", wanted)],
        );
    }
}

#[test]
fn how_much_it_may_use() {
    let limits = || Limits {
        memory_bytes: Some(100),
        nano_cpus: Some(1_500_000_000),
        cpu_shares: Some(512),
        cpuset: Some("0-1".to_owned()),
        pids: Some(-1),
        ulimits: vec![ulimit("nofile", 10, 20), ulimit("CORE", -1, -1)],
        sysctls: BTreeMap::from([("net.ipv4.ip_forward".to_owned(), "1".to_owned())]),
        oom_score_adj: Some(5),
        ..Limits::default()
    };
    check(
        |bundle, _| {
            bundle.limits = limits();
            bundle.domainname = Some("d".to_owned());
            bundle.network = Network::Path("/run/net".into());
        },
        &[
            (
                "/linux/resources/memory",
                json!({"limit": 100, "swap": 200}),
            ),
            (
                "/linux/resources/cpu",
                json!({"shares": 512, "quota": 150_000, "period": 100_000, "cpus": "0-1"}),
            ),
            ("/linux/resources/pids", json!({"limit": -1})),
            (
                "/linux/sysctl",
                json!({
                    "net.ipv4.ip_forward": "1",
                    "net.ipv4.ping_group_range": "0 0",
                    "kernel.domainname": "d",
                }),
            ),
            (
                "/linux/namespaces/4",
                json!({"type": "network", "path": "/run/net"}),
            ),
            (
                "/process/rlimits",
                json!([{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},
                    {"type": "RLIMIT_CORE", "soft": u64::MAX, "hard": u64::MAX}]),
            ),
            ("/process/oomScoreAdj", json!(5)),
        ],
    );
}

#[test]
fn how_much_memory() {
    for (memory, swap, wanted) in [
        (Some(100), Some(-1), json!({"limit": 100, "swap": -1})),
        (Some(100), Some(0), json!({"limit": 100, "swap": 200})),
        (Some(u64::MAX), None, json!({"limit": u64::MAX})),
        (Some(0), None, Value::Null),
        (None, None, Value::Null),
    ] {
        check(
            |bundle, _| {
                bundle.limits.memory_bytes = memory;
                bundle.limits.memory_swap_bytes = swap;
            },
            &[("/linux/resources/memory", wanted)],
        );
    }
}

#[test]
fn limits_that_control_groups_lack() {
    let limits = || Limits {
        memory_bytes: Some(100),
        nano_cpus: Some(1),
        pids: Some(-1),
        ..Limits::default()
    };
    check(
        |bundle, _| bundle.limits = limits(),
        &[("/linux/resources/cpu/quota", json!(1000))],
    );
    // Without control groups, and with version 2 that lacks controllers.
    check(
        |bundle, _| {
            bundle.limits = limits();
            bundle.cgroup = Cgroups::absent().container("c");
        },
        &[
            ("/linux/resources", Value::Null),
            ("/linux/cgroupsPath", Value::Null),
        ],
    );
    check(
        |bundle, _| {
            bundle.limits = limits();
            bundle.cgroup = Cgroups::with(Version::V2, &["pids"]).container("c");
        },
        &[
            ("/linux/resources/memory", Value::Null),
            ("/linux/resources/cpu", Value::Null),
            ("/linux/resources/pids", json!({"limit": -1})),
            ("/linux/namespaces/5", json!({"type": "cgroup"})),
        ],
    );
}

#[test]
fn devices() {
    let device = |host: &str, inside: &str, permissions: &str| Device {
        host_path: host.to_owned(),
        container_path: inside.to_owned(),
        permissions: permissions.to_owned(),
    };
    check(
        |bundle, _| bundle.devices = vec![device("/dev/null", "/dev/nothing", "rw")],
        &[
            ("/linux/devices/0/path", json!("/dev/nothing")),
            ("/linux/devices/0/major", json!(1)),
            ("/linux/devices/0/minor", json!(3)),
            ("/linux/devices/1", Value::Null),
            (
                "/linux/resources/devices/1",
                json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}),
            ),
        ],
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for (asked, wanted) in [
        (
            device(file, "/dev/x", ""),
            format!("give the container {file}: it is not a device node"),
        ),
        (
            device("/dev/null", "/dev/x", "rx"),
            "give the container device /dev/null with rights \"rx\": only r, w and m are known"
                .to_owned(),
        ),
        (
            device("/dev/null", "x", "r"),
            "use path of a device \"x\": it must be an absolute path".to_owned(),
        ),
        (
            device("/dev/none/such", "/x", "r"),
            "look at device /dev/none/such: No such file or directory (os error 2)".to_owned(),
        ),
    ] {
        refused(|bundle| bundle.devices = vec![asked], &wanted);
    }
}

#[test]
fn what_cannot_be() {
    for (limit, wanted) in [
        (
            ulimit("nofile", 1, 5000),
            "set ulimit nofile to 5000: only a privileged user goes beyond 4096",
        ),
        (
            ulimit("nofile", -1, -1),
            "set ulimit nofile to -1: only a privileged user goes beyond 4096",
        ),
        (
            ulimit("nofile", 2, 1),
            "set ulimit nofile: its soft limit 2 is above its hard limit 1",
        ),
        (ulimit("fly", 1, 1), "set ulimit fly: it is unknown"),
    ] {
        refused(|bundle| bundle.limits.ulimits = vec![limit], wanted);
    }
    refused(
        |bundle| bundle.limits.oom_score_adj = Some(-5),
        "set the out-of-memory score to -5: only a privileged user goes below 0",
    );
    refused(
        |bundle| bundle.process.cwd = "x".to_owned(),
        "use working directory \"x\": it must be an absolute path",
    );
    refused(
        |bundle| bundle.mounts = vec![bind("x", "/y", None)],
        "use source of a mount \"x\": it must be an absolute path",
    );
    refused(
        |bundle| bundle.mounts = vec![bind("/x", "y", None)],
        "use target of a mount \"y\": it must be an absolute path",
    );
    refused(
        |bundle| bundle.security.cap_add = vec!["fly".to_owned()],
        "use capability \"fly\": it is unknown",
    );
    let not_text = std::os::unix::ffi::OsStrExt::from_bytes(b"/\xff");
    refused(
        |bundle| bundle.root = PathBuf::from(<&std::ffi::OsStr>::clone(&not_text)),
        "use path \"/\\xFF\": it isn't UTF-8",
    );
}

#[test]
fn one_more_process() {
    let text = process(
        &bundle().process,
        &SecurityOptions::default(),
        &Limits::default(),
        &host(),
    )
    .unwrap();
    let found: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(found["args"], json!(["sh"]));
    assert_eq!(
        found["capabilities"]["permitted"].as_array().unwrap().len(),
        11
    );
}

#[test]
fn stars_stand_for_anything_but_slashes() {
    for (pattern, path, wanted) in [
        ("/proc/*", "/proc/kcore", true),
        ("/proc/*", "/proc/a/b", false),
        ("/*/k*e", "/proc/kcore", true),
        ("/proc/k", "/proc/kcore", false),
        ("/proc/kcore*", "/proc/kcore", true),
        ("*", "/proc", false),
        ("", "", true),
    ] {
        assert_eq!(matches(pattern, path), wanted, "{pattern} {path}");
    }
}
