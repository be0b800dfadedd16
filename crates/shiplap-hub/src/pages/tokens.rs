//! Access tokens: made, shown once, revoked; and the browsers that are signed in.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::Response;

use super::figures::When;
use super::frame::Frame;
use crate::authorization::Level;
use crate::call::Call;
use crate::database::{DatabaseError, Durability};
use crate::records::{now_us, sessions, tokens};
use crate::refusal::Refusal;

/// Longest name of a token.
const LABEL_CHARACTERS: usize = 100;

struct Row {
    id: i64,
    name: String,
    level: String,
    created: When,
    expires: Option<When>,
    has_ended: bool,
    used: Option<When>,
}

struct Browser {
    id: i64,
    name: String,
    since: When,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Page {
    frame: Frame,
    tokens: Vec<Row>,
    browsers: Vec<Browser>,
    /// The token that was made just now.
    made: Option<String>,
    made_name: String,
    wrong: &'static str,
    host: String,
}

/// `GET /account/tokens`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    listed(&call, StatusCode::OK, None, "").await
}

async fn listed(
    call: &Call,
    status: StatusCode,
    made: Option<String>,
    wrong: &'static str,
) -> Result<Response, Refusal> {
    let user = call.user()?.id;
    let secret = call.secret.clone().unwrap_or_default();
    let read = call.hub.database.read(move |tx| {
        Ok::<_, DatabaseError>((
            tokens::of_user(tx, user)?,
            sessions::of_user(tx, user, &secret)?,
        ))
    });
    let (found, browsers) = read.await?;
    let now = now_us();
    let row = |token: tokens::AccessToken| Row {
        id: token.id,
        name: token.name,
        level: token.level.to_string(),
        created: When::of(token.created_us),
        has_ended: token.expires_us.is_some_and(|expires| expires <= now),
        expires: token.expires_us.map(When::of),
        used: token.used_us.map(When::of),
    };
    let browser = |session: sessions::Session| Browser {
        id: session.id,
        name: browser_name(&session.browser),
        since: When::of(session.created_us),
        is_this: session.is_this,
    };
    let url = call.url();
    let page = Page {
        frame: Frame::of(call),
        tokens: found.into_iter().map(row).collect(),
        browsers: browsers.into_iter().map(browser).collect(),
        made,
        made_name: label(call),
        wrong,
        host: url
            .split_once("://")
            .map_or("", |(_, host)| host)
            .to_owned(),
    };
    let mut response = super::html(status, &page)?;
    let none = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, none);
    Ok(response)
}

/// What a browser calls itself, in few words: `Firefox on Linux`.
fn browser_name(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(part, _)| agent.contains(part));
        found.map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        _ => agent.chars().take(40).collect(),
    }
}

fn label(call: &Call) -> String {
    let label = call.form.get("label").trim();
    label.chars().take(LABEL_CHARACTERS).collect()
}

/// `POST /account/tokens`: makes one; its text is shown this once.
pub(crate) async fn add(call: Call) -> Result<Response, Refusal> {
    let (user, label) = (call.user()?.id, label(&call));
    let level = call.form.get("level").parse::<Level>();
    let days = match call.form.get("days") {
        "" => Ok(None),
        days => days.parse::<u32>().map(Some),
    };
    let (Ok(level), Ok(days), false) = (level, days, label.is_empty()) else {
        let wrong = "A token needs a name, what it may do, and a number of days or none.";
        return listed(&call, StatusCode::BAD_REQUEST, None, wrong).await;
    };
    let expires = tokens::expiry_us(days);
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        tokens::add(tx, user, &label, level, expires)
    });
    let (_, token) = write.await?;
    listed(&call, StatusCode::CREATED, Some(token), "").await
}

/// `POST /account/tokens/<number>/revoke`: of an access token, or of a browser.
pub(crate) async fn revoke(call: Call) -> Result<Response, Refusal> {
    crate::api::token::revoke(&call).await?;
    Ok(super::see_other("/account/tokens"))
}

#[cfg(test)]
mod tests;
