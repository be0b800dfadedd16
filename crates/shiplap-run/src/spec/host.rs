//! What the kernel lets this process give a container: asked once, then plain data.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::capabilities::{self, Set};

/// What this process may give away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its bounding set of capabilities.
    pub capabilities: Set,
    /// It runs in a user namespace that isn't the first.
    pub user_namespace: bool,
    /// The group `tty` (5), which owns terminals, exists in its user namespace.
    pub tty_group: bool,
    /// It may raise limits of processes beyond its own hard ones.
    pub raise_limits: bool,
    /// Its hard limits by name (`nofile`, …); those not named have none.
    pub hard_limits: Vec<(&'static str, u64)>,
    /// How the kernel prefers it when memory is short; without [`Self::raise_limits`] nothing may
    /// have a lower value.
    pub oom_score_adj: i32,
    /// The kernel's version: major, minor.
    pub kernel: (u32, u32),
}

impl Host {
    /// Asks the kernel. What it doesn't tell is taken as not allowed.
    #[must_use]
    pub fn find() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/self/status");
        let user_namespace = !is_first_namespace(&text("/proc/self/uid_map"));
        let effective = capabilities::from_mask(mask(&status, "CapEff:"));
        Self {
            capabilities: capabilities::from_mask(mask(&status, "CapBnd:")),
            user_namespace,
            tty_group: is_mapped(&text("/proc/self/gid_map"), 5),
            raise_limits: !user_namespace && effective.contains("CAP_SYS_RESOURCE"),
            hard_limits: hard_limits(),
            oom_score_adj: text("/proc/self/oom_score_adj").trim().parse().unwrap_or(0),
            kernel: kernel_version(&text("/proc/sys/kernel/osrelease")),
        }
    }
}

fn mask(status: &str, field: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0)
}

/// Lines of an id map: inside, outside, count.
fn ranges(map: &str) -> impl Iterator<Item = (u64, u64, u64)> {
    map.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        let mut field = || fields.next()?.ok();
        Some((field()?, field()?, field()?))
    })
}

/// The first user namespace maps all ids onto themselves.
fn is_first_namespace(map: &str) -> bool {
    ranges(map).eq([(0, 0, u64::from(u32::MAX))])
}

fn is_mapped(map: &str, id: u64) -> bool {
    ranges(map).any(|(inside, _, count)| (inside..inside.saturating_add(count)).contains(&id))
}

fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn hard_limits() -> Vec<(&'static str, u64)> {
    [
        ("core", Resource::Core),
        ("cpu", Resource::Cpu),
        ("data", Resource::Data),
        ("fsize", Resource::Fsize),
        ("locks", Resource::Locks),
        ("memlock", Resource::Memlock),
        ("msgqueue", Resource::Msgqueue),
        ("nice", Resource::Nice),
        ("nofile", Resource::Nofile),
        ("nproc", Resource::Nproc),
        ("rss", Resource::Rss),
        ("rtprio", Resource::Rtprio),
        ("rttime", Resource::Rttime),
        ("sigpending", Resource::Sigpending),
        ("stack", Resource::Stack),
    ]
    .into_iter()
    .filter_map(|(name, resource)| Some((name, getrlimit(resource).maximum?)))
    .collect()
}

#[cfg(test)]
mod tests;
