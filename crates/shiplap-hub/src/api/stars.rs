//! Which repositories users like.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

use crate::call::{Call, answer};
use crate::database::Durability;
use crate::records::repositories;
use crate::refusal::Refusal;

async fn set(call: Call, likes: bool) -> Result<Response, Refusal> {
    let (repository, user) = (call.repository()?, call.user()?.id);
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        repositories::star(tx, repository, user, likes)
    });
    write.await?;
    Ok(answer(StatusCode::NO_CONTENT, Body::empty()))
}

/// `PUT …/star`.
pub(crate) async fn add(call: Call) -> Result<Response, Refusal> {
    set(call, true).await
}

/// `DELETE …/star`.
pub(crate) async fn remove(call: Call) -> Result<Response, Refusal> {
    set(call, false).await
}
