//! What a step needs before it can run: its layers found, and unpacked where they have to be, its
//! directory, its network decided. All of it is done by the builder, once; nothing is mounted yet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use shiplap_layer::diff::UpperLayer;
use shiplap_layer::root::Root;
use shiplap_layer::stack::Stack;
use shiplap_model::DiffId;
use shiplap_model::container::NetworkOptions;
use shiplap_run::cgroups::Cgroups;
use shiplap_run::mounts::LayerSource;
use shiplap_run::runtime::Runtime;
use shiplap_store::{Lease, StoreError};

use super::changes::{UPPER, WORK};
use super::request::{Access, Mount, MountKind, Request, Streams};
use super::{Step, StepError, StepMount, StepMountKind};
use crate::container::changes::TreeError;
use crate::container::create::new_id;
use crate::container::network::{self, MOUNTED_FILES};
use crate::context::Context;
use crate::snapshot::{self, OpenLayers, SnapshotError};

/// What a step is called, from inside, where nobody says otherwise: as BuildKit's are.
const HOSTNAME: &str = "buildkitsandbox";

/// How the names begin that runtimes and control groups know steps by.
const ID_PREFIX: &str = "step-";

/// A step that can be run.
pub(super) struct Ready {
    /// What its helper is told.
    pub(super) request: Request,
    /// Its layers; of a root without any, an empty one.
    pub(super) layers: OpenLayers,
    /// Where something will be mounted over its root.
    pub(super) targets: BTreeSet<Vec<u8>>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Makes a step ready to run in `directory`, an empty one.
pub(super) fn ready(
    context: &Context,
    lease: &Lease,
    step: &Step,
    directory: &Path,
    streams: Streams,
) -> Result<Ready, StepError> {
    if !rustix::process::geteuid().is_root() {
        return Err(StepError::NotRoot {
            program: step.program(),
        });
    }
    context.sweep_steps(|| Cgroups::find().sweep(ID_PREFIX));
    let runtime = runtime(context, step)?;
    let (upper, work) = (directory.join(UPPER), directory.join(WORK));
    make(&upper)?;
    make(&work)?;
    let (sources, layers) = layers(context, lease, &step.layers, &directory.join("root"))?;
    let mut mounts = Vec::with_capacity(step.mounts.len());
    for (number, mount) in step.mounts.iter().enumerate() {
        let place = directory.join(format!("layers-{number}"));
        mounts.push(mount_of(context, lease, mount, &place)?);
    }
    let mut warnings = Vec::new();
    let network_options = NetworkOptions {
        mode: step.network,
        add_hosts: step.add_hosts.clone(),
        ..NetworkOptions::default()
    };
    let network = network::decide(context, &network_options, &mut warnings)?;
    let request = Request {
        id: format!("{ID_PREFIX}{}", new_id()),
        directory: directory.to_owned(),
        upper,
        work,
        layers: sources,
        args: step.args.clone(),
        env: step.env.clone(),
        user: step.user.clone(),
        working_dir: step.working_dir.clone(),
        mounts,
        network,
        network_options,
        hostname: step.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned()),
        shm_bytes: step.shm_bytes,
        limits: step.limits.clone(),
        privileged: step.privileged,
        host_certs: step.host_certs,
        runtime: runtime.path().to_owned(),
        streams,
    };
    Ok(Ready {
        request,
        targets: targets(&layers.stack, &step.mounts)?,
        layers,
        warnings,
    })
}

fn runtime(context: &Context, step: &Step) -> Result<Runtime, StepError> {
    let wanted = context.settings().containers.runtime.as_deref();
    let remembered = context.store()?.root().join("runtime.json");
    Runtime::find(wanted, Some(&remembered)).map_err(|source| StepError::Runtime {
        program: step.program(),
        source,
    })
}

fn make(path: &Path) -> Result<(), StepError> {
    fs::create_dir_all(path).map_err(|source| StepError::Directory {
        path: path.to_owned(),
        source,
    })
}

/// Layers as the kernel mounts them and as they are read. `place` gets what has to be made for it.
fn layers(
    context: &Context,
    lease: &Lease,
    diff_ids: &[DiffId],
    place: &Path,
) -> Result<(Vec<LayerSource>, OpenLayers), StepError> {
    let store = context.store()?;
    for diff_id in diff_ids {
        if lease.hold_layer(diff_id)?.is_none() {
            return Err(StoreError::LayerMissing {
                diff_id: diff_id.clone(),
            }
            .into());
        }
    }
    make(place)?;
    if diff_ids.is_empty() {
        return Ok((Vec::new(), nothing(place)?));
    }
    let open = snapshot::open_layers(store, diff_ids)?;
    let sources = snapshot::whole_sources(context, lease, diff_ids, &open, place)?;
    Ok((sources, open))
}

/// A stack of one layer without an entry, since one without a layer has no root.
fn nothing(place: &Path) -> Result<OpenLayers, StepError> {
    let root = Root::open(place).map_err(|errno| StepError::Directory {
        path: place.to_owned(),
        source: errno.into(),
    })?;
    let layer = UpperLayer::new(root, snapshot::marks());
    let stack = Stack::new(vec![Arc::new(layer)]).map_err(SnapshotError::from)?;
    Ok(OpenLayers {
        stack,
        tars: Vec::new(),
    })
}

fn mount_of(
    context: &Context,
    lease: &Lease,
    mount: &StepMount,
    place: &Path,
) -> Result<Mount, StepError> {
    let kind = match &mount.kind {
        StepMountKind::Layers {
            layers: diff_ids,
            path,
        } => MountKind::Layers {
            layers: layers(context, lease, diff_ids, place)?.0,
            path: path.clone(),
        },
        StepMountKind::Directory { host, path } => MountKind::Directory {
            host: host.clone(),
            path: path.clone(),
        },
        StepMountKind::Cache { host } => MountKind::Cache { host: host.clone() },
        StepMountKind::Tmpfs { size_bytes } => MountKind::Tmpfs {
            size_bytes: *size_bytes,
        },
        StepMountKind::Secret {
            bytes,
            uid,
            gid,
            mode,
        } => MountKind::Secret {
            bytes: bytes.clone(),
            access: access(*uid, *gid, *mode),
        },
        StepMountKind::Ssh {
            socket,
            uid,
            gid,
            mode,
        } => MountKind::Ssh {
            socket: socket.clone(),
            access: access(*uid, *gid, *mode),
        },
    };
    Ok(Mount {
        target: mount.target.clone(),
        read_only: mount.read_only,
        kind,
    })
}

fn access(uid: u32, gid: u32, mode: u32) -> Access {
    Access { uid, gid, mode }
}

/// Where mounts will be in the root: its own links are followed, as the runtime does.
fn targets(root: &Stack, mounts: &[StepMount]) -> Result<BTreeSet<Vec<u8>>, StepError> {
    let usual = MOUNTED_FILES.iter().map(|(_, target)| *target);
    let usual = usual.filter(|target| *target != "/etc/hostname");
    let asked = mounts.iter().map(|mount| &*mount.target);
    usual
        .chain(asked)
        .map(|target| {
            let place = root.place(target.as_bytes()).map_err(TreeError::from)?;
            Ok(place)
        })
        .collect()
}
