//! `info`: what this store and machine are.

use std::path::PathBuf;

use serde::Serialize;
use shiplap_model::Platform;
use shiplap_run::cgroups::Cgroups;
use shiplap_run::runtime::Runtime;
use shiplap_store::StoreError;

use crate::context::Context;
use crate::snapshot::{self, Backend, SnapshotError};

/// What this store and machine are.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// The store's directory.
    pub root: PathBuf,
    /// How many images.
    pub images: usize,
    /// How many containers, and of these running, paused, ended ones.
    pub containers: ContainerCounts,
    /// How layers become file systems.
    pub layer_backend: Backend,
    /// Why so.
    pub layer_backend_reason: String,
    /// The platform that is chosen from an index.
    pub platform: String,
    /// The OCI runtimes that are installed: names and programs.
    pub runtimes: Vec<(String, PathBuf)>,
    /// The program that containers get unless told otherwise, and what it says of itself; or why
    /// there is none.
    pub runtime: Result<RuntimeInfo, String>,
    /// Version of control groups; `None`: there are none.
    pub cgroup_version: Option<String>,
    /// A container gets a control group of its own.
    pub has_cgroups: bool,
    /// The user is not root.
    pub is_rootless: bool,
    /// Registries with settings of their own.
    pub registries: Vec<RegistryInfo>,
    /// The kernel's release.
    pub kernel: String,
    /// Processors.
    pub processors: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// The host's name.
    pub host: String,
}

/// Numbers of containers by state.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ContainerCounts {
    pub all: usize,
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
}

/// The OCI runtime.
#[derive(Debug, Clone, Serialize)]
pub struct RuntimeInfo {
    /// Its name among the runtimes, or its path.
    pub name: String,
    /// As `runc version 1.1.5`.
    pub version: String,
}

/// Settings of one registry.
#[derive(Debug, Clone, Serialize)]
pub struct RegistryInfo {
    /// Which.
    pub prefix: String,
    /// Where it is read from first.
    pub mirrors: Vec<String>,
    /// Where it really is.
    pub location: Option<String>,
    /// Without verified certificates, or without TLS.
    pub insecure: bool,
}

/// Looks around.
///
/// # Errors
/// [`SnapshotError`], if the store can't be read.
pub fn info(context: &Context) -> Result<Info, SnapshotError> {
    use shiplap_store::ContainerState as State;
    let store = context.store()?;
    let lease = store.lease()?;
    let (layer_backend, layer_backend_reason) = snapshot::chosen_backend(context, &lease)?;
    let containers = store.containers()?;
    let count = |state| {
        containers
            .iter()
            .filter(|container| container.state == state)
            .count()
    };
    let registry = |rule: &shiplap_registry::RegistryRule| RegistryInfo {
        prefix: rule.prefix.clone(),
        mirrors: rule.mirrors.clone(),
        location: rule.location.clone(),
        insecure: rule.insecure,
    };
    let system = rustix::system::uname();
    let memory = rustix::system::sysinfo();
    let platform: &Platform = &context.settings().platform;
    let cgroups = Cgroups::find();
    let runtimes = Runtime::installed().into_iter();
    let runtimes: Vec<_> = runtimes
        .map(|(name, path)| (name.to_owned(), path))
        .collect();
    Ok(Info {
        root: store.root().to_owned(),
        images: store.image_lines(false)?.len(),
        containers: ContainerCounts {
            all: containers.len(),
            running: count(State::Running),
            paused: count(State::Paused),
            stopped: count(State::Created) + count(State::Exited),
        },
        layer_backend,
        layer_backend_reason,
        platform: platform.to_string(),
        runtime: runtime(context, &runtimes)?,
        runtimes,
        cgroup_version: cgroups.version.number().map(str::to_owned),
        has_cgroups: cgroups.can_make(),
        is_rootless: !rustix::process::geteuid().is_root(),
        registries: context
            .settings()
            .registries
            .rules
            .iter()
            .map(registry)
            .collect(),
        kernel: system.release().to_string_lossy().into_owned(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: memory.totalram.saturating_mul(u64::from(memory.mem_unit)),
        host: system.nodename().to_string_lossy().into_owned(),
    })
}

/// The runtime that the settings choose.
fn runtime(
    context: &Context,
    installed: &[(String, PathBuf)],
) -> Result<Result<RuntimeInfo, String>, StoreError> {
    let preferred = context.settings().containers.runtime.as_deref();
    let remembered = context.store()?.root().join("runtime.json");
    let found = Runtime::find(preferred, Some(&remembered));
    let described = found.map(|runtime| {
        let is_it = |known: &&(String, PathBuf)| known.1 == runtime.path();
        let name = installed.iter().find(is_it).map(|(name, _)| name.clone());
        RuntimeInfo {
            name: name.unwrap_or_else(|| runtime.path().to_string_lossy().into_owned()),
            version: runtime.version().to_owned(),
        }
    });
    Ok(described.map_err(|error| error.to_string()))
}
