//! Image configs: what an image is and how it runs (OCI image specification, "Image
//! Configuration"), with the fields that Docker adds.
//!
//! Read with Docker's tolerance: `null` and absence are the same, an `Entrypoint` may be one
//! string. Unknown fields are kept. Times stay text: nothing here knows a calendar.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{ChainId, DiffId};
use crate::json::{self, Rest};
use crate::limits;
use crate::manifest::{DocumentError, Manifest, refuse_many, refuse_misspelt};
use crate::platform::Platform;

/// An image's config; its digest is the image's ID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// `GOARCH` of its programs.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub architecture: String,
    /// Variant of the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// `GOOS` of its programs.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub os: String,
    /// Version of the operating system (Windows).
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features of the operating system that it needs.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// How a container of it runs.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub config: ContainerConfig,
    /// Its layers.
    #[serde(default = "Rootfs::absent", deserialize_with = "rootfs")]
    pub rootfs: Rootfs,
    /// How each layer came to be, oldest first.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
    /// Fields not known here (`container_config`, `docker_version`, …).
    #[serde(flatten)]
    pub rest: Rest,
}

/// How a container of an image runs unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user`, `uid`, `user:group`, …; empty is root.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// `80/tcp`, `53/udp`, …
    #[serde(
        default,
        with = "keys_of_object",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=value`, in order.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub env: Vec<String>,
    /// The program and its fixed arguments; `None` and empty differ for whoever inherits.
    #[serde(
        default,
        deserialize_with = "words",
        skip_serializing_if = "Option::is_none"
    )]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments of the entrypoint, or the program.
    #[serde(
        default,
        deserialize_with = "words",
        skip_serializing_if = "Option::is_none"
    )]
    pub cmd: Option<Vec<String>>,
    /// Paths that get a volume.
    #[serde(
        default,
        with = "keys_of_object",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub volumes: BTreeSet<String>,
    /// Where it starts; empty is `/`.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// Free words on the image.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// Signal that stops it: `SIGTERM`, `15`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and the kill (Docker).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The command line is already escaped (Windows; deprecated).
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_false"
    )]
    pub args_escaped: bool,
    /// How to see that it is well (Docker).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The shell of shell-form instructions (Docker).
    #[serde(
        default,
        deserialize_with = "words",
        skip_serializing_if = "Option::is_none"
    )]
    pub shell: Option<Vec<String>>,
    /// Instructions for builds upon it (Docker).
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub on_build: Vec<String>,
    /// Fields not known here (`Hostname`, `Tty`, …).
    #[serde(flatten)]
    pub rest: Rest,
}

/// How to see that a container is well. Durations are in nanoseconds; 0 is inherited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`; empty is inherited.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub test: Vec<String>,
    /// Time between two checks.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_zero"
    )]
    pub interval: i64,
    /// Time after which a check has failed.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_zero"
    )]
    pub timeout: i64,
    /// Time to start, in which failures don't count.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_zero"
    )]
    pub start_period: i64,
    /// Time between two checks while it starts.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_zero"
    )]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_zero"
    )]
    pub retries: i64,
    /// Fields not known here.
    #[serde(flatten)]
    pub rest: Rest,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Always `layers`.
    #[serde(rename = "type", default, deserialize_with = "json::null_as_default")]
    pub kind: String,
    /// DiffIDs, base first.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub diff_ids: Vec<DiffId>,
    /// Fields not known here.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Rootfs {
    /// Stands for none until [`ImageConfig::parse`] refuses it.
    fn absent() -> Self {
        Self {
            kind: String::new(),
            ..Self::default()
        }
    }
}

impl Default for Rootfs {
    fn default() -> Self {
        Self {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
            rest: Rest::new(),
        }
    }
}

/// How one layer, or a change of the config alone, came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Free words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It made no layer.
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_false"
    )]
    pub empty_layer: bool,
    /// Fields not known here.
    #[serde(flatten)]
    pub rest: Rest,
}

impl ImageConfig {
    const KEYS: [&'static str; 10] = [
        "created",
        "author",
        "architecture",
        "variant",
        "os",
        "os.version",
        "os.features",
        "config",
        "rootfs",
        "history",
    ];

    /// Reads a config of at most [`limits::CONFIG_BYTES`].
    ///
    /// # Errors
    /// [`DocumentError`]: not strict JSON, not an image's config (no `rootfs` of type `layers`),
    /// a key that some readers take for another, or more layers than [`limits::LAYERS`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let config: Self =
            json::parse(bytes, limits::CONFIG_BYTES).map_err(|source| DocumentError::Json {
                what: "config",
                source,
            })?;
        config.check()?;
        Ok(config)
    }

    /// The platform it is for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: some(&self.os_version),
            os_features: self.os_features.clone(),
            variant: some(&self.variant),
        }
    }

    /// The name of its whole stack of layers; `None` without a layer.
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        ChainId::of(&self.rootfs.diff_ids)
    }

    /// Checks that the history, where there is one, tells of as many layers as there are.
    ///
    /// # Errors
    /// [`DocumentError::HistoryLength`].
    pub fn check_history(&self) -> Result<(), DocumentError> {
        let history = self
            .history
            .iter()
            .filter(|entry| !entry.empty_layer)
            .count();
        let layers = self.rootfs.diff_ids.len();
        if self.history.is_empty() || history == layers {
            return Ok(());
        }
        Err(DocumentError::HistoryLength { history, layers })
    }

    /// Checks that `manifest` has as many layers as this config.
    ///
    /// # Errors
    /// [`DocumentError::LayersLength`].
    pub fn check_layers(&self, manifest: &Manifest) -> Result<(), DocumentError> {
        let (manifest, config) = (manifest.layers.len(), self.rootfs.diff_ids.len());
        if manifest == config {
            Ok(())
        } else {
            Err(DocumentError::LayersLength { manifest, config })
        }
    }

    fn check(&self) -> Result<(), DocumentError> {
        let what = "config";
        if self.rootfs.kind != "layers" {
            return Err(DocumentError::NoRootfs);
        }
        refuse_many(what, self.rootfs.diff_ids.len(), limits::LAYERS)?;
        refuse_misspelt(what, &self.rest, &Self::KEYS)?;
        refuse_misspelt(what, &self.config.rest, &ContainerConfig::KEYS)?;
        refuse_misspelt(what, &self.rootfs.rest, &["type", "diff_ids"])?;
        if let Some(healthcheck) = &self.config.healthcheck {
            refuse_misspelt(what, &healthcheck.rest, &Healthcheck::KEYS)?;
        }
        self.history
            .iter()
            .try_for_each(|entry| refuse_misspelt(what, &entry.rest, &History::KEYS))
    }
}

impl ContainerConfig {
    const KEYS: [&'static str; 14] = [
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Volumes",
        "WorkingDir",
        "Labels",
        "StopSignal",
        "StopTimeout",
        "ArgsEscaped",
        "Healthcheck",
        "Shell",
        "OnBuild",
    ];
}

impl Healthcheck {
    const KEYS: [&'static str; 6] = [
        "Test",
        "Interval",
        "Timeout",
        "StartPeriod",
        "StartInterval",
        "Retries",
    ];
}

impl History {
    const KEYS: [&'static str; 5] = ["created", "created_by", "author", "comment", "empty_layer"];
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn rootfs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rootfs, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(Rootfs::absent))
}

/// A list of words, one word, or `null`.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        One(String),
    }
    Ok(
        Option::<Words>::deserialize(deserializer)?.map(|words| match words {
            Words::List(list) => list,
            Words::One(word) => vec![word],
        }),
    )
}

/// Go's `map[string]struct{}`: a set written as an object of empty objects.
mod keys_of_object {
    use super::{BTreeMap, BTreeSet, Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    struct Empty {}

    pub(super) fn serialize<S: Serializer>(
        keys: &BTreeSet<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(keys.iter().map(|key| (key, Empty {})))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        type Object = Option<BTreeMap<String, serde::de::IgnoredAny>>;
        let object = Option::<BTreeMap<String, Object>>::deserialize(deserializer)?;
        Ok(object.unwrap_or_default().into_keys().collect())
    }
}

#[cfg(test)]
mod tests;
