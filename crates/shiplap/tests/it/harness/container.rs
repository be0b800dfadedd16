//! A store with one small image, busybox, and nothing that outlives it: what tests of containers
//! stand on.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tar::{Entry, tar};
use super::{Ran, Store, judge};

/// The image's name.
pub(crate) const IMAGE: &str = "box";

/// A store whose containers are gone when it is dropped.
pub(crate) struct Containers {
    pub(crate) store: Store,
}

impl Containers {
    /// `None`, with a word, where containers can't run.
    pub(crate) fn new() -> Option<Self> {
        Self::with(Store::new())
    }

    pub(crate) fn with(store: Store) -> Option<Self> {
        if !judge::is_root() {
            judge::skip("containers of the machine's root need root");
            return None;
        }
        judge::program("runc")?;
        let archive = busybox_root(&store.path("box.tar"))?;
        store.ok(&["import", "-c", "CMD [\"sh\"]", archive.to_str()?, IMAGE]);
        Some(Self { store })
    }

    /// `run --rm --network none` of the image.
    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> Ran {
        let start = ["run", "--rm", "--network", "none"];
        let all = [&start, options, &[IMAGE], command].concat();
        self.store.run(&all)
    }

    /// The same with a shell's words, which must end well; what they print.
    #[track_caller]
    pub(crate) fn shell(&self, options: &[&str], words: &str) -> String {
        let ran = self.run(options, &["sh", "-c", words]);
        ran.assert_ok();
        ran.stdout.trim_end().to_owned()
    }

    /// Starts a container that goes on, by this name.
    #[track_caller]
    pub(crate) fn start(&self, name: &str, options: &[&str], words: &str) -> String {
        let start = ["run", "-d", "--network", "none", "--name", name];
        let all = [&start, options, &[IMAGE, "sh", "-c", words]].concat();
        self.store.ok(&all).trim_end().to_owned()
    }

    /// What `ps -a` says of a container's state.
    #[track_caller]
    pub(crate) fn state(&self, name: &str) -> String {
        let filter = format!("name=^{name}$");
        let listed = self
            .store
            .ok(&["ps", "-a", "--filter", &filter, "--format", "{{.State}}"]);
        listed.trim_end().to_owned()
    }

    /// Nothing of any container is left: no directory, no mount, no process. A container that
    /// removes itself does so after its end was told.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let containers = self.store.root().join("containers");
        until("no process is left", || {
            processes_of(self.store.root()).is_empty()
        });
        let left: Vec<_> = std::fs::read_dir(containers).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(mounts_below(self.store.root()), Vec::<String>::new());
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        remove_all(&self.store);
    }
}

/// Ends and removes every container of a store.
pub(crate) fn remove_all(store: &Store) {
    let listed = store.run(&["ps", "-aq"]).stdout;
    let ids: Vec<&str> = listed.lines().collect();
    if !ids.is_empty() {
        store.run(&[&["rm", "-f", "-v"], &ids[..]].concat());
    }
}

/// A tar of a root with busybox under its usual names, and a few users.
pub(crate) fn busybox_root(path: &Path) -> Option<PathBuf> {
    let busybox = judge::program("busybox")?;
    let content = std::fs::read(&busybox).unwrap();
    let names = judge::ask(Command::new(&busybox).arg("--list"));
    let mut entries = vec![
        Entry::directory("bin"),
        Entry::directory("etc"),
        Entry::directory("root"),
        Entry::directory("tmp").mode(0o1777),
        Entry::directory("data").owner(7, 8),
        Entry::file("data/seed", b"from the image\n").owner(7, 8),
        Entry::file("bin/busybox", &content).mode(0o755),
        Entry::file(
            "etc/passwd",
            b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
        ),
        Entry::file(
            "etc/group",
            b"root:x:0:\nalice:x:1000:\nboats:x:50:alice\nextra:x:60:\n",
        ),
    ];
    for name in names.lines().filter(|name| *name != "busybox") {
        entries.push(Entry::symlink(&format!("bin/{name}"), "busybox"));
    }
    std::fs::write(path, tar(&entries)).unwrap();
    Some(path.to_owned())
}

fn mounts_below(root: &Path) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = root.to_str().unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(root))
        .map(str::to_owned)
        .collect()
}

/// Command lines that name the store.
pub(crate) fn processes_of(root: &Path) -> Vec<String> {
    let root = root.to_str().unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(root))
        .collect()
}

/// Whether a process runs: one that ended and that nobody buried does not.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|rest| !rest.starts_with('Z'))
}

/// Waits until `is_so`, for as long as a busy machine may need.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}
