//! What podman's `--cap-add` and `--cap-drop` mean, case by case.

use super::*;

fn strings(names: &str) -> Vec<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

fn short(set: &Set) -> String {
    let names: Vec<&str> = set
        .iter()
        .map(|name| name.strip_prefix("CAP_").unwrap_or(name))
        .collect();
    names.join(" ")
}

const ELEVEN: &str = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT";

#[test]
fn adding_and_dropping() {
    let ten = ELEVEN.replace(" KILL", "");
    let with_admin = ten.replace(" NET_BIND", " NET_ADMIN NET_BIND");
    // root, privileged, add, drop, bounding, effective, ambient
    let cases = [
        (true, false, "", "", ELEVEN, ELEVEN, ""),
        (false, false, "", "", ELEVEN, "", ""),
        (
            true,
            false,
            "net_admin",
            "CAP_KILL",
            &with_admin,
            &with_admin,
            "",
        ),
        (false, false, "Cap_Kill", "", ELEVEN, "KILL", "KILL"),
        (true, false, "", "all", "", "", ""),
        (true, false, "KILL", "ALL", "KILL", "KILL", ""),
        (false, false, "KILL", "ALL", "KILL", "KILL", "KILL"),
        (
            true,
            false,
            "ALL",
            "",
            "BPF KILL SYS_ADMIN",
            "BPF KILL SYS_ADMIN",
            "",
        ),
        (
            true,
            false,
            "ALL",
            "BPF",
            "KILL SYS_ADMIN",
            "KILL SYS_ADMIN",
            "",
        ),
        (
            false,
            false,
            "ALL",
            "BPF",
            "KILL SYS_ADMIN",
            "KILL SYS_ADMIN",
            "KILL SYS_ADMIN",
        ),
        (
            true,
            true,
            "",
            "",
            "BPF KILL SYS_ADMIN",
            "BPF KILL SYS_ADMIN",
            "",
        ),
        (true, true, "", "KILL", "BPF SYS_ADMIN", "BPF SYS_ADMIN", ""),
        (false, true, "", "", "BPF KILL SYS_ADMIN", "", ""),
    ];
    let available: Set = ["CAP_BPF", "CAP_KILL", "CAP_SYS_ADMIN"].into();
    for (root, privileged, add, drop, bounding, effective, ambient) in cases {
        let (usual, added, dropped) = (default_set(), strings(add), strings(drop));
        let found =
            of_process(root, privileged, &usual, &added, &dropped, &available).map(|sets| {
                assert_eq!(sets.permitted, sets.effective);
                assert_eq!(sets.inheritable, sets.ambient);
                [sets.bounding, sets.effective, sets.ambient].map(|set| short(&set))
            });
        let wanted = [bounding, effective, ambient].map(str::to_owned);
        assert_eq!(
            found,
            Ok(wanted),
            "root {root}, privileged {privileged}, +{add} -{drop}"
        );
    }
}

#[test]
fn what_cannot_be() {
    let unknown = |name: &str| CapabilityError::Unknown {
        name: name.to_owned(),
    };
    let contradiction = |name: &str| CapabilityError::Contradiction {
        name: name.to_owned(),
    };
    let cases = [
        ("FLY", "", unknown("FLY")),
        ("", "CAP_", unknown("CAP_")),
        ("CAP_CAP_KILL", "", unknown("CAP_CAP_KILL")),
        ("KILL", "cap_kill", contradiction("CAP_KILL")),
        ("ALL", "ALL", contradiction("ALL")),
    ];
    for (add, drop, wanted) in cases {
        let found = of_process(
            true,
            false,
            &default_set(),
            &strings(add),
            &strings(drop),
            &Set::new(),
        );
        assert_eq!(found, Err(wanted), "+{add} -{drop}");
    }
}

#[test]
fn bits_have_the_kernels_numbers() {
    assert_eq!(
        short(&from_mask(1 << 21 | 1 << 40 | 1 << 63)),
        "CHECKPOINT_RESTORE SYS_ADMIN"
    );
    assert_eq!(from_mask(u64::MAX).len(), 41);
}

#[test]
fn dockers_are_more() {
    // The mask that BuildKit's own tests expect of a step.
    assert_eq!(docker_set(), from_mask(0xa804_25fb));
    let user = of_process(false, false, &docker_set(), &[], &[], &Set::new()).unwrap();
    assert_eq!((user.bounding, user.effective), (docker_set(), Set::new()));
}
