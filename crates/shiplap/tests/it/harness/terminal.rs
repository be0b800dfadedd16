//! A terminal in which a command runs, driven as a person would.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Store;

/// The person's end of a terminal in which a command runs.
pub(crate) struct Session {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    picture: Picture,
    pub(crate) child: Child,
}

impl Session {
    pub(crate) fn new(store: &Store, arguments: &[&str], rows: u16, columns: u16) -> Self {
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
        resize(&outer, rows, columns);
        let child = store
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
            picture: Picture::new(rows, columns),
            child,
        }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this, beyond what was waited for before.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
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

    /// Waits until the screen, as a person sees it, has this in a line.
    #[track_caller]
    pub(crate) fn draws(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.picture.has(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.picture.take(&bytes),
                Err(_) => panic!("never draws {text:?}:\n{}", self.picture.text()),
            }
        }
    }

    /// The terminal gets another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        resize(&self.keyboard, rows, columns);
    }

    /// All that is shown until the command ends, beyond what was waited for, and its exit status.
    pub(crate) fn all(mut self) -> (String, Option<i32>) {
        let code = self.child.wait().unwrap().code();
        while let Ok(bytes) = self.screen.recv_timeout(Duration::from_millis(200)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (self.seen, code)
    }

    #[track_caller]
    pub(crate) fn ends_with(mut self, code: i32) {
        assert_eq!(
            self.child.wait().unwrap().code(),
            Some(code),
            "{:?}",
            self.seen
        );
    }
}

/// What is on a screen that a program draws on: characters, moves of the cursor, clearing.
struct Picture {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Bytes that are not understood yet.
    rest: Vec<u8>,
}

impl Picture {
    fn new(rows: u16, columns: u16) -> Self {
        Self {
            cells: vec![vec![' '; columns.into()]; rows.into()],
            row: 0,
            column: 0,
            rest: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let lines = self.cells.iter().map(|line| line.iter().collect());
        lines.collect::<Vec<String>>().join("\n")
    }

    fn has(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        // A character or an order may come in two pieces.
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = String::from_utf8(self.rest[..whole].to_vec()).unwrap();
        let mut left = text.as_str();
        while let Some(c) = left.chars().next() {
            let after = &left[c.len_utf8()..];
            left = if let Some(order) = left.strip_prefix("\x1b[") {
                let Some(end) = order.find(|c: char| c.is_ascii_alphabetic()) else {
                    break;
                };
                self.obey(&order[..end], &order[end..=end]);
                &order[end + 1..]
            } else if c == '\x1b' && after.is_empty() {
                break;
            } else {
                self.put(c);
                after
            };
        }
        let done = text.len() - left.len();
        self.rest.drain(..done);
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.row += 1,
            c => {
                let line = self.cells.get_mut(self.row);
                if let Some(cell) = line.and_then(|line| line.get_mut(self.column)) {
                    *cell = c;
                }
                self.column += 1;
            }
        }
    }

    fn obey(&mut self, numbers: &str, order: &str) {
        let mut numbers = numbers.split(';').map(|number| number.parse().unwrap_or(1));
        let mut number = || numbers.next().unwrap_or(1_usize);
        match order {
            "H" => (self.row, self.column) = (number() - 1, number() - 1),
            "G" => self.column = number() - 1,
            "C" => self.column += number(),
            "J" => self.cells.iter_mut().for_each(|line| line.fill(' ')),
            _ => {}
        }
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
