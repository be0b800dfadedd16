//! What a builder hands to the process that runs a step: all of it, so that nothing is looked up
//! twice, and secrets never in a file, an argument or a variable.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shiplap_model::container::{Limits, NetworkMode, NetworkOptions};
use shiplap_run::mounts::LayerSource;
use shiplap_run::spec::TerminalSize;

/// A step, ready to be run.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    /// What the OCI runtime and its control group are called.
    pub(super) id: String,
    /// Where its own files go.
    pub(super) directory: PathBuf,
    /// Where its changes go, in overlayfs' form.
    pub(super) upper: PathBuf,
    /// Where overlayfs works.
    pub(super) work: PathBuf,
    /// Its root, base first.
    pub(super) layers: Vec<LayerSource>,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) user: String,
    pub(super) working_dir: String,
    pub(super) mounts: Vec<Mount>,
    pub(super) network: NetworkMode,
    pub(super) network_options: NetworkOptions,
    pub(super) hostname: String,
    pub(super) shm_bytes: Option<u64>,
    pub(super) limits: Limits,
    pub(super) privileged: bool,
    pub(super) host_certs: bool,
    /// The OCI runtime.
    pub(super) runtime: PathBuf,
    /// How its streams are joined to those that come with the request.
    pub(super) streams: Streams,
}

/// How a step's streams are joined to those that come with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Streams {
    /// Two come: for what it says, and for its errors.
    Output,
    /// Three come, the first to read from.
    All,
    /// The same, and they are a terminal's.
    Terminal(TerminalSize),
}

/// Something mounted.
#[derive(Serialize, Deserialize)]
pub(super) struct Mount {
    pub(super) target: String,
    pub(super) read_only: bool,
    pub(super) kind: MountKind,
}

/// What is mounted; as [`super::StepMountKind`], with layers found.
#[derive(Serialize, Deserialize)]
pub(super) enum MountKind {
    Layers {
        layers: Vec<LayerSource>,
        path: String,
    },
    Directory {
        host: PathBuf,
        path: String,
    },
    Cache {
        host: PathBuf,
    },
    Tmpfs {
        size_bytes: Option<u64>,
    },
    Secret {
        bytes: Vec<u8>,
        access: Access,
    },
    Ssh {
        socket: PathBuf,
        access: Access,
    },
}

/// Whose a file is, and who may do what.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}
