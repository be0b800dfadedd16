//! Pages for people: HTML that is whole without scripts, made of templates that escape all they are given.
//!
//! `/` and `/search` find, `/r/NAME` is a repository, `/u/NAME` a user or organisation, `/account…` the
//! reader's own. Nothing that was pushed becomes markup but READMEs, by [`readme`], and the
//! policy that every page is sent with lets a browser run our two scripts and nothing else.

pub(crate) mod account;
pub(crate) mod assets;
mod figures;
mod frame;
pub(crate) mod home;
pub(crate) mod image;
mod layers;
pub(crate) mod namespace;
pub(crate) mod password;
pub(crate) mod problem;
mod readme;
pub(crate) mod repository;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod tags;
pub(crate) mod tokens;

use askama::Template;
use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::call::{With as _, answer};
use crate::refusal::Refusal;

/// What a browser may do with a page: load our style sheet, scripts and icon, send forms to us, and
/// nothing else. No inline script or style runs, whoever wrote it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
  connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const POLICY_NAME: HeaderName = HeaderName::from_static("content-security-policy");

/// Whether a person reads what is told of a path that no route has.
pub(crate) fn is_wanted(uri: &Uri, headers: &HeaderMap) -> bool {
    let is_for_programs = ["/v1", "/v2"]
        .iter()
        .filter_map(|start| uri.path().strip_prefix(start))
        .any(|rest| rest.is_empty() || rest.starts_with('/'));
    let accepted = headers.get(header::ACCEPT);
    let takes_html = accepted
        .and_then(|accepted| accepted.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"));
    takes_html && !is_for_programs
}

/// A page. It may be about what is private, so nobody between keeps it.
fn html(status: StatusCode, template: &impl Template) -> Result<Response, Refusal> {
    let text = template.render()?;
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (POLICY_NAME, POLICY),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "cookie, hx-request"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let response = answer(status, Body::from(text));
    Ok(fixed.into_iter().fold(response, |response, (name, value)| {
        response.with(name, HeaderValue::from_static(value))
    }))
}

/// Sends the browser to another page of ours, by GET.
fn see_other(path: &str) -> Response {
    answer(StatusCode::SEE_OTHER, Body::empty()).with(header::LOCATION, path)
}

/// Text as a value in a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What becomes of a request of who is not signed in. What one might see is told as if it were not
/// there, for nobody should learn from the answer that it is; for anything else one signs in first.
pub(crate) fn challenge(is_pull: bool, method: &Method, uri: &Uri) -> Refusal {
    if is_pull {
        return Refusal::NameUnknown;
    }
    let back = match uri.path_and_query() {
        Some(whole) if *method != Method::POST => whole.as_str(),
        // A form can't be sent again: the page that had it is near.
        _ if uri.path().starts_with("/account") => "/account",
        _ => uri.path().split("/-/").next().unwrap_or("/"),
    };
    Refusal::SignIn {
        location: format!("/sign-in?next={}", encoded(back)),
    }
}

#[cfg(test)]
mod tests;
