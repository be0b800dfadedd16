//! Asking another registry, as an anonymous or known client of it: requests, its tokens, its lists.
//!
//! Keeps nothing but tokens, and verifies nothing: whoever takes a body hashes it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, Method, Response, StatusCode};
use shiplap_model::distribution::{TagList, TokenResponse};
use shiplap_model::{json, limits, media_type};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest time between two pieces of an answer.
const IDLE: Duration = Duration::from_secs(60);

/// An upstream registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name in references: `docker.io`. Its repositories lie in a namespace of that name.
    pub host: String,
    /// Where it is: `https://registry-1.docker.io`.
    pub url: String,
    /// Whom it knows the hub as.
    pub credential: Option<(String, String)>,
}

impl Origin {
    /// Reads `host` or `host=url`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, url) = match text.split_once('=') {
            Some((host, url)) => (host, url.trim_end_matches('/').to_owned()),
            None if text == "docker.io" => (text, "https://registry-1.docker.io".to_owned()),
            None => (text, format!("https://{text}")),
        };
        let is_host = shiplap_model::reference::grammar::check_path(host).is_ok();
        let is_url = url.starts_with("https://") || url.starts_with("http://");
        (is_host && !host.contains('/') && is_url).then(|| Self {
            host: host.to_owned(),
            url,
            credential: None,
        })
    }
}

/// Why nothing came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// It is not there, or not for this client.
    #[error("the upstream registry does not have it")]
    Absent,
    /// It said something else.
    #[error("the upstream registry answered {status}")]
    Status {
        /// What.
        status: u16,
    },
    /// It could not be asked.
    #[error("ask the upstream registry: {message}")]
    Transport {
        /// Why.
        message: String,
    },
    /// Its answer means nothing.
    #[error("read the upstream registry's answer: {what}")]
    Answer {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl From<reqwest::Error> for UpstreamError {
    fn from(error: reqwest::Error) -> Self {
        // Without the address, which may hold a signature.
        let error = error.without_url();
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::Transport { message }
    }
}

/// A client of one upstream registry.
pub(crate) struct Upstream {
    pub(crate) origin: Origin,
    client: Client,
    tokens: Mutex<HashMap<String, (String, Instant)>>,
}

impl Upstream {
    pub(crate) fn new(origin: Origin) -> Result<Self, UpstreamError> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(IDLE)
            .user_agent(concat!("shiplap-hub/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            origin,
            client,
            tokens: Mutex::new(HashMap::new()),
        })
    }

    /// Asks for a path below `/v2/<repository>/`, with a token if one is wanted.
    async fn ask(
        &self,
        method: Method,
        repository: &str,
        path: &str,
    ) -> Result<Response, UpstreamError> {
        let url = format!("{}/v2/{repository}/{path}", self.origin.url);
        let send = async |authorization: Option<&str>| {
            let mut request = self
                .client
                .request(method.clone(), &url)
                .header(ACCEPT, media_type::ACCEPTED_MANIFESTS.join(", "));
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            request.send().await
        };
        let kept = self.kept(repository);
        let mut response = send(kept.as_deref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = response.headers().get(WWW_AUTHENTICATE);
            let challenge = challenge.and_then(|value| value.to_str().ok());
            let challenge = challenge.ok_or(UpstreamError::Absent)?.to_owned();
            let authorization = self.authorize(&challenge, repository).await?;
            response = send(Some(&authorization)).await?;
        }
        match response.status() {
            status if status.is_success() => Ok(response),
            // What it hides from the hub is not there for anybody who asks the hub.
            StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(UpstreamError::Absent)
            }
            status => Err(UpstreamError::Status {
                status: status.as_u16(),
            }),
        }
    }

    fn kept(&self, repository: &str) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, until) = tokens.get(repository)?;
        (*until > Instant::now()).then(|| token.clone())
    }

    /// What to say to a challenge (Docker's token specification, or Basic).
    async fn authorize(&self, challenge: &str, repository: &str) -> Result<String, UpstreamError> {
        let bad = |what| UpstreamError::Answer { what };
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            let (name, password) = self
                .origin
                .credential
                .as_ref()
                .ok_or(UpstreamError::Absent)?;
            use base64::Engine as _;
            let text = format!("{name}:{password}");
            let text = base64::engine::general_purpose::STANDARD.encode(text);
            return Ok(format!("Basic {text}"));
        }
        let realm = parameter(rest, "realm").ok_or(bad("its challenge has no realm"))?;
        let mut query = vec![("scope", format!("repository:{repository}:pull"))];
        if let Some(service) = parameter(rest, "service") {
            query.push(("service", service));
        }
        let mut request = self.client.get(&realm).query(&query);
        // The password goes only where the registry itself is reached as safely.
        let is_safe = realm.starts_with("https://") || self.origin.url.starts_with("http://");
        if let Some((name, password)) = self.origin.credential.as_ref().filter(|_| is_safe) {
            request = request.basic_auth(name, Some(password));
        }
        let response = request.send().await?;
        if !response.status().is_success() {
            return Err(UpstreamError::Absent);
        }
        let bytes = bounded(response, limits::TOKEN_BYTES).await?;
        let answer: TokenResponse = json::parse(&bytes, limits::TOKEN_BYTES)
            .map_err(|_| bad("its token server's answer is no JSON"))?;
        let token = answer
            .bearer()
            .ok_or(bad("its token server gave no token"))?;
        let authorization = format!("Bearer {token}");
        let seconds = Duration::from_secs(answer.seconds().saturating_sub(10).min(3600));
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS {
            tokens.retain(|_, (_, until)| *until > Instant::now());
        }
        if tokens.len() < TOKENS {
            let until = Instant::now() + seconds;
            tokens.insert(repository.to_owned(), (authorization.clone(), until));
        }
        Ok(authorization)
    }

    /// The digest that a tag names there, where it tells.
    pub(crate) async fn digest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<Option<String>, UpstreamError> {
        let path = format!("manifests/{reference}");
        let response = self.ask(Method::HEAD, repository, &path).await?;
        let digest = response.headers().get("docker-content-digest");
        Ok(digest.and_then(|value| Some(value.to_str().ok()?.to_owned())))
    }

    /// A manifest's bytes and what they are said to be.
    pub(crate) async fn manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<(Vec<u8>, Option<String>), UpstreamError> {
        let path = format!("manifests/{reference}");
        let response = self.ask(Method::GET, repository, &path).await?;
        let said = response.headers().get(CONTENT_TYPE);
        let said = said.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        Ok((bounded(response, limits::MANIFEST_BYTES).await?, said))
    }

    /// A blob, as it comes.
    pub(crate) async fn blob(
        &self,
        repository: &str,
        digest: &str,
    ) -> Result<Response, UpstreamError> {
        let path = format!("blobs/{digest}");
        self.ask(Method::GET, repository, &path).await
    }

    /// A page of tags, and whether there are more.
    pub(crate) async fn tags(
        &self,
        repository: &str,
        query: &str,
    ) -> Result<(TagList, bool), UpstreamError> {
        let path = format!("tags/list{query}");
        let response = self.ask(Method::GET, repository, &path).await?;
        let more = response.headers().contains_key("link");
        let bytes = bounded(response, limits::REGISTRY_LIST_BYTES).await?;
        let list = json::parse(&bytes, limits::REGISTRY_LIST_BYTES);
        let list = list.map_err(|_| UpstreamError::Answer {
            what: "its list of tags is no JSON",
        })?;
        Ok((list, more))
    }
}

/// Tokens that are kept, one a repository.
const TOKENS: usize = 10_000;

/// A whole answer of at most `limit` bytes.
async fn bounded(mut response: Response, limit: u64) -> Result<Vec<u8>, UpstreamError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > limit {
            return Err(UpstreamError::Answer {
                what: "it is too long",
            });
        }
    }
    Ok(bytes)
}

/// A parameter of a challenge, quoted or not.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim_matches([' ', ',']);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests;
