#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use super::*;

pub(crate) mod world;

const ALL: Counting = Counting {
    modes: true,
    owners: true,
};

/// A directory made of lines: `dir/`, `file = content`, `link -> target`, `name => first name`.
fn directory(lines: &[&str]) -> tempfile::TempDir {
    let made = tempfile::tempdir().unwrap();
    add(made.path(), lines);
    made
}

fn add(top: &Path, lines: &[&str]) {
    for line in lines {
        if let Some((name, first)) = line.split_once(" => ") {
            fs::hard_link(top.join(first), top.join(name)).unwrap();
        } else if let Some((name, target)) = line.split_once(" -> ") {
            symlink(target, top.join(name)).unwrap();
        } else if let Some((name, content)) = line.split_once(" = ") {
            fs::create_dir_all(top.join(name).parent().unwrap()).unwrap();
            fs::write(top.join(name), content).unwrap();
            let mode = fs::Permissions::from_mode(0o644);
            fs::set_permissions(top.join(name), mode).unwrap();
        } else {
            fs::create_dir_all(top.join(line)).unwrap();
        }
    }
}

fn open(directory: &Path, ignore: &[&str]) -> Context {
    let ignore = Patterns::new(ignore).unwrap();
    let facts = Facts {
        ignore,
        ..Facts::default()
    };
    Context::open(directory, facts).unwrap()
}

/// Old enough that its times can be relied on.
pub(crate) fn age(path: &Path) {
    // Times of change can't be set: wait until the tick is over, on the file's own clock.
    let changed = || {
        let stat = rustix::fs::stat(path).unwrap();
        Duration::new(stat.st_ctime as u64, stat.st_ctime_nsec as u32)
    };
    let settled = SystemTime::UNIX_EPOCH + changed() + Duration::from_millis(60);
    while let Ok(left) = settled.duration_since(SystemTime::now()) {
        std::thread::sleep(left);
    }
}

/// `name (directory: its entries)` for each match.
fn select(context: &Context, matches: Vec<Match>, excludes: &[&str]) -> Result<String, FilesError> {
    let excludes = Patterns::new(excludes).unwrap();
    let mut shown = Vec::new();
    for found in matches {
        let tree = context.select(&found, &excludes)?;
        let paths = tree.entries.iter().skip(usize::from(found.is_directory));
        let paths: Vec<_> = paths
            .map(|entry| {
                let path = String::from_utf8_lossy(&entry.path).into_owned();
                match &entry.kind {
                    Kind::Directory => path + "/",
                    Kind::Link(target) => format!("{path}@{}", String::from_utf8_lossy(target)),
                    _ => path,
                }
            })
            .collect();
        let name = String::from_utf8_lossy(&found.name).into_owned();
        shown.push(match found.is_directory {
            true => format!("{name}({})", paths.join(" ")),
            false if tree.entries.is_empty() => format!("no {name}"),
            false => name,
        });
    }
    Ok(shown.join(", "))
}

const TREE: &[&str] = &[
    "a/one.txt = 1",
    "a/two.md = 2",
    "a/sub/deep.txt = 3",
    "b/one.txt = 4",
    "top.txt = 5",
    "link -> a/sub",
    "file-link -> a/two.md",
    "a/up -> ../top.txt",
    "root-link -> /b",
    "out -> ../../../../etc",
    "gone -> nowhere",
    "loop -> loop",
    "[x]/in = 6",
];

#[test]
fn finds_sources_as_buildkit_does() {
    fn check(source: &str, wanted: &str) {
        let made = directory(TREE);
        let context = open(made.path(), &[]);
        let found = context.resolve(source);
        let found = found.and_then(|matches| select(&context, matches, &[]));
        let found = found.unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(found, wanted, "{source}");
    }
    check("top.txt", "top.txt");
    check("/top.txt", "top.txt");
    check("./top.txt", "top.txt");
    check("../../top.txt", "top.txt");
    check("a/../top.txt", "top.txt");
    check("a/sub", "sub(deep.txt)");
    check("a/sub/", "sub(deep.txt)");
    check("a", "a(one.txt sub/ sub/deep.txt two.md up@../top.txt)");
    // Links: followed where they are named or stand on the way, copied where a directory has them.
    check("link", "link(deep.txt)");
    check("link/deep.txt", "deep.txt");
    check("file-link", "file-link");
    check("root-link", "root-link(one.txt)");
    check("a/up", "up");
    check("*-link", "file-link, root-link(one.txt)");
    // Out of the context there is nothing.
    let missing = |path: &str| format!("error: find in the context: {path:?}: not found");
    check("out", &missing("/out"));
    check("out/passwd", &missing("/out/passwd"));
    check("gone", &missing("/gone"));
    check("nothing", &missing("/nothing"));
    check("top.txt/x", &missing("/top.txt/x"));
    check("g*", &missing("/gone"));
    check("nothing/*", &missing("/nothing"));
    check(
        "loop",
        "error: find in the context: \"/loop\": too many symbolic links",
    );
    // Wildcards.
    check("*.txt", "top.txt");
    check("*/one.txt", "one.txt, one.txt");
    check("a/*.txt", "one.txt");
    check("?/*", "one.txt, sub(deep.txt), two.md, up, one.txt");
    check("link/*", "deep.txt");
    check(
        "[ab]",
        "a(one.txt sub/ sub/deep.txt two.md up@../top.txt), b(one.txt)",
    );
    check("[[]x]/in", "in");
    check("no*", "");
    check("top.txt/*", "");
}

#[test]
fn hides_what_the_ignore_file_says() {
    fn check(ignore: &[&str], source: &str, wanted: &str) {
        let made = directory(TREE);
        let context = open(made.path(), ignore);
        let found = context.resolve(source);
        let found = found.and_then(|matches| select(&context, matches, &[]));
        let found = found.unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(found, wanted, "{ignore:?}: {source}");
    }
    let hidden = "not found (an ignore file hides it)";
    let hidden = |path: &str| format!("error: find in the context: {path:?}: {hidden}");
    check(
        &["*.md", "**/*.md"],
        "a",
        "a(one.txt sub/ sub/deep.txt up@../top.txt)",
    );
    check(&["a"], "a", &hidden("/a"));
    check(&["a"], "a/one.txt", &hidden("/a/one.txt"));
    check(&["a"], "link", &hidden("/link"));
    check(&["link"], "link", &hidden("/link"));
    check(&["link"], "link/deep.txt", &hidden("/link/deep.txt"));
    check(&["a", "!a/sub"], "a", "a(sub/ sub/deep.txt)");
    check(&["a", "!a/sub"], "a/sub", "sub(deep.txt)");
    check(&["a", "!a/su*"], "link", "link(deep.txt)");
    check(&["a", "!a/nothing"], "a", &hidden("/a"));
    check(&["**", "!*/one.txt"], "/", "(a/ a/one.txt b/ b/one.txt)");
    check(&["**"], ".", "()");
    check(&["*.txt", "*.md"], "*.txt", "");
    check(&["a"], "?", "b(one.txt)");
    check(&["a", "!a/sub/deep.txt"], "?/*", "sub(deep.txt), one.txt");
}

#[test]
fn excludes_from_what_is_copied() {
    fn check(excludes: &[&str], source: &str, wanted: &str) {
        let made = directory(TREE);
        let context = open(made.path(), &[]);
        let matches = context.resolve(source).unwrap();
        let found = select(&context, matches, excludes).unwrap();
        assert_eq!(found, wanted, "{excludes:?}: {source}");
    }
    check(&["*.txt"], "a", "a(sub/ sub/deep.txt two.md up@../top.txt)");
    check(&["**/*.txt"], "a", "a(sub/ two.md up@../top.txt)");
    check(&["sub"], "a", "a(one.txt two.md up@../top.txt)");
    check(
        &["a/sub"],
        "a",
        "a(one.txt sub/ sub/deep.txt two.md up@../top.txt)",
    );
    check(&["*", "!sub/deep.txt"], "a", "a(sub/ sub/deep.txt)");
    check(&["*.txt"], "top.txt", "top.txt");
    check(&["*.txt"], "top*", "no top.txt");
    check(&["deep.*"], "link", "link()");
}

#[test]
fn keeps_parents() {
    fn check(source: &str, excludes: &[&str], wanted: &str) {
        let made = directory(TREE);
        let context = open(made.path(), &[]);
        let found = context.resolve_parents(source);
        let found = found.and_then(|matches| select(&context, matches, excludes));
        let found = found.unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(found, wanted, "{source}");
    }
    check("a/one.txt", &[], "(a/ a/one.txt)");
    check("./a/sub", &[], "(a/ a/sub/ a/sub/deep.txt)");
    check("a/./sub/deep.txt", &[], "a(sub/ sub/deep.txt)");
    check("a/./*.txt", &[], "a(one.txt)");
    check("*/one.txt", &[], "(a/ a/one.txt b/ b/one.txt)");
    check(
        "**/*.txt",
        &["b"],
        "(a/ a/one.txt a/sub/ a/sub/deep.txt top.txt)",
    );
    check("?/./one.txt", &[], "a(one.txt), b(one.txt)");
    check("no*/x", &[], "()");
    check("a/./no*", &[], "a()");
    let missing = "error: find in the context: \"/a/none\": not found";
    check("a/none", &[], missing);
    check("a/./none", &[], missing);
}

#[test]
fn digests_what_reaches_the_layer() {
    fn digest(lines: &[&str], counting: Counting, change: fn(&Path)) -> ContentDigest {
        let made = directory(lines);
        change(made.path());
        let context = open(made.path(), &[]);
        let found = &context.resolve("d").unwrap()[0];
        let tree = context.select(found, &Patterns::default()).unwrap();
        tree.digest(counting)
    }
    const LINES: &[&str] = &["d/f = same", "d/l -> f", "d/e/"];
    let base = digest(LINES, ALL, |_| {});
    let same = |change: fn(&Path)| assert_eq!(digest(LINES, ALL, change), base);
    let differs = |change: fn(&Path)| assert_ne!(digest(LINES, ALL, change), base);
    // Another directory, another time, another order.
    same(|_| {});
    same(|top| {
        let file = fs::File::options()
            .write(true)
            .open(top.join("d/f"))
            .unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    });
    assert_eq!(
        digest(&["d/e/", "d/l -> f", "d/f = same"], ALL, |_| {}),
        base
    );
    differs(|top| fs::write(top.join("d/f"), "sane").unwrap());
    differs(|top| fs::rename(top.join("d/f"), top.join("d/g")).unwrap());
    differs(|top| fs::rename(top.join("d/f"), top.join("d/e/f")).unwrap());
    differs(|top| fs::remove_dir(top.join("d/e")).unwrap());
    differs(|top| {
        fs::remove_file(top.join("d/l")).unwrap();
        symlink("e", top.join("d/l")).unwrap();
    });
    let executable: fn(&Path) = |top| {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(top.join("d/f"), mode).unwrap();
    };
    differs(executable);
    let unmoded = Counting {
        modes: false,
        ..ALL
    };
    assert_eq!(
        digest(LINES, unmoded, executable),
        digest(LINES, unmoded, |_| {})
    );
    // Two names of a file are not two files.
    let linked = digest(&["d/f = same", "d/g => d/f"], ALL, |_| {});
    let copied = digest(&["d/f = same", "d/g = same"], ALL, |_| {});
    assert_ne!(linked, copied);
    // A name outside of what is copied says nothing.
    let outside = digest(&["x = same", "d/", "d/f => x"], ALL, |_| {});
    assert_eq!(outside, digest(&["d/f = same"], ALL, |_| {}));
}

#[test]
fn remembers_files_that_did_not_change() {
    let made = directory(&["d/f = one", "d/g = two", "d/h => d/g"]);
    let memories = tempfile::tempdir().unwrap();
    let digest = || {
        let memory = StatMemory::open(memories.path(), made.path());
        let facts = Facts {
            memory,
            ..Facts::default()
        };
        let context = Context::open(made.path(), facts).unwrap();
        let found = &context.resolve("d").unwrap()[0];
        let tree = context.select(found, &Patterns::default()).unwrap();
        context.memory().save().unwrap();
        let known = tree.entries.iter().filter(|entry| {
            matches!(entry.kind, Kind::File(_))
                && entry.hard_link.is_none()
                && StatMemory::open(memories.path(), made.path())
                    .recall(&entry.stamp)
                    .is_some()
        });
        (tree.digest(ALL), known.count())
    };
    // Written in this very tick: not relied on.
    let fresh = digest();
    assert!(fresh.1 <= 2);
    age(&made.path().join("d/f"));
    age(&made.path().join("d/g"));
    assert_eq!(digest(), (fresh.0, 2));
    assert_eq!(digest(), (fresh.0, 2));
    // Same size, same time of modification: the time of change tells.
    let file = made.path().join("d/f");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, "eno").unwrap();
    let opened = fs::File::options().write(true).open(&file).unwrap();
    opened.set_modified(modified).unwrap();
    age(&file);
    let changed = digest();
    assert_ne!(changed.0, fresh.0);
    assert_eq!(changed.1, 2);
    // A damaged memory is none.
    let place = fs::read_dir(memories.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = fs::read(&place).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&place, &bytes).unwrap();
    assert_eq!(digest(), changed);
    let count = || fs::read_dir(memories.path()).unwrap().count();
    assert_eq!(count(), 1);
    // It goes with its context.
    fs::write(memories.path().join("else"), "is no memory").unwrap();
    assert_eq!(prune_memories(memories.path(), false).unwrap(), 0);
    drop(made);
    assert!(prune_memories(memories.path(), false).unwrap() > 100);
    assert_eq!(count(), 1);
    // What files of the web were goes with all only.
    fs::write(memories.path().join("web-0123"), "ten bytes.").unwrap();
    assert_eq!(prune_memories(memories.path(), false).unwrap(), 0);
    assert_eq!(prune_memories(memories.path(), true).unwrap(), 10);
    assert_eq!(count(), 1);
}

#[test]
fn reads_what_was_digested_or_fails() {
    fn check(change: fn(&Path), is_good: bool) {
        let made = directory(&["f = 12345"]);
        let context = open(made.path(), &[]);
        let found = &context.resolve("f").unwrap()[0];
        let tree = context.select(found, &Patterns::default()).unwrap();
        change(&made.path().join("f"));
        let mut text = String::new();
        let result = context.read(&tree, &tree.entries[0]).map(Option::unwrap);
        let result = result.map_err(|error| error.to_string());
        let result = result.and_then(|mut file| {
            file.read_to_string(&mut text)
                .map_err(|error| error.to_string())
        });
        match result {
            Ok(_) => assert!(is_good && text == "12345", "{text}"),
            Err(error) => {
                assert!(!is_good);
                assert_eq!(error, "read \"/f\" of the context: it changed meanwhile");
            }
        }
    }
    check(|_| {}, true);
    // All of them in the tick of its making, perhaps, and the second of the same size.
    check(|file| fs::write(file, "123456").unwrap(), false);
    check(|file| fs::write(file, "54321").unwrap(), false);
    check(|file| fs::remove_file(file).unwrap(), false);
    check(
        |file| {
            fs::remove_file(file).unwrap();
            symlink("/etc/passwd", file).unwrap();
        },
        false,
    );
    check(
        |file| {
            fs::remove_file(file).unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o644);
            rustix::fs::mknodat(rustix::fs::CWD, file, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        },
        false,
    );
}

#[test]
fn waits_for_no_pipe_and_passes_sockets_over() {
    let made = directory(&["d/f = 1"]);
    let pipe = made.path().join("d/pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(made.path().join("d/socket")).unwrap();
    let context = open(made.path(), &[]);
    let matches = context.resolve("d").unwrap();
    assert_eq!(select(&context, matches, &[]).unwrap(), "d(f pipe)");
    let pipe = &context.resolve("d/pipe").unwrap()[0];
    let tree = context.select(pipe, &Patterns::default()).unwrap();
    assert_eq!(tree.entries[0].kind, Kind::Fifo);
    assert!(context.read(&tree, &tree.entries[0]).unwrap().is_none());
    assert!(
        context
            .resolve("d/socket")
            .is_ok_and(|found| { context.select(&found[0], &Patterns::default()).is_err() })
    );
}

#[test]
fn orders_names_by_their_bytes_however_deep() {
    let made = tempfile::tempdir().unwrap();
    let mut path = made.path().to_owned();
    for _ in 0..200 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    add(
        made.path(),
        &["d/a-b = 1", "d/a/x = 2", "d/a.c = 3", "d/B = 4"],
    );
    let context = open(made.path(), &["d/d/d"]);
    let matches = context.resolve("d").unwrap();
    let found = select(&context, matches, &[]).unwrap();
    assert_eq!(found, "d(B a/ a/x a-b a.c d/)");
    let context = open(made.path(), &[]);
    let found = &context.resolve("/").unwrap()[0];
    let tree = context.select(found, &Patterns::default()).unwrap();
    assert_eq!(tree.entries.len(), 200 + 1 + 5);
}

#[test]
fn places_what_was_selected() {
    let made = directory(&[
        "d/f = one",
        "d/l -> f",
        "d/e/g = two",
        "d/h => d/f",
        "d/no = hidden",
    ]);
    let executable = fs::Permissions::from_mode(0o750);
    fs::set_permissions(made.path().join("d/e"), executable.clone()).unwrap();
    fs::set_permissions(made.path().join("d/e/g"), executable).unwrap();
    let context = open(made.path(), &["d/no"]);
    let place = |source: &str, name: &[u8]| {
        let target = tempfile::tempdir().unwrap();
        let found = &context.resolve(source).unwrap()[0];
        let tree = context.select(found, &Patterns::default()).unwrap();
        context.place(&tree, name, target.path()).unwrap();
        target
    };
    let target = place("d", b"");
    let placed = |path: &str| target.path().join(path).symlink_metadata().unwrap();
    let mut names: Vec<_> = fs::read_dir(target.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["e", "f", "h", "l"]);
    assert_eq!(
        fs::read_to_string(target.path().join("e/g")).unwrap(),
        "two"
    );
    assert_eq!(fs::read_to_string(target.path().join("l")).unwrap(), "one");
    assert_eq!(placed("e").permissions().mode() & 0o7777, 0o750);
    assert_eq!(placed("e/g").permissions().mode() & 0o7777, 0o750);
    assert_eq!(placed("f").nlink(), 2);
    assert_eq!(placed("f").ino(), placed("h").ino());
    let source = made.path().join("d/e").metadata().unwrap();
    assert_eq!(placed("e").modified().unwrap(), source.modified().unwrap());
    let target = place("d/f", b"called");
    assert_eq!(
        fs::read_to_string(target.path().join("called")).unwrap(),
        "one"
    );
}

#[test]
fn is_never_led_outside_while_somebody_swaps_directories() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let outside = directory(&["secret = s", "f/secret = s"]);
    let made = directory(&["d/f/one = 1", "x/f/two = 2"]);
    let context = open(made.path(), &[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (shown, aside) = (made.path().join("d"), made.path().join("aside"));
            while !done.load(Ordering::Relaxed) {
                fs::rename(&shown, &aside).unwrap();
                symlink(outside.path(), &shown).unwrap();
                fs::remove_file(&shown).unwrap();
                fs::rename(&aside, &shown).unwrap();
            }
        });
        for round in 0..400 {
            let source = ["/", "d", "d/*", "d/f", "*/f"][round % 5];
            let Ok(matches) = context.resolve(source) else {
                continue;
            };
            for found in matches {
                let Ok(tree) = context.select(&found, &Patterns::default()) else {
                    continue;
                };
                let names = tree.entries.iter().map(|entry| &entry.path);
                let mut names = names.chain([&found.name]);
                assert!(names.all(|name| !name.ends_with(b"secret")), "{source}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
