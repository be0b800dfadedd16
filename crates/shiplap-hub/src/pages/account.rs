//! The reader's own: repositories, stars, organisations.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::figures;
use super::frame::{Card, Frame, Pager, reference};
use crate::authorization::Role;
use crate::call::Call;
use crate::database::{DatabaseError, Durability};
use crate::records::namespaces::{self, Kind};
use crate::records::shelves;
use crate::refusal::Refusal;

/// Repositories a page.
pub(super) const PAGE: u64 = 25;

/// The number of the page that is asked for.
pub(super) fn page(call: &Call) -> Result<u64, Refusal> {
    Ok(call.number("page")?.unwrap_or(1).clamp(1, 10_000))
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    /// `repositories` or `stars`.
    tab: &'static str,
    found: Vec<Card>,
    count: String,
    pager: Pager,
    /// What a first image would be called.
    example: String,
    host: String,
}

impl Page {
    fn of(call: &Call, tab: &'static str, found: Vec<Card>, page: u64, count: u64) -> Self {
        let path = call.parts.uri.path();
        let frame = Frame::of(call);
        let owner = frame.user.as_deref().unwrap_or_default();
        let example = reference(call, &format!("{owner}/my-image"));
        Self {
            host: example.split('/').next().unwrap_or_default().to_owned(),
            example,
            frame,
            tab,
            found,
            count: figures::grouped(count),
            pager: Pager::new(page, PAGE, count, |page| format!("{path}?page={page}")),
        }
    }
}

/// `GET /account`: what the reader may push to.
pub(crate) async fn repositories(call: Call) -> Result<Response, Refusal> {
    let (user, page) = (call.user()?.clone(), page(&call)?);
    let read = call
        .hub
        .database
        .read(move |tx| shelves::of_user(tx, &user, (page - 1) * PAGE, PAGE));
    let (found, count) = read.await?;
    let card = |(found, is_owned)| Card {
        is_owned,
        ..Card::of(found)
    };
    let found = found.into_iter().map(card).collect();
    let page = Page::of(&call, "repositories", found, page, count);
    super::html(StatusCode::OK, &page)
}

/// `GET /account/stars`: what the reader likes.
pub(crate) async fn stars(call: Call) -> Result<Response, Refusal> {
    let (user, page) = (call.user()?.clone(), page(&call)?);
    let read = call
        .hub
        .database
        .read(move |tx| shelves::starred(tx, &user, (page - 1) * PAGE, PAGE));
    let found = read.await?;
    let page = Page::of(&call, "stars", Card::all(found.found), page, found.count);
    super::html(StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "organisations.html")]
struct Organisations {
    frame: Frame,
    found: Vec<(String, Role)>,
    may_add: bool,
    wrong: String,
    name: String,
}

/// `GET /account/organisations`.
pub(crate) async fn organisations(call: Call) -> Result<Response, Refusal> {
    listed(&call, StatusCode::OK, String::new()).await
}

async fn listed(call: &Call, status: StatusCode, wrong: String) -> Result<Response, Refusal> {
    let user = call.user()?.id;
    let read = call
        .hub
        .database
        .read(move |tx| shelves::organisations(tx, user));
    let page = Organisations {
        frame: Frame::of(call),
        found: read.await?,
        may_add: call.user()?.is_admin,
        wrong,
        name: call.form.get("name").to_owned(),
    };
    super::html(status, &page)
}

/// `POST /account/organisations`: who makes one owns it.
pub(crate) async fn add_organisation(call: Call) -> Result<Response, Refusal> {
    let name = call.form.get("name").trim().to_owned();
    if let Err(wrong) = namespaces::check_name(&name) {
        return listed(
            &call,
            StatusCode::BAD_REQUEST,
            format!("Failed to {wrong}."),
        )
        .await;
    }
    let (user, named) = (call.user()?.id, name.clone());
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        let is_new = namespaces::add(tx, &named, Kind::Organisation)?;
        if is_new {
            namespaces::set_member(tx, &named, user, Some(Role::Owner))?;
        }
        Ok::<_, DatabaseError>(is_new)
    });
    if write.await? {
        return Ok(super::see_other(&format!("/u/{name}")));
    }
    listed(
        &call,
        StatusCode::CONFLICT,
        format!("The name {name} is taken."),
    )
    .await
}
