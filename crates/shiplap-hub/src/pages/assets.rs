//! What pages load: our style sheet, script and icon, and htmx (0BSD, `assets/htmx.LICENSE`). They are
//! part of the program; nothing comes from elsewhere.
//!
//! Pages name them with a version made of their bytes, so browsers keep them and never keep old ones.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use sha2::{Digest as _, Sha256};

use crate::call::{Call, With as _, answer};
use crate::random;
use crate::refusal::Refusal;

/// Name, type and bytes of each.
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "hub.css",
        "text/css; charset=utf-8",
        include_str!("../../assets/hub.css"),
    ),
    (
        "hub.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/hub.js"),
    ),
    (
        "htmx.min.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/htmx.min.js"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../../assets/icon.svg"),
    ),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (name, _, text) in ASSETS {
        hash.update(name);
        hash.update(text);
    }
    random::hex(&hash.finalize()).chars().take(12).collect()
});

/// The version of all of them.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// `GET /assets/<name>?<version>`.
pub(crate) async fn get(call: Call) -> Result<Response, Refusal> {
    let wanted = call.parameters.get("asset");
    let found = ASSETS.iter().find(|(name, ..)| *name == wanted);
    let (_, kind, text) = found.ok_or(Refusal::NoRoute)?;
    let is_current = call.parts.uri.query() == Some(version());
    let kept = match is_current {
        true => "public, max-age=31536000, immutable",
        false => "public, max-age=300",
    };
    Ok(answer(StatusCode::OK, *text)
        .with(header::CONTENT_TYPE, *kind)
        .with(header::CACHE_CONTROL, kept))
}
