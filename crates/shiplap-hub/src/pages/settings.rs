//! What an owner says of a repository: its line, its README, and who sees it; and its end.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use shiplap_model::limits;

use super::frame::{Frame, Head};
use super::repository::find;
use crate::api::search::familiar;
use crate::call::Call;
use crate::database::Durability;
use crate::records::repositories::{self, Change, Repository};
use crate::refusal::Refusal;

#[derive(Template)]
#[template(path = "settings.html")]
struct Page {
    frame: Frame,
    head: Head,
    fields: Fields,
}

/// What stands in the fields, and what is wrong with it.
struct Fields {
    description: String,
    readme: String,
    is_private: bool,
    wrong: &'static str,
}

fn page(
    call: &Call,
    status: StatusCode,
    (repository, likes): &(Repository, bool),
    fields: Fields,
) -> Result<Response, Refusal> {
    let page = Page {
        frame: Frame::of(call),
        head: Head::of(call, repository, *likes, "settings"),
        fields,
    };
    super::html(status, &page)
}

fn as_kept(repository: &Repository, wrong: &'static str) -> Fields {
    Fields {
        description: repository.description.clone(),
        readme: repository.readme.clone(),
        is_private: repository.is_private,
        wrong,
    }
}

/// `GET /r/<name>/-/settings`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let found = find(&call).await?;
    let fields = as_kept(&found.0, "");
    page(&call, StatusCode::OK, &found, fields)
}

/// `POST /r/<name>/-/settings`.
pub(crate) async fn post(call: Call) -> Result<Response, Refusal> {
    let found = find(&call).await?;
    let description = call.form.get("description").trim().to_owned();
    let readme = call.form.text("readme");
    let is_private = call.form.get("visibility") == "private";
    let wrong = match (description.len(), readme.len()) {
        (length, _) if length > limits::DESCRIPTION_BYTES => "The description is too long.",
        (_, length) if length > limits::README_BYTES => "The README is too long.",
        _ => "",
    };
    if !wrong.is_empty() {
        let fields = Fields {
            description,
            readme,
            is_private,
            wrong,
        };
        return page(&call, StatusCode::BAD_REQUEST, &found, fields);
    }
    let (id, change) = (
        found.0.id,
        Change {
            is_private: Some(is_private),
            description: Some(description),
            readme: Some(readme),
            retention: None,
        },
    );
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        repositories::change(tx, id, &change)
    });
    write.await?;
    Ok(super::see_other(&format!("/r/{}", found.0.name)))
}

/// `POST /r/<name>/-/remove`: with all that is in it, if its name was written once more.
pub(crate) async fn remove(call: Call) -> Result<Response, Refusal> {
    let found = find(&call).await?;
    let (name, id) = (&found.0.name, found.0.id);
    if ![name, familiar(name)].contains(&call.form.get("confirm").trim()) {
        let fields = as_kept(&found.0, "Nothing was removed: that is not its name.");
        return page(&call, StatusCode::BAD_REQUEST, &found, fields);
    }
    let owner = format!("/u/{}", call.name()?.namespace());
    let write = call
        .hub
        .database
        .write(Durability::Durable, move |tx| repositories::remove(tx, id));
    write.await?;
    Ok(super::see_other(&owner))
}
