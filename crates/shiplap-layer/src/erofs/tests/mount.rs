//! The kernel as judge: index and tar mounted, every name and fact compared; overlayfs on top.
//! Needs root and file-backed EROFS (Linux 6.12); says so and passes where they lack.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dev, major, minor};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::judges::crowded;
use super::*;

/// A mount that ends with it.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Mounts a layer at `room/name`; None if this kernel or user can't.
fn mount_layer(room: &Path, name: &str, layer: &Layer) -> Option<Mounted> {
    let file = |kind: &str| room.join(format!("{name}.{kind}"));
    fs::write(file("index"), layer.index()).unwrap();
    fs::write(file("tar"), &layer.tar).unwrap();
    let point = room.join(name);
    fs::create_dir(&point).unwrap();
    let data = CString::new(format!("device={}", file("tar").display())).unwrap();
    match mount(
        file("index"),
        &point,
        "erofs",
        MountFlags::RDONLY,
        data.as_c_str(),
    ) {
        Ok(()) => Some(Mounted(point)),
        Err(error @ (Errno::PERM | Errno::NOTBLK | Errno::NODEV)) => {
            eprintln!("skipped: no file-backed EROFS mount here ({error})");
            None
        }
        Err(error) => panic!("mount: {error}"),
    }
}

fn list_xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(length);
            (name.to_vec(), value)
        })
        .collect()
}

/// What a mount should show of a node's xattrs.
fn shown_xattrs(node: &Node) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let stored = super::super::layout::stored_xattrs(node);
    let visible = stored.into_iter().filter(|(name, _)| {
        let system = name.starts_with(b"system.posix_acl_");
        let known = [b"user.".as_slice(), b"trusted.", b"security."]
            .iter()
            .any(|prefix| name.len() > prefix.len() && name.starts_with(prefix));
        system || known
    });
    visible
        .map(|(name, value)| (name, value.to_vec()))
        .collect()
}

fn check_mount(point: &Path, layer: &Layer) {
    let mut stack = vec![(point.to_owned(), NodeId(0), 0)];
    let mut links: BTreeMap<NodeId, (u64, u64)> = BTreeMap::new();
    while let Some((path, id, depth)) = stack.pop() {
        let node = &layer.tree.nodes[id.0 as usize];
        let shown = fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let (format, device) = match &node.kind {
            Kind::Directory(directory) => {
                let mut names: Vec<Vec<u8>> = fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
                    .collect();
                names.sort();
                assert!(
                    names.iter().eq(directory.children.keys()),
                    "{path:?}: names differ"
                );
                for (name, &child) in &directory.children {
                    let name = std::ffi::OsStr::from_bytes(name);
                    stack.push((path.join(name), child, depth + 1));
                }
                let subdirectories = (directory.children.values())
                    .filter(|id| matches!(layer.tree.nodes[id.0 as usize].kind, Kind::Directory(_)))
                    .count();
                assert_eq!(shown.nlink(), 2 + subdirectories as u64, "{path:?}");
                (0o04, (0, 0))
            }
            Kind::File(data) => {
                assert_eq!(shown.size(), data.size_bytes, "{path:?}");
                let same = fs::read(&path).unwrap() == layer.content(data);
                assert!(same, "{path:?}: content differs");
                (0o10, (0, 0))
            }
            Kind::Symlink(target) => {
                let shown = fs::read_link(&path).unwrap();
                assert_eq!(shown.as_os_str().as_bytes(), target);
                (0o12, (0, 0))
            }
            Kind::CharDevice { major, minor } => (0o02, (*major, *minor)),
            Kind::BlockDevice { major, minor } => (0o06, (*major, *minor)),
            Kind::Fifo => (0o01, (0, 0)),
            Kind::Whiteout => (0o02, (0, 0)),
        };
        let mode = if format == 0o12 {
            0o777
        } else {
            u32::from(node.mode)
        };
        assert_eq!(shown.mode(), format << 12 | mode, "{path:?}");
        let shown_device = shown.rdev() as Dev;
        assert_eq!(
            (major(shown_device), minor(shown_device)),
            device,
            "{path:?}"
        );
        assert_eq!((shown.uid(), shown.gid()), (node.uid, node.gid), "{path:?}");
        let time = (shown.mtime(), shown.mtime_nsec());
        assert_eq!(time, (node.mtime_secs, node.mtime_nanos.into()), "{path:?}");
        assert_eq!(list_xattrs(&path), shown_xattrs(node), "{path:?}");
        if format != 0o04 {
            let (inode, seen) = links.entry(id).or_insert((shown.ino(), 0));
            assert_eq!(*inode, shown.ino(), "{path:?}: hard links differ");
            *seen += 1;
        }
        if depth == 0 {
            assert_eq!(shown.ino(), 48);
        }
        links
            .entry(id)
            .and_modify(|(_, seen)| *seen |= shown.nlink() << 32);
    }
    for (inode, seen) in links.into_values() {
        assert_eq!(seen >> 32, seen & 0xffff_ffff, "inode {inode}: nlink");
    }
}

#[test]
fn kernel_shows_the_sample() {
    let room = tempfile::tempdir().unwrap();
    let layer = sample();
    let Some(mounted) = mount_layer(room.path(), "sample", &layer) else {
        return;
    };
    check_mount(&mounted.0, &layer);
}

#[test]
fn kernel_finds_each_of_100_000_names() {
    let room = tempfile::tempdir().unwrap();
    let layer = crowded(100_000);
    let Some(mounted) = mount_layer(room.path(), "crowded", &layer) else {
        return;
    };
    check_mount(&mounted.0, &layer);
    assert!(!mounted.0.join("f0x").exists());
}

#[test]
fn kernel_reads_files_over_4_gib() {
    let room = tempfile::tempdir().unwrap();
    let (index, tar) = (room.path().join("index"), room.path().join("tar"));
    let size = (5 << 30) + 3;
    let mut layer = Layer::new();
    let whole = vec![Extent {
        file_offset: 0,
        tar_offset: 1024,
        length: size,
    }];
    let end = vec![Extent {
        file_offset: (9 << 40) - 512,
        tar_offset: 5 << 30,
        length: 512,
    }];
    layer.add(
        "whole",
        node(Kind::File(FileData {
            size_bytes: size,
            extents: whole,
        })),
    );
    layer.add(
        "sparse",
        node(Kind::File(FileData {
            size_bytes: 9 << 40,
            extents: end,
        })),
    );
    let file = fs::File::create_new(&tar).unwrap();
    file.set_len(6 << 30).unwrap();
    file.write_all_at(b"near the end", 5 << 30).unwrap();
    let file = fs::File::open(&tar).unwrap();
    let mut out = fs::File::create_new(&index).unwrap();
    write(&layer.tree, 6 << 30, &file, &mut out).unwrap();
    let point = room.path().join("point");
    fs::create_dir(&point).unwrap();
    let data = CString::new(format!("device={}", tar.display())).unwrap();
    if mount(&index, &point, "erofs", MountFlags::RDONLY, data.as_c_str()).is_err() {
        eprintln!("skipped: no file-backed EROFS mount here");
        return;
    }
    let mounted = Mounted(point);
    for (name, size, at) in [
        ("whole", size, (5 << 30) - 1024),
        ("sparse", 9 << 40, (9 << 40) - 512),
    ] {
        let file = fs::File::open(mounted.0.join(name)).unwrap();
        assert_eq!(file.metadata().unwrap().len(), size);
        let mut bytes = [1; 14];
        file.read_exact_at(&mut bytes, at).unwrap();
        assert_eq!(&bytes, b"near the end\0\0", "{name}");
        file.read_exact_at(&mut bytes, 4 << 30).unwrap();
        assert_eq!(bytes, [0; 14], "{name}");
    }
}

#[test]
fn overlayfs_obeys_whiteouts_and_opaque_but_no_image() {
    let room = tempfile::tempdir().unwrap();
    let mut low = Layer::new();
    for path in ["opaque", "merged", "gone-directory", "renamed"] {
        low.directory(path);
        low.file(&format!("{path}/low"), b"low");
    }
    low.file("gone", b"low");
    low.file("kept", b"low");
    low.file("secret", b"secret");
    let mut high = Layer::new();
    let opaque = Directory {
        opaque: true,
        ..Directory::default()
    };
    high.add("opaque", node(Kind::Directory(opaque)));
    high.file("opaque/high", b"high");
    high.directory("merged");
    high.file("merged/high", b"high");
    high.add("gone", node(Kind::Whiteout));
    high.add("gone-directory", node(Kind::Whiteout));
    let evil = high.file("evil", b"");
    high.tree.nodes[evil.0 as usize].xattrs = xattrs(&[
        ("trusted.overlay.metacopy", b""),
        ("trusted.overlay.redirect", b"/secret"),
    ]);
    let moved = high.directory("moved");
    high.tree.nodes[moved.0 as usize].xattrs = xattrs(&[
        ("trusted.overlay.redirect", b"/renamed"),
        ("trusted.overlay.opaque", b"y"),
    ]);
    let Some(low) = mount_layer(room.path(), "low", &low) else {
        return;
    };
    let Some(high) = mount_layer(room.path(), "high", &high) else {
        return;
    };
    let point = room.path().join("merged");
    fs::create_dir(&point).unwrap();
    let data = format!(
        "lowerdir={}:{},metacopy=on,redirect_dir=follow",
        high.0.display(),
        low.0.display()
    );
    let data = CString::new(data).unwrap();
    mount(
        "overlay",
        &point,
        "overlay",
        MountFlags::RDONLY,
        data.as_c_str(),
    )
    .unwrap();
    let merged = Mounted(point);
    let names = |path: &str| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(merged.0.join(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(""),
        [
            "evil", "kept", "merged", "moved", "opaque", "renamed", "secret"
        ]
    );
    assert_eq!(names("opaque"), ["high"]);
    assert_eq!(names("merged"), ["high", "low"]);
    assert_eq!(names("moved"), [""; 0]);
    assert_eq!(fs::read(merged.0.join("evil")).unwrap(), b"");
    let kept = list_xattrs(&merged.0.join("evil"));
    assert_eq!(kept[b"trusted.overlay.redirect".as_slice()], b"/secret");
}
