//! `top`: the processes of a container, as the machine sees them.

use std::fs;
use std::io;
use std::path::Path;

use super::control::ControlError;
use super::{Container, ContainerError};

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its owner's number outside.
    pub uid: u32,
    /// Its number outside.
    pub pid: i32,
    /// Its parent's.
    pub parent_pid: i32,
    /// How long ago it started, in seconds.
    pub age_secs: u64,
    /// Processor time used, in seconds.
    pub cpu_secs: u64,
    /// Its terminal's device number; 0: none.
    pub terminal: u64,
    /// The command line, or its name in brackets.
    pub command: String,
}

/// Clock ticks of `/proc` in a second, on every Linux that matters.
const TICKS: u64 = 100;

/// The processes of a container that runs, in the order of their numbers.
///
/// # Errors
/// [`ControlError`].
pub fn top(container: &Container) -> Result<Vec<Process>, ControlError> {
    let state = container.state()?;
    let (true, Some(pid)) = (state.status.is_live(), state.pid) else {
        return Err(ControlError::NotRunning {
            action: "list the processes of",
            name: container.name.clone(),
            id: container.short_id().to_owned(),
        });
    };
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid"));
    let failed = ContainerError::file("look at the processes of", Path::new(&container.name));
    let own = namespace(pid).map_err(failed)?;
    let failed = ContainerError::file("list", Path::new("/proc"));
    let entries = fs::read_dir("/proc").map_err(failed)?;
    let mut processes: Vec<Process> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| namespace(*pid).is_ok_and(|found| found == own))
        // It may end at any moment.
        .filter_map(|pid| read(pid).ok())
        .collect();
    processes.sort_by_key(|process| process.pid);
    Ok(processes)
}

/// proc_pid_stat(5), proc_pid_cmdline(5).
fn read(pid: i32) -> io::Result<Process> {
    use std::os::unix::fs::MetadataExt as _;
    let directory = format!("/proc/{pid}");
    let stat = fs::read_to_string(format!("{directory}/stat"))?;
    let command = fs::read(format!("{directory}/cmdline"))?;
    let (before, after) = stat.rsplit_once(')').unwrap_or(("", ""));
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |field: usize| -> u64 {
        let text = fields.get(field - 3).copied().unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    let words: Vec<_> = command
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let command = words.join(" ").trim_end().to_owned();
    let name = before.split_once('(').map_or("", |(_, name)| name);
    Ok(Process {
        uid: fs::metadata(&directory)?.uid(),
        pid,
        parent_pid: i32::try_from(number(4)).unwrap_or_default(),
        terminal: number(7),
        cpu_secs: (number(14) + number(15)) / TICKS,
        age_secs: uptime_secs().saturating_sub(number(22) / TICKS),
        command: if command.is_empty() {
            format!("[{name}]")
        } else {
            command
        },
    })
}

/// proc_uptime(5)
fn uptime_secs() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().unwrap_or_default()
}
