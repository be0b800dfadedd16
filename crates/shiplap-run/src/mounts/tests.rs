#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use super::*;

#[test]
fn mountinfo_lines() {
    let check = |line: &str, expected: Option<(&str, &str)>| {
        let mounted = parse_mount(line);
        let expected = expected.map(|(name, path)| Mounted {
            name: name.to_owned(),
            path: path.into(),
        });
        assert_eq!(mounted, expected, "{line}");
    };
    check(
        "91 29 0:45 / /mnt ro,nosuid,nodev shared:1 - overlay shiplap:python:3.11 ro,lowerdir=x",
        Some(("python:3.11", "/mnt")),
    );
    check(
        r"91 29 0:45 / /a\040b ro - overlay shiplap:a\134b ro",
        Some((r"a\b", "/a b")),
    );
    check("91 29 0:45 / /mnt ro - overlay overlay ro", None);
    check("91 29 0:45 / /mnt ro - tmpfs shiplap:x ro", None);
    check("91 29 0:45 / /mnt ro", None);
    check("", None);
}

#[test]
fn unescape_takes_only_octal() {
    let check = |field: &str, expected: &str| assert_eq!(unescape(field), expected, "{field}");
    check(r"\040", " ");
    check(r"\04", r"\04");
    check(r"\999", r"\999");
    check(r"\", r"\");
    check("plain", "plain");
}

/// Two unpacked trees, stacked: the upper file hides the lower, both are seen, and one unmount
/// ends it. Needs the right to mount; says so where it lacks.
#[test]
fn stack_of_trees() {
    let directory = tempfile::tempdir().expect("because the temporary directory is writable");
    let path = |name: &str| {
        let path = directory.path().join(name);
        fs::create_dir(&path).expect("because the name is new");
        path
    };
    let (base, top, target, scratch) = (path("base"), path("top"), path("target"), path("scratch"));
    let write =
        |path: PathBuf, text: &str| fs::write(path, text).expect("because the directory exists");
    write(base.join("a"), "base");
    write(base.join("b"), "base");
    write(top.join("b"), "top");
    let layers = [LayerSource::Tree(base), LayerSource::Tree(top)];
    match mount_stack(&layers, None, None, "test", &target, &scratch) {
        Err(MountError::Stack { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            eprintln!("skipped: mounting is not permitted here");
            return;
        }
        result => result.expect("because overlayfs is there"),
    }
    let read = |name: &str| fs::read_to_string(target.join(name)).ok();
    let seen = (
        read("a"),
        read("b"),
        mounted().map(|all| all.iter().any(|m| m.path == target)),
    );
    let ended = unmount_stack(&target);
    assert_eq!(seen.0.as_deref(), Some("base"));
    assert_eq!(seen.1.as_deref(), Some("top"));
    assert!(matches!(seen.2, Ok(true)), "the mount is listed");
    ended.expect("because it is mounted");
    assert_eq!(read("a"), None, "nothing is mounted any more");
    assert!(matches!(
        unmount_stack(&target),
        Err(MountError::NotMounted { .. })
    ));
    assert_eq!(
        fs::read_dir(&scratch).expect("because it exists").count(),
        0
    );
}
