//! The OCI runtime: which program it is, and its command lines.
//!
//! crun, runc and youki are known; the first that is there and works is taken, and what was found
//! is remembered beside the store until the program or the machine changes. Nothing is run here
//! but `--version`: callers get a [`Command`], whose input and output they set themselves.
//!
//! # How long it takes
//! A container of `true` in milliseconds, median of 12 (2 processors, runc 1.1.5, crun 1.8.1),
//! without a system call filter:
//!
//! | | runc | crun |
//! |---|---|---|
//! | `run` in the foreground | 39 | 10 |
//! | `run --detach`, wait, `delete` | 40 + 0 + 9 | 10 + 0 + 6 |
//! | `create`, `start`, wait, `delete` | 36 + 8 + 1 + 9 | 9 + 5 + 1 + 6 |
//!
//! So [`Runtime::run_detached`] is the way for a caller that reaps process 1 itself (it has to be
//! a child subreaper before the call): as fast as the foreground, no runtime stays in memory, and
//! [`Runtime::delete`] is nobody's wait. The filter adds 10 to 20 ms ([`crate::seccomp`]).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};
use rustix::mount::{MountFlags, mount};
use serde::{Deserialize, Serialize};

use crate::cgroups::Cgroups;

/// Runtimes by name, the fastest first.
const KNOWN: [(&str, Kind); 3] = [
    ("crun", Kind::Crun),
    ("runc", Kind::Runc),
    ("youki", Kind::Other),
];

/// Where system administrators' programs lie, which `PATH` may lack.
const ADMINISTRATORS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Longest memory of a runtime that is read, in bytes.
const MEMORY_BYTES: u64 = 64 << 10;

/// Whose command line it is, where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Crun,
    Runc,
    /// As runc.
    Other,
}

/// An OCI runtime that works here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    path: PathBuf,
    kind: Kind,
    version: String,
    cgroups: Cgroups,
    log: Option<PathBuf>,
}

/// No runtime works, or one fails.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// None of those tried works.
    #[error("find an OCI runtime: {}", join(tried))]
    NoneWorks {
        /// Each with its reason.
        tried: Vec<Refusal>,
    },
    /// The mount table can't be made as the runtime needs it.
    #[error("hide {} from the OCI runtime: {source}", path.display())]
    Cover {
        /// What was to be hidden.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A runtime that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{name} {reason}")]
pub struct Refusal {
    /// Name or path.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// Why a runtime can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// It isn't there.
    #[error("is not installed")]
    Absent,
    /// It doesn't start.
    #[error("can't be started: {0}")]
    Start(io::Error),
    /// It doesn't say what it is.
    #[error("--version failed: {0}")]
    Version(String),
    /// It works only with control groups.
    #[error("needs control groups, and none are mounted")]
    NoCgroups,
}

fn join(tried: &[Refusal]) -> String {
    let texts: Vec<String> = tried.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// What is remembered of a runtime: the program as it was when it said its version.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    path: PathBuf,
    inode: u64,
    modified_secs: i64,
    size_bytes: u64,
    version: String,
}

impl Runtime {
    /// The runtime to use: `preferred` (`crun`, `runc`, `youki` or any path) and no other, or the
    /// first known that works. What it said of itself is kept in the file `remembered`, so that
    /// it isn't asked again; a file that can't be read or written costs only time.
    ///
    /// # Errors
    /// [`RuntimeError::NoneWorks`].
    pub fn find(preferred: Option<&str>, remembered: Option<&Path>) -> Result<Self, RuntimeError> {
        let names = match preferred {
            Some(name) => vec![name],
            None => KNOWN.map(|(name, _)| name).to_vec(),
        };
        let cgroups = Cgroups::find();
        let memory = remembered.and_then(recall);
        let mut tried = Vec::new();
        for name in names {
            match Self::probe(name, &cgroups, memory.as_ref()) {
                Ok(runtime) => {
                    if let (Some(file), Some(known)) = (remembered, runtime.memory())
                        && memory.as_ref() != Some(&known)
                    {
                        remember(file, &known);
                    }
                    return Ok(runtime);
                }
                Err(reason) => tried.push(Refusal {
                    name: name.to_owned(),
                    reason,
                }),
            }
        }
        Err(RuntimeError::NoneWorks { tried })
    }

    /// The known runtimes that are installed: names and programs. Whether they work is not asked.
    #[must_use]
    pub fn installed() -> Vec<(&'static str, PathBuf)> {
        let names = KNOWN.into_iter().map(|(name, _)| name);
        names
            .filter_map(|name| Some((name, program(name)?)))
            .collect()
    }

    fn probe(name: &str, cgroups: &Cgroups, memory: Option<&Memory>) -> Result<Self, Reason> {
        let path = program(name).ok_or(Reason::Absent)?;
        let file = path.file_name().and_then(OsStr::to_str).unwrap_or(name);
        let kind = KNOWN
            .iter()
            .find(|(known, _)| file.starts_with(known))
            .map_or(Kind::Other, |(_, kind)| *kind);
        if kind != Kind::Crun && !cgroups.is_mounted() {
            return Err(Reason::NoCgroups);
        }
        let mut runtime = Self {
            path,
            kind,
            version: String::new(),
            cgroups: cgroups.clone(),
            log: None,
        };
        runtime.version = match memory {
            Some(memory) if runtime.memory_with(&memory.version).as_ref() == Some(memory) => {
                memory.version.clone()
            }
            _ => ask_version(&runtime.path)?,
        };
        Ok(runtime)
    }

    fn memory(&self) -> Option<Memory> {
        self.memory_with(&self.version)
    }

    fn memory_with(&self, version: &str) -> Option<Memory> {
        let metadata = fs::metadata(&self.path).ok()?;
        Some(Memory {
            path: self.path.clone(),
            inode: metadata.ino(),
            modified_secs: metadata.mtime(),
            size_bytes: metadata.len(),
            version: version.to_owned(),
        })
    }

    /// The program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first line of what it says to `--version`, as `crun version 1.8.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The same, which writes what goes wrong into `log` too: nothing else does, so what is there
    /// tells its failure from that of the program it ran.
    #[must_use]
    pub fn logging_to(self, log: &Path) -> Self {
        Self {
            log: Some(absolute(log)),
            ..self
        }
    }

    /// Makes the mounts as the runtime needs them to start a container; to be called in a mount
    /// namespace of its own, where nobody else sees it. crun refuses version 2 of control groups
    /// beside version 1, though the former limits nothing: it is covered by an empty directory,
    /// in which crun makes directories nobody needs.
    ///
    /// # Errors
    /// [`RuntimeError::Cover`].
    pub fn prepare_mounts(&self) -> Result<(), RuntimeError> {
        let Some(path) = &self.cgroups.unified else {
            return Ok(());
        };
        if self.kind != Kind::Crun {
            return Ok(());
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("shiplap", path, "tmpfs", flags, None).map_err(|errno| RuntimeError::Cover {
            path: path.clone(),
            source: errno.into(),
        })
    }

    /// Makes and starts a container and returns once its program runs. Its process 1 is then a
    /// child of the next child subreaper above, its number in `pid_file`. With a terminal, the
    /// master's end of it is sent to the socket `console`; else input and output are the command's.
    #[must_use]
    pub fn run_detached(
        &self,
        root: &Path,
        id: &str,
        bundle: &Path,
        pid_file: &Path,
        console: Option<&Path>,
    ) -> Command {
        let mut command = self.command(root, "run");
        command.arg("--detach");
        into_bundle(&mut command, bundle, pid_file, console);
        command.arg(id);
        command
    }

    /// Makes and starts a container, is there as long as its program, hands signals on and ends with
    /// its exit code. A terminal that the bundle asks for is joined to that of the command. The number
    /// of process 1 is in `pid_file`.
    #[must_use]
    pub fn run_attached(&self, root: &Path, id: &str, bundle: &Path, pid_file: &Path) -> Command {
        let mut command = self.command(root, "run");
        into_bundle(&mut command, bundle, pid_file, None);
        command.arg(id);
        command
    }

    /// Makes a container, up to before its program runs; the rest as [`Self::run_detached`].
    #[must_use]
    pub fn create(
        &self,
        root: &Path,
        id: &str,
        bundle: &Path,
        pid_file: &Path,
        console: Option<&Path>,
    ) -> Command {
        let mut command = self.command(root, "create");
        into_bundle(&mut command, bundle, pid_file, console);
        command.arg(id);
        command
    }

    /// Has the program of a container that was made run.
    #[must_use]
    pub fn start(&self, root: &Path, id: &str) -> Command {
        self.on(root, "start", id)
    }

    /// Sends a signal to process 1.
    #[must_use]
    pub fn kill(&self, root: &Path, id: &str, signal: i32) -> Command {
        let mut command = self.on(root, "kill", id);
        command.arg(signal.to_string());
        command
    }

    /// Forgets a container that ended, with its control group; with `force` it kills it before.
    #[must_use]
    pub fn delete(&self, root: &Path, id: &str, force: bool) -> Command {
        let mut command = self.command(root, "delete");
        if force {
            command.arg("--force");
        }
        command.arg(id);
        command
    }

    /// Runs one more process in a container, as `process` ([`crate::spec::process`]) describes it.
    /// `detached` it returns once the program runs, else it is there as long as the program, hands
    /// signals on and ends with its exit code. A terminal that the file asks for is that of the
    /// command, or is sent to the socket `console`.
    #[must_use]
    pub fn exec(
        &self,
        root: &Path,
        id: &str,
        process: &Path,
        pid_file: Option<&Path>,
        console: Option<&Path>,
        detached: bool,
    ) -> Command {
        let mut command = self.command(root, "exec");
        command.arg("--process").arg(process);
        if detached {
            command.arg("--detach");
        }
        if let Some(pid_file) = pid_file {
            command.arg("--pid-file").arg(pid_file);
        }
        if let Some(console) = console {
            command.arg("--console-socket").arg(console);
        }
        command.arg(id);
        command
    }

    /// Freezes a container's processes ([`Cgroups::can_freeze`]).
    #[must_use]
    pub fn pause(&self, root: &Path, id: &str) -> Command {
        self.on(root, "pause", id)
    }

    /// Lets them go on.
    #[must_use]
    pub fn resume(&self, root: &Path, id: &str) -> Command {
        self.on(root, "resume", id)
    }

    /// Prints a container's state, as the runtime specification has it.
    #[must_use]
    pub fn state(&self, root: &Path, id: &str) -> Command {
        self.on(root, "state", id)
    }

    /// Changes a container's limits to those in the file `resources` (`linux.resources` of the
    /// runtime specification).
    #[must_use]
    pub fn update(&self, root: &Path, id: &str, resources: &Path) -> Command {
        let mut command = self.command(root, "update");
        command.arg("--resources").arg(resources).arg(id);
        command
    }

    fn on(&self, root: &Path, verb: &str, id: &str) -> Command {
        let mut command = self.command(root, verb);
        command.arg(id);
        command
    }

    /// `root` is where the runtime keeps what it knows of containers. crun changes its directory
    /// before it looks there, so it has to be absolute.
    fn command(&self, root: &Path, verb: &str) -> Command {
        let mut command = Command::new(&self.path);
        // A runtime hands what it inherits of service managers to the container.
        for name in [
            "LISTEN_FDS",
            "LISTEN_PID",
            "LISTEN_FDNAMES",
            "NOTIFY_SOCKET",
        ] {
            command.env_remove(name);
        }
        if self.kind == Kind::Crun {
            let manager = if self.cgroups.can_make() {
                "cgroupfs"
            } else {
                "disabled"
            };
            command.arg(format!("--cgroup-manager={manager}"));
        }
        if let Some(log) = &self.log {
            command.arg("--log").arg(log);
        }
        command.arg("--root").arg(absolute(root)).arg(verb);
        command
    }
}

fn into_bundle(command: &mut Command, bundle: &Path, pid_file: &Path, console: Option<&Path>) {
    command.arg("--bundle").arg(absolute(bundle));
    command.arg("--pid-file").arg(absolute(pid_file));
    if let Some(console) = console {
        command.arg("--console-socket").arg(absolute(console));
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The program of that name, or at that path.
fn program(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        return Some(absolute(Path::new(name))).filter(is_program);
    }
    let usual = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&usual)
        .filter(|directory| directory.is_absolute())
        .chain(ADMINISTRATORS.iter().map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(is_program)
}

fn ask_version(path: &Path) -> Result<String, Reason> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(Reason::Start)?;
    let first_line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().next().unwrap_or("").trim().to_owned()
    };
    if output.status.success() {
        Ok(first_line(&output.stdout))
    } else {
        Err(Reason::Version(first_line(&output.stderr)))
    }
}

fn recall(file: &Path) -> Option<Memory> {
    let length = fs::metadata(file).ok()?.len();
    if length > MEMORY_BYTES {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Whole or not at all: another process may read it at any time.
fn remember(file: &Path, memory: &Memory) {
    let part = file.with_extension(format!("{}.part", std::process::id()));
    let written = serde_json::to_vec(memory)
        .map_err(io::Error::from)
        .and_then(|bytes| fs::write(&part, bytes))
        .and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        drop(fs::remove_file(&part));
    }
}

#[cfg(test)]
mod tests;
