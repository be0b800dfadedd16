//! `GET /v2/_catalog`: repositories that the caller may see.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use shiplap_model::distribution::Catalog;
use shiplap_model::limits;

use crate::call::{Call, With as _, json_answer};
use crate::records::repositories;
use crate::refusal::Refusal;

/// How many are on a page if nothing is said.
const PAGE: u64 = 1000;

/// Names of repositories, sorted bytewise, a page at a time.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let most = call.number("n")?.unwrap_or(PAGE).min(limits::HUB_PAGE);
    let last = call.query("last").unwrap_or_default();
    // A token for some repositories says nothing of the others.
    let user = call
        .caller
        .user
        .clone()
        .filter(|_| call.caller.grants.is_none());
    let read = call
        .hub
        .database
        .read(move |tx| repositories::visible(tx, user.as_ref(), None, &last, most + 1));
    let found = read.await?;
    let more = found.len() as u64 > most;
    let names = found.into_iter().map(|repository| repository.name);
    let names: Vec<String> = names.take(usize::try_from(most).unwrap_or(0)).collect();
    let last = names.last().cloned();
    let catalog = Catalog {
        repositories: names,
    };
    let answer = json_answer(StatusCode::OK, &catalog);
    Ok(match last.filter(|_| more) {
        Some(last) => {
            let link = format!("</v2/_catalog?last={last}&n={most}>; rel=\"next\"");
            answer.with(header::LINK, link)
        }
        None => answer,
    })
}
