//! An ordinary user with a store, made up for the time of a test.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output};

use super::container::{IMAGE, busybox_root};
use super::{Store, judge};

pub(crate) const UID: u32 = 48_484;

/// The user: their lines in the lists of
/// users and ranges are seen by their own commands only.
pub(crate) struct User {
    pub(crate) store: Store,
    binary: PathBuf,
    pub(crate) has_ranges: bool,
}

impl User {
    pub(crate) fn new(has_ranges: bool) -> Option<Self> {
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

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
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
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
