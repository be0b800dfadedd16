//! `top`: the processes of a container, as the machine sees them: those lines of the host's `ps`
//! that are about them. Where there is no `ps`, its usual columns are made from `/proc`.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;

use super::control::ControlError;
use super::{Container, ContainerError};
use crate::context::Context;

/// Why processes can't be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopError {
    /// The container does not run, or can't be looked at.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// There is no `ps` that would know what the options mean.
    #[error("list processes: there is no ps on this machine (Debian package procps)")]
    NoPs,
    /// `ps` can't be called.
    #[error("call ps: {0}")]
    Call(#[source] io::Error),
    /// `ps` says no.
    #[error("list processes: ps says: {words}")]
    Refused {
        /// Its words.
        words: String,
    },
    /// Its lines can't be told apart.
    #[error("list processes: Couldn't find PID field in ps output")]
    NoPid,
}

/// What is shown: names of columns, and a line for each process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Names of the columns.
    pub titles: Vec<String>,
    /// What each process has there.
    pub rows: Vec<Vec<String>>,
}

/// The processes of a container that runs; `options` are those of ps(1), `-ef` if there are none.
///
/// # Errors
/// [`TopError`].
pub fn top(
    context: &Context,
    container: &Container,
    options: &[String],
) -> Result<Listing, TopError> {
    let pids = processes(container)?;
    let Some(program) = context.settings().containers.find_program("ps") else {
        return match options {
            [] => Ok(from_proc(&pids)),
            _ => Err(TopError::NoPs),
        };
    };
    let usual = ["-ef".to_owned()];
    let options = if options.is_empty() { &usual } else { options };
    let output = Command::new(program)
        .args(options)
        .stdin(Stdio::null())
        .output()
        .map_err(TopError::Call)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.lines().find(|line| !line.trim().is_empty());
        return Err(TopError::Refused {
            words: words.unwrap_or("nothing").trim().to_owned(),
        });
    }
    chosen(&String::from_utf8_lossy(&output.stdout), &pids).ok_or(TopError::NoPid)
}

/// The lines of ps about these processes; `None` if they don't say whom they are about.
fn chosen(text: &str, pids: &BTreeSet<i32>) -> Option<Listing> {
    let mut lines = text.lines();
    let titles: Vec<String> = lines.next()?.split_whitespace().map(Into::into).collect();
    let place = titles.iter().position(|title| title == "PID")?;
    let rows = lines.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pid: i32 = words.get(place)?.parse().ok()?;
        // The last column, a command line, may have blanks.
        let (own, rest) = words.split_at_checked(titles.len() - 1)?;
        let mut row: Vec<String> = own.iter().map(ToString::to_string).collect();
        row.push(rest.join(" "));
        pids.contains(&pid).then_some(row)
    });
    let rows = rows.collect();
    Some(Listing { titles, rows })
}

/// The processes of a container that runs.
fn processes(container: &Container) -> Result<BTreeSet<i32>, ControlError> {
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
    let pids = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids
        .filter(|pid| namespace(*pid).is_ok_and(|found| found == own))
        .collect())
}

/// Clock ticks of `/proc` in a second, on every Linux that matters.
const TICKS: u64 = 100;

/// What `ps -ef` would say, times in UTC.
fn from_proc(pids: &BTreeSet<i32>) -> Listing {
    let titles = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
    let users = user_names();
    let now = Timestamp::now();
    Listing {
        titles: titles.map(Into::into).to_vec(),
        // A process may end at any moment.
        rows: pids
            .iter()
            .filter_map(|pid| row(*pid, &users, now).ok())
            .collect(),
    }
}

fn user_names() -> HashMap<u32, String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let users = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    });
    users.collect()
}

/// proc_pid_stat(5), proc_pid_cmdline(5).
fn row(pid: i32, users: &HashMap<u32, String>, now: Timestamp) -> io::Result<Vec<String>> {
    use std::os::unix::fs::MetadataExt as _;
    let directory = format!("/proc/{pid}");
    let uid = fs::metadata(&directory)?.uid();
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
    let cpu_secs = (number(14) + number(15)) / TICKS;
    let age_secs = uptime_secs().saturating_sub(number(22) / TICKS);
    let started = now - jiff::SignedDuration::from_secs(i64::try_from(age_secs).unwrap_or(0));
    let form = if age_secs < 86_400 { "%H:%M" } else { "%b%d" };
    Ok(vec![
        users.get(&uid).cloned().unwrap_or_else(|| uid.to_string()),
        pid.to_string(),
        number(4).to_string(),
        (cpu_secs * 100 / age_secs.max(1)).min(99).to_string(),
        started.strftime(form).to_string(),
        if number(7) == 0 { "?" } else { "pts" }.to_owned(),
        format!(
            "{:02}:{:02}:{:02}",
            cpu_secs / 3600,
            cpu_secs / 60 % 60,
            cpu_secs % 60
        ),
        if command.is_empty() {
            format!("[{name}]")
        } else {
            command
        },
    ])
}

/// proc_uptime(5)
fn uptime_secs() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests;
