//! Repositories and their tags in Docker Hub's shape.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use shiplap_model::{Document, limits, media_type};

use crate::call::{Call, answer, json_answer};
use crate::database::{DatabaseError, Durability, Tx};
use crate::records::repositories::{self, Change, Repository};
use crate::records::rfc3339;
use crate::records::tags::{self, Tag};
use crate::refusal::Refusal;

/// Tags a page if nothing is said; Docker Hub's numbers.
const PAGE: u64 = 10;
const MOST: u64 = 100;

fn described(repository: &Repository) -> Value {
    let (namespace, name) = repository.name.split_once('/').unwrap_or(("", ""));
    json!({
        "user": namespace,
        "name": name,
        "namespace": namespace,
        "repository_type": "image",
        "status": 1,
        "status_description": "active",
        "description": repository.description,
        "is_private": repository.is_private,
        "is_automated": false,
        "star_count": repository.stars,
        "pull_count": repository.pulls,
        "storage_size": repository.used_bytes,
        "date_registered": rfc3339(repository.created_us),
        "last_updated": rfc3339(repository.updated_us),
    })
}

/// The repository that the route names, as it is now.
async fn find(call: &Call) -> Result<Repository, Refusal> {
    call.repository()?;
    let name = call.name()?.clone();
    let read = call
        .hub
        .database
        .read(move |tx| repositories::by_name(tx, &name));
    read.await?.ok_or(Refusal::NameUnknown)
}

/// `GET /v2/repositories/<namespace>/<name>`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let repository = find(&call).await?;
    let user = call.caller.user.as_ref().map(|user| user.id);
    let id = repository.id;
    let read = call.hub.database.read(move |tx| match user {
        Some(user) => repositories::is_starred(tx, id, user),
        None => Ok::<_, DatabaseError>(false),
    });
    let mut body = described(&repository);
    body["full_description"] = repository.readme.as_str().into();
    body["has_starred"] = read.await?.into();
    Ok(json_answer(StatusCode::OK, &body))
}

/// Page and size that the query asks for.
fn paging(call: &Call) -> Result<(u64, u64), Refusal> {
    let page = call.number("page")?.unwrap_or(1).clamp(1, 1_000_000);
    let size = call.number("page_size")?.unwrap_or(PAGE).clamp(1, MOST);
    Ok((page, size))
}

/// The list's frame: how many there are, and where the pages beside this one are.
fn paged(call: &Call, page: u64, size: u64, count: u64, results: &[Value]) -> Response {
    let url = call.hub.url(call.header(&header::HOST));
    let path = call.parts.uri.path();
    let name = call.query("name").map_or_else(String::new, |name| {
        format!("&name={}", utf8_percent_encode(&name, NON_ALPHANUMERIC))
    });
    let address = |page: u64| format!("{url}{path}?page={page}&page_size={size}{name}");
    let body = json!({
        "count": count,
        "next": (page.saturating_mul(size) < count).then(|| address(page + 1)),
        "previous": (page > 1).then(|| address(page - 1)),
        "results": results,
    });
    json_answer(StatusCode::OK, &body)
}

/// `GET /v2/repositories/<namespace>`: those that the caller may see.
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let (page, size) = paging(&call)?;
    let namespace = call.parameters.get("namespace").to_owned();
    let user = call
        .caller
        .user
        .clone()
        .filter(|_| call.caller.grants.is_none());
    let read = call.hub.database.read(move |tx| {
        let most = limits::HUB_PAGE;
        repositories::visible(tx, user.as_ref(), Some(&namespace), "", most)
    });
    let found = read.await?;
    let skip = usize::try_from((page - 1).saturating_mul(size)).unwrap_or(usize::MAX);
    let shown = found
        .iter()
        .skip(skip)
        .take(usize::try_from(size).unwrap_or(0));
    let results: Vec<Value> = shown.map(described).collect();
    Ok(paged(&call, page, size, found.len() as u64, &results))
}

/// A tag, and the images that it names with their sizes.
fn tag_described(tx: &dyn Tx, repository: i64, tag: &Tag) -> Result<Value, DatabaseError> {
    let pushed = rfc3339(tag.pushed_us);
    let image = |platform: (&str, &str, Option<&str>), digest: &str, size: u64| {
        let (os, architecture, variant) = platform;
        json!({
            "architecture": architecture, "features": "", "variant": variant, "digest": digest,
            "os": os, "os_features": "", "os_version": null, "size": size, "status": "active",
            "last_pushed": pushed,
        })
    };
    let mut images = Vec::new();
    let mut full_size = tag.image_bytes;
    match Document::parse(&tag.content, None) {
        Ok(Document::Index(index)) => {
            full_size = 0;
            for entry in &index.manifests {
                let size = tags::image_bytes(tx, repository, &entry.digest)?.unwrap_or(0);
                full_size += size;
                let platform = entry.platform.as_ref();
                let platform = platform.map_or(("unknown", "unknown", None), |platform| {
                    let variant = platform.variant.as_deref();
                    (
                        platform.os.as_str(),
                        platform.architecture.as_str(),
                        variant,
                    )
                });
                images.push(image(platform, entry.digest.as_str(), size));
            }
        }
        _ => {
            let platform = tag.platform.as_deref().unwrap_or("unknown/unknown");
            let mut parts = platform.split('/');
            let mut part = || parts.next();
            let (os, architecture) = (part().unwrap_or(""), part().unwrap_or(""));
            let platform = (os, architecture, part());
            images.push(image(platform, tag.digest.as_str(), tag.image_bytes));
        }
    }
    let is_image =
        media_type::is_manifest(&tag.media_type) || media_type::is_index(&tag.media_type);
    Ok(json!({
        "name": tag.name,
        "digest": tag.digest.as_str(),
        "media_type": tag.media_type,
        "content_type": if is_image { "image" } else { "unrecognized" },
        "images": images,
        "full_size": full_size,
        "last_updated": pushed,
        "tag_last_pushed": pushed,
        "tag_status": "active",
        "v2": true,
    }))
}

/// `GET /v2/repositories/<namespace>/<name>/tags`: the newest first; `name=` filters.
pub(crate) async fn tags(call: Call) -> Result<Response, Refusal> {
    let repository = call.repository()?;
    let (page, size) = paging(&call)?;
    let part = call.query("name").unwrap_or_default();
    let read = call.hub.database.read(move |tx| {
        let skip = (page - 1).saturating_mul(size);
        let found = tags::newest(tx, repository, &part, skip, size)?;
        let described = found.iter().map(|tag| tag_described(tx, repository, tag));
        let described: Vec<Value> = described.collect::<Result<_, _>>()?;
        Ok::<_, DatabaseError>((described, tags::count(tx, repository, &part)?))
    });
    let (results, count) = read.await?;
    Ok(paged(&call, page, size, count, &results))
}

/// `GET /v2/repositories/<namespace>/<name>/tags/<tag>`.
pub(crate) async fn tag(call: Call) -> Result<Response, Refusal> {
    let repository = call.repository()?;
    let name = call.parameters.get("tag").to_owned();
    let wanted = name.clone();
    let read = call.hub.database.read(move |tx| {
        let found = tags::find(tx, repository, &wanted)?;
        let described = found.map(|tag| tag_described(tx, repository, &tag));
        described.transpose()
    });
    let body: Option<Value> = read.await?;
    let body = body.ok_or(Refusal::ManifestUnknown(name))?;
    Ok(json_answer(StatusCode::OK, &body))
}

/// What is to be changed; what is not said stays.
#[derive(Deserialize)]
struct Wanted {
    description: Option<String>,
    full_description: Option<String>,
    is_private: Option<bool>,
}

/// `PATCH /v2/repositories/<namespace>/<name>`: description, README, who sees it.
pub(crate) async fn change(mut call: Call) -> Result<Response, Refusal> {
    let id = call.repository()?;
    let wanted: Wanted = call.json().await?;
    let bounds = [
        (
            &wanted.description,
            limits::DESCRIPTION_BYTES,
            "description",
        ),
        (
            &wanted.full_description,
            limits::README_BYTES,
            "full_description",
        ),
    ];
    for (text, most, name) in bounds {
        if text.as_ref().is_some_and(|text| text.len() > most) {
            let reason = "too long";
            return Err(Refusal::Parameter { name, reason });
        }
    }
    let change = Change {
        is_private: wanted.is_private,
        description: wanted.description,
        readme: wanted.full_description,
        retention: None,
    };
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        repositories::change(tx, id, &change)
    });
    write.await?;
    get(call).await
}

/// `DELETE /v2/repositories/<namespace>/<name>`: with all that is in it.
pub(crate) async fn remove(call: Call) -> Result<Response, Refusal> {
    let id = call.repository()?;
    let write = call
        .hub
        .database
        .write(Durability::Durable, move |tx| repositories::remove(tx, id));
    write.await?;
    Ok(answer(StatusCode::ACCEPTED, Body::empty()))
}
