//! Whether this is a registry.

use axum::http::StatusCode;
use axum::http::header::HeaderName;
use axum::response::Response;
use serde_json::json;

use crate::call::{Call, With as _, json_answer};
use crate::refusal::Refusal;

/// `GET /v2/`: it is one.
pub(crate) async fn ping(_: Call) -> Result<Response, Refusal> {
    Ok(json_answer(StatusCode::OK, &json!({})))
}

/// `GET /v1/_ping`: asked before `/v1/search` by Docker.
pub(crate) async fn ping_v1(_: Call) -> Result<Response, Refusal> {
    let standalone = HeaderName::from_static("x-docker-registry-standalone");
    Ok(json_answer(StatusCode::OK, &json!(true)).with(standalone, "True"))
}
