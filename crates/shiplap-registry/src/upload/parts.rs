//! A blob sent by `PATCH`: in one stream or in chunks, taken up again where it broke.

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};

use super::{Content, OCTETS, Upload, push_scopes, stream};
use crate::client::Client;
use crate::error::{Error, ProtocolFault};
use crate::place::Place;
use crate::retry;
use crate::settings::Warning;

/// Bytes after which an upload that broke counts as getting on.
const PROGRESS_BYTES: u64 = 1 << 20;

/// Pushes `content` in chunks of `chunk_bytes`, or in one.
pub(super) fn push(
    client: &Client,
    place: &Place,
    content: &Content<'_>,
    chunk_bytes: Option<u64>,
) -> Result<(), Error> {
    let exchange = client.exchange();
    let patience = &exchange.settings().patience;
    let mut chunk_bytes = chunk_bytes;
    let mut upload = client.run(Upload::begin(exchange, place))?;
    let mut offset = 0;
    let mut failures = 0;
    while offset < content.size_bytes {
        let error = match patch(client, &mut upload, content, offset, chunk_bytes) {
            Ok(received) => {
                failures = if received > offset { 0 } else { failures + 1 };
                offset = received;
                if failures <= patience.retries {
                    continue;
                }
                let target = upload.request(Method::PATCH, None)?.target;
                Error::Protocol {
                    target,
                    fault: ProtocolFault::Range,
                }
            }
            Err(error) => error,
        };
        if failures >= patience.retries || !worth_repeating(&error, failures, chunk_bytes.is_some())
        {
            return client.run(async {
                upload.cancel(exchange).await;
                Err(error)
            });
        }
        let wait = retry::backoff(patience, failures);
        failures += 1;
        exchange.warn(&Warning::Retry {
            host: place.host.clone(),
            wait,
            cause: error.to_string(),
        });
        std::thread::sleep(wait);
        if chunk_bytes.is_some() && refuses_chunks(&error) {
            client.run(async {
                upload.cancel(exchange).await;
                Ok(())
            })?;
            chunk_bytes = None;
            upload = client.run(Upload::begin(exchange, place))?;
            offset = 0;
            continue;
        }
        offset = match client.run(status(client, &mut upload))? {
            Some(received) => {
                if received >= offset.saturating_add(PROGRESS_BYTES) {
                    failures = 0;
                }
                received.min(content.size_bytes)
            }
            None => {
                upload = client.run(Upload::begin(exchange, place))?;
                0
            }
        };
    }
    client.run(upload.commit(exchange, content.digest))
}

/// Sends one chunk and returns how many bytes the registry then has in all.
fn patch(
    client: &Client,
    upload: &mut Upload,
    content: &Content<'_>,
    offset: u64,
    chunk_bytes: Option<u64>,
) -> Result<u64, Error> {
    let left = content.size_bytes - offset;
    let length = chunk_bytes.map_or(left, |bytes| bytes.max(upload.chunk_min_bytes).min(left));
    let end = offset + length;
    let mut request = upload.request(Method::PATCH, None)?;
    request.headers.insert(CONTENT_TYPE, OCTETS);
    // A stream from the start has no range: Docker sends none, and some registries take none.
    if chunk_bytes.is_some() || offset > 0 {
        let range = HeaderValue::try_from(format!("{offset}-{}", end - 1));
        request
            .headers
            .extend(range.ok().map(|range| (CONTENT_RANGE, range)));
    }
    let mut reader = content.open_at(offset, &request.target)?;
    let answer = stream::send(
        client,
        &request,
        &push_scopes(&upload.place),
        &mut reader,
        Some(length),
    )?;
    client.run(async {
        let answer = answer.success().await?;
        upload.moved(&answer)?;
        match upload.received(&answer) {
            // "0-0" may mean one byte.
            Some(0) if end == 1 => Ok(1),
            Some(received) if received <= end => Ok(received),
            Some(_) => Err(answer.fault(ProtocolFault::Range)),
            None => Ok(end),
        }
    })
}

/// Asks how many bytes of the upload arrived; `None` if the registry has forgotten it.
async fn status(client: &Client, upload: &mut Upload) -> Result<Option<u64>, Error> {
    let request = upload.request(Method::GET, None)?;
    let scopes = push_scopes(&upload.place);
    let answer = client
        .exchange()
        .send(&request, &bytes::Bytes::new(), &scopes)
        .await?;
    if !answer.status().is_success() {
        return match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(answer.refusal().await),
            _ => Ok(None),
        };
    }
    upload.moved(&answer)?;
    Ok(Some(upload.received(&answer).unwrap_or_default()))
}

fn worth_repeating(error: &Error, failures: u32, in_chunks: bool) -> bool {
    match error {
        Error::Network { .. } | Error::RateLimited { .. } | Error::NotFound { .. } => true,
        // The token may have expired on the way: the next request gets a new one.
        Error::Unauthorized { .. } => failures == 0,
        Error::Refused { refusal, .. } => {
            refusal.status >= 500 || refusal.status == 416 || (in_chunks && refuses_chunks(error))
        }
        _ => false,
    }
}

/// Whether a registry says that it doesn't do chunks.
fn refuses_chunks(error: &Error) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| matches!(refusal.status, 400 | 404 | 405 | 411 | 413 | 501))
}
