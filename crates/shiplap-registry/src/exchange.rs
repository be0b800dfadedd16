//! A request with all that it takes to get an answer: authorization, repetition, other places.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Body, Method, StatusCode};
use shiplap_model::digest::Digest;
use shiplap_model::reference::Repository;
use url::Origin;

use crate::answer::{Answer, FailureKind};
use crate::authorization::{Authorizations, Keys, Scopes};
use crate::client::WarningSink;
use crate::error::{Error, Item, Target};
use crate::place::{self, Place, Service};
use crate::retry;
use crate::settings::{Settings, Warning};
use crate::transport::{Address, Payload, Redirects, Request, Transport, Trouble};

/// How often a host that can't be reached at all is tried again: waiting rarely helps, and
/// somebody is looking on.
const CONNECT_RETRIES: u32 = 2;

/// How often the challenges to one request are answered: once, and once more for a token that
/// had expired.
const CHALLENGES: usize = 2;

/// What all requests share.
pub(crate) struct Exchange {
    pub(crate) transport: Transport,
    pub(crate) authorizations: Authorizations,
    pub(crate) keys: Keys,
    sink: Option<WarningSink>,
    distrusted: Mutex<HashSet<(String, Digest)>>,
}

impl Exchange {
    pub(crate) fn new(settings: Settings, keys: Keys, sink: Option<WarningSink>) -> Self {
        Self {
            transport: Transport::new(settings),
            authorizations: Authorizations::default(),
            keys,
            sink,
            distrusted: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.transport.settings()
    }

    pub(crate) fn warn(&self, warning: &Warning) {
        tracing::debug!(?warning, "registry");
        if let Some(sink) = &self.sink {
            sink(warning);
        }
    }

    /// Remembers that a host gave other content than `digest` says.
    pub(crate) fn distrust(&self, host: &str, digest: &Digest) {
        let mut distrusted = self
            .distrusted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        distrusted.insert((host.to_owned(), digest.clone()));
    }

    /// The place to write to.
    pub(crate) fn own_place(&self, repository: &Repository) -> Result<Place, Error> {
        let (registry, path) = (repository.registry(), repository.path());
        place::registry_place(self.settings(), registry, path, Service::Distribution)
    }

    /// The places to read from, without mirrors that lied about `digest`.
    pub(crate) fn places(
        &self,
        repository: &Repository,
        digest: Option<&Digest>,
    ) -> Result<Vec<Place>, Error> {
        let mut places = place::places(self.settings(), repository.registry(), repository.path())?;
        if let Some(digest) = digest {
            let distrusted = self
                .distrusted
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            places.retain(|place| {
                !place.mirror || !distrusted.contains(&(place.host.clone(), digest.clone()))
            });
        }
        Ok(places)
    }

    /// Asks one place after the other until one has it.
    pub(crate) async fn first_of<T>(
        &self,
        registry: &str,
        places: &[Place],
        mut ask: impl AsyncFnMut(&Place) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut last = None;
        for place in places {
            match ask(place).await {
                Err(error) if place.mirror => {
                    self.warn(&Warning::Mirror {
                        mirror: place.host.clone(),
                        registry: registry.to_owned(),
                        cause: error.to_string(),
                    });
                    last = Some(error);
                }
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| Error::Address(registry.to_owned())))
    }

    /// Sends a request, authorised as the registry wants, repeated as often as the settings allow.
    pub(crate) async fn send(
        &self,
        request: &Request,
        body: &Bytes,
        scopes: &Scopes,
    ) -> Result<Answer, Error> {
        let mut authorization = self.authorization(&request.place, scopes).await?;
        let mut answer = self.repeat(request, body, authorization.as_ref()).await?;
        for _ in 0..CHALLENGES {
            if answer.status() != StatusCode::UNAUTHORIZED || !answer.own {
                break;
            }
            let used = authorization.as_ref().map(|(_, value)| value);
            match self
                .challenged(&request.place, scopes, &answer, used)
                .await?
            {
                Some(better) => authorization = Some(better),
                None => break,
            }
            answer = self.repeat(request, body, authorization.as_ref()).await?;
        }
        let denied = matches!(
            answer.status(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        if denied
            && answer.own
            && let Some(realm) = self.withheld_from(&request.place, scopes).await
        {
            return Err(answer.refusal().await.without_credentials(realm));
        }
        Ok(answer)
    }

    /// Sends a request whose body can't be sent again.
    pub(crate) async fn send_stream(
        &self,
        request: &Request,
        body: Body,
        scopes: &Scopes,
    ) -> Result<Answer, Error> {
        let authorization = self.authorization(&request.place, scopes).await?;
        match self
            .transport
            .send(request, Payload::Stream(body), authorization.as_ref())
            .await
        {
            Ok(answer) => Ok(answer),
            Err(Trouble::Final(error)) => Err(error),
            Err(Trouble::Failure(failure)) => Err(failure.into_error(request.target.clone(), 1)),
        }
    }

    /// Sends a request until there is an answer worth having.
    pub(crate) async fn repeat(
        &self,
        request: &Request,
        body: &Bytes,
        authorization: Option<&(Origin, HeaderValue)>,
    ) -> Result<Answer, Error> {
        let patience = &self.settings().patience;
        let retries = if request.place.mirror {
            0
        } else {
            patience.retries
        };
        let mut attempt = 0;
        loop {
            let payload = Payload::Bytes(body.clone());
            let (wait, cause) = match self.transport.send(request, payload, authorization).await {
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Failure(failure)) => {
                    let most = match failure.kind {
                        FailureKind::Tls => 0,
                        FailureKind::Name | FailureKind::Connect if request.place.loopback => 0,
                        FailureKind::Name | FailureKind::Connect => retries.min(CONNECT_RETRIES),
                        FailureKind::Broken | FailureKind::Stalled => retries,
                    };
                    if attempt >= most {
                        return Err(failure.into_error(request.target.clone(), attempt + 1));
                    }
                    (retry::backoff(patience, attempt), failure.cause)
                }
                Ok(answer) if attempt < retries && retry::is_transient(answer.status()) => {
                    let wait = match retry::retry_after(answer.headers()) {
                        Some(asked) if asked > patience.retry_after_max => return Ok(answer),
                        Some(asked) => asked,
                        None => retry::backoff(patience, attempt),
                    };
                    (wait, format!("HTTP status {}", answer.status().as_u16()))
                }
                Ok(answer) => return Ok(answer),
            };
            self.warn(&Warning::Retry {
                host: request.place.host.clone(),
                wait,
                cause,
            });
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

/// A request to a path of a place.
pub(crate) fn request(place: &Place, method: Method, path: String, item: Item) -> Request {
    Request {
        method,
        address: Address::Path(path),
        headers: HeaderMap::new(),
        target: target(place, item),
        redirects: Redirects::Safe,
        place: place.clone(),
    }
}

pub(crate) fn target(place: &Place, item: Item) -> Box<Target> {
    Box::new(Target {
        registry: place.host.clone(),
        repository: place.repository.clone(),
        item,
    })
}
