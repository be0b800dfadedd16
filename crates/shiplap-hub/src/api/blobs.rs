//! Blobs on their way out, and away.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use shiplap_model::Digest;

use crate::call::{CONTENT_DIGEST, Call, With as _, answer};
use crate::database::Durability;
use crate::mirror::{self, Arriving};
use crate::records::blobs::{self, Blob, Unlinked};
use crate::refusal::Refusal;

/// A blob never changes, so whoever has it may keep it. It may be private, so nobody between may.
const FOREVER: &str = "private, max-age=31536000, immutable";

async fn find(call: &Call, digest: &Digest) -> Result<Blob, Refusal> {
    let repository = call.repository()?;
    let wanted = digest.clone();
    let read = call
        .hub
        .database
        .read(move |tx| blobs::find(tx, repository, &wanted));
    read.await?
        .ok_or_else(|| Refusal::BlobUnknown(digest.clone()))
}

/// Gets another registry's blob here, if it isn't; what is still on its way.
async fn fetch(call: &mut Call, digest: &Digest) -> Result<Option<Arriving>, Refusal> {
    if !call.is_mirrored() {
        return Ok(None);
    }
    let arriving = mirror::blob(&call.hub, call.name()?, digest).await?;
    if arriving.is_none() {
        call.look_again().await?;
    }
    Ok(arriving)
}

fn described(digest: &Digest, status: StatusCode, length: u64, body: Body) -> Response {
    answer(status, body)
        .with(header::CONTENT_TYPE, "application/octet-stream")
        .with(header::CONTENT_LENGTH, length)
        .with(header::ACCEPT_RANGES, "bytes")
        .with(header::CACHE_CONTROL, FOREVER)
        .with(header::ETAG, format!("\"{digest}\""))
        .with(CONTENT_DIGEST, digest.as_str())
}

/// `HEAD /v2/<name>/blobs/<digest>`.
pub(crate) async fn head(mut call: Call) -> Result<Response, Refusal> {
    let digest = call.digest("digest")?;
    let body = Body::empty();
    if let Some(arriving) = fetch(&mut call, &digest).await? {
        return Ok(described(&digest, StatusCode::OK, arriving.length, body));
    }
    let blob = find(&call, &digest).await?;
    Ok(described(&digest, StatusCode::OK, blob.size_bytes, body))
}

/// `GET /v2/<name>/blobs/<digest>`, all of it or a range.
pub(crate) async fn get(mut call: Call) -> Result<Response, Refusal> {
    let digest = call.digest("digest")?;
    if let Some(arriving) = fetch(&mut call, &digest).await? {
        if call.header(&header::RANGE).is_none() {
            let length = arriving.length;
            return Ok(described(&digest, StatusCode::OK, length, arriving.body()));
        }
        arriving.here().await?;
        call.look_again().await?;
    }
    let blob = find(&call, &digest).await?;
    let tag = format!("\"{digest}\"");
    if call.header(&header::IF_NONE_MATCH) == Some(tag.as_str()) {
        return Ok(answer(StatusCode::NOT_MODIFIED, Body::empty()).with(header::ETAG, tag));
    }
    let size = blob.size_bytes;
    let is_same = call
        .header(&header::IF_RANGE)
        .is_none_or(|wanted| wanted == tag);
    let asked = call.header(&header::RANGE).filter(|_| is_same);
    let range = match asked.and_then(|asked| range(asked, size)) {
        Some(Range::Part(start, end)) => Some((start, end)),
        Some(Range::Outside) => return Err(Refusal::Unsatisfiable { size_bytes: size }),
        None => None,
    };
    if call.hub.options.redirect
        && let Some(url) = call.hub.storage.link(&blob.object).await?
    {
        return Ok(answer(StatusCode::TEMPORARY_REDIRECT, Body::empty())
            .with(header::LOCATION, url)
            .with(header::CACHE_CONTROL, "no-store")
            .with(header::CONTENT_LENGTH, 0)
            .with(CONTENT_DIGEST, digest.as_str()));
    }
    let (start, length) = range.map_or((0, size), |(start, end)| (start, end - start + 1));
    let storage = &call.hub.storage;
    let body = storage.read(&blob.object, start, length).await?;
    call.hub.metrics.sent(length);
    Ok(match range {
        None => described(&digest, StatusCode::OK, length, body),
        Some((start, end)) => described(&digest, StatusCode::PARTIAL_CONTENT, length, body)
            .with(header::CONTENT_RANGE, format!("bytes {start}-{end}/{size}")),
    })
}

/// A range of bytes, both ends within.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    Part(u64, u64),
    Outside,
}

/// Reads a `Range` header (RFC 9110, section 14). One that can't be read, or of several parts, is
/// as if it were not there; one that begins behind the end, or ends before it begins, is outside.
fn range(header: &str, size: u64) -> Option<Range> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let most: u64 = last.parse().ok()?;
        return Some(match most.min(size) {
            0 => Range::Outside,
            most => Range::Part(size - most, size - 1),
        });
    }
    let first: u64 = first.parse().ok()?;
    let last = match last {
        "" => u64::MAX,
        last => last.parse().ok()?,
    };
    if first >= size || last < first {
        return Some(Range::Outside);
    }
    Some(Range::Part(first, last.min(size - 1)))
}

/// `DELETE /v2/<name>/blobs/<digest>`.
pub(crate) async fn remove(call: Call) -> Result<Response, Refusal> {
    let digest = call.digest("digest")?;
    let repository = call.repository()?;
    let wanted = digest.clone();
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        blobs::unlink(tx, repository, &wanted)
    });
    match write.await? {
        Unlinked::Gone => Ok(answer(StatusCode::ACCEPTED, Body::empty())),
        Unlinked::Absent => Err(Refusal::BlobUnknown(digest)),
        Unlinked::Needed => Err(Refusal::Needed { what: "a manifest" }),
    }
}

#[cfg(test)]
mod tests;
