//! `GET /v2/<name>/tags/list`.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shiplap_model::distribution::TagList;
use shiplap_model::limits;

use crate::call::{Call, With as _, json_answer};
use crate::mirror;
use crate::records::tags;
use crate::refusal::Refusal;

/// Names of tags, sorted bytewise, a page at a time.
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let wanted = call.number("n")?.unwrap_or(limits::HUB_PAGE);
    let most = wanted.min(limits::HUB_PAGE);
    let last = call.query("last").unwrap_or_default();
    let (names, more) = if call.is_mirrored() {
        let last = utf8_percent_encode(&last, NON_ALPHANUMERIC);
        let query = format!("?n={most}&last={last}");
        let there = mirror::tags_there(&call.hub, call.name()?, &query).await;
        there.ok_or(Refusal::NameUnknown)??
    } else {
        let repository = call.repository()?;
        let read = call
            .hub
            .database
            .read(move |tx| tags::names(tx, repository, &last, most + 1));
        let mut names = read.await?;
        let more = names.len() as u64 > most;
        names.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        (names, more)
    };
    let last = names.last().cloned();
    let name = call.parameters.get("name").to_owned();
    let list = TagList {
        name: name.clone(),
        tags: names,
    };
    let answer = json_answer(StatusCode::OK, &list);
    Ok(match last.filter(|_| more) {
        Some(last) => {
            let link = format!("</v2/{name}/tags/list?last={last}&n={most}>; rel=\"next\"");
            answer.with(header::LINK, link)
        }
        None => answer,
    })
}
