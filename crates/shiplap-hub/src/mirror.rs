//! Other registries' images, fetched when somebody asks for them and kept: a pull-through mirror.
//!
//! Each upstream registry is a namespace of its name (`docker.io/library/python`). However many clients
//! wait for a blob, it is asked for once, and all get it while it comes; its end only once it is
//! verified and stored, so nothing wrong is taken for whole. Of several hubs on one database the others
//! wait for the one that fetches, for a while. A tag is asked for again after some minutes; if the
//! upstream can't be asked, what is here will do.

mod coming;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use shiplap_model::reference::grammar;
use shiplap_model::{Digest, Document, limits, media_type};
use tokio::sync::watch;

use self::coming::{Coming, Ended};
use crate::database::{DatabaseError, Durability};
use crate::hub::{Hub, HubError};
use crate::intake::{self, Whole};
use crate::lease::Lease;
use crate::lock::lock;
use crate::records::blobs::{self, Blob};
use crate::records::manifests::{self, Pushed, Stored};
use crate::records::repositories::{self, Name};
use crate::records::{now_us, tags};
use crate::refusal::Refusal;
use crate::storage::UploadId;
use crate::upload::{Incoming, Taken, Then};
use crate::upstream::{Origin, Upstream, UpstreamError};

/// How long a tag is believed to be what it was, in microseconds.
const FRESH_US: i64 = 5 * 60 * 1_000_000;

/// How long a hub waits for another one that fetches the same: longer, and its clients would give up.
const OTHERS: Duration = Duration::from_secs(20);

/// The upstream registries.
#[derive(Default)]
pub(crate) struct Mirrors {
    upstreams: Vec<Arc<Upstream>>,
    /// Manifests that are being fetched, so that nobody asks for them twice.
    going: Mutex<HashMap<String, watch::Receiver<Option<Ended>>>>,
    /// Blobs that come.
    coming: Mutex<HashMap<String, Arc<Coming>>>,
}

impl Mirrors {
    /// Clients of these.
    pub(crate) fn new(origins: Vec<Origin>) -> Result<Self, HubError> {
        let upstreams = origins.into_iter().map(|origin| {
            let upstream = Upstream::new(origin).map_err(|error| HubError::Upstream {
                message: error.to_string(),
            })?;
            Ok(Arc::new(upstream))
        });
        Ok(Self {
            upstreams: upstreams.collect::<Result<_, HubError>>()?,
            going: Mutex::default(),
            coming: Mutex::default(),
        })
    }

    /// Their namespaces.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let upstreams = self.upstreams.iter();
        upstreams.map(|it| it.origin.host.clone()).collect()
    }

    /// The upstream of a namespace.
    fn of(&self, namespace: &str) -> Option<&Arc<Upstream>> {
        let mut upstreams = self.upstreams.iter();
        upstreams.find(|upstream| upstream.origin.host == namespace)
    }

    /// Whether a namespace is an upstream's.
    pub(crate) fn has(&self, namespace: &str) -> bool {
        self.of(namespace).is_some()
    }

    /// The name under which an upstream's repository lies here: that of the registry which the client
    /// names (`ns` in the query), else the first there is.
    pub(crate) fn name(&self, asked: &Name, registry: Option<&str>) -> Option<Name> {
        let upstream = match registry {
            Some(registry) => self.of(registry),
            None => self.upstreams.first(),
        };
        let host = &upstream?.origin.host;
        Name::parse(&format!("{host}/{}", asked.as_str())).ok()
    }
}

/// What an upstream calls a repository that lies here.
fn path_there(upstream: &Upstream, name: &Name) -> String {
    let path = name.rest();
    if upstream.origin.host == shiplap_model::reference::DOCKER_HUB && !path.contains('/') {
        return format!("library/{path}");
    }
    path.to_owned()
}

fn refusal(error: UpstreamError, absent: Refusal) -> Refusal {
    match error {
        UpstreamError::Absent => absent,
        error => Refusal::Upstream {
            message: error.to_string(),
        },
    }
}

/// Fetches once what several may want at once.
async fn once(
    hub: &Arc<Hub>,
    key: String,
    fetch: impl Future<Output = Result<(), Refusal>> + Send + 'static,
) -> Ended {
    let mut ended = {
        let mut going = lock(&hub.mirrors.going);
        match going.get(&key) {
            Some(ended) => ended.clone(),
            None => {
                let (tell, ended) = watch::channel(None);
                going.insert(key.clone(), ended.clone());
                let of = Arc::clone(hub);
                // It goes on though whoever asked first may go.
                tokio::spawn(async move {
                    let outcome = fetch.await.map_err(Arc::new);
                    lock(&of.mirrors.going).remove(&key);
                    let _nobody_waits = tell.send(Some(outcome));
                });
                ended
            }
        }
    };
    let lost = || {
        Err(Arc::new(Refusal::Upstream {
            message: "the fetch ended".to_owned(),
        }))
    };
    match ended.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(lost),
        Err(_) => lost(),
    }
}

/// A blob that comes from an upstream, and how long it is.
pub(crate) struct Arriving {
    coming: Arc<Coming>,
    pub(crate) length: u64,
    hub: Arc<Hub>,
    name: Name,
    digest: Digest,
}

impl Arriving {
    /// Waits until it is here.
    pub(crate) async fn here(self) -> Result<(), Refusal> {
        self.coming.ended().await.map_err(Refusal::Shared)
    }

    /// All of it, while it comes.
    pub(crate) fn body(self) -> Body {
        let Self {
            coming,
            length,
            hub,
            name,
            digest,
        } = self;
        hub.metrics.sent(length);
        let rest = move |from: u64| -> coming::Getting {
            let (hub, name, digest) = (Arc::clone(&hub), name.clone(), digest.clone());
            Box::pin(async move {
                let found = find_blob(&hub, &name, &digest).await?;
                let blob = found.ok_or(Refusal::BlobUnknown(digest))?;
                let left = blob.size_bytes.saturating_sub(from);
                Ok(hub.storage.read(&blob.object, from, left).await?)
            })
        };
        coming.follow(length, Box::new(rest))
    }
}

/// Makes sure that a blob is here, or comes, if the upstream has it; what comes.
pub(crate) async fn blob(
    hub: &Arc<Hub>,
    name: &Name,
    digest: &Digest,
) -> Result<Option<Arriving>, Refusal> {
    let Some(upstream) = hub.mirrors.of(name.namespace()).cloned() else {
        return Ok(None);
    };
    if find_blob(hub, name, digest).await?.is_some() {
        return Ok(None);
    }
    let key = format!("{}@{digest}", name.as_str());
    let coming = {
        let mut all = lock(&hub.mirrors.coming);
        match all.get(&key) {
            Some(coming) => Arc::clone(coming),
            None => {
                let coming = Arc::new(Coming::new());
                all.insert(key.clone(), Arc::clone(&coming));
                let fetch = Fetch {
                    hub: Arc::clone(hub),
                    upstream,
                    name: name.clone(),
                    digest: digest.clone(),
                    coming: Arc::clone(&coming),
                };
                // It goes on though whoever asked first may go.
                tokio::spawn(fetch.run(key));
                coming
            }
        }
    };
    let length = coming.length().await.map_err(Refusal::Shared)?;
    Ok(length.map(|length| Arriving {
        coming,
        length,
        hub: Arc::clone(hub),
        name: name.clone(),
        digest: digest.clone(),
    }))
}

async fn find_blob(hub: &Hub, name: &Name, digest: &Digest) -> Result<Option<Blob>, DatabaseError> {
    let (name, digest) = (name.clone(), digest.clone());
    let read = hub.database.read(move |tx| {
        let Some(repository) = repositories::by_name(tx, &name)? else {
            return Ok(None);
        };
        blobs::find(tx, repository.id, &digest)
    });
    read.await
}

/// A blob that is to be got.
struct Fetch {
    hub: Arc<Hub>,
    upstream: Arc<Upstream>,
    name: Name,
    digest: Digest,
    coming: Arc<Coming>,
}

/// Ends what others wait for, though its task may have failed.
struct Tidy {
    hub: Arc<Hub>,
    key: String,
    coming: Arc<Coming>,
    ended: Option<Ended>,
}

impl Drop for Tidy {
    fn drop(&mut self) {
        lock(&self.hub.mirrors.coming).remove(&self.key);
        let ended = self.ended.take().unwrap_or_else(|| {
            Err(Arc::new(Refusal::Upstream {
                message: "the fetch ended".to_owned(),
            }))
        });
        self.coming.end(ended);
    }
}

impl Fetch {
    async fn run(self, key: String) {
        let mut tidy = Tidy {
            hub: Arc::clone(&self.hub),
            key: key.clone(),
            coming: Arc::clone(&self.coming),
            ended: None,
        };
        let outcome = self.alone(key).await;
        tidy.ended = Some(outcome.map_err(Arc::new));
    }

    /// Fetches while no other hub does.
    async fn alone(&self, key: String) -> Result<(), Refusal> {
        let hub = &self.hub;
        // None after a while: then both fetch, which is better than to keep clients waiting.
        let _lease = Lease::take(&hub.database, format!("fetch {key}"), OTHERS).await?;
        // Somebody's fetch may have ended since it was looked for.
        if find_blob(hub, &self.name, &self.digest).await?.is_some() {
            return Ok(());
        }
        self.fetch().await
    }

    async fn fetch(&self) -> Result<(), Refusal> {
        let (hub, digest) = (&self.hub, &self.digest);
        let absent = || Refusal::BlobUnknown(digest.clone());
        hub.metrics.upstream();
        let path = path_there(&self.upstream, &self.name);
        let asked = self.upstream.blob(&path, digest.as_str()).await;
        let response = asked.map_err(|error| refusal(error, absent()))?;
        let length = response.content_length();
        if let Some(length) = length {
            if length > limits::LAYER_BYTES {
                return Err(Refusal::Upstream {
                    message: format!("the blob has {length} bytes"),
                });
            }
            self.coming.begun(length);
        }
        let body = Body::new(reqwest::Body::from(response));
        let id = UploadId::random();
        let algorithm = digest.hasher().ok().and(digest.algorithm());
        let incoming = Incoming {
            offset: 0,
            body: self.coming.passing(body),
            algorithm: algorithm.ok_or_else(absent)?,
            length,
            // The client of the upstream has its own.
            idle: hub.patience.idle,
            then: Then::EndOrNothing,
        };
        let storage = hub.storage.as_ref();
        let stored = match hub.uploads.append(storage, &id, incoming).await {
            Ok(Taken {
                fault: None,
                offset: size_bytes,
            }) => {
                let whole = Whole {
                    id: &id,
                    size_bytes,
                    then: Then::EndOrNothing,
                };
                intake::store(hub, &self.name, whole, digest).await
            }
            Ok(_) => Err(Refusal::Upstream {
                message: "the blob broke off".to_owned(),
            }),
            Err(fault) => Err(fault),
        };
        if stored.is_err() {
            intake::discard(hub, &id).await;
        }
        stored
    }
}

/// Makes sure that a manifest is here, and as new as it should be.
pub(crate) async fn manifest(hub: &Arc<Hub>, name: &Name, reference: &str) -> Result<(), Refusal> {
    let Some(upstream) = hub.mirrors.of(name.namespace()).cloned() else {
        return Ok(());
    };
    let here = Here::find(hub, name, reference).await?;
    if here.is_fresh {
        return Ok(());
    }
    let key = format!("{}:{reference}", name.as_str());
    let (of, name, reference) = (Arc::clone(hub), name.clone(), reference.to_owned());
    let known = here.digest.clone();
    let fetched = once(hub, key, async move {
        fetch_manifest(&of, &upstream, &name, &reference, known).await
    });
    match fetched.await {
        Ok(()) => Ok(()),
        Err(refusal)
            if here.digest.is_some() && !matches!(*refusal, Refusal::ManifestUnknown(_)) =>
        {
            tracing::warn!("failed to renew a tag: {refusal}");
            Ok(())
        }
        Err(refusal) => Err(Refusal::Shared(refusal)),
    }
}

/// What is here of a manifest.
#[derive(Default)]
struct Here {
    digest: Option<Digest>,
    is_fresh: bool,
}

impl Here {
    async fn find(hub: &Hub, name: &Name, reference: &str) -> Result<Self, DatabaseError> {
        let (name, reference) = (name.clone(), reference.to_owned());
        let read = hub.database.read(move |tx| {
            let Some(repository) = repositories::by_name(tx, &name)? else {
                return Ok(Self::default());
            };
            if let Ok(digest) = reference.parse::<Digest>() {
                let stored = manifests::by_digest(tx, repository.id, &digest)?;
                return Ok(Self {
                    is_fresh: stored.is_some(),
                    digest: stored.map(|stored| stored.digest),
                });
            }
            let tag = tags::find(tx, repository.id, &reference)?;
            Ok(Self {
                is_fresh: tag
                    .as_ref()
                    .is_some_and(|tag| tag.pushed_us > now_us() - FRESH_US),
                digest: tag.map(|tag| tag.digest),
            })
        });
        read.await
    }
}

async fn fetch_manifest(
    hub: &Arc<Hub>,
    upstream: &Upstream,
    name: &Name,
    reference: &str,
    known: Option<Digest>,
) -> Result<(), Refusal> {
    let absent = || Refusal::ManifestUnknown(reference.to_owned());
    let path = path_there(upstream, name);
    let is_tag = grammar::check_tag(reference).is_ok();
    if let Some(known) = known.filter(|_| is_tag) {
        hub.metrics.upstream();
        let asked = upstream.digest(&path, reference).await;
        let there = asked.map_err(|error| refusal(error, absent()))?;
        if there.as_deref() == Some(known.as_str())
            && let Some(stored) = stored(hub, name, &known).await?
        {
            return keep(
                hub,
                name,
                reference,
                stored.content,
                Some(stored.media_type),
            )
            .await;
        }
    }
    hub.metrics.upstream();
    let asked = upstream.manifest(&path, reference).await;
    let (content, said) = asked.map_err(|error| refusal(error, absent()))?;
    keep(hub, name, reference, content, said).await
}

async fn stored(hub: &Hub, name: &Name, digest: &Digest) -> Result<Option<Stored>, DatabaseError> {
    let (name, digest) = (name.clone(), digest.clone());
    let read = hub.database.read(move |tx| {
        let repository = repositories::by_name(tx, &name)?;
        let found = repository.map(|it| manifests::by_digest(tx, it.id, &digest));
        found.transpose().map(Option::flatten)
    });
    read.await
}

/// Stores a manifest that came; its parts come when they are asked for.
async fn keep(
    hub: &Arc<Hub>,
    name: &Name,
    reference: &str,
    content: Vec<u8>,
    said: Option<String>,
) -> Result<(), Refusal> {
    let (digest, tags) = match reference.parse::<Digest>() {
        Ok(digest) => {
            digest.verify(&content)?;
            (digest, Vec::new())
        }
        Err(_) => (Digest::of(&content), vec![reference.to_owned()]),
    };
    let document = Document::parse(&content, said.as_deref())?;
    let said = said.map(|said| media_type::of_content_type(&said));
    let said = said.filter(|said| media_type::is_manifest(said) || media_type::is_index(said));
    let pushed = Pushed {
        digest,
        media_type: said.unwrap_or_else(|| document.media_type().to_owned()),
        content,
        document,
        platform: None,
    };
    let name = name.clone();
    let write = hub.database.write(Durability::Lazy, move |tx| {
        let repository = repositories::ensure(tx, &name, false)?;
        manifests::put(tx, repository, &pushed, &tags)
    });
    Ok(write.await?)
}

/// A page of an upstream's tags, and whether there are more.
pub(crate) async fn tags_there(
    hub: &Hub,
    name: &Name,
    query: &str,
) -> Option<Result<(Vec<String>, bool), Refusal>> {
    let upstream = hub.mirrors.of(name.namespace())?;
    hub.metrics.upstream();
    let asked = upstream.tags(&path_there(upstream, name), query).await;
    Some(match asked {
        Ok((list, more)) => Ok((list.tags, more)),
        Err(error) => Err(refusal(error, Refusal::NameUnknown)),
    })
}
