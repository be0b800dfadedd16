//! One request on the wire: connections, certificates, proxies, redirects, the choice of scheme.
//!
//! Knows nothing of tokens. `Authorization` is sent to the origin it is for and nowhere else.
//! Bodies are never decoded: a digest is of bytes as sent.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Certificate, Client, Method, NoProxy, Proxy, StatusCode};
use shiplap_model::limits;
use url::{Origin, Url};

use crate::answer::{Answer, Failure};
use crate::error::{Error, ProtocolFault, Target};
use crate::place::{self, Place, Scheme};
use crate::settings::{ProxySettings, Settings};

const USER_AGENT: &str = concat!("shiplap/", env!("CARGO_PKG_VERSION"));

/// How much longer than its head a body that is kept in memory may take.
const BODY_PATIENCE: u32 = 5;

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// Path and query on the place's host.
    Path(String),
    /// An address that the registry gave.
    Given(Url),
}

/// A request but for its body and authorisation.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) place: Place,
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) headers: HeaderMap,
    pub(crate) target: Box<Target>,
    pub(crate) redirects: Redirects,
}

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// None: the headers hold credentials.
    None,
    /// To http and https, but not from verified https to http.
    Safe,
    /// To http and https: the content's digest is verified.
    Any,
}

/// The body of a request.
pub(crate) enum Payload {
    /// Can be sent again.
    Bytes(bytes::Bytes),
    /// Can be sent once, and takes as long as it takes.
    Stream(Body),
}

/// Why one request gave no answer.
pub(crate) enum Trouble {
    Failure(Failure),
    Final(Error),
}

/// Which connections: those that verify certificates, those that use a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    verified: bool,
    direct: bool,
}

/// Connections, made when needed.
pub(crate) struct Transport {
    settings: Settings,
    clients: [OnceLock<Client>; 4],
    schemes: Mutex<HashMap<String, Scheme>>,
}

impl Transport {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            clients: Default::default(),
            schemes: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The addresses to try for a request, the likeliest first.
    fn addresses(&self, request: &Request) -> Result<Vec<(Option<Scheme>, Url)>, Error> {
        let path = match &request.address {
            Address::Given(url) => return Ok(vec![(None, url.clone())]),
            Address::Path(path) => path,
        };
        let place = &request.place;
        let known = self
            .schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&place.host)
            .copied();
        let schemes = match known.filter(|scheme| place.schemes.contains(scheme)) {
            Some(scheme) => vec![scheme],
            None => place.schemes.to_vec(),
        };
        let urls = schemes.into_iter().map(|scheme| {
            let text = format!("{}://{}{path}", scheme.name(), place.host);
            Url::parse(&text)
                .map(|url| (Some(scheme), url))
                .map_err(|_| Error::Address(place.host.clone()))
        });
        urls.collect()
    }

    /// The address that the place's host is asked at now.
    pub(crate) fn base(&self, place: &Place) -> Option<Url> {
        let known = self
            .schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&place.host)
            .copied();
        let scheme = known.or_else(|| place.schemes.first().copied())?;
        Url::parse(&format!("{}://{}/", scheme.name(), place.host)).ok()
    }

    /// Sends a request once, by each scheme that comes into question.
    pub(crate) async fn send(
        &self,
        request: &Request,
        payload: Payload,
        authorization: Option<&(Origin, HeaderValue)>,
    ) -> Result<Answer, Trouble> {
        let mut addresses = self
            .addresses(request)
            .map_err(Trouble::Final)?
            .into_iter()
            .peekable();
        let mut payload = Some(payload);
        // What the likeliest scheme gave, if it was nothing good.
        let mut first = None;
        loop {
            let Some((scheme, url)) = addresses.next() else {
                return first.unwrap_or_else(|| {
                    Err(Trouble::Final(Error::Address(request.place.host.clone())))
                });
            };
            let body = match &payload {
                Some(Payload::Bytes(bytes)) => Payload::Bytes(bytes.clone()),
                _ => payload
                    .take()
                    .unwrap_or(Payload::Bytes(bytes::Bytes::new())),
            };
            let more = addresses.peek().is_some() && payload.is_some();
            match self.follow(request, url, body, authorization).await {
                Ok(answer) if more && speaks_other_scheme(&answer) => first = Some(Ok(answer)),
                Err(Trouble::Failure(failure)) if more && failure.may_be_scheme() => {
                    first = Some(Err(Trouble::Failure(failure)));
                }
                Err(Trouble::Failure(failure)) => {
                    return first.unwrap_or(Err(Trouble::Failure(failure)));
                }
                Ok(answer) => {
                    if let Some(scheme) = scheme {
                        let mut schemes =
                            self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
                        schemes.insert(request.place.host.clone(), scheme);
                    }
                    return Ok(answer);
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Sends a request to `url` and on to where it is redirected.
    async fn follow(
        &self,
        request: &Request,
        mut url: Url,
        payload: Payload,
        authorization: Option<&(Origin, HeaderValue)>,
    ) -> Result<Answer, Trouble> {
        let first = url.origin();
        let mut payload = Some(payload);
        for _ in 0..=limits::REDIRECTS {
            let (body, again) = match payload.take() {
                Some(Payload::Bytes(bytes)) => {
                    (Payload::Bytes(bytes.clone()), Some(Payload::Bytes(bytes)))
                }
                Some(stream) => (stream, None),
                None => return Err(fault(request, ProtocolFault::Location)),
            };
            payload = again;
            let response = self.hop(request, &url, body, authorization).await?;
            let status = response.status();
            let fetches = matches!(request.method, Method::GET | Method::HEAD);
            let redirected = matches!(status.as_u16(), 307 | 308)
                || (fetches && matches!(status.as_u16(), 301..=303));
            if !redirected || request.redirects == Redirects::None {
                let own = url.origin() == first;
                let patience = &self.settings.patience;
                return Ok(Answer {
                    response,
                    url,
                    own,
                    target: request.target.clone(),
                    stall: patience.stall,
                    whole: patience.response.saturating_mul(BODY_PATIENCE),
                });
            }
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = match next {
                Some(next) => checked(request, &url, next)?,
                None => return Err(fault(request, ProtocolFault::Location)),
            };
        }
        Err(fault(
            request,
            ProtocolFault::TooManyRedirects(limits::REDIRECTS),
        ))
    }

    /// Sends a request to `url` and nowhere else.
    async fn hop(
        &self,
        request: &Request,
        url: &Url,
        payload: Payload,
        authorization: Option<&(Origin, HeaderValue)>,
    ) -> Result<reqwest::Response, Trouble> {
        let direct = place::is_loopback(url) == Some(true);
        // The place's leave not to verify does not hold for whom it redirects to.
        let own = url.host_str() == own_host(&request.place).as_deref();
        let verified = url.scheme() == "https" && (request.place.verified || !own);
        let client = self
            .client(Kind { verified, direct })
            .map_err(Trouble::Final)?;
        let mut builder = client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone());
        if let Some((origin, value)) = authorization
            && *origin == url.origin()
        {
            builder = builder.header(AUTHORIZATION, value.clone());
        }
        let sent = match payload {
            Payload::Bytes(bytes) => {
                // Some registries want to be told that there is nothing.
                if bytes.is_empty() && !matches!(request.method, Method::GET | Method::HEAD) {
                    builder = builder.header(CONTENT_LENGTH, 0);
                }
                let send = builder.body(bytes).send();
                match tokio::time::timeout(self.settings.patience.response, send).await {
                    Ok(sent) => sent,
                    Err(_) => return Err(Trouble::Failure(Failure::stalled())),
                }
            }
            Payload::Stream(body) => builder.body(body).send().await,
        };
        sent.map_err(|error| Trouble::Failure(Failure::of(&error)))
    }

    fn client(&self, kind: Kind) -> Result<Client, Error> {
        let slot = &self.clients[usize::from(kind.verified) * 2 + usize::from(kind.direct)];
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let client = self.build(kind)?;
        Ok(slot.get_or_init(|| client).clone())
    }

    fn build(&self, kind: Kind) -> Result<Client, Error> {
        let user_agent = match self.settings.user_agent.as_str() {
            "" => USER_AGENT,
            given => given,
        };
        let mut builder = Client::builder()
            .user_agent(user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Parallel layers come faster over connections of their own than through one window.
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(self.settings.patience.connect);
        builder = match &self.settings.proxy {
            _ if kind.direct => builder.no_proxy(),
            ProxySettings::Direct => builder.no_proxy(),
            ProxySettings::System => builder,
            ProxySettings::Given {
                http,
                https,
                no_proxy,
            } => {
                let but = |proxy: reqwest::Result<Proxy>, address: &String| {
                    let proxy = proxy.map_err(|_| Error::Proxy(hidden(address)))?;
                    Ok::<_, Error>(proxy.no_proxy(NoProxy::from_string(no_proxy)))
                };
                let mut builder = builder.no_proxy();
                if let Some(address) = http {
                    builder = builder.proxy(but(Proxy::http(address), address)?);
                }
                if let Some(address) = https {
                    builder = builder.proxy(but(Proxy::https(address), address)?);
                }
                builder
            }
        };
        builder = if kind.verified {
            let tls = &self.settings.tls;
            match tls.only_roots.as_slice() {
                [] => builder.tls_certs_merge(certificates(&tls.extra_roots)?),
                only => {
                    let mut roots = certificates(only)?;
                    roots.extend(certificates(&tls.extra_roots)?);
                    builder.tls_certs_only(roots)
                }
            }
        } else {
            builder.tls_danger_accept_invalid_certs(true)
        };
        builder
            .build()
            .map_err(|error| Error::Start(Failure::of(&error).cause))
    }
}

fn fault(request: &Request, fault: ProtocolFault) -> Trouble {
    Trouble::Final(Error::Protocol {
        target: request.target.clone(),
        fault,
    })
}

/// A redirect that may be followed.
fn checked(request: &Request, from: &Url, mut to: Url) -> Result<Url, Trouble> {
    let downgrade = from.scheme() == "https" && to.scheme() == "http";
    let known = matches!(to.scheme(), "http" | "https");
    if !known || (downgrade && request.place.verified && request.redirects != Redirects::Any) {
        let host = to.host_str().unwrap_or_default().to_owned();
        return Err(fault(
            request,
            ProtocolFault::RedirectScheme {
                host,
                scheme: to.scheme().to_owned(),
            },
        ));
    }
    let plain = to.set_username("").and_then(|()| to.set_password(None));
    if plain.is_err() {
        return Err(fault(request, ProtocolFault::Location));
    }
    Ok(to)
}

/// Whether a server said that it was spoken to by the wrong scheme: web servers that speak TLS
/// answer plain http with 400, and not with a registry's headers.
fn speaks_other_scheme(answer: &Answer) -> bool {
    answer.status() == StatusCode::BAD_REQUEST
        && answer.url.scheme() == "http"
        && !answer
            .headers()
            .contains_key("docker-distribution-api-version")
        && answer
            .media_type()
            .is_none_or(|media_type| !media_type.ends_with("json"))
}

fn own_host(place: &Place) -> Option<String> {
    let url = Url::parse(&format!("https://{}/", place.host)).ok()?;
    url.host_str().map(str::to_owned)
}

fn certificates(paths: &[impl AsRef<Path>]) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let failed = |cause: String| Error::Certificates {
            path: path.to_owned(),
            cause,
        };
        let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
        all.extend(
            Certificate::from_pem_bundle(&pem)
                .map_err(|error| failed(Failure::of(&error).cause))?,
        );
    }
    Ok(all)
}

/// An address without its user and password.
pub(crate) fn hidden(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_owned()
}
