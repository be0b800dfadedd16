//! The stand-in for base images: Debian's busybox-static with the users, groups and folders that
//! builds of others' tests expect, as an archive that `load` takes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use super::image::{Image, docker_archive, recipe};
use super::tar::Entry;
use super::untar::{self, Tree};
use super::{Store, judge};

/// The time of all its files and of the image itself.
const MTIME: u64 = 1_700_000_000;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
";

const GROUP: &str = "root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
wheel:x:10:root
mail:x:8:
www-data:x:33:
operator:x:37:
users:x:100:
nobody:x:65534:
";

/// For a busybox without these applets.
const ADDUSER: &str = r#"#!/bin/sh
uid= grp= home= shell=/bin/sh make=1
while [ $# -gt 1 ]; do
  case "$1" in
    -D | -S) ;;
    -H) make= ;;
    -u) uid=$2; shift ;;
    -G) grp=$2; shift ;;
    -h) home=$2; shift ;;
    -s) shell=$2; shift ;;
    -g) shift ;;
    *) break ;;
  esac
  shift
done
name=$1
: "${home:=/home/$name}"
if [ -z "$uid" ]; then
  uid=1000
  while grep -q "^[^:]*:[^:]*:$uid:" /etc/passwd; do uid=$((uid + 1)); done
fi
if [ -n "$grp" ]; then
  gid=$(grep "^$grp:" /etc/group | cut -d: -f3)
else
  gid=$uid
  while grep -q "^[^:]*:[^:]*:$gid:" /etc/group; do gid=$((gid + 1)); done
  echo "$name:x:$gid:" >> /etc/group
fi
echo "$name:x:$uid:$gid:Linux User,,,:$home:$shell" >> /etc/passwd
echo "$name:!:19000:0:99999:7:::" >> /etc/shadow
[ -z "$make" ] || { mkdir -p "$home" && chown "$uid:$gid" "$home" && chmod 2755 "$home"; }
"#;

const ADDGROUP: &str = r#"#!/bin/sh
gid=
while [ $# -gt 1 ]; do
  case "$1" in
    -S) ;;
    -g) gid=$2; shift ;;
    *) break ;;
  esac
  shift
done
if [ $# -eq 2 ]; then
  sed -i "s/^\($2:[^:]*:[^:]*:\)\(..*\)$/\1\2,$1/;s/^\($2:[^:]*:[^:]*:\)$/\1$1/" /etc/group
  exit 0
fi
if [ -z "$gid" ]; then
  gid=1000
  while grep -q "^[^:]*:[^:]*:$gid:" /etc/group; do gid=$((gid + 1)); done
fi
echo "$1:x:$gid:" >> /etc/group
"#;

/// The names under which the tables know it.
pub(crate) const NAMES: [&str; 5] = [
    "docker.io/library/busybox:latest",
    "docker.io/library/alpine:latest",
    "mirror.gcr.io/busybox:latest",
    "mirror.gcr.io/alpine:latest",
    "quay.io/libpod/centos:7",
];

/// The image; `None`, with a word, where there is no busybox.
#[track_caller]
pub(crate) fn image() -> Option<&'static Image> {
    static IMAGE: OnceLock<Option<Image>> = OnceLock::new();
    let busybox = judge::program("busybox")?;
    IMAGE.get_or_init(|| Some(make(&busybox))).as_ref()
}

/// Writes it as an archive with all its names.
pub(crate) fn write_archive(path: &Path) -> Option<PathBuf> {
    std::fs::write(path, docker_archive(&[(image()?, &NAMES)])).unwrap();
    Some(path.to_owned())
}

/// A store that has it under all its names; `None`, with a word, where containers can't run.
#[track_caller]
pub(crate) fn store() -> Option<Store> {
    if !judge::is_root() {
        judge::skip("containers of the machine's root need root");
        return None;
    }
    judge::program("crun")?;
    let store = Store::new();
    let archive = write_archive(&store.path("base.tar"))?;
    store.ok(&["load", "--quiet", "--input", archive.to_str()?]);
    Some(store)
}

/// Its tree.
pub(crate) fn tree() -> Option<Tree> {
    let mut tree = Tree::new();
    for tar in &image()?.tars {
        untar::apply(&mut tree, &untar::entries(tar));
    }
    Some(tree)
}

fn make(busybox: &Path) -> Image {
    let names = judge::ask(Command::new(busybox).arg("--list"));
    let content = std::fs::read(busybox).unwrap();
    let folders = [
        "bin",
        "dev",
        "etc",
        "sbin",
        "usr",
        "usr/bin",
        "usr/sbin",
        "var",
        "var/spool",
        "var/spool/mail",
        "var/www",
    ];
    let mut entries: Vec<Entry> = folders.iter().map(|name| Entry::directory(name)).collect();
    entries.extend([
        Entry::directory("home").owner(65534, 65534),
        Entry::directory("root").mode(0o700),
        Entry::directory("tmp").mode(0o1777),
        Entry::file("bin/busybox", &content).mode(0o755),
        Entry::symlink("usr/bin/env", "../../bin/busybox"),
        Entry::file("etc/passwd", PASSWD.as_bytes()),
        Entry::file("etc/group", GROUP.as_bytes()),
        Entry::file("etc/shadow", shadow().as_bytes()).mode(0o640),
        Entry::file("etc/os-release", b"NAME=\"Stand-in\"\nID=standin\n"),
        Entry::file(
            "etc/nsswitch.conf",
            b"passwd: files\ngroup: files\nhosts: files dns\n",
        ),
        Entry::file("etc/localtime", &[b"TZif2".as_slice(), &[0; 39]].concat()),
    ]);
    let applets: Vec<&str> = names.split_whitespace().collect();
    for applet in applets.iter().filter(|name| **name != "busybox") {
        entries.push(Entry::symlink(&format!("bin/{applet}"), "busybox"));
    }
    for (name, script) in [("adduser", ADDUSER), ("addgroup", ADDGROUP)] {
        if !applets.contains(&name) {
            entries.push(Entry::file(&format!("bin/{name}"), script.as_bytes()).mode(0o755));
        }
    }
    let entries: Vec<Entry> = entries
        .into_iter()
        .map(|entry| entry.mtime(MTIME))
        .collect();
    let created = "2023-11-14T22:13:20Z";
    recipe(&[&entries])
        .config(json!({
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["sh"],
        }))
        .extra(json!({
            "created": created,
            "history": [{ "created": created, "created_by": "stand-in from busybox-static" }],
        }))
        .make()
}

/// Nobody has a password.
fn shadow() -> String {
    let name = |line: &str| format!("{}:*:10933:0:99999:7:::\n", line.split(':').next().unwrap());
    PASSWD.lines().map(name).collect()
}
