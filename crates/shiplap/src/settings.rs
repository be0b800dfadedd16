//! What the user decided, from `config.toml`, the environment and flags; the later wins.
//!
//! The only place that reads the environment. Never guesses: an unknown key is an error that names
//! file and line.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;
use shiplap_model::{
    Platform,
    container::{NetworkMode, memory},
    units::UnitError,
};
use shiplap_ops::{
    ContainerSettings, CredentialFiles, Program, ProxySettings, RegistryRule, TlsSettings,
    snapshot::Backend,
};

/// Why settings can't be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// A file that can't be read.
    #[error("read settings {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that says what can't be understood.
    #[error("read settings {path}:{line}: {message}")]
    Content {
        /// Which.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A variable or flag with a value it can't have.
    #[error("use {name}={value}: {message}")]
    Value {
        /// Which.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        message: String,
    },
    /// No home to keep the store in.
    #[error("find a place for the store: neither HOME nor XDG_DATA_HOME is set; say --root DIR")]
    Homeless,
}

/// A file of settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    root: Option<PathBuf>,
    layer_backend: Option<String>,
    keep_compressed: Option<bool>,
    max_concurrent_downloads: Option<usize>,
    #[serde(default)]
    build: Build,
    #[serde(default)]
    containers: Containers,
    #[serde(default)]
    registry: Vec<Registry>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    /// What builds may keep for the next ones, as `20gb`: what was unused longest goes.
    keep_storage: Option<Amount>,
}

/// An amount in bytes, as flags take it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Amount(u64);

impl FromStr for Amount {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        memory::parse(text).map(Self)
    }
}

impl TryFrom<String> for Amount {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Containers {
    /// Give containers the host's certificates.
    host_certs: Option<bool>,
    /// `host`, `none` or `private`, unless a container is told otherwise.
    network: Option<NetworkMode>,
    /// The OCI runtime, by name or path.
    runtime: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    prefix: String,
    #[serde(default)]
    mirrors: Vec<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    /// Origins that get the registry's credentials though it is not reached by verified https.
    #[serde(default)]
    token_servers: Vec<String>,
}

/// Flags that decide.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    /// `--root`
    pub(crate) root: Option<PathBuf>,
    /// `--config`: a file of settings, or a directory with Docker's `config.json`.
    pub(crate) config: Option<PathBuf>,
    /// `--layer-backend`
    pub(crate) layer_backend: Option<String>,
}

impl Flags {
    /// The same as arguments of another call.
    fn arguments(&self) -> Vec<OsString> {
        let root = self.root.as_ref().map(|path| ("--root", absolute(path)));
        let config = self
            .config
            .as_ref()
            .map(|path| ("--config", absolute(path)));
        let backend = self.layer_backend.as_ref();
        let backend = backend.map(|name| ("--layer-backend", name.into()));
        [root, config, backend]
            .into_iter()
            .flatten()
            .flat_map(|(flag, value)| [flag.into(), value])
            .collect()
    }
}

/// The other call may have another working directory.
fn absolute(path: &Path) -> OsString {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .into()
}

/// The process's surroundings, as far as they decide anything.
pub(crate) struct Environment<'e> {
    /// A variable's value.
    pub(crate) variable: &'e dyn Fn(&str) -> Option<OsString>,
    /// Whether the user is root.
    pub(crate) is_root: bool,
    /// The settings of the whole machine.
    pub(crate) system_file: &'e Path,
}

/// The settings of the whole machine.
const SYSTEM_FILE: &str = "/etc/shiplap/config.toml";

impl Environment<'_> {
    /// That of this process.
    pub(crate) fn of_process() -> Environment<'static> {
        Environment {
            variable: &|name| std::env::var_os(name),
            is_root: rustix::process::geteuid().is_root(),
            system_file: Path::new(SYSTEM_FILE),
        }
    }

    /// Whether colours are unwanted (<https://no-color.org>).
    pub(crate) fn is_plain(&self) -> bool {
        self.path("NO_COLOR").is_some()
    }

    /// Whether a terminal can be drawn on.
    pub(crate) fn can_draw(&self) -> bool {
        self.text("TERM").is_none_or(|name| name != "dumb")
    }

    /// Which events `--debug` tells.
    pub(crate) fn log(&self) -> Option<String> {
        self.text("SHIPLAP_LOG")
    }

    /// Variables for a container: `NAME=value` as it is, `NAME` with the value it has here, if any.
    pub(crate) fn of_container(&self, wanted: &[String]) -> Vec<String> {
        let with_value = |variable: &String| {
            if variable.contains('=') {
                return Some(variable.clone());
            }
            let value = (self.variable)(variable)?;
            Some(format!("{variable}={}", value.to_string_lossy()))
        };
        wanted.iter().filter_map(with_value).collect()
    }

    /// The folder of a hub's data, unless a flag names one.
    pub(crate) fn hub_folder(&self) -> Result<PathBuf, SettingsError> {
        if let Some(folder) = self.path("SHIPLAP_HUB_DATA") {
            return Ok(folder);
        }
        if self.is_root {
            return Ok("/var/lib/shiplap-hub".into());
        }
        Ok(self.data_home()?.join("shiplap-hub"))
    }

    /// The hub's database, unless a flag names one.
    pub(crate) fn hub_database(&self) -> Option<String> {
        self.text("SHIPLAP_HUB_DATABASE")
    }

    /// The hub's bucket, unless a flag names one.
    pub(crate) fn hub_storage(&self) -> Option<String> {
        self.text("SHIPLAP_HUB_STORAGE")
    }

    /// The password of a PostgreSQL database whose URL has none, as for `psql`.
    pub(crate) fn postgres_password(&self) -> Option<String> {
        self.text("PGPASSWORD")
    }

    /// What is set for AWS's own programs, by names in lower case.
    pub(crate) fn of_aws() -> Vec<(String, String)> {
        let setting = |(name, value): (OsString, OsString)| {
            let name = name.to_str()?.to_ascii_lowercase();
            let is_set = name.starts_with("aws_") && !value.is_empty();
            is_set.then(|| Some((name, value.to_str()?.to_owned())))?
        };
        std::env::vars_os().filter_map(setting).collect()
    }

    fn data_home(&self) -> Result<PathBuf, SettingsError> {
        let home = || Some(self.path("HOME")?.join(".local/share"));
        self.path("XDG_DATA_HOME")
            .or_else(home)
            .ok_or(SettingsError::Homeless)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = (self.variable)(name).filter(|value| !value.is_empty())?;
        Some(value.to_string_lossy().into_owned())
    }
}

/// Everything that was decided.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The store's directory.
    pub(crate) root: PathBuf,
    /// How layers become file systems, if it was said.
    pub(crate) layer_backend: Option<Backend>,
    /// Keep compressed layers.
    pub(crate) keep_compressed: bool,
    /// Layers in transfer at once.
    pub(crate) max_concurrent_downloads: usize,
    /// The platform chosen from an index.
    pub(crate) platform: Platform,
    /// Where registries are.
    pub(crate) rules: Vec<RegistryRule>,
    /// Certificates.
    pub(crate) tls: TlsSettings,
    /// Proxies.
    pub(crate) proxy: ProxySettings,
    /// Where credentials are.
    pub(crate) credentials: CredentialFiles,
    /// What holds for all containers.
    pub(crate) containers: ContainerSettings,
    /// What builds may keep for the next ones, in bytes; `None`: no bound.
    pub(crate) build_keep_bytes: Option<u64>,
}

/// Docker's own number.
const CONCURRENT_DOWNLOADS: usize = 3;

impl Settings {
    /// Reads the files and puts environment and flags over them.
    pub(crate) fn read(
        flags: &Flags,
        environment: &Environment<'_>,
    ) -> Result<Self, SettingsError> {
        let mut file = File::default();
        for (path, must_be_there) in files(flags, environment) {
            file.merge(read(&path, must_be_there)?);
        }
        let layer_backend = match (
            &flags.layer_backend,
            environment.text("SHIPLAP_LAYER_BACKEND"),
        ) {
            (Some(name), _) => Some(("--layer-backend", name.clone())),
            (None, Some(name)) => Some(("SHIPLAP_LAYER_BACKEND", name)),
            (None, None) => file.layer_backend.map(|name| ("layer_backend", name)),
        };
        let parallel = parsed::<usize>(environment, "SHIPLAP_MAX_CONCURRENT_DOWNLOADS")?
            .or(file.max_concurrent_downloads)
            .unwrap_or(CONCURRENT_DOWNLOADS);
        Ok(Self {
            root: root(flags, environment, file.root)?,
            layer_backend: layer_backend
                .map(|(name, value)| backend(name, value))
                .transpose()?
                .flatten(),
            keep_compressed: parsed::<bool>(environment, "SHIPLAP_KEEP_COMPRESSED")?
                .or(file.keep_compressed)
                .unwrap_or(false),
            max_concurrent_downloads: parallel.max(1),
            platform: parsed::<Platform>(environment, "DOCKER_DEFAULT_PLATFORM")?
                .unwrap_or_else(Platform::host),
            rules: file.registry.into_iter().map(rule).collect(),
            tls: TlsSettings {
                only_roots: environment.path("SSL_CERT_FILE").into_iter().collect(),
                ..TlsSettings::default()
            },
            proxy: proxy(environment),
            credentials: credentials(flags, environment),
            containers: containers(flags, environment, file.containers),
            build_keep_bytes: parsed::<Amount>(environment, "SHIPLAP_BUILD_KEEP_STORAGE")?
                .or(file.build.keep_storage)
                .map(|amount| amount.0),
        })
    }
}

impl Settings {
    /// Asks for no certificate of a registry, and for none of what rules know of it.
    pub(crate) fn trust(&mut self, registry: &str) {
        if !self.rules.iter().any(|rule| rule.prefix == registry) {
            self.rules.push(RegistryRule {
                prefix: registry.to_owned(),
                ..RegistryRule::default()
            });
        }
        let is_of = |rule: &&mut RegistryRule| rule.prefix.split('/').next() == Some(registry);
        for rule in self.rules.iter_mut().filter(is_of) {
            rule.insecure = true;
        }
    }

    /// The same as verbs take it.
    pub(crate) fn into_ops(self) -> shiplap_ops::Settings {
        shiplap_ops::Settings {
            root: self.root,
            layer_backend: self.layer_backend,
            keep_compressed: self.keep_compressed,
            parallel_layers: self.max_concurrent_downloads,
            platform: self.platform,
            registries: shiplap_ops::RegistrySettings {
                rules: self.rules,
                tls: self.tls,
                proxy: self.proxy,
                user_agent: concat!("shiplap/", env!("CARGO_PKG_VERSION")).into(),
                ..shiplap_ops::RegistrySettings::default()
            },
            credentials: self.credentials,
            containers: self.containers,
        }
    }
}

impl File {
    /// Puts `over` over this: its keys win, its registries come instead of those with the same
    /// prefix.
    fn merge(&mut self, over: Self) {
        self.root = over.root.or(self.root.take());
        self.layer_backend = over.layer_backend.or(self.layer_backend.take());
        self.keep_compressed = over.keep_compressed.or(self.keep_compressed);
        self.max_concurrent_downloads = over
            .max_concurrent_downloads
            .or(self.max_concurrent_downloads);
        self.build.keep_storage = over.build.keep_storage.or(self.build.keep_storage);
        let (ours, over_containers) = (&mut self.containers, over.containers);
        ours.host_certs = over_containers.host_certs.or(ours.host_certs);
        ours.network = over_containers.network.or(ours.network);
        ours.runtime = over_containers.runtime.or(ours.runtime.take());
        let mut registries: BTreeMap<String, Registry> = BTreeMap::new();
        for registry in self.registry.drain(..).chain(over.registry) {
            registries.insert(registry.prefix.clone(), registry);
        }
        self.registry = registries.into_values().collect();
    }
}

/// The files that hold, the weakest first, and whether each must be there.
fn files(flags: &Flags, environment: &Environment<'_>) -> Vec<(PathBuf, bool)> {
    let said = flags.config.clone().filter(|path| !path.is_dir());
    if let Some(only) = said.or_else(|| environment.path("SHIPLAP_CONFIG")) {
        return vec![(only, true)];
    }
    let home = || Some(environment.path("HOME")?.join(".config"));
    let user = environment.path("XDG_CONFIG_HOME").or_else(home);
    let user = user.map(|directory| (directory.join("shiplap/config.toml"), false));
    std::iter::once((environment.system_file.to_owned(), false))
        .chain(user)
        .collect()
}

fn read(path: &Path, must_be_there: bool) -> Result<File, SettingsError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be_there => {
            return Ok(File::default());
        }
        Err(source) => {
            return Err(SettingsError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let fault = |at: usize, message: String| {
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        SettingsError::Content {
            path: path.to_owned(),
            line,
            message,
        }
    };
    let file: File = toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        fault(at, error.message().trim().replace('\n', "; "))
    })?;
    if let Some(registry) = file
        .registry
        .iter()
        .find(|registry| registry.prefix.is_empty())
    {
        let at = text.find("prefix").unwrap_or(0);
        return Err(fault(
            at,
            format!("the prefix of a registry is empty: {registry:?}"),
        ));
    }
    Ok(file)
}

fn root(
    flags: &Flags,
    environment: &Environment<'_>,
    file: Option<PathBuf>,
) -> Result<PathBuf, SettingsError> {
    if let Some(root) = flags
        .root
        .clone()
        .or_else(|| environment.path("SHIPLAP_ROOT"))
        .or(file)
    {
        return Ok(root);
    }
    if environment.is_root {
        return Ok("/var/lib/shiplap".into());
    }
    Ok(environment.data_home()?.join("shiplap"))
}

/// `auto` leaves the choice to the probe.
fn backend(name: &'static str, value: String) -> Result<Option<Backend>, SettingsError> {
    if value == "auto" {
        return Ok(None);
    }
    match value.parse() {
        Ok(backend) => Ok(Some(backend)),
        Err(_) => Err(SettingsError::Value {
            name,
            value,
            message: "there are auto, erofs and tree".into(),
        }),
    }
}

fn parsed<T>(environment: &Environment<'_>, name: &'static str) -> Result<Option<T>, SettingsError>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let Some(value) = environment.text(name) else {
        return Ok(None);
    };
    match value.parse() {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => Err(SettingsError::Value {
            name,
            message: error.to_string(),
            value,
        }),
    }
}

/// Variables that tell programs of proxies, in both spellings that are in use.
const PROXY_VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
];

fn containers(flags: &Flags, environment: &Environment<'_>, file: Containers) -> ContainerSettings {
    let proxies = PROXY_VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), environment.text(name)?)));
    let directories = (environment.variable)("PATH").unwrap_or_default();
    ContainerSettings {
        program: Program {
            path: "/proc/self/exe".into(),
            arguments: flags.arguments(),
        },
        host_certs: file.host_certs.unwrap_or(false),
        network: file.network,
        runtime: environment.text("SHIPLAP_RUNTIME").or(file.runtime),
        proxies: proxies.collect(),
        certificates: environment.path("SSL_CERT_FILE"),
        search_path: std::env::split_paths(&directories).collect(),
    }
}

fn rule(registry: Registry) -> RegistryRule {
    RegistryRule {
        prefix: registry.prefix,
        mirrors: registry.mirrors,
        location: registry.location,
        insecure: registry.insecure,
        token_servers: registry.token_servers,
    }
}

fn proxy(environment: &Environment<'_>) -> ProxySettings {
    let either = |upper: &str| {
        environment
            .text(&upper.to_lowercase())
            .or_else(|| environment.text(upper))
    };
    let all = either("ALL_PROXY");
    let http = either("HTTP_PROXY").or_else(|| all.clone());
    let https = either("HTTPS_PROXY").or(all);
    if http.is_none() && https.is_none() {
        return ProxySettings::Direct;
    }
    ProxySettings::Given {
        http,
        https,
        no_proxy: either("NO_PROXY").unwrap_or_default(),
    }
}

/// Docker's file first, which is also written to, then podman's.
fn credentials(flags: &Flags, environment: &Environment<'_>) -> CredentialFiles {
    let home = environment.path("HOME");
    let docker = flags.config.clone().filter(|path| path.is_dir());
    let docker = docker
        .or_else(|| environment.path("DOCKER_CONFIG"))
        .or_else(|| Some(home.as_ref()?.join(".docker")));
    let config = environment
        .path("XDG_CONFIG_HOME")
        .or_else(|| Some(home?.join(".config")));
    let files = [
        docker.map(|directory| directory.join("config.json")),
        environment.path("REGISTRY_AUTH_FILE"),
        environment
            .path("XDG_RUNTIME_DIR")
            .map(|directory| directory.join("containers/auth.json")),
        config.map(|directory| directory.join("containers/auth.json")),
    ];
    let directories = (environment.variable)("PATH").unwrap_or_default();
    CredentialFiles {
        files: files.into_iter().flatten().collect(),
        helper_directories: std::env::split_paths(&directories).collect(),
    }
}

#[cfg(test)]
mod tests;
