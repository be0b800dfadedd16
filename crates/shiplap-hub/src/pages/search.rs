//! What was found: a page of it, or, where a script asks while somebody types, its results alone.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::{Card, Frame, Pager};
use super::{encoded, figures};
use crate::api::search::find;
use crate::call::Call;
use crate::refusal::Refusal;

struct Results {
    text: String,
    found: Vec<Card>,
    count: String,
    is_one: bool,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "search.html")]
struct Whole {
    frame: Frame,
    results: Results,
}

#[derive(Template)]
#[template(path = "results.html")]
struct Part {
    results: Results,
}

/// `GET /search?q=…&page=…`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let (asked, page) = find(&call, "q", "n").await?;
    let address = |page: u64| format!("/search?q={}&page={page}", encoded(&asked.text));
    let results = Results {
        pager: Pager::new(asked.page, asked.size, page.count, address),
        is_one: page.count == 1,
        count: figures::grouped(page.count),
        found: Card::all(page.found),
        text: asked.text,
    };
    let said = |name: &str| call.parts.headers.get(name).is_some_and(|it| it == "true");
    if said("hx-request") && !said("hx-history-restore-request") {
        return super::html(StatusCode::OK, &Part { results });
    }
    let frame = Frame {
        search: results.text.clone(),
        ..Frame::of(&call)
    };
    super::html(StatusCode::OK, &Whole { frame, results })
}
