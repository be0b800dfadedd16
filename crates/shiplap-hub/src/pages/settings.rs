//! What an owner says of a repository: its line, its README, and who sees it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use shiplap_model::limits;

use super::frame::{Frame, Head};
use super::repository::find;
use crate::call::Call;
use crate::database::Durability;
use crate::records::repositories::{self, Change};
use crate::refusal::Refusal;

#[derive(Template)]
#[template(path = "settings.html")]
struct Page {
    frame: Frame,
    head: Head,
    description: String,
    readme: String,
    is_private: bool,
    wrong: &'static str,
}

/// `GET /r/<name>/-/settings`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let (repository, likes) = find(&call).await?;
    let page = Page {
        frame: Frame::of(&call),
        head: Head::of(&call, &repository, likes, "settings"),
        description: repository.description,
        readme: repository.readme,
        is_private: repository.is_private,
        wrong: "",
    };
    super::html(StatusCode::OK, &page)
}

/// `POST /r/<name>/-/settings`.
pub(crate) async fn post(call: Call) -> Result<Response, Refusal> {
    let (repository, likes) = find(&call).await?;
    let (description, readme) = (
        call.form.get("description").trim(),
        call.form.text("readme"),
    );
    let is_private = call.form.get("visibility") == "private";
    let wrong = match (description.len(), readme.len()) {
        (length, _) if length > limits::DESCRIPTION_BYTES => "The description is too long.",
        (_, length) if length > limits::README_BYTES => "The README is too long.",
        _ => "",
    };
    if !wrong.is_empty() {
        let page = Page {
            frame: Frame::of(&call),
            head: Head::of(&call, &repository, likes, "settings"),
            description: description.to_owned(),
            readme,
            is_private,
            wrong,
        };
        return super::html(StatusCode::BAD_REQUEST, &page);
    }
    let (id, change) = (
        repository.id,
        Change {
            is_private: Some(is_private),
            description: Some(description.to_owned()),
            readme: Some(readme),
            retention: None,
        },
    );
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        repositories::change(tx, id, &change)
    });
    write.await?;
    Ok(super::see_other(&format!("/r/{}", repository.name)))
}
