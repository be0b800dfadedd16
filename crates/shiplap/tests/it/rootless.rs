//! Containers of an ordinary user: root inside, nobody outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::harness::container::{IMAGE, busybox_root};
use crate::harness::{Store, judge};

const UID: u32 = 48_484;

/// An ordinary user with a store, made up for the time of the test: their lines in the lists of
/// users and ranges are seen by their own commands only.
struct User {
    store: Store,
    binary: PathBuf,
    has_ranges: bool,
}

impl User {
    fn new(has_ranges: bool) -> Option<Self> {
        if !judge::is_root() {
            judge::skip("playing another user needs root");
            return None;
        }
        for program in ["unshare", "setpriv", "newuidmap", "runc"] {
            judge::program(program)?;
        }
        let store = Store::new();
        let folder = store.home().parent().unwrap().to_owned();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["home", "run", "tmp"] {
            chown(folder.join(name), Some(UID), Some(UID)).unwrap();
        }
        chown(&folder, Some(UID), Some(UID)).unwrap();
        let binary = store.path("shiplap");
        fs::copy(env!("CARGO_BIN_EXE_shiplap"), &binary).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let line = format!("sailor:x:{UID}:{UID}::/:/bin/sh\n");
        fs::write(store.path("passwd"), users + &line).unwrap();
        let ranges = if has_ranges {
            "sailor:1000000:65536\n"
        } else {
            ""
        };
        fs::write(store.path("ranges"), ranges).unwrap();
        let user = Self {
            store,
            binary,
            has_ranges,
        };
        let archive = busybox_root(&user.store.path("box.tar"))?;
        let imported = user.run(&["import", archive.to_str().unwrap(), IMAGE]);
        assert!(imported.status.success(), "{imported:?}");
        Some(user)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = "touch /etc/subuid /etc/subgid; for list in passwd:passwd ranges:subuid ranges:subgid; do \
             mount --bind \"$FOLDER/${list%%:*}\" \"/etc/${list#*:}\" || exit 99; done; \
             exec setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups --inh-caps=-all --bounding-set=-sys_resource -- \"$@\"";
        let as_is = self.store.command(arguments);
        let mut command = Command::new("unshare");
        command
            .envs(
                as_is
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("FOLDER", self.store.path(""))
            .env("USER_ID", UID.to_string())
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&self.binary)
            .args(arguments)
            .stdin(std::process::Stdio::null());
        command.output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn root_inside_with_ranges() {
    let Some(user) = User::new(true) else { return };
    assert!(user.has_ranges);
    let inside =
        |words: &str| user.ok(&["run", "--rm", "--network", "none", IMAGE, "sh", "-c", words]);
    assert_eq!(
        inside("id -u; stat -c '%u %g' /data; echo x > /f; chown 9:9 /f; stat -c '%u' /f"),
        "0\n7 8\n9\n"
    );
    assert_eq!(
        inside("awk '{print $1,$2,$3}' /proc/self/uid_map"),
        format!("0 {UID} 1\n1 1000000 65536\n")
    );
    assert_eq!(inside("grep NoNewPrivs /proc/self/status | cut -f2"), "1\n");
    assert_eq!(
        user.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-u",
            "alice",
            IMAGE,
            "id",
            "-u"
        ]),
        "1000\n"
    );

    user.ok(&[
        "run",
        "-d",
        "--name",
        "long",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "echo said; echo new > /made; chown 7:7 /made; rm /data/seed; sleep 1000",
    ]);
    assert_eq!(user.ok(&["exec", "long", "id", "-u"]), "0\n");
    while !user.ok(&["diff", "long"]).contains("/data/seed") {}
    assert_eq!(
        user.ok(&["diff", "long"]),
        "C /data\nD /data/seed\nA /made\n"
    );
    user.ok(&["commit", "long", "mine"]);
    assert_eq!(
        user.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "mine",
            "sh",
            "-c",
            "stat -c %u /made; ls /data"
        ]),
        "7\n"
    );
    assert_eq!(user.ok(&["logs", "long"]), "said\n");
    user.ok(&["stop", "-t", "0", "long"]);
    user.ok(&["rm", "long"]);
    user.ok(&["rmi", "mine", IMAGE]);
    user.ok(&["system", "check"]);
    assert_eq!(user.store.kept_files(), Vec::<PathBuf>::new());
}

#[test]
fn one_id_is_enough_for_root_and_said() {
    let Some(user) = User::new(false) else { return };
    let output = user.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "id -u; cat /data/seed",
    ]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "0\nfrom the image\n"
    );
    assert!(
        words.contains("one user only") && words.contains("subuid"),
        "{words}"
    );
    user.ok(&["rmi", IMAGE]);
}
