//! What is written down of a container.

use std::fs;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shiplap_model::ImageId;
use shiplap_model::config::ContainerConfig;
use shiplap_model::container::{ContainerOptions, NetworkMode};
use shiplap_store::ContainerState;

/// What never changes of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// 64 hex digits.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its image.
    pub image: ImageId,
    /// What the user called the image.
    pub image_name: String,
    /// What the user decided.
    pub options: ContainerOptions,
    /// How it runs: the image's config with what the user decided.
    pub config: ContainerConfig,
    /// Its volumes.
    pub volumes: Vec<VolumeUse>,
    /// Its name for itself.
    pub hostname: String,
    /// Its network.
    pub network: NetworkMode,
}

impl Facts {
    /// The program and its arguments.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let entrypoint = self.config.entrypoint.iter().flatten();
        let arguments = self.config.cmd.iter().flatten();
        entrypoint.chain(arguments).cloned().collect()
    }
}

/// A volume in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUse {
    /// The volume's name.
    pub name: String,
    /// Where it is in the container.
    pub target: String,
    /// Made for this container alone, and removed with it.
    pub anonymous: bool,
    /// Filled from the image before the first start.
    pub copy: bool,
    /// It can't be written.
    pub read_only: bool,
}

/// What a container's process does, in Docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    Created,
    /// Its process lives.
    Running,
    /// Its process is frozen.
    Paused,
    /// Its process has ended.
    Exited,
}

impl Status {
    /// Whether its process is there.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        ContainerState::from(self).as_str()
    }
}

impl From<Status> for ContainerState {
    fn from(status: Status) -> Self {
        match status {
            Status::Created => Self::Created,
            Status::Running => Self::Running,
            Status::Paused => Self::Paused,
            Status::Exited => Self::Exited,
        }
    }
}

/// What a container's process does, and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// In a word.
    pub status: Status,
    /// Process 1 of the container, as the supervisor sees it.
    pub pid: Option<i32>,
    /// When that process started, by the kernel's clock: tells it from a later one of the same
    /// number.
    pub start_ticks: Option<u64>,
    /// Exit status; 0 before the first.
    pub exit_code: u8,
    /// Why it could not be started, or was lost.
    pub error: Option<String>,
    /// When it was last started.
    pub started: Option<Timestamp>,
    /// When it last ended.
    pub finished: Option<Timestamp>,
    /// Its process lives, but its supervisor does not: nobody carries its streams, and nobody will
    /// know its exit status.
    #[serde(skip)]
    pub unwatched: bool,
}

impl State {
    /// Of a container that was just made.
    #[must_use]
    pub fn created() -> Self {
        Self {
            status: Status::Created,
            pid: None,
            start_ticks: None,
            exit_code: 0,
            error: None,
            started: None,
            finished: None,
            unwatched: false,
        }
    }

    /// Of a container that now runs as `pid`.
    #[must_use]
    pub fn running(pid: i32) -> Self {
        Self {
            status: Status::Running,
            pid: Some(pid),
            start_ticks: start_ticks(pid),
            started: Some(Timestamp::now()),
            ..Self::created()
        }
    }

    /// Whether a process of this number is the one that was started.
    #[must_use]
    pub fn is_process(&self, pid: i32) -> bool {
        self.start_ticks.is_some() && start_ticks(pid) == self.start_ticks
    }

    /// The same after its process ended.
    #[must_use]
    pub fn exited(self, exit_code: u8) -> Self {
        Self {
            status: Status::Exited,
            pid: None,
            start_ticks: None,
            exit_code,
            finished: Some(Timestamp::now()),
            ..self
        }
    }

    /// The same where nobody watched its process end. Process ID and start stay, as a sign that the
    /// runtime may still have notes of it.
    #[must_use]
    pub fn lost(self) -> Self {
        Self {
            status: Status::Exited,
            exit_code: 255,
            error: Some("its supervisor, or the machine, ended before it did".to_owned()),
            ..self
        }
    }

    /// The same where its process outlived its supervisor.
    #[must_use]
    pub fn unwatched(self) -> Self {
        Self {
            unwatched: true,
            error: Some("its supervisor ended; restart gives it a new one".to_owned()),
            ..self
        }
    }
}

/// When a process that lives started, in clock ticks since boot (proc_pid_stat(5), field 22). One
/// that has ended and that nobody has buried yet does not live.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field may hold blanks; it ends with the last parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let ticks = fields.nth(18)?.parse().ok();
    ticks.filter(|_| !has_ended)
}
