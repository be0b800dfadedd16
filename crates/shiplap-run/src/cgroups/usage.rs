//! What the processes of a container use, as its control group and its network count it.
//!
//! Only read, at one moment; what changed between two is the caller's matter. A container without
//! a control group of its own has no numbers: those of its neighbours are not shown as its own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Numbers of one moment; `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time used so far, in nanoseconds.
    pub cpu_nanos: Option<u64>,
    /// Memory in use, in bytes; files that could be dropped are not counted, as with Docker.
    pub memory_bytes: Option<u64>,
    /// Its bound, in bytes; `None`: the machine's.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes read from and written to disks so far.
    pub disk_bytes: Option<(u64, u64)>,
    /// Bytes received and sent so far, loopback apart.
    pub network_bytes: Option<(u64, u64)>,
}

/// Where the control groups of a process are.
struct Groups {
    /// Of version 1, by controller.
    first: HashMap<String, PathBuf>,
    /// Of version 2.
    second: Option<PathBuf>,
}

impl Usage {
    /// Of the container `id`, whose process 1 is `pid`.
    #[must_use]
    pub fn of(id: &str, pid: i32) -> Self {
        let text = |path: &Path| fs::read_to_string(path).ok();
        Self::from_facts(id, pid, &text)
    }

    fn from_facts(id: &str, pid: i32, text: &dyn Fn(&Path) -> Option<String>) -> Self {
        let file = |name: &str| text(Path::new(name)).unwrap_or_default();
        let mounts = file("/proc/self/mounts");
        let groups = Groups::find(&mounts, &file(&format!("/proc/{pid}/cgroup")), id);
        let mut usage = Self {
            network_bytes: network(&file(&format!("/proc/{pid}/net/dev"))),
            ..Self::default()
        };
        match &groups.second {
            Some(group) => usage.take_second(group, text),
            None => usage.take_first(&groups, text),
        }
        usage
    }

    fn take_first(&mut self, groups: &Groups, text: &dyn Fn(&Path) -> Option<String>) {
        let read = |controller: &str, name: &str| text(&groups.first.get(controller)?.join(name));
        self.cpu_nanos = read("cpuacct", "cpuacct.usage").and_then(|text| number(&text));
        let stat = read("memory", "memory.stat").unwrap_or_default();
        let idle = field(&stat, "total_inactive_file").unwrap_or(0);
        let used = read("memory", "memory.usage_in_bytes").and_then(|text| number(&text));
        self.memory_bytes = used.map(|used| used.saturating_sub(idle));
        self.memory_limit_bytes = read("memory", "memory.limit_in_bytes")
            .and_then(|text| number(&text))
            .filter(|limit| *limit < UNLIMITED);
        self.pids = read("pids", "pids.current").and_then(|text| number(&text));
        let disks = ["_recursive", ""].into_iter().find_map(|which| {
            let text = read("blkio", &format!("blkio.throttle.io_service_bytes{which}"))?;
            Some((sum(&text, "Read"), sum(&text, "Write")))
        });
        self.disk_bytes = disks;
    }

    fn take_second(&mut self, group: &Path, text: &dyn Fn(&Path) -> Option<String>) {
        let read = |name: &str| text(&group.join(name));
        let time = read("cpu.stat").and_then(|stat| field(&stat, "usage_usec"));
        self.cpu_nanos = time.map(|micros| micros.saturating_mul(1000));
        let stat = read("memory.stat").unwrap_or_default();
        let idle = field(&stat, "inactive_file").unwrap_or(0);
        let used = read("memory.current").and_then(|text| number(&text));
        self.memory_bytes = used.map(|used| used.saturating_sub(idle));
        // "max" is no number.
        self.memory_limit_bytes = read("memory.max").and_then(|text| number(&text));
        self.pids = read("pids.current").and_then(|text| number(&text));
        self.disk_bytes = read("io.stat").map(|stat| {
            let all = |key: &str| {
                let words = stat.split_whitespace();
                let values = words.filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
                values.sum()
            };
            (all("rbytes="), all("wbytes="))
        });
    }
}

/// Version 1 writes the lack of a limit as a number near the largest.
const UNLIMITED: u64 = 1 << 60;

impl Groups {
    /// By `/proc/self/mounts` and the `/proc/PID/cgroup` of a process of the container `id`.
    fn find(mounts: &str, own: &str, id: &str) -> Self {
        let mut groups = Self {
            first: HashMap::new(),
            second: None,
        };
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            if !path.ends_with(id) {
                continue;
            }
            let below = path.trim_start_matches('/');
            if controllers.is_empty() {
                let mount = mounted(mounts, "cgroup2", None);
                groups.second = mount.map(|mount| mount.join(below));
            }
            for controller in controllers.split(',').filter(|name| !name.is_empty()) {
                if let Some(mount) = mounted(mounts, "cgroup", Some(controller)) {
                    groups
                        .first
                        .insert(controller.to_owned(), mount.join(below));
                }
            }
        }
        // Beside version 1 it has no controllers.
        groups.second = groups.second.filter(|_| groups.first.is_empty());
        groups
    }
}

/// Where a hierarchy is mounted.
fn mounted<'m>(mounts: &'m str, kind: &str, option: Option<&str>) -> Option<&'m Path> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, found, options) = (fields.next()?, fields.next()?, fields.next()?);
        let has = |wanted| options.split(',').any(|known| known == wanted);
        (found == kind && option.is_none_or(has)).then_some(Path::new(path))
    })
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| value.trim().parse().ok())?
    })
}

/// Numbers at the ends of lines that name this action, together.
fn sum(text: &str, action: &str) -> u64 {
    let lines = text.lines().map(|line| line.split(' '));
    let found = lines.filter_map(|mut words| {
        let of_action = words.nth(1)? == action;
        words.next()?.parse::<u64>().ok().filter(|_| of_action)
    });
    found.sum()
}

/// Bytes received and sent by `/proc/PID/net/dev`.
fn network(devices: &str) -> Option<(u64, u64)> {
    if devices.is_empty() {
        return None;
    }
    let mut total = (0, 0);
    for line in devices.lines() {
        let Some((name, counts)) = line.split_once(':') else {
            continue;
        };
        if name.trim() == "lo" {
            continue;
        }
        let mut counts = counts
            .split_whitespace()
            .map(|count| count.parse::<u64>().ok());
        total.0 += counts.next().flatten().unwrap_or(0);
        // The eighth after it is what was sent.
        total.1 += counts.nth(7).flatten().unwrap_or(0);
    }
    Some(total)
}

#[cfg(test)]
mod tests;
