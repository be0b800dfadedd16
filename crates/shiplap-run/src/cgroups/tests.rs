//! What lists of mounts say of control groups.

use std::collections::BTreeMap;

use super::*;

const SECOND: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
const FIRST: &str = "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\n\
    cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
    cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
    cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n\
    cgroup /sys/fs/cgroup/devices cgroup ro,devices 0 0\n\
    cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0\n\
    cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n";
const UNIFIED: &str = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
const OTHER: &str = "proc /proc proc rw 0 0\ncgroup /other/cpuset cgroup rw,cpuset 0 0\nshort\n";

/// Files below `/sys/fs/cgroup` by their texts; directories that may be written end with `/`.
fn offer(mounts: &str, own: &str, files: &[(&str, &str)]) -> Cgroups {
    let files: BTreeMap<PathBuf, &str> = files
        .iter()
        .map(|(path, text)| (Path::new("/sys/fs/cgroup").join(path), *text))
        .collect();
    Cgroups::from_facts(
        mounts,
        own,
        &|path| files.get(path).map(|text| (*text).to_owned()),
        &|path| files.contains_key(path),
    )
}

fn described(offer: &Cgroups) -> String {
    let controllers: Vec<&str> = offer.controllers.iter().map(String::as_str).collect();
    format!(
        "{:?} {} [{}]{}{}",
        offer.version,
        offer.container("c").path.unwrap_or_default(),
        controllers.join(" "),
        if offer.swap { " swap" } else { "" },
        if offer.quota { " quota" } else { "" },
    )
}

#[test]
fn generations() {
    let first = [
        ("cpu,cpuacct", ""),
        ("cpu,cpuacct/cpu.cfs_quota_us", "-1"),
        ("memory", ""),
        ("memory/memory.memsw.limit_in_bytes", "0"),
        ("pids", ""),
        ("devices", ""),
        ("freezer", ""),
    ];
    let root = [
        ("", ""),
        ("cgroup.procs", "1\n"),
        ("cgroup.controllers", "cpu memory pids\n"),
    ];
    // A container's root: not the very root, and it holds processes.
    let nested = [
        ("", ""),
        ("cgroup.type", "domain"),
        ("cgroup.procs", "1\n"),
        ("cgroup.controllers", "cpu memory pids\n"),
        ("cgroup.subtree_control", "pids\n"),
    ];
    // A user's part of the tree, delegated by the service manager.
    let delegated = [
        ("cgroup.controllers", "cpu memory"),
        ("user/app", ""),
        ("user/app/cgroup.type", "domain"),
        ("user/app/cgroup.procs", ""),
        ("user/app/cgroup.controllers", "memory pids"),
    ];
    let hybrid = format!("{OTHER}{FIRST}{UNIFIED}");
    type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], &'c str);
    let cases: &[Case<'_>] = &[
        (OTHER, "0::/\n", &root, "Absent  []"),
        (
            FIRST,
            "",
            &first,
            "V1 /shiplap/c [cpu freezer memory pids] swap quota",
        ),
        (
            &hybrid,
            "",
            &first,
            "Hybrid /shiplap/c [cpu freezer memory pids] swap quota",
        ),
        (FIRST, "", &first[2..3], "V1 /shiplap/c [memory]"),
        (FIRST, "", &[], "V1  []"),
        (
            SECOND,
            "0::/\n",
            &root,
            "V2 /shiplap/c [cpu memory pids] swap quota",
        ),
        (SECOND, "0::/\n", &nested, "V2 /shiplap/c [pids] swap quota"),
        (
            SECOND,
            "0::/user/app/shell.scope\n",
            &delegated,
            "V2 /user/app/shiplap/c [memory pids] swap quota",
        ),
        (SECOND, "0::/user/shell.scope\n", &delegated, "V2  []"),
        (SECOND, "0::/../user/app/x\n", &delegated, "V2  []"),
        (SECOND, "0::/\n", &root[..1], "V2  []"),
    ];
    for (mounts, own, files, wanted) in cases {
        assert_eq!(described(&offer(mounts, own, files)), *wanted, "{mounts}");
    }
    let unified = |mounts: &str| offer(mounts, "", &first).unified;
    assert_eq!(unified(FIRST), None);
    assert_eq!(unified(&hybrid), Some("/sys/fs/cgroup/unified".into()));
}

#[test]
fn limits_that_cannot_be_kept() {
    let limits = Limits {
        memory_bytes: Some(1),
        memory_swap_bytes: Some(1),
        nano_cpus: Some(1),
        cpu_shares: Some(1),
        cpuset: Some("0".to_owned()),
        pids: Some(1),
        ..Limits::default()
    };
    let texts = |offer: &Cgroups, limits: &Limits| {
        let warnings = offer.warnings(limits);
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let some = offer(
        FIRST,
        "",
        &[("cpu,cpuacct", ""), ("memory", ""), ("pids", "")],
    );
    assert_eq!(
        texts(&some, &limits),
        [
            "--memory-swap has no effect: the kernel can't limit swap",
            "--cpus has no effect: the kernel can't limit processor time",
            "--cpuset-cpus has no effect: control groups have no controller cpuset here",
        ]
    );
    assert_eq!(texts(&some, &Limits::default()), [""; 0]);
    let none = texts(&Cgroups::absent(), &limits);
    assert_eq!(none.len(), 6);
    assert_eq!(
        none[0],
        "--memory has no effect: no control group can be made here"
    );
    assert!(!some.can_freeze());
    assert!(offer(FIRST, "", &[("freezer", "")]).can_freeze());
}

#[test]
fn a_group_is_removed_from_every_hierarchy() {
    let found: Vec<_> = hierarchies(FIRST).collect();
    assert!(
        found.contains(&"/sys/fs/cgroup/memory"),
        "all of version 1: {found:?}"
    );
    assert_eq!(hierarchies(SECOND).collect::<Vec<_>>(), ["/sys/fs/cgroup"]);
    let foreign = "cgroup /elsewhere cgroup rw 0 0\ntmpfs /sys/fs/cgroup tmpfs rw 0 0\n";
    assert_eq!(hierarchies(foreign).count(), 0);
    let temp = tempfile::tempdir().unwrap();
    let group = temp.path().join("group");
    fs::create_dir_all(group.join("below/deeper")).unwrap();
    remove_group(&group);
    assert!(!group.exists());
    remove_group(&group);
    for name in ["step-a", "other"] {
        fs::create_dir(temp.path().join(name)).unwrap();
    }
    let left = || {
        let entries = fs::read_dir(temp.path()).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    sweep_groups(temp.path(), "step-", BEING_MADE);
    assert_eq!(left(), ["other", "step-a"]);
    sweep_groups(temp.path(), "step-", Duration::ZERO);
    assert_eq!(left(), ["other"]);
}
