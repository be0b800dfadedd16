//! The table against profiles in Docker's format that lie on the machine, the sieve by cases.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a skipped test says so"
)]

use super::*;
use crate::capabilities;

fn facts<'f>(capabilities: &'f Set, architecture: &'f str) -> Facts<'f> {
    Facts {
        capabilities,
        architecture,
        kernel: (6, 1),
    }
}

/// What is allowed, with its arguments.
fn allowed(profile: &Profile) -> BTreeSet<String> {
    profile
        .syscalls
        .iter()
        .filter(|rule| rule.action == "SCMP_ACT_ALLOW")
        .flat_map(|rule| rule.names.iter().map(move |name| (name, &rule.args)))
        .map(|(name, args)| match args.first() {
            None => name.clone(),
            Some(arg) => format!("{name}({} {} {})", arg.index, arg.op, arg.value),
        })
        .collect()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_default_has_what_docker_allows() {
    let all = capabilities::from_mask(u64::MAX);
    let default = capabilities::default_set();
    let none = Set::new();
    // capabilities, architecture, system calls (socket and personality by argument), of them
    // decided by an argument
    let cases = [
        (&default, "x86_64", 376, 9),
        (&none, "x86_64", 375, 9),
        (&all, "x86_64", 421, 8),
        (&default, "aarch64", 380, 9),
        (&default, "s390x", 377, 9),
        (&default, "pdp11", 374, 9),
    ];
    for (capabilities, architecture, count, by_argument) in cases {
        let profile = default_profile(&facts(capabilities, architecture));
        let allowed = allowed(&profile);
        let arguments = allowed.iter().filter(|name| name.contains('(')).count();
        assert_eq!(
            (allowed.len(), arguments),
            (count, by_argument),
            "{architecture}, {} capabilities",
            capabilities.len()
        );
    }
}

/// `containers-common`'s profile, in Docker's format, is podman's: what it decides otherwise is
/// listed here by name.
#[test]
fn podmans_profile_differs_as_known() {
    const PATH: &str = "/usr/share/containers/seccomp.json";
    let Ok(text) = std::fs::read_to_string(PATH) else {
        eprintln!("skipped: there is no {PATH}");
        return;
    };
    let default = capabilities::default_set();
    let facts = facts(&default, "x86_64");
    let theirs = allowed(&from_docker_profile(&text, &facts).unwrap().unwrap());
    let ours = allowed(&default_profile(&facts));
    let plain = |set: &BTreeSet<String>, other: &BTreeSet<String>| {
        set.difference(other)
            .filter(|name| !name.starts_with("clone(") && !name.starts_with("socket("))
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    let more = words(
        "clone clone3 fsconfig fsmount fsopen fspick get_mempolicy keyctl mbind mount \
         mount_setattr move_mount open_tree pidfd_getfd pivot_root readdir reboot set_mempolicy \
         setns sigaction signal sigpending sigsuspend syscall syslog timerfd umount umount2 \
         unshare",
    );
    // Newer kernels' calls are in the newer of the profiles only.
    let newer_or_ours = plain(&ours, &theirs);
    assert!(
        plain(&theirs, &ours).is_subset(&more),
        "{:?}",
        plain(&theirs, &ours)
    );
    assert!(
        theirs.len() > 300 && newer_or_ours.len() < 60,
        "{newer_or_ours:?}"
    );
}

#[test]
fn conditions_of_dockers_format() {
    let profile = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "flags": ["F"],
        "archMap": [
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null},
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"name": "one", "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}},
            {"names": ["cap"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_KILL"]}},
            {"names": ["caps"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_KILL", "CAP_BPF"]}},
            {"names": ["nocap"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_KILL", "CAP_BPF"]}},
            {"names": ["arch"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64", "amd64"]}},
            {"names": ["noarch"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["old"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.1"}},
            {"names": ["new"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
            {"names": ["unnew"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
            {"names": ["arg"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 1, "value": 7, "op": "SCMP_CMP_EQ"}]},
            {"names": ["no"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]}"#;
    let capabilities: Set = ["CAP_KILL"].into();
    let found = from_docker_profile(profile, &facts(&capabilities, "x86_64"))
        .unwrap()
        .unwrap();
    assert_eq!(
        serde_json::to_string(&found).unwrap(),
        concat!(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"#,
            r#""architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"flags":["F"],"syscalls":["#,
            r#"{"names":["arch","cap","old","one"],"action":"SCMP_ACT_ALLOW"},"#,
            r#"{"names":["arg"],"action":"SCMP_ACT_ALLOW","#,
            r#""args":[{"index":1,"value":7,"valueTwo":0,"op":"SCMP_CMP_EQ"}]},"#,
            r#"{"names":["no"],"action":"SCMP_ACT_ERRNO","errnoRet":5}]}"#
        )
    );
}

#[test]
fn profiles_that_are_none() {
    let none = Set::new();
    let facts = facts(&none, "x86_64");
    for empty in ["{}", r#"{"syscalls": null}"#, r#"{"syscalls": []}"#] {
        assert!(
            from_docker_profile(empty, &facts).unwrap().is_none(),
            "{empty}"
        );
    }
    let long = " ".repeat(PROFILE_BYTES + 1);
    for (text, wanted) in [
        ("", "EOF"),
        ("3", "read the seccomp profile"),
        (r#"{"syscalls": {}}"#, "invalid type"),
        (
            r#"{"defaultAction": "A", "architectures": ["X"], "archMap": [{"architecture": "X"}]}"#,
            "architectures",
        ),
        (r#"{"syscalls": [{"name": "a", "names": ["b"]}]}"#, "names"),
        (
            r#"{"syscalls": [{"names": ["b"], "includes": {"minKernel": "six"}}]}"#,
            "six",
        ),
        (long.as_str(), "1048577 bytes"),
    ] {
        let error = from_docker_profile(text, &facts).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
