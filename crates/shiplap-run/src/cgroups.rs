//! Control groups: which the kernel offers here, where a container's is asked for, and which
//! limits can't be kept.
//!
//! Nothing is made or written here; the OCI runtime does that, without systemd (its `cgroupfs`
//! way). Only what an ended container left is removed. Version 1, hybrid (version 1 with an empty version 2 beside it) and 2 are told apart by
//! the list of mounts. Where no control group may be made, as for a user to whom none is
//! delegated, a container has none of its own and [`Cgroups::warnings`] says what that costs.

pub mod usage;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use shiplap_model::container::Limits;

/// Under which the control groups of all containers lie.
const PARENT: &str = "shiplap";

/// The generation of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// None is mounted.
    Absent,
    /// One hierarchy a controller.
    V1,
    /// As [`Self::V1`], and version 2 beside it without a controller.
    Hybrid,
    /// One hierarchy for all.
    V2,
}

/// What the kernel offers here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// Which generation.
    pub version: Version,
    /// Where version 2 is mounted beside version 1 ([`Version::Hybrid`]).
    pub unified: Option<PathBuf>,
    /// The control group below which new ones may be made, as `/`; `None`: nowhere.
    parent: Option<String>,
    /// Controllers that new ones have.
    controllers: BTreeSet<String>,
    /// Swap can be limited.
    swap: bool,
    /// Processor time can be limited.
    quota: bool,
}

/// The control group of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// `linux.cgroupsPath` of the runtime specification; `None`: none of its own.
    pub path: Option<String>,
    /// What the kernel offers.
    pub offer: Cgroups,
}

impl Cgroup {
    /// Whether it keeps devices from being used that a process makes.
    pub(crate) fn can_keep_devices(&self) -> bool {
        self.path.is_some() && self.offer.has_device_rules()
    }

    /// Removes it, whose processes have ended, from every hierarchy. What the kernel doesn't let go
    /// yet stays, empty.
    pub fn remove(&self) {
        let Some(path) = &self.path else { return };
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mount in hierarchies(&mounts) {
            remove_group(&Path::new(mount).join(path.trim_start_matches('/')));
        }
    }
}

/// How long a group may be without a process while it is being made.
const BEING_MADE: Duration = Duration::from_secs(60);

impl Cgroups {
    /// Removes what killed processes left of groups whose names begin with `prefix`: the empty ones
    /// that nobody is about to use.
    pub fn sweep(&self, prefix: &str) {
        let Some(parent) = &self.parent else { return };
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mount in hierarchies(&mounts) {
            let parent = parent.trim_matches('/');
            sweep_groups(
                &Path::new(mount).join(parent).join(PARENT),
                prefix,
                BEING_MADE,
            );
        }
    }
}

/// Removes groups of that name in a directory that are older than `age`. One with processes is not
/// let go by the kernel.
fn sweep_groups(directory: &Path, prefix: &str, age: Duration) {
    for entry in fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        let is_old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|passed| passed >= age));
        if is_old && entry.file_name().to_string_lossy().starts_with(prefix) {
            remove_group(&entry.path());
        }
    }
}

/// Where hierarchies of any version are mounted.
fn hierarchies(mounts: &str) -> impl Iterator<Item = &str> {
    mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        let is_ours = path.starts_with("/sys/fs/cgroup");
        (is_ours && matches!(kind, "cgroup" | "cgroup2")).then_some(path)
    })
}

/// Removes a group after those below it; its files go with it.
fn remove_group(directory: &Path) {
    for entry in fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    // One that stays is empty, and of no harm.
    drop(fs::remove_dir(directory));
}

/// A limit that needs a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Memory.
    Memory,
    /// Memory and swap together.
    Swap,
    /// Processor time.
    Cpus,
    /// Weight among others.
    Shares,
    /// Which processors.
    Cpuset,
    /// Processes.
    Pids,
}

impl Version {
    /// Docker's number for it; none where there are none.
    #[must_use]
    pub fn number(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::V1 | Self::Hybrid => Some("1"),
            Self::V2 => Some("2"),
        }
    }
}

impl Limit {
    /// The option that asks for it.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Memory => "--memory",
            Self::Swap => "--memory-swap",
            Self::Cpus => "--cpus",
            Self::Shares => "--cpu-shares",
            Self::Cpuset => "--cpuset-cpus",
            Self::Pids => "--pids-limit",
        }
    }
}

/// A limit that can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// Which.
    pub limit: Limit,
    /// What is missing.
    pub missing: Missing,
}

/// Why a limit can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// No control group may be made here.
    Cgroup,
    /// The kernel offers no such controller here.
    Controller(&'static str),
    /// The controller can't limit that.
    Ability(&'static str),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let option = self.limit.option();
        match self.missing {
            Missing::Cgroup => write!(
                f,
                "{option} has no effect: no control group can be made here"
            ),
            Missing::Controller(name) => write!(
                f,
                "{option} has no effect: control groups have no controller {name} here"
            ),
            Missing::Ability(what) => {
                write!(f, "{option} has no effect: the kernel can't limit {what}")
            }
        }
    }
}

impl Cgroups {
    /// Asks the kernel.
    #[must_use]
    pub fn find() -> Self {
        let text = |path: &Path| fs::read_to_string(path).ok();
        Self::from_facts(
            &text(Path::new("/proc/self/mounts")).unwrap_or_default(),
            &text(Path::new("/proc/self/cgroup")).unwrap_or_default(),
            &text,
            &|path| access(path, Access::WRITE_OK | Access::EXISTS).is_ok(),
        )
    }

    /// Nothing at all.
    pub(crate) fn absent() -> Self {
        Self {
            version: Version::Absent,
            unified: None,
            parent: None,
            controllers: BTreeSet::new(),
            swap: false,
            quota: false,
        }
    }

    /// A generation with these controllers.
    #[cfg(test)]
    pub(crate) fn with(version: Version, controllers: &[&str]) -> Self {
        Self {
            version,
            unified: None,
            parent: Some("/".to_owned()),
            controllers: controllers.iter().map(|name| (*name).to_owned()).collect(),
            swap: true,
            quota: true,
        }
    }

    /// What `/proc/self/mounts` and `/proc/self/cgroup` say, and files below the mounts.
    fn from_facts(
        mounts: &str,
        own: &str,
        text: &dyn Fn(&Path) -> Option<String>,
        writable: &dyn Fn(&Path) -> bool,
    ) -> Self {
        let mut offer = Self::absent();
        let mounted = |kind: &'static str| {
            mounts.lines().filter_map(move |line| {
                let mut fields = line.split(' ').skip(1);
                let (path, found, options) = (fields.next()?, fields.next()?, fields.next()?);
                (found == kind && path.starts_with("/sys/fs/cgroup")).then_some((path, options))
            })
        };
        let second = mounted("cgroup2")
            .next_back()
            .map(|(path, _)| PathBuf::from(path));
        if mounted("cgroup").next().is_some() {
            offer.version = if second.is_some() {
                Version::Hybrid
            } else {
                Version::V1
            };
            offer.unified = second;
            for (path, options) in mounted("cgroup") {
                offer.take_hierarchy(Path::new(path), options, text, writable);
            }
        } else if let Some(mount) = second {
            offer.version = Version::V2;
            offer.take_unified(&mount, own, text, writable);
        }
        offer
    }

    /// A hierarchy of version 1: its controllers are among the mount's options.
    fn take_hierarchy(
        &mut self,
        mount: &Path,
        options: &str,
        text: &dyn Fn(&Path) -> Option<String>,
        writable: &dyn Fn(&Path) -> bool,
    ) {
        let read_only = options.split(',').any(|option| option == "ro");
        if read_only || !writable(mount) {
            return;
        }
        const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "devices", "freezer", "memory", "pids"];
        for option in options.split(',') {
            if CONTROLLERS.contains(&option) {
                self.controllers.insert(option.to_owned());
                self.parent = Some("/".to_owned());
            }
            match option {
                "memory" => {
                    self.swap = text(&mount.join("memory.memsw.limit_in_bytes")).is_some();
                }
                "cpu" => self.quota = text(&mount.join("cpu.cfs_quota_us")).is_some(),
                _ => {}
            }
        }
    }

    /// The hierarchy of version 2: a new group lies directly in the root of what is seen, or, if
    /// that may not be written, beside the own one. Its controllers are those the group above
    /// hands down; only the very root may start to do so while it holds processes.
    fn take_unified(
        &mut self,
        mount: &Path,
        own: &str,
        text: &dyn Fn(&Path) -> Option<String>,
        writable: &dyn Fn(&Path) -> bool,
    ) {
        let beside = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .and_then(|path| Path::new(path).parent())
            .filter(|path| {
                path.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)))
            })
            .map(Path::to_path_buf);
        let may_hold = |path: &PathBuf| {
            let directory = mount.join(path);
            writable(&directory) && writable(&directory.join("cgroup.procs"))
        };
        let Some(parent) = [Some(PathBuf::new()), beside]
            .into_iter()
            .flatten()
            .find(may_hold)
        else {
            return;
        };
        let directory = mount.join(&parent);
        let list = |file: &str| {
            text(&directory.join(file))
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        };
        let very_root = text(&directory.join("cgroup.type")).is_none();
        self.controllers = if very_root || list("cgroup.procs").is_empty() {
            list("cgroup.controllers")
        } else {
            list("cgroup.subtree_control")
        };
        self.swap = true;
        self.quota = true;
        self.parent = Some(Path::new("/").join(parent).to_string_lossy().into_owned());
    }

    /// The control group of the container `id`.
    #[must_use]
    pub fn container(&self, id: &str) -> Cgroup {
        let path = self.parent.as_ref().map(|parent| {
            let parent = parent.trim_end_matches('/');
            format!("{parent}/{PARENT}/{id}")
        });
        Cgroup {
            path,
            offer: self.clone(),
        }
    }

    /// A generation of them is there, whoever may use it.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        self.version != Version::Absent
    }

    /// New ones may be made.
    #[must_use]
    pub fn can_make(&self) -> bool {
        self.parent.is_some()
    }

    /// A container's processes can be frozen.
    #[must_use]
    pub fn can_freeze(&self) -> bool {
        self.parent.is_some()
            && (self.version == Version::V2 || self.controllers.contains("freezer"))
    }

    /// The limits asked for that can't be kept.
    #[must_use]
    pub fn warnings(&self, limits: &Limits) -> Vec<Warning> {
        [
            (Limit::Memory, limits.memory_bytes.is_some()),
            (Limit::Swap, limits.memory_swap_bytes.is_some()),
            (Limit::Cpus, limits.nano_cpus.is_some()),
            (Limit::Shares, limits.cpu_shares.is_some()),
            (Limit::Cpuset, limits.cpuset.is_some()),
            (Limit::Pids, limits.pids.is_some()),
        ]
        .into_iter()
        .filter(|(_, asked)| *asked)
        .filter_map(|(limit, _)| {
            let missing = self.missing(limit)?;
            Some(Warning { limit, missing })
        })
        .collect()
    }

    /// What is missing to keep a limit.
    pub(crate) fn missing(&self, limit: Limit) -> Option<Missing> {
        let (controller, ability) = match limit {
            Limit::Memory => ("memory", None),
            Limit::Swap => ("memory", (!self.swap).then_some("swap")),
            Limit::Cpus => ("cpu", (!self.quota).then_some("processor time")),
            Limit::Shares => ("cpu", None),
            Limit::Cpuset => ("cpuset", None),
            Limit::Pids => ("pids", None),
        };
        if self.parent.is_none() {
            Some(Missing::Cgroup)
        } else if self.controllers.contains(controller) {
            ability.map(Missing::Ability)
        } else {
            Some(Missing::Controller(controller))
        }
    }

    /// The controller `devices` or its counterpart in version 2 can be asked for.
    pub(crate) fn has_device_rules(&self) -> bool {
        self.parent.is_some()
            && (self.version == Version::V2 || self.controllers.contains("devices"))
    }
}

#[cfg(test)]
mod tests;
