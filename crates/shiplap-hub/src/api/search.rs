//! Finding repositories, in Docker Hub's two shapes.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use shiplap_model::limits;
use shiplap_model::search::{SearchResult, SearchResults};

use crate::call::{Call, With as _, json_answer};
use crate::records::rfc3339;
use crate::records::search::{self, Found, Page};
use crate::refusal::Refusal;

/// Results a page if nothing is said; Docker's number.
const PAGE: u64 = 25;

/// The name that users know: official images without their namespace.
pub(crate) fn familiar(name: &str) -> &str {
    name.strip_prefix("library/")
        .filter(|rest| !rest.contains('/'))
        .unwrap_or(name)
}

/// What is asked for.
pub(crate) struct Asked {
    pub(crate) text: String,
    pub(crate) page: u64,
    pub(crate) size: u64,
}

/// Finds what the query asks for, `text` and `size` being its keys.
pub(crate) async fn find(
    call: &Call,
    text: &str,
    size: &'static str,
) -> Result<(Asked, Page), Refusal> {
    let text = call.query(text).unwrap_or_default();
    if text.len() > limits::SEARCH_BYTES {
        return Err(Refusal::Parameter {
            name: "the query",
            reason: "too long",
        });
    }
    let size = call.number(size)?.unwrap_or(PAGE);
    let size = size.clamp(1, limits::SEARCH_PAGE);
    let page = call.number("page")?.unwrap_or(1).clamp(1, 10_000);
    let user = call
        .caller
        .user
        .clone()
        .filter(|_| call.caller.grants.is_none());
    let words = text
        .trim()
        .strip_prefix("library/")
        .unwrap_or(text.trim())
        .to_owned();
    let read = call
        .hub
        .database
        .read(move |tx| search::find(tx, user.as_ref(), &words, (page - 1) * size, size));
    Ok((Asked { text, page, size }, read.await?))
}

/// `GET /v1/search?q=…&n=…&page=…`: what `docker search` and `podman search` ask.
pub(crate) async fn v1(call: Call) -> Result<Response, Refusal> {
    let (asked, page) = find(&call, "q", "n").await?;
    let result = |found: Found| SearchResult {
        is_official: found.name.starts_with("library/"),
        name: familiar(&found.name).to_owned(),
        description: found.description,
        star_count: found.stars,
        is_automated: false,
    };
    let results = SearchResults {
        page: asked.page,
        page_size: asked.size,
        num_pages: page.count.div_ceil(asked.size),
        num_results: page.count,
        query: asked.text,
        results: page.found.into_iter().map(result).collect(),
    };
    Ok(json_answer(StatusCode::OK, &results))
}

/// `GET /v2/search/repositories?query=…&page_size=…&page=…`.
pub(crate) async fn v2(call: Call) -> Result<Response, Refusal> {
    let (asked, page) = find(&call, "query", "page_size").await?;
    let address = |number: u64| {
        let query = utf8_percent_encode(&asked.text, NON_ALPHANUMERIC);
        let path = "/v2/search/repositories";
        let host = call.header(&header::HOST);
        let url = call.hub.url(host);
        format!(
            "{url}{path}?query={query}&page={number}&page_size={}",
            asked.size
        )
    };
    let next = (asked.page * asked.size < page.count).then(|| address(asked.page + 1));
    let previous = (asked.page > 1).then(|| address(asked.page - 1));
    let result = |found: &Found| {
        json!({
            "repo_name": familiar(&found.name),
            "short_description": found.description,
            "star_count": found.stars,
            "pull_count": found.pulls,
            "repo_owner": "",
            "is_automated": false,
            "is_official": found.name.starts_with("library/"),
            "is_private": found.is_private,
            "last_updated": rfc3339(found.updated_us),
        })
    };
    let body = json!({
        "count": page.count,
        "next": next,
        "previous": previous,
        "results": page.found.iter().map(result).collect::<Vec<_>>(),
    });
    Ok(json_answer(StatusCode::OK, &body).with(header::VARY, "authorization"))
}
