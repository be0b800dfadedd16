//! The layer that is made of what a step changed.

use std::fs;

use shiplap_ops::step::{StepMount, StepMountKind, Times, empty_layer};

use crate::world::{World, content, step};

/// A base with all that a runtime needs a place for.
fn whole(world: &World) -> Vec<shiplap_model::DiffId> {
    let mut layers = world.base.clone();
    layers.extend(world.layer("mkdir -p proc sys; mkdir -p etc; touch -d @1000000000 etc ."));
    layers
}

pub(crate) fn what_changed_and_nothing_else() {
    World::each(|world| {
        let layers = whole(world);
        let check = |words: &str, entries: &[&str]| {
            let finished = world.ok(&step(&layers, words)).0;
            assert_eq!(world.changes(finished), entries, "{words}");
        };
        check("echo x > /f; chmod 4751 /f", &["-rwsr-x--x f"]);
        check(
            "mkdir -p /a/b; echo 1 > /a/b/c; ln /a/b/c /a/d; ln -s b /a/s; chown 5:6 /a/d",
            &[
                "drwxr-xr-x a/",
                "drwxr-xr-x a/b/",
                "-rw-r--r-- 5/6 a/b/c",
                "hrw-r--r-- 5/6 a/d link to a/b/c",
                "lrwxrwxrwx a/s -> b",
            ],
        );
        check(
            "rm /data/one /data/sub/two",
            &[
                "drwxr-xr-x 7/8 data/",
                "---------- data/.wh.one",
                "drwxr-x--- data/sub/",
                "---------- data/sub/.wh.two",
            ],
        );
        check(
            "rm -r /data/sub; mkdir /data/sub; echo new > /data/sub/new",
            &[
                "drwxr-xr-x 7/8 data/",
                "drwxr-xr-x data/sub/",
                "---------- data/sub/.wh..wh..opq",
                "-rw-r--r-- data/sub/new",
            ],
        );
        check("chmod 700 /data", &["drwx------ 7/8 data/"]);
        // A new name keeps the old ones with it.
        check(
            "ln /data/sub/two /two",
            &[
                "drwxr-xr-x 7/8 data/",
                "drwxr-x--- data/sub/",
                "-rw-r--r-- data/sub/two",
                "hrw-r--r-- two link to data/sub/two",
            ],
        );
        check("mknod /fifo p", &["prw-r--r-- fifo"]);
        // It can be made, but not used.
        check(
            "mknod /disk b 8 0; head -c 1 /disk 2>&1 | grep -q 'not permitted'",
            &["brw-r--r-- disk"],
        );
        check("echo x > /tmp/x; rm /tmp/x; echo y > /y", &["-rw-r--r-- y"]);
        check(
            "echo host > /etc/hostname",
            &["drwxr-xr-x etc/", "-rw-r--r-- etc/hostname"],
        );
        // Its changes are kept though it failed.
        let failed = world.run(&step(&layers, "echo x > /f; exit 1")).unwrap().0;
        assert_eq!(world.changes(failed), ["-rw-r--r-- f"]);
        // What is missing for the runtime stays, as BuildKit leaves it.
        let finished = world.ok(&world.step("true")).0;
        assert_eq!(
            world.changes(finished),
            ["drwxr-xr-x proc/", "drwxr-xr-x sys/"]
        );
        let mut inside = world.step("true");
        inside.layers = layers.clone();
        inside.working_dir = "/w/d".to_owned();
        let finished = world.ok(&inside).0;
        assert_eq!(
            world.changes(finished),
            ["drwxr-xr-x w/", "drwxr-xr-x w/d/"]
        );
    });
}

pub(crate) fn what_did_not_change() {
    World::each(|world| {
        let layers = whole(world);
        for words in [
            "true",
            "cat /data/one /etc/passwd; ls -R /data",
            "touch -a /data/one",
            "echo x > /data/new; rm /data/new",
            "touch /data",
            "chmod 644 /data/sub/two; chown 0:0 /data/sub/two /bin/busybox",
            "mv /data/sub/two /data/sub/t; mv /data/sub/t /data/sub/two",
            "cp -p /data/sub/two /tmp/t; cat /tmp/t > /data/sub/two; touch -r /tmp/t /data/sub/two; rm /tmp/t",
        ] {
            let finished = world.ok(&step(&layers, words)).0;
            let layer = finished
                .changes
                .into_layer(&world.lease, Times::Kept)
                .unwrap();
            let layer = layer.map(|layer| world.entries(&layer.diff_id));
            assert_eq!(layer, None, "{words}");
        }
        let kept = "cp -p /data/sub/two /tmp/t; echo owt > /data/sub/two; touch -r /tmp/t /data/sub/two; rm /tmp/t";
        assert_eq!(
            world.changes(world.ok(&step(&layers, kept)).0),
            [
                "drwxr-xr-x 7/8 data/",
                "drwxr-x--- data/sub/",
                "-rw-r--r-- data/sub/two"
            ],
            "the same size and time, another content"
        );
        let empty = empty_layer(&world.lease).unwrap();
        assert_eq!((empty.entries, empty.tar_bytes), (0, 1024));
        let with_it = [layers.clone(), vec![empty.diff_id]].concat();
        assert_eq!(world.ok(&step(&with_it, "cat /data/one")).1, "one\n");
    });
}

pub(crate) fn mounts_leave_no_trace() {
    World::each(|world| {
        let layers = whole(world);
        fs::create_dir_all(world.path("cache")).unwrap();
        let targets = [
            "/x/y/z",
            "/data/in",
            "/dev/pipes/EOF",
            "/etc/deep/er",
            "/late/link",
        ];
        let mut with = step(
            &layers,
            "for p in /x/y/z /data/in /dev/pipes/EOF /etc/deep/er /late/link; do echo x > $p/f; done; mkdir -p /x/other",
        );
        // The link leads the mount elsewhere.
        with.layers
            .extend(world.layer("mkdir real; ln -s real late"));
        for target in targets {
            with.mounts.push(StepMount {
                target: target.to_owned(),
                kind: StepMountKind::Tmpfs { size_bytes: None },
                read_only: false,
            });
        }
        with.mounts.push(StepMount {
            target: "/run/secrets/key".to_owned(),
            kind: StepMountKind::Secret {
                bytes: b"k".to_vec(),
                uid: 0,
                gid: 0,
                mode: 0o400,
            },
            read_only: true,
        });
        let finished = world.ok(&with).0;
        assert_eq!(
            world.changes(finished),
            ["drwxr-xr-x x/", "drwxr-xr-x x/other/"]
        );
        // What was there before stays.
        let mut over = step(&layers, "ls /data; echo x > /data/sub/x");
        over.mounts.push(StepMount {
            target: "/data".to_owned(),
            kind: StepMountKind::Cache {
                host: world.path("cache"),
            },
            read_only: false,
        });
        over.args[2] = "ls /data; echo x > /data/x".to_owned();
        let (finished, said) = world.ok(&over);
        assert_eq!(said, "");
        assert_eq!(world.changes(finished), [""; 0]);
    });
}

pub(crate) fn layers_on_layers() {
    World::each(|world| {
        let layers = world.build(
            &world.base,
            "echo 1 > /a; rm /data/one; mkdir /d; echo x > /d/x",
        );
        let layers = world.build(
            &layers,
            "cat /a; test ! -e /data/one; rm -r /d; mkdir /d; echo y > /d/y",
        );
        let layers = world.build(&layers, "cat /data/link; ls /d; echo 2 > /a; ln /a /b");
        let seen =
            "cat /a /b /data/link; ls /d /data; stat -c '%h %u:%g %a' /b; stat -c '%u:%g %a' /data";
        assert_eq!(
            world.ok(&step(&layers, seen)).1,
            "2\n2\none\n/d:\ny\n\n/data:\nlink\nsoft\nsub\n2 0:0 644\n7:8 755\n"
        );
        assert_eq!(content(world, &layers, "b"), "2\n");
    });
}

pub(crate) fn times_are_cut() {
    World::each(|world| {
        let words = "mkdir /d; echo x > /d/new; echo y > /d/old; touch -d @5 /d/old";
        let make = || {
            let finished = world.ok(&world.step(words)).0;
            let layer = finished
                .changes
                .into_layer(&world.lease, Times::AtMost(1000));
            layer.unwrap().unwrap().diff_id
        };
        let one = make();
        assert_eq!(one, make(), "two runs, one layer");
        let layers = [world.base.clone(), vec![one]].concat();
        assert_eq!(
            world.ok(&step(&layers, "stat -c %Y /d /d/new /d/old")).1,
            "1000\n1000\n5\n"
        );
    });
}
