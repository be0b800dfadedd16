//! Other tools make what is read and read what is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{
    FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink,
};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::fs::XattrFlags;

use super::*;

/// Runs a tool in `dir`; its output, or `None` with a message if it is not installed.
fn run(dir: &Path, tool: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = match Command::new(tool).args(arguments).current_dir(dir).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: no {tool} here");
            return None;
        }
        Err(error) => panic!("{tool}: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {said}");
    Some(output.stdout)
}

/// A directory with what archives hold, names no longer than `longest`.
fn sample(root: &Path, longest: usize) {
    let at = |path: &str| root.join(path);
    fs::create_dir_all(at("dir/sub")).unwrap();
    fs::write(at("dir/file"), "content").unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::hard_link(at("dir/file"), at("linked")).unwrap();
    symlink("../dir/file", at("dir/sub/link")).unwrap();
    fs::set_permissions(at("dir/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(at("dir"), fs::Permissions::from_mode(0o1777)).unwrap();
    let sparse = File::create(at("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    for i in 0..40 {
        sparse.write_all_at(b"run of data", i * 65536 + 5).unwrap();
    }
    if longest > 100 {
        let deep = format!("deep/{}/{}", "d".repeat(120), "e".repeat(140));
        fs::create_dir_all(at(&deep)).unwrap();
        fs::write(at(&deep).join("f".repeat(200)), "deep").unwrap();
        symlink("t".repeat(300), at("far")).unwrap();
    }
    fs::write(at("na\u{ef}ve \u{2014} name"), "utf-8").unwrap();
    Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    let times = fs::FileTimes::new()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789));
    File::open(at("dir/file"))
        .unwrap()
        .set_times(times)
        .unwrap();
    let _ = rustix::fs::setxattr(
        at("empty"),
        "user.note",
        b"some\0bytes",
        XattrFlags::empty(),
    );
}

/// What a name is, in words, apart from attributes and parts of seconds.
fn on_disk(
    root: &Path,
    path: &str,
    lines: &mut BTreeMap<String, String>,
    inodes: &mut BTreeMap<u64, String>,
) {
    let full = root.join(path);
    let meta = fs::symlink_metadata(&full).unwrap();
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        "dir".to_owned()
    } else if kind.is_symlink() {
        format!("-> {}", fs::read_link(&full).unwrap().display())
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else {
        let first = inodes.entry(meta.ino()).or_insert_with(|| path.to_owned());
        format!(
            "{:?} as {first}",
            shiplap_model::digest::Digest::of(&fs::read(&full).unwrap())
        )
    };
    lines.insert(
        path.to_owned(),
        describe(&what, meta.mode(), meta.uid(), meta.gid(), meta.mtime()),
    );
    if kind.is_dir() {
        let mut names: Vec<_> = fs::read_dir(&full)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        for name in names {
            let name = name.to_str().unwrap();
            on_disk(
                root,
                &if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}/{name}")
                },
                lines,
                inodes,
            );
        }
    }
}

fn describe(what: &str, mode: u32, uid: u32, gid: u32, mtime: i64) -> String {
    // Symlinks have no mode, and not every tool sets their times.
    let (mode, mtime) = if what.starts_with("->") {
        (0, 0)
    } else {
        (mode & 0o7777, mtime)
    };
    format!("{what} {mode:o} {uid}:{gid} {mtime}")
}

fn in_tree(
    tree: &Tree,
    id: NodeId,
    path: &str,
    tar: &[u8],
    lines: &mut BTreeMap<String, String>,
    firsts: &mut BTreeMap<u32, String>,
) {
    let node = &tree.nodes[id.0 as usize];
    let what = match &node.kind {
        Kind::Directory(_) => "dir".to_owned(),
        Kind::Symlink(target) => format!("-> {}", String::from_utf8_lossy(target)),
        Kind::Fifo => "fifo".to_owned(),
        Kind::File(_) => {
            let first = firsts.entry(id.0).or_insert_with(|| path.to_owned());
            format!(
                "{:?} as {first}",
                shiplap_model::digest::Digest::of(&content(tree, id, tar))
            )
        }
        other => format!("{other:?}"),
    };
    let mode = u32::from(node.mode);
    lines.insert(
        path.to_owned(),
        describe(&what, mode, node.uid, node.gid, node.mtime_secs),
    );
    if let Kind::Directory(directory) = &node.kind {
        for (name, child) in &directory.children {
            let name = String::from_utf8_lossy(name);
            let path = if path.is_empty() {
                name.into_owned()
            } else {
                format!("{path}/{name}")
            };
            in_tree(tree, *child, &path, tar, lines, firsts);
        }
    }
}

fn tree_lines(tar: &[u8]) -> (Contents, BTreeMap<String, String>) {
    let contents = read(tar).unwrap();
    let mut lines = BTreeMap::new();
    in_tree(
        &contents.tree,
        NodeId(0),
        "",
        tar,
        &mut lines,
        &mut BTreeMap::new(),
    );
    (contents, lines)
}

fn disk_lines(root: &Path) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    on_disk(root, "", &mut lines, &mut BTreeMap::new());
    lines
}

#[test]
fn archives_of_other_tools_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (short, long) = (dir.path().join("short"), dir.path().join("long"));
    sample(&short, 100);
    sample(&long, 255);
    let python = |format: &str| {
        format!(
            "import sys,tarfile\nt=tarfile.open(fileobj=sys.stdout.buffer,mode='w|',format=tarfile.{format})\nt.add('.')\nt.close()"
        )
    };
    let (py_gnu, py_pax) = (python("GNU_FORMAT"), python("PAX_FORMAT"));
    let gnu: &[&str] = &["--format=gnu", "--sparse", "-c", "."];
    let cases: [(&Path, &str, &[&str]); 9] = [
        (
            &short,
            "tar",
            &["--format=v7", "--exclude=./fifo", "-c", "."],
        ),
        (&short, "tar", &["--format=ustar", "-c", "."]),
        (&long, "tar", gnu),
        (
            &long,
            "tar",
            &[
                "--format=pax",
                "--sparse",
                "--sparse-version=0.0",
                "-c",
                ".",
            ],
        ),
        (
            &long,
            "tar",
            &[
                "--format=pax",
                "--sparse",
                "--sparse-version=0.1",
                "-c",
                ".",
            ],
        ),
        (
            &long,
            "tar",
            &[
                "--format=pax",
                "--sparse",
                "--sparse-version=1.0",
                "--xattrs",
                "-c",
                ".",
            ],
        ),
        (&long, "python3", &["-c", &py_gnu]),
        (&long, "python3", &["-c", &py_pax]),
        (&long, "bsdtar", &["-c", "--format=pax", "-f", "-", "."]),
    ];
    for (root, tool, arguments) in cases {
        let Some(tar) = run(root, tool, arguments) else {
            continue;
        };
        let (contents, lines) = tree_lines(&tar);
        let mut expected = disk_lines(root);
        if arguments.contains(&"--format=v7") {
            expected.remove("fifo");
        }
        assert_eq!(lines, expected, "{tool} {arguments:?}");
        let node = |path| &contents.tree.nodes[find(&contents.tree, path).unwrap().0 as usize];
        if arguments.contains(&"--xattrs")
            && rustix::fs::getxattr(root.join("empty"), "user.note", &mut [0_u8; 64][..]).is_ok()
        {
            assert_eq!(
                node("empty").xattrs.get(&b"user.note"[..]).unwrap(),
                b"some\0bytes"
            );
            assert_eq!(node("dir/file").mtime_nanos, 123_456_789);
        }
    }
}

/// Writes one of everything, with all that needs PAX.
fn written() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let metadata = |mode| Metadata {
        mode,
        mtime_secs: 1_600_000_000,
        ..Metadata::default()
    };
    let rich = Metadata {
        uid: 3_000_000,
        gid: 70_000,
        mtime_nanos: 500_000_000,
        xattrs: BTreeMap::from([
            (b"user.b".to_vec(), b"2\n=".to_vec()),
            (b"user.a".to_vec(), vec![]),
        ]),
        ..metadata(0o4755)
    };
    let long = format!("{}/{}", "p".repeat(150), "n".repeat(99));
    let longer = format!("{}/{}", "p".repeat(150), "n".repeat(180));
    writer.directory(b".", &metadata(0o755)).unwrap();
    writer.directory(b"dir", &metadata(0o1777)).unwrap();
    writer
        .file(b"dir/file", &rich, 7, &mut &b"content"[..])
        .unwrap();
    writer
        .file(
            b"empty",
            &Metadata {
                mtime_secs: -5,
                ..metadata(0o600)
            },
            0,
            &mut &b""[..],
        )
        .unwrap();
    writer
        .file(
            long.as_bytes(),
            &metadata(0o644),
            600,
            &mut &[b'x'; 600][..],
        )
        .unwrap();
    writer
        .file(longer.as_bytes(), &metadata(0o644), 1, &mut &b"y"[..])
        .unwrap();
    writer
        .file("na\u{ef}ve".as_bytes(), &metadata(0o644), 0, &mut &b""[..])
        .unwrap();
    writer
        .symlink(b"link", &metadata(0o777), &[b't'; 200])
        .unwrap();
    writer.hard_link(b"again", &rich, b"dir/file").unwrap();
    writer.fifo(b"fifo", &metadata(0o640)).unwrap();
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read_alike_by_all() {
    let tar = written();
    assert_eq!(tar, written());
    let (contents, lines) = tree_lines(&tar);
    assert_eq!(contents.entries, 10);
    let file = &contents.tree.nodes[find(&contents.tree, "again").unwrap().0 as usize];
    assert_eq!(
        (file.uid, file.gid, file.mtime_nanos, file.mode),
        (3_000_000, 70_000, 500_000_000, 0o4755)
    );
    assert_eq!(file.xattrs[&b"user.b"[..]], b"2\n=");
    // A parent that only the long names imply.
    let without_implied = |mut lines: BTreeMap<String, String>| {
        lines.retain(|path, _| !path.starts_with('p') || path.contains('/'));
        lines
    };
    let lines = without_implied(lines);

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t.tar"), &tar).unwrap();
    let extract = "import tarfile\nt=tarfile.open('../t.tar')\nt.extractall('.',numeric_owner=True,filter='fully_trusted')";
    for (tool, arguments) in [
        ("tar", &["--numeric-owner", "-xpf", "../t.tar"][..]),
        ("python3", &["-c", extract]),
    ] {
        let root = dir.path().join(tool);
        fs::create_dir(&root).unwrap();
        if !rustix::process::geteuid().is_root() || run(&root, tool, arguments).is_none() {
            continue;
        }
        let (mut found, mut lines) = (without_implied(disk_lines(&root)), lines.clone());
        if tool == "python3" {
            // Files written into the root afterwards touch its time.
            found.remove("");
            lines.remove("");
        }
        assert_eq!(found, lines, "{tool}");
    }
}

#[test]
fn whiteouts_and_devices_are_written() {
    let mut writer = Writer::new(Vec::new());
    let metadata = Metadata::default();
    writer.whiteout(b"d/gone").unwrap();
    writer.opaque(b"d").unwrap();
    writer.char_device(b"c", &metadata, 1, 3).unwrap();
    writer
        .block_device(b"b", &metadata, 9_000_000, 300_000_000)
        .unwrap();
    assert!(writer.whiteout(b"d/..").is_err());
    assert!(writer.symlink(b"s", &metadata, b"").is_err());
    assert!(writer.file(b"f", &metadata, 3, &mut &b"ab"[..]).is_err());
    assert!(writer.file(b"a\0b", &metadata, 0, &mut &b""[..]).is_err());
    let mut writer = Writer::new(Vec::new());
    writer.whiteout(b"d/gone").unwrap();
    writer.opaque(b"d/").unwrap();
    writer.char_device(b"c", &metadata, 1, 3).unwrap();
    writer
        .block_device(b"b", &metadata, 9_000_000, 300_000_000)
        .unwrap();
    let contents = read(&writer.finish().unwrap()).unwrap();
    let expected = [
        "dir . 755 implied",
        "block b 9000000:300000000",
        "char c 1:3",
        "dir d 755 implied opaque",
        "whiteout d/gone",
    ];
    assert_eq!(listing(&contents.tree), expected);
}

#[test]
fn files_are_scanned_without_their_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.tar");
    fs::write(&path, written()).unwrap();
    let mut names = Vec::new();
    let length = scan_file(&File::open(&path).unwrap(), |entry| {
        names.push(entry.path);
        Ok(())
    });
    assert_eq!(
        (length.unwrap(), names.len()),
        (fs::metadata(&path).unwrap().len(), 10)
    );
}
