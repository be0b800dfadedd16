//! What a tag names: the image for a platform, its layers drawn to scale, the history that made them, what
//! its config says, and the command that pulls it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use shiplap_model::{Descriptor, Document, Index, Manifest, limits, media_type};

use super::figures::{self, When};
use super::frame::{Frame, Head, reference};
use super::layers::{self, Fact, Layers};
use super::repository::find;
use super::tags::short;
use crate::api::manifests::image_config;
use crate::call::Call;
use crate::database::DatabaseError;
use crate::records::manifests;
use crate::records::tags::{self, Tag};
use crate::refusal::Refusal;

/// What marks an entry of an index that is about another one, and no image to run.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// The commands that pull an image.
pub(super) fn commands(reference: &str, platform: Option<&str>) -> Vec<String> {
    let option = platform.map_or_else(String::new, |platform| format!("--platform {platform} "));
    ["shiplap", "docker"]
        .into_iter()
        .map(|tool| format!("{tool} pull {option}{reference}"))
        .collect()
}

/// An image that may be chosen.
struct Choice {
    platform: String,
    size: String,
    href: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "image.html")]
struct Page {
    frame: Frame,
    head: Head,
    tag: String,
    digest: String,
    short: String,
    pushed: When,
    choices: Vec<Choice>,
    more: usize,
    pull: Vec<String>,
    /// By digest, which always names the same.
    pinned: String,
    /// What it is, if no image.
    artifact: Option<String>,
    layers: Option<Layers>,
    created: Option<When>,
    facts: Vec<Fact>,
    env: Vec<Fact>,
    labels: Vec<Fact>,
    /// Why there is no history, if so.
    note: &'static str,
}

/// The images of an index.
pub(super) fn entries(index: &Index) -> Vec<&Descriptor> {
    let is_image = |entry: &&Descriptor| {
        let is_attestation = entry.annotations.contains_key(ATTESTATION);
        media_type::is_manifest(&entry.media_type) && !is_attestation
    };
    index.manifests.iter().filter(is_image).collect()
}

/// What an entry runs on.
pub(super) fn platform_of(entry: &Descriptor) -> String {
    let platform = entry.platform.as_ref();
    platform.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// The manifest that is shown, and what else might be.
struct Chosen {
    manifest: Option<Manifest>,
    platform: Option<String>,
    choices: Vec<Choice>,
    more: usize,
}

/// `GET /r/<name>/-/tags/<tag>?platform=…`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let (repository, likes) = find(&call).await?;
    let (id, name) = (repository.id, call.parameters.get("tag").to_owned());
    let wanted = name.clone();
    let read = call
        .hub
        .database
        .read(move |tx| tags::find(tx, id, &wanted));
    let tag = read.await?.ok_or(Refusal::ManifestUnknown(name))?;
    let head = Head::of(&call, &repository, likes, "tags");
    let chosen = choose(&call, id, &head.name, &tag).await?;
    let reference = reference(&call, &repository.name);
    let mut page = Page {
        frame: Frame::of(&call),
        head,
        digest: tag.digest.to_string(),
        short: short(tag.digest.encoded()),
        pushed: When::of(tag.pushed_us),
        pull: commands(
            &format!("{reference}:{}", tag.name),
            chosen.platform.as_deref(),
        ),
        pinned: format!("{reference}@{}", tag.digest),
        tag: tag.name,
        choices: chosen.choices,
        more: chosen.more,
        artifact: None,
        layers: None,
        created: None,
        facts: Vec::new(),
        env: Vec::new(),
        labels: Vec::new(),
        note: "",
    };
    match chosen.manifest {
        Some(manifest) => show(&mut page, &call, &manifest).await,
        None => page.note = "This image is not here yet: it comes when somebody pulls it.",
    }
    super::html(StatusCode::OK, &page)
}

/// Finds the manifest that the query's `platform` names, or the first one.
async fn choose(call: &Call, repository: i64, name: &str, tag: &Tag) -> Result<Chosen, Refusal> {
    let index = match Document::parse(&tag.content, None) {
        Ok(Document::Index(index)) => index,
        document => {
            let manifest = match document {
                Ok(Document::Manifest(manifest)) => Some(manifest),
                _ => None,
            };
            return Ok(Chosen {
                manifest,
                platform: None,
                choices: Vec::new(),
                more: 0,
            });
        }
    };
    let images: Vec<Descriptor> = entries(&index).into_iter().cloned().collect();
    let asked = call.query("platform");
    let is_asked = |entry: &&Descriptor| asked.as_deref() == Some(platform_of(entry).as_str());
    let found = images.iter().find(is_asked);
    let platform = found.map(platform_of);
    let shown = found.or(images.first()).map(|entry| entry.digest.clone());
    let more = images.len().saturating_sub(limits::PLATFORMS_SHOWN);
    let path = format!("/r/{name}/-/tags/{}", tag.name);
    let read = call.hub.database.read(move |tx| {
        let mut choices = Vec::new();
        for entry in images.iter().take(limits::PLATFORMS_SHOWN) {
            let size = tags::image_bytes(tx, repository, &entry.digest)?;
            let platform = platform_of(entry);
            choices.push(Choice {
                href: format!("{path}?platform={}", super::encoded(&platform)),
                size: size.map_or_else(String::new, figures::size),
                is_chosen: shown.as_ref() == Some(&entry.digest),
                platform,
            });
        }
        let stored = match &shown {
            Some(digest) => manifests::by_digest(tx, repository, digest)?,
            None => None,
        };
        Ok::<_, DatabaseError>((choices, stored))
    });
    let (choices, stored) = read.await?;
    let manifest = stored.and_then(|stored| Manifest::parse(&stored.content).ok());
    Ok(Chosen {
        manifest,
        platform,
        choices,
        more,
    })
}

async fn show(page: &mut Page, call: &Call, manifest: &Manifest) {
    if !manifest.is_image() {
        let kind = manifest.artifact_type.as_deref();
        let kind = kind.filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or(&manifest.config.media_type);
        page.artifact = Some(kind.to_owned());
    }
    let config = image_config(call, manifest).await;
    page.layers = Some(Layers::of(manifest, config.as_ref()));
    match &config {
        Some(config) => {
            page.created = config.created.as_deref().and_then(When::parse);
            page.facts = layers::facts(config);
            page.env = layers::env(config);
            page.labels = layers::labels(config);
        }
        None if page.artifact.is_none() => {
            page.note = "The image's config can't be read here, so its history is not known.";
        }
        None => {}
    }
}
