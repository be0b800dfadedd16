//! Places: where, by the settings, a repository is to be asked for.
//!
//! Pure: names in, places out. A place has credentials of its own name, never those of the
//! registry it stands for.

use std::net::IpAddr;

use shiplap_model::reference::DOCKER_HUB;
use url::{Origin, Url};

use crate::error::Error;
use crate::settings::{RegistryRule, Settings};

/// The host that serves Docker Hub's distribution API.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// The host that serves Docker Hub's search.
const DOCKER_HUB_SEARCH: &str = "index.docker.io";
/// The host that serves Docker Hub's own API.
const DOCKER_HUB_API: &str = "hub.docker.com";

/// How to speak to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// One host that may have a repository, and the repository's path there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `host[:port]`.
    pub(crate) host: String,
    /// Path of the repository there; empty for the host itself.
    pub(crate) repository: String,
    /// Schemes to try, first the likeliest.
    pub(crate) schemes: &'static [Scheme],
    /// Whether certificates are verified.
    pub(crate) verified: bool,
    /// Whether it is reached without a proxy.
    pub(crate) loopback: bool,
    /// Name under which credentials are looked up; `None` where none may go.
    pub(crate) credential_name: Option<String>,
    /// Token servers that the user lets have these credentials.
    pub(crate) token_servers: Vec<Origin>,
    /// Whether another place follows if this one fails.
    pub(crate) mirror: bool,
}

/// Which of a registry's services is wanted. They differ for Docker Hub only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Distribution,
    Search,
    HubApi,
}

/// The places of `registry` and `path`, mirrors first; the last is the registry itself.
pub(crate) fn places(settings: &Settings, registry: &str, path: &str) -> Result<Vec<Place>, Error> {
    let name = join(registry, path);
    let rule = rule_for(&settings.rules, &name);
    let insecure = rule.is_some_and(|rule| rule.insecure);
    let mut places = Vec::new();
    if let Some(rule) = rule {
        for mirror in &rule.mirrors {
            let mut place = place(&moved(&name, rule, mirror), insecure, Service::Distribution)?;
            place.mirror = true;
            // A registry of its own: what holds for the one it stands for does not hold for it.
            let own = place.credential_name.as_deref();
            place.token_servers =
                token_servers(own.and_then(|own| rule_for(&settings.rules, own)))?;
            places.push(place);
        }
    }
    places.push(registry_place(
        settings,
        registry,
        path,
        Service::Distribution,
    )?);
    Ok(places)
}

/// The place of `registry` and `path` itself, no mirror: the one that is written to.
pub(crate) fn registry_place(
    settings: &Settings,
    registry: &str,
    path: &str,
    service: Service,
) -> Result<Place, Error> {
    let name = join(registry, path);
    let rule = rule_for(&settings.rules, &name);
    let insecure = rule.is_some_and(|rule| rule.insecure);
    let mut place =
        match rule.and_then(|rule| rule.location.as_deref().map(|location| (rule, location))) {
            Some((rule, location)) => place(&moved(&name, rule, location), insecure, service)?,
            None => place(&name, insecure, service)?,
        };
    place.token_servers = token_servers(rule)?;
    Ok(place)
}

/// The token servers that a rule names.
fn token_servers(rule: Option<&RegistryRule>) -> Result<Vec<Origin>, Error> {
    let named = rule.map_or(&[][..], |rule| &rule.token_servers);
    let origins = named
        .iter()
        .map(|text| origin(text).ok_or_else(|| Error::TokenServer(text.clone())));
    origins.collect()
}

/// An address that is an origin and nothing more.
fn origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let is_bare = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    is_bare.then(|| url.origin())
}

fn join(registry: &str, path: &str) -> String {
    if path.is_empty() {
        registry.to_owned()
    } else {
        format!("{registry}/{path}")
    }
}

/// The rule with the longest prefix of `name`, by whole components.
fn rule_for<'a>(rules: &'a [RegistryRule], name: &str) -> Option<&'a RegistryRule> {
    let matches = |rule: &&RegistryRule| {
        let prefix = rule.prefix.trim_end_matches('/');
        !prefix.is_empty()
            && name
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    rules
        .iter()
        .filter(matches)
        .max_by_key(|rule| rule.prefix.trim_end_matches('/').len())
}

/// `name` with the rule's prefix replaced by `location`.
fn moved(name: &str, rule: &RegistryRule, location: &str) -> String {
    let rest = name
        .strip_prefix(rule.prefix.trim_end_matches('/'))
        .unwrap_or_default();
    format!("{}{rest}", location.trim_end_matches('/'))
}

fn place(name: &str, insecure: bool, service: Service) -> Result<Place, Error> {
    let (forced, bare) = match name.split_once("://") {
        Some(("http", rest)) => (Some(Scheme::Http), rest),
        Some(("https", rest)) => (Some(Scheme::Https), rest),
        Some(_) => return Err(Error::Address(name.to_owned())),
        None => (None, name),
    };
    let (named_host, repository) = bare.split_once('/').unwrap_or((bare, ""));
    let hub = is_docker_hub(named_host);
    let host = match service {
        _ if !hub => named_host,
        Service::Distribution => DOCKER_HUB_HOST,
        Service::Search => DOCKER_HUB_SEARCH,
        Service::HubApi => DOCKER_HUB_API,
    };
    let loopback = check_host(host).ok_or_else(|| Error::Address(name.to_owned()))?;
    let schemes: &'static [Scheme] = match forced {
        Some(Scheme::Http) => &[Scheme::Http],
        Some(Scheme::Https) => &[Scheme::Https],
        // A registry on this machine mostly speaks plain http; one that doesn't says so at once.
        None if loopback => &[Scheme::Http, Scheme::Https],
        None if insecure => &[Scheme::Https, Scheme::Http],
        None => &[Scheme::Https],
    };
    let account = if hub { DOCKER_HUB } else { named_host };
    let credential_name = (!hub || service != Service::HubApi).then(|| join(account, repository));
    Ok(Place {
        host: host.to_owned(),
        repository: repository.to_owned(),
        schemes,
        verified: !(insecure || loopback && forced.is_none()),
        loopback,
        credential_name,
        token_servers: Vec::new(),
        mirror: false,
    })
}

fn is_docker_hub(host: &str) -> bool {
    matches!(host, DOCKER_HUB | DOCKER_HUB_HOST | DOCKER_HUB_SEARCH)
}

/// Whether `host[:port]` is on this machine; `None` if it is no host.
fn check_host(host: &str) -> Option<bool> {
    if host.is_empty() || host.contains(['@', '?', '#', '\\', '/', '%']) {
        return None;
    }
    let url = Url::parse(&format!("https://{host}/")).ok()?;
    is_loopback(&url)
}

/// Whether an address is on this machine: `localhost`, `127.0.0.0/8`, `::1`.
pub(crate) fn is_loopback(url: &Url) -> Option<bool> {
    Some(match url.host()? {
        url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        url::Host::Ipv4(address) => IpAddr::V4(address).is_loopback(),
        url::Host::Ipv6(address) => IpAddr::V6(address).is_loopback(),
    })
}

#[cfg(test)]
mod tests;
