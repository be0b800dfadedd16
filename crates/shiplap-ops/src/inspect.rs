//! `inspect`: all that is known of an image, in Docker's words.

use std::collections::BTreeMap;

use serde::Serialize;
use shiplap_model::config::{ContainerConfig, Healthcheck};
use shiplap_model::{DiffId, DocumentError, ImageConfig, ImageId, Platform, Reference};
use shiplap_store::{Image, ResolveError, Store, StoreError};

use crate::context::Context;
use crate::snapshot;

/// Why an image can't be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// No such image.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The store's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The config is not what it was when the image came.
    #[error("read the config of {id}: {source}")]
    Config {
        /// The image.
        id: ImageId,
        /// What is wrong.
        source: DocumentError,
    },
}

impl InspectError {
    /// Whether there is nothing of that name, be it that nothing can be called so.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Resolve(ResolveError::NotFound { .. } | ResolveError::Invalid { .. })
        )
    }
}

/// An image in the words and order of Docker's API (`GET /images/{name}/json`).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(
    missing_docs,
    reason = "the names are Docker's, its documentation is theirs"
)]
pub struct InspectedImage {
    pub id: ImageId,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    pub created: String,
    pub docker_version: String,
    pub author: String,
    pub config: InspectedConfig,
    pub architecture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    pub os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    pub size: u64,
    pub graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    pub metadata: Metadata,
}

/// How containers of the image run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(
    missing_docs,
    reason = "the names are Docker's, its documentation is theirs"
)]
pub struct InspectedConfig {
    pub hostname: String,
    pub domainname: String,
    pub user: String,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Nothing>,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    pub env: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    pub image: String,
    pub volumes: Option<BTreeMap<String, Nothing>>,
    pub working_dir: String,
    pub entrypoint: Option<Vec<String>>,
    pub on_build: Option<Vec<String>>,
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// `{}`: what a set's members map to in Docker's JSON.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Nothing {}

/// Where the layers are.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphDriver {
    /// Paths of what the layers are mounted from.
    pub data: BTreeMap<String, String>,
    /// The layer backend.
    pub name: String,
}

/// The layers.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// DiffIDs, base first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<DiffId>,
}

/// What only this store knows.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// When it was last given a tag, RFC 3339; Go's zero time if never.
    pub last_tag_time: String,
}

/// Inspects the image that `name` means, for a platform if one is asked for.
///
/// # Errors
/// [`InspectError`].
pub fn inspect(
    context: &Context,
    name: &str,
    platform: Option<&Platform>,
) -> Result<InspectedImage, InspectError> {
    let store = context.store()?;
    let (image, config) = read_image(store, name, platform)?;
    let graph_driver = snapshot::graph_driver(context, &image.id)?;
    Ok(describe(image, config, graph_driver))
}

/// The record and the config of the image that `name` means.
pub(crate) fn read_image(
    store: &Store,
    name: &str,
    platform: Option<&Platform>,
) -> Result<(Image, ImageConfig), InspectError> {
    let id = store.resolve_for(name, platform)?.id;
    let missing = || StoreError::ImageMissing { id: id.clone() };
    let image = store.image(&id)?.ok_or_else(missing)?;
    let config = read_config(store, &id)?;
    Ok((image, config))
}

fn read_config(store: &Store, id: &ImageId) -> Result<ImageConfig, InspectError> {
    let bytes = store.read_blob(id.digest())?;
    ImageConfig::parse(&bytes).map_err(|source| InspectError::Config {
        id: id.clone(),
        source,
    })
}

fn describe(image: Image, config: ImageConfig, graph_driver: GraphDriver) -> InspectedImage {
    let comment = config.history.last().and_then(|last| last.comment.clone());
    let text = |key: &str| {
        config
            .rest
            .get(key)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let last_tagged = image.last_tagged.map(|time| time.to_string());
    InspectedImage {
        id: image.id,
        repo_tags: image.tags.iter().map(Reference::familiar).collect(),
        repo_digests: image
            .repo_digests
            .iter()
            .map(|d| d.repository.at(d.digest.clone()).familiar())
            .collect(),
        parent: image.parent.map(|id| id.to_string()).unwrap_or_default(),
        comment: Some(text("comment"))
            .filter(|c| !c.is_empty())
            .or(comment)
            .unwrap_or_default(),
        created: config
            .created
            .clone()
            .unwrap_or_else(|| ZERO_TIME.to_owned()),
        docker_version: text("docker_version"),
        author: config.author.clone().unwrap_or_default(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone().filter(|variant| !variant.is_empty()),
        os: config.os.clone(),
        os_version: config
            .os_version
            .clone()
            .filter(|version| !version.is_empty()),
        size: image.content_bytes,
        graph_driver,
        root_fs: RootFs {
            kind: config.rootfs.kind.clone(),
            layers: config.rootfs.diff_ids,
        },
        metadata: Metadata {
            last_tag_time: last_tagged.unwrap_or_else(|| ZERO_TIME.to_owned()),
        },
        config: describe_config(config.config),
    }
}

/// Go's zero time, which Docker shows where there is none.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

fn describe_config(config: ContainerConfig) -> InspectedConfig {
    let text = |key: &str| {
        config
            .rest
            .get(key)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let flag = |key: &str| {
        config
            .rest
            .get(key)
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(false)
    };
    let set = |names: &std::collections::BTreeSet<String>| -> BTreeMap<String, Nothing> {
        names
            .iter()
            .map(|name| (name.clone(), Nothing {}))
            .collect()
    };
    InspectedConfig {
        hostname: text("Hostname"),
        domainname: text("Domainname"),
        attach_stdin: flag("AttachStdin"),
        attach_stdout: flag("AttachStdout"),
        attach_stderr: flag("AttachStderr"),
        tty: flag("Tty"),
        open_stdin: flag("OpenStdin"),
        stdin_once: flag("StdinOnce"),
        image: text("Image"),
        exposed_ports: set(&config.exposed_ports),
        volumes: Some(set(&config.volumes)).filter(|volumes| !volumes.is_empty()),
        user: config.user,
        env: Some(config.env).filter(|env| !env.is_empty()),
        cmd: config.cmd,
        healthcheck: config.healthcheck,
        args_escaped: config.args_escaped,
        working_dir: config.working_dir,
        entrypoint: config.entrypoint,
        on_build: Some(config.on_build).filter(|triggers| !triggers.is_empty()),
        labels: Some(config.labels).filter(|labels| !labels.is_empty()),
        stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
        stop_timeout: config.stop_timeout,
        shell: config.shell.filter(|shell| !shell.is_empty()),
    }
}
