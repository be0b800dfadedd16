//! `create`, and the first half of `run`: an image and what the user decided become a container.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use shiplap_model::config::ContainerConfig;
use shiplap_model::container::{
    ContainerOptions, Mount, MountSource, NetworkMode, ProcessOptions, name,
};
use shiplap_model::reference::ReferenceError;
use shiplap_model::{ImageConfig, ImageId, Platform, Reference};
use shiplap_run::cgroups::Cgroups;
use shiplap_store::{ContainerError as RecordError, ResolveError, StoreError};

use super::network::{self, NetworkError};
use super::volume::{self, VolumeError};
use super::{Container, ContainerError, Facts, State, VolumeUse, write_json};
use crate::context::Context;
use crate::progress::{Event, Progress};
use crate::pull::{self, PullError, PullOptions};

/// When an image is pulled first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// If it is not here.
    #[default]
    Missing,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// What to make.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// Image: a name, or an ID.
    pub image: String,
    /// Name of the container; `None`: one is made up.
    pub name: Option<String>,
    /// Platform of the image.
    pub platform: Option<Platform>,
    /// When the image is pulled.
    pub pull: PullPolicy,
    /// All the rest.
    pub options: ContainerOptions,
}

/// Why no container is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// Its image can't be found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Its image can't be pulled.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// Its image has no such name.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The image must not be pulled and is not here.
    #[error("find image: No such image: {image}; it is not pulled with --pull=never")]
    NotHere {
        /// What the user wrote.
        image: String,
    },
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image's config can't be read.
    #[error("read the config of image {image}: {source}")]
    Config {
        /// Which image.
        image: ImageId,
        /// Why.
        source: shiplap_model::DocumentError,
    },
    /// Nothing to run.
    #[error("create container: no command specified, and the image {image} names none")]
    NoCommand {
        /// What the user called the image.
        image: String,
    },
    /// It can't be called so.
    #[error("create container: {source}")]
    Name {
        /// Why.
        source: name::NameError,
    },
    /// Another one is called so.
    #[error(
        "create container: Conflict. The container name {name:?} is already in use by container {id}; \
         remove or rename that one"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// Two mounts at one place.
    #[error("create container: Duplicate mount point: {target}")]
    DuplicateMount {
        /// Where.
        target: String,
    },
    /// A volume can't be made.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// It can't have the network wanted.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The container's files can't be written.
    #[error(transparent)]
    Container(#[from] ContainerError),
}

/// A container that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Created {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Makes a container; pulls its image if that is wanted.
///
/// # Errors
/// [`CreateError`]; nothing is left behind but the image.
pub fn create(
    context: &Context,
    options: CreateOptions,
    progress: &dyn Progress,
) -> Result<Created, CreateError> {
    let store = context.store()?;
    let image = image(context, &options, progress)?;
    let config = ImageConfig::parse(&store.read_blob(image.digest())?).map_err(|source| {
        CreateError::Config {
            image: image.clone(),
            source,
        }
    })?;
    let mut warnings = Vec::new();
    warn_of_platform(context, &options, &config, &mut warnings);
    let unkept = Cgroups::find().warnings(&options.options.limits);
    warnings.extend(unkept.iter().map(ToString::to_string));
    let effective = effective(config.config, &options.options);
    if effective
        .entrypoint
        .iter()
        .chain(&effective.cmd)
        .all(Vec::is_empty)
    {
        return Err(CreateError::NoCommand {
            image: options.image,
        });
    }
    if let Some(wanted) = &options.name {
        name::check(wanted).map_err(|source| CreateError::Name { source })?;
    }
    let id = new_id();
    let network = network::decide(context, &options.options.network, &mut warnings)?;
    let volumes = volumes(&options.options, &effective)?;
    let facts = Facts {
        hostname: match (&options.options.network.hostname, network) {
            (Some(hostname), _) => hostname.clone(),
            (None, NetworkMode::Host) => host_name(),
            (None, _) => id.chars().take(12).collect(),
        },
        created: Timestamp::now(),
        image,
        image_name: options.image,
        options: with_absolute_sources(options.options)?,
        config: effective,
        volumes,
        network,
        id,
    };
    let name = write(context, facts.clone(), options.name.as_deref())?;
    Ok(Created {
        id: facts.id,
        name,
        warnings,
    })
}

/// The image, pulled if that is wanted.
fn image(
    context: &Context,
    options: &CreateOptions,
    progress: &dyn Progress,
) -> Result<ImageId, CreateError> {
    let store = context.store()?;
    if options.pull != PullPolicy::Always {
        match store.resolve_for(&options.image, options.platform.as_ref()) {
            Ok(found) => return Ok(found.id),
            Err(ResolveError::NotFound { .. } | ResolveError::Platform { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if options.pull == PullPolicy::Never {
            return Err(CreateError::NotHere {
                image: options.image.clone(),
            });
        }
        let line = format!("Unable to find image '{}' locally", named(&options.image));
        progress.event(Event::Status(&line));
    }
    let reference = Reference::parse(&options.image)?.or_latest();
    let pulled = pull::pull(
        context,
        &PullOptions {
            reference,
            platform: options.platform.clone(),
            all_tags: false,
        },
        progress,
    )?;
    match pulled.images.into_iter().next() {
        Some(image) => Ok(image.id),
        None => Ok(store.resolve(&options.image)?.id),
    }
}

/// A name with its tag, as Docker says it.
fn named(image: &str) -> String {
    Reference::parse(image).map_or_else(
        |_| image.to_owned(),
        |reference| reference.or_latest().familiar(),
    )
}

fn warn_of_platform(
    context: &Context,
    options: &CreateOptions,
    config: &ImageConfig,
    warnings: &mut Vec<String>,
) {
    let (host, image) = (&context.settings().platform, config.platform());
    if options.platform.is_none() && !host.runs(&image) {
        warnings.push(format!(
            "The requested image's platform ({image}) does not match the detected host platform \
             ({host}) and no specific platform was requested"
        ));
    }
}

/// The image's config with what the user decided, by Docker's rules.
fn effective(image: ContainerConfig, options: &ContainerOptions) -> ContainerConfig {
    let process = &options.process;
    let mut config = image;
    let command = Some(process.command.clone()).filter(|command| !command.is_empty());
    match &process.entrypoint {
        // An entrypoint of the user's makes the image's arguments meaningless.
        Some(entrypoint) => {
            config.entrypoint = Some(entrypoint.clone()).filter(|words| !words.is_empty());
            config.cmd = command;
        }
        None => config.cmd = command.or(config.cmd),
    }
    config.env = environment(config.env, process);
    if let Some(user) = &process.user {
        config.user.clone_from(user);
    }
    if let Some(workdir) = &process.workdir {
        config.working_dir.clone_from(workdir);
    }
    if let Some(signal) = &process.stop_signal {
        config.stop_signal = Some(signal.clone());
    }
    config
        .exposed_ports
        .extend(options.network.expose.iter().cloned());
    config.labels.extend(options.labels.clone());
    config
}

/// Later values win; a name alone takes the variable away.
fn environment(image: Vec<String>, process: &ProcessOptions) -> Vec<String> {
    let mut env = image;
    for wanted in &process.env {
        let name = wanted.split('=').next().unwrap_or_default();
        let is_it = |known: &String| known.split('=').next() == Some(name);
        let place = env.iter().position(is_it);
        match (place, wanted.contains('=')) {
            (Some(place), true) => env[place].clone_from(wanted),
            (None, true) => env.push(wanted.clone()),
            (Some(place), false) => drop(env.remove(place)),
            (None, false) => {}
        }
    }
    if !env.iter().any(|variable| variable.starts_with("PATH=")) {
        env.insert(0, format!("PATH={DEFAULT_PATH}"));
    }
    env
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is mounted from the host stays the same, wherever the container is started from.
fn with_absolute_sources(
    mut options: ContainerOptions,
) -> Result<ContainerOptions, ContainerError> {
    for mount in &mut options.storage.mounts {
        if let MountSource::Bind { path, .. } = &mut mount.source {
            let failed = ContainerError::file("find", Path::new(path.as_str()));
            let absolute = std::path::absolute(&*path).map_err(failed)?;
            *path = absolute.to_string_lossy().into_owned();
        }
    }
    Ok(options)
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The volumes of a container: those the user names, and one for each `VOLUME` of the image where
/// the user mounts nothing.
fn volumes(
    options: &ContainerOptions,
    config: &ContainerConfig,
) -> Result<Vec<VolumeUse>, CreateError> {
    let mut targets = BTreeMap::new();
    for mount in &options.storage.mounts {
        let target = clean(&mount.target);
        if targets.insert(target.clone(), mount).is_some() {
            return Err(CreateError::DuplicateMount { target });
        }
    }
    let named = options.storage.mounts.iter().filter_map(volume_of);
    let of_image = config
        .volumes
        .iter()
        .filter(|target| !targets.contains_key(&clean(target)))
        .map(|target| VolumeUse {
            name: new_id(),
            target: target.clone(),
            anonymous: true,
            copy: true,
            read_only: false,
        });
    Ok(named.chain(of_image).collect())
}

fn volume_of(mount: &Mount) -> Option<VolumeUse> {
    let MountSource::Volume { name, copy } = &mount.source else {
        return None;
    };
    Some(VolumeUse {
        name: name.clone().unwrap_or_else(new_id),
        target: mount.target.clone(),
        anonymous: name.is_none(),
        copy: *copy,
        read_only: mount.read_only,
    })
}

/// A path without its trailing and doubled slashes, to be compared.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("/{}", parts.join("/"))
}

/// Writes directory and record; the name it got.
fn write(context: &Context, facts: Facts, name: Option<&str>) -> Result<String, CreateError> {
    let store = context.store()?;
    for volume in &facts.volumes {
        volume::ensure(context, &volume.name, volume.anonymous)?;
    }
    let not_found = || ContainerError::NotFound {
        name: facts.id.clone(),
    };
    let directory = store.container_path(&facts.id).ok_or_else(not_found)?;
    let mut container = Container {
        name: name.unwrap_or_default().to_owned(),
        facts,
        directory,
    };
    let written = write_files(&container).and_then(|()| record(context, &mut container, name));
    if written.is_err() {
        // Nothing names it; what can't be removed now goes with the next prune.
        drop(fs::remove_dir_all(&container.directory));
        volume::remove_anonymous(context, &container.facts);
    }
    written.map(|()| container.name)
}

fn write_files(container: &Container) -> Result<(), CreateError> {
    let make = |path: &Path| fs::create_dir(path).map_err(ContainerError::file("make", path));
    make(&container.directory)?;
    for name in ["upper", "work", "rootfs"] {
        make(&container.path(name))?;
    }
    write_json(&container.path("container.json"), &container.facts)?;
    container.write_state(&State::created())?;
    Ok(())
}

/// Records it under the name wanted, or one that nobody has.
fn record(
    context: &Context,
    container: &mut Container,
    wanted: Option<&str>,
) -> Result<(), CreateError> {
    let store = context.store()?;
    loop {
        if wanted.is_none() {
            container.name = name::generate(random());
        }
        match store.put_container(&container.record(shiplap_store::ContainerState::Created)) {
            Ok(()) => return Ok(()),
            Err(RecordError::NameTaken { .. }) if wanted.is_none() => {}
            Err(RecordError::NameTaken { name, id }) => {
                return Err(CreateError::NameTaken { name, id });
            }
            Err(error) => return Err(ContainerError::from(error).into()),
        }
    }
}

/// 64 random hex digits.
#[must_use]
pub fn new_id() -> String {
    let bytes: [u8; 32] = random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        // Neither short reads nor interruptions are failures; there are no others since boot.
        filled +=
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
                .unwrap_or(0);
    }
    bytes
}

#[cfg(test)]
mod tests;
