//! `GET /v2/<name>/referrers/<digest>`: what is about a manifest.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shiplap_model::{Descriptor, Document, Index, media_type};

use crate::call::{Call, FILTERS_APPLIED, With as _, answer};
use crate::records::manifests::{self, Referrer};
use crate::refusal::Refusal;

/// Referrers on a page: their annotations make an index of at most some MiB.
const PAGE: u64 = 500;

/// Bytes of annotations on a page, at most: with more, the page ends earlier.
const PAGE_BYTES: usize = 3 << 20;

/// An index of the manifests whose subject this is, of one artifact type if that is asked for. A
/// repository that the caller may make, but that is not there yet, has none.
pub(crate) async fn list(call: Call) -> Result<Response, Refusal> {
    let subject = call.digest("digest")?;
    let wanted = call.query("artifactType").filter(|kind| !kind.is_empty());
    let last = call.query("last").unwrap_or_default();
    let repository = call.place.as_ref().and_then(|place| place.repository);
    let found = match repository {
        None => Vec::new(),
        Some(repository) => {
            let (subject, wanted) = (subject.clone(), wanted.clone());
            let read = call.hub.database.read(move |tx| {
                let kind = wanted.as_deref();
                manifests::referrers(tx, repository, &subject, kind, &last, PAGE + 1)
            });
            read.await?
        }
    };
    let (mut page, mut bytes, count) = (Vec::new(), 0, found.len());
    for referrer in found {
        bytes += referrer.stored.content.len();
        let is_full = page.len() as u64 == PAGE || bytes > PAGE_BYTES;
        if is_full && !page.is_empty() {
            break;
        }
        page.push(descriptor(referrer));
    }
    let more = page.len() < count;
    let last = page.last().map(|entry| entry.digest.clone());
    let body = serde_json::to_vec(&Index::new(page)).unwrap_or_default();
    let mut response =
        answer(StatusCode::OK, body).with(header::CONTENT_TYPE, media_type::OCI_INDEX);
    if wanted.is_some() {
        response = response.with(FILTERS_APPLIED, "artifactType");
    }
    if let Some(last) = last.filter(|_| more) {
        let name = call.parameters.get("name");
        let kind = wanted.map_or_else(String::new, |kind| {
            let kind = utf8_percent_encode(&kind, NON_ALPHANUMERIC);
            format!("&artifactType={kind}")
        });
        let link = format!("</v2/{name}/referrers/{subject}?last={last}{kind}>; rel=\"next\"");
        response = response.with(header::LINK, link);
    }
    Ok(response)
}

fn descriptor(referrer: Referrer) -> Descriptor {
    let stored = referrer.stored;
    let size = stored.content.len() as u64;
    let annotations = match Document::parse(&stored.content, None) {
        Ok(Document::Manifest(manifest)) => manifest.annotations,
        Ok(Document::Index(index)) => index.annotations,
        // It was read when it came.
        Err(_) => Default::default(),
    };
    Descriptor {
        artifact_type: referrer.artifact_type,
        annotations,
        ..Descriptor::new(stored.media_type, stored.digest, size)
    }
}
