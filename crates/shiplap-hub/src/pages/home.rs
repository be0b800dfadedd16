//! The first page: search, official images, and those of the hub's users.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::{Card, Frame, reference};
use crate::call::Call;
use crate::database::DatabaseError;
use crate::records::shelves;
use crate::refusal::Refusal;

/// Repositories of each kind.
const SHOWN: u64 = 12;

#[derive(Template)]
#[template(path = "home.html")]
struct Page {
    frame: Frame,
    official: Vec<Card>,
    community: Vec<Card>,
    /// What a first image of the reader's would be called.
    example: String,
}

/// `GET /`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let user = call.caller.user.clone();
    let read = call.hub.database.read(move |tx| {
        let user = user.as_ref();
        Ok::<_, DatabaseError>((
            shelves::famous(tx, user, true, SHOWN)?,
            shelves::famous(tx, user, false, SHOWN)?,
        ))
    });
    let (official, community) = read.await?;
    let frame = Frame::of(&call);
    let owner = frame.user.as_deref().unwrap_or("you");
    let page = Page {
        example: reference(&call, &format!("{owner}/my-image")),
        frame,
        official: Card::all(official),
        community: Card::all(community),
    };
    super::html(StatusCode::OK, &page)
}
