//! A full disk: a clear error, nothing left, and room can be made again.

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use shiplap_store::{Access, RemoveOptions, Store, check};

use crate::fixture::{FakePort, Sample, files_in};

/// A tmpfs of two megabytes; gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        mount(
            "tmpfs",
            directory.path(),
            "tmpfs",
            MountFlags::empty(),
            Some(c"size=2m"),
        )
        .ok()?;
        Some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_leaves_nothing_half_done() {
    let Some(disk) = SmallDisk::new() else {
        eprintln!("skipped: can't mount a tmpfs here");
        return;
    };
    let root = disk.0.path().join("store");
    let elsewhere = disk.0.path().join("elsewhere");
    std::fs::write(&elsewhere, vec![1; 256 << 10]).unwrap();
    let store = Store::open(&root, Access::Write).unwrap();
    let sample = |number: usize| Sample {
        layers: vec![vec![u8::try_from(number % 251).unwrap(); 40_000 + number]],
        ..Sample::default()
    };
    let mut put = 0;
    let error = loop {
        let lease = store.lease().unwrap();
        match sample(put).put(&lease) {
            Ok(_) => put += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_storage_full(), "{error}");
    let images = store.images().unwrap();
    assert_eq!(images.len(), put);
    let report = check(&root, false, &FakePort, &|_, _| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    // The database's log may have filled the last page: somebody makes a little room.
    std::fs::remove_file(elsewhere).unwrap();
    store.collect().unwrap();
    assert!(
        !files_in(&root)
            .iter()
            .any(|file| file.starts_with("staging/"))
    );
    // Room can be made, to the last image.
    for image in images {
        let target = shiplap_store::Resolved::by_id(image.id);
        drop(
            store
                .remove_image(&target, RemoveOptions::default())
                .unwrap(),
        );
    }
    assert!(files_in(&root).is_empty(), "{:?}", files_in(&root));
    sample(0).put(&store.lease().unwrap()).unwrap();
}
