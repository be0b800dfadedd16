//! Blobs on their way in: uploads in one piece or in many, and mounts from other repositories.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use shiplap_model::Digest;
use shiplap_model::digest::Algorithm;
use shiplap_model::limits;

use crate::authorization::{self, Decision, Need, Right};
use crate::call::{self, CONTENT_DIGEST, Call, UPLOAD_UUID, With as _, answer};
use crate::database::{DatabaseError, Durability};
use crate::intake::{self, Whole};
use crate::records::blobs;
use crate::records::repositories::{self, Name};
use crate::records::uploads;
use crate::refusal::Refusal;
use crate::storage::UploadId;
use crate::upload::{Incoming, Taken, Then};

fn location(name: &Name, id: &UploadId) -> String {
    format!("/v2/{}/blobs/uploads/{}", name.as_str(), id.as_str())
}

/// An answer that tells how far an upload is.
fn progress(status: StatusCode, name: &Name, id: &UploadId, offset: u64) -> Response {
    answer(status, Body::empty())
        .with(header::LOCATION, location(name, id))
        .with(header::RANGE, format!("0-{}", offset.saturating_sub(1)))
        .with(header::CONTENT_LENGTH, 0)
        .with(UPLOAD_UUID, id.as_str())
}

/// An answer that tells where a blob is now.
fn created(name: &Name, digest: &Digest) -> Response {
    answer(StatusCode::CREATED, Body::empty())
        .with(
            header::LOCATION,
            format!("/v2/{}/blobs/{digest}", name.as_str()),
        )
        .with(header::CONTENT_LENGTH, 0)
        .with(CONTENT_DIGEST, digest.as_str())
}

/// `POST /v2/<name>/blobs/uploads/`: mounts a blob, takes one whole, or begins an upload.
pub(crate) async fn begin(mut call: Call) -> Result<Response, Refusal> {
    let name = call.name()?.clone();
    if let Some(wanted) = call.query("mount") {
        let digest = call::digest(&wanted)?;
        if mount(&call, &name, &digest).await? {
            return Ok(created(&name, &digest));
        }
    }
    let id = UploadId::random();
    if let Some(wanted) = call.query("digest") {
        let digest = call::digest(&wanted)?;
        return whole(&mut call, &name, &id, digest).await;
    }
    let algorithm = match call.query("digest-algorithm") {
        None => Algorithm::Sha256,
        Some(wanted) => algorithm(&wanted).ok_or(Refusal::Parameter {
            name: "digest-algorithm",
            reason: "not one of sha256, sha384, sha512",
        })?,
    };
    let user = call.caller.user.as_ref().map(|user| user.id);
    let (begun, of) = (id.clone(), name.clone());
    let write = call.hub.database.write(Durability::Lazy, move |tx| {
        uploads::add(tx, &begun, &of, user, algorithm)
    });
    write.await?;
    Ok(progress(StatusCode::ACCEPTED, &name, &id, 0))
}

fn algorithm(name: &str) -> Option<Algorithm> {
    [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
}

/// Gives the repository a blob that another one has, which the caller may pull from.
async fn mount(call: &Call, name: &Name, digest: &Digest) -> Result<bool, Refusal> {
    let from = call.query("from").map(|from| Name::parse(&from));
    let from = from.transpose()?;
    let (name, digest, caller) = (name.clone(), digest.clone(), call.caller.clone());
    let hub = std::sync::Arc::clone(&call.hub);
    let write = call.hub.database.write(Durability::Durable, move |tx| {
        let sources = match from {
            Some(from) => vec![from],
            None => blobs::holders(tx, &digest, limits::MOUNT_SOURCES)?
                .iter()
                .filter_map(|name| Name::parse(name).ok())
                .collect(),
        };
        for source in sources {
            let place = repositories::place(tx, &source, caller.user.as_ref())?;
            let pull = Need::Repository(Right::Pull);
            let may = authorization::decide(&caller, pull, Some(&place)) == Decision::Allow;
            let Some(repository) = place.repository.filter(|_| may) else {
                continue;
            };
            if blobs::find(tx, repository, &digest)?.is_some() {
                return intake::give(tx, &hub, &name, &digest);
            }
        }
        Ok(false)
    });
    write.await
}

/// The length that the request's headers say its body has.
fn announced(call: &Call) -> Result<Option<u64>, Refusal> {
    let length = call.header(&header::CONTENT_LENGTH).map(str::parse::<u64>);
    let length = length.transpose().map_err(|_| Refusal::Parameter {
        name: "Content-Length",
        reason: "no number",
    })?;
    match length {
        Some(length) if length > limits::LAYER_BYTES => Err(Refusal::Long {
            limit: limits::LAYER_BYTES,
        }),
        length => Ok(length),
    }
}

/// Takes a blob in one request.
async fn whole(
    call: &mut Call,
    name: &Name,
    id: &UploadId,
    digest: Digest,
) -> Result<Response, Refusal> {
    let algorithm = digest.algorithm().unwrap_or(Algorithm::Sha256);
    let taken = take(call, id, 0, algorithm, Then::EndOrNothing).await;
    let offset = match taken {
        Ok(Taken {
            offset,
            fault: None,
        }) => offset,
        Ok(Taken {
            fault: Some(fault), ..
        })
        | Err(fault) => {
            intake::discard(&call.hub, id).await;
            return Err(fault);
        }
    };
    let whole = Whole {
        id,
        size_bytes: offset,
        then: Then::EndOrNothing,
    };
    let stored = intake::store(&call.hub, name, whole, &digest).await;
    if stored.is_err() {
        intake::discard(&call.hub, id).await;
    }
    stored.map(|()| created(name, &digest))
}

async fn take(
    call: &mut Call,
    id: &UploadId,
    offset: u64,
    algorithm: Algorithm,
    then: Then,
) -> Result<Taken, Refusal> {
    let incoming = Incoming {
        offset,
        length: announced(call)?,
        body: call.take_body(),
        algorithm,
        idle: call.hub.patience.idle,
        then,
    };
    let hub = &call.hub;
    let append = hub.uploads.append(hub.storage.as_ref(), id, incoming);
    let taken = append.await?;
    hub.metrics.received(taken.offset - offset);
    Ok(taken)
}

/// An upload under way that this request may go on with.
struct Going {
    name: Name,
    id: UploadId,
    record: uploads::Upload,
}

/// The upload that the path names.
fn named(call: &Call) -> Result<UploadId, Refusal> {
    let unknown = |()| Refusal::UploadUnknown;
    call.parameters.get("upload").parse().map_err(unknown)
}

/// The same, if it is under way, of this repository and this user.
async fn going(call: &Call) -> Result<Going, Refusal> {
    let id = named(call)?;
    let wanted = id.clone();
    let read = call.hub.database.read(move |tx| {
        let found: Result<_, DatabaseError> = uploads::find(tx, &wanted);
        found
    });
    let record = read.await?.ok_or(Refusal::UploadUnknown)?;
    let name = call.name()?.clone();
    let user = call.caller.user.as_ref().map(|user| user.id);
    if record.repository != name.as_str() || record.user != user {
        return Err(Refusal::UploadUnknown);
    }
    Ok(Going { name, id, record })
}

/// `GET <upload>`: how far it is.
pub(crate) async fn status(call: Call) -> Result<Response, Refusal> {
    let going = going(&call).await?;
    let offset = call.hub.storage.progress(&going.id).await?.offset;
    let status = StatusCode::NO_CONTENT;
    Ok(progress(status, &going.name, &going.id, offset))
}

/// `DELETE <upload>`: forgets it.
pub(crate) async fn cancel(call: Call) -> Result<Response, Refusal> {
    let hub = std::sync::Arc::clone(&call.hub);
    let _turn = hub.uploads.turn(&hub.database, &named(&call)?).await?;
    let going = going(&call).await?;
    // The bytes first: they may be what fills the disk.
    intake::discard(&call.hub, &going.id).await;
    let id = going.id.clone();
    let write = call
        .hub
        .database
        .write(Durability::Lazy, move |tx| uploads::remove(tx, &id));
    write.await?;
    Ok(answer(StatusCode::NO_CONTENT, Body::empty()))
}

/// Checks that the body, if it says where it belongs, belongs at the upload's end.
fn check_range(call: &Call, going: &Going, offset: u64) -> Result<(), Refusal> {
    let Some(said) = call.header(&header::CONTENT_RANGE) else {
        return Ok(());
    };
    let wrong = Refusal::Parameter {
        name: "Content-Range",
        reason: "not of the form <start>-<end>",
    };
    let said = said.trim();
    let said = said.strip_prefix("bytes").map_or(said, str::trim_start);
    let said = said.split('/').next().unwrap_or_default();
    let Some((start, end)) = said.split_once('-') else {
        return Err(wrong);
    };
    let (Ok(start), Ok(end)) = (start.parse::<u64>(), end.parse::<u64>()) else {
        return Err(wrong);
    };
    if start != offset {
        return Err(Refusal::Range {
            offset,
            location: location(&going.name, &going.id),
        });
    }
    let said = end
        .checked_sub(start)
        .map(|length| length.saturating_add(1));
    match (said, announced(call)?) {
        (None, _) => Err(wrong),
        (Some(said), Some(found)) if said != found => Err(Refusal::Size { said, found }),
        _ => Ok(()),
    }
}

/// `PATCH <upload>`: appends.
pub(crate) async fn append(mut call: Call) -> Result<Response, Refusal> {
    // What was known of it before may have changed until it is one's turn.
    let hub = std::sync::Arc::clone(&call.hub);
    let _turn = hub.uploads.turn(&hub.database, &named(&call)?).await?;
    let going = going(&call).await?;
    let offset = hub.storage.progress(&going.id).await?.offset;
    check_range(&call, &going, offset)?;
    let algorithm = going.record.algorithm;
    let taken = take(&mut call, &going.id, offset, algorithm, Then::More).await?;
    match taken.fault {
        Some(fault) => Err(fault),
        None => {
            let status = StatusCode::ACCEPTED;
            Ok(progress(status, &going.name, &going.id, taken.offset))
        }
    }
}

/// `PUT <upload>?digest=…`: appends what it brings, and makes it a blob.
pub(crate) async fn finish(mut call: Call) -> Result<Response, Refusal> {
    let wanted = call.query("digest").ok_or(Refusal::Parameter {
        name: "digest",
        reason: "missing",
    })?;
    let digest = call::digest(&wanted)?;
    let hub = std::sync::Arc::clone(&call.hub);
    let _turn = hub.uploads.turn(&hub.database, &named(&call)?).await?;
    let going = going(&call).await?;
    let mut offset = hub.storage.progress(&going.id).await?.offset;
    check_range(&call, &going, offset)?;
    if announced(&call)? != Some(0) {
        // What was begun by another algorithm is read again once it is whole; what begins here is
        // the digest's own.
        let algorithm = match digest.algorithm() {
            Some(algorithm) if offset == 0 => algorithm,
            _ => going.record.algorithm,
        };
        let taken = take(&mut call, &going.id, offset, algorithm, Then::End).await?;
        if let Some(fault) = taken.fault {
            return Err(fault);
        }
        offset = taken.offset;
    }
    let whole = Whole {
        id: &going.id,
        size_bytes: offset,
        then: Then::End,
    };
    let stored = intake::store(&hub, &going.name, whole, &digest).await;
    if matches!(stored, Err(Refusal::Digest(_))) {
        // Nothing more can make it right.
        let id = going.id.clone();
        let write = hub
            .database
            .write(Durability::Lazy, move |tx| uploads::remove(tx, &id));
        write.await?;
        intake::discard(&hub, &going.id).await;
    }
    stored.map(|()| created(&going.name, &digest))
}
