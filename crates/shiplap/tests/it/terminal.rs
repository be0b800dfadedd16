//! Containers with a terminal, driven as a person would: typed keys, its size, leaving and coming
//! back.

use crate::harness::container::{Containers, IMAGE, until};
use crate::harness::terminal::Session;

#[test]
fn a_shell_as_in_the_course() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let run = [
        "run",
        "-it",
        "--name",
        "course",
        "--network",
        "none",
        IMAGE,
        "sh",
    ];
    let mut session = Session::new(&boxes.store, &run, 33, 101);
    session.types("stty size; tty; echo $TERM\n");
    session.shows("33 101\r\n");
    session.shows("/dev/pts/0\r\n");
    session.shows("xterm\r\n");
    // What says it sleeps is the process that does: keys typed earlier may reach the shell.
    session.types("sh -c 'echo asl\"\"eep; exec sleep 100'\n");
    session.shows("asleep");
    session.types("\x03");
    session.types("echo ne''xt=$?\n");
    session.shows("next=130");
    session.types("echo changed > /file; exit 6\n");
    session.ends_with(6);
    boxes.store.ok(&["commit", "course", "mine:2"]);
    assert_eq!(
        boxes
            .store
            .ok(&["run", "--rm", "--network", "none", "mine:2", "cat", "/file"]),
        "changed\n"
    );
}

#[test]
fn leaving_and_coming_back() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let run = [
        "run",
        "-it",
        "--rm",
        "--name",
        "stays",
        "--network",
        "none",
        IMAGE,
        "sh",
    ];
    let mut session = Session::new(&boxes.store, &run, 33, 101);
    session.types("echo fi''rst\n");
    session.shows("first");
    session.types("\x10\x11");
    session.ends_with(0);
    assert_eq!(boxes.state("stays"), "running");
    let mut again = Session::new(&boxes.store, &["attach", "stays"], 33, 101);
    again.types("echo sec''ond; exit 3\n");
    again.shows("second");
    again.ends_with(3);
    let mut exec = {
        boxes.start("other", &[], "sleep 1000");
        Session::new(&boxes.store, &["exec", "-it", "other", "sh"], 33, 101)
    };
    exec.types("tty; exit 4\n");
    exec.shows("/dev/pts/0");
    exec.ends_with(4);
}

#[test]
fn a_terminal_that_hangs_up_leaves_the_container() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let run = ["run", "-it", "--rm", "--name", "left", "--network", "none"];
    let shell = [IMAGE, "sh", "-c", "trap '' HUP; echo rea''dy; sleep 1000"];
    let mut session = Session::new(&boxes.store, &[&run[..], &shell[..]].concat(), 33, 101);
    session.shows("ready");
    let pid = rustix::process::Pid::from_child(&session.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    session.ends_with(0);
    assert_eq!(boxes.state("left"), "running");
    let table = "{{.Type}}|{{.TotalCount}}|{{.Active}}";
    let usage = boxes.store.ok(&["system", "df", "--format", table]);
    assert!(usage.contains("Containers|1|1\n"), "{usage}");
    let fields = "<{{.NetworkSettings.IPAddress}}{{range .Mounts}}{{.Name}}{{end}}>";
    assert_eq!(boxes.store.ok(&["inspect", "-f", fields, "left"]), "<>\n");
    boxes.store.ok(&["rm", "-f", "left"]);
}

#[test]
fn no_terminal_no_tty() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let ran = boxes.run(&["-it"], &["sh"]);
    assert_eq!(ran.code, Some(125));
    ran.assert_says(&["the input device is not a TTY"]);
}

#[test]
fn exec_can_be_left() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    boxes.start("work", &[], "sleep 1000");
    let shell = ["exec", "-it", "work", "sh"];
    let mut session = Session::new(&boxes.store, &shell, 33, 101);
    session.types("stty size; echo pi''d=$$\n");
    session.shows("33 101");
    session.shows("pid=");
    session.types("exit 7\n");
    session.ends_with(7);

    // Left by its keys, the program goes on.
    let mut session = Session::new(&boxes.store, &shell, 33, 101);
    session.types("echo rea''dy; sleep 1; echo later > /later; exec sleep 1000\n");
    session.shows("ready");
    session.types("\u{10}\u{11}");
    session.ends_with(0);
    until("it went on", || {
        boxes.store.run(&["exec", "work", "cat", "/later"]).stdout == "later\n"
    });
    let keys = ["exec", "-it", "--detach-keys", "x", "work", "sleep", "1000"];
    let mut session = Session::new(&boxes.store, &keys, 33, 101);
    session.types("x");
    session.ends_with(0);
    let session = Session::new(&boxes.store, &["exec", "-it", "work", "no-such"], 33, 101);
    session.ends_with(127);
    boxes.store.ok(&["rm", "-f", "work"]);
    boxes.assert_nothing_left();
}
