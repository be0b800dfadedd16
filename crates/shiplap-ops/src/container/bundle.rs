//! What the OCI runtime is given: the root file system, mounted here, and a `config.json` made of
//! what the image and the user say.
//!
//! The image is not trusted: its files are looked at only beneath a handle of its own root, and no
//! value of its config names a path of the host.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::OFlags;
use rustix::process::Pid;
use shiplap_layer::root::Root;
use shiplap_model::container::{MountSource, NetworkMode};
use shiplap_model::limits;
use shiplap_run::capabilities;
use shiplap_run::cgroups::Cgroups;
use shiplap_run::mounts::{self, Writable};
use shiplap_run::namespaces::in_user_namespace;
use shiplap_run::runtime::{Runtime, RuntimeError};
use shiplap_run::spec::{
    self, Bundle, BundleMount, BundleMountSource, Host, Network, Process, SpecError, TerminalSize,
};
use shiplap_run::users::{self, ExecUser, UserError};
use shiplap_store::StoreError;

use super::network::{self, NetworkError};
use super::volume::{self, VolumeError};
use super::{Container, ContainerError, Facts};
use crate::context::Context;
use crate::files::{self, FilesError};
use crate::snapshot::{self, OpenImage, SnapshotError};

/// Where the host's certificates are put into a container: below `/dev`, which is in memory and no
/// part of any image.
const CERTIFICATES: &str = "/dev/.shiplap/ca-certificates.crt";

/// Variables by which programs are told of certificates.
const CERTIFICATE_VARIABLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
];

/// Where distributions keep certificates.
const HOST_CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Programs that can be process 1 of a container and reap its orphans.
const INITS: [&str; 3] = ["docker-init", "catatonit", "tini"];

/// Why a container can't be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Its image can't be mounted.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Its files can't be written.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A volume can't be had.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A volume can't be filled from the image.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Its user is not known in it.
    #[error(transparent)]
    User(#[from] UserError),
    /// Something that no runtime can be asked for.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// No runtime works.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Its network can't be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file in its root can't be read.
    #[error("read /{path} in the container: {source}")]
    Inside {
        /// Path from its root.
        path: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A bind mount of what isn't there.
    #[error(
        "mount {path}: invalid mount config for type \"bind\": bind source path does not exist: {path}"
    )]
    NoSource {
        /// As the user gave it.
        path: String,
    },
    /// Nothing on this machine can be process 1.
    #[error("find an init for --init: none of docker-init, catatonit and tini is installed")]
    NoInit,
    /// There are no certificates to give.
    #[error("find the host's certificates for host_certs: set SSL_CERT_FILE to their file")]
    NoCertificates,
    /// The runtime did not say which process it started.
    #[error("learn which process the OCI runtime started: {source}")]
    Pid {
        /// What the system said.
        source: io::Error,
    },
}

/// Everything is in place for the runtime.
pub(crate) struct Prepared {
    pub(crate) runtime: Runtime,
    /// Where it keeps what it knows.
    pub(crate) runtime_root: PathBuf,
    /// What it calls the container.
    pub(crate) id: String,
    /// The bundle.
    pub(crate) directory: PathBuf,
}

/// The runtime of a container.
pub(super) fn runtime(context: &Context, facts: &Facts) -> Result<Runtime, BundleError> {
    let settings = &context.settings().containers;
    let preferred = facts.options.runtime.as_ref().or(settings.runtime.as_ref());
    let remembered = context.store()?.root().join("runtime.json");
    Ok(Runtime::find(
        preferred.map(String::as_str),
        Some(&remembered),
    )?)
}

/// Where runtimes keep what they know of running containers.
pub(super) fn runtime_root(context: &Context) -> Result<PathBuf, StoreError> {
    Ok(context.store()?.root().join("runtime"))
}

/// What a runtime said, without its ornaments.
pub(crate) fn runtime_words(words: &str) -> String {
    let last = words
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("the OCI runtime failed without a word");
    // runc's log lines: time="…" level=error msg="…"
    let message = last
        .split_once("msg=\"")
        .and_then(|(_, rest)| rest.strip_suffix('"'))
        .map_or_else(|| last.to_owned(), |text| text.replace("\\\"", "\""));
    message.chars().filter(|c| !c.is_control()).collect()
}

/// Mounts the root and writes the bundle. To be called in a mount namespace of its own.
pub(super) fn prepare(context: &Context, container: &Container) -> Result<Prepared, BundleError> {
    let facts = &container.facts;
    let runtime = runtime(context, facts)?;
    let image = snapshot::open_id(context.store()?, facts.image.clone())?;
    let (upper, work, rootfs) = (
        container.upper(),
        container.path("work"),
        container.path("rootfs"),
    );
    let writable = Writable {
        upper: &upper,
        work: &work,
        user_marks: in_user_namespace(),
    };
    snapshot::mount_open(
        context,
        &image,
        Some(writable),
        container.short_id(),
        &rootfs,
    )?;
    let root = Root::open(&rootfs).map_err(|errno| BundleError::Inside {
        path: "",
        source: errno.into(),
    })?;
    fill_volumes(context, &image, facts)?;
    let user = user(&root, facts)?;
    let mut mounts = asked_mounts(context, facts)?;
    mounts.extend(network::files(container)?);
    let mut env = environment(facts, &user);
    if facts.options.storage.host_certs || context.settings().containers.host_certs {
        trust_host(context, &mut env, &mut mounts)?;
    }
    let args = arguments(context, facts, &mut mounts)?;
    let cwd = working_directory(&root, &facts.config.working_dir);
    let bundle = Bundle {
        root: rootfs,
        read_only_root: facts.options.storage.read_only,
        process: Process {
            args,
            env,
            cwd,
            uid: user.uid,
            gid: user.gid,
            additional_gids: user.additional_gids,
            terminal: facts.options.process.tty.then(TerminalSize::default),
        },
        hostname: (facts.network != NetworkMode::Host || facts.options.network.hostname.is_some())
            .then(|| facts.hostname.clone()),
        domainname: facts.options.network.domainname.clone(),
        mounts,
        network: match facts.network {
            NetworkMode::Host => Network::Host,
            NetworkMode::None | NetworkMode::Private => Network::Own,
        },
        devices: facts.options.storage.devices.clone(),
        limits: facts.options.limits.clone(),
        security: security(facts),
        capabilities: capabilities::default_set(),
        cgroup: Cgroups::find().container(&facts.id),
        shm_bytes: facts.options.storage.shm_bytes,
        annotations: facts.config.labels.clone(),
    };
    let config = spec::config(&bundle, &Host::find())?;
    let path = container.path("config.json");
    fs::write(&path, config).map_err(ContainerError::file("write", &path))?;
    let runtime_root = runtime_root(context)?;
    fs::create_dir_all(&runtime_root).map_err(ContainerError::file("make", &runtime_root))?;
    runtime.prepare_mounts()?;
    Ok(Prepared {
        runtime,
        runtime_root,
        id: facts.id.clone(),
        directory: container.directory.clone(),
    })
}

/// Gives a container the host's certificates and proxies.
pub(crate) fn trust_host(
    context: &Context,
    env: &mut Vec<String>,
    mounts: &mut Vec<BundleMount>,
) -> Result<(), BundleError> {
    let settings = &context.settings().containers;
    mounts.push(bind(certificates(context)?, CERTIFICATES, true));
    let certificates = CERTIFICATE_VARIABLES.map(|name| (name.to_owned(), CERTIFICATES.to_owned()));
    for (name, value) in certificates.into_iter().chain(settings.proxies.clone()) {
        let is_it = |known: &String| known.split('=').next() == Some(name.as_str());
        if !env.iter().any(is_it) {
            env.push(format!("{name}={value}"));
        }
    }
    Ok(())
}

/// What runs, below an init of the host's if that is wanted.
fn arguments(
    context: &Context,
    facts: &Facts,
    mounts: &mut Vec<BundleMount>,
) -> Result<Vec<String>, BundleError> {
    let mut args = facts.command();
    if facts.options.process.init {
        let init = INITS
            .iter()
            .find_map(|name| context.settings().containers.find_program(name))
            .ok_or(BundleError::NoInit)?;
        mounts.push(bind(init, "/dev/.shiplap/init", true));
        args.splice(0..0, ["/dev/.shiplap/init".to_owned(), "--".to_owned()]);
    }
    Ok(args)
}

/// What a container may do.
pub(super) fn security(facts: &Facts) -> shiplap_model::container::SecurityOptions {
    let mut security = facts.options.security.clone();
    if security.no_new_privileges.is_none() && !security.privileged {
        security.no_new_privileges = Some(in_user_namespace());
    }
    security
}

impl Prepared {
    /// The call that starts the container and returns.
    pub(crate) fn run_command(&self, console: Option<&Path>) -> Command {
        self.runtime.run_detached(
            &self.runtime_root,
            &self.id,
            &self.directory,
            &self.directory.join("pid"),
            console,
        )
    }

    /// The call that makes the container up to before its program runs.
    pub(crate) fn create_command(&self, console: Option<&Path>) -> Command {
        self.runtime.create(
            &self.runtime_root,
            &self.id,
            &self.directory,
            &self.directory.join("pid"),
            console,
        )
    }

    /// The call that has the program run of a container that was only made.
    pub(crate) fn start_command(&self) -> Command {
        self.runtime.start(&self.runtime_root, &self.id)
    }

    /// Process 1 of the container, once it was made.
    pub(crate) fn pid(&self) -> Result<Pid, ContainerError> {
        let path = self.directory.join("pid");
        let text = fs::read_to_string(&path).map_err(ContainerError::file("read", &path))?;
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        text.trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| ContainerError::file("read", &path)(invalid()))
    }

    /// Has the runtime forget a container that ended, and unmounts its root.
    pub(super) fn clean(&self, container: &Container) {
        let mut delete =
            super::supervise::quiet(self.runtime.delete(&self.runtime_root, &self.id, true));
        if let Err(error) = delete.status() {
            tracing::warn!(%error, "the OCI runtime can't be called");
        }
        self.unmount(container);
    }

    /// Unmounts the root.
    #[expect(clippy::unused_self, reason = "what was prepared is mounted")]
    pub(super) fn unmount(&self, container: &Container) {
        mounts::detach(&container.path("rootfs"));
    }
}

/// New volumes get what the image has in their place.
fn fill_volumes(context: &Context, image: &OpenImage, facts: &Facts) -> Result<(), BundleError> {
    for used in facts.volumes.iter().filter(|used| used.copy) {
        let data = volume::ensure(context, &used.name, used.anonymous)?;
        let is_empty = fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_none());
        if is_empty {
            files::fill(context, image, used.target.as_bytes(), &data)?;
        }
    }
    Ok(())
}

/// Who runs, by the container's own lists.
pub(super) fn user(root: &Root, facts: &Facts) -> Result<ExecUser, BundleError> {
    find_user(root, &facts.config.user, &facts.options.process.groups)
}

/// A user and more groups, by the container's own lists.
pub(crate) fn find_user(
    root: &Root,
    user: &str,
    groups: &[String],
) -> Result<ExecUser, BundleError> {
    let passwd = text_inside(root, "etc/passwd")?;
    let group = text_inside(root, "etc/group")?;
    let mut found = users::lookup(user, passwd.as_deref(), group.as_deref(), &root_user())?;
    let more = users::additional_groups(groups, group.as_deref())?;
    found.additional_gids.extend(more);
    Ok(found)
}

/// Who runs where nobody says otherwise.
fn root_user() -> ExecUser {
    ExecUser {
        uid: 0,
        gid: 0,
        additional_gids: Vec::new(),
        home: "/".to_owned(),
    }
}

/// A small text file of the container; `None` if it isn't there or is no file.
fn text_inside(root: &Root, path: &'static str) -> Result<Option<String>, BundleError> {
    let failed = |source: io::Error| BundleError::Inside { path, source };
    // A pipe or a device must not keep us waiting.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match root.open_at(path.as_bytes(), flags) {
        Ok(file) => fs::File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            return Ok(None);
        }
        Err(errno) => return Err(failed(errno.into())),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // One byte more, so that whoever looks in it sees that it is too long.
    file.take(limits::USER_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn environment(facts: &Facts, user: &ExecUser) -> Vec<String> {
    let mut env = facts.config.env.clone();
    let mut add = |name: &str, value: &str| {
        if !env
            .iter()
            .any(|variable| variable.split('=').next() == Some(name))
        {
            env.push(format!("{name}={value}"));
        }
    };
    add("HOSTNAME", &facts.hostname);
    if facts.options.process.tty {
        add("TERM", "xterm");
    }
    add("HOME", &user.home);
    env
}

/// An absolute path that is there; made, as Docker does, if it isn't.
pub(crate) fn working_directory(root: &Root, wanted: &str) -> String {
    let wanted = wanted.trim_start_matches('/');
    if !wanted.is_empty() {
        // What can't be made now, the runtime refuses with the reason.
        drop(root.make_dirs(wanted.as_bytes()));
    }
    format!("/{wanted}")
}

fn asked_mounts(context: &Context, facts: &Facts) -> Result<Vec<BundleMount>, BundleError> {
    let mut mounts = Vec::new();
    for mount in &facts.options.storage.mounts {
        let (source, options) = match &mount.source {
            MountSource::Bind {
                path,
                create,
                propagation,
            } => {
                if *create && !Path::new(path).exists() {
                    fs::create_dir_all(path)
                        .map_err(ContainerError::file("make", path.as_ref()))?;
                }
                let real = fs::canonicalize(path)
                    .map_err(|_| BundleError::NoSource { path: path.clone() })?;
                let propagation = propagation.clone();
                let source = BundleMountSource::Bind {
                    path: real,
                    propagation,
                };
                (source, Vec::new())
            }
            MountSource::Tmpfs {
                size_bytes,
                mode,
                options,
            } => {
                let source = BundleMountSource::Tmpfs {
                    size_bytes: *size_bytes,
                    mode: *mode,
                    copies_up: true,
                };
                (source, options.clone())
            }
            MountSource::Volume { .. } => continue,
        };
        mounts.push(BundleMount {
            source,
            target: mount.target.clone(),
            read_only: mount.read_only,
            options,
        });
    }
    for used in &facts.volumes {
        let data = volume::data(context, &used.name)?;
        mounts.push(bind(data, &used.target, used.read_only));
    }
    Ok(mounts)
}

/// A bind mount of a path of the host.
pub(crate) fn bind(path: PathBuf, target: &str, read_only: bool) -> BundleMount {
    BundleMount {
        source: BundleMountSource::Bind {
            path,
            propagation: None,
        },
        target: target.to_owned(),
        read_only,
        options: Vec::new(),
    }
}

fn certificates(context: &Context) -> Result<PathBuf, BundleError> {
    let settings = &context.settings().containers;
    let usual = HOST_CERTIFICATES.iter().map(PathBuf::from);
    settings
        .certificates
        .clone()
        .into_iter()
        .chain(usual)
        .find_map(|path| fs::canonicalize(path).ok())
        .ok_or(BundleError::NoCertificates)
}
