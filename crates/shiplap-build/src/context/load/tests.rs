#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests may stop at the first surprise, and say what was skipped"
)]

use std::collections::BTreeMap;
use std::process::Command;

use super::super::tests::world::{World, web};
use super::super::{Counting, Recall, RemoteError, fetch_url};
use super::*;

/// A tar of what `script` makes, as `tar` writes it with `flags`.
fn tar_of(world: &World, name: &str, script: &str, flags: &str) -> Vec<u8> {
    let directory = world.made(name, script);
    let output = Command::new("tar")
        .args(["-c", "--sort=name"])
        .args(flags.split_whitespace())
        .args(["-C", directory.to_str().unwrap(), "."])
        .output()
        .unwrap();
    assert!(output.status.success(), "{flags}");
    output.stdout
}

fn load_stdin(world: &World, bytes: &[u8], file: Option<&str>) -> Result<Loaded, String> {
    let mut stdin = bytes;
    let loaded = load(&ContextSource::Stdin, file, &mut stdin, world.around());
    loaded.map_err(|error| error.to_string())
}

/// The text of the Dockerfile, and the files that are not hidden.
fn shown(loaded: &Loaded) -> String {
    let context = &loaded.context;
    let found = &context.resolve("/").unwrap()[0];
    let tree = context.select(found, &Patterns::default()).unwrap();
    let files: Vec<_> = tree
        .entries
        .iter()
        .skip(1)
        .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
        .collect();
    let text = String::from_utf8_lossy(&loaded.dockerfile.text);
    format!("{}: {text} | {}", loaded.dockerfile.name, files.join(" "))
}

const FILES: &str = "printf FROM >Dockerfile; printf secret >secret; mkdir d; printf 1 >d/f; printf secret >.dockerignore";

#[test]
fn finds_dockerfiles_of_directories() {
    fn check(script: &str, file: Option<&str>, wanted: &str) {
        let world = World::new();
        let directory = world.made("context", script);
        world.made(
            "elsewhere",
            "printf OUT >Outside; printf d >Outside.dockerignore; printf IN >In",
        );
        let elsewhere = world.temp.path().join("elsewhere");
        let file = file.map(|file| file.replace("ELSEWHERE", elsewhere.to_str().unwrap()));
        let source = ContextSource::parse(directory.to_str().unwrap()).unwrap();
        let mut stdin = b"STDIN".as_slice();
        let loaded = load(&source, file.as_deref(), &mut stdin, world.around());
        let found = loaded.map_or_else(|error| error.to_string(), |loaded| shown(&loaded));
        assert_eq!(found, wanted, "{script} {file:?}");
    }
    let rest = "| .dockerignore Dockerfile d d/f";
    check(FILES, None, &format!("Dockerfile: FROM {rest}"));
    check(FILES, Some("-"), &format!("stdin: STDIN {rest}"));
    check(FILES, Some("ELSEWHERE/In"), &format!("In: IN {rest}"));
    // Its own ignore file comes first.
    check(
        FILES,
        Some("ELSEWHERE/Outside"),
        "Outside: OUT | .dockerignore Dockerfile secret",
    );
    check(
        "mkdir b; printf B >b/Dockerfile; printf b >b/Dockerfile.dockerignore; printf x >x",
        Some("b/Dockerfile"),
        "b/Dockerfile: B | x",
    );
    check(
        "printf low >dockerfile",
        None,
        "Dockerfile: low | dockerfile",
    );
    check(
        "printf D >d; ln -s d Dockerfile",
        None,
        "Dockerfile: D | Dockerfile d",
    );
    let missing = "read dockerfile: open Dockerfile: no such file or directory";
    check("true", None, missing);
    check("true", Some("Dockerfile"), missing);
    check(
        "true",
        Some("ELSEWHERE/None"),
        "read dockerfile: open None: no such file or directory",
    );
    check(
        "mkdir Dockerfile",
        None,
        "read dockerfile: read Dockerfile: is a directory",
    );
    // Links of the context stay in it; a pipe is not waited for.
    check("ln -s /etc/passwd Dockerfile", None, missing);
    check(
        "mkfifo Dockerfile",
        None,
        "read dockerfile: read Dockerfile: it is no regular file",
    );
    check(
        "printf F >Dockerfile; printf '[' >.dockerignore",
        None,
        "read .dockerignore: parse pattern 1: parse pattern \"[\": it has an unfinished class, range or escape",
    );
}

#[test]
fn names_what_is_no_context() {
    fn check(text: &str, wanted: &str) {
        let found = ContextSource::parse(text).unwrap_err().to_string();
        assert_eq!(found, wanted);
    }
    check(
        "",
        "prepare context: name a directory, as \".\" for the current one",
    );
    check(
        "/none/such",
        "prepare context: path \"/none/such\" not found",
    );
    check(
        "/etc/passwd",
        "prepare context: \"/etc/passwd\" is no directory",
    );
    let named = |text| ContextSource::parse_named(text);
    assert_eq!(
        named("docker-image://alpine:3"),
        Ok(ContextSource::Image("alpine:3".into()))
    );
    assert_eq!(
        named("oci-layout:///x@sha256:0"),
        Ok(ContextSource::Layout("/x@sha256:0".into()))
    );
    assert_eq!(named("/etc"), Ok(ContextSource::Directory("/etc".into())));
    assert!(matches!(
        named("https://h/r.git#x"),
        Ok(ContextSource::Git(_))
    ));
    assert!(matches!(
        named("https://h/r.tar"),
        Ok(ContextSource::Url(_))
    ));
    assert!(matches!(
        ContextSource::parse("github.com/a/b"),
        Ok(ContextSource::Git(_))
    ));
}

#[test]
fn takes_archives_of_all_forms() {
    let world = World::new();
    for (index, flags) in [
        "",
        "-z",
        "-j",
        "-J",
        "--zstd",
        "--format=v7",
        "--format=posix",
    ]
    .iter()
    .enumerate()
    {
        let tar = tar_of(&world, &format!("tar{index}"), FILES, flags);
        let loaded = load_stdin(&world, &tar, None).unwrap();
        assert_eq!(
            shown(&loaded),
            "Dockerfile: FROM | .dockerignore Dockerfile d d/f",
            "{flags}"
        );
        let loaded = load_stdin(&world, &tar, Some("d/f")).unwrap();
        assert_eq!(
            shown(&loaded),
            "d/f: 1 | .dockerignore Dockerfile d d/f",
            "{flags}"
        );
    }
}

#[test]
fn tells_dockerfiles_from_archives() {
    let world = World::new();
    let loaded = load_stdin(&world, b"FROM scratch\n", None).unwrap();
    assert_eq!(shown(&loaded), "Dockerfile: FROM scratch\n | ");
    let check = |bytes: &[u8], file: Option<&str>, wanted: &str| {
        assert_eq!(load_stdin(&world, bytes, file).unwrap_err(), wanted);
    };
    check(
        b"FROM scratch",
        Some("x"),
        "prepare context: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
    );
    check(
        b"FROM scratch",
        Some("-"),
        "prepare context: can't use stdin for both build context and dockerfile",
    );
    check(
        b"",
        None,
        "prepare context: nothing on standard input, want a Dockerfile or an archive",
    );
    let long = vec![b'#'; limits::DOCKERFILE_BYTES + 1];
    let error = load_stdin(&world, &long, None).unwrap_err();
    assert!(error.contains("is longer than"), "{error}");
    // Half an archive, and one that is no tar.
    let tar = tar_of(&world, "tar", FILES, "-z");
    let error = load_stdin(&world, &tar[..tar.len() / 2], None).unwrap_err();
    assert!(error.starts_with("unpack context: "), "{error}");
    let error = load_stdin(&world, b"\x1f\x8b\x08not at all", None).unwrap_err();
    assert!(error.starts_with("unpack context: "), "{error}");
}

#[test]
fn archives_keep_owners_and_stay_inside() {
    let world = World::new();
    let outside = world.temp.path().join("outside");
    let script = format!(
        "printf FROM >Dockerfile; printf x >f; chown 123:456 f; chmod 640 f; ln -s {} out; ln f g",
        outside.display()
    );
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI needs root");
        eprintln!("skipped: needs root");
        return;
    }
    let tar = tar_of(&world, "tar", &script, "");
    let loaded = load_stdin(&world, &tar, None).unwrap();
    let found = &loaded.context.resolve("f").unwrap()[0];
    let tree = loaded.context.select(found, &Patterns::default()).unwrap();
    let entry = &tree.entries[0];
    assert_eq!((entry.uid, entry.gid, entry.mode), (123, 456, 0o640));
    assert!(loaded.context.resolve("out").is_err());
    // A second archive, whose entry goes through the link of the first name.
    let tar = tar_of(
        &world,
        "escape",
        &format!(
            "ln -s {} a; printf FROM >Dockerfile",
            world.temp.path().display()
        ),
        "",
    );
    let more = tar_of(&world, "more", "mkdir a; printf x >a/escaped", "");
    let both = [&tar[..tar.len() - 10240 + 512 * 4], &more].concat();
    // It became a file in the context's own place of that name, or was refused.
    drop(load_stdin(&world, &both, None));
    assert!(!world.temp.path().join("escaped").exists());
    // What only layers of images may do.
    let tar = tar_of(
        &world,
        "whiteout",
        "printf FROM >Dockerfile; printf x >.wh.f",
        "",
    );
    let error = load_stdin(&world, &tar, None).unwrap_err();
    assert!(
        error.starts_with("unpack context: it deletes /f"),
        "{error}"
    );
}

#[test]
fn fetches_contexts_and_dockerfiles() {
    let world = World::new();
    let tar = tar_of(&world, "tar", FILES, "-z");
    let server = web(BTreeMap::from([
        ("c.tar.gz".to_owned(), tar),
        ("D".to_owned(), b"WEB".to_vec()),
    ]));
    let check = |address: &str, file: Option<&str>, wanted: &str| {
        let source = ContextSource::parse(&format!("{server}{address}")).unwrap();
        let file = file.map(|file| file.replace("SERVER", &server));
        let mut stdin = b"STDIN".as_slice();
        let loaded = load(&source, file.as_deref(), &mut stdin, world.around());
        let found = loaded.map_or_else(|error| error.to_string(), |loaded| shown(&loaded));
        assert_eq!(found.replace(&server, "SERVER"), wanted, "{address}");
    };
    let rest = "| .dockerignore Dockerfile d d/f";
    check("/c.tar.gz", None, &format!("Dockerfile: FROM {rest}"));
    check("/c.tar.gz", Some("-"), &format!("stdin: STDIN {rest}"));
    check(
        "/c.tar.gz",
        Some("SERVER/D"),
        &format!("SERVER/D: WEB {rest}"),
    );
    check("/D?x", None, "Dockerfile: WEB | ");
    let source = ContextSource::parse(&format!("{server}/none")).unwrap();
    let missing = load(&source, None, &mut io::empty(), world.around());
    assert!(matches!(missing, Err(LoadError::Download(_))));
    let named = load_named(
        &ContextSource::Url(format!("{server}/c.tar.gz")),
        world.around(),
    );
    assert_eq!(named.unwrap().resolve("d/*").unwrap().len(), 1);
}

#[test]
fn fetches_files_for_add() {
    let world = World::new();
    let server = web(BTreeMap::from([("a/b.txt".to_owned(), b"hello".to_vec())]));
    let address = format!("{server}/a/b.txt?q");
    let sha256 = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let found = fetch_url(&address, Some(sha256), Recall::Enough, world.around()).unwrap();
    assert_eq!(found.name, "b.txt");
    assert_eq!(found.sha256.as_str(), sha256);
    assert_eq!((found.size_bytes, found.modified), (5, Some(1_700_000_000)));
    assert_eq!(found.content, super::super::ContentDigest::of(b"hello"));
    let mut text = String::new();
    found
        .open()
        .unwrap()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "hello");
    let wrong = sha256.replace("2cf2", "0000");
    let error = fetch_url(&address, Some(&wrong), Recall::Enough, world.around()).unwrap_err();
    assert!(matches!(error, RemoteError::Checksum { .. }));
    assert!(
        error.to_string().contains("digest mismatch sha256:2cf2"),
        "{error}"
    );
    let error = fetch_url(&address, Some("sha256:12"), Recall::Enough, world.around()).unwrap_err();
    assert!(matches!(error, RemoteError::NoChecksum { .. }));
}

#[test]
fn directories_are_remembered() {
    let world = World::new();
    let directory = world.made("context", FILES);
    let source = ContextSource::Directory(directory.clone());
    let digest = || {
        let loaded = load(&source, None, &mut io::empty(), world.around()).unwrap();
        let found = &loaded.context.resolve("d").unwrap()[0];
        let tree = loaded.context.select(found, &Patterns::default()).unwrap();
        loaded.context.memory().save().unwrap();
        tree.digest(Counting {
            modes: true,
            owners: true,
        })
    };
    let first = digest();
    super::super::tests::age(&directory.join("d/f"));
    assert_eq!(digest(), first);
    let memories = world.around().memories.unwrap().to_owned();
    assert_eq!(std::fs::read_dir(memories).unwrap().count(), 1);
    assert_eq!(digest(), first);
}
