//! A repository: what its owner says of it, how it is pulled, its newest tags.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::figures::{self, When};
use super::frame::{Frame, Head, may, reference};
use super::tags::{Row, newest};
use super::{image, readme};
use crate::authorization::Right;
use crate::call::Call;
use crate::database::{DatabaseError, Durability};
use crate::records::repositories::{self, Repository};
use crate::records::tags;
use crate::refusal::Refusal;

/// Tags that are shown beside the README.
const NEWEST: u64 = 6;

#[derive(Template)]
#[template(path = "repository.html")]
struct Page {
    frame: Frame,
    head: Head,
    /// HTML that can do nothing.
    readme: String,
    pull: Vec<String>,
    /// What one pushes as.
    reference: String,
    tags: Vec<Row>,
    count: String,
    may_push: bool,
    size: String,
    created: When,
    updated: When,
}

/// The repository that the route names, and whether the reader likes it.
pub(super) async fn find(call: &Call) -> Result<(Repository, bool), Refusal> {
    let id = call.repository()?;
    let (name, user) = (call.name()?.clone(), call.caller.user.clone());
    let read = call.hub.database.read(move |tx| {
        let Some(found) = repositories::by_name(tx, &name)? else {
            return Ok(None);
        };
        let likes = match user {
            Some(user) => repositories::is_starred(tx, id, user.id)?,
            None => false,
        };
        Ok::<_, DatabaseError>(Some((found, likes)))
    });
    read.await?.ok_or(Refusal::NameUnknown)
}

/// `GET /r/<name>`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let (mut repository, likes) = find(&call).await?;
    let id = repository.id;
    let read = call.hub.database.read(move |tx| {
        let latest = tags::find(tx, id, "latest")?;
        let rows = newest(tx, id, "", 0, NEWEST)?;
        Ok::<_, DatabaseError>((latest.is_some(), rows, tags::count(tx, id, "")?))
    });
    let (has_latest, tags, count) = read.await?;
    // A long one takes some milliseconds, in which other requests are not to wait.
    let markdown = std::mem::take(&mut repository.readme);
    let rendering = tokio::task::spawn_blocking(move || readme::render(&markdown));
    let readme = rendering.await.unwrap_or_default();
    let reference = reference(&call, &repository.name);
    let tag = match (has_latest, tags.first()) {
        (true, _) => Some("latest"),
        (false, newest) => newest.map(|row| row.name.as_str()),
    };
    let page = Page {
        frame: Frame::of(&call),
        head: Head::of(&call, &repository, likes, "overview"),
        readme,
        pull: tag.map_or_else(Vec::new, |tag| {
            image::commands(&format!("{reference}:{tag}"), None)
        }),
        reference,
        tags,
        count: figures::grouped(count),
        may_push: may(&call, Right::Push, call.place.as_ref()),
        size: figures::size(repository.used_bytes),
        created: When::of(repository.created_us),
        updated: When::of(repository.updated_us),
    };
    super::html(StatusCode::OK, &page)
}

/// `POST /r/<name>/-/star`: likes it, or no longer.
pub(crate) async fn star(call: Call) -> Result<Response, Refusal> {
    let (repository, user) = (call.repository()?, call.user()?.id);
    let likes = call.form.get("likes") == "yes";
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        repositories::star(tx, repository, user, likes)
    });
    write.await?;
    Ok(super::see_other(&format!("/r/{}", call.name()?.as_str())))
}
