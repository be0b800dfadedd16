//! What is told a person instead of a page: that there is nothing here, or why something was not done.
//!
//! What is private and what is absent get the same page, byte for byte.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::HeaderValue;
use axum::response::Response;

use super::frame::Frame;
use crate::call::With as _;
use crate::refusal::Refusal;

#[derive(Template)]
#[template(path = "problem.html")]
struct Page {
    frame: Frame,
    title: &'static str,
    text: String,
    /// Whether signing in may help.
    may_sign_in: bool,
}

/// Tells a refusal to a person.
pub(crate) fn response(refusal: &Refusal, user: Option<String>, secret: Option<&str>) -> Response {
    let status = match refusal {
        // Nothing can have such a name.
        Refusal::Name(_) => StatusCode::NOT_FOUND,
        _ => refusal.status(),
    };
    let (title, text) = words(status, refusal);
    let page = Page {
        may_sign_in: status == StatusCode::NOT_FOUND && user.is_none(),
        frame: Frame::with(user, secret),
        title,
        text,
    };
    let Ok(mut response) = super::html(status, &page) else {
        return refusal.response();
    };
    for (name, value) in refusal.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response = response.with(name, value);
        }
    }
    response
}

fn words(status: StatusCode, refusal: &Refusal) -> (&'static str, String) {
    match (status, refusal) {
        (StatusCode::NOT_FOUND, Refusal::ManifestUnknown(tag)) => (
            "No such tag",
            format!("This repository has no tag {tag}. It may have been removed, or never pushed."),
        ),
        (StatusCode::NOT_FOUND, _) => (
            "Nothing to see here",
            "There is nothing at this address, or nothing that you may see.".to_owned(),
        ),
        (StatusCode::TOO_MANY_REQUESTS, _) => (
            "Too many at once",
            "Too many people are signing in just now. Try again in a few seconds.".to_owned(),
        ),
        (StatusCode::FORBIDDEN, Refusal::Form) => (
            "Load the page again",
            "The form was too old, or no page of this hub made it. Nothing was changed. Go back, load \
             the page again, and send the form once more."
                .to_owned(),
        ),
        (StatusCode::FORBIDDEN, _) => (
            "Not yours to do",
            "You are signed in, but you may not do this. Who owns it, or runs this hub, can.".to_owned(),
        ),
        (StatusCode::SEE_OTHER, _) => ("Sign in", "Sign in first.".to_owned()),
        _ if status.is_server_error() => (
            "That went wrong",
            "The hub could not do this, and has written down why. Try again later.".to_owned(),
        ),
        _ => ("Not done", sentence(&refusal.message())),
    }
}

fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(char::to_uppercase);
    let text: String = first.into_iter().flatten().chain(letters).collect();
    format!("{text}.")
}
