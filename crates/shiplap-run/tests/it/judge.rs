//! A container run from our `config.json` against the same one run by podman: rights, system call
//! filter, what is hidden, and mounts. Whatever differs is listed here with its reason.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that can't prepare its files fails, one that is skipped says so"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shiplap_model::container::{Device, Limits, SecurityOptions};
use shiplap_run::cgroups::Cgroups;
use shiplap_run::namespaces;
use shiplap_run::runtime::Runtime;
use shiplap_run::spec::{self, Bundle, BundleMount, BundleMountSource, Host, Network, Process};

/// What a container prints of itself. (`/dev/core` is a runtime's own idea.)
const SCRIPT: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; id -u; id -g; id -G; \
    umask; hostname; cat /proc/self/oom_score_adj; ls /dev | grep -v core; cd /sys/fs/cgroup; \
    cat memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us \
    pids/pids.max memory.max cpu.max pids.max 2>/dev/null; \
    while read -r line; do echo \"mount $line\"; done < /proc/self/mounts";

/// Mounts that only podman makes: files of its own, and such as our callers ask for.
const PODMANS: [&str; 4] = [
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/run/.containerenv",
];

/// Hidden here and not by every podman: newer ones and Docker hide them too.
const OURS: [&str; 3] = [
    "/proc/asound",
    "/proc/interrupts",
    "/sys/devices/virtual/powercap",
];

struct Case {
    name: &'static str,
    podman: &'static [&'static str],
    change: fn(&mut Bundle),
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "default",
            podman: &[],
            change: |_| {},
        },
        Case {
            name: "user",
            podman: &["--user=1000:50", "--group-add=60"],
            change: |bundle| {
                bundle.process.uid = 1000;
                bundle.process.gid = 50;
                bundle.process.additional_gids = vec![60];
            },
        },
        Case {
            name: "user with capability",
            podman: &["--user=1000:50", "--cap-add=net_admin", "--cap-drop=chown"],
            change: |bundle| {
                bundle.process.uid = 1000;
                bundle.process.gid = 50;
                bundle.security.cap_add = vec!["net_admin".to_owned()];
                bundle.security.cap_drop = vec!["chown".to_owned()];
            },
        },
        Case {
            name: "less",
            podman: &[
                "--cap-drop=all",
                "--security-opt=no-new-privileges",
                "--read-only",
                "--read-only-tmpfs=false",
            ],
            change: |bundle| {
                bundle.security.cap_drop = vec!["ALL".to_owned()];
                bundle.security.no_new_privileges = Some(true);
                bundle.read_only_root = true;
            },
        },
        Case {
            name: "limits",
            podman: &["--memory=64m", "--cpus=1.5", "--pids-limit=50"],
            change: |bundle| {
                bundle.limits.memory_bytes = Some(64 << 20);
                bundle.limits.nano_cpus = Some(1_500_000_000);
                bundle.limits.pids = Some(50);
            },
        },
        Case {
            name: "privileged",
            podman: &["--privileged"],
            change: |bundle| bundle.security.privileged = true,
        },
    ]
}

const RUNTIMES: [&str; 2] = ["runc", "crun"];

fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A root with nothing but busybox.
fn busybox_root(directory: &Path) -> Option<PathBuf> {
    let busybox = ["/usr/bin/busybox", "/bin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())?;
    let root = directory.join("root");
    for name in ["bin", "proc", "dev", "sys", "etc", "tmp", "run"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    for name in ["sh", "grep", "id", "cat", "hostname", "ls"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    Some(root)
}

fn bundle(root: &Path, id: &str) -> Bundle {
    Bundle {
        root: root.to_path_buf(),
        read_only_root: false,
        process: Process {
            args: ["/bin/sh", "-c", SCRIPT].map(str::to_owned).to_vec(),
            env: vec!["PATH=/bin".to_owned()],
            cwd: "/".to_owned(),
            uid: 0,
            gid: 0,
            additional_gids: Vec::new(),
            terminal: None,
        },
        hostname: Some("judge".to_owned()),
        domainname: None,
        mounts: Vec::new(),
        network: Network::Own,
        devices: Vec::new(),
        limits: Limits::default(),
        security: SecurityOptions::default(),
        capabilities: shiplap_run::capabilities::default_set(),
        cgroup: Cgroups::find().container(id),
        shm_bytes: None,
        annotations: BTreeMap::new(),
    }
}

/// What a container printed: its lines, and its mounts by target.
#[derive(Debug)]
struct Printed {
    lines: Vec<String>,
    mounts: BTreeMap<String, String>,
}

fn printed(command: &mut Command) -> Printed {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("mount "),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (mut lines, mut mounts) = (Vec::new(), BTreeMap::new());
    for line in text.lines() {
        match line.strip_prefix("mount ") {
            None => lines.push(line.to_owned()),
            Some(mount) => {
                let mut fields = mount.split(' ').skip(1);
                let (target, kind, options) = (
                    fields.next().unwrap(),
                    fields.next().unwrap(),
                    fields.next().unwrap(),
                );
                mounts.insert(target.to_owned(), described(target, kind, options));
            }
        }
    }
    Printed { lines, mounts }
}

/// Type and the options that say who may do what; of what is hidden or made read-only in `/proc`
/// and `/sys` only that it is: runtimes have their own ways.
fn described(target: &str, kind: &str, options: &str) -> String {
    let hidden = target.starts_with("/proc/")
        || target.starts_with("/sys/") && !target.starts_with("/sys/fs/cgroup");
    if hidden {
        return String::new();
    }
    let telling: BTreeSet<&str> = options
        .split(',')
        .filter(|option| ["ro", "rw", "nosuid", "nodev", "noexec", "gid=5"].contains(option))
        .collect();
    // What the root lies on is the machine's matter.
    let kind = if target == "/" { "" } else { kind };
    format!("{kind} {}", Vec::from_iter(telling).join(","))
}

/// Runs our bundle, in a view of all mounts of its own, as a supervisor does.
fn run_ours(directory: &Path, runtime: &Runtime, ours: &Bundle, id: &str) -> Printed {
    let at = directory.join("bundle");
    fs::create_dir_all(&at).unwrap();
    let config = spec::config(ours, &Host::find()).unwrap();
    fs::write(at.join("config.json"), config).unwrap();
    let (state, pid) = (directory.join("state"), directory.join("pid"));
    std::thread::scope(|scope| {
        let run = || {
            namespaces::private_mounts().unwrap();
            runtime.prepare_mounts().unwrap();
            // The pipes end when the container does.
            let found = printed(&mut runtime.run_detached(&state, id, &at, &pid, None));
            let status = runtime.delete(&state, id, true).status().unwrap();
            assert!(status.success());
            found
        };
        scope.spawn(run).join().unwrap()
    })
}

/// The runtimes that are there, and a root; `None` if this machine can't judge.
fn prepared() -> Option<(tempfile::TempDir, PathBuf, Vec<Runtime>)> {
    // In a user namespace this is true as well.
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: this needs root");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let Some(root) = busybox_root(directory.path()) else {
        eprintln!("skipped: there is no busybox");
        return None;
    };
    let runtimes = RUNTIMES
        .iter()
        .filter_map(|name| {
            Runtime::find(Some(name), None)
                .inspect_err(|error| eprintln!("skipped: {error}"))
                .ok()
        })
        .collect();
    Some((directory, root, runtimes))
}

fn id() -> String {
    format!("shiplap-judge-{}", std::process::id())
}

/// podman's own: limits that it would raise beyond ours are given.
fn run_podman(directory: &Path, root: &Path, options: &[&str]) -> Printed {
    let mut command = Command::new("podman");
    command.arg("--root").arg(directory.join("podman"));
    command.arg("--runroot").arg(directory.join("podman-run"));
    command.args(["--cgroup-manager=cgroupfs", "--events-backend=file"]);
    command.args(["--runtime=runc", "run", "--rm", "--network=none"]);
    command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"]);
    command.arg("--hostname=judge").args(options);
    command.arg("--rootfs").arg(root);
    printed(command.args(["/bin/sh", "-c", SCRIPT]))
}

#[test]
fn podman_and_we_agree() {
    let Some((directory, root, runtimes)) = prepared() else {
        return;
    };
    if !is_there("podman") || !is_there("runc") {
        eprintln!("skipped: there is no podman with runc");
        return;
    }
    for case in cases() {
        let mut podman = run_podman(directory.path(), &root, case.podman);
        podman
            .mounts
            .retain(|target, _| !PODMANS.contains(&target.as_str()));
        for runtime in &runtimes {
            let mut ours = bundle(&root, &id());
            (case.change)(&mut ours);
            let mut ours = run_ours(directory.path(), runtime, &ours, &id());
            ours.mounts.retain(|target, _| {
                !OURS.contains(&target.as_str()) || podman.mounts.contains_key(target)
            });
            let name = format!("{} with {}", case.name, runtime.version());
            assert_eq!(ours.lines, podman.lines, "{name}");
            assert_eq!(ours.mounts, podman.mounts, "{name}");
        }
    }
}

/// What runtimes take in ways of their own: names, devices, kernel parameters, memory for mounts.
#[test]
fn runtimes_do_as_told() {
    let Some((directory, root, runtimes)) = prepared() else {
        return;
    };
    for runtime in &runtimes {
        let mut ours = bundle(&root, &id());
        ours.domainname = Some("domain".to_owned());
        ours.devices.push(Device {
            host_path: "/dev/null".to_owned(),
            container_path: "/dev/nothing".to_owned(),
            permissions: "rw".to_owned(),
        });
        ours.mounts.push(BundleMount {
            source: BundleMountSource::Tmpfs {
                size_bytes: Some(1 << 20),
                mode: Some(0o700),
                copies_up: true,
            },
            target: "/memory".to_owned(),
            read_only: false,
            options: vec!["noexec".to_owned()],
        });
        ours.mounts.push(BundleMount {
            source: BundleMountSource::Bind {
                path: root.join("etc"),
                propagation: None,
            },
            target: "/bound".to_owned(),
            read_only: true,
            options: Vec::new(),
        });
        let script = "cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ping_group_range; \
            echo lost > /dev/nothing && echo written; echo x > /bound/x || echo refused; \
            cat /proc/kcore | grep -c .; while read -r l; do echo \"mount $l\"; done < /proc/mounts";
        script.clone_into(&mut ours.process.args[2]);
        let found = run_ours(directory.path(), runtime, &ours, &id());
        let version = runtime.version();
        assert_eq!(
            found.lines,
            ["domain", "0\t0", "written", "refused", "0"],
            "{version}"
        );
        let mount = |target: &str| found.mounts.get(target).map(String::as_str);
        assert_eq!(
            mount("/memory"),
            Some("tmpfs nodev,noexec,nosuid,rw"),
            "{version}"
        );
        assert!(
            mount("/bound").is_some_and(|bound| bound.ends_with("ro")),
            "{version}"
        );
    }
}

/// An ordinary user, alone in a user namespace: this test, run again there.
#[test]
fn without_rights() {
    if !Host::find().user_namespace {
        if !is_there("setpriv") || !rustix::process::geteuid().is_root() {
            eprintln!("skipped: this needs root and setpriv");
            return;
        }
        let output = Command::new("setpriv")
            .args(["--reuid=1000", "--regid=1000", "--clear-groups"])
            .args(["unshare", "--user", "--map-root-user"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "judge::without_rights", "--nocapture"])
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        if text.starts_with("unshare:") {
            eprintln!("skipped: no user namespace can be had: {text}");
            return;
        }
        assert!(output.status.success(), "{text}");
        return;
    }
    let Some((directory, root, runtimes)) = prepared() else {
        return;
    };
    for runtime in &runtimes {
        for (network, privileged) in [
            (Network::Own, false),
            (Network::Own, true),
            (Network::Host, false),
            (Network::Host, true),
        ] {
            let name = format!("{}, {network:?}, {privileged}", runtime.version());
            let mut ours = bundle(&root, &id());
            ours.network = network;
            ours.security.privileged = privileged;
            ours.limits.memory_bytes = Some(64 << 20);
            assert_eq!(ours.cgroup.offer.warnings(&ours.limits).len(), 1);
            let found = run_ours(directory.path(), runtime, &ours, &id());
            let eleven = "CapEff:\t00000000800405fb".to_owned();
            let usual = found.lines.contains(&eleven);
            assert_eq!(usual, !privileged, "{name}: {:?}", found.lines);
            let null = "null".to_owned();
            assert!(found.lines.contains(&null), "{name}: {:?}", found.lines);
            let guarded = found.mounts.contains_key("/proc/sys");
            assert_eq!(guarded, !privileged, "{name}: {:?}", found.mounts);
            let system = found.mounts.get("/sys").map(String::as_str);
            let access = if privileged { "rw" } else { "ro" };
            let wanted = format!("sysfs nodev,noexec,nosuid,{access}");
            assert_eq!(system, Some(wanted.as_str()), "{name}");
        }
    }
}
