//! What a caller decides of a build, grouped by the stage of the work that it concerns.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use shiplap_model::container::Limits;
use shiplap_model::{Platform, Reference};

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// What is built from what.
    pub input: Input,
    /// What the Dockerfile sees.
    pub values: Values,
    /// How steps are run.
    pub execution: Execution,
    /// What is taken from the cache, and put there.
    pub cache: Cache,
    /// What comes of it.
    pub result: ResultOptions,
}

/// What is built from what.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The context as the user wrote it: a directory, `-`, a URL.
    pub context: String,
    /// `--file`: a path, or `-`.
    pub file: Option<String>,
    /// `--build-context name=…`, as written.
    pub named_contexts: BTreeMap<String, String>,
    /// `--target`; `None`: the last stage.
    pub target: Option<String>,
    /// `--platform`s; empty: the settings' one.
    pub platforms: Vec<Platform>,
    /// `--pull`: look for newer base images.
    pub pull: bool,
}

/// What the Dockerfile sees.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// `--build-arg`s, with values taken from the environment already where none was given;
    /// `None`: given without a value that could be found.
    pub build_args: BTreeMap<String, Option<String>>,
    /// `--label`s.
    pub labels: Vec<(String, String)>,
    /// `--annotation`s of the manifest.
    pub annotations: Vec<(String, String)>,
    /// `SOURCE_DATE_EPOCH`, in seconds.
    pub source_date_epoch: Option<i64>,
}

/// How steps are run.
#[derive(Debug, Clone, Default)]
pub struct Execution {
    /// `--secret`s.
    pub secrets: Vec<Secret>,
    /// `--ssh`: by ID (`default` if none was given).
    pub ssh: BTreeMap<String, SshAgent>,
    /// `--add-host`.
    pub add_hosts: Vec<(String, String)>,
    /// `--network`.
    pub network: BuildNetwork,
    /// `--shm-size`, in bytes.
    pub shm_bytes: Option<u64>,
    /// `--memory`, `--ulimit` and others.
    pub limits: Limits,
    /// `--allow security.insecure`.
    pub allow_insecure: bool,
    /// Give steps the host's certificates and proxies.
    pub host_certs: bool,
    /// `--jobs`: steps that run at once; `None`: as many as there are processors, at least 2.
    pub jobs: Option<NonZeroUsize>,
    /// Clamp times of what `RUN` makes, too.
    pub reproducible: bool,
    /// `--on-error`.
    pub on_failure: OnFailure,
}

/// Who signs with SSH keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshAgent {
    /// An agent that runs, by its socket.
    Socket(PathBuf),
    /// One that is started for the build, with these files of private keys.
    Keys(Vec<PathBuf>),
}

/// What is done where a command fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The build fails.
    #[default]
    Fail,
    /// Before it fails, a shell in the root as the command left it, on this process's terminal.
    Shell,
}

/// `--network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuildNetwork {
    /// As containers get it.
    #[default]
    Default,
    /// The host's.
    Host,
    /// None.
    None,
}

/// `--secret id=…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What mounts call it.
    pub id: String,
    /// Where its bytes are.
    pub source: SecretSource,
}

/// Where a secret's bytes are.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file, read when it is first needed.
    File(PathBuf),
    /// In a variable, whose value this is.
    Value(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({:?})", self.id)
    }
}

/// What is taken from the cache, and put there.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    /// `--no-cache`: nothing is taken from it.
    pub ignore: bool,
    /// `--no-cache-filter`: stages for which nothing is taken from it.
    pub ignored_stages: Vec<String>,
    /// `--cache-from`, as written: `type=registry,ref=…`, `type=local,src=…`, a reference.
    pub from: Vec<String>,
    /// `--cache-to`, as written: `type=registry,ref=…`, `type=local,dest=…`, `type=inline`.
    pub to: Vec<String>,
    /// What it may take after the build, in bytes: what was unused longest goes; `None`: no bound.
    pub keep_bytes: Option<u64>,
}

/// What comes of it.
#[derive(Debug, Clone, Default)]
pub struct ResultOptions {
    /// `--tag`s.
    pub tags: Vec<Reference>,
    /// `--output`s; empty: an image in the store.
    pub outputs: Vec<Output>,
    /// `--push`: push the tags.
    pub push: bool,
    /// `--squash`: all that is new in one layer.
    pub squash: bool,
}

/// `--output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// `type=image`: into the store; with names of its own, and pushed or not.
    Image {
        /// `name=`.
        names: Vec<Reference>,
        /// `push=true`.
        push: bool,
    },
    /// `type=local,dest=DIR`: the files.
    Local {
        /// Where.
        directory: PathBuf,
        /// `platform-split=`: a directory for each platform; `None`: if there are several.
        split: Option<bool>,
    },
    /// `type=tar,dest=FILE`: the files as a tar.
    Tar {
        /// Where; `None`: to the standard output.
        file: Option<PathBuf>,
        /// `platform-split=`: a directory for each platform; `None`: if there are several.
        split: Option<bool>,
    },
    /// `type=oci,dest=FILE`: an archive; `is_archive` false (`tar=false`): a directory.
    Oci {
        /// Where; `None`: to the standard output.
        destination: Option<PathBuf>,
        /// One file.
        is_archive: bool,
    },
    /// `type=docker,dest=FILE`: an archive that `docker load` takes.
    Docker(Option<PathBuf>),
    /// `type=cacheonly`: nothing but the cache.
    CacheOnly,
}
