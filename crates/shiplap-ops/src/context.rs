//! What every verb needs: the store, the way to registries, and what the caller decided.
//! Both are opened at their first use, so a verb pays only for what it touches.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use shiplap_model::Platform;
use shiplap_model::container::NetworkMode;
use shiplap_registry::{Client, CredentialFiles, CredentialStore, Warning};
use shiplap_store::{Access, Store, StoreError};

use crate::snapshot::Backend;

/// What the caller decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store's directory.
    pub root: PathBuf,
    /// How layers become file systems; `None`: by probing.
    pub layer_backend: Option<Backend>,
    /// Keep the compressed form of pulled layers beside the tar.
    pub keep_compressed: bool,
    /// Layers that are fetched or sent at once.
    pub parallel_layers: usize,
    /// The platform that is chosen from an index when none is asked for.
    pub platform: Platform,
    /// Where registries are and how to talk to them.
    pub registries: shiplap_registry::Settings,
    /// Where credentials are.
    pub credentials: CredentialFiles,
    /// What holds for all containers.
    pub containers: ContainerSettings,
}

/// What holds for all containers.
#[derive(Debug, Clone, Default)]
pub struct ContainerSettings {
    /// This program, as it is called for supervisors.
    pub program: Program,
    /// Give them the host's certificates.
    pub host_certs: bool,
    /// Their network where none is asked for; `None`: private if that can be had.
    pub network: Option<NetworkMode>,
    /// The OCI runtime by name or path; `None`: the first that works.
    pub runtime: Option<String>,
    /// Variables that tell programs of proxies, with their values.
    pub proxies: Vec<(String, String)>,
    /// The host's certificates, if they are not where distributions keep them.
    pub certificates: Option<PathBuf>,
    /// Directories that programs are looked for in.
    pub search_path: Vec<PathBuf>,
}

impl ContainerSettings {
    /// A program of the host by its name.
    #[must_use]
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        let is_program = |path: &PathBuf| {
            let access = rustix::fs::Access::EXEC_OK;
            path.is_file() && rustix::fs::access(path, access).is_ok()
        };
        self.search_path
            .iter()
            .map(|directory| directory.join(name))
            .find(is_program)
    }
}

impl Program {
    /// A call of it, to which more arguments may be added.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        // What it is reached by may be no name to show.
        command.arg0("shiplap").args(&self.arguments);
        command
    }
}

/// How a program is called.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Its path.
    pub path: PathBuf,
    /// Arguments before those of the call.
    pub arguments: Vec<OsString>,
}

/// Takes a line that the user should see though the verb goes on.
pub type WarningSink = Arc<dyn Fn(&str) + Send + Sync>;

/// The surroundings of all verbs of one process.
pub struct Context {
    settings: Settings,
    warn: WarningSink,
    store: OnceLock<Store>,
    client: OnceLock<Client>,
    /// What a probe found, and why it is this one.
    backend: OnceLock<(Backend, String)>,
    /// What killed builders left was cleared away.
    is_swept: Once,
}

impl Context {
    /// Remembers; nothing is opened yet.
    #[must_use]
    pub fn new(settings: Settings, warn: WarningSink) -> Self {
        Self {
            settings,
            warn,
            store: OnceLock::new(),
            client: OnceLock::new(),
            backend: OnceLock::new(),
            is_swept: Once::new(),
        }
    }

    /// What the caller decided.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The store, opened at its first use.
    ///
    /// # Errors
    /// Of opening it.
    pub fn store(&self) -> Result<&Store, StoreError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = Store::open(&self.settings.root, Access::Write)?;
        Ok(self.store.get_or_init(|| store))
    }

    pub(crate) fn backend(&self) -> Option<&(Backend, String)> {
        self.backend.get()
    }

    /// Keeps what a probe found first.
    pub(crate) fn remember_backend(&self, found: (Backend, String)) -> &(Backend, String) {
        self.backend.get_or_init(|| found)
    }

    /// Clears away what killed builders left, before the first step.
    pub(crate) fn sweep_steps(&self, sweep: impl FnOnce()) {
        self.is_swept.call_once(sweep);
    }

    pub(crate) fn credentials(&self) -> CredentialStore {
        CredentialStore::new(self.settings.credentials.clone())
    }

    pub(crate) fn client(&self) -> &Client {
        self.client
            .get_or_init(|| self.client_with(self.settings.registries.clone()))
    }

    /// A client for what the verb can do without: it gives up soon, and asks nobody twice.
    pub(crate) fn hasty_client(&self) -> Client {
        let mut settings = self.settings.registries.clone();
        settings.patience.retries = 0;
        let limits = [
            (&mut settings.patience.connect, HASTE_CONNECT),
            (&mut settings.patience.response, HASTE_ANSWER),
            (&mut settings.patience.stall, HASTE_ANSWER),
        ];
        for (patience, most) in limits {
            *patience = most.min(*patience);
        }
        self.client_with(settings)
    }

    fn client_with(&self, settings: shiplap_registry::Settings) -> Client {
        let warn = Arc::clone(&self.warn);
        let sink = Arc::new(move |warning: &Warning| warn(&words(warning)));
        Client::with_warnings(settings, self.credentials(), sink)
    }
}

/// How long a hasty client waits for a connection: one across the world stands in less than a second.
const HASTE_CONNECT: Duration = Duration::from_secs(3);

/// How long a hasty client waits for an answer, or its next byte.
const HASTE_ANSWER: Duration = Duration::from_secs(10);

fn words(warning: &Warning) -> String {
    match warning {
        Warning::Mirror {
            mirror,
            registry,
            cause,
        } => {
            format!("mirror {mirror} of {registry} is passed over: {cause}")
        }
        Warning::Retry { host, wait, cause } => {
            format!(
                "asking {host} again in {:.1} s: {cause}",
                wait.as_secs_f64()
            )
        }
        Warning::Resume {
            host,
            offset_bytes,
            cause,
        } => {
            format!("reading on from {host} at byte {offset_bytes}: {cause}")
        }
        Warning::Credentials { registry, cause } => {
            format!("credentials for {registry} can't be read: {cause}")
        }
        other => format!("{other:?}"),
    }
}
