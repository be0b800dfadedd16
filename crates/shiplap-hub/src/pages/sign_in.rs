//! Signing in and out: name and password, or an access token, for a cookie.
//!
//! Passwords are checked as those of any other client are, few at a time.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;

use super::frame::Frame;
use crate::authentication::{self, Known};
use crate::authorization::User;
use crate::browser::{self, Cookie};
use crate::call::{Call, With as _};
use crate::database::{DatabaseError, Durability, Tx};
use crate::issuer::SESSION_SECONDS;
use crate::records::{now_us, sessions};
use crate::refusal::Refusal;

/// Longest of what a browser says that it is.
const AGENT_CHARACTERS: usize = 200;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
    name: String,
    next: String,
    is_wrong: bool,
}

/// `GET /sign-in?next=…`.
pub(crate) async fn get(mut call: Call) -> Result<Response, Refusal> {
    let next = next(&call.query("next").unwrap_or_default());
    if call.caller.user.is_some() {
        return Ok(super::see_other(&next));
    }
    let given = match &call.secret {
        Some(_) => None,
        None => {
            let visit = browser::visit();
            let header = Cookie::Visit.give(&visit, &call.url());
            call.secret = Some(visit);
            Some(header)
        }
    };
    let response = page(&call, StatusCode::OK, "", next, false)?;
    Ok(match given {
        Some(cookie) => response.with(header::SET_COOKIE, cookie),
        None => response,
    })
}

fn page(
    call: &Call,
    status: StatusCode,
    name: &str,
    next: String,
    is_wrong: bool,
) -> Result<Response, Refusal> {
    let page = Page {
        frame: Frame::of(call),
        name: name.to_owned(),
        next,
        is_wrong,
    };
    super::html(status, &page)
}

/// A path of ours to go on with; anything else leads home.
fn next(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    let is_path = text.starts_with('/') && !text.starts_with("//");
    if is_path && text.len() <= 2048 && text.chars().all(is_plain) {
        return text.to_owned();
    }
    "/".to_owned()
}

/// `POST /sign-in`.
pub(crate) async fn post(call: Call) -> Result<Response, Refusal> {
    let (name, password) = (call.form.get("name").trim(), call.form.get("password"));
    let next = next(call.form.get("next"));
    let user = match authentication::sign_in(&call.hub, name, password).await {
        Ok(user) => user,
        Err(Known::Failed(refusal)) => return Err(refusal),
        Err(Known::Nobody) => return page(&call, StatusCode::UNAUTHORIZED, name, next, true),
    };
    let visitor = Visitor::of(&call);
    let write = call
        .hub
        .database
        .write(Durability::Durable, move |tx| visitor.enter(tx, &user));
    let cookie = Cookie::Session.give(&write.await?, &call.url());
    Ok(super::see_other(&next).with(header::SET_COOKIE, cookie))
}

/// A browser that is to be signed in.
#[derive(Clone)]
pub(super) struct Visitor {
    agent: String,
    /// Its secret as long as it wasn't.
    before: Option<String>,
}

impl Visitor {
    pub(super) fn of(call: &Call) -> Self {
        let agent = call.header(&header::USER_AGENT).unwrap_or("a browser");
        Self {
            agent: agent.chars().take(AGENT_CHARACTERS).collect(),
            before: call.secret.clone(),
        }
    }

    /// Signs it in; its new secret.
    pub(super) fn enter(self, tx: &dyn Tx, user: &User) -> Result<String, DatabaseError> {
        // Who signs in as somebody else is no longer signed in as before.
        if let Some(before) = self.before {
            sessions::remove(tx, &before)?;
        }
        let seconds = i64::try_from(SESSION_SECONDS).unwrap_or(0);
        let expires = now_us() + seconds * 1_000_000;
        sessions::add(tx, user.id, user.level, &self.agent, expires)
    }
}

/// `POST /sign-out`.
pub(crate) async fn out(call: Call) -> Result<Response, Refusal> {
    if let Some(secret) = call.secret.clone() {
        let write = call
            .hub
            .database
            .write(Durability::Durable, move |tx| sessions::remove(tx, &secret));
        write.await?;
    }
    let cookie = Cookie::Session.take(&call.url());
    Ok(super::see_other("/").with(header::SET_COOKIE, cookie))
}
