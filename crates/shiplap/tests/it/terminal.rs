//! Containers with a terminal, driven as a person would: typed keys, its size, leaving and coming
//! back.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::container::{Containers, IMAGE, until};

/// The person's end of a terminal in which a command runs.
struct Session {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    child: Child,
}

impl Session {
    fn new(boxes: &Containers, arguments: &[&str]) -> Self {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let name = ptsname(&outer, Vec::new()).unwrap();
        let inner = || -> OwnedFd {
            let file = File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap());
            file.unwrap().into()
        };
        resize(&outer, 33, 101);
        let child = boxes
            .store
            .command(arguments)
            .stdin(inner())
            .stdout(inner())
            .stderr(inner())
            .spawn()
            .unwrap();
        let keyboard = File::from(outer);
        let mut screen = keyboard.try_clone().unwrap();
        let (shows, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = screen.read(&mut buffer) {
                if count == 0 || shows.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            keyboard,
            screen: shown,
            seen: String::new(),
            child,
        }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this, beyond what was waited for before.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("never shows {text:?}: {:?}", self.seen),
            }
        }
    }

    #[track_caller]
    fn ends_with(mut self, code: i32) {
        assert_eq!(
            self.child.wait().unwrap().code(),
            Some(code),
            "{:?}",
            self.seen
        );
    }
}

fn resize(terminal: &impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

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
    let mut session = Session::new(&boxes, &run);
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
    let mut session = Session::new(&boxes, &run);
    session.types("echo fi''rst\n");
    session.shows("first");
    session.types("\x10\x11");
    session.ends_with(0);
    assert_eq!(boxes.state("stays"), "running");
    let mut again = Session::new(&boxes, &["attach", "stays"]);
    again.types("echo sec''ond; exit 3\n");
    again.shows("second");
    again.ends_with(3);
    let mut exec = {
        boxes.start("other", &[], "sleep 1000");
        Session::new(&boxes, &["exec", "-it", "other", "sh"])
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
    let mut session = Session::new(&boxes, &[&run[..], &shell[..]].concat());
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
    let mut session = Session::new(&boxes, &shell);
    session.types("stty size; echo pi''d=$$\n");
    session.shows("33 101");
    session.shows("pid=");
    session.types("exit 7\n");
    session.ends_with(7);

    // Left by its keys, the program goes on.
    let mut session = Session::new(&boxes, &shell);
    session.types("echo rea''dy; sleep 1; echo later > /later; exec sleep 1000\n");
    session.shows("ready");
    session.types("\u{10}\u{11}");
    session.ends_with(0);
    until("it went on", || {
        boxes.store.run(&["exec", "work", "cat", "/later"]).stdout == "later\n"
    });
    let keys = ["exec", "-it", "--detach-keys", "x", "work", "sleep", "1000"];
    let mut session = Session::new(&boxes, &keys);
    session.types("x");
    session.ends_with(0);
    let session = Session::new(&boxes, &["exec", "-it", "work", "no-such"]);
    session.ends_with(127);
    boxes.store.ok(&["rm", "-f", "work"]);
    boxes.assert_nothing_left();
}
