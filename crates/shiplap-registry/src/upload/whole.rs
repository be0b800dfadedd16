//! A blob sent in one piece.

use std::io::Read;

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use url::form_urlencoded;

use super::{Content, OCTETS, Upload, push_scopes, stream, taken};
use crate::client::Client;
use crate::error::{Error, Item, Target};
use crate::exchange;
use crate::place::Place;
use crate::retry;
use crate::settings::Warning;
use crate::transport::Request;

/// `POST …?digest=` with the content, then `PUT` where the registry only began an upload.
pub(super) fn post(client: &Client, place: Place, content: &Content<'_>) -> Result<(), Error> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("digest", content.digest.as_str());
    let path = format!("/v2/{}/blobs/uploads/?{}", place.repository, query.finish());
    let mut request = exchange::request(
        &place,
        Method::POST,
        path,
        Item::Blob(content.digest.clone()),
    );
    request.headers.insert(CONTENT_TYPE, OCTETS);
    let body = read(content, &request.target)?;
    let exchange = client.exchange();
    client.run(async {
        let scopes = push_scopes(&place);
        let answer = exchange
            .send(&request, &body, &scopes)
            .await?
            .success()
            .await?;
        if answer.status() != StatusCode::ACCEPTED {
            return taken(answer, content.digest).await;
        }
        let request = put_request(&Upload::begun(place, &answer)?, content)?;
        taken(
            exchange.send(&request, &body, &scopes).await?,
            content.digest,
        )
        .await
    })
}

/// `POST`, then `PUT` with the content.
pub(super) fn put(client: &Client, place: &Place, content: &Content<'_>) -> Result<(), Error> {
    let patience = &client.exchange().settings().patience;
    let mut attempt = 0;
    loop {
        let error = match put_once(client, place, content) {
            Err(error @ Error::Network { .. }) => error,
            Err(error @ Error::Refused { .. })
                if error.refusal().is_some_and(|refusal| refusal.status >= 500) =>
            {
                error
            }
            // The token may have expired on the way: the next request gets a new one.
            Err(error @ Error::Unauthorized { .. }) if attempt == 0 => error,
            done => return done,
        };
        if attempt >= patience.retries {
            return Err(error);
        }
        let wait = retry::backoff(patience, attempt);
        client.exchange().warn(&Warning::Retry {
            host: place.host.clone(),
            wait,
            cause: error.to_string(),
        });
        std::thread::sleep(wait);
        attempt += 1;
    }
}

fn put_once(client: &Client, place: &Place, content: &Content<'_>) -> Result<(), Error> {
    let upload = client.run(Upload::begin(client.exchange(), place))?;
    let request = put_request(&upload, content)?;
    let mut reader = content.open_at(0, &request.target)?;
    let length = Some(content.size_bytes);
    let answer = stream::send(client, &request, &push_scopes(place), &mut reader, length)?;
    client.run(taken(answer, content.digest))
}

fn put_request(upload: &Upload, content: &Content<'_>) -> Result<Request, Error> {
    let mut request = upload.request(Method::PUT, Some(content.digest))?;
    request.headers.insert(CONTENT_TYPE, OCTETS);
    Ok(request)
}

fn read(content: &Content<'_>, target: &Target) -> Result<Bytes, Error> {
    let failed = |source| Error::Source {
        target: Box::new(target.clone()),
        source,
    };
    let mut body = Vec::new();
    let mut reader = content.open_at(0, target)?.take(content.size_bytes);
    reader.read_to_end(&mut body).map_err(failed)?;
    if (body.len() as u64) < content.size_bytes {
        return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(body.into())
}
