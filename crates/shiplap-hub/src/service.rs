//! From a request to its answer: the route, who asks, whether that may be, the handler, the log.
//!
//! Every request passes [`answer`]; there is no other way to a handler, so none is reached without
//! [`authorization::decide`] having been asked, and none that takes a form without the form having
//! shown that a page of ours made it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, Request, Uri};
use axum::response::Response;
use serde::Serialize;

use crate::authentication::{self, Known, Shown};
use crate::authorization::{self, Caller, Decision, Need, Place, Right};
use crate::browser::{self, Cookie, Form};
use crate::call::{Call, With as _, pairs};
use crate::hub::Hub;
use crate::pages;
use crate::records::namespaces::{self, OFFICIAL};
use crate::records::repositories::{self, Name};
use crate::refusal::Refusal;
use crate::routes::{self, Face};

/// Tells old clients which protocol this is.
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// What is logged of a request: no query and no header, since those hold secrets.
#[derive(Serialize)]
struct Line<'l> {
    time: String,
    peer: String,
    user: Option<&'l str>,
    method: &'l str,
    route: &'l str,
    repository: Option<&'l str>,
    status: u16,
    ms: u64,
    agent: Option<&'l str>,
    error: Option<String>,
}

/// What is known of a request by the time that it is answered.
#[derive(Default)]
struct Seen {
    route: Option<&'static str>,
    repository: Option<String>,
    user: Option<String>,
    /// Whether a person reads the answer.
    is_page: bool,
    /// The secret of the person's browser.
    secret: Option<String>,
}

/// Answers one request.
pub(crate) async fn answer(hub: Arc<Hub>, peer: SocketAddr, request: Request<Body>) -> Response {
    let begun = Instant::now();
    let _in_flight = hub.metrics.in_flight();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let agent = request.headers().get(header::USER_AGENT).cloned();
    let mut seen = Seen {
        is_page: pages::is_wanted(&uri, request.headers()),
        ..Seen::default()
    };
    let outcome = handle(&hub, request, &mut seen).await;
    let (response, error) = match outcome {
        Ok(response) => (response, None),
        Err(refusal) if seen.is_page => {
            let told =
                pages::problem::response(&refusal, seen.user.clone(), seen.secret.as_deref());
            (told, Some(refusal))
        }
        Err(refusal) => (refusal.response(), Some(refusal)),
    };
    let response = finish(response, &uri);
    let took = begun.elapsed();
    hub.metrics.request(&method, response.status(), took);
    if let Some(error) = error.as_ref().filter(|error| error.is_internal()) {
        tracing::error!("{method} {}: failed to {error}", seen.route.unwrap_or(""));
    }
    if let Some(log) = &hub.options.access_log {
        let line = Line {
            time: jiff::Timestamp::now().to_string(),
            peer: peer.ip().to_string(),
            user: seen.user.as_deref(),
            method: method.as_str(),
            route: seen.route.unwrap_or("none"),
            repository: seen.repository.as_deref(),
            status: response.status().as_u16(),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            agent: agent.as_ref().and_then(|agent| agent.to_str().ok()),
            error: error.map(|error| error.to_string()),
        };
        if let Ok(line) = serde_json::to_string(&line) {
            log(&line);
        }
    }
    response
}

/// Headers that every answer has.
fn finish(response: Response, uri: &Uri) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    let response = response.with(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if uri.path().starts_with("/v2") {
        return response.with(VERSION, HeaderValue::from_static("registry/2.0"));
    }
    response
}

async fn handle(
    hub: &Arc<Hub>,
    request: Request<Body>,
    seen: &mut Seen,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let (route, parameters) = routes::find(&parts.method, parts.uri.path())?;
    seen.route = Some(route.pattern);
    seen.is_page = route.face == Face::Page;
    let name = match route.need {
        Need::Repository(_) => Some(Name::parse(parameters.get("name"))?),
        _ => None,
    };
    // A client that mirrors by the hub says which registry's repository it means.
    let registry = pairs(parts.uri.query().unwrap_or_default()).find(|(key, _)| key == "ns");
    let is_pull = route.need == Need::Repository(Right::Pull);
    let name = match (&name, registry) {
        (Some(asked), Some((_, registry))) if is_pull => {
            hub.mirrors.name(asked, Some(&registry)).or(name)
        }
        _ => name,
    };
    seen.repository = name.as_ref().map(|name| name.as_str().to_owned());
    let host = parts.headers.get(header::HOST);
    let url = hub.url(host.and_then(|host| host.to_str().ok()));
    let session = Cookie::Session.read(&parts.headers, &url);
    let shown = match route.face {
        Face::Api => Shown::read(&parts.headers),
        Face::Page => session.clone().map_or(Shown::Nothing, Shown::Session),
    };
    let is_basic = matches!(shown, Shown::Basic { .. });
    let caller = match authentication::caller(hub, shown).await {
        Ok(caller) => caller,
        Err(Known::Failed(refusal)) => return Err(refusal),
        Err(Known::Nobody) => {
            let fault = (!is_basic).then_some("invalid_token");
            let challenge = challenge(&url, route.need, name.as_ref(), &parts.method, fault);
            return Err(Refusal::Credential { challenge });
        }
    };
    seen.user = caller.user.as_ref().map(|user| user.name.clone());
    seen.secret = session
        .filter(|_| caller.user.is_some())
        .or_else(|| Cookie::Visit.read(&parts.headers, &url));
    let namespace = parameters.get("namespace");
    let (name, place) = placed(hub, route.need, name, namespace, &caller).await?;
    let need = match route.need {
        Need::Site if route.pattern == "/metrics" && hub.options.open_metrics => Need::Nothing,
        need => need,
    };
    match authorization::decide(&caller, need, place.as_ref()) {
        Decision::Allow => {}
        Decision::Deny => return Err(Refusal::Denied),
        Decision::Hide => return Err(Refusal::NameUnknown),
        Decision::Challenge if seen.is_page => {
            return Err(pages::challenge(is_pull, &parts.method, &parts.uri));
        }
        Decision::Challenge => {
            let fault = caller.has_credential.then_some("insufficient_scope");
            let challenge = challenge(&url, route.need, name.as_ref(), &parts.method, fault);
            return Err(Refusal::Challenge { challenge });
        }
    }
    let mut call = Call {
        hub: Arc::clone(hub),
        parts,
        body: Mutex::new(body),
        parameters,
        caller,
        name,
        place,
        secret: seen.secret.clone(),
        form: Form::default(),
    };
    if seen.is_page && route.method == Method::POST {
        call.form = browser::form(&mut call).await?;
    }
    (route.handler)(call).await
}

/// What is known of the repository or namespace that a route names. What nobody here has, and what
/// official image is missing, another registry may have: then that one's name is meant.
async fn placed(
    hub: &Hub,
    need: Need,
    name: Option<Name>,
    namespace: &str,
    caller: &Caller,
) -> Result<(Option<Name>, Option<Place>), Refusal> {
    let Some(name) = name else {
        if !matches!(need, Need::Namespace(_)) {
            return Ok((None, None));
        }
        let (namespace, user) = (namespace.to_owned(), caller.user.clone());
        let read = hub
            .database
            .read(move |tx| namespaces::place(tx, &namespace, user.as_ref()));
        return Ok((None, Some(read.await?)));
    };
    let here = place_of(hub, &name, caller).await?;
    if need == Need::Repository(Right::Pull)
        && here.repository.is_none()
        && !here.is_mirror
        && (!here.has_namespace || name.namespace() == OFFICIAL)
        && let Some(there) = hub.mirrors.name(&name, None)
    {
        let place = place_of(hub, &there, caller).await?;
        return Ok((Some(there), Some(place)));
    }
    Ok((Some(name), Some(here)))
}

async fn place_of(hub: &Hub, name: &Name, caller: &Caller) -> Result<Place, Refusal> {
    let (name, user) = (name.clone(), caller.user.clone());
    let read = hub
        .database
        .read(move |tx| repositories::place(tx, &name, user.as_ref()));
    Ok(read.await?)
}

/// What a client needs to know to ask for a token (Docker's token specification).
fn challenge(
    url: &str,
    need: Need,
    name: Option<&Name>,
    method: &Method,
    fault: Option<&str>,
) -> String {
    let service = url.split_once("://").map_or(url, |(_, host)| host);
    let mut text = format!("Bearer realm=\"{url}/token\",service=\"{service}\"");
    if let (Need::Repository(right), Some(name)) = (need, name) {
        let actions = match right {
            Right::Push => "pull,push",
            Right::Delete => "pull,delete",
            _ if *method == Method::GET || *method == Method::HEAD => "pull",
            other => other.action(),
        };
        text.push_str(&format!(
            ",scope=\"repository:{}:{actions}\"",
            name.as_str()
        ));
    }
    if let Some(fault) = fault {
        text.push_str(&format!(",error=\"{fault}\""));
    }
    text
}
