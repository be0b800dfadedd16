//! Authorization: challenges answered with Basic credentials or tokens (Docker's token
//! specification; OAuth2 for identity tokens).
//!
//! One state per origin. Tokens are kept per set of scopes until they expire. Who may get
//! credentials is decided by [`crate::realm`] alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE,
};
use shiplap_model::distribution::TokenResponse;
use shiplap_model::limits;
use url::{Origin, Url};

use crate::answer::{Answer, clean};
use crate::challenge::{self, Challenge};
use crate::credentials::{Credential, CredentialStore, Secret};
use crate::error::{Error, Item, ProtocolFault, Target};
use crate::exchange::{self, Exchange};
use crate::place::Place;
use crate::realm::{self, Leave};
use crate::settings::Warning;
use crate::transport::{Address, Redirects, Request};

/// What token servers are told that asks.
const CLIENT_ID: &str = "shiplap";
/// A token is not used in the last part of its life, as requests take time.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);
/// Most scopes of one token: a cross-repository mount needs two.
const SCOPES: usize = 16;

/// What a token must allow: actions by resource (`repository:library/python`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    pub(crate) fn repository(path: &str, actions: &[&str]) -> Self {
        Self::default().and(format!("repository:{path}"), actions)
    }

    pub(crate) fn catalog() -> Self {
        Self::default().and("registry:catalog".to_owned(), &["*"])
    }

    pub(crate) fn and_repository(self, path: &str, actions: &[&str]) -> Self {
        self.and(format!("repository:{path}"), actions)
    }

    fn and(mut self, resource: String, actions: &[&str]) -> Self {
        self.0
            .entry(resource)
            .or_default()
            .extend(actions.iter().map(ToString::to_string));
        self
    }

    /// The scopes of a challenge, separated by spaces, added to these.
    fn and_challenged(mut self, scope: &str) -> Self {
        for scope in scope.split_ascii_whitespace() {
            let Some((resource, actions)) = scope.rsplit_once(':') else {
                continue;
            };
            if self.0.len() >= SCOPES && !self.0.contains_key(resource) {
                continue;
            }
            self.0
                .entry(resource.to_owned())
                .or_default()
                .extend(actions.split(',').map(str::to_owned));
        }
        self
    }

    fn words(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }
}

struct Token {
    value: HeaderValue,
    expires: Instant,
    /// The token server, if there were credentials and it did not get them.
    withheld_from: Option<String>,
}

/// What is known of one origin.
#[derive(Default)]
struct Host {
    challenges: Vec<Challenge>,
    tokens: HashMap<(Option<String>, Scopes), Token>,
    credentials: HashMap<String, Option<Credential>>,
}

/// What is known of all origins.
#[derive(Default)]
pub(crate) struct Authorizations {
    hosts: Mutex<HashMap<Origin, Arc<tokio::sync::Mutex<Host>>>>,
}

impl fmt::Debug for Authorizations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorizations")
    }
}

/// Where credentials come from.
#[derive(Clone)]
pub(crate) enum Keys {
    Store(CredentialStore),
    /// These alone: a login that is being proved.
    Given(Credential),
}

impl Authorizations {
    fn host(&self, origin: Origin) -> Arc<tokio::sync::Mutex<Host>> {
        self.hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(origin)
            .or_default()
            .clone()
    }
}

impl Exchange {
    /// The `Authorization` for a place, if it is known by now that it wants one.
    pub(crate) async fn authorization(
        &self,
        place: &Place,
        scopes: &Scopes,
    ) -> Result<Option<(Origin, HeaderValue)>, Error> {
        let Some(base) = self.transport.base(place) else {
            return Ok(None);
        };
        let host = self.authorizations.host(base.origin());
        let mut host = host.lock().await;
        if host.challenges.is_empty() {
            return Ok(None);
        }
        let value = self
            .answer_challenge(&mut host, place, &base, scopes)
            .await?;
        Ok(value.map(|value| (base.origin(), value)))
    }

    /// The `Authorization` after a challenge to a request that was sent with `used`; `None` if
    /// there is no better one.
    pub(crate) async fn challenged(
        &self,
        place: &Place,
        scopes: &Scopes,
        answer: &Answer,
        used: Option<&HeaderValue>,
    ) -> Result<Option<(Origin, HeaderValue)>, Error> {
        let Some(base) = self.transport.base(place) else {
            return Ok(None);
        };
        if answer.url.origin() != base.origin() {
            return Ok(None);
        }
        let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<Challenge> = headers
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenge::parse_leniently)
            .filter(|challenge| matches!(challenge.scheme.as_str(), "bearer" | "basic"))
            .collect();
        if challenges.is_empty() {
            return Ok(None);
        }
        let host = self.authorizations.host(base.origin());
        let mut host = host.lock().await;
        host.challenges = challenges;
        let key = (place.credential_name.clone(), scopes.clone());
        // Another thread may have got a new token while this one waited.
        if host
            .tokens
            .get(&key)
            .is_some_and(|token| Some(&token.value) == used)
        {
            host.tokens.remove(&key);
        }
        let value = self
            .answer_challenge(&mut host, place, &base, scopes)
            .await?;
        Ok(value
            .filter(|value| Some(value) != used)
            .map(|value| (base.origin(), value)))
    }

    /// The token server that did not get the place's credentials, if what was sent last was
    /// authorised without them for this reason.
    pub(crate) async fn withheld_from(&self, place: &Place, scopes: &Scopes) -> Option<String> {
        let host = self
            .authorizations
            .host(self.transport.base(place)?.origin());
        let host = host.lock().await;
        let key = (place.credential_name.clone(), scopes.clone());
        host.tokens.get(&key)?.withheld_from.clone()
    }

    async fn answer_challenge(
        &self,
        host: &mut Host,
        place: &Place,
        base: &Url,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, Error> {
        let key = (place.credential_name.clone(), scopes.clone());
        if let Some(token) = host.tokens.get(&key)
            && token.expires > Instant::now()
        {
            return Ok(Some(token.value.clone()));
        }
        let credential = self.credential(host, place).await;
        if let Some(Credential::RegistryToken(token)) = &credential {
            return Ok(Some(secret_header(
                format!("Bearer {}", token.expose()),
                place,
            )?));
        }
        if let Some(bearer) = host
            .challenges
            .iter()
            .find(|challenge| challenge.scheme == "bearer")
            .cloned()
        {
            let (token, _) = self
                .token(place, base, &bearer, scopes, credential.as_ref(), false)
                .await?;
            let value = token.value.clone();
            host.tokens.insert(key, token);
            return Ok(Some(value));
        }
        match credential {
            Some(Credential::Password { username, password }) => {
                basic(&username, &password, place).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Credentials of a place, looked up once: helpers may ask the user.
    async fn credential(&self, host: &mut Host, place: &Place) -> Option<Credential> {
        let name = place.credential_name.clone()?;
        let store = match &self.keys {
            Keys::Given(credential) => return Some(credential.clone()),
            Keys::Store(store) => store.clone(),
        };
        if let Some(known) = host.credentials.get(&name) {
            return known.clone();
        }
        let asked = name.clone();
        let found = tokio::task::spawn_blocking(move || store.lookup(&asked)).await;
        let credential = match found {
            Ok(Ok(credential)) => credential,
            Ok(Err(error)) => {
                self.warn(&Warning::Credentials {
                    registry: place.host.clone(),
                    cause: error.to_string(),
                });
                None
            }
            Err(_) => None,
        };
        host.credentials.insert(name, credential.clone());
        credential
    }

    /// What of the credential a token server gets, and its name if it does not get what there is.
    fn entrusted<'c>(
        &self,
        place: &Place,
        base: &Url,
        realm: &Url,
        credential: Option<&'c Credential>,
    ) -> Result<(Option<&'c Credential>, Option<String>), Error> {
        let trusted = base.scheme() == "https" && place.verified;
        let named = clean(&realm.origin().ascii_serialization());
        match (
            realm::permit(base, trusted, &place.token_servers, realm),
            credential,
        ) {
            (Err(rule), _) => Err(Error::Realm {
                registry: place.host.clone(),
                realm: named,
                rule,
            }),
            (Ok(Leave::Anonymous), Some(_)) => match self.keys {
                Keys::Store(_) => Ok((None, Some(named))),
                // A token for anybody would prove nothing.
                Keys::Given(_) => Err(Error::Withheld {
                    target: exchange::target(place, Item::Whole),
                    realm: named,
                    refusal: None,
                }),
            },
            (Ok(_), credential) => Ok((credential, None)),
        }
    }

    /// Asks the token server. Also returns its refresh token, if `offline` asked for one.
    async fn token(
        &self,
        place: &Place,
        base: &Url,
        bearer: &Challenge,
        scopes: &Scopes,
        credential: Option<&Credential>,
        offline: bool,
    ) -> Result<(Token, Option<String>), Error> {
        let target = exchange::target(place, Item::Token);
        let unanswerable = |why: &str| Error::Protocol {
            target: target.clone(),
            fault: ProtocolFault::Challenge(why.to_owned()),
        };
        let realm = bearer
            .params
            .get("realm")
            .ok_or_else(|| unanswerable("no realm"))?;
        let realm = Url::parse(realm).map_err(|_| unanswerable("a realm that is no address"))?;
        let (credential, withheld_from) = self.entrusted(place, base, &realm, credential)?;
        let scopes = match bearer.params.get("scope") {
            Some(scope) => scopes.clone().and_challenged(scope),
            None => scopes.clone(),
        };
        let service = bearer.params.get("service").map(String::as_str);
        let (request, body) = token_request(
            place,
            target.clone(),
            realm,
            service,
            &scopes,
            credential,
            offline,
        )?;
        let answer = self.repeat(&request, &body, None).await?;
        let response: TokenResponse = answer
            .success()
            .await
            .map_err(|error| match &withheld_from {
                Some(realm) => error.without_credentials(realm.clone()),
                None => error,
            })?
            .json(limits::TOKEN_BYTES)
            .await?;
        let token = response
            .bearer()
            .ok_or_else(|| unanswerable("no token in the token server's answer"))?;
        let value = secret_header(format!("Bearer {token}"), place)?;
        let life =
            Duration::from_secs(response.seconds().min(24 * 3600)).saturating_sub(TOKEN_MARGIN);
        Ok((
            Token {
                value,
                expires: Instant::now() + life,
                withheld_from,
            },
            response.refresh_token,
        ))
    }

    /// Proves the given credential at the registry; the token server's refresh token, if it gives
    /// one.
    pub(crate) async fn prove(
        &self,
        place: &Place,
        credential: &Credential,
    ) -> Result<Option<Secret>, Error> {
        let target = exchange::target(place, Item::Whole);
        let request = Request {
            place: place.clone(),
            method: Method::GET,
            address: Address::Path("/v2/".to_owned()),
            headers: HeaderMap::new(),
            target,
            redirects: Redirects::Safe,
        };
        let scopes = Scopes::default();
        // Learns the challenge; a registry that asks for nothing proves nothing, and is content.
        let first = self.repeat(&request, &bytes::Bytes::new(), None).await?;
        if first.status() != reqwest::StatusCode::UNAUTHORIZED {
            first.success().await?;
            return Ok(None);
        }
        let headers = first.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges = headers
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenge::parse_leniently);
        let bearer = challenges
            .into_iter()
            .find(|challenge| challenge.scheme == "bearer");
        let refresh = match (bearer, self.transport.base(place)) {
            (Some(bearer), Some(base))
                if !matches!(credential, Credential::RegistryToken(_)) && first.own =>
            {
                let (_, refresh) = self
                    .token(place, &base, &bearer, &scopes, Some(credential), true)
                    .await?;
                refresh
            }
            _ => None,
        };
        self.send(&request, &bytes::Bytes::new(), &scopes)
            .await?
            .success()
            .await?;
        Ok(refresh.filter(|token| !token.is_empty()).map(Secret::new))
    }
}

/// The request to a token server: `GET` with Basic credentials or none, or OAuth2's `POST` with an
/// identity token.
fn token_request(
    place: &Place,
    target: Box<Target>,
    mut realm: Url,
    service: Option<&str>,
    scopes: &Scopes,
    credential: Option<&Credential>,
    offline: bool,
) -> Result<(Request, bytes::Bytes), Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    realm.set_fragment(None);
    let mut body = bytes::Bytes::new();
    let mut method = Method::GET;
    if let Some(Credential::IdentityToken { token, .. }) = credential {
        method = Method::POST;
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", CLIENT_ID);
        form.append_pair("refresh_token", token.expose());
        form.append_pair("service", service.unwrap_or_default());
        form.append_pair("scope", &scopes.words().collect::<Vec<_>>().join(" "));
        body = form.finish().into();
    } else {
        let mut query = realm.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scopes.words() {
            query.append_pair("scope", &scope);
        }
        if let Some(Credential::Password { username, password }) = credential {
            query.append_pair("account", username);
            headers.insert(AUTHORIZATION, basic(username, password, place)?);
        }
        if offline {
            query
                .append_pair("client_id", CLIENT_ID)
                .append_pair("offline_token", "true");
        }
    }
    let address = Address::Given(realm);
    let place = place.clone();
    Ok((
        Request {
            place,
            method,
            address,
            headers,
            target,
            redirects: Redirects::None,
        },
        body,
    ))
}

fn basic(username: &str, password: &Secret, place: &Place) -> Result<HeaderValue, Error> {
    let pair = BASE64.encode(format!("{username}:{}", password.expose()));
    secret_header(format!("Basic {pair}"), place)
}

fn secret_header(text: String, place: &Place) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Error::Protocol {
        target: exchange::target(place, Item::Token),
        fault: ProtocolFault::Challenge("a token that can't be sent".to_owned()),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
