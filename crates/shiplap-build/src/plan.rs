//! The plan of a build: stages and typed steps with every word expanded, the config after each
//! step and the line of history it leaves. Pure: the same Dockerfile, arguments and base configs
//! give the same plan, so a plan is a snapshot test.

use std::collections::BTreeMap;
use std::sync::Arc;

use shiplap_model::config::ContainerConfig;
use shiplap_model::dockerfile::{Device, MountType, Network, Security, Span};
use shiplap_model::{ImageConfig, Platform};

mod budget;
mod chmod;
mod command;
mod compose;
mod draft;
mod epoch;
mod error;
pub(crate) mod graph;
mod input;
mod mounting;
mod naming;
mod paths;
mod settings;
mod transfer;
pub(crate) mod variables;

pub use chmod::{Chmod, ChmodError};
pub(crate) use compose::{Witness, assumed, observe};
pub use compose::{needs, needs_of, plan};
pub(crate) use draft::State;
pub use epoch::Epoch;
pub use error::{Fault, PlanError};
pub use input::{NamedContext, NeededImage, Needs, PlanInput, Resolved, ResolvedImage};
pub(crate) use mounting::mount_id;

/// How much of a Dockerfile is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Breadth {
    /// What the target needs.
    #[default]
    Target,
    /// All stages.
    All,
}

/// A stage's place in [`Plan::stages`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(pub usize);

/// What is to be done for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Stages that the target needs, each after those it needs.
    pub stages: Vec<Stage>,
    /// The one whose image is wanted.
    pub target: StageId,
    /// Platform of the result.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH`, as an argument or by the Dockerfile's first lines, in seconds since 1970.
    pub source_date_epoch: Option<i64>,
    /// `--build-arg`s that nothing in the Dockerfile or its bases declares: users want to know.
    pub unused_args: Vec<String>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name, or `stage-N` as BuildKit counts.
    pub name: String,
    /// What the user called it, if anything.
    pub given_name: Option<String>,
    /// What it begins with.
    pub base: Base,
    /// Platform of its steps.
    pub platform: Platform,
    /// Its `FROM`.
    pub span: Span,
    /// As progress shows its beginning: `[build 1/4] FROM docker.io/library/python:3.11`; `None`:
    /// it begins with nothing or with another stage, so there is nothing to show.
    pub vertex: Option<String>,
    /// In order.
    pub steps: Vec<Step>,
    /// The config at its end: architecture and the like, config and history; layers and times
    /// are not in it.
    pub config: Arc<ImageConfig>,
    /// How many entries of its history are those of the image at its root.
    pub base_history: usize,
}

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// Another stage's end.
    Stage(StageId),
    /// An image.
    Image(ImageKey),
    /// The files of a named context.
    Named(String),
}

/// An image that a build needs, and the key of the answers in [`Resolved`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageKey {
    /// A whole reference (`docker.io/library/python:3.11`), or `oci-layout://…` as a named context
    /// says it.
    pub name: String,
    /// For which platform.
    pub platform: Platform,
}

/// One instruction that is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it stands in the Dockerfile; of an `ONBUILD` trigger: its `FROM`.
    pub span: Span,
    /// `RUN pip install -r requirements.txt`, variables expanded where they are known.
    pub name: String,
    /// As progress shows it: `[build 2/4] RUN pip install -r requirements.txt`; `None`: it changes
    /// the config only.
    pub vertex: Option<String>,
    /// `created_by` of its line of history.
    pub created_by: String,
    /// What it does.
    pub action: Action,
    /// The config after it.
    pub config: Arc<ContainerConfig>,
    /// Author from here on, by `MAINTAINER`.
    pub author: Option<String>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Changes the config only: its line of history is of an empty layer.
    Config,
    /// Makes the directory if it is missing.
    Workdir(Workdir),
    /// Copies files.
    Copy(Copy),
    /// Runs a command.
    Run(Run),
}

/// `WORKDIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdir {
    /// Absolute and clean.
    pub path: String,
}

/// `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where from.
    pub from: Source,
    /// What, in order.
    pub items: Vec<Item>,
    /// Absolute; ends with `/` (or `/.`) if it was written so.
    pub destination: String,
    /// `--chown`, expanded: names or numbers.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// `--link`: independent of what lies below.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`s, expanded.
    pub excludes: Vec<String>,
    /// It is an `ADD`, with what only that knows.
    pub add: Option<Add>,
}

/// What only `ADD` knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Add {
    /// `--checksum`.
    pub checksum: Option<String>,
    /// `--keep-git-dir`; `None`: as the source says.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`; `None`: local archives only.
    pub unpack: Option<bool>,
}

/// One source of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A path or pattern in the source, expanded.
    Path(String),
    /// An http(s) URL (`ADD` only).
    Url(String),
    /// A git reference (`ADD` only).
    Git(String),
    /// A file made here, expanded.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
    },
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nothing: an empty directory.
    Scratch,
    /// The build context.
    Context,
    /// A stage's end.
    Stage(StageId),
    /// An image.
    Image(ImageKey),
    /// A named context, by its name.
    Named(String),
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The whole command line, shell included; heredocs are in it or in `files`.
    pub args: Vec<String>,
    /// Files that heredocs make, mounted read-only for the time of it: path in the root, content.
    pub files: Vec<InlineFile>,
    /// Environment: that of the config and the `ARG`s in scope, with `PATH`.
    pub env: Vec<String>,
    /// Proxies, before `env`: they are in no history and no key.
    pub proxy_env: Vec<String>,
    /// The `ARG`s among it (those enter the history, and misses name them).
    pub args_used: BTreeMap<String, String>,
    /// In order.
    pub mounts: Vec<Mount>,
    /// `--network`.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// `--device`s, in order.
    pub devices: Vec<Device>,
}

/// A file that a heredoc makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineFile {
    /// Absolute path in the root.
    pub path: String,
    /// Its content.
    pub content: String,
    /// Permission bits.
    pub mode: u32,
}

/// `RUN --mount`, expanded and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `type`.
    pub kind: MountType,
    /// Where from: of a bind, or what a cache begins with.
    pub from: Option<Source>,
    /// Path within that; `/` if none was written.
    pub source: String,
    /// Absolute; of a secret or ssh without target: the default.
    pub target: String,
    /// Nothing is written to it.
    pub read_only: bool,
    /// `id`; of a cache without one: its target.
    pub id: String,
    /// Of a cache.
    pub sharing: Sharing,
    /// Of a secret or ssh: it must be there.
    pub required: bool,
    /// Of a secret: the variable it is put into; then there is no file unless a target was written.
    pub env: Option<String>,
    /// Whether a target was written.
    pub has_target: bool,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Of a tmpfs, in bytes.
    pub size_bytes: Option<u64>,
}

/// `sharing` of a cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sharing {
    /// Several at once.
    #[default]
    Shared,
    /// Another one gets an empty one of its own.
    Private,
    /// Another one waits.
    Locked,
}

#[cfg(test)]
pub(crate) mod tests;
