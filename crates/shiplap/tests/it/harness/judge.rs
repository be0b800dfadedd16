//! The peers as judges: where they are, and how they are told to touch nothing of this machine.
//! A judge that is not installed is skipped with a word, but not in CI.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Where a program is. In CI a missing one is a failure.
#[track_caller]
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Says why a test judges nothing here. In CI it must not come to that.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!in_ci, "can't judge: {reason}");
    eprintln!("skipped: {reason}");
}

/// The Python of `SHIPLAP_PYTHON`, if it has a module.
#[track_caller]
pub(crate) fn python(module: &str) -> Option<PathBuf> {
    let Some(python) = std::env::var_os("SHIPLAP_PYTHON").map(PathBuf::from) else {
        skip("SHIPLAP_PYTHON names no Python");
        return None;
    };
    let import = format!("import {module}");
    let has = Command::new(&python).args(["-c", &import]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skip(&format!("{} has no {module}", python.display()));
    None
}

/// Whether this process may mount and own what it likes.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a judge, must end well; its stdout.
#[track_caller]
pub(crate) fn ask(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same with stdout as bytes.
#[track_caller]
pub(crate) fn ask_bytes(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

/// `skopeo` that trusts loopback registries and asks for no policy.
pub(crate) fn skopeo() -> Option<Command> {
    let mut command = Command::new(program("skopeo")?);
    command.arg("--insecure-policy");
    Some(command)
}

/// `fsck.erofs` of 1.6 or later (Debian 13's): earlier ones know blocks of 4 KiB only, which is no
/// failure of CI's. `EROFS_UTILS` may name the folder of another one.
pub(crate) fn fsck_erofs() -> Option<PathBuf> {
    let fsck = match std::env::var_os("EROFS_UTILS") {
        Some(folder) => PathBuf::from(folder).join("fsck.erofs"),
        None => program("fsck.erofs")?,
    };
    let output = Command::new(&fsck).arg("-V").output().unwrap();
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let minor: Option<u32> = words
        .split_whitespace()
        .find_map(|word| word.strip_prefix("1."))
        .and_then(|version| version.split(['.', '-']).next()?.parse().ok());
    if minor.is_some_and(|minor| minor >= 6) {
        return Some(fsck);
    }
    eprintln!("skipped: {} knows no blocks of 512 bytes", words.trim());
    None
}

/// podman with storage of its own.
pub(crate) struct Podman {
    program: PathBuf,
    folder: TempDir,
}

impl Podman {
    pub(crate) fn new() -> Option<Self> {
        let program = program("podman")?;
        let folder = TempDir::new().unwrap();
        let policy = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
        std::fs::write(folder.path().join("policy.json"), policy).unwrap();
        std::fs::write(folder.path().join("registries.conf"), "").unwrap();
        Some(Self { program, folder })
    }

    /// podman with these arguments; `pull` and `load` take everything.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let at = |name: &str| self.folder.path().join(name);
        command
            .env("CONTAINERS_REGISTRIES_CONF", at("registries.conf"))
            .env("TMPDIR", self.folder.path())
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .arg("--tmpdir")
            .arg(at("tmp"))
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
            .args(["--events-backend", "file"]);
        let (verb, rest) = arguments.split_first().unwrap();
        command.arg(verb);
        if ["pull", "load"].contains(verb) {
            command.arg("--signature-policy").arg(at("policy.json"));
        }
        if *verb == "pull" {
            command.arg("--tls-verify=false");
        }
        command.args(rest);
        command
    }

    #[track_caller]
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        ask(&mut self.command(arguments))
    }
}

/// What `umoci unpack` makes of a tag of an OCI layout: the root file system's folder.
pub(crate) fn umoci_unpack(layout: &Path, tag: &str, bundle: &Path) -> Option<PathBuf> {
    let mut command = Command::new(program("umoci")?);
    command
        .args(["unpack", "--image"])
        .arg(format!("{}:{tag}", layout.display()))
        .arg(bundle);
    ask(&mut command);
    Some(bundle.join("rootfs"))
}
