//! Whether the hub lives, whether it can work, and its numbers.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;

use crate::call::{Call, With as _, answer};
use crate::records::uploads;
use crate::refusal::Refusal;

fn plain(text: impl Into<String>) -> Response {
    answer(StatusCode::OK, text.into()).with(header::CONTENT_TYPE, "text/plain; version=0.0.4")
}

/// `GET /health/live`: the process answers.
pub(crate) async fn live(_: Call) -> Result<Response, Refusal> {
    Ok(plain("ok\n"))
}

/// `GET /health/ready`: the database answers, too.
pub(crate) async fn ready(call: Call) -> Result<Response, Refusal> {
    call.hub.database.read(uploads::count).await?;
    Ok(plain("ok\n"))
}

/// `GET /metrics`: numbers for Prometheus.
pub(crate) async fn metrics(call: Call) -> Result<Response, Refusal> {
    let uploads = call.hub.database.read(uploads::count).await?;
    Ok(plain(call.hub.metrics.text(uploads)))
}
