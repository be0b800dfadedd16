//! Namespaces that Shiplap's own processes live in. Those of a container are the runtime's.
//!
//! An ordinary user's command enters a user namespace in which that user is root. A process can
//! give itself only one ID there; `newuidmap` and `newgidmap`, set-user-ID programs of the
//! distribution, give it the ranges of `/etc/subuid` and `/etc/subgid` too. They must be called
//! from outside, so a helper process is started first.

mod ranges;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::sys;

/// Why a namespace can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// A mount namespace.
    #[error("make a mount namespace: {source}")]
    Mounts {
        /// What the kernel said.
        source: io::Error,
    },
    /// The view of processes that belongs to a namespace of them.
    #[error("mount /proc for a PID namespace: {source}")]
    Proc {
        /// What the kernel said.
        source: io::Error,
    },
    /// A network namespace.
    #[error("make a network namespace: {source}")]
    Network {
        /// What the kernel said.
        source: io::Error,
    },
    /// A user namespace.
    #[error("make a user namespace: {source}{}", hint(setting.as_deref()))]
    User {
        /// What the kernel said.
        source: io::Error,
        /// The setting that forbids it, if one is found.
        setting: Option<String>,
    },
    /// The user namespace of another process.
    #[error("enter the user namespace of process {pid}: {source}")]
    Join {
        /// The process.
        pid: i32,
        /// What the kernel said.
        source: io::Error,
    },
    /// IDs in the user namespace.
    #[error("map users and groups in a user namespace: {source}")]
    Map {
        /// What the system said.
        source: io::Error,
    },
}

fn hint(setting: Option<&str>) -> String {
    setting.map_or_else(String::new, |setting| format!("; {setting} forbids it"))
}

/// Gives this process a view of its own of all mounts: what is mounted from now on is seen by
/// nobody outside, and gone when the last process in it is. Later mounts and unmounts outside are
/// followed. To be called before any thread is started.
///
/// # Errors
/// [`NamespaceError::Mounts`].
pub fn private_mounts() -> Result<(), NamespaceError> {
    let failed = |errno: rustix::io::Errno| NamespaceError::Mounts {
        source: errno.into(),
    };
    sys::unshare(UnshareFlags::NEWNS).map_err(failed)?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(failed)
}

/// Starts a program as process 1 of a PID namespace: whatever ends it, the kernel ends all that it
/// started, and nothing of that is left to anybody.
///
/// # Errors
/// What the system says.
pub fn spawn_first(command: &mut Command) -> io::Result<Child> {
    // What a thread starts after this is in the namespace, so it is a thread that starts one thing.
    let start = || {
        sys::unshare(UnshareFlags::NEWPID)?;
        command.spawn()
    };
    thread::scope(|scope| {
        let starter = scope.spawn(start);
        starter
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Shows the processes of this process's own PID namespace in `/proc`. To be called after
/// [`private_mounts`].
///
/// # Errors
/// [`NamespaceError::Proc`].
pub fn own_proc() -> Result<(), NamespaceError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(|errno| NamespaceError::Proc {
        source: errno.into(),
    })
}

/// A network namespace that nobody lives in yet but a thread of this process, for as long as this
/// value is there.
#[derive(Debug)]
pub struct EmptyNetwork {
    place: PathBuf,
    /// Dropped, it lets the thread end.
    _stop: mpsc::Sender<()>,
}

impl EmptyNetwork {
    /// Makes one, with nothing in it but a loopback that is down.
    ///
    /// # Errors
    /// [`NamespaceError::Network`].
    pub fn new() -> Result<Self, NamespaceError> {
        let failed = |source| NamespaceError::Network { source };
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let live = move || {
            let made = sys::unshare(UnshareFlags::NEWNET).map(|()| rustix::thread::gettid());
            // Whoever asked waits for it.
            let _ = tell.send(made);
            // Nothing is ever sent; it ends when the other side does.
            let _ = stopped.recv();
        };
        thread::Builder::new().spawn(live).map_err(failed)?;
        let thread = told
            .recv()
            .map_err(|_| failed(io::ErrorKind::UnexpectedEof.into()))?
            .map_err(|errno| failed(errno.into()))?;
        let process = std::process::id();
        Ok(Self {
            place: format!("/proc/{process}/task/{}", thread.as_raw_nonzero()).into(),
            _stop: stop,
        })
    }

    /// The directory of the thread in `/proc`.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }
}

/// Whether this process lives in a user namespace that is not the machine's first.
#[must_use]
pub fn in_user_namespace() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else {
        return false;
    };
    let fields: Vec<&str> = map.split_whitespace().collect();
    fields != ["0", "0", "4294967295"]
}

/// Whether this process's user namespace has no user but root.
#[must_use]
pub fn has_single_id() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let counts = map.lines().map(|line| line.split_whitespace().nth(2));
    counts.eq([Some("1")])
}

/// How many IDs a user namespace got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// The user's own and those of the ranges given to them.
    Ranges,
    /// The user's own only.
    Single {
        /// What keeps it from more.
        reason: String,
    },
}

/// Enters the user namespace that a process of the same user made. To be called before any thread
/// is started.
///
/// # Errors
/// [`NamespaceError::Join`].
pub fn join_user_namespace(pid: i32) -> Result<(), NamespaceError> {
    let failed = |source| NamespaceError::Join { pid, source };
    let namespace = File::open(format!("/proc/{pid}/ns/user")).map_err(failed)?;
    let (theirs, ours) = (
        fs::read_link(format!("/proc/{pid}/ns/user")).map_err(failed)?,
        fs::read_link("/proc/self/ns/user").map_err(failed)?,
    );
    if theirs == ours {
        return Ok(());
    }
    move_into_link_name_space(
        std::os::fd::AsFd::as_fd(&namespace),
        Some(LinkNameSpaceType::User),
    )
    .map_err(|errno| failed(errno.into()))
}

/// Puts this process into a new user namespace, as root. `helper` is this program, called so that
/// it runs [`map_ids_of`] on the process whose number is added to it. To be called before any
/// thread is started.
///
/// # Errors
/// [`NamespaceError`].
pub fn enter_user_namespace(helper: Command) -> Result<Ids, NamespaceError> {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let map = |source| NamespaceError::Map { source };
    let mut helper = helper;
    let mut child = helper
        .arg(std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(map)?;
    let made = sys::unshare(UnshareFlags::NEWUSER);
    if let Err(errno) = made {
        // Its input ends without a word, so it does nothing.
        drop(child.stdin.take());
        drop(child.wait());
        return Err(NamespaceError::User {
            source: errno.into(),
            setting: forbidding_setting(),
        });
    }
    if let Some(mut line) = child.stdin.take() {
        line.write_all(b"mapped?").map_err(map)?;
    }
    let output = child.wait_with_output().map_err(map)?;
    if output.status.success() {
        return Ok(Ids::Ranges);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    // The helper says its name first, as programs do.
    let reason = words
        .trim()
        .split_once(": ")
        .map_or(words.trim(), |(_, rest)| rest);
    let reason = reason.to_owned();
    fs::write("/proc/self/setgroups", "deny").map_err(map)?;
    fs::write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw())).map_err(map)?;
    fs::write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw())).map_err(map)?;
    Ok(Ids::Single { reason })
}

/// Why IDs can't be mapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The process to map for is gone.
    #[error("wait for the process to map IDs for: {source}")]
    Line {
        /// What the system said.
        source: io::Error,
    },
    /// No range is given to the user.
    #[error("{} gives user {user} no range of IDs", path.display())]
    NoRange {
        /// `/etc/subuid` or `/etc/subgid`.
        path: PathBuf,
        /// The user.
        user: String,
    },
    /// The program isn't there, or can't be called.
    #[error("call {program}: {source}")]
    Call {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The program refuses.
    #[error("{program}: {words}")]
    Refused {
        /// Which.
        program: &'static str,
        /// Its words.
        words: String,
    },
}

/// Maps the caller's ID to root and its ranges to those from 1 on, in the user namespace of a
/// process that says on `line` when it is there. Does nothing if the line ends first.
///
/// # Errors
/// [`MapError`].
pub fn map_ids_of(pid: i32, line: &mut impl Read) -> Result<(), MapError> {
    let mut word = Vec::new();
    line.read_to_end(&mut word)
        .map_err(|source| MapError::Line { source })?;
    if word.is_empty() {
        return Ok(());
    }
    let (uid, gid) = (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    let user = user_name(uid);
    map(pid, "newuidmap", uid, Path::new("/etc/subuid"), uid, &user)?;
    map(pid, "newgidmap", gid, Path::new("/etc/subgid"), uid, &user)
}

fn map(
    pid: i32,
    program: &'static str,
    own: u32,
    path: &Path,
    uid: u32,
    user: &str,
) -> Result<(), MapError> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = ranges::of_user(&text, user, uid);
    if found.is_empty() {
        return Err(MapError::NoRange {
            path: path.to_owned(),
            user: user.to_owned(),
        });
    }
    let mut command = Command::new(program);
    command.args([pid.to_string(), "0".into(), own.to_string(), "1".into()]);
    let mut inside = 1;
    for range in found {
        let numbers = [inside, range.start, range.count];
        command.args(numbers.map(|number| number.to_string()));
        inside += range.count;
    }
    let output = command
        .output()
        .map_err(|source| MapError::Call { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(MapError::Refused {
        program,
        words: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The user's name, by `/etc/passwd`; else the number.
fn user_name(uid: u32) -> String {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

/// The setting that keeps users from making user namespaces.
fn forbidding_setting() -> Option<String> {
    let settings = [
        ("kernel.unprivileged_userns_clone", "0"),
        ("user.max_user_namespaces", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ];
    settings.iter().find_map(|(name, value)| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let is_so = fs::read_to_string(path).is_ok_and(|text| text.trim() == *value);
        is_so.then(|| format!("sysctl {name}={value}"))
    })
}
