//! Manifests and indexes: got, pushed, taken away; and tags, which are their names.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use shiplap_model::reference::grammar;
use shiplap_model::{Digest, Document, ImageConfig, Manifest, limits, media_type};

use crate::call::{self, CONTENT_DIGEST, Call, SUBJECT, TAG, With as _, answer};
use crate::database::{DatabaseError, Durability};
use crate::mirror;
use crate::records::manifests::{self, Missing, Pushed, Removed, Stored};
use crate::records::repositories::{self, Name};
use crate::records::webhooks::{self, Event};
use crate::records::{blobs, namespaces, tags};
use crate::refusal::Refusal;

/// What a path names: a manifest, or a tag.
#[derive(Clone)]
enum Reference {
    Digest(Digest),
    Tag(String),
}

fn reference(call: &Call) -> Result<Reference, Refusal> {
    let text = call.parameters.get("reference");
    if text.contains(':') {
        return call::digest(text).map(Reference::Digest);
    }
    grammar::check_tag(text)?;
    Ok(Reference::Tag(text.to_owned()))
}

/// `GET` and `HEAD /v2/<name>/manifests/<reference>`.
pub(crate) async fn get(mut call: Call) -> Result<Response, Refusal> {
    let reference = reference(&call)?;
    if call.is_mirrored() {
        let text = call.parameters.get("reference");
        mirror::manifest(&call.hub, call.name()?, text).await?;
        call.look_again().await?;
    }
    let repository = call.repository()?;
    let unknown = match &reference {
        Reference::Digest(digest) => digest.to_string(),
        Reference::Tag(tag) => tag.clone(),
    };
    let read = call.hub.database.read(move |tx| match &reference {
        Reference::Digest(digest) => manifests::by_digest(tx, repository, digest),
        Reference::Tag(tag) => manifests::by_tag(tx, repository, tag),
    });
    let stored = read.await?.ok_or(Refusal::ManifestUnknown(unknown))?;
    let tag = format!("\"{}\"", stored.digest);
    if call.header(&header::IF_NONE_MATCH) == Some(tag.as_str()) {
        return Ok(answer(StatusCode::NOT_MODIFIED, Body::empty()).with(header::ETAG, tag));
    }
    if !call.is_head() {
        call.hub.pulls.note(repository);
    }
    Ok(described(stored, call.is_head()).with(header::ETAG, tag))
}

fn described(stored: Stored, is_head: bool) -> Response {
    let length = stored.content.len() as u64;
    let body = if is_head {
        Body::empty()
    } else {
        Body::from(stored.content)
    };
    answer(StatusCode::OK, body)
        .with(header::CONTENT_TYPE, stored.media_type)
        .with(header::CONTENT_LENGTH, length)
        .with(CONTENT_DIGEST, stored.digest.as_str())
}

/// `PUT /v2/<name>/manifests/<reference>`, with further tags in the query.
pub(crate) async fn put(mut call: Call) -> Result<Response, Refusal> {
    let name = call.name()?.clone();
    let reference = reference(&call)?;
    let mut tags = call.queries("tag");
    if tags.len() > limits::PUSHED_TAGS {
        return Err(Refusal::Parameter {
            name: "tag",
            reason: "given too often",
        });
    }
    for tag in &tags {
        grammar::check_tag(tag)?;
    }
    let mut pushed = read(&mut call, &reference).await?;
    if let Reference::Tag(tag) = &reference {
        tags.push(tag.clone());
    }
    let config = match &pushed.document {
        Document::Manifest(manifest) => image_config(&call, manifest).await,
        Document::Index(_) => None,
    };
    pushed.platform = config.as_ref().map(|config| config.platform().to_string());
    let labels = config.as_ref().map(labels);
    let digest = pushed.digest.clone();
    let subject = pushed.subject().map(|subject| subject.digest.clone());
    let (is_private, of, named) = (call.hub.is_private(&name), name.clone(), tags.clone());
    let user = call.caller.user.as_ref().map(|user| user.name.clone());
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        if namespaces::kind(tx, of.namespace())?.is_none() {
            return Err(Refusal::NamespaceUnknown {
                namespace: of.namespace().to_owned(),
            });
        }
        let repository = repositories::ensure(tx, &of, is_private)?;
        match manifests::missing(tx, repository, &pushed)? {
            Some(Missing::Parts(digests)) => return Err(Refusal::Parts(digests)),
            Some(Missing::Size {
                digest,
                said,
                found,
            }) => {
                let fault = format!("it says that {digest} has {said} bytes, but it has {found}");
                return Err(Refusal::ManifestSaid(fault));
            }
            None => {}
        }
        manifests::put(tx, repository, &pushed, &named)?;
        for tag in &named {
            let digest = Some(pushed.digest.as_str());
            webhooks::note(tx, Event::Push, &of, tag, digest, user.as_deref())?;
        }
        if let Some(labels) = labels.filter(|_| !named.is_empty()) {
            repositories::set_labels(tx, repository, &labels)?;
        }
        Ok(())
    });
    write.await?;
    call.hub.wake.notify_one();
    Ok(stored_answer(&call, &name, &digest, subject, &tags))
}

fn stored_answer(
    call: &Call,
    name: &Name,
    digest: &Digest,
    subject: Option<Digest>,
    tags: &[String],
) -> Response {
    let location = format!("/v2/{}/manifests/{digest}", name.as_str());
    let mut response = answer(StatusCode::CREATED, Body::empty())
        .with(header::LOCATION, location)
        .with(header::CONTENT_LENGTH, 0)
        .with(CONTENT_DIGEST, digest.as_str());
    if let Some(subject) = subject {
        response = response.with(SUBJECT, subject.as_str());
    }
    if call.query("tag").is_some() {
        for tag in tags {
            response = response.with(TAG, tag.as_str());
        }
    }
    response
}

/// The manifest that the request brings, if it is what its digest and type say.
async fn read(call: &mut Call, reference: &Reference) -> Result<Pushed, Refusal> {
    let said = call.header(&header::CONTENT_TYPE).map(str::to_owned);
    let content = call.bytes(limits::MANIFEST_BYTES).await?;
    let digest = match reference {
        Reference::Digest(digest) => {
            digest.verify(&content)?;
            digest.clone()
        }
        Reference::Tag(_) => Digest::of(&content),
    };
    let document = Document::parse(&content, said.as_deref())?;
    // A document may leave its type to the header.
    let said = said.map(|said| media_type::of_content_type(&said));
    let said = said.filter(|said| media_type::is_manifest(said) || media_type::is_index(said));
    let media_type = said.unwrap_or_else(|| document.media_type().to_owned());
    Ok(Pushed {
        digest,
        media_type,
        content,
        document,
        platform: None,
    })
}

/// An image's config, if it is in the repository. One that can't be read is no fault of the
/// manifest's.
pub(crate) async fn image_config(call: &Call, manifest: &Manifest) -> Option<ImageConfig> {
    if !manifest.is_image() || manifest.config.size > limits::CONFIG_BYTES {
        return None;
    }
    let repository = call.repository().ok()?;
    let digest = manifest.config.digest.clone();
    let read = call
        .hub
        .database
        .read(move |tx| blobs::find(tx, repository, &digest));
    let blob = read.await.ok()??;
    let storage = &call.hub.storage;
    let body = storage.read(&blob.object, 0, blob.size_bytes).await.ok()?;
    let limit = usize::try_from(limits::CONFIG_BYTES).ok()?;
    let bytes = axum::body::to_bytes(body, limit).await.ok()?;
    ImageConfig::parse(&bytes).ok()
}

/// The words of an image's labels, for those who search.
fn labels(config: &ImageConfig) -> String {
    const MOST: usize = 8 << 10;
    let mut words = String::new();
    for (key, value) in &config.config.labels {
        if words.len() + key.len() + value.len() < MOST {
            words.push_str(&format!("{key} {value}\n"));
        }
    }
    words
}

/// `DELETE /v2/<name>/manifests/<reference>`: a tag alone, or a manifest with its tags.
pub(crate) async fn remove(call: Call) -> Result<Response, Refusal> {
    let repository = call.repository()?;
    let done = || {
        call.hub.wake.notify_one();
        Ok(answer(StatusCode::ACCEPTED, Body::empty()))
    };
    let database = &call.hub.database;
    let (name, user) = (call.name()?.clone(), call.caller.user.as_ref());
    let user = user.map(|user| user.name.clone());
    match reference(&call)? {
        Reference::Tag(tag) => {
            let wanted = tag.clone();
            let write = database.write(Durability::Durable, move |tx| {
                let is_gone = tags::remove(tx, repository, &wanted)?;
                if is_gone {
                    webhooks::note(tx, Event::Delete, &name, &wanted, None, user.as_deref())?;
                }
                Ok::<_, DatabaseError>(is_gone)
            });
            if write.await? {
                return done();
            }
            Err(Refusal::ManifestUnknown(tag))
        }
        Reference::Digest(digest) => {
            let wanted = digest.clone();
            let write = database.write(Durability::Durable, move |tx| {
                let removed = manifests::remove(tx, repository, &wanted)?;
                if let Removed::Gone(tags) = &removed {
                    for tag in tags {
                        let digest = Some(wanted.as_str());
                        webhooks::note(tx, Event::Delete, &name, tag, digest, user.as_deref())?;
                    }
                }
                Ok::<_, DatabaseError>(removed)
            });
            match write.await? {
                Removed::Gone(_) => done(),
                Removed::Absent => Err(Refusal::ManifestUnknown(digest.to_string())),
                Removed::Needed => Err(Refusal::Needed { what: "an index" }),
            }
        }
    }
}
