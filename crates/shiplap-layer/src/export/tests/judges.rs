//! The stack, the unpacked layers and the exported tar against others' idea of the same image: the
//! kernel's overlayfs, umoci and GNU tar.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags};
use shiplap_model::digest::Digest;

use super::{corrected, exported};
use crate::root::Root;
use crate::stack::Type;
use crate::stack::tests::{TestLayer, TestStack};
use crate::unpack::tests::disk::{Entry, snapshot};
use crate::unpack::tests::{apply, everything};
use crate::unpack::{Form, Marks, Options, Rights, unpack};

fn images() -> Vec<Vec<TestLayer>> {
    let lines = |lines: &str| {
        lines
            .split("---")
            .map(TestLayer::of_lines)
            .collect::<Vec<_>>()
    };
    let mut base = vec![TestLayer::of_tar(&everything())];
    base.extend(lines(
        "d bin\n f bin/ls new\n w old --- d locked\n o locked\n f locked/in 1\n d fifo\n f fifo/x 2 ---
         l bin locked --- w bin\n d bin\n h bin/l locked/in",
    ));
    vec![
        base,
        lines(
            "d a\n d a/b\n f a/b/c 1\n h a/d a/b/c\n h e a/d --- w a/b\n f a/f 2 --- d a\n d a/b",
        ),
        lines(
            "D a\n D a/b\n f a/b/c 1 --- f a/b/d 2\n o a/b --- l x a/b\n h h a/b/d --- f a/b/e 3",
        ),
        lines("d a\n f a/b 1\n d c\n f c/d 1 --- f a file\n d c\n o c --- d a\n f a/n 2\n w c"),
    ]
}

/// The stack's own view as a snapshot, with the kernel's link counts.
fn view(stack: &TestStack) -> BTreeMap<String, Entry> {
    let mut view = BTreeMap::new();
    let mut first_names = BTreeMap::new();
    for found in stack.stack.walk(stack.stack.root().unwrap()).skip(1) {
        let found = found.unwrap();
        let path = String::from_utf8(found.path.clone()).unwrap();
        let (format, device, content) = match found.facts.kind {
            Type::Directory { .. } => (0o040_000, 0, Vec::new()),
            Type::File { .. } => (0o100_000, 0, stack.read(&found)),
            Type::Symlink => (0o120_000, 0, stack.stack.read_link(&found).unwrap()),
            Type::CharDevice { major, minor } => {
                (0o020_000, rustix::fs::makedev(major, minor), Vec::new())
            }
            Type::BlockDevice { major, minor } => {
                (0o060_000, rustix::fs::makedev(major, minor), Vec::new())
            }
            Type::Fifo => (0o010_000, 0, Vec::new()),
            Type::Whiteout => panic!("{path}"),
        };
        let (facts, dir) = (found.facts, found.is_directory());
        let mode = if format == 0o120_000 {
            0o777
        } else {
            u32::from(facts.mode)
        };
        let first = first_names
            .entry((found.layer, found.inode))
            .or_insert_with(|| path.clone());
        let inode = if dir || found.nlink() == 1 {
            path.clone()
        } else {
            first.clone()
        };
        let entry = Entry {
            mode: format | mode,
            uid: facts.uid,
            gid: facts.gid,
            mtime: (facts.mtime_secs, facts.mtime_nanos.into()),
            device,
            content,
            xattrs: stack.stack.xattrs(&found).unwrap(),
            nlink: if dir { 1 } else { found.nlink().into() },
            inode,
        };
        view.insert(path, entry);
    }
    view
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

#[test]
fn the_kernel_shows_the_same_stack() {
    if !is_root() {
        return;
    }
    for (number, layers) in images().into_iter().enumerate() {
        let stack = corrected(TestStack::new(layers));
        let temp = tempfile::tempdir().unwrap();
        let mut lower = Vec::new();
        for (number, layer) in stack.layers.iter().enumerate() {
            let dir = temp.path().join(number.to_string());
            fs::create_dir(&dir).unwrap();
            let options = Options {
                form: Form::Layer(Marks::Trusted),
                rights: Rights::Full,
            };
            unpack(
                &layer.index(),
                &layer.tar,
                &Root::open(&dir).unwrap(),
                options,
            )
            .unwrap();
            lower.insert(0, dir.to_str().unwrap().to_owned());
        }
        let at = temp.path().join("merged");
        fs::create_dir(&at).unwrap();
        let data = std::ffi::CString::new(format!("lowerdir={}", lower.join(":"))).unwrap();
        rustix::mount::mount(
            "overlay",
            &at,
            "overlay",
            MountFlags::RDONLY,
            data.as_c_str(),
        )
        .unwrap();
        let mounted = Mounted(at);
        // overlayfs gives the same inode to all names of a file only where one layer has them.
        assert_same(
            &snapshot(&mounted.0),
            &view(&stack),
            &format!("image {number}"),
        );
    }
}

#[track_caller]
fn assert_same(got: &BTreeMap<String, Entry>, want: &BTreeMap<String, Entry>, what: &str) {
    let paths = |map: &BTreeMap<String, Entry>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(got), paths(want), "{what}");
    for (path, entry) in got {
        assert_eq!(entry, &want[path], "{what}: {path}");
    }
}

/// What a flattened tree has: links counted by all names, which a merged view can't tell.
fn flat(mut tree: BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
    let mut names = BTreeMap::new();
    for entry in tree.values() {
        *names.entry(entry.inode.clone()).or_insert(0) += 1;
    }
    for entry in tree.values_mut() {
        entry.nlink = names[&entry.inode];
    }
    tree
}

#[test]
fn exported_and_applied_trees_are_the_same() {
    if !is_root() {
        return;
    }
    for (number, layers) in images().into_iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        let [by_layers, by_tar, by_us] = ["layers", "tar", "us"].map(|n| temp.path().join(n));
        for dir in [&by_layers, &by_tar, &by_us] {
            fs::create_dir(dir).unwrap();
        }
        for layer in &layers {
            apply(layer, &by_layers).unwrap();
        }
        let stack = TestStack::new(layers);
        let tar = exported(&stack);
        let file = temp.path().join("export.tar");
        fs::write(&file, &tar).unwrap();
        let done = Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"])
            .args([&file, Path::new("-C"), &by_tar])
            .status();
        assert!(done.unwrap().success());
        apply(&TestLayer::of_tar(&tar), &by_us).unwrap();
        let what = format!("image {number}");
        let want = snapshot(&by_us);
        assert_same(&snapshot(&by_tar), &want, &what);
        // Directories that no layer describes are made now, or at some other time.
        let (mut got, mut want) = (snapshot(&by_layers), want);
        for path in got.keys().cloned().collect::<Vec<_>>() {
            let found = stack.stack.resolve(path.as_bytes(), false).unwrap();
            if matches!(found.facts.kind, Type::Directory { implied: true, .. }) {
                got.remove(&path);
                want.remove(&path);
            }
        }
        assert_same(&flat(got), &flat(want), &what);
    }
}

#[test]
fn umoci_unpacks_the_same_tree() {
    let there = Command::new("umoci").arg("--version").output().is_ok();
    if !there || !is_root() {
        eprintln!("skipped: needs umoci");
        return;
    }
    for (number, layers) in images().into_iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        let image = temp.path().join("image");
        oci_layout(&image, &layers);
        let bundle = temp.path().join("bundle");
        let done = Command::new("umoci")
            .args(["unpack", "--image"])
            .arg(format!("{}:latest", image.display()))
            .arg(&bundle)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let ours = temp.path().join("ours");
        fs::create_dir(&ours).unwrap();
        for layer in &layers {
            apply(layer, &ours).unwrap();
        }
        let (mut got, mut want) = (snapshot(&ours), snapshot(&bundle.join("rootfs")));
        let stack = TestStack::new(layers);
        for (path, entry) in got.iter_mut().chain(&mut want) {
            let found = stack.stack.resolve(path.as_bytes(), false).unwrap();
            if matches!(found.facts.kind, Type::Directory { implied: true, .. }) {
                entry.mtime = (0, 0);
            }
            // umoci hands it on, to an overlay too.
            entry.xattrs.remove(&b"trusted.overlay.redirect"[..]);
        }
        assert_same(&got, &want, &format!("image {number}"));
    }
}

fn oci_layout(at: &Path, layers: &[TestLayer]) {
    let blobs = at.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8], media_type: &str| {
        let digest = Digest::of(bytes).to_string();
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
        let media_type = format!("application/vnd.oci.image.{media_type}");
        serde_json::json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    };
    let mut descriptors = Vec::new();
    for layer in layers {
        use std::os::unix::fs::FileExt;
        let mut tar = vec![0; usize::try_from(layer.tar.metadata().unwrap().len()).unwrap()];
        layer.tar.read_exact_at(&mut tar, 0).unwrap();
        descriptors.push(blob(&tar, "layer.v1.tar"));
    }
    let diff_ids: Vec<_> = descriptors.iter().map(|d| d["digest"].clone()).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = blob(config.to_string().as_bytes(), "config.v1+json");
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": descriptors,
    });
    let mut manifest = blob(manifest.to_string().as_bytes(), "manifest.v1+json");
    manifest["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(at.join("index.json"), index.to_string()).unwrap();
    fs::write(at.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
}
