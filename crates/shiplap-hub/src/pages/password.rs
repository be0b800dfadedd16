//! A new password, by who knows the old one.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::frame::Frame;
use super::sign_in::Visitor;
use crate::authentication::{self, Known};
use crate::browser::Cookie;
use crate::call::{Call, With as _};
use crate::database::Durability;
use crate::password;
use crate::records::users;
use crate::refusal::Refusal;

#[derive(Template)]
#[template(path = "password.html")]
struct Page {
    frame: Frame,
    is_changed: bool,
    wrong: String,
    least: usize,
}

/// `GET /account/password`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    page(&call, StatusCode::OK, String::new())
}

fn page(call: &Call, status: StatusCode, wrong: String) -> Result<Response, Refusal> {
    let page = Page {
        frame: Frame::of(call),
        is_changed: call.query("changed").is_some() && wrong.is_empty(),
        wrong,
        least: password::LEAST_CHARACTERS,
    };
    super::html(status, &page)
}

/// `POST /account/password`: all browsers of the user are signed out but the one that asks, and that has a new
/// secret.
pub(crate) async fn post(call: Call) -> Result<Response, Refusal> {
    let (old, new) = (call.form.get("old"), call.form.get("new"));
    let wrong = |text: &str| page(&call, StatusCode::BAD_REQUEST, text.to_owned());
    if new != call.form.get("again") {
        return wrong("The new password is not the same twice.");
    }
    let name = &call.user()?.name;
    let user = match authentication::by_password(&call.hub, name, old).await {
        Ok(user) => user,
        Err(Known::Failed(refusal)) => return Err(refusal),
        Err(Known::Nobody) => {
            call.hub.metrics.failed_login();
            return wrong("The current password is wrong.");
        }
    };
    let new = new.to_owned();
    let hashing = tokio::task::spawn_blocking(move || password::hash(&new));
    let hash = match hashing.await {
        Ok(Ok(hash)) => hash,
        Ok(Err(error)) => return wrong(&format!("Failed to {error}.")),
        Err(_) => return Err(Refusal::Busy),
    };
    let visitor = Visitor::of(&call);
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        users::set_password(tx, &user.name, &hash)?;
        visitor.enter(tx, &user)
    });
    let cookie = Cookie::Session.give(&write.await?, &call.url());
    let response = super::see_other("/account/password?changed=yes");
    Ok(response.with(header::SET_COOKIE, cookie))
}
