//! Contexts, Dockerfiles and archives that mean harm: nothing outside is read or touched, and no secret
//! gets where it would stay.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::build::{course, tree};
use crate::harness::base;
use crate::harness::image::hex;
use crate::harness::leftovers::holding;
use crate::harness::tar::{Entry, tar};

#[test]
fn contexts_that_reach_out() {
    let Some(store) = base::store() else { return };
    let outside = store.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("loot"), "loot\n").unwrap();
    let context = course(&store, "");
    symlink(&outside, context.join("folder")).unwrap();
    symlink(outside.join("loot"), context.join("link")).unwrap();
    symlink("../outside/loot", context.join("relative")).unwrap();
    symlink("loop", context.join("loop")).unwrap();
    let check = |source: &str| {
        let text = format!("FROM scratch\nCOPY {source} /got\n");
        fs::write(context.join("Dockerfile"), text).unwrap();
        let ran = store.run(&["build", "-t", "got", context.to_str().unwrap()]);
        if ran.code == Some(0) {
            // Then it is the link itself, or nothing of what it names.
            let found = tree(&store, "got");
            let loot = Some(hex(b"loot\n"));
            let has_loot = found.values().any(|node| node.content == loot);
            assert!(!has_loot, "{source}: {found:?}");
        } else {
            ran.assert_refused();
        }
    };
    for source in [
        "../outside/loot",
        "folder/loot",
        "folder",
        "link",
        "relative",
        "loop",
        "src/../../outside/loot",
        "/../outside/loot",
        "fol*/loot",
        ".",
    ] {
        check(source);
    }
}

#[test]
fn dockerfiles_and_ignore_files_that_reach_out() {
    let Some(store) = base::store() else { return };
    let context = course(&store, "FROM scratch\nCOPY app.py /\n");
    fs::remove_file(context.join(".dockerignore")).unwrap();
    symlink("/etc/passwd", context.join(".dockerignore")).unwrap();
    let ran = store.run(&["build", context.to_str().unwrap()]);
    assert!(
        ran.code.is_some() && !ran.stderr.contains("panicked"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("root:x:0"), "{}", ran.stderr);
}

#[test]
fn archives_that_reach_out() {
    let Some(store) = base::store() else { return };
    let context = course(&store, "FROM busybox\nADD bad.tar /a/\n");
    let target = store.path("victim");
    fs::write(&target, "safe\n").unwrap();
    let absolute = target.to_str().unwrap().trim_start_matches('/').to_owned();
    let hostile: [Vec<Entry>; 5] = [
        vec![Entry::file("../../../etc/passwd", b"gone\n")],
        vec![Entry::file(&format!("/{absolute}"), b"gone\n")],
        vec![
            Entry::symlink("x", "/"),
            Entry::file(&format!("x/{absolute}"), b"gone\n"),
        ],
        vec![
            Entry::symlink("up", "../.."),
            Entry::file("up/etc/passwd", b"gone\n"),
        ],
        vec![
            Entry::hard_link("passwd", "/etc/passwd"),
            Entry::file("passwd", b"gone\n"),
        ],
    ];
    for entries in hostile {
        fs::write(context.join("bad.tar"), tar(&entries)).unwrap();
        let ran = store.run(&["build", "-t", "got", context.to_str().unwrap()]);
        assert!(
            ran.code.is_some() && !ran.stderr.contains("panicked"),
            "{ran:?}"
        );
        assert_eq!(fs::read_to_string(&target).unwrap(), "safe\n");
        assert!(
            fs::read_to_string("/etc/passwd")
                .unwrap()
                .starts_with("root:")
        );
        store.assert_sound();
    }
}

#[test]
fn mounts_that_reach_out() {
    let Some(store) = base::store() else { return };
    let context = course(&store, "");
    symlink("/etc", context.join("etc")).unwrap();
    for mount in [
        "type=bind,source=../,target=/m",
        "type=bind,source=etc,target=/m",
        "type=bind,source=/../../etc,target=/m",
        "type=cache,target=/m,source=../../..,from=busybox",
        "type=bind,from=busybox,source=../../../etc,target=/m",
    ] {
        let text = format!(
            "FROM busybox\nRUN --mount={mount} cat /m/shadow /m/hostname /m/outside 2>&1; ls /m\n"
        );
        fs::write(context.join("Dockerfile"), text).unwrap();
        let ran = store.run(&["build", "--no-cache", context.to_str().unwrap()]);
        let shadow = fs::read_to_string("/etc/shadow").unwrap();
        let line = shadow.lines().next().unwrap();
        assert!(!ran.stderr.contains(line), "{mount}: {}", ran.stderr);
        assert!(
            ran.code.is_some() && !ran.stderr.contains("panicked"),
            "{ran:?}"
        );
    }
}

#[test]
fn secrets_stay_secret() {
    let Some(store) = base::store() else { return };
    let secret = "correct-horse-battery-staple-93";
    let dockerfile = "FROM busybox
RUN --mount=type=secret,id=file,required=true wc -c < /run/secrets/file > /length
RUN --mount=type=secret,id=file,target=/etc/token,mode=0400,uid=7 stat -c '%a %u' /etc/token > /mode
RUN --mount=type=secret,id=env,env=TOKEN test ${#TOKEN} = 31 && env | grep -c TOKEN
RUN --mount=type=secret,id=file --mount=type=cache,target=/c test -s /run/secrets/file
RUN test ! -s /run/secrets/file && test ! -s /etc/token
RUN --mount=type=secret,id=file cat /run/secrets/file > /dev/null; exit 3
";
    let context = course(&store, dockerfile);
    // Whoever gives a secret has it somewhere: not in the context, and not below the store.
    let file = store.path("token");
    fs::write(&file, secret).unwrap();
    let given = format!("--secret=id=file,src={}", file.display());
    let mut line = store.command(&[
        "build",
        "-t",
        "app",
        &given,
        "--secret=id=env,env=MINE",
        context.to_str().unwrap(),
    ]);
    let ran = line.env("MINE", secret).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("exit code: 3"), "{said}");
    assert!(!said.contains(secret), "{said}");
    fs::write(
        context.join("Dockerfile"),
        dockerfile.replace("; exit 3", ""),
    )
    .unwrap();
    let mut line = store.command(&[
        "build",
        "-t",
        "app",
        &given,
        "--secret=id=env,env=MINE",
        context.to_str().unwrap(),
    ]);
    let ran = line.env("MINE", secret).output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let found = holding(store.root(), secret.as_bytes());
    assert_eq!(found, Vec::<PathBuf>::new());
    assert_eq!(store.ok(&["image", "cat", "app", "/mode"]), "400 7\n");
    // Another secret is no reason to do a step again, and a missing one says its name.
    let missing = store.run(&["build", "--no-cache", context.to_str().unwrap()]);
    missing.assert_refused();
    missing.assert_says(&["file", "not found"]);
}

#[test]
fn bombs_end() {
    let Some(store) = base::store() else { return };
    let check = |dockerfile: &str| {
        let ran = store.run_with(&["build", "-"], dockerfile.as_bytes());
        assert!(ran.code.is_some_and(|code| code != 101), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    };
    check(&format!("FROM scratch\nENV A={}\n", "x".repeat(1 << 20)));
    let mut doubling = "FROM scratch\nENV A0=xxxxxxxxxxxxxxxx\n".to_owned();
    for n in 0..40 {
        doubling.push_str(&format!("ENV A{}=$A{n}$A{n}\n", n + 1));
    }
    check(&doubling);
    check(&"FROM scratch\n".repeat(5000));
    check(&format!("FROM scratch\nLABEL {}\n", "a=b ".repeat(100_000)));
}

/// The judge is the machine itself: nothing is mounted when all is over.
#[test]
fn nothing_is_left_mounted() {
    let Some(store) = base::store() else { return };
    let context = course(
        &store,
        "FROM busybox\nRUN --mount=type=tmpfs,target=/t true\nRUN false\n",
    );
    store.refused(&["build", context.to_str().unwrap()]);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = store.root().to_str().unwrap();
    assert!(!mounts.contains(root), "{mounts}");
}
