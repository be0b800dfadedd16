//! What is mounted for a `RUN`: files of contexts, stages and images, caches, memory, secrets, agents.
//!
//! Files of a context are made a layer first, by content: so the command sees them as `COPY` would
//! bring them, whoever owns them on the host, and never what the ignore file hides.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use shiplap_layer::erofs::LayerIndex;
use shiplap_layer::root::Root;
use shiplap_layer::unpack::{self, Form};
use shiplap_model::dockerfile::MountType;
use shiplap_model::ignore::Patterns;
use shiplap_model::{DiffId, Digest, limits};
use shiplap_ops::snapshot::rights;
use shiplap_ops::step::{StepMount, StepMountKind};
use shiplap_store::{CacheMount, CacheSharing, NewCachedStep};

use super::around::{Around, Place};
use super::copy::{CopyJob, CopyTimes, Given, copy};
use super::failure::Problem;
use super::files::Files;
use super::selection::{Selected, of_layers};
use crate::context::{ContentDigest, Counting};
use crate::options::SecretSource;
use crate::plan::{self, Sharing};

/// Permission bits of a secret's file.
const SECRET_MODE: u32 = 0o400;
/// Permission bits of an agent's socket.
const AGENT_MODE: u32 = 0o600;
/// Permission bits of a cache's directory.
const CACHE_MODE: u32 = 0o755;

/// What is in a mount, or what it begins with.
pub(super) enum Content {
    /// Files of a context.
    Selected(Arc<Selected>),
    /// Files of layers: what tells them, once somebody read them.
    Layers {
        layers: Vec<DiffId>,
        digest: Option<ContentDigest>,
        path: String,
    },
}

/// What a mount comes to.
#[derive(Default)]
pub(super) struct Made {
    pub(super) mount: Option<StepMount>,
    /// `NAME=value`
    pub(super) variable: Option<String>,
}

impl Content {
    /// Finds what is at `path` in `source`.
    pub(super) fn find(
        around: &Around<'_, '_>,
        source: &plan::Source,
        path: &str,
    ) -> Result<Self, Problem> {
        match around.place(source)? {
            Place::Layers(layers) => Ok(Self::Layers {
                layers,
                digest: None,
                path: path.to_owned(),
            }),
            Place::Context(context) => {
                // A mount's source is a path, never a pattern.
                let literal = escaped(path);
                let selected = around.select(&context, &literal, &Patterns::default(), false)?;
                let selected = selected.into_iter().next();
                selected
                    .map(Self::Selected)
                    .ok_or_else(|| Problem::NoMount {
                        path: path.to_owned(),
                    })
            }
        }
    }

    /// Whether its digest needs no reading.
    pub(super) fn is_known(&self) -> bool {
        match self {
            Self::Selected(_) => true,
            Self::Layers { layers, digest, .. } => layers.is_empty() || digest.is_some(),
        }
    }

    /// What tells it.
    pub(super) fn look(&mut self, around: &Around<'_, '_>) -> Result<ContentDigest, Problem> {
        match self {
            Self::Selected(selected) => Ok(digest(selected)),
            Self::Layers {
                digest: Some(known),
                ..
            } => Ok(*known),
            Self::Layers {
                layers,
                digest: known,
                path,
            } => {
                let files = around.session.layers.files(layers)?;
                let literal = escaped(path);
                let selected = of_layers(&files, &literal, &Patterns::default(), false)?;
                let Some(mut selected) = selected.into_iter().next() else {
                    return Err(Problem::NoMount { path: path.clone() });
                };
                selected.fill_digests()?;
                let found = digest(&selected);
                *known = Some(found);
                Ok(found)
            }
        }
    }

    /// It as layers, and where in them.
    fn layers(&self, around: &Around<'_, '_>) -> Result<(Vec<DiffId>, String), Problem> {
        match self {
            Self::Layers { layers, path, .. } => Ok((layers.clone(), path.clone())),
            Self::Selected(selected) => {
                let layer = layer_of(around, selected)?;
                let name = String::from_utf8_lossy(&selected.name).into_owned();
                let path = if selected.is_directory {
                    "/".to_owned()
                } else {
                    format!("/{name}")
                };
                Ok((vec![layer], path))
            }
        }
    }
}

/// A path as the pattern that means nothing else.
fn escaped(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for char in path.chars() {
        match char {
            '*' | '?' => {
                pattern.extend(['[', char, ']']);
            }
            '[' => pattern.push_str("[[]"),
            _ => pattern.push(char),
        }
    }
    pattern
}

pub(super) fn digest(selected: &Selected) -> ContentDigest {
    selected.tree.digest(Counting {
        modes: true,
        owners: true,
    })
}

/// The layer that holds what is selected, made if it is not in the cache.
fn layer_of(around: &Around<'_, '_>, selected: &Arc<Selected>) -> Result<DiffId, Problem> {
    let session = around.session;
    let store = session.lease.store();
    let name = String::from_utf8_lossy(&selected.name);
    let name = if selected.is_directory { "" } else { &*name };
    let key = Digest::of(format!("mount {} {name}", digest(selected)).as_bytes());
    let held = session.lease.use_cached_steps(std::slice::from_ref(&key))?;
    if let Some(Some(layer)) = held.into_iter().next() {
        return Ok(layer.diff_id);
    }
    let given = [Given::Selected {
        selected: vec![Arc::clone(selected)],
        unpacks: false,
    }];
    let job = CopyJob {
        root: &Files::of_layers(store, &[])?,
        given: &given,
        destination: "/",
        owner: None,
        chmod: None,
        link: true,
        times: CopyTimes {
            at_most_secs: None,
            ..around.times
        },
    };
    let layer = copy(session.lease, &job, session.cancel)?;
    session.lease.put_cached_step(&NewCachedStep {
        key: &key,
        layer: &layer.diff_id,
        newest_secs: None,
        place: &key,
        description: "mount from the context",
        inputs: &[],
    })?;
    Ok(layer.diff_id)
}

/// The caches among `mounts`, in their places. They are taken in the order of their names, so that
/// two steps never wait for each other.
pub(super) fn caches(
    around: &Around<'_, '_>,
    mounts: &[plan::Mount],
    contents: &[Option<Content>],
) -> Result<Vec<Option<CacheMount>>, Problem> {
    let is_cache = |number: &usize| {
        let mount = mounts.get(*number);
        mount.is_some_and(|mount| mount.kind == MountType::Cache)
    };
    let mut order: Vec<usize> = (0..mounts.len()).filter(is_cache).collect();
    order.sort_by_key(|number| cache_name(&mounts[*number]));
    let mut held: Vec<Option<CacheMount>> = Vec::new();
    held.resize_with(mounts.len(), || None);
    for number in order {
        let content = contents.get(number).and_then(Option::as_ref);
        held[number] = Some(cache(around, &mounts[number], content)?);
    }
    Ok(held)
}

/// What a cache is called: its ID, and what it begins with if that is no empty directory of root's.
fn cache_name(mount: &plan::Mount) -> String {
    let mut name = mount.id.clone();
    for (what, number) in [("uid", mount.uid), ("gid", mount.gid)] {
        if let Some(number) = number {
            name.push_str(&format!(" {what}={number}"));
        }
    }
    if let Some(mode) = mount.mode {
        name.push_str(&format!(" mode={mode:04o}"));
    }
    if let Some(source) = &mount.from {
        name.push_str(&format!(" from={source:?}:{}", mount.source));
    }
    name
}

fn cache(
    around: &Around<'_, '_>,
    mount: &plan::Mount,
    content: Option<&Content>,
) -> Result<CacheMount, Problem> {
    let session = around.session;
    let sharing = match mount.sharing {
        Sharing::Shared => CacheSharing::Shared,
        Sharing::Private => CacheSharing::Private,
        Sharing::Locked => CacheSharing::Locked,
    };
    let fill = |directory: &Path| {
        if let Some(content) = content {
            begin(around, content, directory, &mount.id)?;
        }
        describe(mount, directory).map_err(|source| Problem::Cache {
            id: mount.id.clone(),
            reason: source.to_string(),
        })
    };
    let waits = || !session.is_canceled();
    let store = session.lease.store();
    let held = store.cache_mount(&cache_name(mount), sharing, fill, waits)?;
    held.ok_or(Problem::Canceled)
}

/// Owner and mode of a new cache.
fn describe(mount: &plan::Mount, directory: &Path) -> std::io::Result<()> {
    if mount.uid.is_some() || mount.gid.is_some() {
        std::os::unix::fs::chown(directory, mount.uid.or(Some(0)), mount.gid.or(Some(0)))?;
    }
    let mode = mount.mode.unwrap_or(CACHE_MODE);
    if mount.mode.is_some() || mount.from.is_none() {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Fills a new cache with what it begins with.
fn begin(
    around: &Around<'_, '_>,
    content: &Content,
    directory: &Path,
    id: &str,
) -> Result<(), Problem> {
    let failed = |reason: String| Problem::Cache {
        id: id.to_owned(),
        reason,
    };
    let selected = match content {
        Content::Selected(selected) => Arc::clone(selected),
        Content::Layers { layers, path, .. } => {
            let files = around.session.layers.files(layers)?;
            let selected = of_layers(&files, &escaped(path), &Patterns::default(), false)?;
            let Some(selected) = selected.into_iter().next() else {
                return Err(Problem::NoMount { path: path.clone() });
            };
            Arc::new(selected)
        }
    };
    let diff_id = layer_of(around, &selected)?;
    let store = around.session.lease.store();
    let index = LayerIndex::open(store.open_index(&diff_id)?);
    let index = index.map_err(|error| failed(error.to_string()))?;
    let root = Root::open(directory).map_err(|error| failed(error.to_string()))?;
    let tar: File = store.open_tar(&diff_id)?;
    let options = unpack::Options {
        form: Form::Applied,
        rights: rights(),
    };
    unpack::unpack(&index, &tar, &root, options).map_err(|error| failed(error.to_string()))?;
    Ok(())
}

/// Makes one mount; nothing if it needn't be there, and isn't.
pub(super) fn mount(
    around: &Around<'_, '_>,
    mount: &plan::Mount,
    content: Option<&Content>,
    cache: Option<&CacheMount>,
) -> Result<Made, Problem> {
    let of = |kind: StepMountKind| Made {
        mount: Some(StepMount {
            target: mount.target.clone(),
            kind,
            read_only: mount.read_only,
        }),
        variable: None,
    };
    match mount.kind {
        MountType::Bind => {
            let (layers, path) = match content {
                Some(content) => content.layers(around)?,
                None => (Vec::new(), mount.source.clone()),
            };
            Ok(of(StepMountKind::Layers { layers, path }))
        }
        MountType::Cache => match cache {
            Some(cache) => Ok(of(StepMountKind::Cache {
                host: cache.path().to_owned(),
            })),
            None => Ok(Made::default()),
        },
        MountType::Tmpfs => Ok(of(StepMountKind::Tmpfs {
            size_bytes: mount.size_bytes,
        })),
        MountType::Secret => secret(around, mount),
        MountType::Ssh => agent(around, mount),
    }
}

fn secret(around: &Around<'_, '_>, mount: &plan::Mount) -> Result<Made, Problem> {
    let id = || mount.id.clone();
    let secrets = &around.session.options.execution.secrets;
    let Some(secret) = secrets.iter().find(|secret| secret.id == mount.id) else {
        return if mount.required {
            Err(Problem::NoSecret { id: id() })
        } else {
            Ok(Made::default())
        };
    };
    let bytes = match &secret.source {
        SecretSource::Value(value) => value.clone().into_bytes(),
        SecretSource::File(file) => {
            let failed = |source| Problem::Secret { id: id(), source };
            let mut bytes = Vec::new();
            let file = File::open(file).map_err(failed)?;
            let limit = limits::SECRET_BYTES;
            file.take(limit + 1)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
            bytes
        }
    };
    if bytes.len() as u64 > limits::SECRET_BYTES {
        return Err(Problem::LongSecret { id: id() });
    }
    let variable = match &mount.env {
        Some(name) => {
            let text = std::str::from_utf8(&bytes).ok();
            let text = text.filter(|text| !text.contains('\0'));
            let text = text.ok_or_else(|| Problem::SecretText { id: id() })?;
            Some(format!("{name}={text}"))
        }
        None => None,
    };
    let is_file = mount.env.is_none() || mount.has_target;
    let file = is_file.then(|| StepMount {
        target: mount.target.clone(),
        kind: StepMountKind::Secret {
            bytes,
            uid: mount.uid.unwrap_or(0),
            gid: mount.gid.unwrap_or(0),
            mode: mount.mode.unwrap_or(SECRET_MODE),
        },
        read_only: true,
    });
    Ok(Made {
        mount: file,
        variable,
    })
}

fn agent(around: &Around<'_, '_>, mount: &plan::Mount) -> Result<Made, Problem> {
    let Some(socket) = around.session.agents.socket(&mount.id) else {
        return if mount.required {
            Err(Problem::NoAgent {
                id: mount.id.clone(),
            })
        } else {
            Ok(Made::default())
        };
    };
    Ok(Made {
        mount: Some(StepMount {
            target: mount.target.clone(),
            kind: StepMountKind::Ssh {
                socket: socket.to_owned(),
                uid: mount.uid.unwrap_or(0),
                gid: mount.gid.unwrap_or(0),
                mode: mount.mode.unwrap_or(AGENT_MODE),
            },
            read_only: false,
        }),
        variable: None,
    })
}
