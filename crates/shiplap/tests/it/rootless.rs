//! Containers of an ordinary user: root inside, nobody outside.

use std::path::PathBuf;

use crate::harness::container::IMAGE;
use crate::harness::user::{UID, User};

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
