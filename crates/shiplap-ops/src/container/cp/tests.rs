#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use shiplap_layer::unpack::Marks;

use super::path::ContainerPath;
use super::{CopyError, CopyOptions, CopyTo, Input, RootAccess, copy_in, copy_out};
use crate::container::changes::tests::{Fixture, Mounted, is_root, shell, snapshot, tar_of};

const PLAIN: CopyOptions = CopyOptions {
    archive: false,
    follow_link: false,
};
const ARCHIVE: CopyOptions = CopyOptions {
    archive: true,
    ..PLAIN
};
const FOLLOW: CopyOptions = CopyOptions {
    follow_link: true,
    ..PLAIN
};

/// What is copied, and where it goes.
const SOURCE: &str = "mkdir -p s/d/sub s/empty; echo 1 >s/f; echo 2 >s/d/x; echo 3 >s/d/sub/y
     ln -s f s/lf; ln -s d s/ld; ln -s nowhere s/ln";
const TARGET: &str = "mkdir -p t/dir/d t/there; echo 0 >t/file; echo 0 >t/dir/old; echo 0 >t/dir/d/kept
     ln -s dir t/ldir; ln -s file t/lfile; ln -s new t/lnew; mkdir t/clash; mkdir t/clash/f; echo 0 >t/clash/d";

/// Source, destination, options, and what is new or other in `t`: `path=content`, `path/`,
/// `path@target`; or `!` and words of the error.
const CASES: [(&str, &str, CopyOptions, &str); 38] = [
    ("s/f", "t/new", PLAIN, "new=1"),
    ("s/f", "t/file", PLAIN, "file=1"),
    ("s/f", "t/dir", PLAIN, "dir/f=1"),
    ("s/f", "t/dir/", PLAIN, "dir/f=1"),
    ("s/f", "t/dir/.", PLAIN, "dir/f=1"),
    ("s/f", "t/new/", PLAIN, "!t/new/: no such directory"),
    ("s/f", "t/new/x", PLAIN, "!no such"),
    ("s/f", "t/file/", PLAIN, "!not a directory"),
    ("s/f/", "t/new", PLAIN, "!s/f/: not a directory"),
    ("s/f/.", "t/new", PLAIN, "!s/f/.: not a directory"),
    (
        "s/none",
        "t/new",
        PLAIN,
        "!s/none: no such file or directory",
    ),
    ("s/d", "t/new", PLAIN, "new/ new/sub/ new/sub/y=3 new/x=2"),
    ("s/d", "t/new/", PLAIN, "new/ new/sub/ new/sub/y=3 new/x=2"),
    ("s/d/", "t/new", PLAIN, "new/ new/sub/ new/sub/y=3 new/x=2"),
    ("s/d/.", "t/new", PLAIN, "new/ new/sub/ new/sub/y=3 new/x=2"),
    (
        "s/d",
        "t/there",
        PLAIN,
        "there/d/ there/d/sub/ there/d/sub/y=3 there/d/x=2",
    ),
    (
        "s/d/",
        "t/there",
        PLAIN,
        "there/d/ there/d/sub/ there/d/sub/y=3 there/d/x=2",
    ),
    (
        "s/d/.",
        "t/there",
        PLAIN,
        "there/sub/ there/sub/y=3 there/x=2",
    ),
    (
        "s/d/.",
        "t/there/.",
        PLAIN,
        "there/sub/ there/sub/y=3 there/x=2",
    ),
    ("s/d", "t/dir", PLAIN, "dir/d/sub/ dir/d/sub/y=3 dir/d/x=2"),
    ("s/empty", "t/there", PLAIN, "there/empty/"),
    ("s/empty/.", "t/dir", PLAIN, ""),
    (
        "s/d",
        "t/file",
        PLAIN,
        "!t/file: cannot copy a directory to a file",
    ),
    (
        "s/d/.",
        "t/file",
        PLAIN,
        "!cannot copy a directory to a file",
    ),
    (
        "s/f",
        "t/clash",
        PLAIN,
        "!cannot overwrite directory with non-directory",
    ),
    (
        "s/d",
        "t/clash",
        PLAIN,
        "!cannot overwrite non-directory with directory",
    ),
    ("s/f", "t/ldir", PLAIN, "dir/f=1"),
    ("s/f", "t/lfile", PLAIN, "file=1"),
    ("s/f", "t/lnew", PLAIN, "new=1"),
    ("s/d", "t/ldir", PLAIN, "dir/d/sub/ dir/d/sub/y=3 dir/d/x=2"),
    ("s/lf", "t/new", PLAIN, "new@f"),
    ("s/lf", "t/there", PLAIN, "there/lf@f"),
    ("s/lf", "t/there", FOLLOW, "there/lf=1"),
    (
        "s/ld",
        "t/there",
        FOLLOW,
        "there/ld/ there/ld/sub/ there/ld/sub/y=3 there/ld/x=2",
    ),
    (
        "s/ld/.",
        "t/there",
        PLAIN,
        "there/sub/ there/sub/y=3 there/x=2",
    ),
    ("s/ln", "t/there", PLAIN, "there/ln@nowhere"),
    ("s/ln", "t/there", FOLLOW, "!no such file or directory"),
    ("./s/../s/d/./x", "t//there", ARCHIVE, "there/x=2"),
];

/// One word for each path below a directory.
fn words(directory: &Path) -> Vec<String> {
    let mut words = Vec::new();
    for name in snapshot(directory).into_keys() {
        let path = directory.join(&name);
        let meta = fs::symlink_metadata(&path).unwrap();
        words.push(if meta.is_dir() {
            format!("{name}/")
        } else if meta.is_symlink() {
            format!("{name}@{}", fs::read_link(&path).unwrap().display())
        } else {
            format!("{name}={}", fs::read_to_string(&path).unwrap().trim_end())
        });
    }
    words.sort();
    words
}

/// Does one case with a fresh directory of destinations and compares.
fn check(
    (source, target, options, expected): (&str, &str, CopyOptions, &str),
    how: &str,
    copy: impl FnOnce(CopyOptions) -> Result<u64, CopyError>,
    found: impl FnOnce() -> Vec<String>,
) {
    let case = format!("{how}: cp {source} {target}");
    match copy(options) {
        Err(error) => {
            let error = error.to_string().to_lowercase();
            let wanted = expected.strip_prefix('!');
            assert!(
                wanted.is_some_and(|wanted| error.contains(wanted)),
                "{case}: {error}"
            );
        }
        Ok(_) => {
            let mut found = found();
            let before = before();
            found.retain(|word| !before.contains(word));
            assert_eq!(found.join(" "), expected, "{case}");
        }
    }
}

fn before() -> Vec<String> {
    let temp = tempfile::tempdir().unwrap();
    shell(temp.path(), TARGET);
    words(&temp.path().join("t"))
}

fn stopped(fixture: &Fixture) -> RootAccess {
    RootAccess::Stopped {
        tree: fixture.tree(),
        mounts: Vec::new(),
        lock: None,
    }
}

fn live(root: &Path) -> RootAccess {
    RootAccess::Live(OwnedFd::from(fs::File::open(root).unwrap()))
}

#[test]
fn files_come_out_as_docker_copies_them() {
    if !is_root() {
        return;
    }
    // What the image has, what the container made, and a running one.
    let made = Fixture::new("mkdir s; touch s/older");
    made.run(&format!("rm -r s; {SOURCE}"));
    let image = Fixture::new(SOURCE);
    let accesses = [
        ("image", stopped(&image)),
        ("made", stopped(&made)),
        ("live", live(&image.path("lower"))),
    ];
    for (how, access) in accesses {
        for case in CASES {
            let temp = tempfile::tempdir().unwrap();
            shell(temp.path(), TARGET);
            let context = if how == "made" {
                &made.context
            } else {
                &image.context
            };
            let to = CopyTo::Path(temp.path().join(case.1));
            let copy = |options| copy_out(context, &access, case.0, to, options);
            check(case, how, copy, || words(&temp.path().join("t")));
        }
    }
}

#[test]
fn files_go_in_as_docker_copies_them() {
    if !is_root() {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    shell(source.path(), SOURCE);
    for how in ["image", "made", "live"] {
        let fixture = match how {
            "made" => Fixture::new("mkdir t; touch t/older"),
            _ => Fixture::new(TARGET),
        };
        for case in CASES {
            for name in ["upper", "work"] {
                fs::remove_dir_all(fixture.path(name)).unwrap();
                fs::create_dir(fixture.path(name)).unwrap();
            }
            let live_root = tempfile::tempdir().unwrap();
            let access = match how {
                "live" => {
                    shell(live_root.path(), TARGET);
                    live(live_root.path())
                }
                "made" => {
                    fixture.run(&format!("rm -r t; {TARGET}"));
                    stopped(&fixture)
                }
                _ => stopped(&fixture),
            };
            let from = Input::File(source.path().join(case.0));
            let copy = |options| copy_in(&fixture.context, from, &access, case.1, options);
            // The kernel says what the container will see.
            let found = || match how {
                "live" => words(&live_root.path().join("t")),
                _ => fixture.mounted(|merged| words(&merged.join("t"))),
            };
            check(case, how, copy, found);
        }
    }
}

#[test]
fn copying_into_a_stopped_container_leaves_what_the_kernel_expects() {
    if !is_root() {
        return;
    }
    for marks in [Marks::Trusted, Marks::User] {
        leaves_what_the_kernel_expects(marks);
    }
}

fn leaves_what_the_kernel_expects(marks: Marks) {
    let mut fixture = Fixture::new(
        "mkdir -p a/b a/gone opaque; echo 1 >a/b/f; echo 1 >a/gone/f; echo 1 >opaque/hidden; chmod 750 a
         chown 3:4 a/b; setfattr -n user.k -v v a/b; touch -d @1000 a/b; touch -d @2000 a",
    );
    fixture.marks = marks;
    fixture.run("rm -r a/gone; rm -r opaque; mkdir opaque");
    let source = tempfile::tempdir().unwrap();
    shell(
        source.path(),
        "mkdir -p a/b a/gone opaque; echo 2 >a/b/g; echo 2 >a/gone/g; echo 2 >opaque/h; chmod 700 a/gone
         chown -R 7:8 a; chown 7:8 a/b/g",
    );
    let access = stopped(&fixture);
    let from = Input::File(source.path().join("a/b/g"));
    copy_in(&fixture.context, from, &access, "/a/b/", PLAIN).unwrap();
    // The directories on the way are as the image has them.
    let seen = fixture.mounted(snapshot);
    assert!(seen["a"].starts_with("40750 0:0 "), "{}", seen["a"]);
    assert!(
        seen["a/b"].starts_with("40755 3:4 1000.0 "),
        "{}",
        seen["a/b"]
    );
    assert!(seen["a/b"].contains("user.k"), "{}", seen["a/b"]);
    assert!(
        seen["a/b/g"].starts_with("100644 0:0 "),
        "{}",
        seen["a/b/g"]
    );

    let mut from = source.path().to_owned();
    from.push(".");
    copy_in(&fixture.context, Input::File(from), &access, "/", ARCHIVE).unwrap();
    let names = fixture.mounted(words);
    let expected = [
        "a/",
        "a/b/",
        "a/b/f=1",
        "a/b/g=2",
        "a/gone/",
        "a/gone/g=2",
        "opaque/",
        "opaque/h=2",
    ];
    assert_eq!(names, expected);
    let seen = fixture.mounted(snapshot);
    assert!(
        seen["a/gone"].starts_with("40700 7:8 "),
        "{}",
        seen["a/gone"]
    );
    assert!(
        seen["a/b/g"].starts_with("100644 7:8 "),
        "{}",
        seen["a/b/g"]
    );
    // A stopped container that is read again shows the same as the kernel.
    let mut tar = Vec::new();
    copy_out(
        &fixture.context,
        &access,
        "/",
        CopyTo::Stream(&mut tar),
        PLAIN,
    )
    .unwrap();
    assert_eq!(fixture.applied(&tar), seen);
}

#[test]
fn streams_are_tars() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new(SOURCE);
    for access in [stopped(&fixture), live(&fixture.path("lower"))] {
        let list = |path: &str| {
            let mut tar = Vec::new();
            let to = CopyTo::Stream(&mut tar);
            let length = copy_out(&fixture.context, &access, path, to, PLAIN).unwrap();
            assert_eq!(length, tar.len() as u64);
            fixture
                .applied(&tar)
                .into_keys()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(list("s/d"), "d d/sub d/sub/y d/x");
        assert_eq!(list("/s/d/."), "sub sub/y x");
        assert_eq!(list("s/lf"), "lf");
        assert_eq!(list("s/ld/"), "ld ld/sub ld/sub/y ld/x");
    }
    let tar = tar_of(&fixture.path("lower/s/d"));
    let access = stopped(&fixture);
    let put = |tar: &[u8], path: &str| {
        let from: &mut &[u8] = &mut &*tar;
        copy_in(&fixture.context, Input::Stream(from), &access, path, PLAIN)
    };
    put(&tar, "s/empty").unwrap();
    let error = put(&tar, "s/f").unwrap_err();
    assert!(matches!(error, CopyError::StreamToFile { .. }), "{error}");
    let error = put(b"no tar at all", "s/empty").unwrap_err();
    assert!(matches!(error, CopyError::Ingest(_)), "{error}");
    let mut writer = shiplap_layer::tar::Writer::new(Vec::new());
    writer.whiteout(b"f").unwrap();
    let error = put(&writer.finish().unwrap(), "s").unwrap_err();
    assert!(matches!(error, CopyError::Reserved { .. }), "{error}");
    let found = fixture.mounted(|merged| words(&merged.join("s/empty")));
    assert_eq!(found, ["sub/", "sub/y=3", "x=2"]);
}

#[test]
fn mounts_of_a_stopped_container_are_reached() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new("mkdir -p data/hidden; ln -s data alias; echo 1 >f");
    let host = tempfile::tempdir().unwrap();
    let [volume, inner] = ["volume", "inner"].map(|name| host.path().join(name));
    shell(
        host.path(),
        "mkdir volume inner; echo 2 >volume/f; ln -s /etc volume/out; touch file",
    );
    let mount = |target: &str, host: &Path| (target.to_owned(), host.to_owned());
    let access = RootAccess::Stopped {
        tree: fixture.tree(),
        mounts: vec![
            mount("/data", &volume),
            mount("/data/in/side", &inner),
            mount("/f", &host.path().join("file")),
        ],
        lock: None,
    };
    let put = |target: &str| {
        let from = Input::File(fixture.path("lower/f"));
        copy_in(&fixture.context, from, &access, target, PLAIN)
    };
    for target in ["/data", "alias/new", "/data/in/side/", "/plain", "/f"] {
        put(target).unwrap();
    }
    assert!(put("/data/hidden/x").is_err());
    // A link in a volume stays in it.
    assert!(put("/data/out/x").is_err());
    assert_eq!(words(&volume), ["f=1", "new=1", "out@/etc"]);
    assert_eq!(words(&inner), ["f=1"]);
    let seen = fixture.mounted(words);
    assert_eq!(
        seen,
        ["alias@data", "data/", "data/hidden/", "f=1", "plain=1"]
    );
    let list = |path: &str| {
        let mut tar = Vec::new();
        copy_out(
            &fixture.context,
            &access,
            path,
            CopyTo::Stream(&mut tar),
            PLAIN,
        )
        .unwrap();
        let found = fixture.applied(&tar);
        found.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list("/data"), "data data/f data/new data/out");
    assert_eq!(list("/alias/."), "f new out");
    assert_eq!(list("/alias"), "alias");
    assert_eq!(list("/data/in/side/f"), "f");
}

#[test]
fn what_the_kernel_shows_of_itself_is_left_out() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new("mkdir proc; echo 1 >f");
    let proc = Mounted::new("proc", &fixture.path("lower/proc"));
    let mut tar = Vec::new();
    let access = live(&fixture.path("lower"));
    let to = CopyTo::Stream(&mut tar);
    copy_out(&fixture.context, &access, "/", to, PLAIN).unwrap();
    drop(proc);
    assert!(fixture.applied(&tar).into_keys().eq(["f", "proc"]));
}

#[test]
fn names_of_whiteouts_are_refused() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new("mkdir d s; echo 1 >d/f");
    let access = stopped(&fixture);
    let source = tempfile::tempdir().unwrap();
    shell(source.path(), "mkdir d; touch d/.wh.f .wh.d");
    for name in ["d", ".wh.d"] {
        let from = Input::File(source.path().join(name));
        assert!(copy_in(&fixture.context, from, &access, "/", PLAIN).is_err());
    }
    let access = live(source.path());
    for name in ["d", ".wh.d"] {
        let to = CopyTo::Path(fixture.path("lower"));
        assert!(copy_out(&fixture.context, &access, name, to, PLAIN).is_err());
    }
    assert_eq!(words(&fixture.path("lower")), ["d/", "d/f=1", "s/"]);
}

/// Links that would lead out if they were followed as the host's.
#[test]
fn no_link_leads_outside() {
    if !is_root() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "host").unwrap();
    let outside_path = outside.path().to_str().unwrap();
    let links = format!(
        "mkdir -p .{outside_path} in/deep; echo container >.{outside_path}/secret
         ln -s {outside_path} absolute; ln -s ../../../../../../../..{outside_path} in/deep/climbing
         ln -s absolute chained; ln -s loop loop"
    );
    let fixture = Fixture::new(&links);
    let source = outside.path().join("secret");
    for access in [stopped(&fixture), live(&fixture.path("lower"))] {
        for path in ["absolute", "in/deep/climbing", "chained", "../../absolute"] {
            let temp = tempfile::tempdir().unwrap();
            let to = CopyTo::Path(temp.path().to_owned());
            copy_out(
                &fixture.context,
                &access,
                &format!("{path}/secret"),
                to,
                PLAIN,
            )
            .unwrap();
            assert_eq!(words(temp.path()), ["secret=container"], "{path}");
            let name = format!("{path}/written");
            copy_in(
                &fixture.context,
                Input::File(source.clone()),
                &access,
                &name,
                PLAIN,
            )
            .unwrap();
            let mut tar = Vec::new();
            let to = CopyTo::Stream(&mut tar);
            copy_out(&fixture.context, &access, &name, to, PLAIN).unwrap();
            assert!(fixture.applied(&tar)["written"].contains("host"), "{path}");
        }
        let to = CopyTo::Stream(&mut Vec::new());
        assert!(copy_out(&fixture.context, &access, "loop/x", to, PLAIN).is_err());
    }
    assert_eq!(words(outside.path()), ["secret=host"]);
}

#[test]
fn owners_and_attributes() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new(
        "echo 1 >f; chown 5:6 f; chmod 4711 f; setfattr -n user.k -v v f; touch -d @99 f",
    );
    let access = stopped(&fixture);
    for (options, owner) in [(PLAIN, "0:0"), (ARCHIVE, "5:6")] {
        let temp = tempfile::tempdir().unwrap();
        let to = CopyTo::Path(temp.path().join("out"));
        copy_out(&fixture.context, &access, "f", to, options).unwrap();
        let out = &snapshot(temp.path())["out"];
        assert!(out.starts_with(&format!("104711 {owner} 99.0 ")), "{out}");
        let from = Input::File(fixture.path("lower/f"));
        copy_in(&fixture.context, from, &access, "in", options).unwrap();
        let inside = &fixture.mounted(snapshot)["in"];
        assert!(
            inside.starts_with(&format!("104711 {owner} 99.0 ")),
            "{inside}"
        );
        assert!(inside.contains("user.k"), "{inside}");
    }
}

#[test]
fn container_paths_are_read_as_docker_reads_them() {
    let check = |text: &str, path: &str, is_directory, is_content, name: &str| {
        let parsed = ContainerPath::parse(text.as_bytes());
        let wanted = ContainerPath {
            path: path.as_bytes().to_vec(),
            is_directory,
            is_content,
        };
        assert_eq!(parsed, wanted, "{text}");
        assert_eq!(parsed.name(), name.as_bytes(), "{text}");
    };
    check("/a/b", "a/b", false, false, "b");
    check("a//b/", "a/b", true, false, "b");
    check("a/b/.", "a/b", true, true, "");
    check("a/./../b/..", "", true, true, "");
    check("../a/c/..", "a", false, false, "a");
    for root in ["", "/", ".", "/.", ".."] {
        check(root, "", true, true, "");
    }
}
