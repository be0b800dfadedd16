//! What every end-to-end test stands on: a store of its own, the built binary in a clean
//! environment, images made by hand, real and misbehaving registries, and comparison of trees.
//!
//! Nothing here calls the product's crates: it is judged from outside, as a user sees it.

pub(crate) mod base;
pub(crate) mod browser;
pub(crate) mod bucket;
pub(crate) mod container;
pub(crate) mod double;
pub(crate) mod git;
pub(crate) mod http;
pub(crate) mod hub;
pub(crate) mod image;
pub(crate) mod judge;
pub(crate) mod leftovers;
pub(crate) mod listing;
pub(crate) mod postgres;
pub(crate) mod registry;
pub(crate) mod scene;
pub(crate) mod table;
pub(crate) mod tar;
pub(crate) mod terminal;
pub(crate) mod told;
pub(crate) mod untar;
pub(crate) mod user;
pub(crate) mod visitor;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A store of its own with a home of its own, gone when dropped.
pub(crate) struct Store {
    folder: TempDir,
    root: PathBuf,
    environment: Vec<(String, String)>,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) arguments: String,
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Store {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("store");
        Self::at(folder, root)
    }

    /// A store in a directory that exists elsewhere (a small file system, say).
    pub(crate) fn in_directory(root: &Path) -> Self {
        Self::at(TempDir::new().unwrap(), root.to_path_buf())
    }

    fn at(folder: TempDir, root: PathBuf) -> Self {
        for name in ["home", "run", "tmp"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self {
            folder,
            root,
            environment: Vec::new(),
        }
    }

    /// Adds a variable to the environment of every run.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a `config.toml` and points every run at it.
    pub(crate) fn configured(self, toml: &str) -> Self {
        let file = self.path("config.toml");
        fs::write(&file, toml).unwrap();
        self.with("SHIPLAP_CONFIG", file.to_str().unwrap())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// A path beside the store, for what a test needs.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary with nothing of this machine's environment but PATH.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        self.command_as(Path::new(env!("CARGO_BIN_EXE_shiplap")), arguments)
    }

    /// The same for the binary under another name.
    pub(crate) fn command_as<A: AsRef<OsStr>>(&self, binary: &Path, arguments: &[A]) -> Command {
        let mut command = Command::new(binary);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("TMPDIR", self.path("tmp"))
            .env("SHIPLAP_ROOT", &self.root)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        Ran::new(arguments, &self.command(arguments).output().unwrap())
    }

    /// Runs with these bytes on standard input.
    pub(crate) fn run_with<A: AsRef<OsStr>>(&self, arguments: &[A], input: &[u8]) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A run that refuses its input closes the pipe early; that is its right.
            scope.spawn(move || stdin.write_all(input).ok());
            Ran::new(arguments, &child.wait_with_output().unwrap())
        })
    }

    /// Starts without waiting, output discarded.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Child {
        self.command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Runs, must end well; what it wrote to stdout.
    #[track_caller]
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let ran = self.run(arguments);
        ran.assert_ok();
        ran.stdout
    }

    /// Runs, must be refused in words; what it wrote to stderr.
    #[track_caller]
    pub(crate) fn refused<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let ran = self.run(arguments);
        ran.assert_refused();
        ran.stderr
    }

    /// Runs, must end well with JSON on stdout.
    #[track_caller]
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Value {
        let stdout = self.ok(arguments);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in {stdout}"))
    }

    /// The first line of `inspect --format FORMAT NAME`.
    #[track_caller]
    pub(crate) fn field(&self, name: &str, format: &str) -> String {
        self.ok(&["inspect", "--format", format, name])
            .trim_end()
            .to_owned()
    }

    /// `name:tag` of each image, sorted.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        let listed = self.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// `system check` finds nothing wrong.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        self.run(&["system", "check"]).assert_ok();
    }

    /// All bytes of layers, blobs and what is in flight, in files: what a prune must free.
    pub(crate) fn kept_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for name in ["blobs", "layers", "trees", "staging"] {
            files_below(&self.root.join(name), &mut found);
        }
        found.sort();
        found
    }

    /// After everything is pruned no byte stays.
    #[track_caller]
    pub(crate) fn assert_prunes_to_nothing(&self) {
        self.ok(&["image", "prune", "--all", "--force"]);
        assert_eq!(self.names(), Vec::<String>::new());
        assert_eq!(self.kept_files(), Vec::<PathBuf>::new(), "left by a prune");
        self.assert_sound();
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            files_below(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

impl Ran {
    pub(crate) fn new<A: AsRef<OsStr>>(arguments: &[A], output: &Output) -> Self {
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        Self {
            arguments: words.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn assert_ok(&self) {
        assert_eq!(self.code, Some(0), "{}: {self:#?}", self.arguments);
    }

    /// It failed by its own decision and said why: no panic, no signal, no silence.
    #[track_caller]
    pub(crate) fn assert_refused(&self) {
        let by_itself = self.code.is_some_and(|code| code != 0 && code != 101);
        assert!(by_itself, "should have been refused: {self:#?}");
        assert!(!self.stderr.trim().is_empty(), "no reason given: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
    }

    /// The reason names all these things, whatever the case.
    #[track_caller]
    pub(crate) fn assert_says(&self, parts: &[&str]) {
        let said = format!("{}{}", self.stdout, self.stderr).to_lowercase();
        for part in parts {
            assert!(
                said.contains(&part.to_lowercase()),
                "{part:?} not said: {self:#?}"
            );
        }
    }
}

#[cfg(test)]
mod tests;
