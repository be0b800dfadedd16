//! Death at any moment and a full disk: the next process finds a sound store, and a prune finds
//! every byte.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::Store;
use crate::harness::container::{Containers, IMAGE};
use crate::harness::double::Double;
use crate::harness::image::{Image, digest, noise, recipe, small};
use crate::harness::judge;
use crate::harness::tar::Entry;
use crate::push::load;

/// Three layers of some megabytes: long enough to die in the middle.
fn heavy() -> Image {
    let layers: Vec<Vec<Entry>> = (1..4)
        .map(|seed| {
            (0..40)
                .map(|file| {
                    Entry::file(&format!("{seed}/{file}"), &noise(seed * 100 + file, 50_000))
                })
                .collect()
        })
        .collect();
    let layers: Vec<&[Entry]> = layers.iter().map(Vec::as_slice).collect();
    recipe(&layers).make()
}

/// Kills the verb at `kills` moments spread over the time it takes undisturbed.
fn kill_at_moments(kills: u32, prepare: impl Fn() -> (Store, Vec<String>)) {
    let (store, arguments) = prepare();
    let start = Instant::now();
    store.ok(&arguments);
    let whole = start.elapsed();
    for moment in 0..kills {
        let (store, arguments) = prepare();
        let mut child = store.start(&arguments);
        std::thread::sleep(whole * moment / kills);
        child.kill().unwrap();
        child.wait().unwrap();

        store.assert_sound();
        for name in store.names().iter().filter(|name| !name.contains("<none>")) {
            store.ok(&["save", "-o", "/dev/null", name]);
        }
        // What was interrupted can be done, and nothing leaks.
        let again = store.run(&arguments);
        assert!(again.code.is_some(), "{again:?}");
        store.assert_prunes_to_nothing();
    }
}

#[test]
fn killed_while_pulling() {
    let double = Double::start();
    let image = heavy();
    double.fill("app:1", &image);
    for blob in &image.blobs {
        let path = format!("/v2/app/blobs/{}", digest(blob));
        double.put(
            &path,
            double.document(&path).slowly(Duration::from_micros(500)),
        );
    }
    kill_at_moments(12, || {
        (
            Store::new(),
            vec!["pull".to_owned(), double.reference("app:1")],
        )
    });
}

#[test]
fn killed_while_loading() {
    let folder = tempfile::TempDir::new().unwrap();
    let archive = folder.path().join("heavy.tar");
    std::fs::write(&archive, heavy().docker_archive(&["app:1"])).unwrap();
    let archive = archive.to_str().unwrap().to_owned();
    kill_at_moments(12, || {
        (
            Store::new(),
            vec!["load".to_owned(), "-i".to_owned(), archive.clone()],
        )
    });
}

#[test]
fn killed_while_tagging_and_removing() {
    let image = small("x");
    let prepare = |arguments: &[&str]| {
        let store = Store::new();
        load(&store, "app:1", &image);
        (
            store,
            arguments.iter().map(|word| (*word).to_owned()).collect(),
        )
    };
    kill_at_moments(8, || prepare(&["tag", "app:1", "app:2"]));
    kill_at_moments(8, || prepare(&["rmi", "app:1"]));
}

/// The image of [`heavy`] with a cache in its first layer, which makes all of it new.
fn wasteful(store: &Store) {
    let mut layers: Vec<Vec<Entry>> = vec![vec![Entry::file("tmp/left", &noise(1, 300_000))]];
    for seed in 1..4 {
        let file = |file| Entry::file(&format!("{seed}/{file}"), &noise(seed * 100 + file, 50_000));
        let mut layer: Vec<Entry> = (0..40).map(file).collect();
        layer.push(Entry::file(&format!("tmp/{seed}"), &noise(seed, 300_000)));
        layers.push(layer);
    }
    let layers: Vec<&[Entry]> = layers.iter().map(Vec::as_slice).collect();
    load(store, "app:1", &recipe(&layers).make());
}

#[test]
fn killed_while_slimming() {
    let words = ["slim", "--no-network", "-t", "app:slim", "app:1"];
    kill_at_moments(8, || {
        let store = Store::new();
        wasteful(&store);
        (store, words.map(str::to_owned).to_vec())
    });
}

#[test]
fn a_disk_that_fills_up_leaves_no_slim_image() {
    let Some(disk) = SmallDisk::new(10) else {
        return;
    };
    let store = Store::in_directory(&disk.path().join("store"));
    wasteful(&store);
    let files = store.kept_files();
    let ran = store.run(&["slim", "--no-network", "-t", "app:slim", "app:1"]);
    ran.assert_refused();
    ran.assert_says(&["space"]);
    assert_eq!(store.names(), ["app:1"]);
    assert_eq!(store.kept_files(), files);
    store.assert_sound();
    store.assert_prunes_to_nothing();
}

/// A file system of a few megabytes, unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn new(megabytes: u32) -> Option<Self> {
        if !judge::is_root() {
            judge::skip("mounting needs root");
            return None;
        }
        let folder = tempfile::TempDir::new().unwrap().keep();
        judge::ask(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
                .arg(&folder),
        );
        Some(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
        std::fs::remove_dir(&self.0).ok();
    }
}

#[test]
fn a_container_that_filled_the_disk_can_be_removed() {
    let Some(disk) = SmallDisk::new(64) else {
        return;
    };
    let Some(boxes) = Containers::with(Store::in_directory(&disk.path().join("store"))) else {
        return;
    };
    let fill = ["dd", "if=/dev/zero", "of=/big", "bs=64k"];
    let kept = ["run", "--name", "greedy", "--network", "none", IMAGE];
    boxes.run(&[], &fill);
    let ended = boxes.store.run(&[&kept[..], &fill].concat());
    let state = "{{.State.Status}} {{.State.ExitCode}}";
    assert_eq!(
        boxes.store.ok(&["inspect", "-f", state, "greedy"]).trim(),
        format!("exited {}", ended.code.unwrap())
    );
    boxes.store.ok(&["rm", "greedy"]);
    assert_eq!(boxes.store.ok(&["ps", "-aq"]), "");
    assert_eq!(boxes.shell(&[], "echo again").trim(), "again");
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let double = Double::start();
    double.fill("heavy:1", &heavy());
    double.fill("small:1", &small("x"));
    let Some(disk) = SmallDisk::new(4) else {
        return;
    };
    let store = Store::in_directory(&disk.path().join("store"));
    store.ok(&["pull", &double.reference("small:1")]);
    let ran = store.run(&["pull", &double.reference("heavy:1")]);
    ran.assert_refused();
    ran.assert_says(&["space"]);
    store.assert_sound();
    assert_eq!(store.names(), [double.reference("small:1")]);
    assert_eq!(
        store.ok(&["image", "cat", &double.reference("small:1"), "/etc/word"]),
        "x"
    );

    let archive = store.path("heavy.tar");
    std::fs::write(&archive, heavy().docker_archive(&["heavy:1"])).unwrap();
    let ran = store.run(&["load", "-i", archive.to_str().unwrap()]);
    ran.assert_refused();
    ran.assert_says(&["space"]);
    store.assert_prunes_to_nothing();
    store.ok(&["pull", &double.reference("small:1")]);
}

#[test]
fn what_a_check_repairs() {
    let store = Store::new();
    let image = heavy();
    load(&store, "app:1", &image);
    store.ok(&["tag", "app:1", "team/other:2"]);
    let root = store.root().to_path_buf();
    let layer = |at: usize| root.join("blobs/sha256").join(&image.diff_ids()[at][7..]);
    let index = |at: usize| {
        root.join("layers")
            .join(format!("{}.erofs", &image.diff_ids()[at][7..]))
    };

    // An index is derived: gone or broken, it is made again.
    std::fs::remove_file(index(0)).unwrap();
    std::fs::write(index(1), b"no index").unwrap();
    let ran = store.run(&["system", "check"]);
    assert_eq!(ran.code, Some(1));
    ran.assert_says(&[&image.diff_ids()[0], &image.diff_ids()[1], "--repair"]);
    store.ok(&["system", "check", "--repair"]);
    store.assert_sound();
    let file = store
        .command(&["image", "cat", "app:1", "/2/7"])
        .output()
        .unwrap()
        .stdout;
    assert_eq!(digest(&file), digest(&noise(207, 50_000)));

    // The database can be made again from the blobs.
    for name in ["shiplap.db", "shiplap.db-wal", "shiplap.db-shm"] {
        std::fs::remove_file(root.join(name)).ok();
    }
    store.ok(&["system", "check", "--repair"]);
    store.assert_sound();
    let ids = store.ok(&["images", "-q", "--no-trunc"]);
    assert!(ids.contains(&image.id()), "{ids}");

    // A blob that rotted is found; the image that needs it is named, and goes with a repair.
    let mut bytes = std::fs::read(layer(2)).unwrap();
    bytes[1000] ^= 1;
    let mut permissions = std::fs::metadata(layer(2)).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    std::fs::set_permissions(layer(2), permissions).unwrap();
    std::fs::write(layer(2), bytes).unwrap();
    let ran = store.run(&["system", "check"]);
    assert_eq!(ran.code, Some(1));
    ran.assert_says(&[&image.diff_ids()[2]]);
    store.ok(&["system", "check", "--repair"]);
    store.assert_sound();
    store.assert_prunes_to_nothing();
}
