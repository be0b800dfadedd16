#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use rustix::mount::{MountFlags, UnmountFlags};
use shiplap_layer::diff::{self, Owner};
use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::ingest;
use shiplap_layer::root::Root;
use shiplap_layer::tar::Writer;
use shiplap_layer::unpack::{self, Form, Marks, Options, Rights};
use shiplap_model::{ImageId, Platform};

use super::{ContainerTree, changes};
use crate::context::{Context, Settings};
use crate::import::{ImportOptions, Tarball, import};
use crate::progress::Silent;

/// A store, an image in it, and the directories of a container of it.
pub(crate) struct Fixture {
    pub(crate) temp: tempfile::TempDir,
    pub(crate) context: Context,
    pub(crate) image: ImageId,
    /// How the kernel mounts it.
    pub(crate) marks: Marks,
}

pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: needs root");
    }
    is_root
}

impl Fixture {
    /// The image holds what `script` makes in an empty directory.
    pub(crate) fn new(script: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(temp.path().join(name)).unwrap();
        }
        let settings = Settings {
            root: temp.path().join("store"),
            layer_backend: None,
            keep_compressed: false,
            parallel_layers: 1,
            platform: Platform::new("linux", "amd64"),
            registries: crate::RegistrySettings::default(),
            credentials: crate::CredentialFiles::default(),
            containers: Default::default(),
        };
        let context = Context::new(settings, Arc::new(|_: &str| {}));
        shell(&temp.path().join("lower"), script);
        let tar = tar_of(&temp.path().join("lower"));
        let options = ImportOptions::default();
        let image = import(&context, Tarball::Stream(&mut &*tar), options, &Silent).unwrap();
        Self {
            temp,
            context,
            image,
            marks: Marks::Trusted,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub(crate) fn tree(&self) -> ContainerTree {
        ContainerTree {
            image: self.image.clone(),
            upper: self.path("upper"),
            marks: self.marks,
            mounts: Vec::new(),
        }
    }

    /// Runs the script in a container, as the kernel shows it; what it leaves behind there.
    pub(crate) fn run(&self, script: &str) -> BTreeMap<String, String> {
        self.mounted(|merged| {
            shell(merged, script);
            snapshot(merged)
        })
    }

    /// Looks at the container as the kernel shows it.
    pub(crate) fn mounted<T>(&self, look: impl FnOnce(&Path) -> T) -> T {
        let merged = self.path("merged");
        let options =
            ["lower", "upper", "work"].map(|n| format!("{n}dir={}", self.path(n).display()));
        let more = match self.marks {
            Marks::Trusted => "redirect_dir=off,metacopy=off",
            Marks::User => "userxattr",
        };
        let options = format!("{},{more}", options.join(","));
        let options = std::ffi::CString::new(options).unwrap();
        let flags = MountFlags::empty();
        rustix::mount::mount("overlay", &merged, "overlay", flags, &*options).unwrap();
        let _mounted = Mounted(merged.clone());
        look(&merged)
    }

    /// What an image's layers show once they are unpacked.
    pub(crate) fn unpacked(&self, image: &ImageId) -> BTreeMap<String, String> {
        let mut tar = Vec::new();
        let output = crate::save::Output::Stream(&mut tar);
        crate::export::export(&self.context, &image.to_string(), output).unwrap();
        self.applied(&tar)
    }

    /// What a tar holds.
    pub(crate) fn applied(&self, tar: &[u8]) -> BTreeMap<String, String> {
        let temp = tempfile::tempdir_in(self.temp.path()).unwrap();
        apply(tar, temp.path());
        snapshot(temp.path())
    }
}

pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// A file system that needs no more than its name.
    pub(crate) fn new(kind: &str, path: &Path) -> Self {
        rustix::mount::mount(kind, path, kind, MountFlags::empty(), None).unwrap();
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

pub(crate) fn shell(directory: &Path, script: &str) {
    let done = Command::new("sh")
        .args(["-euc", &format!("umask 022\n{script}")])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

pub(crate) fn tar_of(directory: &Path) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let root = Root::open(directory).unwrap();
    diff::write_tree(&root, b"", b".", Owner::Kept, &mut writer).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn apply(tar: &[u8], directory: &Path) {
    let file = || tempfile::NamedTempFile::new_in(directory.parent().unwrap()).unwrap();
    let (stored, index) = (file(), file());
    ingest::ingest(tar, stored.as_file(), index.as_file(), &|_| {}).unwrap();
    let layer = LayerIndex::open(fs::File::open(index.path()).unwrap()).unwrap();
    let options = Options {
        form: Form::Applied,
        rights: Rights::Full,
    };
    let root = Root::open(directory).unwrap();
    unpack::unpack(&layer, stored.as_file(), &root, options).unwrap();
}

/// All that is below a directory, but for sockets: a line for each path.
pub(crate) fn snapshot(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut names: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(here) = open.pop() {
        let mut entries: Vec<_> = fs::read_dir(&here)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            let meta = fs::symlink_metadata(&path).unwrap();
            let kind = meta.file_type();
            if kind.is_socket() {
                continue;
            }
            let name = path
                .strip_prefix(directory)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let content = if kind.is_file() {
                let bytes = fs::read(&path).unwrap();
                names.entry(meta.ino()).or_default().push(name.clone());
                let text = String::from_utf8_lossy(bytes.get(..40).unwrap_or(&bytes)).into_owned();
                format!("{} {text:?}", bytes.len())
            } else if kind.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else {
                meta.rdev().to_string()
            };
            let mode = if kind.is_symlink() {
                0
            } else {
                meta.permissions().mode()
            };
            let facts = format!(
                "{mode:o} {}:{} {}.{} {content} {:?}",
                meta.uid(),
                meta.gid(),
                meta.mtime(),
                meta.mtime_nsec(),
                xattrs(&path)
            );
            found.insert(name, facts);
            if kind.is_dir() {
                open.push(path);
            }
        }
    }
    // A link count may speak of names that are hidden.
    for names in names.into_values().filter(|names| names.len() > 1) {
        for name in &names {
            found
                .get_mut(name)
                .unwrap()
                .push_str(&format!(" {names:?}"));
        }
    }
    found
}

fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut buffer = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut buffer).unwrap_or(0);
    let names = buffer[..length]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty());
    let mut xattrs: Vec<_> = names
        .filter(|name| !name.starts_with(b"trusted.overlay."))
        .map(|name| {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            value.truncate(length);
            (String::from_utf8(name.to_vec()).unwrap(), value)
        })
        .collect();
    xattrs.sort();
    xattrs
}

fn listed(fixture: &Fixture, tree: &ContainerTree) -> Vec<String> {
    let found = changes(&fixture.context, tree).unwrap();
    let line = |change: &super::Change| {
        format!("{} /{}", change.kind, String::from_utf8_lossy(&change.path))
    };
    found.iter().map(line).collect()
}

#[test]
fn changes_of_a_mounted_container_are_told() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new(
        "mkdir -p etc/deep var/keep gone empty; echo 1 >etc/conf; echo 1 >etc/old; echo 1 >gone/x
         echo 1 >etc/deep/f; mkdir replaced; echo 1 >replaced/x; ln -s /etc link",
    );
    fixture.run(
        "echo 2 >etc/conf; rm etc/old; rm -r gone; rm -r replaced; mkdir replaced; echo 2 >replaced/y
         mkdir -p new/dir; touch new/dir/f; chmod 700 empty; rm link; ln -s /var link
         touch -r var var/stamp; touch var/keep/x; rm var/keep/x var/stamp
         touch -d @1 etc/deep/f; touch a-b; mkdir a; touch a/b",
    );
    let expected = [
        "A /a",
        "A /a/b",
        "A /a-b",
        "C /empty",
        "C /etc",
        "C /etc/conf",
        "C /etc/deep",
        "C /etc/deep/f",
        "D /etc/old",
        "D /gone",
        "C /link",
        "A /new",
        "A /new/dir",
        "A /new/dir/f",
        "C /replaced",
        "A /replaced/y",
        "C /var",
        "C /var/keep",
    ];
    assert_eq!(listed(&fixture, &fixture.tree()), expected);
}

#[test]
fn stubs_of_mounts_are_no_changes() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new(
        "mkdir -p etc var/lib run srv; ln -s /run var/run; echo 1 >etc/resolv.conf; mkdir srv/had",
    );
    let script =
        "touch etc/hosts etc/hostname; mkdir proc sys dev; mkdir -p data/a/b var/run/secret
         mkdir -p mine/mount; touch mine/own; mkdir srv/there; touch srv/had/file";
    fixture.run(script);
    let mut tree = fixture.tree();
    let targets = ["/data/a/b", "/var/run/secret", "/mine/mount", "/srv/there"];
    tree.mounts = targets.map(str::to_owned).to_vec();
    let expected = [
        "A /mine",
        "A /mine/own",
        "C /srv",
        "C /srv/had",
        "A /srv/had/file",
    ];
    assert_eq!(listed(&fixture, &tree), expected);

    // With something in it, or another mode of its directory, it is a change.
    fixture.run("echo name >etc/hostname; touch data/a/b/x; chmod 700 run; rm etc/resolv.conf");
    let expected = [
        "A /data",
        "A /data/a",
        "A /data/a/b",
        "A /data/a/b/x",
        "C /etc",
        "A /etc/hostname",
        "D /etc/resolv.conf",
        "A /mine",
        "A /mine/own",
        "C /run",
        "C /srv",
        "C /srv/had",
        "A /srv/had/file",
    ];
    assert_eq!(listed(&fixture, &tree), expected);
}

#[test]
fn directories_copied_up_and_not_changed_are_no_changes() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new("mkdir -p a/b/c; echo 1 >a/b/c/f");
    // The kernel copies the parents of what is opened for writing.
    fixture.run("touch -r a/b/c/f /dev/null 2>/dev/null || :; exec 3>>a/b/c/f");
    assert_eq!(
        listed(&fixture, &fixture.tree()),
        ["C /a", "C /a/b", "C /a/b/c", "C /a/b/c/f"]
    );
    fs::remove_file(fixture.path("upper/a/b/c/f")).unwrap();
    let time = fs::metadata(fixture.path("lower/a/b/c"))
        .unwrap()
        .modified()
        .unwrap();
    let directory = fs::File::open(fixture.path("upper/a/b/c")).unwrap();
    directory.set_modified(time).unwrap();
    assert_eq!(listed(&fixture, &fixture.tree()), [] as [&str; 0]);
    let name = "user.mine";
    rustix::fs::setxattr(fixture.path("upper/a/b"), name, b"1", XattrFlags::empty()).unwrap();
    assert_eq!(listed(&fixture, &fixture.tree()), ["C /a", "C /a/b"]);
}

#[test]
fn an_upper_directory_made_by_hand() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new("mkdir d o; touch d/gone o/hidden file");
    let upper = fixture.path("upper");
    for name in ["d", "o"] {
        fs::create_dir(upper.join(name)).unwrap();
    }
    let whiteout = |name| {
        let (kind, mode) = (FileType::CharacterDevice, Mode::empty());
        rustix::fs::mknodat(CWD, upper.join(name), kind, mode, 0).unwrap();
    };
    whiteout("d/gone");
    whiteout("d/never");
    let mark = |name: &str| {
        rustix::fs::setxattr(upper.join("o"), name, b"y", XattrFlags::empty()).unwrap();
    };
    // The other overlay's marks say nothing.
    mark("user.overlay.opaque");
    let tree = fixture.tree();
    let is_opaque = |tree: &ContainerTree| {
        let found = changes(&fixture.context, tree).unwrap();
        found
            .iter()
            .any(|change| change.path == b"o" && change.opaque)
    };
    assert!(!is_opaque(&tree));
    let user = ContainerTree {
        marks: Marks::User,
        ..tree.clone()
    };
    assert!(is_opaque(&user));
    mark("trusted.overlay.opaque");
    assert!(is_opaque(&tree));
    assert_eq!(listed(&fixture, &tree), ["C /d", "D /d/gone", "C /o"]);
    let found = tree.open(fixture.context.store().unwrap()).unwrap();
    let names = |path: &[u8]| {
        let directory = found.merged.resolve(path, true).unwrap();
        found.merged.read_dir(&directory).unwrap().len()
    };
    assert_eq!((names(b"d"), names(b"o"), names(b"")), (0, 0, 3));
}
