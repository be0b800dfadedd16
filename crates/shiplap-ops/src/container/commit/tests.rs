#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use shiplap_layer::unpack::Marks;
use shiplap_model::config::ContainerConfig;
use shiplap_model::{ImageConfig, ImageId, Reference};

use super::{CommitError, CommitOptions, commit};
use crate::container::changes::tests::{Fixture, is_root, shell, snapshot};
use crate::container::export::export;
use crate::save::{ArchiveFormat, Output, SaveOptions, save};

/// What an image might hold.
const BASE: &str = "
    mkdir -p etc/old deep/er/est dir removed replaced perms locked usr/bin moved
    echo 1 >etc/conf; echo 1 >etc/gone; echo 1 >etc/linked; ln etc/linked etc/linked-too
    echo 1 >deep/er/est/f; echo 1 >file; echo 1 >dir/f; echo 1 >removed/f; echo 1 >replaced/f
    echo 1 >perms/f; chmod 4755 perms/f; echo 1 >locked/f; chmod 700 locked; echo 1 >moved/f
    ln -s usr/bin bin; echo 1 >usr/bin/tool; mkfifo pipe; mknod null c 1 3";

/// What a container might do.
const CHANGES: &str = "
    echo changed >etc/conf; rm etc/gone; rmdir etc/old; echo 2 >>etc/linked
    mkdir -p new/deep; echo x >new/deep/f; ln new/deep/f new/hard; ln -s /etc/conf new/link
    mkfifo new/pipe; mknod new/null c 1 3; mknod new/disk b 7 200
    rm -r removed; rm -r replaced; mkdir replaced; echo y >replaced/only
    rm file; mkdir file; echo z >file/in; rm -r dir; echo w >dir
    chown 5:6 perms/f; chmod 2711 perms; setfattr -n user.k -v v perms
    setfattr -n security.capability -v 0sAQAAAgAgAAAAAAAAAAAAAAAAAAA= usr/bin/tool
    mv moved elsewhere; mv deep/er/est/f deep/er/est/g; ln usr/bin/tool bin/tool-too
    truncate -s 100000 new/sparse; echo end >>new/sparse; touch -d '1969-12-31 12:00:00.5' locked/f
    rm pipe; touch 'new/name with \"blanks\" ü'";

fn options(fixture: &Fixture) -> CommitOptions {
    CommitOptions {
        tree: fixture.tree(),
        config: ContainerConfig {
            cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), "true".to_owned()]),
            env: vec!["A=1".to_owned()],
            ..ContainerConfig::default()
        },
        over: None,
        changes: Vec::new(),
        author: None,
        message: None,
        created: "2026-11-24T03:00:00Z".parse().unwrap(),
        reference: None,
        squash: false,
        volumes: Vec::new(),
    }
}

fn config(fixture: &Fixture, image: &ImageId) -> ImageConfig {
    let bytes = fixture
        .context
        .store()
        .unwrap()
        .read_blob(image.digest())
        .unwrap();
    ImageConfig::parse(&bytes).unwrap()
}

#[test]
fn a_committed_container_is_what_the_kernel_showed() {
    if !is_root() {
        return;
    }
    for marks in [Marks::Trusted, Marks::User] {
        let mut fixture = Fixture::new(BASE);
        fixture.marks = marks;
        commits_what_the_kernel_shows(&fixture);
    }
}

fn commits_what_the_kernel_shows(fixture: &Fixture) {
    let seen = fixture.run(CHANGES);
    let options = options(fixture);
    let image = commit(&fixture.context, &options).unwrap();
    assert_eq!(fixture.unpacked(&image), seen);
    assert_eq!(config(fixture, &image).rootfs.diff_ids.len(), 2);

    let mut tar = Vec::new();
    export(
        &fixture.context,
        "it",
        &options.tree,
        Output::Stream(&mut tar),
    )
    .unwrap();
    assert_eq!(fixture.applied(&tar), seen);

    let squashed = CommitOptions {
        squash: true,
        ..options.clone()
    };
    let squashed = commit(&fixture.context, &squashed).unwrap();
    assert_eq!(fixture.unpacked(&squashed), seen);
    let config = config(fixture, &squashed);
    assert_eq!((config.rootfs.diff_ids.len(), config.history.len()), (1, 1));
    // The same changes at the same time are the same image.
    assert_eq!(commit(&fixture.context, &options).unwrap(), image);
    umoci_unpacks(fixture, &image, &seen);
}

/// umoci's idea of the same image, if it is there.
fn umoci_unpacks(
    fixture: &Fixture,
    image: &ImageId,
    seen: &std::collections::BTreeMap<String, String>,
) {
    if Command::new("umoci").arg("--version").output().is_err() {
        eprintln!("skipped: there is no umoci");
        return;
    }
    let name = Reference::parse("judged:1").unwrap();
    fixture.context.store().unwrap().tag(image, &name).unwrap();
    let options = SaveOptions {
        platform: None,
        images: vec!["judged:1".to_owned()],
        format: ArchiveFormat::Oci,
    };
    save(
        &fixture.context,
        &options,
        Output::File(fixture.path("image.tar")),
    )
    .unwrap();
    shell(
        fixture.temp.path(),
        "mkdir layout; tar xf image.tar -C layout
         ref=$(umoci ls --layout layout | head -1)
         umoci unpack --image \"layout:$ref\" bundle",
    );
    assert_eq!(snapshot(&fixture.path("bundle/rootfs")), *seen);
}

#[test]
fn the_history_tells_of_the_container() {
    let fixture = Fixture::new("echo 1 >a");
    fs::write(fixture.path("upper/b"), "2").unwrap();
    let options = CommitOptions {
        author: Some("Ann".to_owned()),
        message: Some("why".to_owned()),
        changes: vec!["ENV A=2".to_owned(), "EXPOSE 80".to_owned()],
        reference: Some(Reference::parse("new/name").unwrap()),
        ..options(&fixture)
    };
    let image = commit(&fixture.context, &options).unwrap();
    let made = config(&fixture, &image);
    let json = serde_json::to_value(&made).unwrap();
    assert_eq!(
        json["history"][1],
        serde_json::json!({
            "created": "2026-11-24T03:00:00Z", "created_by": "sh -c true", "author": "Ann", "comment": "why",
        })
    );
    assert_eq!(json["author"], "Ann");
    assert_eq!(json["created"], "2026-11-24T03:00:00Z");
    assert_eq!(json["architecture"], "amd64");
    assert_eq!(json["config"]["Env"], serde_json::json!(["A=2"]));
    assert_eq!(
        json["config"]["ExposedPorts"],
        serde_json::json!({"80/tcp": {}})
    );
    assert!(made.check_history().is_ok());
    let store = fixture.context.store().unwrap();
    let recorded = store.image(&image).unwrap().unwrap();
    assert_eq!(recorded.parent, Some(fixture.image.clone()));
    assert_eq!(recorded.tags[0].familiar(), "new/name:latest");
    assert_eq!(recorded.content_bytes, 3);
}

#[test]
fn nothing_changed_is_one_more_entry_of_the_history() {
    let fixture = Fixture::new("echo 1 >a");
    let image = commit(&fixture.context, &options(&fixture)).unwrap();
    let made = config(&fixture, &image);
    assert_eq!(made.rootfs.diff_ids.len(), 1);
    assert!(made.history[1].empty_layer);
    assert!(made.check_history().is_ok());
    let bad = CommitOptions {
        changes: vec!["RUN x".to_owned()],
        ..options(&fixture)
    };
    let error = commit(&fixture.context, &bad).unwrap_err();
    assert!(matches!(error, CommitError::Change(_)), "{error}");
}

#[test]
fn volumes_go_into_the_layer() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new("mkdir -p data; echo 1 >data/old; ln -s /data alias");
    fixture.run("mkdir -p fresh/place; touch other");
    let volume = fixture.path("volume");
    fs::create_dir(&volume).unwrap();
    shell(&volume, "echo 2 >new; ln new twice; mkdir sub; chmod 750 .");
    let mut options = options(&fixture);
    options.tree.mounts = vec!["/alias".to_owned(), "/fresh/place".to_owned()];
    let plain = fixture.unpacked(&commit(&fixture.context, &options).unwrap());
    let names: Vec<_> = plain.keys().map(String::as_str).collect();
    assert_eq!(names, ["alias", "data", "data/old", "other"]);
    options.volumes = vec![
        ("/alias".to_owned(), volume.clone()),
        ("/fresh/place".to_owned(), volume),
    ];
    for squash in [false, true] {
        options.squash = squash;
        let found = fixture.unpacked(&commit(&fixture.context, &options).unwrap());
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        let expected = [
            "alias",
            "data",
            "data/new",
            "data/sub",
            "data/twice",
            "fresh",
            "fresh/place",
            "fresh/place/new",
            "fresh/place/sub",
            "fresh/place/twice",
            "other",
        ];
        assert_eq!(names, expected, "{squash}");
        assert!(found["data"].starts_with("40750 "), "{}", found["data"]);
    }
}

#[test]
fn a_container_may_work_meanwhile() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::new("mkdir d; echo 1 >d/a");
    let upper = fixture.path("upper");
    let _socket = UnixListener::bind(upper.join("socket")).unwrap();
    fs::create_dir(upper.join("d")).unwrap();
    // No layer can hold these, and none may say that they stand for something else.
    for name in [".wh.d", ".wh.", ".wh..wh..opq", "d/.wh.a"] {
        fs::write(upper.join(name), "").unwrap();
    }
    let stop = AtomicBool::new(false);
    let restless = |number: usize| {
        let (file, dir) = (
            upper.join(format!("d/{number}")),
            upper.join(format!("{number}")),
        );
        while !stop.load(Ordering::Relaxed) {
            let mut open = fs::File::create(&file).unwrap();
            for _ in 0..50 {
                open.write_all(&[b'x'; 5000]).unwrap();
            }
            open.set_len(100).unwrap();
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("f"), "1").unwrap();
            fs::rename(&file, dir.join("g")).unwrap();
            fs::remove_dir_all(&dir).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).unwrap();
            fs::remove_file(&file).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for number in 0..2 {
            scope.spawn(move || restless(number));
        }
        let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for squash in [false, true].repeat(15) {
                let options = CommitOptions {
                    squash,
                    ..options(&fixture)
                };
                let image = commit(&fixture.context, &options).unwrap();
                let found = fixture.unpacked(&image);
                assert!(found.contains_key("d/a") && !found.contains_key("socket"));
            }
        }));
        stop.store(true, Ordering::Relaxed);
        made.unwrap();
    });
}
