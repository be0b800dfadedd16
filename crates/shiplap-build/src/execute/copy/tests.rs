use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use shiplap_layer::stack::Type;
use shiplap_layer::tar::{Metadata, Writer};
use shiplap_model::DiffId;
use shiplap_model::ignore::Patterns;
use shiplap_ops::step::Cancel;
use shiplap_store::{Access, Lease, Store, StoreError};

use super::*;
use crate::context::{Context, Facts};
use crate::execute::selection::{of_context, of_layers};

const TIMES: CopyTimes = CopyTimes {
    at_most_secs: None,
    made_secs: 500,
};

struct Fixture {
    store: Store,
    lease: Lease,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), Access::Write).unwrap();
        let lease = store.lease().unwrap();
        Self {
            store,
            lease,
            _directory: directory,
        }
    }

    /// A layer with an entry for each word: `dir/`, `file`, `file=content`, `link->target`,
    /// `hard==target`; before it, mode and owner: `755,1,2:dir/`.
    fn layer(&self, entries: &str) -> DiffId {
        let layer = make_layer::<StoreError>(&self.lease, |out| {
            let mut writer = Writer::new(out);
            for entry in entries.split_whitespace() {
                write(&mut writer, entry);
            }
            writer.finish().unwrap();
            Ok(())
        });
        layer.unwrap().diff_id
    }

    fn files(&self, layers: &[&str]) -> Arc<Files> {
        let layers: Vec<_> = layers.iter().map(|layer| self.layer(layer)).collect();
        Files::of_layers(&self.store, &layers).unwrap()
    }
}

fn write(writer: &mut Writer<&mut dyn io::Write>, entry: &str) {
    let (attributes, name) = entry.split_once(':').unwrap_or(("", entry));
    let mut attributes = attributes.split(',').filter(|part| !part.is_empty());
    let is_directory = name.ends_with('/');
    let default = if is_directory { "755" } else { "644" };
    let mode = u16::from_str_radix(attributes.next().unwrap_or(default), 8).unwrap();
    let mut number = || attributes.next().map_or(0, |text| text.parse().unwrap());
    let metadata = Metadata {
        mode,
        uid: number(),
        gid: number(),
        mtime_secs: 1000,
        ..Metadata::default()
    };
    if let Some((path, target)) = name.split_once("->") {
        writer
            .symlink(path.as_bytes(), &metadata, target.as_bytes())
            .unwrap();
    } else if let Some((path, target)) = name.split_once("==") {
        writer
            .hard_link(path.as_bytes(), &metadata, target.as_bytes())
            .unwrap();
    } else if is_directory {
        writer.directory(name.as_bytes(), &metadata).unwrap();
    } else {
        let (path, content) = name.split_once('=').unwrap_or((name, ""));
        let size = content.len() as u64;
        writer
            .file(path.as_bytes(), &metadata, size, &mut content.as_bytes())
            .unwrap();
    }
}

fn select(
    files: &Arc<Files>,
    source: &str,
    excludes: &Patterns,
    parents: bool,
) -> Result<Vec<Arc<Selected>>, CopyError> {
    let selected = of_layers(files, source, excludes, parents)?;
    Ok(selected.into_iter().map(Arc::new).collect())
}

/// What is in a tree, in the words of [`Fixture::layer`] but with all attributes, and without
/// `etc` and what the root itself is.
fn listing(files: &Files) -> String {
    let root = files.stack.root().unwrap();
    let mut names: Vec<(usize, u64, String)> = Vec::new();
    let mut words = Vec::new();
    for found in files.stack.walk(root).skip(1) {
        let found = found.unwrap();
        let path = String::from_utf8(found.path.clone()).unwrap();
        let facts = found.facts;
        let what = match facts.kind {
            Type::Directory { .. } => format!("{path}/"),
            Type::Symlink => {
                let target = files.stack.read_link(&found).unwrap();
                words.push(format!("{path}->{}", String::from_utf8_lossy(&target)));
                continue;
            }
            Type::File { .. } => {
                let first = names
                    .iter()
                    .find(|(layer, inode, _)| (*layer, *inode) == (found.layer, found.inode.0));
                if let Some((_, _, first)) = first {
                    words.push(format!("{path}=={first}"));
                    continue;
                }
                names.push((found.layer, found.inode.0, path.clone()));
                let text = files.read_short(&found.path, 1 << 20).unwrap().unwrap();
                match String::from_utf8_lossy(&text).as_ref() {
                    "" => path,
                    text => format!("{path}={text}"),
                }
            }
            _ => format!("{path}?"),
        };
        let (mode, uid, gid) = (facts.mode, facts.uid, facts.gid);
        let usual = if facts.kind.is_directory() {
            0o755
        } else {
            0o644
        };
        words.push(match (uid, gid) {
            (0, 0) if mode == usual => what,
            (0, 0) => format!("{mode:o}:{what}"),
            _ => format!("{mode:o},{uid},{gid}:{what}"),
        });
    }
    words.join(" ")
}

/// `COPY` with its flags: words that begin with `--`, sources, destination. An `ADD` if the first
/// word is that.
fn run(fixture: &Fixture, root: &[&str], source: &str, command: &str) -> Result<String, CopyError> {
    let root: Vec<DiffId> = root.iter().map(|layer| fixture.layer(layer)).collect();
    let files = Files::of_layers(&fixture.store, &root).unwrap();
    let source = fixture.files(&[source]);
    let (flags, words): (Vec<&str>, Vec<&str>) =
        command.split(' ').partition(|word| word.starts_with("--"));
    let value = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name));
    let has = |name: &str| flags.contains(&name);
    let (is_add, words) = match words.split_first() {
        Some((&"ADD", rest)) => (true, rest),
        _ => (false, &words[..]),
    };
    let (destination, sources) = words.split_last().unwrap();
    let chmod = value("--chmod=").map(|text| Chmod::parse(text).unwrap());
    let excludes = flags
        .iter()
        .filter_map(|flag| flag.strip_prefix("--exclude="));
    let excludes = Patterns::new(excludes).unwrap();
    let mut given = Vec::new();
    for source_path in sources {
        given.push(match source_path.strip_prefix("<<") {
            Some(name) => Given::Inline {
                name: name.to_owned(),
                content: Arc::from(name.as_bytes()),
            },
            None => Given::Selected {
                selected: select(&source, source_path, &excludes, has("--parents"))?,
                unpacks: is_add,
            },
        });
    }
    let owner = value("--chown=").map(|text| find_owner(text, &files, &mut |_| {}).unwrap());
    let job = CopyJob {
        root: &files,
        given: &given,
        destination,
        owner,
        chmod: chmod.as_ref(),
        link: has("--link"),
        times: TIMES,
    };
    let layer = copy(&fixture.lease, &job, &Cancel::new().unwrap())?;
    let layers: Vec<_> = root.into_iter().chain([layer.diff_id]).collect();
    Ok(listing(&Files::of_layers(&fixture.store, &layers).unwrap()))
}

fn check(root: &str, source: &str, command: &str, expected: &str) {
    let fixture = Fixture::new();
    let result = run(&fixture, &[root], source, command);
    let found = result.unwrap_or_else(|error| format!("error: {error}"));
    assert_eq!(found, expected, "COPY {command} of {source:?} to {root:?}");
}

#[test]
fn files_and_directories() {
    let source = "a=1 d/ d/b=2 700,5,6:d/e/ d/e/c";
    for (root, command, expected) in [
        ("", "a /", "a=1"),
        ("", "a /x", "x=1"),
        ("", "a /x/", "x/ x/a=1"),
        ("", "a /x/y/z", "x/ x/y/ x/y/z=1"),
        ("", "a /x/.", "x/ x/a=1"),
        ("x/", "a /x", "x/ x/a=1"),
        ("x=old", "a /x", "x=1"),
        ("x=old", "a /x/", "error: cannot copy to non-directory: /x"),
        ("x=old", "a /x/y", "error: cannot copy to non-directory: /x"),
        ("", "d /", "b=2 700,5,6:e/ e/c"),
        ("", "d /x", "x/ x/b=2 700,5,6:x/e/ x/e/c"),
        ("", "d/ x", "x/ x/b=2 700,5,6:x/e/ x/e/c"),
        ("700,3,4:x/", "d /x", "700,3,4:x/ x/b=2 700,5,6:x/e/ x/e/c"),
        ("x/ 711,3,4:x/e/", "d /x", "x/ x/b=2 700,5,6:x/e/ x/e/c"),
        ("e=file", "d /", "error: cannot copy to non-directory: /e"),
        (
            "b/",
            "d /",
            "error: cannot replace to directory /b with file",
        ),
        ("x=file", "d /x", "error: cannot copy to non-directory: /x"),
        ("", "a d /x/", "x/ x/a=1 x/b=2 700,5,6:x/e/ x/e/c"),
        ("", "nothing /", "error: \"/nothing\": not found"),
        ("", "a/b /", "error: \"/a/b\": not found"),
        ("", "../../a /", "a=1"),
        ("", "<<note /x/", "x/ x/note=note"),
        ("", "a <<note /x/", "x/ x/a=1 x/note=note"),
    ] {
        check(root, source, command, expected);
    }
}

#[test]
fn links_on_the_way_to_the_destination() {
    for (root, command, expected) in [
        (
            "usr/ lib->usr/lib usr/lib/",
            "a /lib/",
            "lib->usr/lib usr/ usr/lib/ usr/lib/a",
        ),
        (
            "lib->usr/lib",
            "a /lib/x/",
            "lib->usr/lib usr/ usr/lib/ usr/lib/x/ usr/lib/x/a",
        ),
        ("x->../../etc/y", "a /x", "etc/ etc/y x->../../etc/y"),
        ("x->/d d/", "d /x", "d/ d/b x->/d"),
        ("b->elsewhere", "d /", "b"),
        (
            "l->l",
            "a /l/",
            "error: resolve /l/: more than 40 symbolic links",
        ),
    ] {
        check(root, "a d/ d/b", command, expected);
    }
}

#[test]
fn links_in_the_source() {
    let source = "d/ d/b=2 l->d f->d/b up->../../../d/b gone->nowhere d/self->b";
    for (command, expected) in [
        ("f /", "f=2"),
        ("l /x", "x/ x/b=2 x/self->b"),
        ("up /x", "x=2"),
        ("gone /", "error: \"/gone\": not found"),
        ("l/b /", "b=2"),
        ("d/s* /", "self=2"),
    ] {
        check("", source, command, expected);
    }
}

#[test]
fn hard_links_stay_within_one_copy() {
    let source = "d/ d/a=1 d/b==d/a e==d/a";
    check("", source, "d /", "a=1 b==a");
    check("", source, "d e /", "a=1 b==a e=1");
    check("", source, ". /", "d/ d/a=1 d/b==d/a e==d/a");
}

#[test]
fn patterns() {
    let source = "a.txt=1 b.txt=2 c.md d/ d/a.txt=3 d/e/ d/e/f.txt=4 [x]=5";
    for (command, expected) in [
        ("*.txt /", "a.txt=1 b.txt=2"),
        ("?.md /x/", "x/ x/c.md"),
        ("*/*.txt /", "a.txt=3"),
        ("d/*/f.txt /", "f.txt=4"),
        ("[[]x] /", "[x]=5"),
        ("*.none /x/", ""),
        ("none/*.txt /", "error: \"/none\": not found"),
        ("d* /x/", "x/ x/a.txt=3 x/e/ x/e/f.txt=4"),
        ("**/*.txt /", "a.txt=3"),
        (
            "--exclude=*.txt . /",
            "[x]=5 c.md d/ d/a.txt=3 d/e/ d/e/f.txt=4",
        ),
        ("--exclude=**/*.txt . /", "[x]=5 c.md d/ d/e/"),
        (
            "--exclude=d --exclude=!d/e/f.txt d* . /x/",
            "x/ x/[x]=5 x/a.txt=1 x/b.txt=2 x/c.md x/d/ x/d/e/ x/d/e/f.txt=4 x/e/ x/e/f.txt=4",
        ),
    ] {
        check("", source, command, expected);
    }
}

#[test]
fn parents_come_along() {
    let source = "700:x/ x/a=1 711:x/y/ x/y/b=2 x/y/c=3 x/z/ x/z/b=4";
    for (command, expected) in [
        ("--parents x/a /p/", "p/ 700:p/x/ p/x/a=1"),
        (
            "--parents ./x/y /p",
            "p/ 700:p/x/ 711:p/x/y/ p/x/y/b=2 p/x/y/c=3",
        ),
        ("--parents x/./y/b /p/", "p/ 711:p/y/ p/y/b=2"),
        ("--parents x/y/./* /p/", "p/ p/b=2 p/c=3"),
        ("--parents x/**/b /", "700:x/ 711:x/y/ x/y/b=2 x/z/ x/z/b=4"),
        ("--parents x/no /p/", "error: \"/x/no\": not found"),
        ("--parents x/no* /p/", "p/"),
        ("--parents x/*/./b /p/", "p/ p/b=4"),
        (
            "--parents --exclude=**/c x /p/",
            "p/ 700:p/x/ p/x/a=1 711:p/x/y/ p/x/y/b=2 p/x/z/ p/x/z/b=4",
        ),
    ] {
        check("", source, command, expected);
    }
}

#[test]
fn owners_and_modes() {
    // White space separates entries in the words of other tests.
    let fixture = Fixture::new();
    let passwd = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/:/bin/false\n";
    let base = make_layer::<StoreError>(&fixture.lease, |out| {
        let mut writer = Writer::new(out);
        let metadata = Metadata::default();
        writer.directory(b"etc", &metadata).unwrap();
        for (path, text) in [("etc/passwd", passwd), ("etc/group", "staff:x:50:\n")] {
            writer
                .file(
                    path.as_bytes(),
                    &metadata,
                    text.len() as u64,
                    &mut text.as_bytes(),
                )
                .unwrap();
        }
        writer.finish().unwrap();
        Ok(())
    });
    let files = Files::of_layers(&fixture.store, &[base.unwrap().diff_id]).unwrap();
    let owner = |text: &str| {
        let mut unknown = Vec::new();
        let owner = find_owner(text, &files, &mut |error| unknown.push(error.to_string()));
        (
            owner.map(|owner| (owner.uid, owner.gid)).unwrap(),
            unknown.len(),
        )
    };
    for (text, expected) in [
        ("www", ((33, 34), 0)),
        ("www:staff", ((33, 50), 0)),
        ("7", ((7, 7), 0)),
        ("7:8", ((7, 8), 0)),
        ("33", ((33, 33), 0)),
        ("7:staff", ((7, 50), 0)),
        ("nobody", ((0, 0), 1)),
        ("www:nobody", ((33, 34), 1)),
    ] {
        assert_eq!(owner(text), expected, "{text}");
    }
    let source = "d/ 640,9,9:d/a=1 755:x";
    for (command, expected) in [
        ("--chown=1:2 d /y", "755,1,2:y/ 640,1,2:y/a=1"),
        ("--chmod=600 d /y/", "600:y/ 600,9,9:y/a=1"),
        ("--chmod=4755 x /y/x", "y/ 4755:y/x"),
        ("--chmod=u=rwX,go=rX d x /", "644,9,9:a=1 755:x"),
        ("--chmod=go-rwx x /y/x", "y/ 700:y/x"),
        ("--chmod=600 --chown=5 <<note /n", "600,5,5:n=note"),
    ] {
        check("", source, command, expected);
    }
}

#[test]
fn linked_copies_ask_nothing_of_the_root() {
    let source = "a=1 d/ d/b";
    for (root, command, expected) in [
        ("1777:tmp/", "--link a /tmp/", "1777:tmp/ tmp/a=1"),
        ("", "--link a /x/y/", "x/ x/y/ x/y/a=1"),
        ("x->y y/", "--link a /x/", "x/ x/a=1 y/"),
        ("b/ b/c", "--link d /", "b"),
        ("", "--link --chown=3 a /x/", "755,3,3:x/ 644,3,3:x/a=1"),
    ] {
        check(root, source, command, expected);
    }
}

/// The same entries in the same order, whatever was written first.
#[test]
fn the_layer_is_determined() {
    let fixture = Fixture::new();
    let source = fixture.files(&["b=1 a=2 c/ c/z c/y"]);
    let root = fixture.files(&[""]);
    let layer = |sources: &[&str]| {
        let given: Vec<_> = sources
            .iter()
            .map(|path| Given::Selected {
                selected: select(&source, path, &Patterns::default(), false).unwrap(),
                unpacks: false,
            })
            .collect();
        let job = CopyJob {
            root: &root,
            given: &given,
            destination: "/x/",
            owner: None,
            chmod: None,
            link: false,
            times: TIMES,
        };
        copy(&fixture.lease, &job, &Cancel::new().unwrap())
            .unwrap()
            .diff_id
    };
    assert_eq!(layer(&["a", "b", "c"]), layer(&["c", "b", "a"]));
}

#[test]
fn times() {
    let fixture = Fixture::new();
    let source = fixture.files(&["a d/ d/b"]);
    let root = fixture.files(&[""]);
    let mtimes = |at_most_secs| {
        let given = [Given::Selected {
            selected: select(&source, ".", &Patterns::default(), false).unwrap(),
            unpacks: false,
        }];
        let job = CopyJob {
            root: &root,
            given: &given,
            destination: "/x/",
            owner: None,
            chmod: None,
            link: false,
            times: CopyTimes {
                at_most_secs,
                made_secs: 500,
            },
        };
        let layer = copy(&fixture.lease, &job, &Cancel::new().unwrap()).unwrap();
        let files = Files::of_layers(&fixture.store, &[layer.diff_id]).unwrap();
        let walk = files.stack.walk(files.stack.root().unwrap()).skip(1);
        let times: Vec<_> = walk.map(|found| found.unwrap().facts.mtime_secs).collect();
        times
    };
    assert_eq!(mtimes(None), [0, 1000, 1000, 1000]);
    assert_eq!(mtimes(Some(900)), [0, 900, 900, 900]);
    assert_eq!(mtimes(Some(2000)), [0, 1000, 1000, 1000]);
}

#[test]
fn directories_are_made_for_workdir() {
    for (root, path, expected) in [
        ("", "/a/b", "755,7,8:a/ 755,7,8:a/b/"),
        ("a/", "/a/b", "a/ 755,7,8:a/b/"),
        ("700:a/", "/a", "700:a/"),
        (
            "a->c/d",
            "/a/b",
            "a->c/d 755,7,8:c/ 755,7,8:c/d/ 755,7,8:c/d/b/",
        ),
        ("a=file", "/a", "error: cannot copy to non-directory: /a"),
    ] {
        let fixture = Fixture::new();
        let base = fixture.layer(root);
        let files = Files::of_layers(&fixture.store, std::slice::from_ref(&base)).unwrap();
        let owner = Some(Owner { uid: 7, gid: 8 });
        let cancel = Cancel::new().unwrap();
        let made = make_directory(&fixture.lease, &files, path, owner, TIMES, &cancel);
        let found = match made {
            Ok(layer) => {
                listing(&Files::of_layers(&fixture.store, &[base, layer.diff_id]).unwrap())
            }
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(found, expected, "WORKDIR {path} in {root:?}");
    }
}

#[test]
fn what_is_canceled_leaves_nothing() {
    let fixture = Fixture::new();
    let source = fixture.files(&["a=1"]);
    let cancel = Cancel::new().unwrap();
    cancel.cancel();
    let job = CopyJob {
        root: &source,
        given: &[Given::Selected {
            selected: select(&source, "a", &Patterns::default(), false).unwrap(),
            unpacks: false,
        }],
        destination: "/x",
        owner: None,
        chmod: None,
        link: false,
        times: TIMES,
    };
    assert!(matches!(
        copy(&fixture.lease, &job, &cancel),
        Err(CopyError::Canceled)
    ));
}

/// `ADD` of the file `archive` that holds `entries`, packed by `pack`.
fn check_archive(root: &str, entries: &str, command: &str, expected: &str) {
    for pack in [None, Some("gzip"), Some("zstd")] {
        let fixture = Fixture::new();
        let mut tar = Vec::new();
        {
            let mut writer = Writer::new(&mut tar as &mut dyn io::Write);
            for entry in entries.split_whitespace() {
                write(&mut writer, entry);
            }
            writer.finish().unwrap();
        }
        let bytes = match pack {
            None => tar,
            Some("gzip") => packed(&tar, false),
            Some(_) => packed(&tar, true),
        };
        let root: Vec<DiffId> = vec![fixture.layer(root)];
        let files = Files::of_layers(&fixture.store, &root).unwrap();
        let source = make_layer::<StoreError>(&fixture.lease, |out| {
            let mut writer = Writer::new(out);
            let size = bytes.len() as u64;
            writer
                .file(b"archive", &Metadata::default(), size, &mut &bytes[..])
                .unwrap();
            writer.finish().unwrap();
            Ok(())
        });
        let source = Files::of_layers(&fixture.store, &[source.unwrap().diff_id]).unwrap();
        let owner = command
            .strip_prefix("--chown=")
            .map(|_| Owner { uid: 5, gid: 5 });
        let destination = command.rsplit(' ').next().unwrap();
        let job = CopyJob {
            root: &files,
            given: &[Given::Selected {
                selected: select(&source, "archive", &Patterns::default(), false).unwrap(),
                unpacks: true,
            }],
            destination,
            owner,
            chmod: None,
            link: false,
            times: TIMES,
        };
        let found = match copy(&fixture.lease, &job, &Cancel::new().unwrap()) {
            Ok(layer) => {
                let layers: Vec<_> = root.into_iter().chain([layer.diff_id]).collect();
                listing(&Files::of_layers(&fixture.store, &layers).unwrap())
            }
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(
            found,
            expected,
            "{pack:?} {entries:?} to {root:?}",
            root = command
        );
    }
}

fn packed(tar: &[u8], zstd: bool) -> Vec<u8> {
    let program = if zstd { "zstd" } else { "gzip" };
    let mut child = std::process::Command::new(program)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(tar).unwrap());
        child.wait_with_output().unwrap().stdout
    })
}

#[test]
fn archives_are_unpacked() {
    for (root, entries, command, expected) in [
        (
            "",
            "700,1,2:d/ 600,3,4:d/a=1",
            "/x",
            "x/ 700,1,2:x/d/ 600,3,4:x/d/a=1",
        ),
        (
            "",
            "700,1,2:d/ d/a=1",
            "--chown=5 /x/",
            "755,5,5:x/ 700,5,5:x/d/ 644,5,5:x/d/a=1",
        ),
        ("", "a/b/c=1", "/", "a/ a/b/ a/b/c=1"),
        ("d/ d/old", "700:d/ d/new", "/", "700:d/ d/new d/old"),
        ("d/ d/old", "d", "/", "d"),
        ("d/ d/old", "d d/ d/new", "/", "d/ d/new"),
        ("d=file", "d/ d/new", "/", "d/ d/new"),
        ("lib->usr", "lib/a", "/", "lib->usr usr/ usr/a"),
        ("lib->usr", "lib/ lib/a", "/", "lib/ lib/a"),
        ("", "../../a", "/x", "x/ x/a"),
        ("", "/a", "/x", "x/ x/a"),
        ("", "l->/etc l/a", "/x", "x/ x/etc/ x/etc/a x/l->/etc"),
        (
            "",
            "l->../../etc l/a",
            "/x",
            "x/ x/etc/ x/etc/a x/l->../../etc",
        ),
        ("", "a=1 b==a", "/x", "x/ x/a=1 x/b==x/a"),
        ("x/ x/old=7", "b==old", "/x", "x/ x/b=7 x/old=7"),
        (
            "old=7",
            "b==../old",
            "/x",
            "error: unpack /x/b: it is a hard link to ../old, which is no file",
        ),
        (
            "",
            ".wh.a",
            "/x",
            "error: copy /.wh.a: no layer can hold a name that begins with .wh.",
        ),
        (
            "x=file",
            "a",
            "/x",
            "error: cannot copy to non-directory: /x",
        ),
    ] {
        check_archive(root, entries, command, expected);
    }
}

#[test]
fn what_is_no_archive_is_copied() {
    check(
        "",
        "archive.tar.gz=text",
        "ADD archive.tar.gz /x/",
        "x/ x/archive.tar.gz=text",
    );
    check("", "empty.tar d/", "ADD empty.tar d /x/", "x/ x/empty.tar");
}

#[test]
fn files_of_a_context_are_copied() {
    let directory = tempfile::tempdir().unwrap();
    let path: &Path = directory.path();
    std::fs::write(path.join("a"), "1").unwrap();
    std::fs::hard_link(path.join("a"), path.join("b")).unwrap();
    std::os::unix::fs::symlink("a", path.join("l")).unwrap();
    let has_xattrs = rustix::fs::setxattr(
        path.join("a"),
        "user.a",
        b"test",
        rustix::fs::XattrFlags::empty(),
    )
    .is_ok();
    let fixture = Fixture::new();
    let context = Arc::new(Context::open(path, Facts::default()).unwrap());
    let select = || {
        let selected = of_context(&context, ".", &Patterns::default(), false).unwrap();
        [Given::Selected {
            selected: selected.into_iter().map(Arc::new).collect(),
            unpacks: false,
        }]
    };
    let copied = |given: &[Given]| {
        let job = CopyJob {
            root: &fixture.files(&[""]),
            given,
            destination: "/",
            owner: None,
            chmod: None,
            link: false,
            times: TIMES,
        };
        copy(&fixture.lease, &job, &Cancel::new().unwrap())
    };
    let layer = copied(&select()).unwrap();
    let files = Files::of_layers(&fixture.store, &[layer.diff_id]).unwrap();
    assert_eq!(listing(&files), "a=1 b==a l->a");
    if has_xattrs {
        let found = files.find(b"a").unwrap().unwrap();
        assert_eq!(files.stack.xattrs(&found).unwrap()[&b"user.a"[..]], b"test");
    }
    // It becomes another one after it was looked at.
    let given = select();
    std::fs::write(path.join("a"), "123").unwrap();
    let error = copied(&given).err().unwrap().to_string();
    assert!(error.contains("changed"), "{error}");
}
